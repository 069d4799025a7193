//! Python's traceback: where it starts in a joined record, and the type and message that it ends with.
//! Chained exceptions: the last one counts; an ExceptionGroup: the group itself. Unit: one traceback.

use crate::record::field::{EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE};
use crate::record::slots::{Entry, Place, Slots};
use std::ops::Range;

/// What CPython's `traceback` module writes before the frames.
const HEADER: &str = "Traceback (most recent call last):";
/// The same for an ExceptionGroup that is not inside another.
const GROUP_HEADER: &str = "  + Exception Group Traceback (most recent call last):";
/// What `logging` writes for `stack_info=True`.
const STACK_HEADER: &str = "Stack (most recent call last):";
/// What `logging` writes for `exc_info=True` where no exception is handled.
const NO_EXCEPTION: &str = "NoneType: None";
/// Sentences between chained exceptions.
const CHAINS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// A record of several lines, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    /// Where the message ends, its newline not counted.
    pub(crate) message_end: usize,
    /// Where the traceback starts, if there is one.
    pub(crate) traceback: Option<usize>,
}

/// Takes a record of several lines apart: the message, and the traceback behind it. What is neither
/// traceback nor stack belongs to the message.
pub(crate) fn split(text: &str) -> Parts {
    for (at, line) in lines(text) {
        let ends = at.saturating_sub(1);
        if line == HEADER || line == GROUP_HEADER {
            return Parts { message_end: trimmed(text, ends), traceback: Some(at) };
        }
        if at > 0 && (line == STACK_HEADER || line == NO_EXCEPTION) {
            return Parts { message_end: trimmed(text, ends), traceback: None };
        }
    }
    Parts { message_end: trimmed(text, text.len()), traceback: None }
}

/// Writes the fields of the traceback that starts at `at` of a record and ends with it.
pub(crate) fn write(text: &str, at: usize, place: Place, slots: &mut Slots) {
    let traceback = text[at..].trim_end_matches(['\n', '\r']);
    let mut put =
        |field, from, to| slots.put(field, Entry { place, ..Entry::text(at + from, at + to) });
    put(EXCEPTION_STACKTRACE, 0, traceback.len());
    let Some((name, message)) = exception_of(traceback) else { return };
    put(EXCEPTION_TYPE, name.start, name.end);
    if message.start < message.end {
        put(EXCEPTION_MESSAGE, message.start, message.end);
    }
}

/// Where type and message of the exception lie in the text of a traceback; the message may be empty.
/// A text without frames (`ValueError: no`) has them too, and so has what begins with its type, as Java's.
pub(crate) fn exception_of(traceback: &str) -> Option<(Range<usize>, Range<usize>)> {
    let mut found = None;
    let mut state = State::Start;
    for (at, line) in lines(traceback) {
        state = match state {
            _ if line == HEADER => State::Frames,
            _ if line == GROUP_HEADER => State::Group,
            _ if CHAINS.contains(&line) => State::Between,
            State::Frames | State::Start if line.starts_with([' ', '\t']) || line.is_empty() => {
                state
            }
            State::Frames | State::Start => {
                let (name, message) = type_line(line)?;
                found = Some((at..at + name, at + message..at + line.len()));
                State::Message
            }
            State::Group => match line.strip_prefix("  | ") {
                Some(inner) if !inner.starts_with(' ') => {
                    let (name, message) = type_line(inner)?;
                    found = Some((at + 4..at + 4 + name, at + 4 + message..at + line.len()));
                    State::Between
                }
                _ => State::Group,
            },
            State::Message if line.starts_with("\tat ") || line == STACK_HEADER => State::Between,
            State::Message => {
                if let Some((_, message)) = &mut found
                    && !line.is_empty()
                {
                    message.end = at + line.len();
                }
                State::Message
            }
            State::Between => State::Between,
        };
    }
    found.filter(|(name, _)| &traceback[name.clone()] != "NoneType")
}

#[derive(Clone, Copy)]
enum State {
    Start,
    Frames,
    Group,
    Message,
    Between,
}

/// `pkg.Type: message` or a bare `pkg.Type`: length of the type, and where the message starts.
fn type_line(line: &str) -> Option<(usize, usize)> {
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'<' | b'>' | b'$');
    let length = line.bytes().take_while(is_name).count();
    let starts = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    if !line.as_bytes().first().is_some_and(starts) {
        return None;
    }
    match &line.as_bytes()[length..] {
        [] => Some((length, length)),
        [b':'] => Some((length, length + 1)),
        [b':', b' ', ..] => Some((length, length + 2)),
        _ => None,
    }
}

/// Every line with its position, without its end.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split('\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line.strip_suffix('\r').unwrap_or(line))
    })
}

fn trimmed(text: &str, end: usize) -> usize {
    text[..end].trim_end_matches(['\n', '\r']).len()
}
