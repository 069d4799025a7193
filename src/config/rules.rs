//! Reads the list of user rules, and records the positions of their values. Unit: one rule.

use super::fault::{Fault, Level};
use super::lint;
use super::reader::{At, Reader};
use super::tree::{Node, Source, Value};
use super::units::{self, Refused};
use crate::health::Signal;
use crate::metrics::{FamilyKind, LABELS_MAX};
use crate::rules::settings::{
    ExtractSettings, MetricKind, MetricSettings, Notation, RuleError, RuleSettings,
    SECONDS_BUCKETS, ValueSettings,
};
use crate::spans::{Operation, SpanRule};
use std::collections::HashMap;

/// Maximum number of rules in a file; a thousand are expected.
const RULES_MAX: usize = 10_000;
/// Maximum number of bounds of a histogram, because each adds a series.
pub(super) const BUCKETS_MAX: usize = 64;

/// A rule as it is written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// The rule. If it has no name, it gets that of its first metric.
    pub(super) rule: RuleSettings,
    /// It has a name, by which other layers can refer to it.
    pub(super) named: bool,
    /// If false, a rule with this name in an earlier layer is switched off.
    pub(super) enabled: bool,
    /// It has an effect, besides being switched off.
    pub(super) does: bool,
}

/// The positions of the values of rules, by the paths of [`RuleError`].
#[derive(Clone, Debug, Default)]
pub(super) struct RulePositions(HashMap<String, ValuePosition>);

#[derive(Clone, Debug)]
struct ValuePosition {
    /// The value; without its contents if it is a list or a map.
    node: Node,
    /// The path in the file.
    written: String,
}

impl RulePositions {
    pub(super) fn put(&mut self, path: String, at: &At<'_>) {
        let Node { start, end, ref value } = *at.node;
        let value = match value {
            Value::Text(text) => Value::Text(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => Value::Null,
        };
        let node = Node { start, end, value };
        self.0.insert(path, ValuePosition { node, written: at.path.clone() });
    }

    /// Converts an error from compiling to a fault of the file, at its byte or at the nearest value
    /// around it.
    pub(super) fn locate(&self, source: &Source, error: &RuleError) -> Fault {
        let mut path = error.path.as_str();
        let mut found = self.0.get(path);
        while found.is_none() && !path.is_empty() {
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
            found = self.0.get(path);
        }
        let exact = path == error.path;
        let located = found.map(|ValuePosition { node, .. }| {
            let text = node.key();
            let offset = if exact { error.offset.min(text.len()) } else { 0 };
            let rest = text.get(offset..).unwrap_or_default();
            let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
            // underline a word if one begins here, else one character; underline the whole value if
            // it is not code
            let key = path.rsplit('.').next().unwrap_or_default();
            let is_format = Notation::ALL.iter().any(|notation| notation.name() == key);
            let is_code = is_format || matches!(key, "when" | "pattern" | "datefmt");
            let width = match rest.find(|c| !word(c)) {
                _ if !is_code => node.end.saturating_sub(node.start),
                Some(0) | None if rest.is_empty() => 1,
                Some(0) => 1,
                Some(width) => width,
                None => rest.len(),
            };
            let start = node.offset_in(source, offset);
            source.find(start, start + width)
        });
        let path = match found {
            Some(place) if exact => place.written.clone(),
            _ if error.path.starts_with('[') => format!("rules{}", error.path),
            _ => error.path.clone(),
        };
        Fault {
            level: Level::Error,
            path,
            message: error.message.clone(),
            hint: error.hint.clone(),
            located,
        }
    }
}

/// Reads the list of user rules, and records the positions of their values.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    places: &mut RulePositions,
) -> Vec<Written> {
    let mut rules = Vec::new();
    let list = reader.list(at);
    if list.len() > RULES_MAX {
        reader.refuse(at, format!("more than {RULES_MAX} rules"), "");
        return rules;
    }
    let mut names = HashMap::new();
    for (index, at) in list.iter().enumerate() {
        let mut rule = RuleReader { reader, places, path: format!("[{index}]") };
        rules.push(rule.rule(at, index));
        refuse_duplicate(reader, at, &mut names);
    }
    rules
}

