//! Encodes one span for the outbox: a small header that `export` groups by, then the bytes of
//! OTLP's `ScopeSpans.spans` (field 2), written directly into the thread's chunk. Nothing is
//! allocated once the chunk has grown. Unit: one span.

use crate::clock::UnixNanos;
use crate::otlp;
use crate::outbox::Chunk;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};

/// Maximum number of bytes of an attribute value, a name or a service; a longer one is cut at a
/// character. Names come from templates and identifiers, which are shorter. The limit keeps a span
/// without the text of an exception below 2 KiB.
pub const TEXT_BYTES_MAX: usize = 128;
/// Maximum number of bytes of an exception's message; a longer text adds nothing useful.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// Maximum number of bytes of a stack trace. It keeps the first frames; a recursion repeats the
/// same ones.
const STACKTRACE_BYTES_MAX: usize = 16 * 1024;
/// Trace id, end time, status, length of the service's name.
const HEADER_BYTES: usize = 16 + 8 + 1 + 1;
const _: () = assert!(TEXT_BYTES_MAX <= u8::MAX as usize, "the header says the length in a byte");

/// OTLP's Status.code for an error.
const STATUS_ERROR: u64 = 2;

/// The exception of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception<'a> {
    /// `exception.type`.
    pub kind: &'a str,
    /// `exception.message`; empty unless the user allowed it to leave.
    pub message: &'a str,
    /// `exception.stacktrace`; empty unless the user allowed it to leave.
    pub stacktrace: &'a str,
}

/// One attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute<'a> {
    /// A string; an empty one is omitted.
    Text(&'static str, &'a str),
    /// A number; zero is omitted.
    Number(&'static str, u32),
}

/// The contents of one span.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// Its service; empty for the resource's own.
    pub service: &'a str,
    /// Its trace id.
    pub trace_id: TraceId,
    /// Its span id.
    pub span_id: SpanId,
    /// Its parent's span id; [`SpanId::INVALID`] for none.
    pub parent_id: SpanId,
    /// The two halves of its name, separated by a blank if neither is empty.
    pub name: (&'a str, &'a str),
    /// Its kind: SERVER, CLIENT or INTERNAL.
    pub kind: SpanKind,
    /// When the work began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// Its attributes.
    pub attributes: &'a [Attribute<'a>],
    /// Its exception, recorded at the end of the work.
    pub exception: Option<Exception<'a>>,
    /// Whether its status is ERROR.
    pub failed: bool,
}

/// A decoded item of the outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// Its trace id.
    pub trace_id: [u8; 16],
    /// When the work ended.
    pub end: UnixNanos,
    /// Whether its status is ERROR.
    pub failed: bool,
    /// Its service; empty for the resource's own.
    pub service: &'a str,
    /// OTLP's `ScopeSpans.spans`, with tag and length.
    pub field: &'a [u8],
}

impl Item<'_> {
    /// Decodes an item. Returns `None` for bytes that [`write`] has not written.
    pub fn read(bytes: &[u8]) -> Option<Item<'_>> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let (service, field) = rest.split_at_checked(header[25] as usize)?;
        Some(Item {
            trace_id: header[..16].try_into().ok()?,
            end: UnixNanos(u64::from_le_bytes(header[16..24].try_into().ok()?)),
            failed: header[24] != 0,
            service: std::str::from_utf8(service).ok()?,
            field,
        })
    }
}

/// Appends a span to the chunk.
pub fn write(chunk: &mut Chunk, span: &Span<'_>) {
    let out = &mut chunk.bytes;
    let service = cut(span.service, TEXT_BYTES_MAX);
    out.extend_from_slice(&span.trace_id.to_bytes());
    out.extend_from_slice(&span.end.0.to_le_bytes());
    out.push(u8::from(span.failed));
    out.push(service.len() as u8);
    out.extend_from_slice(service.as_bytes());
    let message = otlp::open(out, 2);
    otlp::bytes(out, 1, &span.trace_id.to_bytes());
    otlp::bytes(out, 2, &span.span_id.to_bytes());
    if span.parent_id != SpanId::INVALID {
        otlp::bytes(out, 4, &span.parent_id.to_bytes());
    }
    name(out, span.name);
    otlp::uint(out, 6, kind(&span.kind));
    otlp::fixed64(out, 7, span.start.0);
    otlp::fixed64(out, 8, span.end.0);
    for attribute in span.attributes {
        match *attribute {
            Attribute::Text(key, value) if !value.is_empty() => {
                otlp::text_attribute(out, 9, key, cut(value, TEXT_BYTES_MAX));
            }
            Attribute::Number(key, value) if value != 0 => {
                otlp::uint_attribute(out, 9, key, value);
            }
            Attribute::Text(..) | Attribute::Number(..) => {}
        }
    }
    if let Some(exception) = &span.exception {
        event(out, span.end, exception);
    }
    if span.failed {
        let status = otlp::open(out, 15);
        otlp::uint(out, 3, STATUS_ERROR);
        otlp::close(out, status);
    }
    otlp::close(out, message);
    chunk.end_item();
}

/// Returns OTLP's number of a span kind.
fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn name(out: &mut Vec<u8>, (first, second): (&str, &str)) {
    let (first, second) = (cut(first, TEXT_BYTES_MAX), cut(second, TEXT_BYTES_MAX));
    if first.is_empty() || second.is_empty() {
        return otlp::bytes(out, 5, if first.is_empty() { second } else { first }.as_bytes());
    }
    let field = otlp::open(out, 5);
    out.extend_from_slice(first.as_bytes());
    out.push(b' ');
    out.extend_from_slice(second.as_bytes());
    otlp::close(out, field);
}

