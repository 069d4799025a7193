//! Reads Python's traceback, as CPython, loguru and rich write it. Unit: one record.

use super::parts::{Found, Thrown, lines, type_line};
use crate::frame::multiline::line::LineKind;

/// Sentences between chained exceptions.
const CHAINS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// The line that `logging` writes for `stack_info=True`.
const STACK_HEADER: &str = "Stack (most recent call last):";

/// The first line of a traceback, which rich indents.
const TITLE: &str = "Traceback (most recent call last):";

#[derive(Clone, Copy)]
enum State {
    Frames,
    Group,
    Box,
    Message,
    Between,
}

/// Finds the traceback in a text, if it is one of Python's.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut stack = None;
    let mut thrown: Option<Thrown> = None;
    let mut state = State::Between;
    let mut indent = 0;
    for (at, line) in lines(text) {
        // what remains of a line without the indentation of the traceback and rich's padding
        let (at, line) = unindented(at, line, indent);
        state = match (LineKind::of(line.as_bytes()), state) {
            (LineKind::Header, _) => State::Frames,
            (_, State::Between) if line.trim() == TITLE => {
                indent = line.len() - line.trim_start().len();
                State::Frames
            }
            (LineKind::GroupHeader, _) => State::Group,
            (LineKind::BoxTop, _) => State::Box,
            _ if CHAINS.contains(&line.trim()) => State::Between,
            (LineKind::Empty | LineKind::MarkedFrame, State::Frames) => state,
            (_, State::Frames) if line.starts_with([' ', '\t']) => state,
            (_, State::Frames) => match type_line(line) {
                Some((name, message)) => {
                    thrown = Some((at..at + name, at + message..at + line.len()));
                    State::Message
                }
                None => State::Between,
            },
            (_, State::Group) => match line.strip_prefix("  | ").and_then(type_line) {
                Some((name, message)) => {
                    let inner = at + 4;
                    thrown = Some((inner..inner + name, inner + message..at + line.len()));
                    State::Between
                }
                None => state,
            },
            (_, State::Box) => boxed(at, line, &mut thrown),
            (_, State::Message) if line.starts_with("\tat ") || line == STACK_HEADER => {
                State::Between
            }
            (_, State::Message) => {
                if let Some((_, message)) = &mut thrown
                    && !line.is_empty()
                {
                    message.end = at + line.len();
                }
                state
            }
            (_, State::Between) => state,
        };
        if stack.is_none() && !matches!(state, State::Between) {
            stack = Some(at);
        }
    }
    stack.map(|stack| Found { stack, thrown })
}

fn unindented(at: usize, line: &str, indent: usize) -> (usize, &str) {
    match line.split_at_checked(indent) {
        Some((blanks, rest)) if indent > 0 && blanks.trim().is_empty() => {
            (at + indent, rest.trim_end())
        }
        _ => (at, line),
    }
}

/// Reads a line of rich's box, or the exception after it, indented as the box is.
fn boxed(at: usize, line: &str, thrown: &mut Option<Thrown>) -> State {
    let inner = line.trim_start();
    let start = at + line.len() - inner.len();
    let inner = inner.trim_end();
    let Some((name, message)) = type_line(inner) else { return State::Box };
    *thrown = Some((start..start + name, start + message.min(inner.len())..start + inner.len()));
    State::Between
}
