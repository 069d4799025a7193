//! Effect 2: spans. A line with a duration, or a start line and its end line, becomes one OTLP
//! span. Without an endpoint no span is built. No I/O: encoded spans go to the outbox in batches.
//!
//! An allow-list limits what leaves the pod: method, route template, status, operation, table,
//! function, exception type. Never a path, a query, a statement or the text of a message; the text
//! of exceptions only if a setting allows it.
//!
//! [`identify`] decides which trace a request belongs to. If the trace id was made from an id that
//! no tracer writes, the id of the SERVER span is a hash of the trace id and the service alone, so
//! that the other spans of the request know their parent before the request has ended. The hash
//! includes the service because the same request id may pass through several services, and two
//! spans of one trace must not share an id.

pub mod assemble;
pub mod encode;
pub(crate) mod identify;
pub(crate) mod phrase;

use crate::clock::UnixNanos;
use crate::outbox::{Chunk, Outbox};
use crate::record::method::{OTHER_METHOD, known_method};
use crate::record::{Record, field};
use crate::resource::Resource;
use crate::telemetry::Telemetry;
use encode::{Attribute, Exception, Span, TEXT_BYTES_MAX, cut};
use identify::{Mix, Origin, PodScope, server_span_id};
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use prometheus::{IntCounter, IntCounterVec};
use std::sync::Arc;

/// A batch that grew beyond this size is handed over before the batch of lines ends. With one more
/// span it stays below 64 KiB, except for the text of exceptions, so that the outbox keeps its
/// memory for reuse.
const CHUNK_BYTES_MAX: usize = 60 * 1024;
/// Thirty days. A longer duration is an error in the line.
const SECONDS_MAX: f64 = 30.0 * 86_400.0;

/// The kind of work that a span represents; decides its name, kind and attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// An HTTP request served: SERVER, `{method} {route}`.
    Request,
    /// A database query: CLIENT, `{operation} {table}`.
    Query,
    /// A function, job or phrase: INTERNAL.
    Internal,
}

/// A rule's request for a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanRule {
    /// The kind of work.
    pub operation: Operation,
}

/// Work that has ended, as one line reports it (or the end line of a pair).
#[derive(Clone, Copy, Debug)]
pub struct EndedWork<'a> {
    /// The kind of work.
    pub operation: Operation,
    /// Its duration.
    pub seconds: f64,
    /// The time of its end: the line's own time if it is plausible, else the arrival time.
    pub end: UnixNanos,
    /// Route template, table, or name of the function; safe to leave the pod.
    pub subject: &'a str,
    /// HTTP method or SQL operation; empty for none.
    pub verb: &'a str,
    /// HTTP status code; 0 for none.
    pub status_code: u16,
    /// Whether the work failed.
    pub failed: bool,
    /// A user's rule requests the span, even for an application that creates its own spans.
    pub is_requested: bool,
}

/// The ids of a span that was created, for exemplars.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanRef {
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id.
    pub span_id: [u8; 8],
}

/// Settings of spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Functions, jobs and phrases also become spans, not only requests and queries.
    pub internal: bool,
    /// Message and stack trace of exceptions leave the pod together with the type. Off by default,
    /// because they may quote what a user typed.
    pub exception_text: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { internal: true, exception_text: false }
    }
}

/// Why a line does not become a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Skip {
    NoId,
    AlreadyTraced,
    Unsampled,
    BadDuration,
}

impl Skip {
    const ALL: [&'static str; 4] = ["no_id", "already_traced", "unsampled", "bad_duration"];
}

/// Trace and parent of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Context {
    trace_id: TraceId,
    parent_id: SpanId,
    origin: Origin,
}

/// Creates the spans of one data thread.
#[derive(Debug)]
pub struct SpanMaker {
    /// None if no exporter is configured.
    output: Option<Output>,
    settings: Settings,
    service: String,
    pod: PodScope,
    chunk: Chunk,
    /// Number of spans that this maker has created. It is part of the hash of an id, so that equal
    /// lines give different spans.
    sequence: u64,
    skipped: [u64; Skip::ALL.len()],
}

