//! Explains a record for `sidelight explain`: which of its fields are used, which operation it
//! reports, and what each rule makes of it. It calls the functions that compute labels and values in
//! a running sidecar and only words their results. Unit: one record.

use super::label::{self, RecordContext};
use super::plan;
use super::series::{is_duration, value};
use crate::metrics::{FamilyId, FamilySpec};
use crate::record::attempt::Trail;
use crate::record::field::{self, FieldId, Unit};
use crate::record::severity::Severity;
use crate::record::slots::{SlotValue, ValueBuffer, ValueKind};
use crate::record::{Record, number};
use crate::rules::action::{Action, Label, Measure, Value};
use crate::rules::evaluate::{Evaluation, Match};
use crate::rules::routes::{Choice, Routes};
use crate::rules::set::{Rule, RuleSet};
use crate::rules::template::{self, Decision};
use crate::spans::identify;
use crate::spans::phrase::phrase;
use std::fmt::Write as _;
use std::ops::Range;

/// A field of a record, with what is wrong with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FieldUse {
    /// OpenTelemetry's name, or the name that a rule uses.
    pub name: String,
    /// The value as it is written, without quotes and escapes.
    pub value: String,
    /// The value is text, not a number, a truth value or a tree.
    pub is_text: bool,
    /// The place of the value in the line, in bytes; `None` if the line contains it only escaped,
    /// or not at all.
    pub at: Option<Range<usize>>,
    /// The key of the line, if it differs from the name.
    pub key: Option<String>,
    /// Why the value is not used.
    pub unused: Option<String>,
}

impl FieldUse {
    /// Returns the value as `explain` shows it: text in quotes.
    pub(crate) fn shown(&self) -> String {
        if self.is_text { format!("{:?}", self.value) } else { self.value.clone() }
    }
}

/// What becomes of a segment of a path or route in a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SegmentUse {
    /// The segment as it is written.
    pub text: String,
    /// What replaces it; `None` if it stays.
    pub becomes: Option<String>,
    /// Which rule or pattern decides.
    pub reason: String,
    /// The setting that changes it; `None` if none can.
    pub setting: Option<&'static str>,
}

impl SegmentUse {
    /// Returns whether a reader may expect something else: it is replaced, it stays although it
    /// has digits, or a pattern decides.
    pub(crate) fn is_notable(&self) -> bool {
        self.becomes.is_some() || self.reason != WORD
    }

    /// Returns what becomes of it, why, and how to change that.
    pub(crate) fn shown(&self) -> String {
        let SegmentUse { text, becomes, reason, setting } = self;
        let becomes = becomes.as_ref().map_or("stays".to_owned(), |by| format!("becomes {by}"));
        match setting {
            Some(setting) => format!("{text:?} {becomes}: {reason}; `{setting}` changes it"),
            None => format!("{text:?} {becomes}: {reason}"),
        }
    }
}

/// What a rule makes of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RuleUse {
    /// The name of the rule.
    pub name: String,
    /// Why the rule does not apply; `None` if it does.
    pub refused: Option<String>,
    /// The groups of its pattern, by name.
    pub captures: Vec<(String, String)>,
    /// What each of its actions does.
    pub actions: Vec<String>,
}

impl RuleUse {
    /// Returns whether the rule applies, with its captures or the reason.
    pub(crate) fn verdict(&self) -> String {
        match &self.refused {
            Some(why) => format!("no, {why}"),
            None => self.captures.iter().fold("yes".to_owned(), |mut text, (name, value)| {
                // writing to a string does not fail
                let _ = write!(text, ", {name}={value:?}");
                text
            }),
        }
    }
}

/// The fields of a record, in the order of their numbers.
pub(crate) fn fields(rules: &RuleSet, record: &Record<'_>) -> Vec<FieldUse> {
    let all = (0..rules.fields.len() as u16).map(FieldId);
    all.filter_map(|id| {
        let entry = record.entry(id)?;
        let name = rules.fields.name(id).to_owned();
        let key = key_before(record, entry).filter(|key| *key != name).map(str::to_owned);
        let unused = unused(rules, record, id, entry, key.as_deref());
        let value = record.slice(entry).to_owned();
        let (is_text, at) = (entry.kind == ValueKind::Text, position(entry));
        Some(FieldUse { name, value, is_text, at, key, unused })
    })
    .collect()
}

