//! Lists every field of a line by name, for tests of decoding.

use crate::clock::UnixNanos;
use crate::record::field::{FieldId, STANDARD, Unit};
use crate::record::{Decoded, Envelope, Record};
use std::collections::BTreeMap;

/// Returns every field that was found; a duration with its unit.
pub(crate) fn all_of(line: &str, decoded: &Decoded) -> BTreeMap<String, String> {
    let record = Record::new(line, decoded, UnixNanos(0), Envelope::default());
    let field = |number: usize| {
        let entry = record.entry(FieldId(number as u16))?;
        let unit = match entry.unit {
            Unit::None => "",
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
            Unit::Nanoseconds => "ns",
        };
        let whole = record.whole(entry.buffer);
        let text = &whole[entry.start as usize..(entry.start + entry.len) as usize];
        Some((STANDARD[number].0.to_string(), format!("{text}{unit}")))
    };
    (0..STANDARD.len()).filter_map(field).collect()
}

/// Returns the expected fields in the same form.
pub(crate) fn expected(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
}
