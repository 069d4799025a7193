//! Ids in brackets, `key=value` pairs and places (`file.py:12`) of a text line. Unit: one part.

use super::out::Out;
use crate::record::field::{
    CODE_FILE, CODE_LINE, FUNCTION, FieldId, LOGGER, REQUEST_ID, SERVICE, SPAN_ID, TRACE_FLAGS,
    TRACE_ID,
};
use crate::record::sentinel::is_sentinel;

/// What an id without a name of its own is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// A trace; else a request.
    pub(super) is_trace: bool,
}

/// Writes an id that stands between two separators; sentinels, threads and process ids are none.
pub(super) fn bracket(bytes: &[u8], from: usize, to: usize, meaning: Meaning, out: &mut Out<'_>) {
    let (from, to) = trim(bytes, from, to);
    let value = &bytes[from..to];
    if value.contains(&b'=') {
        pairs(bytes, from, to, out);
        return;
    }
    let is_pid = value.len() < 8 && value.iter().all(u8::is_ascii_digit);
    let is_thread =
        [&b"main"[..], b"Main", b"Thread", b"worker"].iter().any(|k| value.starts_with(k));
    if is_pid || is_thread || value.contains(&b' ') || is_absent(value) {
        return;
    }
    out.put(if meaning.is_trace { TRACE_ID } else { REQUEST_ID }, from, to);
}

/// Whether a bracketed text can only be an id: a UUID, many hexadecimal digits, or one that says so.
pub(super) fn is_surely_id(value: &[u8]) -> bool {
    let is_hex = value.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let says_so =
        [&b"req-"[..], b"req_", b"request-", b"trace-"].iter().any(|k| value.starts_with(k));
    (value.len() >= 16 && has_digit && is_hex) || (says_so && has_digit)
}

/// `key=value` pairs between two positions, split at spaces and commas, in those names that matter.
pub(super) fn pairs(bytes: &[u8], from: usize, to: usize, out: &mut Out<'_>) {
    let mut at = from;
    for pair in bytes[from..to].split(|byte| matches!(byte, b' ' | b',' | b';')) {
        let start = at;
        at += pair.len() + 1;
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let value = &pair[equals + 1..];
        if let Some(field) = field_of(&pair[..equals])
            && !is_absent(value)
        {
            out.put(field, start + equals + 1, start + pair.len());
        }
    }
}

/// The field that a key in a text line means: OpenTelemetry's logging instrumentation and its relatives.
pub(super) fn field_of(key: &[u8]) -> Option<FieldId> {
    Some(match key {
        b"trace_id" | b"traceId" | b"trace" | b"dd.trace_id" | b"otelTraceID" => TRACE_ID,
        b"span_id" | b"spanId" | b"span" | b"dd.span_id" | b"otelSpanID" => SPAN_ID,
        b"trace_sampled" | b"trace_flags" => TRACE_FLAGS,
        b"request_id" | b"requestId" | b"req_id" | b"reqId" | b"correlation_id" | b"rid" => {
            REQUEST_ID
        }
        b"resource.service.name" | b"service" | b"service.name" | b"dd.service" => SERVICE,
        b"logger" | b"logger_name" => LOGGER,
        _ => return None,
    })
}

/// `file.py:12`, `module:function:12`, `function:12`: writes what it names and says whether it was one.
#[inline]
pub(super) fn place(bytes: &[u8], from: usize, to: usize, out: &mut Out<'_>) -> bool {
    let part = &bytes[from..to];
    if !part.last().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let digits = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(colon) = part.len().checked_sub(digits + 1).filter(|at| *at > 0) else { return false };
    if part[colon] != b':' || digits > 7 {
        return false;
    }
    let named = &part[..colon];
    let is_name = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'_' | b'.' | b'/' | b'<' | b'>' | b':' | b'-' | b'\\')
    };
    // `127.0.0.1:80` is an address
    if !named.iter().all(is_name) || !named.iter().any(u8::is_ascii_alphabetic) {
        return false;
    }
    out.put(CODE_LINE, from + colon + 1, to);
    match named.iter().rposition(|byte| *byte == b':') {
        Some(inner) => {
            out.put(LOGGER, from, from + inner);
            if named[inner + 1..] != *b"<module>" {
                out.put(FUNCTION, from + inner + 1, from + colon);
            }
        }
        None if named.contains(&b'.') || named.contains(&b'/') => {
            out.put(CODE_FILE, from, from + colon);
        }
        None => out.put(FUNCTION, from, from + colon),
    }
    true
}

pub(super) fn trim(bytes: &[u8], from: usize, to: usize) -> (usize, usize) {
    let inside = &bytes[from..to];
    let ahead = inside.iter().take_while(|byte| **byte == b' ').count();
    let behind = inside[ahead..].iter().rev().take_while(|byte| **byte == b' ').count();
    (from + ahead, to - behind)
}

/// Whether a value is empty or a word for "none".
pub(super) fn is_absent(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(is_sentinel)
}
