//! Decodes one frame of text into the positions of the wanted fields. Decoding never fails: a frame
//! that no reader understands is plain text. It does no I/O, reads no clock, and does not allocate
//! once the shape of a line is known. Unit: one frame.

pub(crate) mod access;
mod client;
pub(crate) mod epoch;
mod escape;
pub(crate) mod formats;
pub mod graph;
pub mod json;
pub mod logfmt;
mod out;
pub(crate) mod outline;
mod resolve;
pub(crate) mod scan;
mod syslog;
pub mod text;
pub mod time;
mod wrapper;

use crate::record::field::FieldTable;
use crate::record::{Decoded, Format};
use formats::{Formats, Readers};
use std::sync::Arc;

/// What a data thread has learned about the shapes of its lines. It is bounded, see
/// [`graph::LineGraph`]. It never changes what a line means, and it is valid for one `FieldTable`
/// only.
#[derive(Debug, Default)]
pub struct Memory {
    /// The learned line graph of JSON and logfmt lines.
    pub graph: graph::LineGraph,
    /// Buffers of the exact JSON reader.
    pub work: json::exact::Work,
    /// The headers of recent text lines.
    pub layouts: text::layouts::Layouts,
    /// The readers of the user's own formats.
    pub formats: formats::Readers,
}

impl Memory {
    /// Creates a memory for lines in these formats, besides those that are built in.
    pub fn new(formats: &Arc<Formats>) -> Memory {
        Memory { formats: Readers::new(formats), ..Memory::default() }
    }

    /// Forgets all shapes. Must be called before a different `FieldTable` is used.
    pub fn forget(&mut self) {
        self.graph.forget();
    }
}

/// Decodes the line that starts at `start` in a block of whole lines. The first bytes of the line
/// select the reader, which also finds the end of the line; the contract is that of [`json::walk`].
/// Positions count from `start`. For lines that [`json`] did not read, the caller checks whether
/// following lines are joined to them.
#[inline]
pub fn walk(
    block: &str,
    start: usize,
    wanted: &FieldTable,
    memory: &mut Memory,
    into: &mut Decoded,
) -> Option<usize> {
    // tries logfmt first if the previous line was logfmt; the first key refutes a wrong guess
    let was_logfmt = into.format == Format::Logfmt;
    into.clear();
    if !memory.formats.is_empty() {
        match own(block, start, memory, into) {
            Own::Read(end) => {
                client::mark(&block[start..], into);
                return Some(end);
            }
            Own::Wrapped => return None,
            Own::Declined => {}
        }
    }
    let end = built_in(block, start, wanted, memory, into, was_logfmt)?;
    client::mark(&block[start..], into);
    memory.formats.forget_declined();
    Some(end)
}

/// Does the same by the built-in readers.
#[inline]
fn built_in(
    block: &str,
    start: usize,
    wanted: &FieldTable,
    memory: &mut Memory,
    into: &mut Decoded,
    was_logfmt: bool,
) -> Option<usize> {
    match &block.as_bytes()[start..] {
        // `decode` removes Docker's wrapper
        [b'{', b'"', b'l', b'o', b'g', b'"', b':', b'"', ..] => None,
        [b'{', ..] => {
            let end = json::walk(block, start, wanted, &mut memory.graph, into)?;
            resolve::resolve(&block[start..], wanted, into);
            Some(end)
        }
        // the time before the `T` may be that of a wrapper
        line @ [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..]
            if wrapper::may_open(line) =>
        {
            None
        }
        // a date: no other reader accepts it
        [b'0'..=b'9', _, _, _, b'-' | b'/', ..]
            if access::may_be_server(&block.as_bytes()[start..]) =>
        {
            None
        }
        [b'0'..=b'9', _, _, _, b'-' | b'/', ..] => {
            text::walk(block, start, &mut memory.layouts, into)
        }
        [b'0'..=b'9' | b':', ..] => access::walk(block, start, into),
        [b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@', ..] if was_logfmt => {
            let end = logfmt::walk(block, start, wanted, &mut memory.graph, into)?;
            resolve::resolve(&block[start..], wanted, into);
            Some(end)
        }
        // syslog's header
        [b'A'..=b'S', b'a'..=b'u', b'b'..=b'y', b' ', _, _, b' ', _, _, b':', ..] => None,
        [b'A'..=b'Z', ..] if !logfmt::starts(&block[start..]) => {
            text::walk(block, start, &mut memory.layouts, into)
        }
        _ => None,
    }
}

