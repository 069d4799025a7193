//! Rules as they are written, as plain data without YAML.

use super::routes::Routes;
use crate::health::Signal;
use crate::spans::SpanRule;
use jiff::tz::TimeZone;
use std::fmt;

/// All settings of the rules.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RulesSettings {
    /// The prefix of the name of every derived family.
    pub prefix: String,
    /// The user's names of built-in families: (built-in name, own name), both without the prefix.
    pub rename: Vec<(String, String)>,
    /// Which groups of standard rules are on.
    pub groups: Groups,
    /// Limits of the labels of standard metrics.
    pub limits: LabelLimits,
    /// The upper bounds of the standard histograms.
    pub buckets: Buckets,
    /// The user's patterns of routes.
    pub routes: Routes,
    /// The user's rules, in order.
    pub own: Vec<RuleSettings>,
    /// The user's formats of lines, in the order in which they are tried.
    pub formats: Vec<FormatSettings>,
}

impl RulesSettings {
    /// Returns the name of a built-in family without its prefix: the user's, or the built-in one.
    pub fn own_name<'a>(&'a self, built_in: &'a str) -> &'a str {
        let renamed = self.rename.iter().find(|(from, _)| from == built_in);
        renamed.map_or(built_in, |(_, to)| to)
    }
}

/// The most values of labels of the standard metrics; further values become `_other`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelLimits {
    /// Of route templates, of tables and of functions, each.
    pub routes: usize,
    /// Of services that write to one sidecar.
    pub services: usize,
    /// Of error types: applications have dozens of exception classes, not hundreds.
    pub error_types: usize,
}

impl Default for LabelLimits {
    fn default() -> LabelLimits {
        LabelLimits { routes: 40, services: 50, error_types: 100 }
    }
}

/// The default of the upper bounds of histograms, in seconds.
pub(crate) const SECONDS_BUCKETS: [f64; 10] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Upper bounds of a histogram in seconds, ascending; `+Inf` is not among them.
#[derive(Clone, PartialEq, Debug)]
pub struct Buckets(pub Vec<f64>);

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets(SECONDS_BUCKETS.to_vec())
    }
}

/// One format of lines, as an application or a server is configured with it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FormatSettings {
    /// Its name, for `explain`.
    pub name: String,
    /// The notation of the pattern.
    pub notation: Notation,
    /// The pattern as it is written in the application.
    pub pattern: String,
    /// The form of times, as `strftime` takes it; of `python`, `regex` and `grok`.
    pub datefmt: Option<String>,
    /// Which of Python's three styles the pattern has: `%`, `{` or `$`; guessed if unset.
    pub style: Option<char>,
    /// How nginx escapes values: `default`, `json` or `none`.
    pub escape: Option<String>,
    /// The zone of times that name none.
    pub time_zone: Option<TimeZone>,
    /// The meaning of names in the pattern: (name, field).
    pub fields: Vec<(String, String)>,
    /// The levels of words that are not the usual names: (word, level).
    pub levels: Vec<(String, String)>,
    /// Patterns of the user's own for `grok`: (name, pattern).
    pub patterns: Vec<(String, String)>,
}

/// The notation of a format.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Notation {
    /// The format of Python's `logging`.
    #[default]
    Python,
    /// The format of loguru.
    Loguru,
    /// nginx `log_format`.
    Nginx,
    /// Apache `LogFormat`.
    Apache,
    /// A layout pattern of logback.
    Logback,
    /// A layout pattern of log4j 2.
    Log4j2,
    /// A regular expression with named groups.
    Regex,
    /// A grok pattern.
    Grok,
}

impl Notation {
    /// All notations.
    pub const ALL: [Notation; 8] = [
        Notation::Python,
        Notation::Loguru,
        Notation::Nginx,
        Notation::Apache,
        Notation::Logback,
        Notation::Log4j2,
        Notation::Regex,
        Notation::Grok,
    ];

    /// Returns the key of the pattern in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Notation::Python => "python",
            Notation::Loguru => "loguru",
            Notation::Nginx => "nginx",
            Notation::Apache => "apache",
            Notation::Logback => "logback",
            Notation::Log4j2 => "log4j2",
            Notation::Regex => "regex",
            Notation::Grok => "grok",
        }
    }
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
    /// The path from the list of user rules to the value: `[2].when`, `[0].metrics[1].labels.shop`;
    /// of a format `formats[0].nginx`.
    pub path: String,
    /// The byte offset in the value, for conditions and patterns.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at byte {}: {}", self.path, self.offset, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for RuleError {}