#[derive(Debug)]
struct Output {
    outbox: Arc<Outbox>,
    offered: IntCounter,
    dropped: IntCounterVec,
    skipped: IntCounterVec,
}

impl SpanMaker {
    /// Creates a maker that sends its spans to `outbox`.
    pub fn new(
        settings: Settings,
        resource: &Resource,
        outbox: Arc<Outbox>,
        telemetry: &Telemetry,
    ) -> SpanMaker {
        let output = Output {
            outbox,
            offered: telemetry.offered.with_label_values(&["spans"]),
            dropped: telemetry.dropped.clone(),
            skipped: telemetry.spans_skipped.clone(),
        };
        let service = resource.service_name.clone();
        let pod = PodScope::of(resource);
        SpanMaker { output: Some(output), settings, service, pod, ..SpanMaker::disabled() }
    }

    /// Creates the maker of a process without an exporter; it creates no spans.
    pub fn disabled() -> SpanMaker {
        SpanMaker {
            output: None,
            settings: Settings::default(),
            service: String::new(),
            pod: PodScope::default(),
            chunk: Chunk::default(),
            sequence: 0,
            skipped: [0; Skip::ALL.len()],
        }
    }

    /// Returns whether an exporter is configured. If not, callers need not call anything else here.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.output.is_some()
    }

    /// Creates the span of a line that reports a duration. Returns None if the line has no id that
    /// places the span in a trace, or if an instrumented application has created the span itself
    /// (counted).
    pub fn finished(
        &mut self,
        record: &Record<'_>,
        source: u64,
        work: &EndedWork<'_>,
    ) -> Option<SpanRef> {
        let wanted = self.settings.internal || work.operation != Operation::Internal;
        if !self.enabled() || !wanted {
            return None;
        }
        let context = match context(record, &self.service, &self.pod, work) {
            Ok(context) => context,
            Err(skip) => {
                self.skipped[skip as usize] += 1;
                return None;
            }
        };
        let span_id = self.span_id(&context, source, work);
        self.write(record, &context, span_id, work);
        Some(SpanRef { trace_id: context.trace_id.to_bytes(), span_id: span_id.to_bytes() })
    }

    /// Hands the batch to the outbox.
    pub fn flush(&mut self) {
        let Some(output) = &self.output else { return };
        for (count, reason) in self.skipped.iter_mut().zip(Skip::ALL) {
            if *count > 0 {
                output.skipped.with_label_values(&[reason]).inc_by(*count);
                *count = 0;
            }
        }
        if self.chunk.is_empty() {
            return;
        }
        output.offered.inc_by(self.chunk.len() as u64);
        let offered = output.outbox.offer(&mut self.chunk);
        if offered.dropped > 0 {
            output.dropped.with_label_values(&["spans", offered.reason()]).inc_by(offered.dropped);
        }
    }

    fn span_id(&mut self, context: &Context, source: u64, work: &EndedWork<'_>) -> SpanId {
        if work.operation == Operation::Request && context.origin == Origin::Made {
            return server_span_id(context.trace_id, &self.service);
        }
        self.sequence += 1;
        Mix::of(context.trace_id)
            .text(work.verb)
            .text(work.subject)
            .word(work.end.0)
            .word(source)
            .word(self.sequence)
            .span_id()
    }

    fn write(
        &mut self,
        record: &Record<'_>,
        context: &Context,
        span_id: SpanId,
        work: &EndedWork<'_>,
    ) {
        let failed = work.failed || work.status_code >= 500;
        let exception = exception(record, self.settings);
        let status_text = Digits::of(work.status_code);
        let error = if failed { error_type(record, work, &status_text) } else { "" };
        let work = &EndedWork { subject: subject(work), ..*work };
        let verb = verb(work);
        let attributes = attributes(record, work, verb, error);
        let service = record.text(field::SERVICE).or(record.envelope.tag);
        let service = service.filter(|name| is_service(name));
        let span = Span {
            service: service.filter(|name| *name != self.service).unwrap_or_default(),
            trace_id: context.trace_id,
            span_id,
            parent_id: context.parent_id,
            name: name(work, verb),
            kind: match work.operation {
                Operation::Request => SpanKind::Server,
                Operation::Query => SpanKind::Client,
                Operation::Internal => SpanKind::Internal,
            },
            start: UnixNanos(work.end.0.saturating_sub((work.seconds * 1e9) as u64)),
            end: work.end,
            attributes: &attributes,
            exception,
            failed,
        };
        encode::write(&mut self.chunk, &span);
        if self.chunk.bytes.len() >= CHUNK_BYTES_MAX {
            self.flush();
        }
    }
}

