//! Splits the bytes of a connection that speaks lines into blocks of whole lines. Unit: one read.

use super::piece::{Bounds, Buffer, Piece};
use crate::frame::multiline;
use memchr::{memchr, memrchr};
use std::ops::Range;

/// The bytes that a connection keeps between two reads.
#[derive(Debug, Default)]
pub struct Tail {
    /// Whole lines that are held back, followed by the beginning of a line. If `skipped` is set,
    /// only the beginning of an oversized line.
    kept: Vec<u8>,
    /// How many bytes of `kept` are whole lines.
    whole: usize,
    /// The length so far of an oversized line that has not ended; 0 if there is none.
    skipped: u64,
}

impl Tail {
    /// Returns true while whole lines are held back because a continuation may follow.
    pub fn holds(&self) -> bool {
        self.whole > 0
    }

    /// Returns the memory that the tail occupies.
    pub fn bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Creates a tail that continues with the bytes that another framing has kept.
    pub(super) fn of(kept: Vec<u8>) -> Tail {
        let whole = memrchr(b'\n', &kept).map_or(0, |last| last + 1);
        Tail { kept, whole, skipped: 0 }
    }

    /// Processes the `read` fresh bytes of `buffer`.
    pub fn take(
        &mut self,
        buffer: &mut Buffer,
        read: usize,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        let start = buffer.tail_space;
        self.take_range(buffer, start..start + read, bounds, emit);
    }

    /// Processes the bytes in `range` of `buffer`, which has space for the tail in front of them.
    pub(super) fn take_range(
        &mut self,
        buffer: &mut Buffer,
        range: Range<usize>,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        let Range { mut start, end } = range;
        if self.skipped > 0 {
            let Some(at) = memchr(b'\n', &buffer.bytes[start..end]) else {
                self.skipped += (end - start) as u64;
                return;
            };
            emit(Piece::Oversized { prefix: &self.kept, bytes: self.skipped + at as u64 });
            self.kept.clear();
            self.skipped = 0;
            start += at + 1;
        }
        let Some(last) = memrchr(b'\n', &buffer.bytes[start..end]) else {
            self.keep(&buffer.bytes[start..end], bounds, emit);
            self.shrink();
            return;
        };
        let whole_end = start + last + 1;
        let begin = start - self.kept.len();
        buffer.bytes[begin..start].copy_from_slice(&self.kept);
        self.kept.clear();
        self.whole = 0;
        let block = &buffer.bytes[begin..whole_end];
        let rest = after_oversized(block, bounds.line_bytes_max, emit);
        let settled = multiline::settled(rest);
        if settled > 0 {
            emit(Piece::Lines(&rest[..settled]));
        }
        self.kept.extend_from_slice(&rest[settled..]);
        self.whole = self.kept.len();
        if self.whole > bounds.tail_bytes_max {
            self.release(emit);
        }
        self.keep(&buffer.bytes[whole_end..end], bounds, emit);
        self.shrink();
    }

    /// Appends to the beginning of an unfinished line.
    fn keep(&mut self, more: &[u8], bounds: Bounds, emit: &mut impl FnMut(Piece<'_>)) {
        let most = bounds.tail_bytes_max.min(bounds.line_bytes_max);
        let open = self.kept.len() - self.whole + more.len();
        if open > most || self.kept.len() + more.len() > bounds.tail_bytes_max {
            self.release(emit);
        }
        if open > most {
            self.skipped = open as u64;
            let fits = most.saturating_sub(self.kept.len()).min(more.len());
            self.kept.extend_from_slice(&more[..fits]);
        } else {
            self.kept.extend_from_slice(more);
        }
    }

    /// Emits the held-back lines.
    pub fn release(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if self.whole > 0 {
            emit(Piece::Lines(&self.kept[..self.whole]));
            self.kept.drain(..self.whole);
            self.whole = 0;
        }
    }

    /// Emits the rest after the peer has closed the connection; the rest is a record even without a
    /// newline.
    pub fn finish(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if self.skipped > 0 {
            emit(Piece::Oversized { prefix: &self.kept, bytes: self.skipped });
        } else if !self.kept.is_empty() {
            emit(Piece::Lines(&self.kept));
        }
        *self = Tail::default();
    }

    /// Emits the held-back lines after we have closed the connection, and discards the beginning of
    /// a line. Returns true if there was such a beginning.
    pub fn tear(&mut self, emit: &mut impl FnMut(Piece<'_>)) -> bool {
        self.release(emit);
        let torn = self.skipped > 0 || !self.kept.is_empty();
        *self = Tail::default();
        torn
    }

    /// Frees memory when nothing is kept, so that a thousand quiet connections occupy none.
    fn shrink(&mut self) {
        if self.kept.is_empty() && self.kept.capacity() > 512 {
            self.kept = Vec::new();
        }
    }
}

/// Emits the part of `block`, which consists of whole lines, up to the end of its last oversized
/// line; returns the rest. Searches for one newline per line limit, not for each newline.
fn after_oversized<'a>(
    block: &'a [u8],
    line_bytes_max: usize,
    emit: &mut impl FnMut(Piece<'_>),
) -> &'a [u8] {
    let mut begin = 0;
    let mut at = 0;
    // `at` is the start of a line. A rest no longer than one line with its newline needs no check.
    while block.len() - at > line_bytes_max + 1 {
        if let Some(end) = memrchr(b'\n', &block[at..=at + line_bytes_max]) {
            at += end + 1;
            continue;
        }
        if at > begin {
            emit(Piece::Lines(&block[begin..at]));
        }
        let from = at + line_bytes_max;
        let more = memchr(b'\n', &block[from..]).expect("a block ends with a newline");
        let prefix = &block[at..from];
        emit(Piece::Oversized { prefix, bytes: (line_bytes_max + more) as u64 });
        at = from + more + 1;
        begin = at;
    }
    &block[begin..]
}

#[cfg(test)]
mod tests;
