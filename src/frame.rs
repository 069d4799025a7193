//! Bytes into frames: where a line ends, and which lines belong together. Pure: no I/O, nothing is kept.
//! Unit: one frame, that is one received line or datagram; an empty line is none.

pub mod multiline;

/// A stretch of bytes that was received as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'buf> {
    /// A whole line, or several that belong together (`lines` counts them), without the last line's end.
    Line {
        /// The bytes, ends of inner lines included.
        bytes: &'buf [u8],
        /// How many received lines these are, empty ones not counted.
        lines: u64,
    },
    /// A line longer than the limit: its beginning, and how long it was.
    Oversized {
        /// The beginning that was kept.
        prefix: &'buf [u8],
        /// The length of the whole line in bytes.
        bytes: u64,
    },
}
