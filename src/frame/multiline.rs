//! Which lines belong together: a Python traceback (chained ones and ExceptionGroup too) and the text line
//! before it. A pure function of bytes: any cut of the stream gives the same records, because a record goes
//! on only by what its own lines say. JSON, logfmt and access lines are never joined to and never held.
//! Unit: one record.

mod line;

use line::Line;
use memchr::{memchr, memrchr};

/// The most bytes that joining may make of a record: half of what one line may have, so that a held record
/// and the beginning of the next line fit together into what a connection may keep.
pub const JOINED_BYTES_MAX: usize = 32 * 1024;

/// The most lines of a record: CPython cuts recursion off after a few repeated frames, so that only chains
/// of many exceptions come near.
pub const JOINED_LINES_MAX: usize = 1000;

/// How many bytes of `block`, which consists of whole lines, form records that no later byte can add to.
/// The rest is the last text line with what was joined to it, and is looked at again with what follows.
/// A JSON, logfmt or access line settles at once. `block` starts at a record's start.
pub fn settled(block: &[u8]) -> usize {
    let mut start = last_start(block);
    while start < block.len() {
        let scan = scan(block, start);
        if scan.is_open {
            return start;
        }
        start = scan.end;
    }
    block.len()
}

/// Where the record that starts at `start` of `block` ends (the position after its last line's newline, or
/// the block's end), `first_end` being the position after the first line's newline; and how many received
/// lines it has, empty ones not counted. The line at `start` is not empty.
#[inline]
pub fn joined(block: &[u8], start: usize, first_end: usize) -> (usize, u64) {
    let begin = |at: usize| block.get(at..at + 2);
    // how that begins which may follow a text line (`ti`, as in `time=`, does not), and that which may
    // begin a record and go on
    let goes_on = matches!(
        begin(first_end),
        Some(b"Tr" | b"  " | b"St" | b"No" | b"fu" | b"ta" | b"ha" | b"pr" | b"tr")
    );
    if goes_on || matches!(begin(start), Some(b"Tr" | b"  " | b"Th" | b"Du")) {
        return joined_slowly(block, start);
    }
    (first_end, 1)
}

#[cold]
fn joined_slowly(block: &[u8], start: usize) -> (usize, u64) {
    let scan = scan(block, start);
    (scan.end, scan.lines)
}

/// What may follow in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A text line: a traceback.
    Head,
    /// Inside a traceback: frames, then `Type: message`.
    Frames,
    /// Inside an ExceptionGroup or a stack: only indented lines.
    Indented,
    /// Behind `Type: message`: more of the message, as far as it cannot be a record of its own.
    Message,
    /// Behind a type without message: no more of it.
    Bare,
    /// Behind the sentence between two chained exceptions: the second one.
    Chained,
    /// Nothing.
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Scan {
    end: usize,
    lines: u64,
    /// The block ended before the record did.
    is_open: bool,
}

/// A line that belongs to the record only if the next one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pending {
    None,
    Empty,
    Field,
}

/// Reads the record at `start` line by line.
fn scan(block: &[u8], start: usize) -> Scan {
    let mut at = line_end(block, start);
    let first = Line::of(&block[start..at]);
    let mut found = Scan { end: at, lines: u64::from(first != Line::Empty), is_open: false };
    let mut state = first_state(first, &block[start..at]);
    let mut pending = Pending::None;
    while state != State::Closed && found.lines < JOINED_LINES_MAX as u64 {
        if at >= block.len() {
            found.is_open = true;
            return found;
        }
        let end = line_end(block, at);
        let line = Line::of(&block[at..end]);
        if end - start > JOINED_BYTES_MAX {
            break;
        }
        at = end;
        match (next_state(state, pending, line), pending) {
            (Next::Joined(next), _) => {
                found.end = end;
                found.lines += 1 + u64::from(pending == Pending::Field);
                (state, pending) = (next, Pending::None);
            }
            (Next::Perhaps(next), Pending::None) => pending = next,
            (Next::Perhaps(_) | Next::Ended, _) => break,
        }
    }
    found
}