/// Refuses a name that an earlier rule of the file has, because other layers could refer to either.
fn refuse_duplicate<'t>(
    reader: &mut Reader<'_>,
    at: &At<'t>,
    names: &mut HashMap<&'t str, &'t Node>,
) {
    let Value::Map(map) = &at.node.value else { return };
    let Some((_, name)) = map.iter().find(|(key, _)| key.key() == "name") else { return };
    if name.key().is_empty() {
        return;
    }
    if let Some(first) = names.get(name.key()) {
        let line = reader.source.find(first.start, first.end).line;
        let message = format!("the rule in line {line} has the same name `{}`", name.key());
        let at = At { node: name, path: format!("{}.name", at.path) };
        reader.refuse(&at, message, "give each rule of a file a different name");
        return;
    }
    names.insert(name.key(), name);
}

struct RuleReader<'r, 's> {
    reader: &'r mut Reader<'s>,
    places: &'r mut RulePositions,
    /// The path of the rule as in [`RuleError`].
    path: String,
}

impl RuleReader<'_, '_> {
    fn rule(&mut self, at: &At<'_>, index: usize) -> Written {
        let mut rule = RuleSettings::default();
        self.places.put(self.path.clone(), at);
        let Some(mut keys) = self.reader.keys(at) else {
            return Written { rule, named: false, enabled: true, does: false };
        };
        let switch = keys.take("enabled").and_then(|at| self.reader.parsed(&at, units::flag));
        let enabled = switch.unwrap_or(true);
        if let Some(at) = keys.take("name") {
            rule.name = self.text(&at, ".name").unwrap_or_default();
        }
        if let Some(at) = keys.take("when") {
            rule.when = self.text(&at, ".when");
        }
        if let Some(at) = keys.take("extract") {
            rule.extract = self.extract(&at);
        }
        for kind in ["counter", "gauge", "histogram"] {
            if let Some(at) = keys.take(kind) {
                self.metric(&at, kind, &mut rule.metrics);
            }
        }
        if let Some(at) = keys.take("metrics") {
            for at in self.reader.list(&at) {
                self.one_of_metrics(&at, &mut rule.metrics);
            }
        }
        if let Some(at) = keys.take("span") {
            rule.span = self.span(&at);
        }
        if let Some(at) = keys.take("health") {
            self.places.put(format!("{}.health", self.path), &at);
            let words = [("heartbeat", ())];
            let signal = self.reader.parsed(&at, |text| units::choice(text, &words));
            rule.health = signal.map(|()| Signal::Heartbeat);
        }
        self.reader.finish(&keys);
        let nothing = ["counter", "gauge", "histogram", "metrics", "span", "health"];
        let does = nothing.into_iter().any(|key| keys.take(key).is_some());
        if !does && enabled {
            let hint = "give it a counter, gauge, histogram, span or health";
            self.reader.refuse(at, "the rule does nothing", hint);
        }
        if rule.name.is_empty()
            && let Some(metric) = rule.metrics.first()
        {
            rule.name.clone_from(&metric.name);
        }
        let named = !rule.name.is_empty();
        if !named {
            rule.name = format!("rule {}", index + 1);
        }
        if !named && !enabled {
            let hint = "`name: orders` switches off the rule `orders` of an earlier layer";
            self.reader.refuse(at, "the rule that is switched off has no name", hint);
        }
        Written { rule, named, enabled, does }
    }

    fn text(&mut self, at: &At<'_>, under: &str) -> Option<String> {
        self.places.put(format!("{}{under}", self.path), at);
        self.reader.text(at).map(str::to_owned)
    }

