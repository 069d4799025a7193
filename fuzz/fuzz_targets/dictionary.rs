//! Fuzzes lines with keys of the dictionary, whole, cut off and damaged. Nothing panics, every
//! value lies within its line, a reader that has seen the line before resolves it in the same way,
//! and a duration, status or level that stays in its field can be parsed. Unit: one text of lines.
#![no_main]

mod support;

use libfuzzer_sys::{Corpus, fuzz_target};
use sidelight::clock::UnixNanos;
use sidelight::decode::{Memory, decode};
use sidelight::record::field::{self, FieldId, FieldTable, STANDARD};
use sidelight::record::{Decoded, Envelope, Format, Record};
use support::memory_changes_nothing;

const LINES_MAX: usize = 4;

/// Longer lines are cut off within this many bytes.
const CUT_MAX: usize = 200;

/// Returns every field as text, and the resolved values.
fn read(line: &str, wanted: &FieldTable, memory: &mut Memory) -> Vec<Option<String>> {
    let mut decoded = Decoded::new();
    decode(line, wanted, memory, &mut decoded);
    let record = Record::new(line, &decoded, UnixNanos(0), Envelope::default());
    let fields = (0..STANDARD.len() as u16).map(FieldId);
    let all = fields.map(|field| {
        let entry = record.entry(field)?;
        let text = record.slice(entry);
        assert_eq!(text.len(), entry.len as usize, "{line:?}: a value outside of its line");
        Some(text.to_owned())
    });
    let all: Vec<_> = all.collect();
    if matches!(decoded.format, Format::Json | Format::Logfmt) {
        assert!(decoded.slots.get(field::FRAMEWORK).is_none(), "{line:?}");
        assert!(decoded.slots.get(field::REQUEST_LINE).is_none(), "{line:?}");
        if decoded.slots.get(field::DURATION).is_some() {
            assert!(
                record.seconds(field::DURATION).is_some(),
                "{line:?}: a duration without a unit"
            );
        }
        if let Some(status) = record.text(field::HTTP_STATUS) {
            assert!(status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()), "{line:?}");
        }
    }
    all
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    memory_changes_nothing(text, LINES_MAX, CUT_MAX, read);
    Corpus::Keep
});
