//! The built-in rules, which need no configuration. They derive from logs the metrics that Python
//! web applications expose if they are instrumented by hand, with the same names, units, labels and
//! buckets.

use super::action::{Label, MeasureKind, Value};
use super::set::On;
use super::settings::RulesSettings;
use crate::metrics::{FamilyKind, FamilySpec, LabelSpec};
use crate::record::severity::Severity;

/// Upper bounds in seconds of all standard histograms.
pub const SECONDS_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The most route templates, tables and functions with a separate series; further ones become
/// `_other`.
pub const ROUTES_MAX: usize = 40;

/// The most values of `error_type`: applications have dozens of exception classes, not hundreds.
const ERROR_TYPES_MAX: usize = 100;

/// The most services that write to one sidecar.
const SERVICES_MAX: usize = 50;

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
    let routes_max = settings.routes_max.unwrap_or(ROUTES_MAX);
    let mut all = Vec::new();
    if settings.groups.log {
        all.extend(log());
    }
    if settings.groups.http {
        all.extend(http(routes_max));
    }
    if settings.groups.database {
        all.extend(database(routes_max));
    }
    if settings.groups.functions {
        all.extend(functions(routes_max));
    }
    all
}

/// Returns the gauge of requests that have started and not ended, which pairs of lines update.
pub fn active_requests() -> FamilySpec {
    family("http_requests_active", "HTTP requests started and not yet ended.", FamilyKind::AddGauge)
}

fn log() -> Vec<Standard> {
    let levels = Severity::SHORT_NAMES[1..].iter().map(|&name| name.to_owned()).collect();
    let records = FamilySpec {
        labels: vec![open("service", SERVICES_MAX), closed("level")],
        siblings: vec![(1, levels)],
        ..family("log_records_total", "Log records, by service and level.", FamilyKind::Counter)
    };
    let errors = FamilySpec {
        labels: vec![open("error_type", ERROR_TYPES_MAX), closed("kind")],
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

fn http(routes_max: usize) -> Vec<Standard> {
    let requests = FamilySpec {
        labels: vec![closed("method"), open("endpoint", routes_max), closed("status_code")],
        // The status of an unhandled exception; its series exists early, so that increase() shows
        // the first one.
        siblings: vec![(2, vec!["500".to_owned()])],
        ..family("http_requests_total", "HTTP requests.", FamilyKind::Counter)
    };
    let duration = FamilySpec {
        labels: vec![closed("method"), open("endpoint", routes_max)],
        ..seconds("http_request_duration_seconds", "Duration of HTTP requests.")
    };
    let labels = vec![Label::Method, Label::Endpoint, Label::StatusCode];
    vec![
        count("http_requests", On::Request, requests, labels),
        observe("http_requests", On::Request, duration, vec![Label::Method, Label::Endpoint]),
    ]
}

fn database(routes_max: usize) -> Vec<Standard> {
    let queries = FamilySpec {
        labels: vec![closed("operation"), open("table", routes_max)],
        ..family("database_queries_total", "Database queries.", FamilyKind::Counter)
    };
    let duration = seconds("database_query_duration_seconds", "Duration of database queries.");
    vec![
        count("database_queries", On::Query, queries, vec![Label::DbOperation, Label::DbTable]),
        observe("database_queries", On::Query, duration, Vec::new()),
    ]
}

fn functions(routes_max: usize) -> Vec<Standard> {
    let duration = FamilySpec {
        labels: vec![open("function", routes_max)],
        ..seconds("function_duration_seconds", "Duration of functions, as their log lines tell it.")
    };
    let failures = FamilySpec {
        labels: vec![open("function", routes_max)],
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

fn seconds(name: &str, help: &str) -> FamilySpec {
    let buckets = FamilyKind::Histogram(SECONDS_BUCKETS.to_vec());
    FamilySpec { unit: "seconds".to_owned(), ..family(name, help, buckets) }
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
    fn the_limit_of_routes_holds_for_tables_and_functions() {
        let settings = RulesSettings { routes_max: Some(7), ..RulesSettings::default() };
        let measures = measures(&settings);
        for name in ["endpoint", "table", "function"] {
            let labels = measures.iter().flat_map(|measure| &measure.family.labels);
            let limits: Vec<_> =
                labels.filter(|label| label.name == name).map(|label| label.values_max).collect();
            assert!(!limits.is_empty() && limits.iter().all(|most| *most == Some(7)), "{name}");
        }
    }
}
