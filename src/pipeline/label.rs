//! The values of labels: what a record's fields become before they may leave the pod as a label.
//! Used only when a label set is new, or depends on more than a few fields. Unit: one label of one
//! record.

use crate::decode::text::exception_of;
use crate::record::{Record, field};
use crate::rules::action::Label;
use crate::rules::evaluate::Match;
use crate::rules::{sql, template};
use crate::spans::identify::is_id;
use crate::spans::phrase::Phrase;

/// Methods that are a label value of their own (OpenTelemetry, `http.request.method`); others are
/// `_OTHER`.
const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY"];

/// The longest name of an exception class kept, in bytes.
const TYPE_BYTES_MAX: usize = 100;

/// A record with everything that labels and values are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordContext<'a> {
    pub(super) record: &'a Record<'a>,
    /// The service of the resource, for records without one.
    pub(super) service: &'a str,
    /// The function that the body says completed, failed or started.
    pub(super) phrase: Option<Phrase<'a>>,
    /// The match of the rule's pattern.
    pub(super) captured: Option<Match<'a>>,
}

impl<'a> RecordContext<'a> {
    /// Writes the value of a label. False: the record has no value for it, and does not count in
    /// the family.
    pub(super) fn write(&self, label: &Label, out: &mut String) -> bool {
        let record = self.record;
        out.clear();
        match label {
            Label::Field(field) => out.push_str(record.text(*field).unwrap_or_default()),
            Label::Constant(text) => out.push_str(text),
            Label::Capture(number) => {
                let caught = self.captured.as_ref().and_then(|captured| captured.group(*number));
                out.push_str(caught.unwrap_or_default());
            }
            Label::Method => out.push_str(method(record)),
            Label::Endpoint => return endpoint(record, out),
            Label::StatusCode => match status_code(record) {
                Some(_) => out.push_str(record.text(field::HTTP_STATUS).unwrap_or_default()),
                None => return false,
            },
            Label::Service => out.push_str(self.service()),
            Label::Level => out.push_str(record.severity().short_name()),
            Label::DbOperation | Label::DbTable => match query(record) {
                Some(query) if *label == Label::DbOperation => out.push_str(query.operation),
                Some(query) => out.push_str(query.table),
                None => return false,
            },
            Label::ErrorType => out.push_str(error_type(record)),
            Label::ErrorKind => out.push_str(error_kind(record)),
            Label::Function => match self.phrase {
                Some(phrase) if !is_id(phrase.subject) => out.push_str(phrase.subject),
                Some(_) | None => return false,
            },
        }
        true
    }

    /// The service that the record belongs to.
    pub(super) fn service(&self) -> &'a str {
        let own = self.record.text(field::SERVICE).filter(|name| !name.is_empty());
        own.or(self.record.envelope.tag).unwrap_or(self.service)
    }
}

/// The method as a label.
pub(super) fn method(record: &Record<'_>) -> &'static str {
    let text = record.text(field::HTTP_METHOD).unwrap_or_default();
    METHODS.into_iter().find(|known| text.eq_ignore_ascii_case(known)).unwrap_or("_OTHER")
}

/// Writes the route: a route field wins, else the template of the path. False: the record has
/// neither.
pub(super) fn endpoint(record: &Record<'_>, out: &mut String) -> bool {
    match record.text(field::HTTP_ROUTE).or_else(|| record.text(field::URL_PATH)) {
        Some(path) => {
            template::template(path, out);
            true
        }
        None => false,
    }
}

/// The status code, where it is one.
#[inline]
pub(super) fn status_code(record: &Record<'_>) -> Option<u16> {
    match record.text(field::HTTP_STATUS)?.as_bytes() {
        &[hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            let digit = |byte: u8| u16::from(byte - b'0');
            Some(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
        }
        _ => None,
    }
}

/// What the record says of a database query. A `query` that is no SQL is none.
pub(super) fn query<'a>(record: &Record<'a>) -> Option<sql::Query<'a>> {
    let operation = record.text(field::DB_OPERATION);
    let table = record.text(field::DB_TABLE);
    let read = record.text(field::DB_QUERY).and_then(sql::read);
    match (operation, read) {
        (Some(word), read) => Some(sql::Query {
            operation: sql::operation(word),
            table: table.map(sql::name).or(read.map(|query| query.table)).unwrap_or_default(),
        }),
        (None, Some(query)) => {
            Some(sql::Query { table: table.map_or(query.table, sql::name), ..query })
        }
        (None, None) => None,
    }
}

/// The type of the exception or error: its class name, never its text.
pub(super) fn error_type<'a>(record: &Record<'a>) -> &'a str {
    let named = record
        .text(field::EXCEPTION_TYPE)
        .or_else(|| record.text(field::ERROR_TYPE))
        .filter(|name| class_like(name));
    let traced = || {
        let traceback = record.text(field::EXCEPTION_STACKTRACE)?;
        let (class, _) = exception_of(traceback)?;
        let class = traceback.get(class)?;
        (framed(traceback) || is_named_error(class))
            .then_some(class)
            .filter(|name| class_like(name))
    };
    named.or_else(traced).unwrap_or("unknown")
}

/// `unexpected` where a traceback came with it: nobody caught and named the error.
pub(super) fn error_kind(record: &Record<'_>) -> &'static str {
    if has_traceback(record) { "unexpected" } else { "expected" }
}

/// A traceback that is one: CPython writes `NoneType: None` where there was no exception.
pub(super) fn has_traceback(record: &Record<'_>) -> bool {
    record
        .text(field::EXCEPTION_STACKTRACE)
        .is_some_and(|text| !text.trim().is_empty() && text.trim() != "NoneType: None")
}

/// Whether a text has frames as Python, Java or Node write them, so that what stands where the
/// class does is one. Go's stacks begin with a function, and many fields of this name hold a
/// sentence.
fn framed(text: &str) -> bool {
    ["Traceback (most recent call last):", "\n\tat ", "\n    at "]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Whether a word without frames is a class by its ending.
fn is_named_error(word: &str) -> bool {
    ["Error", "Exception", "Warning", "Interrupt", "Exit"].iter().any(|end| word.ends_with(end))
}

/// A class name and nothing else may leave the pod as one.
fn class_like(name: &str) -> bool {
    let fine =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'$' | b'-' | b'/');
    !name.is_empty()
        && name.len() <= TYPE_BYTES_MAX
        && name.bytes().all(fine)
        && name.bytes().any(|b| b.is_ascii_alphabetic())
        && !is_id(name)
}