enum Next {
    Joined(State),
    Perhaps(Pending),
    Ended,
}

fn first_state(first: Line, bytes: &[u8]) -> State {
    match first {
        Line::Header => State::Frames,
        Line::GroupHeader => State::Indented,
        // what stood before it was cut off by a message that goes on unindented
        Line::Chain => State::Chained,
        Line::Empty => State::Closed,
        _ if line::is_never_joined_to(bytes) => State::Closed,
        _ => State::Head,
    }
}

/// The grammar of a record. An unindented line continues a message only where it is of a kind that no
/// logger begins a record with: PostgreSQL's `DETAIL: `, SQLAlchemy's `[SQL: ` and what follows it, and a
/// bare field name (pydantic) before an indented line. Any other line, a PEP 678 note among them, is a
/// record of its own: better one record too many than another record swallowed.
fn next_state(state: State, pending: Pending, line: Line) -> Next {
    use Next::{Ended, Joined, Perhaps};
    use {Line as L, State as S};
    match (state, pending, line) {
        (S::Head, _, L::Header) => Joined(S::Frames),
        (S::Head, _, L::GroupHeader) => Joined(S::Indented),
        (S::Head | S::Bare | S::Message | S::Indented, Pending::None, L::StackHeader) => {
            Joined(S::Indented)
        }
        (S::Head, _, L::NoException) => Joined(S::Closed),
        (S::Head, _, L::AsyncioContext) => Joined(S::Head),
        (S::Frames, _, L::Indented | L::GroupHeader) => Joined(S::Frames),
        (S::Frames, Pending::None, L::TypeAndMessage) => Joined(S::Message),
        (S::Frames, Pending::None, L::Type) => Joined(S::Bare),
        (S::Indented, Pending::None, L::Indented | L::GroupHeader) => Joined(S::Indented),
        (S::Message, Pending::None | Pending::Field, L::Indented) => Joined(S::Message),
        (S::Message, Pending::None, L::MessageMore) => Joined(S::Message),
        (S::Message, Pending::None, L::Type | L::Field) => Perhaps(Pending::Field),
        (S::Indented | S::Bare | S::Message, Pending::Empty, L::Chain) => Joined(S::Chained),
        (S::Chained, Pending::Empty, L::Header) => Joined(S::Frames),
        (S::Chained, Pending::Empty, L::GroupHeader) => Joined(S::Indented),
        (S::Head | S::Closed, _, _) => Ended,
        (_, Pending::None, L::Empty) => Perhaps(Pending::Empty),
        _ => Ended,
    }
}

fn line_end(block: &[u8], start: usize) -> usize {
    memchr(b'\n', &block[start..]).map_or(block.len(), |at| start + at + 1)
}

/// The start of some record at or before the last one, looked for backwards: the first line that could not
/// continue any record, whatever stands before it. Where none is near, the block's start is one.
fn last_start(block: &[u8]) -> usize {
    let mut end = block.len();
    for _ in 0..JOINED_LINES_MAX {
        if end == 0 || block.len() - end > JOINED_BYTES_MAX {
            return 0;
        }
        let start = line_start(block, end);
        let before = line_start(block, start);
        if !could_continue(Line::of(&block[start..end]), Line::of(&block[before..start])) {
            return start;
        }
        end = start;
    }
    0
}

/// Where the line that ends at `end`, newline included, starts.
fn line_start(block: &[u8], end: usize) -> usize {
    let inside = &block[..end.saturating_sub(1)];
    memrchr(b'\n', inside).map_or(0, |at| at + 1)
}

/// Whether some state of [`next_state`] takes `line` behind `before`. May say yes too often, never no.
fn could_continue(line: Line, before: Line) -> bool {
    match line {
        Line::Other => false,
        // behind frames only
        Line::TypeAndMessage => matches!(before, Line::Indented | Line::Header | Line::GroupHeader),
        // behind frames, or a field's name behind `Type: message` or what continues it
        Line::Type | Line::Field => {
            !matches!(before, Line::Other | Line::Empty | Line::Type | Line::Field)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
