//! Decides which lines belong together: a text line, the further lines of its message, and the
//! stack trace after it, in any language. It is a pure function of bytes: wherever the stream is
//! cut, the records are the same, because only the lines of a record decide whether it continues.
//! JSON, logfmt and access lines are never joined to other lines and never held. Unit: one record.

mod beginnings;
mod grammar;
mod header;
pub(crate) mod line;

use super::{count, cri};
use grammar::{GrammarState, Pending, Step};
use line::LineKind;
use memchr::{memchr, memrchr};

/// The most bytes of a joined record: half of the limit of one line, so that a held record and the
/// beginning of the next line fit together into the buffer of a connection.
pub const JOINED_BYTES_MAX: usize = 32 * 1024;

/// The most lines of a record. CPython cuts off recursion after a few repeated frames, so that only
/// long chains of exceptions come near this limit.
pub const JOINED_LINES_MAX: usize = 1000;

/// Returns how many bytes of `block`, which consists of whole lines, form records that later bytes
/// cannot extend. The rest is the last text line with the lines joined to it; it is read again with
/// the bytes that follow. A JSON, logfmt or access line is complete at once. `block` starts at the
/// start of a record.
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

/// The most lines that are held for a stack trace that may follow; the longest observed messages
/// before a stack trace have about twelve lines.
pub const PENDING_LINES_MAX: u64 = 32;

/// Returns the end of the record at `start` of `block` (the position after the newline of its last
/// line, or the end of the block), and its number of received lines without empty ones. `first_end`
/// is the position after the newline of the first line. The line at `start` is not empty.
#[inline]
pub fn joined(block: &[u8], start: usize, first_end: usize) -> (usize, u64) {
    if first_end >= block.len() {
        return (first_end, 1);
    }
    // such a line starts a record, unless the previous line belongs to the report of a runtime
    let is_digit = block[first_end].is_ascii_digit();
    let is_start = is_digit && cri::prefix(&block[first_end..]) == 0
        || block[first_end] == b'{'
        || matches!(block.get(first_end..first_end + 2), Some([b'[' | b'<', b'0'..=b'9']));
    let is_report = matches!(block.get(start), Some(b't' | b'f' | b'n' | b'/' | b'=' | 0x1b));
    if is_start && !is_report || block.get(start) == Some(&b'{') {
        return (first_end, 1);
    }
    // a level, unless the previous line is the date line of java.util.logging
    let is_level = block[first_end].is_ascii_uppercase()
        && matches!(block[start], b'0'..=b'9' | b'C' | b'E' | b'I' | b'W')
        && header::level_at(&block[first_end..]);
    // no line is joined to `key=value` pairs
    let is_pair = || {
        matches!(block[start], b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@')
            && header::is_pair(&block[start..first_end])
    };
    if is_level || is_pair() {
        return (first_end, 1);
    }
    joined_slowly(block, start)
}

fn joined_slowly(block: &[u8], start: usize) -> (usize, u64) {
    let scan = scan(block, start);
    (scan.end, scan.lines)
}

#[derive(Clone, Copy, Debug)]
struct Scan {
    end: usize,
    lines: u64,
    /// The block ended before the record did.
    is_open: bool,
}

/// Reads the record at `start` line by line.
fn scan(block: &[u8], start: usize) -> Scan {
    let mut at = line_end(block, start);
    let first = LineKind::of(&block[start..at]);
    let mut found = Scan { end: at, lines: count::frames(&block[start..at]), is_open: false };
    let inside = start + cri::prefix(&block[start..at]);
    let mut state = grammar::first_state(first, &block[inside..at]);
    let mut pending = Pending::None;
    let (mut held, mut held_filled) = (0, 0);
    while state != GrammarState::Closed && found.lines + held_filled < JOINED_LINES_MAX as u64 {
        if at >= block.len() {
            found.is_open = true;
            return found;
        }
        let end = line_end(block, at);
        let line = LineKind::of(&block[at..end]);
        if end - start > JOINED_BYTES_MAX {
            break;
        }
        // a line of colour codes only is empty for the grammar, and yet it is a frame
        let filled = count::frames(&block[at..end]);
        at = end;
        match grammar::next(state, pending, line) {
            Step::Join(next) => {
                found.end = end;
                found.lines += held_filled + filled;
                (state, pending, held, held_filled) = (next, Pending::None, 0, 0);
            }
            Step::Pend(next) if held < PENDING_LINES_MAX => {
                pending = next;
                held += 1;
                held_filled += filled;
            }
            Step::Pend(_) | Step::End => break,
        }
    }
    found
}

fn line_end(block: &[u8], start: usize) -> usize {
    memchr(b'\n', &block[start..]).map_or(block.len(), |at| start + at + 1)
}

/// Returns the start of some record at or before the last one. It searches backwards for a line
/// that cannot continue any record, whatever precedes it. If none is near, it returns the start of
/// the block.
fn last_start(block: &[u8]) -> usize {
    let mut end = block.len();
    let mut candidate = Candidate::default();
    for _ in 0..JOINED_LINES_MAX {
        if end == 0 || block.len() - end > JOINED_BYTES_MAX {
            return 0;
        }
        let start = line_start(block, end);
        let before = line_start(block, start);
        let line = LineKind::of(&block[start..end]);
        if !grammar::could_continue(line, LineKind::of(&block[before..start])) {
            return start;
        }
        if let Some(start) = candidate.after(line, start) {
            return start;
        }
        end = start;
    }
    0
}

/// A line that follows only lines that a record holds, but not for long.
#[derive(Debug, Default)]
struct Candidate {
    start: Option<usize>,
    is_thrown: bool,
    lines: u64,
}

impl Candidate {
    /// Reads the next line backwards. Returns the candidate if so many such lines precede it that
    /// no record can still hold it: then it starts a record.
    fn after(&mut self, line: LineKind, start: usize) -> Option<usize> {
        let is_thrown = matches!(line, LineKind::Thrown | LineKind::BareThrown);
        if !grammar::is_only_held(line) {
            self.start = None;
        } else if self.start.is_none() || is_thrown && !self.is_thrown {
            *self = Candidate { start: Some(start), is_thrown, lines: 0 };
        } else {
            self.lines += 1;
        }
        // a line may be joined at once before others are held after it
        self.start.filter(|_| self.lines > PENDING_LINES_MAX + 4)
    }
}

/// Returns the start of the line that ends at `end`, including the newline.
fn line_start(block: &[u8], end: usize) -> usize {
    let inside = &block[..end.saturating_sub(1)];
    memrchr(b'\n', inside).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests;
