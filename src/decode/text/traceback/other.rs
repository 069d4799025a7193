//! Reads the stack traces of Java, .NET, Go, Node, Ruby, PHP, Rust and Elixir. Unit: one record.

use super::parts::{Found, Thrown, lines, trimmed, type_line};
use crate::frame::multiline::line::{LineKind, is_exception};
use std::ops::Range;

/// Finds the stack trace in a text, if there is one.
pub(super) fn find(text: &str) -> Option<Found> {
    let first = LineKind::of(text.as_bytes().split(|byte| *byte == b'\n').next()?);
    let opener = opener(text);
    let frames = opener.map_or(text.len(), |(at, _)| at);
    match first {
        LineKind::Uncaught => Some(Found { stack: 0, thrown: uncaught(text, frames) }),
        LineKind::GoPanic => {
            let message = text.find(": ")? + 2;
            let end = trimmed(text, frames).max(message);
            Some(Found { stack: 0, thrown: Some((0..5, message..end)) })
        }
        LineKind::RustPanic | LineKind::RustPanicOld => {
            Some(Found { stack: 0, thrown: rust(text, first, frames) })
        }
        LineKind::NodePlace => {
            let found = lines(text).skip(1).find(|(_, line)| is_thrown(line));
            Some(Found { stack: 0, thrown: found.and_then(|(at, _)| at_line(text, at, frames)) })
        }
        LineKind::RubyThrown => Some(Found { stack: 0, thrown: ruby(text, 0, frames) }),
        _ => behind_text(text, opener?),
    }
}

/// Finds the first line that occurs only in a stack trace.
fn opener(text: &str) -> Option<(usize, LineKind)> {
    let mut call = None;
    for (at, line) in lines(text) {
        let kind = LineKind::of(line.as_bytes());
        match (kind, call) {
            // zap's stack begins with a function
            (LineKind::Frame, Some(call)) => return Some((call, LineKind::GoCall)),
            // a stack without an exception
            (LineKind::StackHeader, _) => return None,
            _ if kind.opens_stack() => return Some((at, kind)),
            _ => {}
        }
        call = (kind == LineKind::GoCall).then_some(at);
    }
    None
}

fn behind_text(text: &str, (opener, kind): (usize, LineKind)) -> Option<Found> {
    let here = |thrown| Some(Found { stack: opener, thrown });
    let opening = line_at(text, opener);
    if opening.trim_start().starts_with("** (") {
        return here(elixir(text, opener));
    }
    match kind {
        LineKind::RubyFrame => {
            let rails = before(text, opener).skip(1).find_map(|(at, _)| rails(text, at));
            if let Some(thrown) = rails {
                return Some(Found { stack: thrown.0.start, thrown: Some(thrown) });
            }
            return here(ruby(text, 0, opener));
        }
        LineKind::Goroutine | LineKind::GoCall => return here(None),
        LineKind::StackTitle => {
            if let Some(thrown) = php(text) {
                return here(Some(thrown));
            }
        }
        _ => {}
    }
    // the line that names the exception; the message before it may have several lines
    let named = before(text, opener).find(|(at, line)| *at > 0 && is_thrown(line));
    let last = before(text, opener).last().filter(|(at, line)| {
        *at > 0 && type_line(line.trim_start()).is_some() && kind == LineKind::Frame
    });
    if let Some((at, _)) = named {
        return Some(Found { stack: at, thrown: at_line(text, at, opener) });
    }
    let first = line_at(text, 0);
    if is_thrown(first) {
        return Some(Found { stack: 0, thrown: at_line(text, 0, opener) });
    }
    if let Some((at, _)) = last {
        return Some(Found { stack: at, thrown: at_line(text, at, opener) });
    }
    here(inline(text, first.len(), opener))
}

/// Iterates over the lines before a position.
fn before(text: &str, end: usize) -> impl Iterator<Item = (usize, &str)> {
    lines(text).take_while(move |(at, _)| *at < end)
}

fn line_at(text: &str, at: usize) -> &str {
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    text[at..end].trim_end_matches('\r')
}

/// Returns whether a line is `pkg.Error: message`, indented or not.
fn is_thrown(line: &str) -> bool {
    matches!(LineKind::of(line.trim_start().as_bytes()), LineKind::Thrown | LineKind::BareThrown)
}

/// Reads type and message of the line at `at`; the message extends to the frames.
fn at_line(text: &str, at: usize, frames: usize) -> Option<Thrown> {
    let line = line_at(text, at);
    let inner = line.trim_start();
    let start = at + line.len() - inner.len();
    let (name, message) = type_line(inner)?;
    let from = (start + message).min(at + line.len());
    let to = trimmed(text, frames.max(from)).max(from);
    Some((start..start + name, from..to))
}

/// Reads `Exception in thread "main" pkg.Error: text`, `Unhandled exception. Pkg.Error: text`.
fn uncaught(text: &str, frames: usize) -> Option<Thrown> {
    let line = line_at(text, 0);
    let at = match line.strip_prefix("Exception in thread \"") {
        Some(rest) => line.len() - rest.len() + rest.find("\" ")? + 2,
        None => line.find(['.', ':']).map(|at| at + 2)?,
    };
    let (name, message) = type_line(line.get(at..)?)?;
    let from = (at + message).min(line.len());
    Some((at..at + name, from..trimmed(text, frames.max(from)).max(from)))
}

