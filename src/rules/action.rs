//! What a rule does with a record that it applies to: the compiled forms. Closed sets, matched on the way
//! of a line.

use crate::health::Signal;
use crate::metrics::FamilyId;
use crate::record::field::{self, FieldId};
use crate::spans::SpanRule;

/// Labels of one family: a family that needs more needs a log.
pub const LABELS_MAX: usize = 16;

/// One effect of a rule.
#[derive(Clone, Debug)]
pub enum Action {
    /// A number.
    Measure(Measure),
    /// A span.
    Span(SpanRule),
    /// A sign for the verdict on the application.
    Health(Signal),
}

/// A number for one family.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Of which family.
    pub family: FamilyId,
    /// What is done with the value.
    pub kind: MeasureKind,
    /// Where the value comes from.
    pub value: Value,
    /// Where the labels come from, in the family's order.
    pub labels: Box<[Label]>,
}

/// What is done with the value of a measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeasureKind {
    /// An integer counter grows by one.
    Count,
    /// A float counter grows by the value.
    Sum,
    /// A gauge is set to the value.
    Set,
    /// A gauge grows by the value.
    Add,
    /// The value is put into a bucket.
    Observe,
}

/// Where the value of a measure comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// One.
    One,
    /// A constant.
    Constant(f64),
    /// A field that reads as a number.
    Number(FieldId),
    /// A field that reads as a duration, in seconds.
    Seconds(FieldId),
    /// A capture that reads as a number.
    Capture(usize),
    /// A capture that reads as a duration with a unit of its own, or else as seconds.
    CaptureSeconds(usize),
    /// How long the work took that the record tells of, in seconds: its duration field, or the phrase.
    Work,
}

/// Where the value of a label comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Label {
    /// A field; empty where the record has none.
    Field(FieldId),
    /// A constant.
    Constant(Box<str>),
    /// A capture.
    Capture(usize),
    /// The request's method: upper case, one of the known ones or `_OTHER` (OpenTelemetry,
    /// `http.request.method`).
    Method,
    /// The route: a route field, else the template of the path.
    Endpoint,
    /// The status code: three digits.
    StatusCode,
    /// The service: of the record, of the syslog tag, else of the resource.
    Service,
    /// OpenTelemetry's short name of the severity.
    Level,
    /// The first word of the query, upper case, one of the known ones or `OTHER`.
    DbOperation,
    /// The first table that the query names.
    DbTable,
    /// The type of the exception or error; `unknown` where the record names none.
    ErrorType,
    /// `unexpected` where the record carries a traceback, else `expected`.
    ErrorKind,
    /// The function that the body's phrase names.
    Function,
}

impl Label {
    /// The fields that its value is a function of; None where it is a function of more than fields, so that
    /// it cannot be remembered by their bytes.
    pub fn inputs(&self) -> Option<Vec<FieldId>> {
        Some(match self {
            Label::Field(field) => vec![*field],
            Label::Constant(_) => Vec::new(),
            Label::Method => vec![field::HTTP_METHOD],
            Label::Endpoint => vec![field::HTTP_ROUTE, field::URL_PATH],
            Label::StatusCode => vec![field::HTTP_STATUS],
            Label::Service => vec![field::SERVICE],
            Label::Level => {
                vec![field::SEVERITY, field::SEVERITY_NUMBER, field::PYTHON_LEVEL]
            }
            Label::Capture(_)
            | Label::DbOperation
            | Label::DbTable
            | Label::ErrorType
            | Label::ErrorKind
            | Label::Function => return None,
        })
    }
}
