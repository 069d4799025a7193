//! Bytes into frames: which lines belong together. Where a line ends is its newline's matter and is found by
//! whoever walks the block. Pure: no I/O, nothing is kept.
//! Unit: one frame, that is one received line, a line with what was joined to it, or a datagram; an empty
//! line is none.

pub mod count;
pub mod multiline;
