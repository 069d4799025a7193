//! The actions of a rule in compiled form. The sets are closed; the pipeline matches on them for
//! each record.

use crate::health::Signal;
use crate::metrics::FamilyId;
use crate::record::field::{self, FieldId};
use crate::spans::SpanRule;

/// One effect of a rule.
#[derive(Clone, Debug)]
pub enum Action {
    /// Records a metric value.
    Measure(Measure),
    /// Creates a span.
    Span(SpanRule),
    /// Signals the health verdict on the application.
    Health(Signal),
}

/// A metric value for one family.
#[derive(Clone, Debug)]
pub struct Measure {
    /// The family that the value belongs to.
    pub family: FamilyId,
    /// How the value is recorded.
    pub kind: MeasureKind,
    /// The source of the value.
    pub value: Value,
    /// The sources of the labels, in the family's order.
    pub labels: Box<[Label]>,
}

/// How the value of a measure is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeasureKind {
    /// Increments an integer counter by one.
    Count,
    /// Adds the value to a float counter.
    Sum,
    /// Sets a gauge to the value.
    Set,
    /// Adds the value to a gauge.
    Add,
    /// Observes the value in a histogram.
    Observe,
}

/// The source of a measure's value.
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
    /// A capture that reads as a duration: in its unit if it has one, otherwise in seconds.
    CaptureSeconds(usize),
    /// The duration of the work that the record reports, in seconds: from its duration field, or
    /// from the phrase.
    Duration,
}

/// The source of a label's value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Label {
    /// A field; empty if the record lacks it.
    Field(FieldId),
    /// A constant.
    Constant(Box<str>),
    /// A capture.
    Capture(usize),
    /// The request's method in upper case: one of the known methods, or `_OTHER` (OpenTelemetry,
    /// `http.request.method`).
    Method,
    /// The route: the route field, otherwise the template of the path.
    Endpoint,
    /// The status code: three digits.
    StatusCode,
    /// The service: from the record, otherwise from the syslog tag, otherwise from the resource.
    Service,
    /// OpenTelemetry's short name of the severity.
    Level,
    /// The first word of the query in upper case: one of the known operations, or `OTHER`.
    DbOperation,
    /// The first table that the query names.
    DbTable,
    /// The type of the exception or error; `unknown` if the record names none.
    ErrorType,
    /// `unexpected` if the record contains a traceback, otherwise `expected`.
    ErrorKind,
    /// The function that the phrase in the body names.
    Function,
}

impl Label {
    /// Returns the fields that determine its value. Returns None if the value depends on more than
    /// fields, so that it cannot be cached by their bytes.
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
