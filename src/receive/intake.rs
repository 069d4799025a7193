//! The bytes of one connection into blocks of whole lines. Pure: it is given what was read and calls back
//! with what is whole. However the stream was cut, the same lines come out.
//! Unit: one read. A connection owns nothing but its tail, and that only while a line is unfinished or held.

use crate::frame::multiline;
use memchr::{memchr, memrchr};

/// The read buffer of a thread: room for a tail, and behind it what the kernel gives. So a tail is copied
/// only when its line becomes whole, not at every read of a slow writer.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    room: usize,
}

impl Buffer {
    /// Room for tails of `tail_bytes_max`, and for `read_bytes` of fresh bytes.
    pub fn new(tail_bytes_max: usize, read_bytes: usize) -> Buffer {
        Buffer { bytes: vec![0; tail_bytes_max + read_bytes], room: tail_bytes_max }
    }

    /// Where the next read goes.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.room..]
    }

    /// The first `read` bytes of what was read last.
    pub fn fresh(&self, read: usize) -> &[u8] {
        &self.bytes[self.room..self.room + read]
    }
}

/// Something whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Whole lines; the last may lack its newline at the end of a connection.
    Lines(&'a [u8]),
    /// A line longer than the limit: its beginning, and its length without the newline.
    Oversized {
        /// What was kept.
        prefix: &'a [u8],
        /// How long the line was.
        bytes: u64,
    },
}

/// What a tail may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest line.
    pub line_bytes_max: usize,
    /// What this tail may keep now: at most the room of the buffer, less when all tails together keep much.
    pub tail_bytes_max: usize,
}

/// What a connection keeps between two reads.
#[derive(Debug, Default)]
pub struct Tail {
    /// Held-back whole lines, then the beginning of a line; while `skipped` is set, the beginning of an
    /// oversized line only.
    kept: Vec<u8>,
    /// How many bytes of `kept` are whole lines.
    whole: usize,
    /// The length so far of an oversized line whose end has not come; 0 when there is none.
    skipped: u64,
}

impl Tail {
    /// True while whole lines are held back for what may follow them.
    pub fn holds(&self) -> bool {
        self.whole > 0
    }

    /// The memory that the tail takes.
    pub fn bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Takes the `read` fresh bytes of `buffer`.
    pub fn take(
        &mut self,
        buffer: &mut Buffer,
        read: usize,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        let mut start = buffer.room;
        let end = start + read;
        if self.skipped > 0 {
            let Some(at) = memchr(b'\n', &buffer.bytes[start..end]) else {
                self.skipped += read as u64;
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

    /// Adds the beginning of a line, or more of it.
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

    /// Lets the held-back lines go.
    pub fn release(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if self.whole > 0 {
            emit(Piece::Lines(&self.kept[..self.whole]));
            self.kept.drain(..self.whole);
            self.whole = 0;
        }
    }

    /// The peer closed: what is left is a record, newline or not.
    pub fn finish(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if self.skipped > 0 {
            emit(Piece::Oversized { prefix: &self.kept, bytes: self.skipped });
        } else if !self.kept.is_empty() {
            emit(Piece::Lines(&self.kept));
        }
        *self = Tail::default();
    }

    /// We closed: held-back lines are records, the beginning of a line is not. True when there was one.
    pub fn tear(&mut self, emit: &mut impl FnMut(Piece<'_>)) -> bool {
        self.release(emit);
        let torn = self.skipped > 0 || !self.kept.is_empty();
        *self = Tail::default();
        torn
    }

    /// Gives memory back once nothing is kept, so that a thousand quiet connections cost nothing.
    fn shrink(&mut self) {
        if self.kept.is_empty() && self.kept.capacity() > 512 {
            self.kept = Vec::new();
        }
    }
}

/// Emits what of `block`, whole lines, comes before the end of its last oversized line; gives the rest back.
/// Looks at a newline a line limit, not at each.
fn after_oversized<'a>(
    block: &'a [u8],
    line_bytes_max: usize,
    emit: &mut impl FnMut(Piece<'_>),
) -> &'a [u8] {
    let mut begin = 0;
    let mut at = 0;
    // `at` is where a line starts; what is left and no longer than a line with its end needs no look
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
