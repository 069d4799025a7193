//! `asctime - name - LEVEL - message` by hand, and `f executed in 0.125s` in the message.

use super::bytes::{Span, TENS, decimal, find, first_in_word, literal, word};
use super::{Fields, Floor};

/// Reads all lines of a block.
pub(crate) fn lines(floor: &mut Floor, buf: &[u8], end: u32) {
    let mut at = 0;
    while at < end {
        let mut fields = Fields { seconds: f64::NAN, ..Fields::default() };
        at = match line(buf, at, &mut fields) {
            Some(newline) => {
                floor.record(buf, &fields);
                newline + 1
            }
            None => {
                // a line of another kind, or what follows one: a record without a level, by itself
                let newline = newline(buf, at, end);
                floor.lines += u64::from(newline > at);
                newline + 1
            }
        };
    }
    fn newline(buf: &[u8], from: u32, end: u32) -> u32 {
        let rest = &buf[from as usize..end as usize];
        from + memchr::memchr(b'\n', rest).unwrap_or(rest.len()) as u32
    }
}

/// Reads a line up to its newline.
#[inline(always)]
fn line(buf: &[u8], start: u32, f: &mut Fields) -> Option<u32> {
    if !asctime(buf, start) {
        return None;
    }
    f.time = Span { at: start, len: 23 };
    let name = start + 26;
    let stop = find(buf, name, b' ');
    if !literal(buf, stop, b" - ") {
        return None;
    }
    let level = stop + 3;
    let len = first_in_word(word(buf, level), b' ');
    if len == 8 && buf[level as usize + 8] != b' ' || !literal(buf, level + len, b" - ") {
        return None;
    }
    f.level = Span { at: level, len };
    let body = level + len + 3;
    let stop = find(buf, body, b' ');
    let newline = if literal(buf, stop, b" executed in ") {
        executed(buf, body, stop, f).unwrap_or_else(|| find(buf, stop, b'\n'))
    } else {
        find(buf, stop, b'\n')
    };
    f.body = Span::between(body, newline);
    Some(newline)
}

/// `2026-11-21 10:00:00,123 - `: the separators where they belong, digits between them.
#[inline(always)]
fn asctime(buf: &[u8], at: u32) -> bool {
    const SHAPE: &[u8; 26] = b"dddd-dd-dd dd:dd:dd,ddd - ";
    let text = super::bytes::load::<26>(buf, at);
    let mut wrong = false;
    for (shape, byte) in SHAPE.iter().zip(text) {
        wrong |= if *shape == b'd' { byte.wrapping_sub(b'0') > 9 } else { byte != *shape };
    }
    !wrong
}

/// The rest of `f executed in 0.125s`, if the line ends so.
#[inline(always)]
fn executed(buf: &[u8], body: u32, stop: u32, f: &mut Fields) -> Option<u32> {
    let at = stop + 13;
    let number = decimal(word(buf, at))?;
    if !literal(buf, at + number.len, b"s\n") {
        return None;
    }
    f.path = Span::between(body, stop);
    f.seconds = number.digits as f64 / TENS[number.fraction as usize];
    Some(at + number.len + 1)
}
