//! The built-in rules, which need no configuration. They derive from logs the metrics that Python
//! web applications expose if they are instrumented by hand, with the same names, units, labels and
//! buckets.

use super::action::{Label, MeasureKind, Value};
use super::set::On;
use super::settings::{Buckets, LabelLimits, RulesSettings};
use crate::metrics::{FamilyKind, FamilySpec, LabelSpec};
use crate::record::severity::Severity;

/// One standard measure.
#[derive(Clone, Debug)]
pub struct Standard {
    /// The name of the rule that it belongs to.
    pub rule: &'static str,
    /// The event that it applies to.
    pub on: On,
    /// The family; its name lacks the prefix.
    pub family: FamilySpec,
    /// How the value is recorded.
    pub kind: MeasureKind,
    /// The source of the value.
    pub value: Value,
    /// The sources of the labels.
    pub labels: Vec<Label>,
}

/// Returns the standard measures of the enabled groups.
pub fn measures(settings: &RulesSettings) -> Vec<Standard> {
    let RulesSettings { limits, buckets: Buckets(buckets), .. } = settings;
    let mut all = Vec::new();
    if settings.groups.log {
        all.extend(log(limits));
    }
    if settings.groups.http {
        all.extend(http(limits, buckets));
    }
    if settings.groups.database {
        all.extend(database(limits, buckets));
    }
    if settings.groups.functions {
        all.extend(functions(limits, buckets));
    }
    all
}

/// Returns the gauge of requests that have started and not ended, which pairs of lines update.
pub fn active_requests() -> FamilySpec {
    family("http_requests_active", "HTTP requests started and not yet ended.", FamilyKind::AddGauge)
}

/// Returns all built-in families, with the default settings.
pub fn families() -> Vec<FamilySpec> {
    let measured = measures(&RulesSettings::default()).into_iter().map(|measure| measure.family);
    measured.chain([active_requests()]).collect()
}

fn log(limits: &LabelLimits) -> Vec<Standard> {
    let levels = Severity::SHORT_NAMES[1..].iter().map(|&name| name.to_owned()).collect();
    let records = FamilySpec {
        labels: vec![open("service", limits.services), closed("level")],
        siblings: vec![(1, levels)],
        ..family("log_records_total", "Log records, by service and level.", FamilyKind::Counter)
    };
    let errors = FamilySpec {
        labels: vec![open("error_type", limits.error_types), closed("kind")],
        siblings: vec![(1, vec!["expected".to_owned(), "unexpected".to_owned()])],
        ..family(
            "log_errors_total",
            "Log records of level ERROR and above or with an exception; unexpected ones carry a traceback.",
            FamilyKind::Counter,
        )
    };
    vec![
        count("log_records", On::Record, records, vec![Label::Service, Label::Level]),
        count("log_errors", On::Error, errors, vec![Label::ErrorType, Label::ErrorKind]),
    ]
}

fn http(limits: &LabelLimits, buckets: &[f64]) -> Vec<Standard> {
    let requests = FamilySpec {
        labels: vec![closed("method"), open("endpoint", limits.routes), closed("status_code")],
        // The status of an unhandled exception; its series exists early, so that increase() shows
        // the first one.
        siblings: vec![(2, vec!["500".to_owned()])],
        ..family("http_requests_total", "HTTP requests.", FamilyKind::Counter)
    };
    let duration = FamilySpec {
        labels: vec![closed("method"), open("endpoint", limits.routes)],
        ..seconds("http_request_duration_seconds", "Duration of HTTP requests.", buckets)
    };
    let labels = vec![Label::Method, Label::Endpoint, Label::StatusCode];
    vec![
        count("http_requests", On::Request, requests, labels),
        observe("http_requests", On::Request, duration, vec![Label::Method, Label::Endpoint]),
    ]
}

fn database(limits: &LabelLimits, buckets: &[f64]) -> Vec<Standard> {
    let queries = FamilySpec {
        labels: vec![closed("operation"), open("table", limits.routes)],
        ..family("database_queries_total", "Database queries.", FamilyKind::Counter)
    };
    let duration =
        seconds("database_query_duration_seconds", "Duration of database queries.", buckets);
    vec![
        count("database_queries", On::Query, queries, vec![Label::DbOperation, Label::DbTable]),
        observe("database_queries", On::Query, duration, Vec::new()),
    ]
}

fn functions(limits: &LabelLimits, buckets: &[f64]) -> Vec<Standard> {
    let duration = FamilySpec {
        labels: vec![open("function", limits.routes)],
        ..seconds(
            "function_duration_seconds",
            "Duration of functions, as their log lines tell it.",
            buckets,
        )
    };
    let failures = FamilySpec {
        labels: vec![open("function", limits.routes)],
        ..family(
            "function_failures_total",
            "Functions that failed, as their log lines tell it.",
            FamilyKind::Counter,
        )
    };
    vec![
        observe("functions", On::Completed, duration, vec![Label::Function]),
        count("functions", On::Failed, failures, vec![Label::Function]),
    ]
}

fn count(rule: &'static str, on: On, family: FamilySpec, labels: Vec<Label>) -> Standard {
    Standard { rule, on, family, kind: MeasureKind::Count, value: Value::One, labels }
}

fn observe(rule: &'static str, on: On, family: FamilySpec, labels: Vec<Label>) -> Standard {
    Standard { rule, on, family, kind: MeasureKind::Observe, value: Value::Duration, labels }
}

fn family(name: &str, help: &str, kind: FamilyKind) -> FamilySpec {
    FamilySpec {
        name: name.to_owned(),
        help: help.to_owned(),
        unit: String::new(),
        kind,
        labels: Vec::new(),
        siblings: Vec::new(),
    }
}

fn seconds(name: &str, help: &str, buckets: &[f64]) -> FamilySpec {
    let kind = FamilyKind::Histogram(buckets.to_vec());
    FamilySpec { unit: "seconds".to_owned(), ..family(name, help, kind) }
}

fn open(name: &str, values_max: usize) -> LabelSpec {
    LabelSpec { name: name.to_owned(), closed: false, values_max: Some(values_max) }
}

fn closed(name: &str) -> LabelSpec {
    LabelSpec { name: name.to_owned(), closed: true, values_max: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: the limit of routes did not hold for the tables of a database, although its help says so.
    #[test]
    fn limits_and_buckets_hold_for_every_family() {
        let limits = LabelLimits { routes: 7, services: 8, error_types: 9 };
        let buckets = Buckets(vec![0.5, 60.0]);
        let settings = RulesSettings { limits, buckets, ..RulesSettings::default() };
        let measures = measures(&settings);
        for (name, expected) in
            [("endpoint", 7), ("table", 7), ("function", 7), ("service", 8), ("error_type", 9)]
        {
            let labels = measures.iter().flat_map(|measure| &measure.family.labels);
            let found: Vec<_> =
                labels.filter(|label| label.name == name).map(|label| label.values_max).collect();
            assert!(!found.is_empty(), "{name}");
            assert!(found.iter().all(|most| *most == Some(expected)), "{name}");
        }
        let histograms = measures.iter().filter_map(|measure| match &measure.family.kind {
            FamilyKind::Histogram(bounds) => Some(bounds),
            _ => None,
        });
        let histograms: Vec<_> = histograms.collect();
        assert_eq!(histograms.len(), 3);
        assert!(histograms.iter().all(|bounds| **bounds == [0.5, 60.0]));
    }
}