/// What the user's formats make of a line.
enum Own {
    /// One of them read it; the position after its end.
    Read(usize),
    /// Something has to be removed first.
    Wrapped,
    /// None of them matches.
    Declined,
}

/// Reads the line at `start` of a block by the user's formats.
#[inline(never)]
fn own(block: &str, start: usize, memory: &mut Memory, into: &mut Decoded) -> Own {
    let rest = &block.as_bytes()[start..];
    let stop = scan::newline_or_escape(rest);
    let end = match rest.get(stop) {
        Some(b'\n') => start + stop + 1,
        Some(_) => return Own::Wrapped,
        None => start + stop,
    };
    let line = block[start..start + stop].trim_end_matches('\r');
    if wrapper::may_surround(line.as_bytes()) {
        return Own::Wrapped;
    }
    if !line.is_empty() && memory.formats.walk(line, into) {
        return Own::Read(end);
    }
    Own::Declined
}

/// Finds the wanted fields of one frame and records which reader understood it. A frame with more
/// than one line is a text line with the traceback that follows it, or one datagram. Wrappers are
/// removed first.
pub fn decode(line: &str, wanted: &FieldTable, memory: &mut Memory, into: &mut Decoded) {
    into.clear();
    let mut rewritten = std::mem::take(&mut into.rewritten);
    let is_rewritten = wrapper::rewrite(line, &mut rewritten);
    let line = if is_rewritten { rewritten.as_str() } else { line };
    match wrapper::open(line) {
        Some((inside, found)) => {
            if let Some(trail) = &mut into.trail {
                trail.wrapper = inside;
            }
            let inner = &line[inside..];
            let is_read = memory.formats.read(inner, into);
            if is_read || memory.formats.is_empty() || !memory.formats.read_wrapped(line, into) {
                if !is_read {
                    unwrapped(inner, wanted, memory, into);
                }
                into.slots.shift(inside);
                wrapper::add_found(&found, line, wanted, into);
            }
        }
        None if memory.formats.read(line, into) => {}
        None => unwrapped(line, wanted, memory, into),
    }
    client::mark(line, into);
    into.rewritten = rewritten;
}

/// Decodes a line that has no wrappers by the built-in readers.
fn unwrapped(line: &str, wanted: &FieldTable, memory: &mut Memory, into: &mut Decoded) {
    let trimmed = line.trim_start_matches([' ', '\t', '\r', '\n']);
    let json = trimmed.starts_with('{');
    if line.starts_with('#') {
        access::w3c::directive(line, into);
    }
    if json {
        if json::read(line, wanted, &mut memory.graph, &mut memory.work, into) {
            into.accepted("json");
            return resolve::resolve(line, wanted, into);
        }
        into.declined("json");
        if json::damaged::read(line, wanted, &mut memory.work, into) {
            into.accepted("damaged json");
            return resolve::resolve(line, wanted, into);
        }
        into.declined("damaged json");
    }
    if logfmt::read(line, wanted, &mut memory.graph, into) {
        into.accepted("logfmt");
        return resolve::resolve(line, wanted, into);
    }
    into.declined("logfmt");
    for (format, read) in [
        (Format::Access, access_unless_logger as fn(&str, &mut Decoded) -> bool),
        (Format::Epoch, epoch::read),
        (Format::Text, text::read),
    ] {
        into.clear();
        into.format = format;
        if json {
            continue;
        }
        if read(line, into) {
            return into.accepted(format.name());
        }
        into.declined(format.name());
    }
    into.clear();
    text::plain(line, into);
    into.accepted(Format::Plain.name());
    into.malformed = json;
}

