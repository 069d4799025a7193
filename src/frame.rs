//! Joins lines into frames: decides which lines belong together. The code that walks a block finds
//! the ends of lines, at their newlines. Pure: no I/O, and no state is kept. Unit: one frame, that
//! is one received line, a line with the lines that were joined to it, or a datagram; an empty line
//! is not a frame.

pub mod count;
pub(crate) mod cri;
pub mod multiline;
