//! Hand-written nested JSON: the members as literals in the one order in which the application
//! writes them; any other line goes to the full parser.

use super::bytes::{Span, TENS, decimal, literal, three_digits, word};
use super::json::{strange, string_end_near, text};
use super::{Fields, Floor};

/// Processes all lines of a block.
pub(crate) fn lines(floor: &mut Floor, buf: &[u8], end: u32) {
    let mut at = 0;
    while at < end {
        let mut fields = Fields { seconds: f64::NAN, ..Fields::default() };
        at = match line(buf, at, &mut fields) {
            Some(next) => {
                floor.request(buf, &fields);
                next
            }
            None => strange(floor, &buf[..end as usize], at),
        };
    }
}

#[inline(always)]
fn line(buf: &[u8], mut at: u32, f: &mut Fields) -> Option<u32> {
    macro_rules! expect {
        ($literal:literal) => {
            if !literal(buf, at, $literal) {
                return None;
            }
            at += $literal.len() as u32;
        };
    }
    // a string that is a label or an id: without escapes
    macro_rules! string {
        ($literal:literal, $field:ident, $len:literal) => {
            expect!($literal);
            let stop = string_end_near::<$len>(buf, at);
            if buf[stop as usize] != b'"' {
                return None;
            }
            f.$field = Span::between(at, stop);
            at = stop;
        };
    }
    macro_rules! skip {
        ($literal:literal) => {
            expect!($literal);
            at = text(buf, at)? - 1;
        };
    }
    macro_rules! integer {
        ($literal:literal) => {
            expect!($literal);
            at = integer(buf, at)?;
        };
    }
    string!(b"{\"timestamp\":\"", time, 24);
    string!(b"\",\"level\":\"", level, 0);
    string!(b"\",\"service\":\"", service, 0);
    skip!(b"\",\"logger\":\"");
    expect!(b"\",\"message\":\"");
    let stop = text(buf, at)? - 1;
    f.body = Span::between(at, stop);
    at = stop;
    string!(b"\",\"trace_id\":\"", trace, 32);
    string!(b"\",\"data\":{\"request_id\":\"", request, 36);
    string!(b"\",\"method\":\"", method, 0);
    string!(b"\",\"path\":\"", path, 0);
    expect!(b"\",\"status_code\":");
    f.status = three_digits(word(buf, at));
    if f.status == 0 {
        return None;
    }
    at += 3;
    expect!(b",\"duration_ms\":");
    let number = decimal(word(buf, at))?;
    f.seconds = number.digits as f64 / (TENS[number.fraction as usize] * 1e3);
    at += number.len;
    skip!(b",\"client\":{\"ip\":\"");
    integer!(b"\",\"port\":");
    skip!(b",\"agent\":\"");
    integer!(b"\"},\"user\":{\"id\":");
    expect!(b",\"roles\":[");
    at = strings(buf, at)?;
    skip!(b"],\"tenant\":\"");
    integer!(b"\"},\"response\":{\"bytes\":");
    skip!(b",\"type\":\"");
    expect!(b"\",\"cached\":");
    at += match buf[at as usize] {
        b't' if literal(buf, at, b"true") => 4,
        b'f' if literal(buf, at, b"false") => 5,
        _ => return None,
    };
    skip!(b"}},\"host\":{\"pod\":\"");
    skip!(b"\",\"node\":\"");
    skip!(b"\",\"zone\":\"");
    integer!(b"\"},\"process\":{\"pid\":");
    skip!(b",\"thread\":\"");
    expect!(b"\"},\"tags\":[");
    at = strings(buf, at)?;
    skip!(b"],\"version\":\"");
    expect!(b"\"}\n");
    Some(at)
}

/// Returns the position after an integer of at most 7 digits; the full parser reads longer ones.
#[inline(always)]
fn integer(buf: &[u8], at: u32) -> Option<u32> {
    let number = decimal(word(buf, at))?;
    Some(at + number.len)
}

/// Returns the position after the strings of an array, before its bracket.
#[inline(always)]
fn strings(buf: &[u8], mut at: u32) -> Option<u32> {
    if buf[at as usize] == b']' {
        return Some(at);
    }
    loop {
        if buf[at as usize] != b'"' {
            return None;
        }
        at = text(buf, at + 1)?;
        match buf[at as usize] {
            b']' => return Some(at),
            b',' => at += 1,
            _ => return None,
        }
    }
}
