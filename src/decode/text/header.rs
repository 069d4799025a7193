//! Reads the header of a text line: a short sequence of parts in any order (time, level, logger,
//! thread, process, id, location), in brackets, between bars, dashes or colons, or without
//! delimiters. The parser reads part by part until something cannot be a part: there the message
//! begins. A part that is not certain by itself waits until a certain one follows (a level, a time,
//! an id); if none follows, it belongs to the message. Unit: one line.

use super::layouts::Layouts;
use super::state::Header;
use super::{forms, group, ids, level, request, servers, tail};
use crate::decode::out::Out;
use crate::record::attempt::Decline;
use crate::record::field::{LOGGER, SEVERITY};

/// Limit of parts before a message; layouts in use have up to ten.
const PARTS_MAX: usize = 16;

/// Reads what precedes the message. Returns the start of the message.
///
/// # Errors
/// No part is certain: returns where the reader stopped, and what it expected there.
#[inline]
pub(super) fn read(bytes: &[u8], out: &mut Out<'_>) -> Result<usize, Decline> {
    let header = parse(bytes);
    let Some(body) = write(&header, out) else { return Err(decline(&header)) };
    Ok(message(&header, body, out))
}

/// Does the same, but parses a header that is not among the remembered ones only. Returns `None` if no
/// part is certain.
#[inline]
pub(super) fn read_remembered(
    bytes: &[u8],
    layouts: &mut Layouts,
    out: &mut Out<'_>,
) -> Option<usize> {
    debug_assert_eq!(out.slots.present, 0, "the fields of the header are the only ones");
    if let Some(found) = layouts.find(bytes, out) {
        if found.is_statement {
            tail::postgres(bytes, found.body, out);
        }
        return Some(request::read(bytes, found.body, out));
    }
    let header = parse(bytes);
    let body = write(&header, out)?;
    layouts.learn(&header, body, out.slots);
    Some(message(&header, body, out))
}

/// Parses part by part until the message begins.
fn parse(bytes: &[u8]) -> Header<'_> {
    let mut header = Header::new(bytes);
    let mut at = forms::start(&mut header);
    for _ in 0..PARTS_MAX {
        if header.is_done || at >= bytes.len() {
            break;
        }
        let Some(next) = part(&mut header, at) else { break };
        debug_assert!(next > at, "a part has bytes");
        at = next;
    }
    header.stopped = at;
    // klog's letter is a level, though no word
    let has_severity = header.fields[..header.count].iter().any(|field| field.0 == SEVERITY);
    if header.has_time && !has_severity {
        servers::postgres(&mut header);
    } else if header.body.is_none() {
        servers::bracketed_time(&mut header);
    }
    header
}

/// Says what was expected where the parser stopped.
#[cold]
fn decline(header: &Header<'_>) -> Decline {
    let at = header.stopped.min(header.bytes.len());
    let expected = if level::at(header.bytes, at).is_some() {
        "this word in brackets, between bars, before a colon, or in capitals behind a time"
    } else if header.waiting > 0 {
        "a level or a time after the parts before"
    } else {
        "a time, a level, or the header of a known program"
    };
    Decline { at, expected }
}

/// Reads the part at `at`; returns the start of the next part.
fn part(header: &mut Header<'_>, at: usize) -> Option<usize> {
    match header.bytes[at] {
        b'[' | b'(' | b'{' | b'<' => group::read(header, at),
        b'|' | b'-' | b':' | b',' => header.separator(at),
        _ => header.word(at),
    }
}

/// Writes the certain fields of the header; returns the start of the message.
fn write(header: &Header<'_>, out: &mut Out<'_>) -> Option<usize> {
    let body = header.body?;
    for &(field, from, to) in &header.fields[..header.certain] {
        out.put(field, from as usize, to as usize);
    }
    if let Some((from, to)) = header.bracketed_id.filter(|(_, to)| *to < body) {
        let is_trace = header.level.is_none() && header.logger_name.is_some();
        ids::bracket(header.bytes, from, to, ids::Meaning { is_trace }, out);
    }
    if header.level.is_none()
        && header.bracketed_id.is_some_and(|(_, to)| to < body)
        && let Some((from, to)) = header.logger_name.filter(|(_, to)| *to < body)
    {
        out.put(LOGGER, from, to);
    }
    Some(body)
}

/// Reads the fields of the message; returns its start.
fn message(header: &Header<'_>, body: usize, out: &mut Out<'_>) -> usize {
    match header.level {
        Some(level) if level.is_padded && header.bytes[level.from].is_ascii_lowercase() => {
            tail::structlog(header.bytes, body, out);
        }
        Some(level) if &header.bytes[level.from..level.to] == b"LOG" => {
            tail::postgres(header.bytes, body, out);
        }
        _ => {}
    }
    // `servers::bracketed_time` leaves the columns before the time in the message
    let request = if body == 0 && header.has_time { header.stopped } else { body };
    request::read(header.bytes, request, out);
    body
}