/// Reads a type inside the first line, written by a logger that puts the exception after the
/// message: `failed java.lang.RuntimeException: text`.
fn inline(text: &str, first_end: usize, frames: usize) -> Option<Thrown> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$');
    let bytes = &text.as_bytes()[..first_end];
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_name(**byte)).count();
        let end = at + length;
        let is_closed = bytes.get(end).is_none_or(|byte| *byte == b':');
        let name = &bytes[at..end];
        // Node's warning precedes the name of the error
        let is_type = length > 0 && is_exception(name) && !name.starts_with(b"Unhandled");
        if is_type && is_closed {
            let from = (end + 2).min(trimmed(text, frames).max(end));
            return Some((at..end, from..trimmed(text, frames).max(from)));
        }
        at = end + 1;
    }
    None
}

/// Reads the message of a Rust panic; the type is the word `panic` of the first line.
fn rust(text: &str, first: LineKind, frames: usize) -> Option<Thrown> {
    let at = text.find("panicked at ")?;
    let name = at..at + "panic".len();
    let line = line_at(text, 0);
    if first == LineKind::RustPanicOld {
        let from = at + "panicked at '".len();
        let to = line.rfind("', ").filter(|to| *to >= from)?;
        return Some((name, from..to));
    }
    let from = text.find('\n')? + 1;
    let note = lines(text).find(|(at, line)| *at > from && line.starts_with("note: "));
    let to = frames.min(note.map_or(text.len(), |(at, _)| at));
    Some((name, from..trimmed(text, to).max(from)))
}

/// Reads `message (Error)` in the last line before the frames; after `file:3:in 'f': ` if the
/// exception was uncaught.
fn ruby(text: &str, start: usize, frames: usize) -> Option<Thrown> {
    let end = trimmed(text, frames.min(text.len()));
    let head = text.get(start..end)?;
    let (at, close) = match head.strip_suffix(')') {
        Some(inner) => (inner.rfind(" (")? + 2, inner.len()),
        // the type is at the end of the first line of the message
        None => {
            let line = line_at(text, start).strip_suffix(')')?;
            (line.rfind(" (")? + 2, line.len())
        }
    };
    let name = start + at..start + close;
    if !is_exception(text[name.clone()].as_bytes()) && !text[name.clone()].contains("::") {
        return None;
    }
    let message_end = start + at - 2;
    let line = text[start..message_end].rfind(&['\'', '`'][..]);
    // `ERROR -- name: message`; the name may be missing
    let logged = text[start..message_end].find(" -- ").and_then(|at| {
        let from = start + at + 4;
        text[from..message_end].find(": ").map(|colon| from + colon + 2)
    });
    let from = match (text[start..].find("': "), logged) {
        (Some(at), _) if line.is_some() => start + at + 3,
        (_, Some(from)) => from,
        _ => start,
    };
    Some((name, from.min(message_end)..message_end))
}

/// Reads Rails' `Pkg::Error (message):`.
fn rails(text: &str, at: usize) -> Option<Thrown> {
    let line = line_at(text, at);
    let open = line.find(" (")?;
    let close = line.rfind("):").filter(|close| *close > open + 1)?;
    let is_name = line[..open].bytes().all(|b| b.is_ascii_alphanumeric() || b == b':' || b == b'_');
    let is_class = line.starts_with(|first: char| first.is_ascii_uppercase());
    (is_class && is_name).then(|| (at..at + open, at + open + 2..at + close))
}

/// Reads `** (Error) message`; an exit names the exception in the next line.
fn elixir(text: &str, opener: usize) -> Option<Thrown> {
    lines(text).skip_while(|(at, _)| *at < opener).find_map(|(at, line)| {
        let open = line.find("** (")? + 4;
        let close = open + line[open..].find(") ")?;
        let is_class = line[open..].starts_with(|first: char| first.is_ascii_uppercase());
        is_class.then(|| (at + open..at + close, at + close + 2..at + line.len()))
    })
}

/// Reads `Uncaught Error: message in /app/x.php:3`, the last of those that `Next ` chains;
/// Monolog's `[object] (Error(code: 0): message at /app/x.php:3)`.
fn php(text: &str) -> Option<Thrown> {
    if let Some(at) = text.rfind("\nNext ").map(|at| at + 6) {
        return php_message(text, at);
    }
    if let Some(at) = text.find("Uncaught ").map(|at| at + 9) {
        return php_message(text, at);
    }
    let at = text.find("[object] (")? + "[object] (".len();
    let name = at..at + text[at..].find('(')?;
    let from = name.end + text[name.end..].find("): ")? + 3;
    let end = from + text[from..].find('\n').unwrap_or(text.len() - from);
    let to = text[from..end].rfind(" at /").map_or(end, |to| from + to);
    is_php_name(&text[name.clone()]).then_some((name, from..to))
}

fn php_message(text: &str, at: usize) -> Option<Thrown> {
    let (name, message) = type_line(line_at(text, at))?;
    let from = at + message;
    let end = text[from..].find("\nStack trace:").map_or(text.len(), |end| from + end);
    let to = text[from..end].rfind(" in /").map_or(end, |to| from + to);
    Some((at..at + name, Range { start: from, end: trimmed(text, to).max(from) }))
}

fn is_php_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'\\'))
}
