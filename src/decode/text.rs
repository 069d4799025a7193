//! Text lines of loggers: level, logger, place and ids found by position, never by a pattern. The layouts are
//! those of Python's `logging` and its relatives (uvicorn, gunicorn, Django, loguru, structlog), of logback,
//! Go's `log` and PostgreSQL. The message may hold the separators itself. Unit: one record, that is a line or
//! a line with the traceback that follows it.

mod ansi;
#[cfg(test)]
pub(crate) mod fixture;
mod header;
mod ids;
mod level;
mod out;
mod request;
mod stamp;
mod tail;
pub(crate) mod traceback;
mod words;

use crate::decode::scan;
use crate::record::field::{BODY, SEVERITY};
use crate::record::slots::{Place, Slots};
use crate::record::{Decoded, Format};
use memchr::memchr2;
use out::Out;
use std::ops::Range;

/// Reads a line of one of the layouts; anything else leaves `into` as it is.
#[inline]
pub fn read(line: &str, into: &mut Decoded) -> bool {
    let bytes = line.as_bytes();
    if memchr2(b'\n', 0x1b, bytes).is_some() {
        return read_rare(line, into);
    }
    let mut out = Out { slots: &mut into.slots, place: Place::Line };
    let Some(body) = header::read(bytes, &mut out) else {
        into.slots.present = 0;
        return false;
    };
    out.put(BODY, body, bytes.len());
    into.format = Format::Text;
    true
}

/// Reads the line that starts at `start` in a block of whole lines, as one of a layout or as plain text, and
/// returns the position behind its end. `None` for a line with colours.
#[inline]
pub(super) fn walk(block: &str, start: usize, into: &mut Decoded) -> Option<usize> {
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
    let mut out = Out { slots: &mut into.slots, place: Place::Line };
    if let Some(body) = header::read(line, &mut out) {
        out.put(BODY, body, line.len());
        into.format = Format::Text;
    } else {
        out.slots.clear();
        plain_body(line, &mut out);
        into.format = Format::Plain;
    }
    Some(start + end)
}

/// What is left of a line that no reader knows: the message, and a level at the very start where it is
/// unambiguous (`ERROR text`, `WARNING: text`, `[error] text`).
pub fn plain(line: &str, into: &mut Decoded) {
    into.format = Format::Plain;
    if memchr2(b'\n', 0x1b, line.as_bytes()).is_none() {
        let mut out = Out { slots: &mut into.slots, place: Place::Line };
        return plain_body(line.as_bytes(), &mut out);
    }
    with_text(line, into, |text, out| {
        let parts = traceback::split(text);
        plain_body(&text.as_bytes()[..parts.message_end], out);
        if let Some(at) = parts.traceback {
            traceback::write(text, at, out.place, out.slots);
        }
        true
    });
}

/// A line with colours or with further lines behind it.
#[cold]
fn read_rare(line: &str, into: &mut Decoded) -> bool {
    let taken = with_text(line, into, |text, out| {
        let parts = traceback::split(text);
        if parts.traceback == Some(0) {
            // an exception that nobody caught: nothing stands before it
            traceback::write(text, 0, out.place, out.slots);
            let Some((name, message)) = traceback::exception_of(text) else { return false };
            // Ruby writes the type behind the message
            out.put(BODY, name.start.min(message.start), message.end.max(name.end));
            return true;
        }
        let first_end = text.find('\n').unwrap_or(text.len()).min(parts.message_end);
        let Some(body) = header::read(&text.as_bytes()[..first_end], out)
            .or_else(|| traceback::second_line(text, out.place, out.slots))
        else {
            return false;
        };
        out.put(BODY, body, parts.message_end.max(body));
        if let Some(at) = parts.traceback {
            traceback::write(text, at, out.place, out.slots);
        }
        true
    });
    if taken {
        into.format = Format::Text;
    } else {
        into.slots.clear();
        into.scratch.clear();
    }
    taken
}

/// Gives `read` the line, or its copy in the scratch where colours had to come off.
fn with_text(
    line: &str,
    into: &mut Decoded,
    read: impl FnOnce(&str, &mut Out<'_>) -> bool,
) -> bool {
    if !line.as_bytes().contains(&0x1b) {
        return read(line, &mut Out { slots: &mut into.slots, place: Place::Line });
    }
    into.scratch.clear();
    ansi::strip(line, &mut into.scratch);
    read(&into.scratch, &mut Out { slots: &mut into.slots, place: Place::Scratch })
}

/// Where type and message of the exception lie in the text of a traceback, as a JSON field carries it; the
/// message may be empty. A text without frames (`ValueError: no`) has them too.
pub fn exception_of(traceback: &str) -> Option<(Range<usize>, Range<usize>)> {
    traceback::exception_of(traceback)
}

/// The duration and the statement that PostgreSQL writes into a message, which lies between two positions.
pub(super) fn statement_in(bytes: &[u8], span: (usize, usize), place: Place, slots: &mut Slots) {
    request::statement_in(bytes, span.0, span.1, &mut Out { slots, place });
}

fn plain_body(bytes: &[u8], out: &mut Out<'_>) {
    let (level_at, closing) = match bytes {
        [b'[', ..] => (1, b']'),
        [b'<', ..] => (1, b'>'),
        _ => (0, b':'),
    };
    let mut body = 0;
    if let Some(level) = level::at(bytes, level_at) {
        let end = level_at + level.length;
        let behind = bytes.get(end).copied();
        let is_closed = behind == Some(closing) && bytes.get(end + 1).is_none_or(|b| *b == b' ');
        // `error: x` is a level as compilers and commands write it, `error x` may begin a sentence
        if is_closed || (level_at == 0 && level.is_upper && behind.is_none_or(|b| b == b' ')) {
            out.put(SEVERITY, level_at, end);
            body = end + usize::from(is_closed);
            while bytes.get(body) == Some(&b' ') {
                body += 1;
            }
        }
    }
    let body = request::read(bytes, body, out);
    out.put(BODY, body, bytes.len());
}

#[cfg(test)]
mod tests;