/// Returns the position of a value in the line.
fn position(entry: &SlotValue) -> Option<Range<usize>> {
    let start = entry.start as usize;
    (entry.buffer == ValueBuffer::Line).then(|| start..start + entry.len as usize)
}

/// Returns the key before a value of a JSON or logfmt line.
fn key_before<'a>(record: &Record<'a>, entry: &SlotValue) -> Option<&'a str> {
    if entry.buffer != ValueBuffer::Line {
        return None;
    }
    let before = record.line().get(..entry.start as usize)?;
    let before = before.strip_suffix('"').unwrap_or(before);
    if let Some(before) = before.strip_suffix('=') {
        let start = before.rfind([' ', '\t']).map_or(0, |at| at + 1);
        return Some(&before[start..]);
    }
    let before = before.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
    Some(&before[before.rfind('"')? + 1..])
}

/// Returns the values of a structured line that cannot be read as their field.
pub(crate) fn refused(rules: &RuleSet, record: &Record<'_>, trail: &Trail) -> Vec<FieldUse> {
    let all = trail.refused.iter().map(|&(id, mut entry)| {
        if entry.buffer == ValueBuffer::Line {
            entry.start += trail.wrapper as u32;
        }
        let key = key_before(record, &entry);
        let unused = reason(rules, id, record.slice(&entry), entry.unit, key);
        FieldUse {
            name: rules.fields.name(id).to_owned(),
            value: record.slice(&entry).to_owned(),
            is_text: false,
            at: position(&entry),
            key: key.map(str::to_owned),
            unused: Some(unused),
        }
    });
    all.collect()
}

/// Returns why the value of a standard field is not used.
fn unused(
    rules: &RuleSet,
    record: &Record<'_>,
    id: FieldId,
    entry: &SlotValue,
    key: Option<&str>,
) -> Option<String> {
    let text = record.slice(entry);
    let is_used = match id {
        field::DURATION => record.seconds(id).is_some(),
        field::HTTP_STATUS => label::status_code(record).is_some(),
        field::SEVERITY => record.severity() != Severity::UNSPECIFIED,
        field::SERVICE => label::is_service(text),
        field::TRACE_ID => identify::trace_id(text).is_some(),
        field::SPAN_ID => identify::span_id(text).is_some(),
        _ => true,
    };
    (!is_used).then(|| reason(rules, id, text, entry.unit, key))
}

/// Words why a text is no value of a field.
fn reason(rules: &RuleSet, id: FieldId, text: &str, unit: Unit, key: Option<&str>) -> String {
    let reason = match id {
        field::DURATION => return no_duration(rules, text, unit, key.unwrap_or("duration")),
        field::HTTP_STATUS => "it is no status: three digits from 100 to 599",
        field::SEVERITY => "it is no level that sidelight knows",
        field::TIMESTAMP => "it is no time of this century",
        field::SERVICE => "it is no name of a service; the service of the resource counts",
        field::TRACE_ID => "it is no trace id: 32 or 16 hexadecimal digits, a UUID or a number",
        field::SPAN_ID => "it is no span id: 16 hexadecimal digits or a number",
        _ => "it is no value of this field",
    };
    reason.to_owned()
}

/// Says why a duration is not used, and which name of the key would make it one.
fn no_duration(rules: &RuleSet, text: &str, unit: Unit, key: &str) -> String {
    if number::decimal(text).is_none() || unit != Unit::None {
        return "it is no duration: a number that is not negative, with its unit".to_owned();
    }
    let name = ["_ms", "_s"].iter().map(|suffix| format!("{key}{suffix}"));
    let is_known = |name: &String| {
        rules.fields.binding(name).is_some_and(|known| known.field == field::DURATION)
    };
    let known: Vec<String> = name.filter(is_known).collect();
    let names = if known.is_empty() {
        "`duration_ms` or `duration_s`".to_owned()
    } else {
        known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
    };
    format!("the unit is missing: name the key {names}, or write the unit, as in `{text}ms`")
}