    /// Reads a pattern for the message, or a map that names the field.
    fn extract(&mut self, at: &At<'_>) -> Option<ExtractSettings> {
        self.places.put(format!("{}.extract", self.path), at);
        if let Value::Text(pattern) = &at.node.value {
            self.places.put(format!("{}.extract.pattern", self.path), at);
            return Some(ExtractSettings { field: None, pattern: pattern.clone() });
        }
        let mut keys = self.reader.keys(at)?;
        let field = keys.take("field").and_then(|at| self.text(&at, ".extract.field"));
        let pattern = keys.take("pattern");
        self.reader.finish(&keys);
        let Some(pattern) = pattern else {
            self.reader.refuse(at, "`pattern` is missing", "as in `order (?<id>[0-9]+)`");
            return None;
        };
        let pattern = self.text(&pattern, ".extract.pattern")?;
        Some(ExtractSettings { field, pattern })
    }

    /// Reads an element of `metrics`: a map with one of three keys.
    fn one_of_metrics(&mut self, at: &At<'_>, metrics: &mut Vec<MetricSettings>) {
        let Some(mut keys) = self.reader.keys(at) else { return };
        let before = self.reader.faults.len();
        let mut found = 0;
        for kind in ["counter", "gauge", "histogram"] {
            if let Some(at) = keys.take(kind) {
                found += 1;
                self.metric(&at, kind, metrics);
            }
        }
        self.reader.finish(&keys);
        if found != 1 && self.reader.faults.len() == before {
            let hint = "as in `- counter: {name: orders_total}`";
            self.reader.refuse(at, "expected one of counter, gauge and histogram", hint);
        }
    }

    fn metric(&mut self, at: &At<'_>, kind: &'static str, metrics: &mut Vec<MetricSettings>) {
        let path = format!("{}.metrics[{}]", self.path, metrics.len());
        self.places.put(path.clone(), at);
        let outer = std::mem::replace(&mut self.path, path);
        if let Some(metric) = self.metric_inner(at, kind) {
            metrics.push(metric);
        }
        self.path = outer;
    }

    fn metric_inner(&mut self, at: &At<'_>, kind: &str) -> Option<MetricSettings> {
        let mut keys = self.reader.keys(at)?;
        let name = keys.take("name");
        let help = keys.take("help").and_then(|at| self.text(&at, ".help"));
        let unit = keys.take("unit").and_then(|at| {
            self.places.put(format!("{}.unit", self.path), &at);
            self.reader.parsed(&at, unit)
        });
        let labels = keys.take("labels").map(|at| self.labels(&at)).unwrap_or_default();
        let kind = match kind {
            "counter" => {
                let by = keys.take("by").and_then(|at| self.value(&at, ".by", true));
                Some(MetricKind::Counter { by })
            }
            "gauge" => {
                let add = keys.take("add").and_then(|at| self.reader.parsed(&at, units::flag));
                let value = keys.take("value").map(|at| self.value(&at, ".value", true));
                let value = self.require_value(at, value)?;
                value.map(|value| MetricKind::Gauge { value, add: add.unwrap_or(false) })
            }
            _ => {
                let buckets = keys.take("buckets").map(|at| self.buckets(&at));
                let buckets = buckets.unwrap_or_else(|| SECONDS_BUCKETS.to_vec());
                let value = keys.take("value").map(|at| self.value(&at, ".value", true));
                let value = self.require_value(at, value)?;
                value.map(|value| MetricKind::Histogram { value, buckets })
            }
        };
        self.reader.finish(&keys);
        let Some(name) = name else {
            self.reader.refuse(at, "`name` is missing", "as in `name: orders_total`");
            return None;
        };
        self.places.put(format!("{}.name", self.path), &name);
        let name = self.reader.parsed(&name, metric_name)?;
        let (help, unit) = (help.unwrap_or_default(), unit.unwrap_or_default());
        let is_histogram = matches!(kind, Some(MetricKind::Histogram { .. }));
        if is_histogram && labels.iter().any(|(label, _)| label == "le") {
            self.reader.refuse(at, "`le` is the label of the buckets", "choose another name");
        }
        Some(MetricSettings { kind: kind?, name, help, unit, labels })
    }

