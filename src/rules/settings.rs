//! Rules as they are written: plain data, no YAML here.

use crate::health::Signal;
use crate::spans::SpanRule;

/// All that is said about rules.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RulesSettings {
    /// Put before the name of every derived family.
    pub prefix: String,
    /// Which groups of standard rules are on.
    pub groups: Groups,
    /// At most this many route templates; 40 where unset.
    pub routes_max: Option<usize>,
    /// A user's own rules, in order.
    pub own: Vec<RuleSettings>,
}

/// The groups of standard rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups {
    /// `http_*`.
    pub http: bool,
    /// `database_*`.
    pub database: bool,
    /// `log_*`.
    pub log: bool,
    /// `function_*`.
    pub functions: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Groups { http: true, database: true, log: true, functions: true }
    }
}

/// One rule: a condition and what follows from it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RuleSettings {
    /// Its name, for errors and `explain`.
    pub name: String,
    /// The condition, in the subset of CEL that `select` reads; absent: every record.
    pub when: Option<String>,
    /// A pattern whose named captures become values; a record that it does not match is none of the rule's.
    pub extract: Option<ExtractSettings>,
    /// The metrics.
    pub metrics: Vec<MetricSettings>,
    /// The span.
    pub span: Option<SpanRule>,
    /// What it tells the verdict on the application.
    pub health: Option<Signal>,
}

/// A regular expression over one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtractSettings {
    /// The field; the body where unset.
    pub field: Option<String>,
    /// The pattern, in the syntax of the `regex` crate, with named groups.
    pub pattern: String,
}

/// One metric of a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSettings {
    /// What it measures.
    pub kind: MetricKind,
    /// The family's name, without the prefix.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// The unit of the values exposed: `seconds`, `bytes`, ...; empty for none.
    pub unit: String,
    /// Labels in order: name and where the value comes from.
    pub labels: Vec<(String, ValueSettings)>,
}

/// What a metric measures.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricKind {
    /// Counts records, or sums a value.
    Counter {
        /// What is added; one where unset.
        by: Option<ValueSettings>,
    },
    /// The newest value.
    Gauge {
        /// The value.
        value: ValueSettings,
        /// Add the value instead of setting it.
        add: bool,
    },
    /// A distribution.
    Histogram {
        /// The value; durations are converted to seconds where `unit` is `seconds`.
        value: ValueSettings,
        /// Upper bounds, ascending, without +Inf.
        buckets: Vec<f64>,
    },
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ValueSettings {
    /// A field, by OpenTelemetry's name or by the key in the line, dots reaching into objects.
    Field(String),
    /// A constant.
    Constant(String),
    /// A named group of `extract`.
    Capture(String),
}

/// What is wrong with a rule, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleError {
    /// The way to the value from the list of own rules: `[2].when`, `[0].metrics[1].labels.shop`.
    pub path: String,
    /// Byte offset in the value, for conditions and patterns.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
