//! Finds the stack trace in a record of several lines: its start, and type and message of the
//! exception. Of chained exceptions, the one that was raised last is used, which Python and PHP
//! write last and other languages first; of an ExceptionGroup the group itself. Unit: one record.

mod other;
mod parts;
mod python;

use crate::frame::multiline::line::LineKind;
use crate::record::field::{
    EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE, FieldId, SEVERITY,
};
use crate::record::slots::{SlotValue, Slots, ValueBuffer};
use parts::{Found, Thrown, lines, trimmed, type_line};
use std::ops::Range;

/// The parts of a record of several lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TracebackSplit {
    /// The end of the message, without its newline.
    pub(crate) message_end: usize,
    /// The start of the stack trace, if there is one; 0 if the exception was uncaught.
    pub(crate) traceback: Option<usize>,
}

/// Splits a record of several lines into the message and the stack trace after it.
pub(crate) fn split(text: &str) -> TracebackSplit {
    // `logging` writes these lines after the message if no exception is handled
    let aside = lines(text).skip(1).find(|(_, line)| {
        matches!(LineKind::of(line.as_bytes()), LineKind::StackHeader | LineKind::NoException)
    });
    match (find(text), aside) {
        (Some(found), _) => {
            let end = found.stack.saturating_sub(1);
            TracebackSplit { message_end: trimmed(text, end), traceback: Some(found.stack) }
        }
        (None, Some((at, _))) => {
            TracebackSplit { message_end: trimmed(text, at - 1), traceback: None }
        }
        (None, None) => TracebackSplit { message_end: trimmed(text, text.len()), traceback: None },
    }
}

/// Writes the fields of the stack trace that starts at `at` of a record and ends with it.
pub(crate) fn write(text: &str, at: usize, buffer: ValueBuffer, slots: &mut Slots) {
    let end = text.trim_end_matches(['\n', '\r']).len();
    let mut put = |field: FieldId, range: Range<usize>| {
        slots.put(field, SlotValue { buffer, ..SlotValue::text(range.start, range.end) });
    };
    put(EXCEPTION_STACKTRACE, at..end);
    let Some((name, message)) = find(text).and_then(|found| found.thrown) else { return };
    put(EXCEPTION_TYPE, name);
    if message.start < message.end {
        put(EXCEPTION_MESSAGE, message);
    }
}

/// Writes the level that java.util.logging puts into the second line of a record. Returns the start
/// of the message.
pub(crate) fn second_line(text: &str, buffer: ValueBuffer, slots: &mut Slots) -> Option<usize> {
    let mut lines = lines(text);
    let (_, first) = lines.next()?;
    let (at, second) = lines.next()?;
    let is_java = LineKind::of(first.as_bytes()) == LineKind::JavaDate
        && LineKind::of(second.as_bytes()) == LineKind::LevelAndMessage;
    let length = second.find(':').filter(|_| is_java)?;
    slots.put(SEVERITY, SlotValue { buffer, ..SlotValue::text(at, at + length) });
    Some((at + length + 2).min(at + second.len()))
}

/// Returns the positions of type and message of the exception in the text of a stack trace. The
/// message may be empty. Also accepts a text without frames (`ValueError: no`).
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

/// Reads `Type: message`; the message extends over all lines.
fn first_line(text: &str) -> Option<Thrown> {
    let (at, line) = lines(text).find(|(_, line)| !line.trim().is_empty())?;
    let (name, message) = type_line(line)?;
    let end = lines(text)
        .find(|(_, line)| LineKind::of(line.as_bytes()) == LineKind::StackHeader)
        .map_or(text.len(), |(at, _)| at);
    let end = trimmed(text, end).max(at + message);
    Some((at..at + name, at + message..end))
}
