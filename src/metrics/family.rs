//! The plain types: the declaration of a family, the id of a series, the limits.

/// The label value that replaces every value folded into an overflow series.
pub const OTHER: &str = "_other";

/// The label value for names from outside that no request or query has confirmed yet. Every open
/// label has it from the beginning, so that it does not count against the limit of values.
pub const UNMATCHED: &str = "_unmatched";

/// The number of a family. Numbers are only ever added: a number never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FamilyId(pub u16);

/// The id of one series in the process; small enough to keep in a cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SeriesId {
    /// The family.
    pub family: FamilyId,
    /// Number of the first of its cells in the process: unique, ascending in the order of creation,
    /// not dense.
    pub index: u32,
}

/// What a family measures.
#[derive(Clone, PartialEq, Debug)]
pub enum FamilyKind {
    /// A count of events: an integer.
    Counter,
    /// The sum of a field: a double.
    FloatCounter,
    /// The newest value of all shards.
    SetGauge,
    /// The sum of all changes of all shards.
    AddGauge,
    /// A histogram with classic buckets: upper bounds in ascending order, without +Inf.
    Histogram(Vec<f64>),
}

impl FamilyKind {
    /// Returns the type's name in the exposition formats.
    pub fn word(&self) -> &'static str {
        match self {
            FamilyKind::Counter | FamilyKind::FloatCounter => "counter",
            FamilyKind::SetGauge | FamilyKind::AddGauge => "gauge",
            FamilyKind::Histogram(_) => "histogram",
        }
    }

    /// Returns the number of cells of a series. A set gauge has a time and a value, a histogram one
    /// cell for each bucket, +Inf included, and one for the sum.
    pub(super) fn cells(&self) -> u32 {
        match self {
            FamilyKind::Counter | FamilyKind::FloatCounter | FamilyKind::AddGauge => 1,
            FamilyKind::SetGauge => 2,
            FamilyKind::Histogram(bounds) => bounds.len() as u32 + 2,
        }
    }
}

/// One label of a family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelSpec {
    /// The label's name.
    pub name: String,
    /// Its values are a closed set (methods, levels, status codes), which an overflow series keeps.
    pub closed: bool,
    /// Maximum number of values; further values become `_other`. None: only the limit of the family
    /// applies.
    pub values_max: Option<usize>,
}

/// The declaration of a family by a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct FamilySpec {
    /// Full name, with `_total` for counters.
    pub name: String,
    /// Help text: one sentence.
    pub help: String,
    /// `seconds`, `bytes`, ...; empty for none. OpenMetrics requires it as the suffix of the name.
    pub unit: String,
    /// What it measures.
    pub kind: FamilyKind,
    /// Its labels, in order.
    pub labels: Vec<LabelSpec>,
    /// For each label (by index), values for which a series is created at 0 together with a new
    /// one.
    pub siblings: Vec<(usize, Vec<String>)>,
}

/// Limits on memory and on the size of a scrape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Maximum number of series of the process.
    pub series_max: usize,
    /// Maximum number of label sets of one family.
    pub label_sets_max: usize,
    /// Maximum number of bytes of a label value; a longer one is cut at a character and a hash
    /// appended.
    pub label_value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { series_max: 5_000, label_sets_max: 500, label_value_bytes_max: 128 }
    }
}

/// The error of a declaration that is invalid or conflicts with an earlier one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FamilyConflict {
    /// What is wrong or differs, in words.
    pub message: String,
}

impl std::fmt::Display for FamilyConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FamilyConflict {}
