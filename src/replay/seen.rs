//! Decodes spans from the bytes that a collector would have received, for display.

use crate::clock::UnixNanos;
use crate::otlp::{self, Value};
use crate::spans::encode::Item;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// How many spans are kept in full; the others are only summed up.
const KEPT_MAX: usize = 20;

/// How many span names are counted separately.
const NAMES_MAX: usize = 500;

/// Field numbers of OTLP's `Span` (opentelemetry/proto/trace/v1/trace.proto).
mod number {
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const PARENT_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START: u32 = 7;
    pub(super) const END: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
}

/// One span, reduced to what is displayed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// The W3C trace id in hexadecimal digits.
    pub trace_id: String,
    /// The W3C span id in hexadecimal digits.
    pub span_id: String,
    /// The parent's span id; empty if it has no parent.
    pub parent_id: String,
    /// The name of the span.
    pub name: String,
    /// The kind: SERVER, CLIENT or INTERNAL.
    pub kind: &'static str,
    /// The duration.
    pub took: Duration,
    /// True if the operation failed.
    pub failed: bool,
    /// The attributes, with numbers as decimal text.
    pub attributes: Vec<(String, String)>,
}

/// All spans of a replay.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Spans {
    /// The number of spans.
    pub count: u64,
    /// By kind and name: the number of spans, how many failed, and their total duration.
    pub by_name: BTreeMap<(&'static str, String), (u64, u64, Duration)>,
    /// The first spans.
    pub first: Vec<Seen>,
}

impl Spans {
    /// Adds an item from the outbox of spans.
    pub fn add(&mut self, item: &[u8]) {
        let Some(item) = Item::read(item) else { return };
        let Some(seen) = seen(&item) else { return };
        self.count += 1;
        let mut key = (seen.kind, seen.name.clone());
        if self.by_name.len() >= NAMES_MAX && !self.by_name.contains_key(&key) {
            "_other".clone_into(&mut key.1);
        }
        let (count, failed, took) = self.by_name.entry(key).or_default();
        *count += 1;
        *failed += u64::from(seen.failed);
        *took += seen.took;
        if self.first.len() < KEPT_MAX {
            self.first.push(seen);
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = if self.failed { " ERROR" } else { "" };
        write!(
            f,
            "{} {} {:?}{failed} trace={} span={}",
            self.kind, self.name, self.took, self.trace_id, self.span_id
        )?;
        if !self.parent_id.is_empty() {
            write!(f, " parent={}", self.parent_id)?;
        }
        for (key, value) in &self.attributes {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

/// Decodes one span.
fn seen(item: &Item<'_>) -> Option<Seen> {
    let mut seen = Seen { failed: item.failed, ..Seen::default() };
    let Some((_, Value::Bytes(span))) = otlp::fields(item.field).next() else { return None };
    let (mut start, mut end) = (0, 0);
    for (field, value) in otlp::fields(span) {
        match (field, value) {
            (number::TRACE_ID, Value::Bytes(id)) => seen.trace_id = hex(id),
            (number::SPAN_ID, Value::Bytes(id)) => seen.span_id = hex(id),
            (number::PARENT_ID, Value::Bytes(id)) => seen.parent_id = hex(id),
            (number::NAME, Value::Bytes(name)) => seen.name = text(name),
            (number::KIND, Value::Number(kind)) => {
                seen.kind = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT"][kind.min(3) as usize];
            }
            (number::START, Value::Number(at)) => start = at,
            (number::END, Value::Number(at)) => end = at,
            (number::ATTRIBUTES, Value::Bytes(attribute)) => {
                seen.attributes.extend(key_value(attribute));
            }
            _ => {}
        }
    }
    seen.took = UnixNanos(end).since(UnixNanos(start));
    Some(seen)
}

/// Reads `KeyValue{key=1, value=2: AnyValue{string_value=1, int_value=3}}` (common.proto).
fn key_value(message: &[u8]) -> Option<(String, String)> {
    let (mut key, mut value) = (None, None);
    for (field, part) in otlp::fields(message) {
        match (field, part) {
            (1, Value::Bytes(name)) => key = Some(text(name)),
            (2, Value::Bytes(any)) => {
                value = otlp::fields(any).next().map(|(_, value)| match value {
                    Value::Bytes(bytes) => text(bytes),
                    Value::Number(number) => number.to_string(),
                });
            }
            _ => {}
        }
    }
    Some((key?, value?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
