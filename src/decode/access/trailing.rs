//! Reads what follows the user agent of an access line: `$request_time`, `$upstream_response_time`,
//! `rt=0.123`, `"$http_x_forwarded_for"`, `$request_id`; Envoy's columns. Unit: the rest of one
//! line.

use crate::decode::out::Out;
use crate::decode::scan;
use crate::record::field::{DURATION, REQUEST_ID, USER_AGENT, Unit};
use crate::record::sentinel::is_sentinel;

/// Limit of appended fields that are read; formats in use have fewer.
const FIELDS_MAX: usize = 12;
/// Limit for Envoy's columns: Istio's format has eighteen.
const ENVOY_FIELDS_MAX: usize = 20;

/// The longest time that is read as one word.
const TIME_BYTES_MAX: usize = 8;

/// Reads what follows the last field of the format. A number without a name is a duration only in
/// the forms that servers define: seconds with three decimals (nginx `$request_time`), four (Rack)
/// or six (actix); a number with its unit (Traefik). No other number is one: `$gzip_ratio` has two
/// decimals, `$msec` ten digits before the point, and an integer may be `%D` of Apache or of
/// Tomcat, which differ in their unit.
#[inline]
pub(super) fn read(bytes: &[u8], from: usize, out: &mut Out<'_>) {
    match bytes.get(from..) {
        // ` 0.123` to the end of the line, by far the most frequent
        Some([b' ', rest @ ..]) if ends_with_time(bytes, rest.len()) => {
            out.put_in(Unit::Seconds, DURATION, from + 1, bytes.len());
        }
        Some([b' ', ..]) => fields(bytes, from, out),
        _ => {}
    }
}

/// Reads the usual ends of lines in a block: nothing, or ` 0.123`. Returns the start of the next
/// line.
#[inline]
pub(super) fn walk(bytes: &[u8], from: usize, out: &mut Out<'_>) -> Option<usize> {
    match bytes.get(from..)? {
        [b'\n', ..] => Some(from + 1),
        [b' ', rest @ ..] => {
            let length = scan::newline_or_escape(rest);
            if rest.get(length) != Some(&b'\n') {
                return None;
            }
            let end = from + 1 + length;
            ends_with_time(&bytes[..end], length).then(|| {
                out.put_in(Unit::Seconds, DURATION, from + 1, end);
                end + 1
            })
        }
        _ => None,
    }
}

/// Returns whether the last `length` bytes of the line are `digits.ddd`, which are loaded backwards
/// as one word. The slow path handles longer numbers and other forms.
#[inline]
fn ends_with_time(bytes: &[u8], length: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk::<8>().filter(|_| (3..=TIME_BYTES_MAX).contains(&length))
    else {
        return false;
    };
    let unused = 64 - 8 * length as u32;
    // a byte that is not a digit sets its high bit
    let value = (u64::from_le_bytes(*last) ^ 0x3030_3030_3030_3030) >> unused;
    let others = (((value & !HIGH) + 0x7676_7676_7676_7676) | value) & (HIGH >> unused);
    let place = others.trailing_zeros() / 8;
    others.is_power_of_two()
        && place > 0
        && place + 4 == length as u32
        && (value >> (8 * place)) as u8 == b'.' ^ b'0'
}

/// Returns whether a text is `digits.ddd` with three, four or six decimals, and fewer digits before
/// the point than a time since 1970 has.
fn is_seconds(text: &[u8]) -> bool {
    let Some(point) = text.iter().position(|byte| *byte == b'.') else { return false };
    let (whole, decimals) = (&text[..point], &text[point + 1..]);
    (1..9).contains(&whole.len())
        && matches!(decimals.len(), 3 | 4 | 6)
        && whole.iter().chain(decimals).all(u8::is_ascii_digit)
}

/// Returns whether a text is `digits` or `digits.digits`, the values of a key for a duration.
fn is_number(text: &[u8]) -> bool {
    let points = text.split(|byte| *byte == b'.').count() - 1;
    points <= 1
        && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && text.first().is_some_and(u8::is_ascii_digit)
        && text.last().is_some_and(u8::is_ascii_digit)
}

/// Returns whether a text is digits and a unit: `247ms`.
fn has_unit(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    digits > 0 && matches!(&text[digits..], b"ms" | b"us" | b"ns" | b"s")
}

/// Returns the end of a unit that follows a number at `end` after a space (morgan's `12.5 ms`);
/// `end` if there is none.
fn unit_after(bytes: &[u8], end: usize) -> usize {
    let word = bytes.get(end + 1..).unwrap_or_default();
    let word = &word[..word.iter().position(|byte| *byte == b' ').unwrap_or(word.len())];
    match word {
        b"ms" | b"us" | b"ns" | b"s" => end + 1 + word.len(),
        _ => end,
    }
}

