//! Shared by the readers of all languages: lines, and the line that names an exception. Unit: one
//! line.

use std::ops::Range;

/// A stack trace in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Its start.
    pub(super) stack: usize,
    /// The positions of the exception's type and message; the message may be empty.
    pub(super) thrown: Option<Thrown>,
}

/// Type and message of an exception, as positions in the text.
pub(super) type Thrown = (Range<usize>, Range<usize>);

/// Reads `pkg.Type: message` or a bare `pkg.Type`; returns the length of the type and the start of
/// the message.
pub(super) fn type_line(line: &str) -> Option<(usize, usize)> {
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'<' | b'>' | b'$' | b'\\');
    let length = line.bytes().take_while(is_name).count();
    let starts = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'\\');
    if !line.as_bytes().first().is_some_and(starts) {
        return None;
    }
    match &line.as_bytes()[length..] {
        [] => Some((length, length)),
        [b':'] => Some((length, length + 1)),
        [b':', b' ', ..] => Some((length, length + 2)),
        // Node: `TypeError [ERR_X]: text`
        [b' ', b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b']')?;
            let message = length + 2 + end + 1;
            line[message..].starts_with(": ").then_some((length, message + 2))
        }
        _ => None,
    }
}

/// Iterates over the lines with their positions, without line ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split('\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line.strip_suffix('\r').unwrap_or(line))
    })
}

pub(super) fn trimmed(text: &str, end: usize) -> usize {
    text[..end].trim_end_matches(['\n', '\r', ' ']).len()
}
