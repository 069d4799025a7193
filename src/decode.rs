//! One frame of text -> positions of the wanted fields. Never fails: what no reader understands is
//! plain text. No I/O, no clock, no allocation once a line's shape is known. Unit: one frame.

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

/// What a data thread learned about the shapes of its lines. Bounded, see [`graph::LineGraph`]. It
/// never changes what a line means, and it holds for one `FieldTable` only.
#[derive(Debug, Default)]
pub struct Memory {
    /// The learned line graph of JSON and logfmt lines.
    pub graph: graph::LineGraph,
    /// Buffers of the exact reading of JSON.
    pub work: json::exact::Work,
}

impl Memory {
    /// Forgets all shapes. To be called before another `FieldTable` is handed in.
    pub fn forget(&mut self) {
        self.graph.forget();
    }
}

/// Finds the wanted fields of one frame and says who understood it. A frame with more than one line
/// is a text line with the traceback that follows it, or one datagram.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::field;

    #[test]
    fn a_line_goes_to_the_reader_that_its_first_bytes_name() {
        let wanted = FieldTable::standard();
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        for (line, format, malformed) in [
            ("{\"level\":\"info\"}", Format::Json, false),
            (" {\"level\":\"info\"} ", Format::Json, false),
            ("{\n \"level\": \"info\"\n}", Format::Json, false),
            ("{\"level\":\"info\"", Format::Plain, true),
            ("{not JSON}", Format::Plain, true),
            ("{\"a\":1}\n{\"b\":2}", Format::Plain, true),
            ("level=info msg=x", Format::Logfmt, false),
            ("level=info", Format::Logfmt, false),
            ("x=1", Format::Plain, false),
            ("", Format::Plain, false),
            ("[1]", Format::Plain, false),
        ] {
            for _ in 0..2 {
                decode(line, &wanted, &mut memory, &mut into);
                assert_eq!((into.format, into.malformed), (format, malformed), "{line:?}");
                let level = into.slots.get(field::SEVERITY).is_some();
                assert_eq!(level, format != Format::Plain, "{line:?}");
            }
        }
    }

    /// A shape that was learned for one table says nothing for another.
    #[test]
    fn another_table_after_forgetting() {
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        let line = "{\"shop\":7,\"level\":\"info\"}";
        decode(line, &FieldTable::standard(), &mut memory, &mut into);
        let mut wanted = FieldTable::standard();
        let shop = wanted.intern("shop");
        assert!(!memory.graph.is_empty());
        memory.forget();
        assert!(memory.graph.is_empty());
        decode(line, &wanted, &mut memory, &mut into);
        assert!(into.slots.get(shop).is_some());
    }
}