/// Says which operation the record reports, and why it reports no other: request, query, function,
/// error.
pub(crate) fn operations(rules: &RuleSet, record: &Record<'_>) -> Vec<(&'static str, String)> {
    let mut all = vec![("request", request(&rules.routes, record))];
    let query = match label::query(record) {
        Some(query) => format!("yes: {} {}", query.operation, query.table),
        None if record.text(field::DB_QUERY).is_some() => {
            "no: the statement is no SQL that sidelight reads".to_owned()
        }
        None => "no: the line has no SQL statement and no `db.operation.name`".to_owned(),
    };
    all.push(("query", query));
    let severity = record.severity();
    let function = match phrase(record.body(), severity >= Severity::WARN) {
        Some(found) => format!("yes: {:?} {:?}", found.kind, found.subject),
        None => "no: the message names no function that started, completed or failed".to_owned(),
    };
    all.push(("function", function));
    let error = if severity >= Severity::ERROR {
        format!("yes: type {}, {}", label::error_type(record), label::error_kind(record))
    } else if label::has_traceback(record) {
        format!("yes: it has a stack trace; type {}", label::error_type(record))
    } else {
        format!("no: the level is {} and there is no stack trace", severity.short_name())
    };
    all.push(("error", error));
    all
}

/// Returns whether the record is the line of a request: its status takes the place of a level.
pub(crate) fn is_request(record: &Record<'_>) -> bool {
    plan::is_request(record.present()) && label::status_code(record).is_some()
}

/// Returns what becomes of each segment of the record's route or path.
pub(crate) fn segments(rules: &RuleSet, record: &Record<'_>) -> Vec<SegmentUse> {
    let Some(path) = label::route_or_path(record) else { return Vec::new() };
    let decisions = template::explain(path, &rules.routes, &mut String::new());
    decisions.into_iter().map(|(text, decision)| segment(text, decision)).collect()
}

/// Why most segments stay.
const WORD: &str = "it is a word";

fn segment(text: &str, decision: Decision<'_>) -> SegmentUse {
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_placeholder = text.starts_with(['{', ':', '<', '[']);
    let (reason, setting) = match decision {
        Decision::Word if is_placeholder || !has_digits => {
            (WORD.to_owned(), Some("metrics.routes.fold"))
        }
        Decision::Word => {
            ("it has few digits and no form of an id".to_owned(), Some("metrics.routes.fold"))
        }
        Decision::Id(rule) => (rule.text().to_owned(), Some("metrics.routes.keep")),
        Decision::TooLong => ("the path is too deep or too long".to_owned(), None),
        Decision::Pattern(Choice::Keep(pattern)) => {
            (format!("the pattern `{pattern}`"), Some("metrics.routes.keep"))
        }
        Decision::Pattern(Choice::Fold(pattern, _) | Choice::FoldRest(pattern)) => {
            (format!("the pattern `{pattern}`"), Some("metrics.routes.fold"))
        }
    };
    let becomes = decision.replacement().map(str::to_owned);
    SegmentUse { text: text.to_owned(), becomes, reason, setting }
}

fn request(routes: &Routes, record: &Record<'_>) -> String {
    if record.present() & field::CLIENT_CALL.bit() != 0 {
        let evidence = record.text(field::CLIENT_CALL).unwrap_or_default();
        return format!("no: `{evidence}` shows that it is a call to another service");
    }
    let mut missing = Vec::new();
    if record.text(field::HTTP_METHOD).is_none() {
        missing.push("method");
    }
    let mut endpoint = String::new();
    if !label::endpoint(record, routes, &mut endpoint) {
        missing.push("path or route");
    }
    match label::status_code(record) {
        Some(_) if missing.is_empty() && !is_request(record) => {
            return "no: it has an exception and no duration, which is the line of an error; the \
                    request's own line counts"
                .to_owned();
        }
        Some(status) if missing.is_empty() => {
            let seconds = record.seconds(field::DURATION);
            let took = seconds.map_or("no duration".to_owned(), |seconds| format!("{seconds} s"));
            return format!("yes: {} {endpoint} {status}, {took}", label::method(record));
        }
        Some(_) => {}
        None => missing.push("status"),
    }
    format!("no: the line has no {}", missing.join(", no "))
}

