//! Computes label values: what the fields of a record become before they may leave the pod as a
//! label. Used only if a label set is new or depends on more than a few fields. Unit: one label of
//! one record.

use crate::decode::text::exception_of;
use crate::record::field::FieldId;
use crate::record::method::{OTHER_METHOD, known_method};
use crate::record::sentinel::is_sentinel;
use crate::record::slots::ValueKind;
use crate::record::{Record, field};
use crate::rules::action::Label;
use crate::rules::evaluate::Match;
use crate::rules::routes::Routes;
use crate::rules::{sql, template};
use crate::spans::identify::is_id;
use crate::spans::phrase::Phrase;

/// The longest name of an exception class that is kept, in bytes.
const TYPE_BYTES_MAX: usize = 100;

/// A record with everything from which labels and values are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordContext<'a> {
    pub(super) record: &'a Record<'a>,
    /// The service of the resource, for records that name none.
    pub(super) service: &'a str,
    /// The user's patterns of routes.
    pub(super) routes: &'a Routes,
    /// The function that completed, failed or started according to the body.
    pub(super) phrase: Option<Phrase<'a>>,
    /// The match of the rule's pattern.
    pub(super) captured: Option<Match<'a>>,
}

impl<'a> RecordContext<'a> {
    /// Writes the value of a label. Returns false if the record has no value for it; the record
    /// then does not count in the family.
    pub(super) fn write(&self, label: &Label, out: &mut String) -> bool {
        let record = self.record;
        out.clear();
        match label {
            Label::Field(field) => out.push_str(plain_text(record, *field).unwrap_or_default()),
            Label::Constant(text) => out.push_str(text),
            Label::Capture(number) => {
                let caught = self.captured.as_ref().and_then(|captured| captured.group(*number));
                out.push_str(caught.unwrap_or_default());
            }
            Label::Method => out.push_str(method(record)),
            Label::Endpoint => return endpoint(record, self.routes, out),
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

    /// Returns the service to which the record belongs.
    pub(super) fn service(&self) -> &'a str {
        let own = self.record.text(field::SERVICE).filter(|name| is_service(name));
        own.or(self.record.envelope.tag).unwrap_or(self.service)
    }
}

/// Returns the text of a field that may become a label: text or a number. `true`, an object, a
/// list, and words for an absent value (`null`, `None`, `-`) do not count as values.
fn plain_text<'a>(record: &Record<'a>, field: FieldId) -> Option<&'a str> {
    let entry = record.entry(field)?;
    let is_plain = matches!(entry.kind, ValueKind::Text | ValueKind::Number);
    let text = record.slice(entry);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    (is_plain && (is_number || !is_sentinel(text))).then_some(text)
}

/// The longest name of a service in bytes: the length of a DNS label.
const SERVICE_BYTES_MAX: usize = 63;

/// Returns true for a name as deployments have it: letters, digits and separators, but neither a
/// token nor a sentence.
pub(super) fn is_service(name: &str) -> bool {
    let is_fine =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':' | b' ');
    (1..=SERVICE_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_fine)
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && name.bytes().filter(|byte| *byte == b' ').count() <= 2
        && !is_id(name)
        && !template::is_random(name.as_bytes())
}

/// Returns the method as a label value.
pub(super) fn method(record: &Record<'_>) -> &'static str {
    let text = record.text(field::HTTP_METHOD).unwrap_or_default();
    known_method(text).unwrap_or(OTHER_METHOD)
}

/// Returns the route field if there is one, otherwise the path.
pub(super) fn route_or_path<'a>(record: &Record<'a>) -> Option<&'a str> {
    record.text(field::HTTP_ROUTE).or_else(|| record.text(field::URL_PATH))
}

/// Writes the template of the route or the path. Returns false if the record has neither.
pub(super) fn endpoint(record: &Record<'_>, routes: &Routes, out: &mut String) -> bool {
    match route_or_path(record) {
        Some(path) => {
            template::template(path, routes, out);
            true
        }
        None => false,
    }
}

/// Returns the status code, if the field contains a valid one.
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

/// Reads the database query of a record. Ignores a `query` field that contains no SQL.
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

/// Returns the type of the exception or error: its class name, never its text.
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

/// Returns `unexpected` if the record has a traceback, because no code caught and named the error.
pub(super) fn error_kind(record: &Record<'_>) -> &'static str {
    if has_traceback(record) { "unexpected" } else { "expected" }
}

/// Returns true if the record has a real traceback. CPython writes `NoneType: None` if there was no
/// exception.
pub(super) fn has_traceback(record: &Record<'_>) -> bool {
    record
        .text(field::EXCEPTION_STACKTRACE)
        .is_some_and(|text| !text.trim().is_empty() && text.trim() != "NoneType: None")
}

/// Returns true if a text has stack frames as Python, Java or Node write them, so that the word in
/// the position of a class is a class. Go's stacks begin with a function, and many fields of this
/// name contain a sentence.
fn framed(text: &str) -> bool {
    ["Traceback (most recent call last):", "\n\tat ", "\n    at ", "\n   at "]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Returns true if the ending of a word shows that it is an error class; used for texts without
/// frames.
fn is_named_error(word: &str) -> bool {
    ["Error", "Exception", "Warning", "Interrupt", "Exit"].iter().any(|end| word.ends_with(end))
}

/// Returns true for a class name. Nothing else may leave the pod as one.
fn class_like(name: &str) -> bool {
    let fine =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'$' | b'-' | b'/');
    !name.is_empty()
        && name.len() <= TYPE_BYTES_MAX
        && name.bytes().all(fine)
        && name.bytes().any(|b| b.is_ascii_alphabetic())
        && !is_id(name)
}