/// Reads an access line, unless it begins with a time in brackets, as a logger's line does; only
/// in Envoy's lines the request follows at once.
fn access_unless_logger(line: &str, into: &mut Decoded) -> bool {
    if let [b'[', rest @ ..] = line.as_bytes() {
        let length = text::stamp::extent(rest);
        if length > 0 && !rest[length..].starts_with(b"] \"") {
            return into.refuse(1 + length, "`] \"`, a request at once");
        }
    }
    access::read(line, into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::text::fixture::all_of;
    use crate::record::field;
    use proptest::prelude::*;

    #[test]
    fn a_line_goes_to_the_reader_that_its_first_bytes_name() {
        let wanted = FieldTable::standard();
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        for (line, format, malformed) in [
            ("{\"level\":\"info\"}", Format::Json, false),
            (" {\"level\":\"info\"} ", Format::Json, false),
            ("{\n \"level\": \"info\"\n}", Format::Json, false),
            ("{\"level\":\"info\"", Format::Json, true),
            ("{\"level\":\"info\",}", Format::Json, true),
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

    /// Shapes that were learned for one table are not valid for another.
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

    /// Lines of every format: cut, joined to each other and with every kind of line end.
    fn any_line() -> impl Strategy<Value = String> {
        let parts = [
            "{\"level\":\"info\",\"status\":200}",
            "10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] ",
            "host [21/Nov/2026:10:00:00 +0000] ",
            "\"GET /a?b=c HTTP/1.1\"",
            "\"GET /a\\\" HTTP/1.1\"",
            " 200 12",
            " \"-\" \"curl/8\"",
            " \"http://a/\" \"a \\\" b\"",
            " \"-\" \"-\"",
            " 0.123",
            " rt=0.5",
            "2026-11-21 10:00:00,123",
            "2026-11-21T10:00:00Z",
            " - app.views",
            " - WARNING",
            " - f executed in 0.1s",
            "ERROR:app:no",
            "INFO: x",
            "[2026-11-21 10:00:00] [INFO] x",
            "1795255200 | INFO | a | shop | t",
            "time=1 level=info",
            " msg=\"a b\" path=/x",
            " flag \u{fc}",
            "\u{1b}[31m",
            "Traceback (most recent call last):",
            "\r",
            "\"",
            "\\",
            " ",
            "1",
            "a",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..6)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        /// Walking through a block gives the same fields as decoding each line alone, whatever was
        /// learned before.
        #[test]
        fn property_a_walk_reads_what_a_frame_gives(
            lines in prop::collection::vec((any_line(), "\r?\n"), 1..6),
            is_ended: bool,
        ) {
            let wanted = FieldTable::standard();
            let lines: Vec<_> = lines.iter().map(|(line, end)| line.clone() + end).collect();
            let mut block = lines.concat();
            if !is_ended {
                block.pop();
            }
            let (mut memory, mut walked) = (Memory::default(), Decoded::new());
            let mut start = 0;
            for line in block.split_inclusive('\n') {
                let end = start + line.len();
                if let Some(found) = walk(&block, start, &wanted, &mut memory, &mut walked) {
                    prop_assert_eq!(found, end, "{:?}", line);
                    let line = line.trim_end_matches(['\n', '\r']);
                    let mut alone = Decoded::new();
                    decode(line, &wanted, &mut Memory::default(), &mut alone);
                    prop_assert_eq!(all_of(line, &walked), all_of(line, &alone), "{:?}", line);
                    prop_assert_eq!(walked.format, alone.format, "{:?}", line);
                    prop_assert_eq!(walked.malformed, alone.malformed);
                }
                start = end;
            }
        }
    }

    /// The formats that most applications write are walked by their own readers.
    #[test]
    fn usual_lines_are_walked() {
        let wanted = FieldTable::standard();
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        for line in [
            "{\"level\":\"info\"}",
            "10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"c\" 0.100",
            "10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"c\"",
            "2026-11-21 10:00:00,123 - app - INFO - x",
            "ERROR:app:no",
            "level=info msg=x",
        ] {
            decode(line, &wanted, &mut memory, &mut into);
            let block = format!("{line}\n");
            let end = walk(&block, 0, &wanted, &mut memory, &mut into);
            assert_eq!(end, Some(block.len()), "{line}");
        }
    }
}
