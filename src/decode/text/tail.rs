//! Reads what some loggers put into or after the message: structlog's `key=value`, PostgreSQL's
//! duration and statement. Unit: one message.

use super::ids;
use crate::decode::out::Out;
use crate::record::field::{
    DB_QUERY, DURATION, FieldId, HTTP_METHOD, HTTP_STATUS, LOGGER, URL_PATH, Unit,
};

/// Reads structlog's console format: the event, padded, `[logger]`, then `key=value` pairs.
#[cold]
pub(super) fn structlog(bytes: &[u8], from: usize, out: &mut Out<'_>) {
    let mut at = from;
    for word in bytes[from..].split(|byte| *byte == b' ') {
        let start = at;
        at += word.len() + 1;
        if let [b'[', inside @ .., b']'] = word
            && start > from
            && !inside.is_empty()
        {
            out.put(LOGGER, start + 1, start + 1 + inside.len());
            continue;
        }
        let Some(equals) = word.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else {
            continue;
        };
        let value = &word[equals + 1..];
        let quotes = usize::from(matches!(value, [b'\'', _, .., b'\''] | [b'"', _, .., b'"']));
        let (key, begin, end) = (&word[..equals], start + equals + 1 + quotes, at - 1 - quotes);
        let Some((field, unit)) = field_of(key) else { continue };
        if !ids::is_absent(&bytes[begin..end]) {
            out.put_in(unit, field, begin, end);
        }
    }
}

fn field_of(key: &[u8]) -> Option<(FieldId, Unit)> {
    let field = match key {
        b"method" => HTTP_METHOD,
        b"path" => URL_PATH,
        b"status" | b"status_code" => HTTP_STATUS,
        b"duration_ms" => return Some((DURATION, Unit::Milliseconds)),
        b"duration_s" | b"duration_seconds" => return Some((DURATION, Unit::Seconds)),
        b"duration" => DURATION,
        _ => ids::field_of(key)?,
    };
    Some((field, Unit::None))
}

/// Reads PostgreSQL's `duration: 1.234 ms  statement: SELECT 1`.
#[cold]
pub(super) fn postgres(bytes: &[u8], from: usize, out: &mut Out<'_>) {
    let Some(rest) = bytes[from..].strip_prefix(b"duration: ") else { return };
    let Some(length) = rest.windows(3).position(|part| part == b" ms") else { return };
    let begin = from + 10;
    out.put(DURATION, begin, begin + length + 3);
    // `statement: `, `execute name: `, `parse name: `
    let Some(colon) = rest[length + 3..].iter().position(|byte| *byte == b':') else { return };
    let query = (begin + length + 3 + colon + 2).min(bytes.len());
    out.put(DB_QUERY, query, bytes.len());
}
