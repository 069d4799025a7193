//! Hand-written logfmt: tries the keys as literals in the order in which the application writes
//! them, and reads the pairs one by one if another key follows.

use super::bytes::{Span, TENS, decimal, goes_on, literal, newline, three_digits, token_end, word};
use super::json::text;
use super::{Fields, Floor};

/// Processes all lines of a block.
pub(crate) fn lines(floor: &mut Floor, buf: &[u8], end: u32) {
    let mut at = 0;
    while at < end {
        let mut fields = Fields { seconds: f64::NAN, ..Fields::default() };
        let read = line(buf, at, &mut fields).or_else(|| {
            fields = Fields { seconds: f64::NAN, ..Fields::default() };
            pairs(buf, at, &mut fields)
        });
        at = if let Some(next) = read {
            floor.request(buf, &fields);
            next
        } else {
            let newline = newline(buf, at, end);
            floor.lines += u64::from(newline > at);
            newline + 1
        };
    }
}

/// Finds the end of a bare value that usually has `LEN` bytes and is followed by `close`.
#[inline(always)]
fn bare_end<const LEN: usize>(buf: &[u8], at: u32, close: u8) -> u32 {
    if LEN > 0 && goes_on::<LEN>(buf, at, true) && buf[at as usize + LEN] == close {
        return at + LEN as u32;
    }
    token_end(buf, at)
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
    macro_rules! bare {
        ($literal:literal, $field:ident, $len:literal, $close:literal) => {
            expect!($literal);
            let stop = bare_end::<$len>(buf, at, $close);
            f.$field = Span::between(at, stop);
            at = stop;
        };
    }
    bare!(b"time=", time, 24, b' ');
    bare!(b" level=", level, 0, b' ');
    bare!(b" service=", service, 0, b' ');
    expect!(b" msg=\"");
    let stop = text(buf, at)?;
    f.body = Span::between(at, stop - 1);
    at = stop;
    bare!(b" method=", method, 0, b' ');
    bare!(b" path=", path, 0, b' ');
    expect!(b" status=");
    f.status = three_digits(word(buf, at));
    if f.status == 0 {
        return None;
    }
    at += 3;
    expect!(b" duration_ms=");
    let number = decimal(word(buf, at))?;
    f.seconds = number.digits as f64 / (TENS[number.fraction as usize] * 1e3);
    at += number.len;
    bare!(b" trace_id=", trace, 32, b' ');
    bare!(b" request_id=", request, 36, b'\n');
    expect!(b"\n");
    Some(at)
}

/// Reads any keys in any order.
#[inline(never)]
fn pairs(buf: &[u8], mut at: u32, f: &mut Fields) -> Option<u32> {
    loop {
        let start = at;
        while !matches!(buf[at as usize], b'=' | b' ' | b'\n' | b'"') {
            at += 1;
        }
        if buf[at as usize] != b'=' || at == start {
            return None;
        }
        let key = Span::between(start, at);
        at += 1;
        let span = if buf[at as usize] == b'"' {
            let stop = text(buf, at + 1)?;
            let span = Span::between(at + 1, stop - 1);
            at = stop;
            span
        } else {
            let stop = token_end(buf, at);
            let span = Span::between(at, stop);
            at = stop;
            span
        };
        match key.of(buf) {
            b"time" => f.time = span,
            b"level" => f.level = span,
            b"service" => f.service = span,
            b"msg" => f.body = span,
            b"method" => f.method = span,
            b"path" => f.path = span,
            b"trace_id" => f.trace = span,
            b"request_id" => f.request = span,
            b"status" => f.status = three_digits(word(buf, span.at)),
            b"duration_ms" => {
                let number = std::str::from_utf8(span.of(buf)).ok()?.parse::<f64>().ok()?;
                f.seconds = number / 1e3;
            }
            _ => {}
        }
        match buf[at as usize] {
            b' ' => at += 1,
            b'\n' => return Some(at + 1),
            _ => return None,
        }
    }
}
