//! Effect 1: metrics. Families and their series, with one shard of cells for each data thread; a
//! scrape adds the shards up. Each cell has a single writer and uses relaxed loads and stores.
//! Nothing here knows HTTP or reads a clock.
//!
//! For a line, [`ShardWriter::series`] runs once for new label values (a lookup in the shard, then
//! the admission under a mutex), and [`ShardWriter::add`] and [`ShardWriter::observe`] run for
//! every line (an index and a store). For a scrape, [`expose::encode`] takes the series that were
//! created since the last scrape and renders the text of each series once; after that it copies
//! text and prints integers.
//!
//! The memory is bounded, whatever an application sends: `series_max` series, and beyond them for
//! each family at most [`OVERFLOW_SETS_MAX`] overflow series and the one that has `_other` in every
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
