//! Effect 1: numbers. Families and their series, one shard of cells a data thread, added up at a
//! scrape. Cells have one writer: load and store, relaxed. Nothing here knows HTTP; no clock is
//! read.
//!
//! A line's way: [`ShardWriter::series`] once for new label values (a lookup of the shard's own,
//! then the admission under a mutex), [`ShardWriter::add`] and [`ShardWriter::observe`] for every
//! line (an index and a store). A scrape's way: [`expose::encode`] takes what was born since the
//! last scrape, renders each series' text once, and from then on copies text and prints integers.
//!
//! What it may cost, whatever an application sends: `series_max` series, and beyond them for each
//! family at most [`OVERFLOW_SETS_MAX`] overflow series and the one that has `_other` in every
//! label.

mod admission;
mod buckets;
mod cells;
mod declare;
mod exemplar;
pub mod expose;
mod family;
mod intern;
mod registry;
mod rendered;
mod shard;

pub use declare::{BOUNDS_MAX, FAMILIES_MAX, LABELS_MAX, OVERFLOW_SETS_MAX, SERIES_MAX};
pub use exemplar::{EXEMPLARS_MAX, Exemplar};
pub use family::{
    FamilyConflict, FamilyId, FamilyKind, FamilySpec, LabelSpec, Limits, OTHER, SeriesId, UNMATCHED,
};
pub use registry::Registry;
pub use shard::ShardWriter;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
