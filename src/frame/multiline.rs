//! Which lines belong together: a text line, the further lines of its message, and the stack trace behind
//! it, of whatever language. A pure function of bytes: any cut of the stream gives the same records, because
//! a record goes on only by what its own lines say. JSON, logfmt and access lines are never joined to and
//! never held. Unit: one record.

mod grammar;
mod header;
pub mod line;

use grammar::{Pending, State, Step};
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

/// The most lines that are held for the stack trace that may follow them; the longest messages in front of
/// one that were seen have a dozen.
pub const PENDING_LINES_MAX: u64 = 32;

/// Where the record that starts at `start` of `block` ends (the position after its last line's newline, or
/// the block's end), `first_end` being the position after the first line's newline; and how many received
/// lines it has, empty ones not counted. The line at `start` is not empty.
#[inline]
pub fn joined(block: &[u8], start: usize, first_end: usize) -> (usize, u64) {
    if first_end >= block.len() {
        return (first_end, 1);
    }
    // what begins so is a record of its own, unless the line before is a runtime's report
    let is_start = matches!(block[first_end], b'0'..=b'9' | b'{')
        || matches!(block.get(first_end..first_end + 2), Some([b'[' | b'<', b'0'..=b'9']));
    let is_report = matches!(block.get(start), Some(b't' | b'f' | b'n' | b'/' | b'=' | 0x1b));
    if is_start && !is_report || block.get(start) == Some(&b'{') {
        return (first_end, 1);
    }
    // a level, unless the line before is the date of java.util.logging
    let is_level = matches!(block[first_end], b'A'..=b'Z')
        && matches!(block[start], b'0'..=b'9' | b'C' | b'E' | b'I' | b'W')
        && header::level_at(&block[first_end..]);
    if is_level {
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
    let first = Line::of(&block[start..at]);
    let mut found = Scan { end: at, lines: u64::from(first != Line::Empty), is_open: false };
    let mut state = grammar::first_state(first, &block[start..at]);
    let mut pending = Pending::None;
    let (mut held, mut held_filled) = (0, 0);
    while state != State::Closed && found.lines + held_filled < JOINED_LINES_MAX as u64 {
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
        let filled = u64::from(line != Line::Empty);
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

/// The start of some record at or before the last one, looked for backwards: the first line that could not
/// continue any record, whatever stands before it. Where none is near, the block's start is one.
fn last_start(block: &[u8]) -> usize {
    let mut end = block.len();
    let mut candidate = Candidate::default();
    for _ in 0..JOINED_LINES_MAX {
        if end == 0 || block.len() - end > JOINED_BYTES_MAX {
            return 0;
        }
        let start = line_start(block, end);
        let before = line_start(block, start);
        let line = Line::of(&block[start..end]);
        if !grammar::could_continue(line, Line::of(&block[before..start])) {
            return start;
        }
        if let Some(start) = candidate.after(line, start) {
            return start;
        }
        end = start;
    }
    0
}

/// A line before which stand only lines that a record holds for a while and not for long.
#[derive(Debug, Default)]
struct Candidate {
    start: Option<usize>,
    is_thrown: bool,
    lines: u64,
}

impl Candidate {
    /// Takes the next line backwards. Returns the candidate when so many such lines stand before it that no
    /// record can still hold it: it begins one.
    fn after(&mut self, line: Line, start: usize) -> Option<usize> {
        let is_thrown = matches!(line, Line::Thrown | Line::BareThrown);
        if !grammar::is_only_held(line) {
            self.start = None;
        } else if self.start.is_none() || is_thrown && !self.is_thrown {
            *self = Candidate { start: Some(start), is_thrown, lines: 0 };
        } else {
            self.lines += 1;
        }
        // a line may be joined at once before others are held behind it
        self.start.filter(|_| self.lines > PENDING_LINES_MAX + 4)
    }
}

/// Where the line that ends at `end`, newline included, starts.
fn line_start(block: &[u8], end: usize) -> usize {
    let inside = &block[..end.saturating_sub(1)];
    memrchr(b'\n', inside).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests;