/// Returns the line's own ids, if an instrumented application wrote the line and records the trace.
/// They serve as exemplars of a line that does not become a span here.
pub fn own_ids(record: &Record<'_>) -> Option<SpanRef> {
    if record.text(field::TRACE_FLAGS).is_some_and(identify::unsampled) {
        return None;
    }
    let (trace_id, trace) = identify::trace_id(record.text(field::TRACE_ID)?)?;
    let (span_id, span) = identify::span_id(record.text(field::SPAN_ID)?)?;
    let traced = trace == Origin::Tracer && span == Origin::Tracer;
    traced.then(|| SpanRef { trace_id: trace_id.to_bytes(), span_id: span_id.to_bytes() })
}

/// Finds the trace and the parent, or the reason why there is no span.
fn context(
    record: &Record<'_>,
    service: &str,
    pod: &PodScope,
    work: &EndedWork<'_>,
) -> Result<Context, Skip> {
    if !(0.0..=SECONDS_MAX).contains(&work.seconds) {
        return Err(Skip::BadDuration);
    }
    let own = record.text(field::SPAN_ID).and_then(identify::span_id);
    let named = record.text(field::TRACE_ID).and_then(identify::trace_id);
    let traceparent = || record.text(field::TRACEPARENT).and_then(identify::traceparent);
    let (trace_id, origin, parent, sampled) = if let Some((trace_id, origin)) = named {
        (trace_id, origin, None, true)
    } else if let Some(header) = traceparent() {
        // the header arrived with the request, so its span is the caller's
        (header.trace_id, Origin::Tracer, Some(header.parent_id), header.sampled)
    } else {
        let id = record.text(field::REQUEST_ID);
        let id = id.and_then(|id| identify::request_id(id, pod));
        (id.ok_or(Skip::NoId)?, Origin::Made, None, true)
    };
    if !sampled || record.text(field::TRACE_FLAGS).is_some_and(identify::unsampled) {
        return Err(Skip::Unsampled);
    }
    let traced = named.is_some_and(|(_, origin)| origin == Origin::Tracer)
        && own.is_some_and(|(_, origin)| origin == Origin::Tracer);
    if traced && !work.is_requested {
        return Err(Skip::AlreadyTraced);
    }
    let parent = own.map(|(id, _)| id).or(parent).or_else(|| {
        let (id, _) = record.text(field::PARENT_SPAN_ID).and_then(identify::span_id)?;
        Some(id)
    });
    let parent_id = match parent {
        Some(id) => id,
        None if origin == Origin::Made && work.operation != Operation::Request => {
            server_span_id(trace_id, service)
        }
        None => SpanId::INVALID,
    };
    Ok(Context { trace_id, parent_id, origin })
}

/// Returns the method if the semantic conventions define it. Any other method becomes `_OTHER`, and
/// `HTTP` in the name of a span.
fn verb<'a>(work: &EndedWork<'a>) -> &'a str {
    match work.operation {
        Operation::Request => {
            known_method(work.verb).unwrap_or(if work.verb.is_empty() { "" } else { OTHER_METHOD })
        }
        Operation::Query if phrase::is_identifier(work.verb) => work.verb,
        Operation::Query | Operation::Internal => "",
    }
}

