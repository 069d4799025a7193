//! Hand-written reader for nginx' combined format followed by `$request_time`: reads forward to the
//! first quote, method, path and status; reads the request time backwards from the end of the line.

use super::bytes::{
    Span, TENS, decimal, find, first_in_word, literal, newline, three_digits, token_end, word,
};
use super::{Fields, Floor};

/// Processes all lines of a block.
pub(crate) fn lines(floor: &mut Floor, buf: &[u8], end: u32) {
    let mut at = 0;
    while at < end {
        let mut fields = Fields { seconds: f64::NAN, ..Fields::default() };
        let quote = find(buf, at, b'"');
        let behind = if line(buf, at, quote, &mut fields).is_some() { quote } else { at };
        let newline = newline(buf, behind, end);
        if behind == quote && request_time(buf, newline, &mut fields).is_some() {
            floor.access(buf, &fields);
        } else {
            floor.lines += u64::from(newline > at);
        }
        at = newline + 1;
    }
}

#[inline(always)]
fn line(buf: &[u8], start: u32, quote: u32, f: &mut Fields) -> Option<()> {
    // `[21/Nov/2026:10:00:00 +0000] "`
    let time = quote.checked_sub(29).filter(|at| *at > start)?;
    if buf[time as usize] != b'[' || !literal(buf, quote - 2, b"] \"") {
        return None;
    }
    f.time = Span { at: time + 1, len: 26 };
    let method = quote + 1;
    let len = first_in_word(word(buf, method), b' ');
    if len == 0 || len == 8 {
        return None;
    }
    f.method = Span { at: method, len };
    let path = method + len + 1;
    let stop = token_end(buf, path);
    if !literal(buf, stop, b" HTTP/") || !literal(buf, stop + 9, b"\" ") {
        return None;
    }
    f.path = Span::between(path, stop);
    f.status = three_digits(word(buf, stop + 11));
    if f.status == 0 || buf[stop as usize + 14] != b' ' {
        return None;
    }
    Some(())
}

#[inline(always)]
fn request_time(buf: &[u8], newline: u32, f: &mut Fields) -> Option<()> {
    let last = word(buf, newline.checked_sub(8)?);
    // the space before the number is the highest byte that is a space
    let x = last ^ (u64::from(b' ') * super::bytes::ONES);
    // exact in every byte, unlike the cheaper form, which borrows from higher bytes
    let low = 0x7F7F_7F7F_7F7F_7F7F;
    let spaces = !(((x & low) + low) | x | low);
    if spaces == 0 {
        return None;
    }
    let number_len = spaces.leading_zeros() / 8;
    if number_len == 0 {
        return None;
    }
    let number = decimal(last >> (8 * (8 - number_len)))?;
    if number.len != number_len {
        return None;
    }
    f.seconds = number.digits as f64 / TENS[number.fraction as usize];
    Some(())
}
