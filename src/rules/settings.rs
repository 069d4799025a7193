//! Rules as they are written, as plain data without YAML.

use crate::health::Signal;
use crate::spans::SpanRule;

/// All settings of the rules.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RulesSettings {
    /// The prefix of the name of every derived family.
    pub prefix: String,
    /// Which groups of standard rules are on.
    pub groups: Groups,
    /// The most route templates; 40 if unset.
    pub routes_max: Option<usize>,
    /// The user's rules, in order.
    pub own: Vec<RuleSettings>,
}

/// The groups of standard rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups {
    /// Enables the `http_*` metrics.
    pub http: bool,
    /// Enables the `database_*` metrics.
    pub database: bool,
    /// Enables the `log_*` metrics.
    pub log: bool,
    /// Enables the `function_*` metrics.
    pub functions: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Groups { http: true, database: true, log: true, functions: true }
    }
}

/// One rule: a condition and its actions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RuleSettings {
    /// Its name, for errors and `explain`.
    pub name: String,
    /// The condition, in the subset of CEL that `select` reads. If unset, the rule applies to every
    /// record.
    pub when: Option<String>,
    /// A pattern with named captures that become values. The rule does not apply to a record that
    /// the pattern does not match.
    pub extract: Option<ExtractSettings>,
    /// The metrics that the rule records.
    pub metrics: Vec<MetricSettings>,
    /// The span that the rule creates.
    pub span: Option<SpanRule>,
    /// The signal for the health verdict.
    pub health: Option<Signal>,
}

/// A regular expression for one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtractSettings {
    /// The field; the body if unset.
    pub field: Option<String>,
    /// The pattern, in the syntax of the `regex` crate, with named groups.
    pub pattern: String,
}

/// One metric of a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSettings {
    /// What the metric measures.
    pub kind: MetricKind,
    /// The family's name, without the prefix.
    pub name: String,
    /// The help text: one sentence.
    pub help: String,
    /// The unit of the exposed values: `seconds`, `bytes`, ...; empty if there is none.
    pub unit: String,
    /// The labels in order: the name and the source of the value.
    pub labels: Vec<(String, ValueSettings)>,
}

/// What a metric measures.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricKind {
    /// Counts records, or sums a value.
    Counter {
        /// The value that is added; one if unset.
        by: Option<ValueSettings>,
    },
    /// The newest value.
    Gauge {
        /// The source of the value.
        value: ValueSettings,
        /// Adds the value instead of setting it.
        add: bool,
    },
    /// A distribution.
    Histogram {
        /// The source of the value; durations are converted to seconds if `unit` is `seconds`.
        value: ValueSettings,
        /// Upper bounds, ascending, without +Inf.
        buckets: Vec<f64>,
    },
}

/// The source of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ValueSettings {
    /// A field, by OpenTelemetry's name or by the key in the line; dots reach into objects.
    Field(String),
    /// A constant.
    Constant(String),
    /// A named group of `extract`.
    Capture(String),
}

/// An error in a rule, and its position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleError {
    /// The path from the list of user rules to the value: `[2].when`, `[0].metrics[1].labels.shop`.
    pub path: String,
    /// The byte offset in the value, for conditions and patterns.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