/// Writes the event of an exception (OpenTelemetry semantic conventions, exceptions in spans).
fn event(out: &mut Vec<u8>, at: UnixNanos, exception: &Exception<'_>) {
    let event = otlp::open(out, 11);
    otlp::fixed64(out, 1, at.0);
    otlp::bytes(out, 2, b"exception");
    for (key, value, bytes_max) in [
        ("exception.type", exception.kind, TEXT_BYTES_MAX),
        ("exception.message", exception.message, MESSAGE_BYTES_MAX),
        ("exception.stacktrace", exception.stacktrace, STACKTRACE_BYTES_MAX),
    ] {
        if !value.is_empty() {
            otlp::text_attribute(out, 3, key, cut(value, bytes_max));
        }
    }
    otlp::close(out, event);
}

/// Returns the beginning of `text`, at most `bytes_max` bytes, cut at a character.
#[inline]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max { text } else { &text[..text.floor_char_boundary(bytes_max)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1 as proto;
    use proptest::prelude::*;
    use prost::Message;

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(any_value::Value::StringValue(value.to_owned()));
        KeyValue { key: key.into(), value: Some(AnyValue { value }), ..Default::default() }
    }

    fn number(key: &str, value: i64) -> KeyValue {
        let value = Some(any_value::Value::IntValue(value));
        KeyValue { key: key.into(), value: Some(AnyValue { value }), ..Default::default() }
    }

    fn decode(field: &[u8]) -> proto::Span {
        let mut spans = proto::ScopeSpans::decode(field).expect("legal protobuf").spans;
        assert_eq!(spans.len(), 1);
        spans.remove(0)
    }

    proptest! {
        /// Guarantees: prost decodes every span to the fields that were given, and the header
        /// agrees.
        #[test]
        fn property_prost_reads_the_span(
            trace in 1u128.., id in 1u64.., parent: u64, start: u64, end: u64, status: u32,
            failed: bool, names in ("[a-z]{0,9}", "[/a-z]{0,140}"), service in "[a-z]{0,140}",
            value in ".{0,80}", exception in prop::option::of(("[A-Z]{1,9}", ".{0,50}", ".{0,50}")),
        ) {
            let attributes =
                [Attribute::Text("http.route", &value), Attribute::Number("http.status", status)];
            let span = Span {
                service: &service,
                trace_id: TraceId::from_bytes(trace.to_be_bytes()),
                span_id: SpanId::from_bytes(id.to_be_bytes()),
                parent_id: SpanId::from_bytes(parent.to_be_bytes()),
                name: (&names.0, &names.1),
                kind: SpanKind::Client,
                start: UnixNanos(start),
                end: UnixNanos(end),
                attributes: &attributes,
                exception: exception.as_ref().map(|(kind, message, stacktrace)| {
                    Exception { kind, message, stacktrace }
                }),
                failed,
            };
            let mut chunk = Chunk::default();
            write(&mut chunk, &span);
            let item = Item::read(&chunk.bytes).expect("what was written");
            prop_assert_eq!(item.trace_id, trace.to_be_bytes());
            prop_assert_eq!((item.end, item.failed), (UnixNanos(end), failed));
            prop_assert_eq!(item.service, cut(&service, 128));
            let short = |text: &str| text.chars().take(128).collect::<String>();
            let name = format!("{} {}", names.0, short(&names.1)).trim().to_owned();
            let mut attributes = Vec::new();
            if !value.is_empty() {
                attributes.push(text("http.route", cut(&value, 128)));
            }
            if status != 0 {
                attributes.push(number("http.status", i64::from(status)));
            }
            let events = exception.iter().map(|(kind, message, stack)| proto::span::Event {
                time_unix_nano: end,
                name: "exception".into(),
                attributes: [("type", kind), ("message", message), ("stacktrace", stack)]
                    .iter()
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(key, value)| text(&format!("exception.{key}"), value))
                    .collect(),
                dropped_attributes_count: 0,
            });
            let expected = proto::Span {
                trace_id: trace.to_be_bytes().to_vec(),
                span_id: id.to_be_bytes().to_vec(),
                parent_span_id: if parent == 0 { vec![] } else { parent.to_be_bytes().to_vec() },
                name,
                kind: proto::span::SpanKind::Client as i32,
                start_time_unix_nano: start,
                end_time_unix_nano: end,
                attributes,
                events: events.collect(),
                status: failed.then(|| proto::Status {
                    message: String::new(),
                    code: proto::status::StatusCode::Error as i32,
                }),
                ..Default::default()
            };
            prop_assert_eq!(decode(item.field), expected);
        }
    }

    #[test]
    fn every_kind_has_the_number_of_the_protocol() {
        for (ours, theirs) in [
            (SpanKind::Internal, proto::span::SpanKind::Internal),
            (SpanKind::Server, proto::span::SpanKind::Server),
            (SpanKind::Client, proto::span::SpanKind::Client),
            (SpanKind::Producer, proto::span::SpanKind::Producer),
            (SpanKind::Consumer, proto::span::SpanKind::Consumer),
        ] {
            assert_eq!(kind(&ours), theirs as u64);
        }
    }

    #[test]
    fn damaged_items_are_none() {
        for bytes in [&[0u8; 10][..], &[9; 26], &[255; 27]] {
            assert_eq!(Item::read(bytes), None);
        }
    }
}
