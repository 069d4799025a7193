//! Prints a configuration as the file that would produce it, without the values of headers, which
//! are secrets. Unit: one configuration.

use super::kind::{SettingKind, Zone, quoted};
use super::settings::Config;
use super::table;
use crate::health::Signal;
use crate::rules::settings::{
    FormatSettings, MetricKind, MetricSettings, RuleSettings, ValueSettings,
};
use crate::spans::Operation;
use std::fmt::Write;

/// Returns the file that would produce `config`.
pub(crate) fn print(config: &Config) -> String {
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
    if !config.rules.formats.is_empty() {
        writeln!(out, "formats:")?;
    }
    config.rules.formats.iter().try_for_each(|one| format_of_lines(out, one))?;
    if !config.rules.own.is_empty() {
        writeln!(out, "rules:")?;
    }
    config.rules.own.iter().try_for_each(|one| rule(out, one))
}

fn format_of_lines(out: &mut String, format: &FormatSettings) -> std::fmt::Result {
    writeln!(out, "  - name: {}", quoted(&format.name))?;
    writeln!(out, "    {}: {}", format.notation.name(), quoted(&format.pattern))?;
    let zone = format.time_zone.as_ref().and_then(<Zone as SettingKind>::show);
    let style = format.style.map(String::from);
    for (key, value) in [
        ("datefmt", format.datefmt.as_deref().map(quoted)),
        ("style", style.as_deref().map(quoted)),
        ("escape", format.escape.as_deref().map(quoted)),
        ("time_zone", zone),
    ] {
        if let Some(value) = value {
            writeln!(out, "    {key}: {value}")?;
        }
    }
    for (key, map) in
        [("fields", &format.fields), ("levels", &format.levels), ("patterns", &format.patterns)]
    {
        let pairs = map.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
        if !map.is_empty() {
            writeln!(out, "    {key}: {{{}}}", pairs.collect::<Vec<_>>().join(", "))?;
        }
    }
    Ok(())
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