    /// Records a missing `value`; an outer `None` ends the metric.
    #[allow(clippy::option_option)] // absent, present and wrong, present and right
    fn require_value(
        &mut self,
        at: &At<'_>,
        value: Option<Option<ValueSettings>>,
    ) -> Option<Option<ValueSettings>> {
        if value.is_none() {
            let hint = "name the field that contains it, as in `value: duration_ms`";
            self.reader.refuse(at, "`value` is missing", hint);
        }
        value
    }

    fn labels(&mut self, at: &At<'_>) -> Vec<(String, ValueSettings)> {
        self.places.put(format!("{}.labels", self.path), at);
        let mut labels = Vec::new();
        let Some(keys) = self.reader.keys(at) else { return labels };
        let all = keys.all();
        if all.len() > LABELS_MAX {
            self.reader.refuse(at, format!("more than {LABELS_MAX} labels"), "");
        }
        for (key, value) in all {
            let name = key.key();
            let at_key = At { node: key, path: value.path.clone() };
            if let Err(refused) = label_name(name) {
                self.reader.fault(Level::Error, &at_key, refused.message, refused.hint);
            }
            let source = self.value(&value, &format!(".labels.{name}"), false);
            if let Some((message, hint)) = lint::scraper_label(name) {
                self.reader.fault(Level::Warning, &at_key, message, Some(hint));
            }
            if let Some(ValueSettings::Field(field)) = &source
                && let Some((message, hint)) = lint::free_text(field)
            {
                self.reader.fault(Level::Warning, &value, message, Some(hint));
            }
            if let Some(source) = source {
                labels.push((name.to_owned(), source));
            }
        }
        labels
    }

    /// Reads a field name, or a map with one of `field`, `value` and `capture`, or a number if
    /// `number` is set.
    fn value(&mut self, at: &At<'_>, under: &str, number: bool) -> Option<ValueSettings> {
        self.places.put(format!("{}{under}", self.path), at);
        if let Value::Text(text) = &at.node.value {
            let is_number = text.parse::<f64>().is_ok();
            if text.is_empty() || (is_number && !number) {
                let hint = format!("write a constant as {{value: \"{text}\"}}");
                self.reader.refuse(at, format!("`{text}` is not a field name"), &hint);
                return None;
            }
            let text = text.clone();
            let constant = is_number && number;
            let of = if constant { ValueSettings::Constant } else { ValueSettings::Field };
            return Some(of(text));
        }
        let mut keys = self.reader.keys(at)?;
        let before = self.reader.faults.len();
        let mut found = Vec::new();
        for key in ["field", "value", "capture"] {
            let Some(at) = keys.take(key) else { continue };
            let Some(text) = self.reader.text(&at).map(str::to_owned) else { continue };
            found.push(match key {
                "field" => ValueSettings::Field(text),
                "value" => ValueSettings::Constant(text),
                _ => ValueSettings::Capture(text),
            });
        }
        self.reader.finish(&keys);
        if found.len() != 1 && self.reader.faults.len() == before {
            let hint = "write a field name, {value: constant} or {capture: group}";
            self.reader.refuse(at, "expected one of field, value and capture", hint);
        }
        found.pop()
    }

    fn buckets(&mut self, at: &At<'_>) -> Vec<f64> {
        self.places.put(format!("{}.buckets", self.path), at);
        buckets(self.reader, at)
    }