/// Says whether a user's rule applies, and what each of its actions does.
pub(crate) fn rule(rules: &RuleSet, rule: &Rule, record: &Record<'_>, service: &str) -> RuleUse {
    let mut explained = RuleUse {
        name: rule.name.to_string(),
        refused: None,
        captures: Vec::new(),
        actions: Vec::new(),
    };
    let mut captures = None;
    let captured = match rule.criteria.evaluate(record, &mut captures) {
        Evaluation::Applies(captured) => captured,
        declined => {
            explained.refused = Some(refusal(rules, &declined));
            return explained;
        }
    };
    explained.captures = captured.as_ref().map(captures_of).unwrap_or_default();
    let context = RecordContext { record, service, routes: &rules.routes, phrase: None, captured };
    explained.actions.extend(rule.actions.iter().map(|action| match action {
        Action::Measure(measure) => measured(rules, measure, &context),
        Action::Span(_) => "requests a span".to_owned(),
        Action::Health(_) => "is a heartbeat".to_owned(),
    }));
    explained
}

/// Words why a rule does not apply.
fn refusal(rules: &RuleSet, evaluation: &Evaluation<'_>) -> String {
    match evaluation {
        Evaluation::FieldAbsent(field) => {
            format!("the field `{}` is absent", rules.fields.name(*field))
        }
        Evaluation::ConditionNotTrue => "its condition is not true".to_owned(),
        Evaluation::PatternDoesNotMatch => "its pattern does not match".to_owned(),
        Evaluation::Applies(_) => String::new(),
    }
}

fn captures_of(found: &Match<'_>) -> Vec<(String, String)> {
    let names = found.names().iter().enumerate();
    names
        .map(|(number, name)| (name.clone(), found.group(number).unwrap_or_default().to_owned()))
        .collect()
}

/// Says what a measure records: its value, its labels, and which of them are absent.
fn measured(rules: &RuleSet, measure: &Measure, context: &RecordContext<'_>) -> String {
    let Some(family) = family(rules, measure.family) else { return String::new() };
    let seconds = context.record.seconds(field::DURATION);
    let mut said = family.name.clone();
    let mut absent = Vec::new();
    let mut labels = Vec::new();
    let mut text = String::new();
    for (spec, label) in family.labels.iter().zip(&measure.labels) {
        if !context.write(label, &mut text) {
            return format!("{said}: no, the line has nothing for the label `{}`", spec.name);
        }
        if text.is_empty() {
            absent.push(absent_label(rules, &spec.name, label));
        }
        labels.push(format!("{}={text:?}", spec.name));
    }
    if !labels.is_empty() {
        // writing to a string does not fail
        let _ = write!(said, "{{{}}}", labels.join(","));
    }
    let found = value(&measure.value, context, seconds);
    match found {
        None if is_duration(measure) => said.push_str(": no, the line has no duration"),
        None => said.push_str(&no_value(rules, &measure.value, context.record)),
        Some(found) => {
            let _ = write!(said, " {found}");
        }
    }
    for absent in absent {
        said.push_str("; ");
        said.push_str(&absent);
    }
    said
}

fn absent_label(rules: &RuleSet, name: &str, label: &Label) -> String {
    match label {
        Label::Field(field) => {
            format!(
                "label `{name}` is empty: `{}` is absent or no value",
                rules.fields.name(*field)
            )
        }
        Label::Capture(_) => format!("label `{name}` is empty: its group did not match"),
        _ => format!("label `{name}` is empty"),
    }
}

fn no_value(rules: &RuleSet, value: &Value, record: &Record<'_>) -> String {
    match value {
        Value::Number(id) | Value::Seconds(id) => {
            let name = rules.fields.name(*id);
            match (record.text(*id), value) {
                (None, _) => format!(": no, the field `{name}` is absent"),
                (Some(text), Value::Seconds(_)) => {
                    let unit = record.entry(*id).map_or(Unit::None, |entry| entry.unit);
                    format!(": no, `{name}` is {text:?}: {}", no_duration(rules, text, unit, name))
                }
                (Some(text), _) => format!(": no, `{name}` is {text:?}, which is no number"),
            }
        }
        _ => ": no, its group is no number".to_owned(),
    }
}

fn family(rules: &RuleSet, id: FamilyId) -> Option<&FamilySpec> {
    rules.families.get(usize::from(id.0))
}
