//! `Record<'line>`: the borrowed view of one line, in OpenTelemetry's log data model. It never
//! leaves the thread that read the line and never outlives the line; whatever leaves the thread is
//! copied. Unit: one record, that is one line, one datagram, or a line with the traceback that
//! follows it.

pub(crate) mod attempt;
pub(crate) mod columns;
pub mod dictionary;
pub mod field;
pub(crate) mod method;
pub(crate) mod number;
pub(crate) mod sentinel;
pub mod severity;
pub mod slots;

use crate::clock::UnixNanos;
use attempt::{Attempt, Decline, Trail};
use columns::Columns;
use field::{FieldId, Unit};
use severity::Severity;
use slots::{SlotValue, Slots, ValueBuffer, ValueKind};
use std::fmt::Write as _;
use std::time::Duration;

/// The reader that understood a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// NCSA common or combined log format; nginx may append `request_time`.
    Access,
    /// A layout of Python's `logging`: level, logger, location and ids are found by their
    /// positions.
    Text,
    /// `epoch | level | message | service | trace_id`.
    Epoch,
    /// No format was recognised: the whole line is the body.
    Plain,
    /// One of the formats of the configuration; [`Decoded::own`] is its number.
    Own,
    /// A pickled `LogRecord` of Python's `logging`.
    Pickle,
    /// Fields of journald's native protocol.
    Journal,
    /// An entry of Fluent Forward.
    Forward,
}

impl Format {
    /// All formats, in the order in which `telemetry` and the documents list them.
    pub const ALL: [Format; 10] = [
        Format::Json,
        Format::Logfmt,
        Format::Access,
        Format::Text,
        Format::Epoch,
        Format::Plain,
        Format::Own,
        Format::Pickle,
        Format::Journal,
        Format::Forward,
    ];

    /// Returns the name used in `explain`, self-metrics and documents.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Logfmt => "logfmt",
            Format::Access => "access",
            Format::Text => "text",
            Format::Epoch => "epoch",
            Format::Plain => "plain",
            Format::Own => "own",
            Format::Pickle => "pickle",
            Format::Journal => "journal",
            Format::Forward => "forward",
        }
    }

    /// Returns whether lines of the format have a header before their message.
    pub fn is_text(self) -> bool {
        match self {
            Format::Text | Format::Epoch | Format::Own => true,
            Format::Json
            | Format::Logfmt
            | Format::Access
            | Format::Plain
            | Format::Pickle
            | Format::Journal
            | Format::Forward => false,
        }
    }
}

/// The result of decoding a line: the positions of the wanted fields. Each pipeline has one and
/// reuses it for every line.
#[derive(Debug)]
pub struct Decoded {
    /// Positions of the fields, in the line or in `scratch`.
    pub slots: Slots,
    /// Text that had to be rewritten: unescaped strings, and invalid UTF-8 with replacement
    /// characters. Cleared for every line.
    pub scratch: String,
    /// The line as the readers saw it, if removing a wrapper changed its bytes (colours, Docker's
    /// JSON); otherwise empty. If it is not empty, positions in the line refer to this text.
    pub rewritten: String,
    /// Severity of syslog's `<PRI>` (RFC 5424 section 6.2.1); used if the line itself has no
    /// severity.
    pub priority: Severity,
    /// The reader that understood the line.
    pub format: Format,
    /// The number of the format of the configuration that matched the line.
    pub own: Option<u16>,
    /// The line looked like a format but was not valid in it. It is counted as malformed and kept
    /// as plain text.
    pub malformed: bool,
    /// The columns that the last `#Fields` directive named. Kept from line to line: the lines of
    /// another source need the columns of that source.
    pub columns: Columns,
    /// Where and why the last reader declined.
    pub decline: Decline,
    /// Collects what was tried, for `explain`; `None` on data threads.
    pub trail: Option<Box<Trail>>,
}

impl Decoded {
    /// Creates an empty result.
    pub fn new() -> Decoded {
        Decoded {
            slots: Slots::new(),
            scratch: String::new(),
            rewritten: String::new(),
            priority: Severity::UNSPECIFIED,
            format: Format::Plain,
            own: None,
            malformed: false,
            columns: Columns::default(),
            decline: Decline::default(),
            trail: None,
        }
    }

    /// Notes where and why a reader declines; returns `None` for it to return.
    #[inline]
    pub(crate) fn decline<T>(&mut self, at: usize, expected: &'static str) -> Option<T> {
        self.decline = Decline { at, expected };
        None
    }

    /// Notes where and why a reader declines; returns false for it to return.
    #[inline]
    pub(crate) fn refuse(&mut self, at: usize, expected: &'static str) -> bool {
        self.decline = Decline { at, expected };
        false
    }

    /// Adds a reader that declined to what was tried.
    #[inline]
    pub(crate) fn declined(&mut self, reader: &'static str) {
        if let Some(trail) = &mut self.trail {
            trail.attempts.push(Attempt { reader, declined: Some(self.decline) });
        }
    }

    /// Adds the reader that read the line to what was tried.
    #[inline]
    pub(crate) fn accepted(&mut self, reader: &'static str) {
        if let Some(trail) = &mut self.trail {
            trail.attempts.push(Attempt { reader, declined: None });
        }
    }

    /// Clears the result of the previous line.
    #[inline]
    pub fn clear(&mut self) {
        self.slots.clear();
        self.scratch.clear();
        self.rewritten.clear();
        self.priority = Severity::UNSPECIFIED;
        self.own = None;
        self.malformed = false;
    }

