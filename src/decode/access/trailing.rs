//! What people append to the combined format: `$request_time`, `$upstream_response_time`, `rt=0.123`,
//! `"$http_x_forwarded_for"`, `$request_id`. Unit: the rest of one line.

use crate::decode::scan;
use crate::record::field::{DURATION, REQUEST_ID, Unit};
use crate::record::sentinel::is_sentinel;
use crate::record::slots::{Entry, Slots};

/// How many appended fields are looked at; formats in use have fewer.
const FIELDS_MAX: usize = 12;

/// The longest time that is read as one word.
const TIME_BYTES_MAX: usize = 8;

/// Looks at what lies behind the last field of the format. The first number with a point is the request
/// time: `$upstream_response_time` stands behind it. An integer is none, because `%D` has another unit.
#[inline]
pub(super) fn read(bytes: &[u8], from: usize, slots: &mut Slots) {
    match bytes.get(from..) {
        // ` 0.123` to the end of the line, by far the most
        Some([b' ', rest @ ..]) if ends_with_time(bytes, rest.len()) => {
            put_duration(slots, from + 1, bytes.len());
        }
        Some([b' ', ..]) => fields(bytes, from, slots),
        _ => {}
    }
}

/// The same in a block, for what most lines end with: nothing, or ` 0.123`. Where the next line starts.
#[inline]
pub(super) fn walk(bytes: &[u8], from: usize, slots: &mut Slots) -> Option<usize> {
    match bytes.get(from..)? {
        [b'\n', ..] => Some(from + 1),
        [b' ', rest @ ..] => {
            let length = scan::newline_or_escape(rest);
            if rest.get(length) != Some(&b'\n') {
                return None;
            }
            let end = from + 1 + length;
            ends_with_time(&bytes[..end], length).then(|| {
                put_duration(slots, from + 1, end);
                end + 1
            })
        }
        _ => None,
    }
}

fn put_duration(slots: &mut Slots, from: usize, to: usize) {
    slots.put(DURATION, Entry { unit: Unit::Seconds, ..Entry::text(from, to) });
}

/// Whether the last `length` bytes of the line are `digits.digits`, read backwards as one word. Longer
/// numbers are left to the slower way.
#[inline]
fn ends_with_time(bytes: &[u8], length: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk::<8>().filter(|_| (3..=TIME_BYTES_MAX).contains(&length))
    else {
        return false;
    };
    let unused = 64 - 8 * length as u32;
    // what is not a digit sets the high bit of its byte
    let value = (u64::from_le_bytes(*last) ^ 0x3030_3030_3030_3030) >> unused;
    let others = (((value & !HIGH) + 0x7676_7676_7676_7676) | value) & (HIGH >> unused);
    let place = others.trailing_zeros() / 8;
    others.is_power_of_two()
        && place > 0
        && place + 1 < length as u32
        && (value >> (8 * place)) as u8 == b'.' ^ b'0'
}

/// `digits.digits`.
#[inline]
fn is_request_time(text: &[u8]) -> bool {
    let mut points = 0;
    for byte in text {
        match byte {
            b'0'..=b'9' => {}
            b'.' => points += 1,
            _ => return false,
        }
    }
    points == 1 && text[0] != b'.' && text[text.len() - 1] != b'.'
}

#[cold]
fn fields(bytes: &[u8], from: usize, slots: &mut Slots) {
    let mut at = from;
    let mut has_time = false;
    for _ in 0..FIELDS_MAX {
        while bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        if at >= bytes.len() {
            return;
        }
        let end = end_of(bytes, at);
        let (key, from, to) = split(bytes, at, end);
        let value = &bytes[from..to];
        match key {
            b"" | b"rt" | b"request_time" | b"duration" if !has_time && is_seconds(value) => {
                put_duration(slots, from, to);
                has_time = true;
            }
            b"" if is_request_id(value) => slots.put(REQUEST_ID, Entry::text(from, to)),
            b"request_id" | b"req_id" | b"rid" | b"id" | b"reqid"
                if std::str::from_utf8(value).is_ok_and(|value| !is_sentinel(value)) =>
            {
                slots.put(REQUEST_ID, Entry::text(from, to));
            }
            _ => {}
        }
        at = end;
    }
}

fn is_seconds(value: &[u8]) -> bool {
    !value.is_empty() && is_request_time(value)
}

/// Where a field ends: at a space outside quotes.
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

/// `key=value`, `key="value"`, `"value"`, `value`: the key, and where the value lies.
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

/// 32 hexadecimal digits (nginx `$request_id`) or a UUID.
fn is_request_id(value: &[u8]) -> bool {
    let hex = value.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    match value.len() {
        32 => hex == 32,
        36 => hex == 32 && [8, 13, 18, 23].iter().all(|&at| value[at] == b'-'),
        _ => false,
    }
}
