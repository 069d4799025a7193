//! A configuration as it is used -> the file that would say the same. Values of headers are left out:
//! they are secrets. Unit: one configuration.

use super::kind::quoted;
use super::settings::Config;
use super::table;
use crate::health::Signal;
use crate::rules::settings::{MetricKind, MetricSettings, RuleSettings, ValueSettings};
use crate::spans::Operation;
use std::fmt::Write;

/// The file that says what `config` is.
pub fn print(config: &Config) -> String {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = settings(&mut out, config);
    out
}

fn settings(out: &mut String, config: &Config) -> std::fmt::Result {
    let mut open: Vec<&str> = Vec::new();
    for setting in table::ALL.iter().filter(|setting| setting.in_file) {
        let mut keys: Vec<&str> = setting.path.split('.').collect();
        let Some(key) = keys.pop() else { continue };
        let common = keys.iter().zip(&open).take_while(|(key, open)| key == open).count();
        for (depth, group) in keys.iter().enumerate().skip(common) {
            writeln!(out, "{}{group}:", "  ".repeat(depth))?;
        }
        let indent = "  ".repeat(keys.len());
        match (setting.shown)(config) {
            Some(value) => writeln!(out, "{indent}{key}: {value}")?,
            None => writeln!(out, "{indent}# {key}: unset")?,
        }
        open = keys;
    }
    if let Some(fallback) = config.listen.fallback {
        writeln!(out, "# listen: {fallback} if that port is taken")?;
    }
    for (key, value) in &config.resource.attributes {
        writeln!(out, "# resource attribute {key}={}", quoted(value))?;
    }
    for setting in table::ALL.iter().filter(|setting| !setting.in_file) {
        let value = (setting.shown)(config).unwrap_or_else(|| "unset".to_owned());
        writeln!(out, "# {}: {value}", setting.variable.unwrap_or(setting.path))?;
    }
    if !config.rules.own.is_empty() {
        writeln!(out, "rules:")?;
    }
    config.rules.own.iter().try_for_each(|one| rule(out, one))
}

fn rule(out: &mut String, rule: &RuleSettings) -> std::fmt::Result {
    writeln!(out, "  - name: {}", quoted(&rule.name))?;
    if let Some(when) = &rule.when {
        writeln!(out, "    when: {}", quoted(when))?;
    }
    if let Some(extract) = &rule.extract {
        let field = extract.field.as_ref().map(|field| format!("field: {}, ", quoted(field)));
        let field = field.unwrap_or_default();
        writeln!(out, "    extract: {{{field}pattern: {}}}", quoted(&extract.pattern))?;
    }
    if !rule.metrics.is_empty() {
        writeln!(out, "    metrics:")?;
    }
    for one in &rule.metrics {
        writeln!(out, "      - {}", metric(one))?;
    }
    if let Some(span) = &rule.span {
        let operation = match span.operation {
            Operation::Request => "request",
            Operation::Query => "query",
            Operation::Internal => "internal",
        };
        writeln!(out, "    span: {operation}")?;
    }
    match &rule.health {
        Some(Signal::Heartbeat) => writeln!(out, "    health: heartbeat"),
        None => Ok(()),
    }
}

fn metric(metric: &MetricSettings) -> String {
    let mut pairs = vec![format!("name: {}", quoted(&metric.name))];
    pairs.push(format!("help: {}, unit: {}", quoted(&metric.help), quoted(&metric.unit)));
    let kind = match &metric.kind {
        MetricKind::Counter { by } => {
            pairs.extend(by.as_ref().map(|by| format!("by: {}", value(by))));
            "counter"
        }
        MetricKind::Gauge { value: of, add } => {
            pairs.push(format!("value: {}, add: {add}", value(of)));
            "gauge"
        }
        MetricKind::Histogram { value: of, buckets } => {
            pairs.push(format!("value: {}, buckets: {buckets:?}", value(of)));
            "histogram"
        }
    };
    let label = |(name, of): &(String, ValueSettings)| format!("{name}: {}", value(of));
    let labels: Vec<_> = metric.labels.iter().map(label).collect();
    format!("{kind}: {{{}, labels: {{{}}}}}", pairs.join(", "), labels.join(", "))
}

fn value(value: &ValueSettings) -> String {
    match value {
        ValueSettings::Field(name) => format!("{{field: {}}}", quoted(name)),
        ValueSettings::Constant(text) => format!("{{value: {}}}", quoted(text)),
        ValueSettings::Capture(name) => format!("{{capture: {}}}", quoted(name)),
    }
}