/// Returns the subject; for queries and functions only if it looks like a name.
fn subject<'a>(work: &EndedWork<'a>) -> &'a str {
    let is_name = || phrase::is_identifier(work.subject) && !identify::is_id(work.subject);
    match work.operation {
        Operation::Query if !phrase::is_identifier(work.subject) => "",
        Operation::Internal if !is_name() => "",
        Operation::Request | Operation::Query | Operation::Internal => work.subject,
    }
}

fn name<'a>(work: &EndedWork<'a>, verb: &'a str) -> (&'a str, &'a str) {
    match work.operation {
        Operation::Request if matches!(verb, "" | OTHER_METHOD) => ("HTTP", work.subject),
        Operation::Query if verb.is_empty() && work.subject.is_empty() => ("query", ""),
        Operation::Request | Operation::Query => (verb, work.subject),
        Operation::Internal if work.subject.is_empty() => ("work", ""),
        Operation::Internal => ("", work.subject),
    }
}

fn attributes<'a>(
    record: &'a Record<'_>,
    work: &'a EndedWork<'_>,
    verb: &'a str,
    error: &'a str,
) -> [Attribute<'a>; 4] {
    let error = Attribute::Text("error.type", error);
    match work.operation {
        Operation::Request => [
            Attribute::Text("http.request.method", verb),
            Attribute::Text("http.route", work.subject),
            Attribute::Number("http.response.status_code", u32::from(work.status_code)),
            error,
        ],
        Operation::Query => {
            let system = record.text(field::DB_SYSTEM).filter(|name| phrase::is_identifier(name));
            [
                Attribute::Text("db.operation.name", verb),
                Attribute::Text("db.collection.name", work.subject),
                Attribute::Text("db.system.name", system.unwrap_or_default()),
                error,
            ]
        }
        Operation::Internal => {
            let none = Attribute::Text("", "");
            [Attribute::Text("code.function.name", work.subject), error, none, none]
        }
    }
}

/// Returns the exception with its class, if that is a valid name, and with its text only if the
/// settings allow it.
fn exception<'a>(record: &Record<'a>, settings: Settings) -> Option<Exception<'a>> {
    let kind = record.text(field::EXCEPTION_TYPE).filter(|name| phrase::is_identifier(name));
    let text = |of| if settings.exception_text { record.text(of).unwrap_or_default() } else { "" };
    let message = text(field::EXCEPTION_MESSAGE);
    let stacktrace = text(field::EXCEPTION_STACKTRACE);
    let some = kind.is_some() || !message.is_empty() || !stacktrace.is_empty();
    some.then(|| Exception { kind: kind.unwrap_or_default(), message, stacktrace })
}

/// Returns `error.type`: the type that the line names, the exception's class, the status code, or
/// `_OTHER`.
fn error_type<'a>(record: &'a Record<'_>, work: &EndedWork<'_>, status: &'a Digits) -> &'a str {
    let named = [field::ERROR_TYPE, field::EXCEPTION_TYPE]
        .into_iter()
        .filter_map(|field| record.text(field))
        .find(|name| phrase::is_identifier(name));
    match named {
        Some(name) => name,
        None if work.status_code >= 500 => status.text(),
        None => "_OTHER",
    }
}

/// Returns whether a text can be the name of a service: short, without blanks or control
/// characters.
fn is_service(text: &str) -> bool {
    !text.is_empty()
        && cut(text, TEXT_BYTES_MAX).len() == text.len()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A small number as text, without an allocation.
#[derive(Debug)]
struct Digits {
    bytes: [u8; 5],
    start: usize,
}

impl Digits {
    fn of(mut number: u16) -> Digits {
        let mut digits = Digits { bytes: [b'0'; 5], start: 5 };
        while number > 0 {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        digits
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
