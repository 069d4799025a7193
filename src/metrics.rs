//! Effect 1: numbers. Families and their series, one shard of cells a data thread, added up at a scrape.
//! Cells have one writer: load and store, relaxed. Nothing here knows HTTP; no clock is read.

pub mod expose;

use crate::clock::UnixNanos;
use std::sync::Arc;

/// A family of series, by number. Append-only: a number never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FamilyId(pub u16);

/// One series of one family, process-wide; cheap to keep in a memo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SeriesId {
    /// Which family.
    pub family: FamilyId,
    /// Which of the process' series.
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
    /// When a series is met, the series with these values in this label (by index) are born at 0 with it.
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

/// A family was declared again with another shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FamilyConflict {
    /// What differs, in words.
    pub message: String,
}

/// All families and series of the process.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    /// An empty one.
    pub fn new(limits: Limits) -> Arc<Registry> {
        let _ = limits;
        todo!()
    }

    /// Declares a family; the same spec again gives the same number.
    ///
    /// # Errors
    /// The name is taken by a family of another type, unit, label list or buckets.
    pub fn declare(&self, spec: FamilySpec) -> Result<FamilyId, FamilyConflict> {
        let _ = spec;
        todo!()
    }

    /// A new shard: one for each data thread.
    pub fn writer(self: &Arc<Self>) -> ShardWriter {
        todo!()
    }

    /// Series now alive, overflow series included.
    pub fn series_count(&self) -> usize {
        todo!()
    }

    /// Which labels overflowed: (family name, label name, how many values were folded).
    pub fn overflows(&self) -> Vec<(String, String, u64)> {
        todo!()
    }
}

/// The one writer of one shard.
#[derive(Debug)]
pub struct ShardWriter {}

impl ShardWriter {
    /// The series with these label values, in the order of the family's labels; born at 0, with its siblings,
    /// when it is met for the first time; the overflow series where a limit is reached. Values are cut and
    /// capped here. Called on a miss of the caller's memo, not for every line.
    pub fn series(&mut self, family: FamilyId, values: &[&str], now: UnixNanos) -> SeriesId {
        let _ = (family, values, now);
        todo!()
    }

    /// Adds to an integer counter.
    #[inline]
    pub fn add(&mut self, series: SeriesId, by: u64) {
        let _ = (series, by);
        todo!()
    }

    /// Adds to a float counter (negative and NaN are ignored) or to an added gauge.
    #[inline]
    pub fn add_f64(&mut self, series: SeriesId, by: f64) {
        let _ = (series, by);
        todo!()
    }

    /// Sets a set gauge.
    #[inline]
    pub fn set(&mut self, series: SeriesId, value: f64, at: UnixNanos) {
        let _ = (series, value, at);
        todo!()
    }

    /// Observes a value in a histogram; exactly 0 counts, NaN does not.
    #[inline]
    pub fn observe(&mut self, series: SeriesId, value: f64) {
        let _ = (series, value);
        todo!()
    }

    /// Whether an exemplar for this value would be taken: none since the last scrape. A load or two.
    #[inline]
    pub fn wants_exemplar(&self, series: SeriesId, value: f64) -> bool {
        let _ = (series, value);
        todo!()
    }

    /// Leaves an exemplar with a counter (value: what was added) or a histogram's bucket.
    pub fn exemplar(&mut self, series: SeriesId, exemplar: Exemplar) {
        let _ = (series, exemplar);
        todo!()
    }
}

/// A measured value with the span that it came from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exemplar {
    /// The value measured.
    pub value: f64,
    /// When.
    pub at: UnixNanos,
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id.
    pub span_id: [u8; 8],
}
