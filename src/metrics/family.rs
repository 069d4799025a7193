//! The plain types: what a family is as rules declare it, how a series is named, what may be spent.
//! Nothing here has behaviour beyond saying what it is.

/// What stands in a label whose value was folded into an overflow series.
pub const OTHER: &str = "_other";

/// The value of a label for everything that outsiders made up and no request or query has confirmed
/// yet. Every open label has it from the beginning, so that it needs no place of its own.
pub const UNMATCHED: &str = "_unmatched";

/// A family of series, by number. Append-only: a number never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FamilyId(pub u16);

/// One series of one family, process-wide; cheap to keep in a memo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SeriesId {
    /// Which family.
    pub family: FamilyId,
    /// The first of its cells among those of the process: unique, ascending by birth, not dense.
    pub index: u32,
}

/// What a family measures.
#[derive(Clone, PartialEq, Debug)]
pub enum FamilyKind {
    /// Counts events: an integer.
    Counter,
    /// Sums a field: a double.
    FloatCounter,
    /// The newest value over all shards.
    SetGauge,
    /// The sum of all changes over all shards.
    AddGauge,
    /// Classic buckets: upper bounds in ascending order, without +Inf.
    Histogram(Vec<f64>),
}

impl FamilyKind {
    /// The word of the exposition formats.
    pub fn word(&self) -> &'static str {
        match self {
            FamilyKind::Counter | FamilyKind::FloatCounter => "counter",
            FamilyKind::SetGauge | FamilyKind::AddGauge => "gauge",
            FamilyKind::Histogram(_) => "histogram",
        }
    }

    /// Cells a series takes: a set gauge keeps its time and its value, a histogram each bucket,
    /// +Inf included, and the sum.
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
    /// Its values are a closed set (methods, levels, status codes): kept in the overflow series.
    pub closed: bool,
    /// At most this many values; more become `_other`. None: only the family's limit counts.
    pub values_max: Option<usize>,
}

/// A family as rules declare it.
#[derive(Clone, PartialEq, Debug)]
pub struct FamilySpec {
    /// Full name, `_total` included for counters.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// `seconds`, `bytes`, ...; empty for none. OpenMetrics wants it as the name's suffix.
    pub unit: String,
    /// What it measures.
    pub kind: FamilyKind,
    /// Its labels, in order.
    pub labels: Vec<LabelSpec>,
    /// When a series is met, the series with these values in this label (by index) are born at 0
    /// with it.
    pub siblings: Vec<(usize, Vec<String>)>,
}

/// What memory and scrapes may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Series of the whole process.
    pub series_max: usize,
    /// Label sets of one family.
    pub label_sets_max: usize,
    /// Bytes of one label value; a longer one is cut at a character and a hash appended.
    pub label_value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { series_max: 5_000, label_sets_max: 500, label_value_bytes_max: 128 }
    }
}

/// A family was declared that cannot be, or again with another shape.
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
