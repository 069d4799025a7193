//! Finds the frames in a stream of bytes. `protocol` recognises what a client speaks, `records`
//! finds the end of a record that does not end in a newline, and `multiline` decides which lines
//! belong together; the code that walks a block finds the ends of lines, at their newlines. Pure:
//! no I/O, and no state is kept. Unit: one frame, that
//! is one received line, a line with the lines that were joined to it, or a datagram; an empty line
//! is not a frame.

pub mod count;
pub(crate) mod cri;
pub mod encoding;
pub(crate) mod journal;
pub(crate) mod msgpack;
pub mod multiline;
pub mod protocol;
pub mod records;
