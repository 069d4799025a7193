//! Reads the text lines of loggers: level, logger, location and ids are found by their positions,
//! never by a pattern. The layouts are those of Python's `logging` and similar loggers (uvicorn,
//! gunicorn, Django, loguru, structlog), of logback, Go's `log` and PostgreSQL. The message may
//! contain the separators. Unit: one record, that is a line or a line with the traceback that
//! follows it.

#[cfg(test)]
pub(crate) mod fixture;
mod forms;
mod group;
mod header;
mod ids;
pub(crate) mod layouts;
pub(super) mod level;
mod request;
mod servers;
pub(super) mod stamp;
mod state;
mod tail;
pub(crate) mod traceback;
mod words;

use crate::decode::out::Out;
use crate::decode::scan;
use crate::record::field::{BODY, SEVERITY};
use crate::record::slots::{Slots, ValueBuffer};
use crate::record::{Decoded, Format};
use layouts::Layouts;
use memchr::memchr;
use std::ops::Range;

/// Reads a line with a header; leaves `into` unchanged for any other line.
#[inline]
pub fn read(line: &str, into: &mut Decoded) -> bool {
    let bytes = line.as_bytes();
    if memchr(b'\n', bytes).is_some() {
        return read_lines(line, into);
    }
    let mut out = Out::new(&mut into.slots, ValueBuffer::Line);
    let body = match header::read(bytes, &mut out) {
        Ok(body) => body,
        Err(decline) => {
            into.slots.present = 0;
            into.decline = decline;
            return false;
        }
    };
    out.put(BODY, body, bytes.len());
    into.format = Format::Text;
    true
}

/// Reads the line that starts at `start` in a block of whole lines, with a header or as plain text,
/// and returns the position after its end. Returns `None` for a line with colours or in a wrapper.
#[inline]
pub(super) fn walk(
    block: &str,
    start: usize,
    layouts: &mut Layouts,
    into: &mut Decoded,
) -> Option<usize> {
    let rest = &block.as_bytes()[start..];
    let mut stop = scan::newline_or_escape(rest);
    let end = match rest.get(stop) {
        Some(b'\n') => stop + 1,
        Some(_) => return None,
        None => stop,
    };
    while stop > 0 && rest[stop - 1] == b'\r' {
        stop -= 1;
    }
    let line = &rest[..stop];
    let mut out = Out::new(&mut into.slots, ValueBuffer::Line);
    if let Some(body) = header::read_remembered(line, layouts, &mut out) {
        out.put(BODY, body, line.len());
        into.format = Format::Text;
    } else {
        out.slots.clear();
        request::read(line, 0, &mut out);
        out.put(BODY, 0, line.len());
        into.format = Format::Plain;
    }
    Some(start + end)
}

/// Reads a line that no reader knows: the message, and a traceback after it.
pub fn plain(line: &str, into: &mut Decoded) {
    into.format = Format::Plain;
    let mut out = Out::new(&mut into.slots, ValueBuffer::Line);
    request::read(line.as_bytes(), 0, &mut out);
    if memchr(b'\n', line.as_bytes()).is_none() {
        return out.put(BODY, 0, line.len());
    }
    let parts = traceback::split(line);
    out.put(BODY, 0, parts.message_end);
    if let Some(at) = parts.traceback {
        traceback::write(line, at, ValueBuffer::Line, &mut into.slots);
    }
}

/// Reads the stack trace after the first line of a record. Returns the end of the message, which
/// may have several lines.
pub(super) fn read_rest(text: &str, slots: &mut Slots) -> usize {
    let parts = traceback::split(text);
    if let Some(at) = parts.traceback.filter(|at| *at > 0) {
        traceback::write(text, at, ValueBuffer::Line, slots);
    }
    parts.message_end
}

/// Reads a line with further lines after it.
#[cold]
fn read_lines(text: &str, into: &mut Decoded) -> bool {
    let parts = traceback::split(text);
    let mut out = Out::new(&mut into.slots, ValueBuffer::Line);
    let mut declined = None;
    let body = if parts.traceback == Some(0) {
        // an uncaught exception: no message precedes it; Ruby writes the type after the message
        traceback::exception_of(text)
            .map(|(name, message)| (name.start.min(message.start), message.end.max(name.end)))
    } else {
        let first_end = text.find('\n').unwrap_or(text.len()).min(parts.message_end);
        let header = header::read(&text.as_bytes()[..first_end], &mut out);
        declined = header.err();
        let body = header.ok().map(|body| {
            // .NET's console and Erlang's reports begin the message in the second line
            let rest = text.get(body..parts.message_end).unwrap_or_default().trim_start();
            if body < first_end || rest.is_empty() {
                return body;
            }
            let message = &text.as_bytes()[..parts.message_end];
            request::read(message, parts.message_end - rest.len(), &mut out)
        });
        let has_level = out.slots.present & SEVERITY.bit() != 0;
        let second = if has_level {
            None
        } else {
            traceback::second_line(text, ValueBuffer::Line, out.slots)
        };
        second.or(body).map(|body| (body, parts.message_end.max(body)))
    };
    let Some((from, to)) = body else {
        into.slots.clear();
        into.decline = declined.unwrap_or_default();
        return false;
    };
    out.put(BODY, from, to);
    if let Some(at) = parts.traceback {
        traceback::write(text, at, ValueBuffer::Line, &mut into.slots);
    }
    into.format = Format::Text;
    true
}

/// Returns the positions of type and message of the exception in the text of a traceback, as a JSON
/// field contains it. The message may be empty. Also accepts a text without frames
/// (`ValueError: no`).
pub fn exception_of(traceback: &str) -> Option<(Range<usize>, Range<usize>)> {
    traceback::exception_of(traceback)
}

/// Reads the request in the message that starts at `from` and ends with `bytes`.
#[inline]
pub(super) fn request_in(bytes: &[u8], from: usize, buffer: ValueBuffer, slots: &mut Slots) {
    request::read(bytes, from, &mut Out::new(slots, buffer));
}

/// Reads the duration and the statement that PostgreSQL writes into a message between two
/// positions.
pub(super) fn statement_in(
    bytes: &[u8],
    span: (usize, usize),
    buffer: ValueBuffer,
    slots: &mut Slots,
) {
    request::statement_in(bytes, span.0, span.1, &mut Out::new(slots, buffer));
}

#[cfg(test)]
mod tests;
