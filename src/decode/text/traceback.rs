//! The stack trace in a record of several lines: where it starts, and type and message of the exception.
//! Of chained exceptions the one counts that was raised last, which Python and PHP write last and the others
//! first; of an ExceptionGroup the group itself. Unit: one record.

mod other;
mod parts;
mod python;

use crate::frame::multiline::line::Line;
use crate::record::field::{
    EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE, FieldId, SEVERITY,
};
use crate::record::slots::{Entry, Place, Slots};
use parts::{Found, Thrown, lines, trimmed, type_line};
use std::ops::Range;

/// A record of several lines, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    /// Where the message ends, its newline not counted.
    pub(crate) message_end: usize,
    /// Where the stack trace starts, if there is one; 0 where nobody caught the exception.
    pub(crate) traceback: Option<usize>,
}

/// Takes a record of several lines apart: the message, and the stack trace behind it.
pub(crate) fn split(text: &str) -> Parts {
    // `logging` writes these behind the message where no exception is handled
    let aside = lines(text).skip(1).find(|(_, line)| {
        matches!(Line::of(line.as_bytes()), Line::StackHeader | Line::NoException)
    });
    match (find(text), aside) {
        (Some(found), _) => {
            let end = found.stack.saturating_sub(1);
            Parts { message_end: trimmed(text, end), traceback: Some(found.stack) }
        }
        (None, Some((at, _))) => Parts { message_end: trimmed(text, at - 1), traceback: None },
        (None, None) => Parts { message_end: trimmed(text, text.len()), traceback: None },
    }
}

/// Writes the fields of the stack trace that starts at `at` of a record and ends with it.
pub(crate) fn write(text: &str, at: usize, place: Place, slots: &mut Slots) {
    let end = text.trim_end_matches(['\n', '\r']).len();
    let mut put = |field: FieldId, range: Range<usize>| {
        slots.put(field, Entry { place, ..Entry::text(range.start, range.end) });
    };
    put(EXCEPTION_STACKTRACE, at..end);
    let Some((name, message)) = find(text).and_then(|found| found.thrown) else { return };
    put(EXCEPTION_TYPE, name);
    if message.start < message.end {
        put(EXCEPTION_MESSAGE, message);
    }
}

/// Writes the level that java.util.logging writes in the second line of a record. Returns where the message
/// starts.
pub(crate) fn second_line(text: &str, place: Place, slots: &mut Slots) -> Option<usize> {
    let mut lines = lines(text);
    let (_, first) = lines.next()?;
    let (at, second) = lines.next()?;
    let is_java = Line::of(first.as_bytes()) == Line::JavaDate
        && Line::of(second.as_bytes()) == Line::LevelAndMessage;
    let length = second.find(':').filter(|_| is_java)?;
    slots.put(SEVERITY, Entry { place, ..Entry::text(at, at + length) });
    Some((at + length + 2).min(at + second.len()))
}

/// Where type and message of the exception lie in the text of a stack trace; the message may be empty.
/// A text without frames (`ValueError: no`) has them too.
pub(crate) fn exception_of(text: &str) -> Option<(Range<usize>, Range<usize>)> {
    let found = match find(text) {
        Some(found) => found.thrown,
        None => first_line(text),
    };
    found.filter(|(name, _)| &text[name.clone()] != "NoneType")
}

fn find(text: &str) -> Option<Found> {
    python::find(text).or_else(|| other::find(text))
}

/// `Type: message`, the message over all lines.
fn first_line(text: &str) -> Option<Thrown> {
    let (at, line) = lines(text).find(|(_, line)| !line.trim().is_empty())?;
    let (name, message) = type_line(line)?;
    let end = lines(text)
        .find(|(_, line)| Line::of(line.as_bytes()) == Line::StackHeader)
        .map_or(text.len(), |(at, _)| at);
    let end = trimmed(text, end).max(at + message);
    Some((at..at + name, at + message..end))
}
