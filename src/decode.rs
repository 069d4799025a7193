//! One frame of text -> positions of the wanted fields. Never fails: what no reader understands is plain text.
//! No I/O, no clock, no allocation once a line's shape is known. Unit: one frame.

pub mod access;
pub mod epoch;
mod escape;
pub mod graph;
pub mod json;
pub mod logfmt;
mod scan;
pub mod syslog;
pub mod text;
pub mod time;

use crate::record::field::FieldTable;
use crate::record::{Decoded, Format};

/// What a data thread learned about the shapes of its lines. Bounded, see [`graph::LineGraph`]. It never changes
/// what a line means, and it holds for one `FieldTable` only.
#[derive(Debug, Default)]
pub struct Memory {
    /// The learned line graph of JSON and logfmt lines.
    pub graph: graph::LineGraph,
    /// Buffers of the exact reading of JSON.
    pub work: json::Work,
}

impl Memory {
    /// Forgets all shapes. To be called before another `FieldTable` is handed in.
    pub fn forget(&mut self) {
        self.graph.forget();
    }
}

/// Finds the wanted fields of one frame and says who understood it. A frame with more than one line is a
/// text line with the traceback that follows it, or one datagram.
pub fn decode(line: &str, wanted: &FieldTable, memory: &mut Memory, into: &mut Decoded) {
    let trimmed = line.trim_start_matches([' ', '\t', '\r', '\n']);
    let json = trimmed.starts_with('{');
    if json && json::read(line, wanted, &mut memory.graph, &mut memory.work, into) {
        return;
    }
    if logfmt::starts(line) && logfmt::read(line, wanted, &mut memory.graph, into) {
        return;
    }
    for (format, read) in [
        (Format::Access, access::read as fn(&str, &mut Decoded) -> bool),
        (Format::Epoch, epoch::read),
        (Format::Text, text::read),
    ] {
        into.clear();
        into.format = format;
        if !json && read(line, into) {
            return;
        }
    }
    into.clear();
    text::plain(line, into);
    into.malformed = json;
}
