//! Prints an explanation for scripts: one JSON object per record, on one line. `docs/commands.md`
//! describes its members; they are only ever added to. Pure. Unit: one record.

use super::gather::{Explanation, Reader};
use crate::cli::scrape::sample;
use crate::health::verdict::{Status, Verdict};
use crate::pipeline::explanation::{FieldUse, RuleUse, SegmentUse};
use crate::replay::seen::Seen;
use serde_json::{Map, Value, json};

/// Returns the object of one record.
pub(super) fn object(explained: &Explanation) -> Value {
    let operations = explained.operations.iter().map(|(name, text)| {
        let (reports, text) = verdict_of(text);
        ((*name).to_owned(), json!({"reported": reports, "reason": text}))
    });
    let own = explained.own.as_ref();
    json!({
        "line": explained.line,
        "wrappers": explained.wrappers,
        "readers": explained.readers.iter().map(reader).collect::<Vec<_>>(),
        "format": explained.format,
        "own_format": own.map(|(name, _)| name),
        "malformed": explained.malformed,
        "level": explained.level,
        "severity_number": explained.severity_number,
        "level_absent": some(&explained.level_absent),
        "time": explained.time.map(|time| time.to_string()),
        "time_source": explained.time_source,
        "fields": explained.fields.iter().map(field).collect::<Vec<_>>(),
        "segments": explained.segments.iter().map(segment).collect::<Vec<_>>(),
        "operations": operations.collect::<Map<_, _>>(),
        "rules": explained.rules.iter().map(rule).collect::<Vec<_>>(),
        "series": explained.samples.iter().filter_map(|text| series(text)).collect::<Vec<_>>(),
        "span": explained.span.as_ref().ok().map(span),
        "no_span": explained.span.as_ref().err(),
        "verdict": verdict(&explained.verdict),
    })
}

/// Splits `yes: why` and `no: why`.
fn verdict_of(text: &str) -> (bool, &str) {
    match text.strip_prefix("yes: ") {
        Some(what) => (true, what),
        None => (false, text.strip_prefix("no: ").unwrap_or(text)),
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn reader(reader: &Reader) -> Value {
    let declined = reader.declined.as_ref();
    json!({
        "name": reader.name,
        "read": declined.is_none(),
        "at": declined.map(|(at, _)| at),
        "expected": declined.map(|(_, expected)| expected),
    })
}

fn field(field: &FieldUse) -> Value {
    json!({
        "name": field.name,
        "value": field.value,
        "key": field.key,
        "start": field.at.as_ref().map(|at| at.start),
        "end": field.at.as_ref().map(|at| at.end),
        "unused": field.unused,
    })
}

fn segment(segment: &SegmentUse) -> Value {
    json!({
        "text": segment.text,
        "becomes": segment.becomes,
        "reason": segment.reason,
        "setting": segment.setting,
    })
}

fn rule(rule: &RuleUse) -> Value {
    let captures = rule.captures.iter().map(|(name, text)| (name.clone(), json!(text)));
    json!({
        "name": rule.name,
        "matched": rule.refused.is_none(),
        "reason": rule.refused,
        "captures": captures.collect::<Map<_, _>>(),
        "actions": rule.actions,
    })
}

fn series(text: &str) -> Option<Value> {
    let sample = sample(text)?;
    Some(json!({"name": sample.name, "labels": sample.labels, "value": sample.value}))
}

fn span(span: &Seen) -> Value {
    let attributes = span.attributes.iter().map(|(key, value)| (key.clone(), json!(value)));
    json!({
        "kind": span.kind,
        "name": span.name,
        "seconds": span.took.as_secs_f64(),
        "failed": span.failed,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": some(&span.parent_id),
        "attributes": attributes.collect::<Map<_, _>>(),
    })
}

fn verdict(verdict: &Verdict) -> Value {
    let checks = verdict.checks.iter().map(|check| {
        json!({"name": check.name, "status": word(check.status), "reason": some(&check.reason)})
    });
    json!({"status": word(verdict.status()), "checks": checks.collect::<Vec<_>>()})
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
    }
}
