//! The read buffer of a data thread, and what is found in it. Unit: one read.

use crate::frame::encoding::Frame;

/// The read buffer of a thread: space for a tail, followed by the bytes of the read. A tail is
/// copied only when its line becomes whole, not at every read from a slow writer.
#[derive(Debug)]
pub struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) tail_space: usize,
}

impl Buffer {
    /// Creates a buffer with space for tails of `tail_bytes_max` and for `read_bytes` of fresh
    /// bytes.
    pub fn new(tail_bytes_max: usize, read_bytes: usize) -> Buffer {
        Buffer { bytes: vec![0; tail_bytes_max + read_bytes], tail_space: tail_bytes_max }
    }

    /// Returns the space for the next read.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.tail_space..]
    }

    /// Puts `kept` in front of `start`; returns where it begins.
    pub(super) fn put_before(&mut self, start: usize, kept: &[u8]) -> usize {
        let begin = start - kept.len();
        self.bytes[begin..start].copy_from_slice(kept);
        begin
    }

    /// Returns the first `read` bytes of the last read.
    pub fn fresh(&self, read: usize) -> &[u8] {
        &self.bytes[self.tail_space..self.tail_space + read]
    }
}

/// What the framing found in the bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Whole lines; the last may lack its newline at the end of a connection.
    Lines(&'a [u8]),
    /// A line longer than the limit.
    Oversized {
        /// The beginning of the line, which is kept.
        prefix: &'a [u8],
        /// The length of the line without its newline.
        bytes: u64,
    },
    /// A record that is not a line.
    Record(Frame<'a>),
    /// A record of which only a part arrived.
    Torn,
    /// An answer to the peer, after everything before it has been processed.
    Reply(&'a [u8]),
}

/// Limits of a tail.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest line in bytes.
    pub line_bytes_max: usize,
    /// The most bytes that this tail may keep now: at most the tail space of the buffer, less if
    /// all tails together keep much.
    pub tail_bytes_max: usize,
}
