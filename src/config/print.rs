//! A configuration as it is used -> the file that would say the same. Values of headers are left out:
//! they are secrets. Unit: one configuration.

use super::settings::{Config, SocketSettings};
use crate::health::Signal;
use crate::health::settings::Ratio;
use crate::rules::settings::{MetricKind, MetricSettings, RuleSettings, ValueSettings};
use crate::spans::Operation;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::time::Duration;

/// The file that says what `config` is.
pub fn print(config: &Config) -> String {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = settings(&mut out, config);
    out
}

fn settings(out: &mut String, config: &Config) -> std::fmt::Result {
    let limits = [
        format!("line_bytes_max: {}", config.line_bytes_max),
        format!("connections_max: {}", config.connections_max),
    ];
    writeln!(out, "enabled: {}", config.enabled)?;
    writeln!(out, "socket: {}", socket(&config.socket, &limits))?;
    writeln!(out, "datagram_socket: {}", socket(&config.datagram_socket, &[]))?;
    writeln!(out, "listen: {}", quoted(&config.listen.address.to_string()))?;
    if let Some(fallback) = config.listen.fallback {
        writeln!(out, "# {fallback} if that port is taken")?;
    }
    writeln!(out, "mode: {}", config.mode.name())?;
    writeln!(out, "grace_seconds: {}", duration(config.grace))?;
    writeln!(out, "stdin: {}", config.stdin)?;
    writeln!(out, "passthrough: \"{}\"", config.passthrough.name())?;
    writeln!(out, "log_level: {}", config.log_level.name())?;
    writeln!(out, "time_zone: {}", quoted(&zone(&config.time_zone)))?;
    writeln!(out, "service: {}", quoted(&config.resource.service_name))?;
    for (key, value) in &config.resource.attributes {
        writeln!(out, "# {key}={}", quoted(value))?;
    }
    metrics(out, config)?;
    health(out, config)?;
    let traces = config.traces;
    writeln!(
        out,
        "traces: {{enabled: {}, internal_spans: {}, exception_text: {}}}",
        traces.enabled, traces.spans.internal, traces.spans.exception_text
    )?;
    export(out, config)?;
    let last = config.final_scrape;
    writeln!(out, "final_scrape: {{wait: {}, scrapers: {}}}", duration(last.wait), last.scrapers)?;
    if !config.rules.own.is_empty() {
        writeln!(out, "rules:")?;
    }
    config.rules.own.iter().try_for_each(|one| rule(out, one))
}

fn socket(socket: &SocketSettings, limits: &[String]) -> String {
    let mut pairs = Vec::new();
    if let Some(path) = &socket.path {
        pairs.push(format!("path: {}", quoted(&path.to_string_lossy())));
    }
    pairs.push(format!("mode: \"{:04o}\"", socket.mode));
    pairs.extend(socket.group.iter().map(|group| format!("group: {}", quoted(group))));
    pairs.extend_from_slice(limits);
    format!("{{{}}}", pairs.join(", "))
}

fn metrics(out: &mut String, config: &Config) -> std::fmt::Result {
    let (rules, limits) = (&config.rules, config.limits);
    writeln!(out, "metrics:\n  prefix: {}", quoted(&rules.prefix))?;
    let groups = rules.groups;
    writeln!(
        out,
        "  groups: {{http: {}, database: {}, log: {}, functions: {}}}",
        groups.http, groups.database, groups.log, groups.functions
    )?;
    let routes = rules.routes_max.map(|routes| format!("routes: {routes}, ")).unwrap_or_default();
    writeln!(
        out,
        "  limits: {{{routes}series: {}, label_sets: {}, label_value_bytes: {}}}",
        limits.series_max, limits.label_sets_max, limits.label_value_bytes_max
    )?;
    writeln!(out, "  created_timestamps: {}", config.created_timestamps)
}

fn health(out: &mut String, config: &Config) -> std::fmt::Result {
    let health = &config.health;
    writeln!(out, "health:\n  window: {}", duration(health.window))?;
    writeln!(out, "  error_ratio: {}", ratio(health.errors))?;
    writeln!(out, "  http_error_ratio: {}", ratio(health.http_errors))?;
    writeln!(out, "  fatal: {}", duration(health.fatal_for))?;
    writeln!(out, "  recover: {}", duration(health.recover_after))?;
    if let Some(beat) = health.heartbeat {
        let (every, grace) = (duration(beat.every), duration(beat.grace));
        writeln!(out, "  heartbeat: {{every: {every}, grace: {grace}}}")?;
    }
    Ok(())
}

fn ratio(ratio: Ratio) -> String {
    let Ratio { warn, fail, events_min } = ratio;
    format!("{{warn: {warn}, fail: {fail}, events_min: {events_min}}}")
}

fn export(out: &mut String, config: &Config) -> std::fmt::Result {
    let export = &config.export;
    writeln!(out, "export:")?;
    if let Some(endpoint) = &export.endpoint {
        writeln!(out, "  endpoint: {}", quoted(endpoint))?;
    }
    writeln!(out, "  protocol: {}", export.protocol.name())?;
    if !export.headers.is_empty() {
        writeln!(out, "  headers:")?;
    }
    for (name, _) in &export.headers {
        writeln!(out, "    {}: \"***\"", quoted(name))?;
    }
    writeln!(out, "  timeout: {}", duration(export.timeout))?;
    writeln!(out, "  queue_spans_max: {}", export.queue_spans_max)?;
    writeln!(out, "  batch_spans_max: {}", export.batch_spans_max)?;
    writeln!(out, "  delay: {}", duration(export.delay))
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

/// A string as JSON writes it, which YAML reads.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, length) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanos.is_multiple_of(length) {
            return format!("{}{unit}", nanos / length);
        }
    }
    format!("{nanos}ns")
}

fn zone(zone: &TimeZone) -> String {
    if *zone == TimeZone::UTC {
        return "UTC".to_owned();
    }
    if let Some(name) = zone.iana_name() {
        return name.to_owned();
    }
    let seconds = zone.to_fixed_offset().map_or(0, jiff::tz::Offset::seconds);
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