    fn span(&mut self, at: &At<'_>) -> Option<SpanRule> {
        self.places.put(format!("{}.span", self.path), at);
        let words = [
            ("request", Operation::Request),
            ("query", Operation::Query),
            ("internal", Operation::Internal),
        ];
        let mut of = |at: &At<'_>| self.reader.parsed(at, |text| units::choice(text, &words));
        if let Value::Text(_) = at.node.value {
            return of(at).map(|operation| SpanRule { operation });
        }
        let mut keys = self.reader.keys(at)?;
        let operation = keys.take("operation");
        self.reader.finish(&keys);
        let Some(operation) = operation else {
            self.reader.refuse(at, "`operation` is missing", "one of request, query, internal");
            return None;
        };
        let operation = self.reader.parsed(&operation, |text| units::choice(text, &words))?;
        Some(SpanRule { operation })
    }
}

/// Parses a prefix of metric names; it may be empty.
pub(super) fn prefix(text: &str) -> Result<String, Refused> {
    if text.is_empty() { Ok(String::new()) } else { metric_name(text) }
}

/// Parses the user's name of a built-in family; adds the suffix of a counter.
pub(super) fn name_of(kind: &FamilyKind, text: &str) -> Result<String, Refused> {
    let mut name = metric_name(text)?;
    let is_counter = matches!(kind, FamilyKind::Counter | FamilyKind::FloatCounter);
    match (is_counter, name.ends_with("_total")) {
        (true, false) => name.push_str("_total"),
        (false, true) => {
            let message = format!("`{text}` ends in _total, and the metric is a {}", kind.word());
            return Err(Refused::new(message, "only the names of counters end in _total"));
        }
        (true, true) | (false, false) => {}
    }
    Ok(name)
}

fn metric_name(text: &str) -> Result<String, Refused> {
    if text.starts_with("sidelight_") {
        let hint = "names that start with sidelight_ are reserved for sidelight's own metrics";
        return Err(Refused::new(format!("`{text}` is reserved"), hint));
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    if !text.bytes().all(inner) || text.bytes().next().is_none_or(|b| b.is_ascii_digit()) {
        let hint = "use letters, digits and _, and no digit first";
        return Err(Refused::new(format!("`{text}` is not a valid metric name"), hint));
    }
    Ok(text.to_owned())
}

fn label_name(text: &str) -> Result<(), Refused> {
    if text.starts_with("__") {
        let hint = "names that start with __ are reserved for Prometheus";
        return Err(Refused::new(format!("`{text}` is not a valid label name"), hint));
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.bytes().all(inner) || text.bytes().next().is_none_or(|b| b.is_ascii_digit()) {
        let hint = "use letters, digits and _, and no digit first";
        return Err(Refused::new(format!("`{text}` is not a valid label name"), hint));
    }
    Ok(())
}

fn unit(text: &str) -> Result<String, Refused> {
    let base = match text {
        "s" | "sec" | "ms" | "milliseconds" | "us" | "ns" | "minutes" => Some("seconds"),
        "B" | "kb" | "KiB" | "kilobytes" | "MiB" => Some("bytes"),
        "%" | "percent" => Some("ratio"),
        _ => None,
    };
    if let Some(base) = base {
        let hint = format!("Prometheus expects base units: did you mean `{base}`?");
        return Err(Refused::new(format!("`{text}` is not a base unit"), hint));
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Refused::new(
            format!("`{text}` is not a valid unit"),
            "as in seconds or bytes",
        ));
    }
    Ok(text.to_owned())
}

/// Reads the bounds of the buckets of a histogram.
pub(super) fn buckets(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<f64> {
    let list = reader.list(at);
    if list.is_empty() || list.len() > BUCKETS_MAX {
        let message = format!("expected 1 to {BUCKETS_MAX} bounds");
        reader.refuse(at, message, "as in [0.1, 0.5, 1, 5]; +Inf is added automatically");
    }
    let mut bounds: Vec<f64> = Vec::new();
    for at in &list {
        let Some(bound) = reader.number(at) else { continue };
        if bounds.last().is_some_and(|last| *last >= bound) {
            let hint = "each bound must be larger than the one before";
            reader.refuse(at, "the bounds do not ascend", hint);
        }
        bounds.push(bound);
    }
    bounds
}
