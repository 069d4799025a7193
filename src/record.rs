//! `Record<'line>`: the borrowed view of one line, in OpenTelemetry's log data model. It never leaves the
//! thread that read the line and is never held beyond it; what leaves is copied out.
//! Unit: one record, that is one line, one datagram, or a line with the traceback that follows it.

pub mod dictionary;
pub mod field;
pub mod number;
pub mod sentinel;
pub mod severity;
pub mod slots;

use crate::clock::UnixNanos;
use field::FieldId;
use severity::Severity;
use slots::{Entry, Kind, Place, Slots};

/// Which reader understood a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// NCSA common or combined log format, nginx with `request_time` after it.
    Access,
    /// A layout of Python's `logging`: level, logger, place and ids found by position.
    Text,
    /// `epoch | level | message | service | trace_id`.
    Epoch,
    /// Nothing recognised: the whole line is the body.
    Plain,
}

impl Format {
    /// All formats, in the order in which `telemetry` and the documents list them.
    pub const ALL: [Format; 6] =
        [Format::Json, Format::Logfmt, Format::Access, Format::Text, Format::Epoch, Format::Plain];

    /// The name used in `explain`, self-metrics and documents.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Logfmt => "logfmt",
            Format::Access => "access",
            Format::Text => "text",
            Format::Epoch => "epoch",
            Format::Plain => "plain",
        }
    }
}

/// What decoding a line leaves behind: where each wanted field lies. One a pipeline, reused for every line.
#[derive(Debug)]
pub struct Decoded {
    /// Where the fields lie, in the line or in `scratch`.
    pub slots: Slots,
    /// Text that had to be rewritten: escapes undone, invalid UTF-8 replaced. Cleared for every line.
    pub scratch: String,
    /// Who understood the line.
    pub format: Format,
    /// The line looked like a format that it then was not: counted as malformed, kept as plain text.
    pub malformed: bool,
}

impl Decoded {
    /// An empty one.
    pub fn new() -> Decoded {
        Decoded {
            slots: Slots::new(),
            scratch: String::new(),
            format: Format::Plain,
            malformed: false,
        }
    }

    /// Forgets the last line.
    #[inline]
    pub fn clear(&mut self) {
        self.slots.clear();
        self.scratch.clear();
        self.malformed = false;
    }
}

impl Default for Decoded {
    fn default() -> Self {
        Decoded::new()
    }
}

/// What the transport said about a line, beside its bytes: a syslog header that was taken off.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Envelope<'line> {
    /// Severity of the `<PRI>` (RFC 5424 section 6.2.1); counts where the line itself names none.
    pub severity: Severity,
    /// The tag of an RFC 3164 header: the program's name.
    pub tag: Option<&'line str>,
}

/// One line, decoded. All text borrows from the line or from the scratch beside it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'line> {
    line: &'line str,
    decoded: &'line Decoded,
    /// When the line arrived.
    pub observed: UnixNanos,
    /// What the transport said.
    pub envelope: Envelope<'line>,
}

impl<'line> Record<'line> {
    /// Joins a line with what decoding found in it.
    #[inline]
    pub fn new(
        line: &'line str,
        decoded: &'line Decoded,
        observed: UnixNanos,
        envelope: Envelope<'line>,
    ) -> Record<'line> {
        Record { line, decoded, observed, envelope }
    }

    /// The line as it was received, without its end.
    #[inline]
    pub fn line(&self) -> &'line str {
        self.line
    }

    /// The text beside it that was rewritten: escapes undone.
    #[inline]
    pub fn scratch(&self) -> &'line str {
        &self.decoded.scratch
    }

    /// The text that an entry of this place points into.
    #[inline]
    pub fn whole(&self, place: Place) -> &'line str {
        match place {
            Place::Line => self.line,
            Place::Scratch => &self.decoded.scratch,
        }
    }

    /// Who understood it.
    #[inline]
    pub fn format(&self) -> Format {
        self.decoded.format
    }

    /// The fields below 64 that the line has, a bit each.
    #[inline]
    pub fn present(&self) -> u64 {
        self.decoded.slots.present
    }

    /// The fields without a bit that the line has.
    #[inline]
    pub fn extended(&self) -> &'line [(FieldId, Entry)] {
        self.decoded.slots.extended()
    }

    /// Where `field` lies and what it is.
    #[inline]
    pub fn entry(&self, field: FieldId) -> Option<&'line Entry> {
        self.decoded.slots.get(field)
    }

    /// The entry of a masked field that is known to be there: what is done with this record was planned by
    /// its mask.
    #[inline]
    pub(crate) fn planned(&self, field: FieldId) -> &'line Entry {
        self.decoded.slots.planned(field)
    }

    /// The text of an entry of this record.
    #[inline]
    pub fn slice(&self, entry: &Entry) -> &'line str {
        let start = entry.start as usize;
        self.whole(entry.place).get(start..start + entry.len as usize).unwrap_or_default()
    }

    /// The value of `field` as text: a string without its quotes, anything else as it is written.
    #[inline]
    pub fn text(&self, field: FieldId) -> Option<&'line str> {
        self.entry(field).map(|entry| self.slice(entry))
    }

    /// The value of `field` as a number: a JSON number, or text that reads as one.
    #[inline]
    pub fn number(&self, field: FieldId) -> Option<f64> {
        let entry = self.entry(field)?;
        match entry.kind {
            Kind::Number | Kind::Text => number::decimal_at(
                self.whole(entry.place),
                entry.start as usize,
                entry.len as usize,
            ),
            Kind::True => Some(1.0),
            Kind::False => Some(0.0),
            Kind::Tree => None,
        }
    }

    /// The value of `field` as a duration in seconds. A number without a unit counts only where the format
    /// or the key defines one; text such as `12.5ms` carries its own.
    #[inline]
    pub fn seconds(&self, field: FieldId) -> Option<f64> {
        let entry = self.entry(field)?;
        let (start, len) = (entry.start as usize, entry.len as usize);
        number::seconds_at(self.whole(entry.place), start, len, entry.unit)
    }

    /// The severity: of the line's own field, else of the envelope, else unspecified.
    #[inline]
    pub fn severity(&self) -> Severity {
        let own = if let Some(entry) = self.entry(field::SEVERITY) {
            Severity::read(self.slice(entry), entry.kind)
        } else if let Some(number) = self.text(field::SEVERITY_NUMBER) {
            Severity::read_number(number)
        } else if let Some(number) = self.text(field::PYTHON_LEVEL) {
            Severity::from_python_number(number)
        } else {
            Severity::UNSPECIFIED
        };
        if own == Severity::UNSPECIFIED { self.envelope.severity } else { own }
    }

    /// The message of the line; the whole line where there is none.
    #[inline]
    pub fn body(&self) -> &'line str {
        self.text(field::BODY).unwrap_or(self.line)
    }
}