    /// Adds a duration that the line itself does not contain.
    pub(crate) fn add_duration(&mut self, duration: Duration) {
        let start = self.scratch.len();
        // writing to a string does not fail
        let _ = write!(self.scratch, "{}", duration.as_nanos());
        let written = SlotValue::text(start, self.scratch.len());
        let (kind, buffer, unit) = (ValueKind::Number, ValueBuffer::Scratch, Unit::Nanoseconds);
        self.slots.put(field::DURATION, SlotValue { kind, buffer, unit, ..written });
    }

    /// Adds a text that the line itself does not contain.
    pub fn add_text(&mut self, field: FieldId, text: &str) {
        let start = self.scratch.len();
        self.scratch.push_str(text);
        let end = self.scratch.len();
        self.slots
            .put(field, SlotValue { buffer: ValueBuffer::Scratch, ..SlotValue::text(start, end) });
    }
}

impl Default for Decoded {
    fn default() -> Self {
        Decoded::new()
    }
}

/// Metadata that the transport carries beside the bytes of a line: a syslog header that was
/// removed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Envelope<'line> {
    /// Severity of the `<PRI>` (RFC 5424 section 6.2.1); used if the line itself has no severity.
    pub severity: Severity,
    /// The tag of an RFC 3164 header: the name of the program.
    pub tag: Option<&'line str>,
}

/// One decoded line. All text borrows from the line or from the scratch buffer.
#[derive(Clone, Copy, Debug)]
pub struct Record<'line> {
    line: &'line str,
    decoded: &'line Decoded,
    /// When the line arrived.
    pub observed: UnixNanos,
    /// Metadata from the transport.
    pub envelope: Envelope<'line>,
}

impl<'line> Record<'line> {
    /// Joins a line with its decoded fields.
    #[inline]
    pub fn new(
        line: &'line str,
        decoded: &'line Decoded,
        observed: UnixNanos,
        envelope: Envelope<'line>,
    ) -> Record<'line> {
        let line = if decoded.rewritten.is_empty() { line } else { decoded.rewritten.as_str() };
        Record { line, decoded, observed, envelope }
    }

    /// Returns whether the fields describe the record completely; a syslog priority is not a field.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.envelope == Envelope::default() && self.decoded.priority == Severity::UNSPECIFIED
    }

    /// Returns the line as the readers saw it, without its line end.
    #[inline]
    pub fn line(&self) -> &'line str {
        self.line
    }

    /// Returns the scratch buffer with the text that was rewritten: unescaped strings.
    #[inline]
    pub fn scratch(&self) -> &'line str {
        &self.decoded.scratch
    }

    /// Returns the text that entries of this place refer to.
    #[inline]
    pub fn whole(&self, buffer: ValueBuffer) -> &'line str {
        match buffer {
            ValueBuffer::Line => self.line,
            ValueBuffer::Scratch => &self.decoded.scratch,
        }
    }

    /// Returns the reader that understood the line.
    #[inline]
    pub fn format(&self) -> Format {
        self.decoded.format
    }

    /// Returns a bit for each field below 64 that the line has.
    #[inline]
    pub fn present(&self) -> u64 {
        self.decoded.slots.present
    }

    /// Returns the fields of the line that have no bit.
    #[inline]
    pub fn extended(&self) -> &'line [(FieldId, SlotValue)] {
        self.decoded.slots.extended()
    }

    /// Returns the position and kind of `field`.
    #[inline]
    pub fn entry(&self, field: FieldId) -> Option<&'line SlotValue> {
        self.decoded.slots.get(field)
    }

    /// Returns the entry of a masked field that is known to be present, because the work on this
    /// record was planned from its mask.
    #[inline]
    pub(crate) fn planned(&self, field: FieldId) -> &'line SlotValue {
        self.decoded.slots.planned(field)
    }

    /// Returns the text of an entry of this record.
    #[inline]
    pub fn slice(&self, entry: &SlotValue) -> &'line str {
        let start = entry.start as usize;
        self.whole(entry.buffer).get(start..start + entry.len as usize).unwrap_or_default()
    }

    /// Returns the value of `field` as text: a string without its quotes, any other value as it is
    /// written.
    #[inline]
    pub fn text(&self, field: FieldId) -> Option<&'line str> {
        self.entry(field).map(|entry| self.slice(entry))
    }

    /// Returns the value of `field` as a number: a JSON number, or text that is a number.
    #[inline]
    pub fn number(&self, field: FieldId) -> Option<f64> {
        let entry = self.entry(field)?;
        match entry.kind {
            ValueKind::Number | ValueKind::Text => number::decimal_at(
                self.whole(entry.buffer),
                entry.start as usize,
                entry.len as usize,
            ),
            ValueKind::True => Some(1.0),
            ValueKind::False => Some(0.0),
            ValueKind::Tree => None,
        }
    }

    /// Returns the value of `field` as a duration in seconds. A number without a unit is a duration
    /// only if the format or the key defines its unit; text such as `12.5ms` contains the unit.
    #[inline]
    pub fn seconds(&self, field: FieldId) -> Option<f64> {
        let entry = self.entry(field)?;
        let (start, len) = (entry.start as usize, entry.len as usize);
        number::seconds_at(self.whole(entry.buffer), start, len, entry.unit)
    }

    /// Returns the severity: from the line's own field, else from the envelope, else unspecified.
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
        match (own, self.decoded.priority) {
            (Severity::UNSPECIFIED, Severity::UNSPECIFIED) => self.envelope.severity,
            (Severity::UNSPECIFIED, priority) => priority,
            _ => own,
        }
    }

    /// Returns the message of the line, or the whole line if it has no message.
    #[inline]
    pub fn body(&self) -> &'line str {
        self.text(field::BODY).unwrap_or(self.line)
    }
}