/// Reads the columns of Envoy and Istio: `200 FLAGS ... RECEIVED SENT DURATION UPSTREAM "..."
/// "agent" "request id"`. The duration is in milliseconds. Returns false if the line is of another
/// format.
#[cold]
fn envoy(bytes: &[u8], from: usize, out: &mut Out<'_>) -> bool {
    let is_integer = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut integers = 0;
    let mut at = from;
    let mut duration = None;
    let mut quoted = 0;
    for number in 0..ENVOY_FIELDS_MAX {
        while bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        let end = end_of(bytes, at);
        let field = &bytes[at..end];
        if field.is_empty() {
            break;
        }
        let is_flags = field.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b','));
        if number == 0 && !is_flags {
            return false;
        }
        if let [b'"', inside @ .., b'"'] = field {
            quoted += usize::from(duration.is_some());
            let span = (at + 1, at + 1 + inside.len());
            let is_absent = inside.is_empty() || inside == b"-";
            let field = [(2, USER_AGENT), (3, REQUEST_ID)].into_iter().find(|(n, _)| *n == quoted);
            if let Some((_, field)) = field.filter(|_| !is_absent) {
                out.put(field, span.0, span.1);
            }
        } else if is_integer(field) {
            integers += 1;
            if integers == 3 {
                duration = Some((at, end));
            }
        } else if duration.is_none() {
            integers = 0;
        }
        at = end;
    }
    // the size after the status of an access line is a third integer without meaning
    let Some((start, end)) = duration.filter(|_| quoted >= 3) else { return false };
    out.put_in(Unit::Milliseconds, DURATION, start, end);
    true
}

/// Reads what follows the status of a line that begins with a time in brackets.
pub(super) fn read_envoy(bytes: &[u8], from: usize, out: &mut Out<'_>) {
    if !envoy(bytes, from, out) {
        read(bytes, from, out);
    }
}

#[cold]
fn fields(bytes: &[u8], from: usize, out: &mut Out<'_>) {
    let mut at = from;
    let mut has_time = false;
    for _ in 0..FIELDS_MAX {
        while bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        if at >= bytes.len() {
            return;
        }
        let mut end = end_of(bytes, at);
        let (key, from, to) = split(bytes, at, end);
        let value = &bytes[from..to];
        let unit_end = unit_after(bytes, end);
        match key {
            b"" | b"duration" if unit_end > end && is_number(value) => {
                if !has_time {
                    out.put(DURATION, from, unit_end);
                }
                has_time = true;
                end = unit_end;
            }
            b"" if !has_time && bytes[at] != b'"' && is_seconds(value) => {
                out.put_in(Unit::Seconds, DURATION, from, to);
                has_time = true;
            }
            b"rt" | b"request_time" | b"duration" if !has_time && is_number(value) => {
                out.put_in(Unit::Seconds, DURATION, from, to);
                has_time = true;
            }
            b"" | b"duration" if !has_time && has_unit(value) => {
                out.put(DURATION, from, to);
                has_time = true;
            }
            b"" if is_request_id(value) => {
                out.put(REQUEST_ID, from, to);
            }
            b"request_id" | b"req_id" | b"rid" | b"id" | b"reqid"
                if std::str::from_utf8(value).is_ok_and(|value| !is_sentinel(value)) =>
            {
                out.put(REQUEST_ID, from, to);
            }
            _ => {}
        }
        at = end;
    }
}

/// Returns the end of a field: a space outside quotes.
fn end_of(bytes: &[u8], from: usize) -> usize {
    let mut quoted = false;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'"' => quoted = !quoted,
            b' ' if !quoted => return at,
            _ => {}
        }
    }
    bytes.len()
}

/// Splits `key=value`, `key="value"`, `"value"`, `value` into the key and the position of the
/// value.
fn split(bytes: &[u8], from: usize, end: usize) -> (&[u8], usize, usize) {
    let field = &bytes[from..end];
    let equals = field
        .iter()
        .position(|byte| !(byte.is_ascii_alphabetic() || *byte == b'_'))
        .filter(|at| field[*at] == b'=');
    let (key, from) = match equals {
        Some(at) => (&field[..at], from + at + 1),
        None => (&field[..0], from),
    };
    match &bytes[from..end] {
        [b'"', inside @ .., b'"'] => (key, from + 1, from + 1 + inside.len()),
        _ => (key, from, end),
    }
}

/// Returns whether a value is 32 hexadecimal digits (nginx `$request_id`) or a UUID.
fn is_request_id(value: &[u8]) -> bool {
    let hex = value.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    match value.len() {
        32 => hex == 32,
        36 => hex == 32 && [8, 13, 18, 23].iter().all(|&at| value[at] == b'-'),
        _ => false,
    }
}
