//! Fuzzes the reader of text headers with lines of any kind, whole and cut off anywhere. Nothing
//! panics; time, level and message lie in the line, and level and time before the message; a reader
//! that remembers the layouts of earlier lines reads every line like a new one. Unit: one text of
//! lines.
#![no_main]

mod support;

use libfuzzer_sys::{Corpus, fuzz_target};
use sidelight::clock::UnixNanos;
use sidelight::decode::{Memory, decode};
use sidelight::record::field::{BODY, FieldId, FieldTable, SEVERITY, STANDARD, TIMESTAMP};
use sidelight::record::slots::ValueBuffer;
use sidelight::record::{Decoded, Envelope, Format, Record, severity::Severity};
use support::memory_changes_nothing;

const LINES_MAX: usize = 16;

/// Longer lines are cut off within this many bytes.
const CUT_MAX: usize = 120;

/// What the header of a line says.
#[derive(PartialEq, Eq, Debug)]
struct Read {
    format: Format,
    severity: Severity,
    fields: Vec<Option<String>>,
}

fn read(line: &str, wanted: &FieldTable, memory: &mut Memory) -> Read {
    let mut decoded = Decoded::new();
    decode(line, wanted, memory, &mut decoded);
    let record = Record::new(line, &decoded, UnixNanos(0), Envelope::default());
    if decoded.format == Format::Text {
        let range = |field| {
            let entry = record.entry(field).filter(|entry| entry.buffer == ValueBuffer::Line)?;
            let start = entry.start as usize;
            assert!(line.get(start..start + entry.len as usize).is_some(), "{line:?}");
            Some(start..start + entry.len as usize)
        };
        if let Some(body) = range(BODY) {
            for field in [SEVERITY, TIMESTAMP] {
                let ends_before = range(field).is_none_or(|range| range.end <= body.start);
                assert!(ends_before, "{line:?}: {field:?} lies in the message {body:?}");
            }
        }
    }
    let fields = (0..STANDARD.len() as u16).map(FieldId);
    let fields =
        fields.map(|field| record.entry(field).map(|entry| record.slice(entry).to_owned()));
    Read { format: decoded.format, severity: record.severity(), fields: fields.collect() }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    memory_changes_nothing(text, LINES_MAX, CUT_MAX, read);
    Corpus::Keep
});
