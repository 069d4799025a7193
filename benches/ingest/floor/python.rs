//! Hand-written `asctime - name - LEVEL - message`, with `f executed in 0.125s` in the message.

use super::bytes::{ONES, Span, TENS, decimal, find, first_in_word, literal, newline, word};
use super::{Fields, Floor};

/// Processes all lines of a block.
pub(crate) fn lines(floor: &mut Floor, buf: &[u8], end: u32) {
    let mut at = 0;
    while at < end {
        let mut fields = Fields { seconds: f64::NAN, ..Fields::default() };
        let newline = if let Some(newline) = line(buf, at, &mut fields) {
            floor.record(buf, &fields);
            newline
        } else {
            // a line of another kind, or a continuation line
            let newline = newline(buf, at, end);
            floor.lines += u64::from(newline > at);
            newline
        };
        at = newline + 1;
    }
}

/// Processes a line up to its newline.
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

/// Checks `2026-11-21 10:00:00,123 - `: separators at their positions, and digits between them.
#[inline(always)]
fn asctime(buf: &[u8], at: u32) -> bool {
    // 8 bytes each; the last word overlaps the one before
    const SHAPES: [(u32, [u64; 2]); 4] = [
        (0, shape(*b"dddd-dd-")),
        (8, shape(*b"dd dd:dd")),
        (16, shape(*b":dd,ddd ")),
        (18, shape(*b"d,ddd - ")),
    ];
    let mut wrong = 0;
    for (offset, [expected, reach]) in SHAPES {
        // a digit leaves 0 to 9, a separator 0; the addition carries larger values into the upper
        // half
        let left = word(buf, at + offset) ^ expected;
        wrong |= left | left.wrapping_add(reach);
    }
    wrong & (0xF0 * ONES) == 0
}

/// Returns the expected bytes, and the addends that carry unexpected bytes into the upper half; `d`
/// is a digit.
const fn shape(text: [u8; 8]) -> [u64; 2] {
    let (mut expected, mut reach) = ([0; 8], [0; 8]);
    let mut i = 0;
    while i < 8 {
        (expected[i], reach[i]) = if text[i] == b'd' { (b'0', 6) } else { (text[i], 15) };
        i += 1;
    }
    [u64::from_le_bytes(expected), u64::from_le_bytes(reach)]
}

/// Reads the rest of `f executed in 0.125s`, if the line ends in this way.
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
