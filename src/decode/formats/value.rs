//! Checks the value of a field and writes its position. A value that cannot be what its field means
//! is left out, and nothing else of the line with it. Unit: one value.

use super::program::{Field, Meaning, TimeForm};
use crate::decode::time::pattern::{self, Civil};
use crate::decode::time::{Zone, offset_of};
use crate::decode::{access, escape, text};
use crate::record::field::{
    BODY, FIRST_OWN, FieldId, HTTP_METHOD, HTTP_STATUS, SEVERITY, TIMESTAMP, URL_PATH, Unit,
};
use crate::record::sentinel::is_sentinel;
use crate::record::slots::{SlotValue, ValueBuffer};
use crate::record::{Decoded, number};
use jiff::tz::TimeZone;
use memchr::memchr;

/// What is remembered between values: the offset of a zone in the minute of the last time, because
/// lines of one minute share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    offset: Option<LastOffset>,
}

/// The offset of a zone in one minute.
#[derive(Clone, Debug)]
struct LastOffset {
    zone: TimeZone,
    /// Minutes since 1970 on the wall clock.
    minute: i64,
    east: Option<i32>,
}

impl Values {
    /// Writes the value between two positions of the line.
    #[inline]
    pub(super) fn put(
        &mut self,
        field: &Field,
        line: &str,
        (start, end): (usize, usize),
        into: &mut Decoded,
    ) {
        let Some(value) = line.get(start..end) else { return };
        let mut entry =
            SlotValue { unit: field.unit, rank: field.rank, ..SlotValue::text(start, end) };
        if field.is_escaped && memchr(b'\\', value.as_bytes()).is_some() {
            let from = into.scratch.len();
            escape::undo_logged(value, &mut into.scratch);
            entry.start = from as u32;
            entry.len = (into.scratch.len() - from) as u32;
            entry.buffer = ValueBuffer::Scratch;
        }
        match field.meaning {
            Meaning::Time => self.put_time(field, value, entry, into),
            Meaning::Level => return put_level(field, value, entry, into),
            _ => {}
        }
        let written = entry;
        let Decoded { slots, scratch, .. } = into;
        let value = match entry.buffer {
            ValueBuffer::Line => value,
            ValueBuffer::Scratch => &scratch[entry.start as usize..],
        };
        match field.meaning {
            Meaning::Time => {}
            Meaning::Message => slots.put(BODY, entry),
            Meaning::Request => {
                if let Some((method, path)) = access::request_line(value.as_bytes()) {
                    let part = |from: usize, to: usize| SlotValue {
                        start: entry.start + from as u32,
                        len: (to - from) as u32,
                        ..entry
                    };
                    slots.put(HTTP_METHOD, part(0, method));
                    slots.put(URL_PATH, part(method + 1, path));
                }
            }
            _ if !is_readable(field, value, &mut entry) => {}
            _ => slots.put(field.to, entry),
        }
        if field.also != FieldId::NONE && !matches!(value, "" | "-") {
            slots.put(field.also, SlotValue { rank: 0, ..written });
        }
    }

    /// Writes a time: as it is in the line, or in a form that has one meaning.
    fn put_time(&mut self, field: &Field, value: &str, entry: SlotValue, into: &mut Decoded) {
        let Some(form) = field.time.as_deref().filter(|form| form.is_rewritten) else {
            into.slots.put(TIMESTAMP, entry);
            return;
        };
        let Some(found) = form.pattern.read(value) else { return };
        let east = self.offset(form, &found);
        let from = into.scratch.len();
        pattern::write(&found, east, &mut into.scratch);
        let buffer = ValueBuffer::Scratch;
        let text = SlotValue::text(from, into.scratch.len());
        into.slots.put(TIMESTAMP, SlotValue { buffer, rank: entry.rank, ..text });
    }

    /// Returns the offset of the zone that the format defines.
    fn offset(&mut self, form: &TimeForm, found: &Civil) -> Option<i32> {
        let zone = match form.zone.as_ref()? {
            Zone::Utc => return Some(0),
            Zone::Fixed(east) => return Some(*east),
            Zone::Named(zone) => zone,
        };
        let minute = found.seconds()?.div_euclid(60);
        match &self.offset {
            Some(last) if last.minute == minute && last.zone == *zone => last.east,
            _ => {
                let east = offset_of(&Zone::Named(zone.clone()), minute * 60);
                self.offset = Some(LastOffset { zone: zone.clone(), minute, east });
                east
            }
        }
    }
}

/// Writes the name of a level. A word that the format replaces it by is replaced by the name; a
/// word that is no level stays, and has no severity.
#[inline]
fn put_level(field: &Field, value: &str, entry: SlotValue, into: &mut Decoded) {
    if matches!(value, "" | "-") {
        return;
    }
    let replaced = field.levels.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    let entry = match replaced {
        None => entry,
        Some((_, name)) => {
            let from = into.scratch.len();
            into.scratch.push_str(name);
            SlotValue { buffer: ValueBuffer::Scratch, ..SlotValue::text(from, into.scratch.len()) }
        }
    };
    let to = if field.to == FieldId::NONE { SEVERITY } else { field.to };
    into.slots.put(to, entry);
    if field.also != FieldId::NONE {
        into.slots.put(field.also, entry);
    }
}

/// Returns whether a value can be what its field means; shortens it to what counts.
#[inline]
fn is_readable(field: &Field, value: &str, entry: &mut SlotValue) -> bool {
    let bytes = value.as_bytes();
    let is_present = || {
        if field.to.0 < FIRST_OWN { !is_sentinel(value) } else { !matches!(value, "" | "-") }
    };
    match field.meaning {
        _ if field.to == FieldId::NONE => false,
        Meaning::Status => {
            let is_code = matches!(bytes, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', rest @ ..]
                if rest.first().is_none_or(|byte| *byte == b' '));
            entry.len = 3;
            is_code
        }
        Meaning::Duration => {
            let is_plain = bytes.first().is_some_and(u8::is_ascii_digit)
                && field.unit != Unit::None
                && bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
            is_plain || number::seconds(value, field.unit).is_some()
        }
        Meaning::Client => {
            let (from, to) = access::address(bytes);
            entry.start += from as u32;
            entry.len = (to - from) as u32;
            is_present()
        }
        Meaning::Path => matches!(bytes.first(), Some(b'/' | b'h' | b'*')),
        _ => is_present(),
    }
}

/// Reads the request that a web framework writes into the message of a format without a status.
#[inline]
pub(super) fn finish(line: &str, into: &mut Decoded) {
    let has_status = into.slots.present & HTTP_STATUS.bit() != 0;
    if let Some(&body) = into.slots.get(BODY)
        && body.buffer == ValueBuffer::Line
        && !has_status
    {
        let (start, end) = (body.start as usize, (body.start + body.len) as usize);
        text::request_in(&line.as_bytes()[..end], start, ValueBuffer::Line, &mut into.slots);
    }
}
