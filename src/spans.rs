//! Effect 2: spans. A line with a duration, or a start line and its end, becomes one OTLP span.
//! Without an endpoint no span is built. No I/O; encoded spans go to the outbox a batch at a time.

pub mod phrase;
use crate::record::Record;

/// What kind of work a span stands for; decides its name, kind and attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// An HTTP request served: SERVER, `{method} {route}`.
    Request,
    /// A database query: CLIENT, `{operation} {table}`.
    Query,
    /// A function, job or phrase: INTERNAL.
    Internal,
}

/// What a rule wants to become a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanRule {
    /// The kind of work.
    pub operation: Operation,
}

/// Work that ended, as one line tells it (or the line that ended a pair).
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// What it was.
    pub operation: Operation,
    /// How long it took.
    pub seconds: f64,
    /// Route template, table, or name of the function: safe to leave the pod.
    pub subject: &'a str,
    /// Method, SQL operation; empty for none.
    pub verb: &'a str,
    /// HTTP status code; 0 for none.
    pub status_code: u16,
    /// It failed.
    pub failed: bool,
    /// When it ended.
    pub end: crate::clock::UnixNanos,
    /// The type of the error; empty for none.
    pub error_type: &'a str,
    /// The service it belongs to.
    pub service: &'a str,
}

/// The ids of a span that was made, for exemplars.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanRef {
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id.
    pub span_id: [u8; 8],
}

impl SpanRef {
    /// ids of app
    pub fn of_application(record: &Record<'_>) -> Option<SpanRef> {
        let _ = record;
        None
    }
}

/// A data thread's maker of spans.
#[derive(Debug)]
pub struct SpanMaker {}

impl SpanMaker {
    /// Whether an exporter is configured; otherwise nothing else here need be called.
    #[inline]
    pub fn enabled(&self) -> bool {
        false
    }

    /// Builds the span of a line that says how long its work took. None where the line has no id to hang it
    /// on, or an instrumented application made the span itself (counted).
    pub fn finished(
        &mut self,
        record: &Record<'_>,
        source: u64,
        work: &Finished<'_>,
    ) -> Option<SpanRef> {
        let _ = (record, source, work);
        None
    }

    /// Hands the batch to the outbox.
    pub fn flush(&mut self) {}

    /// What ages.
    pub fn tick(&mut self, now: crate::clock::UnixNanos) {
        let _ = now;
    }
}
