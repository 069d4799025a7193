//! Reads ids in brackets, `key=value` pairs and locations (`file.py:12`) of a text line. Unit: one
//! part.

use crate::decode::out::Out;
use crate::record::field::{
    CODE_FILE, CODE_LINE, FUNCTION, FieldId, LOGGER, REQUEST_ID, SERVICE, SPAN_ID, TRACE_FLAGS,
    TRACE_ID,
};
use crate::record::sentinel::is_sentinel;

/// The meaning of an id without a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// It is the id of a trace; otherwise of a request.
    pub(super) is_trace: bool,
}

/// Writes an id between two separators; ignores sentinels, threads and process ids.
pub(super) fn bracket(bytes: &[u8], from: usize, to: usize, meaning: Meaning, out: &mut Out<'_>) {
    let (from, to) = trim(bytes, from, to);
    let value = &bytes[from..to];
    if value.contains(&b'=') {
        for (field, from, to) in pairs(bytes, from, to) {
            out.put(field, from, to);
        }
        return;
    }
    // OpenStack: `req-... user project - - -`
    let is_request = value.starts_with(b"req-");
    let space = value.iter().position(|byte| *byte == b' ').filter(|_| is_request);
    let to = space.map_or(to, |space| from + space);
    let value = &bytes[from..to];
    let is_pid = value.len() < 8 && value.iter().all(u8::is_ascii_digit);
    let is_thread =
        [&b"main"[..], b"Main", b"Thread", b"worker"].iter().any(|k| value.starts_with(k));
    if is_pid || is_thread || value.contains(&b' ') || is_absent(value) {
        return;
    }
    out.put(if meaning.is_trace { TRACE_ID } else { REQUEST_ID }, from, to);
}

/// Returns whether a text in brackets can only be an id: a UUID, many hexadecimal digits, or a text
/// that names itself an id.
pub(super) fn is_surely_id(value: &[u8]) -> bool {
    let is_hex = value.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let value = &value[..value.iter().position(|byte| *byte == b' ').unwrap_or(value.len())];
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let says_so =
        [&b"req-"[..], b"req_", b"request-", b"trace-"].iter().any(|k| value.starts_with(k));
    (value.len() >= 16 && has_digit && is_hex) || (says_so && has_digit)
}

/// Reads the known `key=value` pairs between two positions, split at spaces and commas.
pub(super) fn pairs(
    bytes: &[u8],
    from: usize,
    to: usize,
) -> impl Iterator<Item = (FieldId, usize, usize)> {
    let mut at = from;
    bytes[from..to].split(|byte| matches!(byte, b' ' | b',' | b';')).filter_map(move |word| {
        let start = at;
        at += word.len() + 1;
        pair(word, start)
    })
}

/// Returns the field of a key in a text line: the keys of OpenTelemetry's logging instrumentation
/// and similar ones.
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

/// Returns whether a word of a header is `key=value`, with a known or unknown key.
pub(super) fn is_pair(word: &[u8]) -> bool {
    let key = word.iter().position(|byte| *byte == b'=').unwrap_or(0);
    key > 0
        && word[..key].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Returns the field of a pair at `at`, if its key is known and its value is not absent.
pub(super) fn pair(word: &[u8], at: usize) -> Option<(FieldId, usize, usize)> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    let field = field_of(&word[..equals])?;
    (!is_absent(&word[equals + 1..])).then_some((field, at + equals + 1, at + word.len()))
}

/// Reads `file.py:12`, `module:function:12`, `function:12` into `fields`; returns the number of
/// fields.
#[inline]
pub(super) fn place(
    bytes: &[u8],
    from: usize,
    to: usize,
    fields: &mut [(FieldId, usize, usize); 3],
) -> usize {
    let part = &bytes[from..to];
    if !part.last().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let digits = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(colon) = part.len().checked_sub(digits + 1).filter(|at| *at > 0) else { return 0 };
    if part[colon] != b':' || digits > 7 {
        return 0;
    }
    let named = &part[..colon];
    let is_name = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'_' | b'.' | b'/' | b'<' | b'>' | b':' | b'-' | b'\\')
    };
    // `127.0.0.1:80` and `fd00::1:80` are addresses
    let is_address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let colons = memchr::memchr_iter(b':', named).count();
    if !named.iter().all(is_name)
        || !named.iter().any(u8::is_ascii_alphabetic)
        || (colons > 1 && named.iter().all(is_address))
    {
        return 0;
    }
    fields[0] = (CODE_LINE, from + colon + 1, to);
    match named.iter().rposition(|byte| *byte == b':') {
        Some(inner) => {
            fields[1] = (LOGGER, from, from + inner);
            if named[inner + 1..] == *b"<module>" {
                return 2;
            }
            fields[2] = (FUNCTION, from + inner + 1, from + colon);
            3
        }
        None if named.contains(&b'.') || named.contains(&b'/') => {
            fields[1] = (CODE_FILE, from, from + colon);
            2
        }
        None => {
            fields[1] = (FUNCTION, from, from + colon);
            2
        }
    }
}

/// Returns whether a name can only be that of a logger or class: words joined by dots or `::`.
pub(super) fn is_dotted(name: &[u8]) -> bool {
    let is_word =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$' | b'-' | b':' | b'#');
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return false };
    let is_address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    if first.is_ascii_hexdigit() && name.contains(&b':') && name.iter().all(is_address) {
        return false;
    }
    (name.contains(&b'.') || name.windows(2).any(|pair| pair == b"::"))
        && name.iter().all(is_word)
        && first.is_ascii_alphabetic()
        && last.is_ascii_alphanumeric()
}

/// Returns whether a name is like `MainProcess`: a capital after a lower-case letter.
pub(super) fn is_camel(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

/// Returns whether a byte occurs in names, hosts, numbers and processes, but not in sentences.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'{' | b'}' | b'!' | b'?')
}

/// Returns the length of a name without a `[7]` after it.
pub(super) fn without_process(name: &[u8]) -> usize {
    name.iter().position(|byte| *byte == b'[').filter(|at| *at > 0).unwrap_or(name.len())
}

/// Returns whether a name is a process id, or the name of a thread or process as Python writes it.
pub(super) fn is_thread(name: &[u8]) -> bool {
    const KNOWN: [&[u8]; 7] = [
        b"MainThread",
        b"Thread-",
        b"ThreadPoolExecutor-",
        b"Dummy-",
        b"MainProcess",
        b"SpawnProcess-",
        b"Process-",
    ];
    match name.first() {
        Some(b'0'..=b'9') => name.iter().all(u8::is_ascii_digit),
        Some(b'M' | b'T' | b'D' | b'S' | b'P') => KNOWN.iter().any(|known| name.starts_with(known)),
        _ => false,
    }
}

/// Finds the two ids in Spring's `trace-span` and `application,trace,span`.
pub(super) fn trace_and_span(bytes: &[u8], from: usize, to: usize) -> Option<[(usize, usize); 2]> {
    let value = &bytes[from..to];
    let is_hex = |part: &[u8], lengths: &[usize]| {
        lengths.contains(&part.len()) && part.iter().all(u8::is_ascii_hexdigit)
    };
    let at = match value.iter().position(|byte| *byte == b',') {
        Some(comma) => comma + 1,
        None if value.len() == 49 => 0,
        None => return None,
    };
    let rest = &value[at..];
    let length = rest.iter().position(|byte| matches!(byte, b',' | b'-'))?;
    let span = &rest[length + 1..];
    let span = &span[..span.iter().position(|byte| *byte == b',').unwrap_or(span.len())];
    if !is_hex(&rest[..length], &[16, 32]) || !is_hex(span, &[16]) {
        return None;
    }
    let trace = from + at;
    Some([(trace, trace + length), (trace + length + 1, trace + length + 1 + span.len())])
}

pub(super) fn trim(bytes: &[u8], from: usize, to: usize) -> (usize, usize) {
    let inside = &bytes[from..to];
    let ahead = inside.iter().take_while(|byte| **byte == b' ').count();
    let behind = inside[ahead..].iter().rev().take_while(|byte| **byte == b' ').count();
    (from + ahead, to - behind)
}

/// Returns whether a value is empty or a word for "none".
pub(super) fn is_absent(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(is_sentinel)
}
