//! The single writer of one shard: how a data thread updates metrics. An addition needs an index, a
//! load and a store; no lock, no allocation, no system call. A label set that is new to this shard
//! goes to the admission.

use super::buckets::Bounds;
use super::cells::{CHUNK_CELLS, Chunk, Shard};
use super::declare::{FULL, Family, LABELS_MAX, OVERFLOW_FULL, label_full};
use super::exemplar::{EXEMPLARS_MAX, Exemplar, Exemplars};
use super::family::{FamilyId, FamilyKind, SeriesId};
use super::intern::{OTHER_ID, SetMap, ValueMap, cut, is_replaced};
use super::registry::Registry;
use crate::clock::UnixNanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The single writer of one shard. When it is dropped, its numbers stay for the next writer.
#[derive(Debug)]
pub struct ShardWriter {
    chunks: Vec<Arc<Chunk>>,
    /// By family: what additions and observations need, separate from what only lookups need.
    hot: Vec<Hot>,
    families: Vec<Known>,
    shard: Arc<Shard>,
    registry: Arc<Registry>,
    /// By cell: the epoch of its last exemplar. Empty until the first exemplar.
    filled: Vec<u32>,
    slots: Slots,
    scratch: String,
}

/// The number of exemplar slots used, and the epoch that it applies to.
#[derive(Default, Debug)]
struct Slots {
    epoch: u32,
    filled: usize,
}

/// The part of a family that every line needs: 24 bytes, so that an observation reaches the bounds
/// with two loads.
#[derive(Debug)]
struct Hot {
    bounds: Bounds,
    kind: HotKind,
    /// For a histogram: the distance of its sum from its first bucket.
    sum: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HotKind {
    Counter,
    FloatCounter,
    SetGauge,
    AddGauge,
    Histogram,
}

impl Hot {
    fn new(family: &Family) -> Hot {
        let (kind, sum) = match &family.spec.kind {
            FamilyKind::Counter => (HotKind::Counter, 0),
            FamilyKind::FloatCounter => (HotKind::FloatCounter, 0),
            FamilyKind::SetGauge => (HotKind::SetGauge, 0),
            FamilyKind::AddGauge => (HotKind::AddGauge, 0),
            FamilyKind::Histogram(bounds) => (HotKind::Histogram, bounds.len() as u16 + 1),
        };
        Hot { bounds: family.bounds.clone(), kind, sum }
    }
}

/// The shard's copy of a family.
#[derive(Debug)]
struct Known {
    family: Arc<Family>,
    values: Vec<ValueMap>,
    sets: SetMap,
    /// The full flags that were set when this shard copied all series and values of their kind.
    full_flags: u32,
}

impl Registry {
    /// Creates the writer of a shard; each data thread needs one.
    pub fn writer(self: &Arc<Self>) -> ShardWriter {
        ShardWriter {
            chunks: Vec::new(),
            hot: Vec::new(),
            families: Vec::new(),
            shard: self.shard(),
            registry: Arc::clone(self),
            filled: Vec::new(),
            slots: Slots::default(),
            scratch: String::new(),
        }
    }
}

impl Drop for ShardWriter {
    fn drop(&mut self) {
        self.shard.held.store(false, Ordering::Release);
    }
}

impl ShardWriter {
    /// Returns the series with these label values, which are in the order of the family's labels.
    /// Creates it at 0, with its siblings, on the first lookup; returns the overflow series if a
    /// limit is reached. Cuts and caps the values. Callers keep the result in a cache and do not
    /// call this for every line.
    ///
    /// # Panics
    /// Panics if the family belongs to another registry or has another number of labels than
    /// `values`.
    pub fn series(&mut self, family: FamilyId, values: &[&str], now: UnixNanos) -> SeriesId {
        let at = family.0 as usize;
        if at >= self.families.len() {
            self.learn_families();
        }
        let known = &self.families[at];
        assert_eq!(values.len(), known.values.len(), "a value for each label");
        let bytes_max = self.registry.limits.label_value_bytes_max;
        let index = match known.find(values, bytes_max, &mut self.scratch) {
            Some(cell) => cell,
            None => self.resolve(at, values, now),
        };
        if index as usize >= self.chunks.len() * CHUNK_CELLS {
            self.grow(index);
        }
        SeriesId { family, index }
    }

    /// Returns whether a series of the family, in any shard, has this value in label number
    /// `label`. Takes the lock if this shard does not know the value.
    pub fn has_value(&mut self, family: FamilyId, label: usize, value: &str) -> bool {
        let at = family.0 as usize;
        if at >= self.families.len() {
            self.learn_families();
        }
        let bytes_max = self.registry.limits.label_value_bytes_max;
        let value = cut(value, bytes_max, &mut self.scratch);
        let own = self.families.get(at).and_then(|known| known.values.get(label));
        own.is_some_and(|values| values.find(value).is_some())
            || self.registry.admission().entry(at).values[label].get(value).is_some()
    }

    /// Returns a number that changes whenever a label of any family takes a new value, in any
    /// shard.
    #[inline]
    pub fn values_count(&self) -> u32 {
        self.registry.values_count.load(Ordering::Relaxed)
    }

    /// Adds to an integer counter.
    #[inline]
    pub fn add(&mut self, series: SeriesId, by: u64) {
        debug_assert!(self.kind(series).is_none_or(|kind| kind == HotKind::Counter));
        let (chunk, at) = place(series.index);
        let Some(chunk) = self.chunks.get(chunk) else { return self.add_far(series, by) };
        let cell = &chunk[at];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    /// Adds to a series that another shard returned.
    #[cold]
    fn add_far(&mut self, series: SeriesId, by: u64) {
        self.grow(series.index);
        self.add(series, by);
    }

    /// Adds to a float counter (ignores negative values and NaN) or to an added gauge. Ignores
    /// infinite values in both, because a sum never recovers from one.
    #[inline]
    pub fn add_f64(&mut self, series: SeriesId, by: f64) {
        if series.family.0 as usize >= self.hot.len() {
            self.learn_families();
        }
        let counter = self.kind(series) == Some(HotKind::FloatCounter);
        debug_assert!(counter || self.kind(series) == Some(HotKind::AddGauge));
        if by.is_finite() && !(counter && by < 0.0) {
            let cell = self.cell(series.index);
            let sum = f64::from_bits(cell.load(Ordering::Relaxed)) + by;
            cell.store(sum.to_bits(), Ordering::Relaxed);
        }
    }

    /// Sets a set gauge.
    #[inline]
    pub fn set(&mut self, series: SeriesId, value: f64, at: UnixNanos) {
        debug_assert!(self.kind(series).is_none_or(|kind| kind == HotKind::SetGauge));
        // value first: a reader of the time reads its value or a newer one; time 0 means never set
        self.cell(series.index + 1).store(value.to_bits(), Ordering::Relaxed);
        self.cell(series.index).store(at.0.max(1), Ordering::Release);
    }

    /// Observes a value in a histogram; exactly 0 counts, NaN is ignored.
    #[inline]
    pub fn observe(&mut self, series: SeriesId, value: f64) {
        if value.is_nan() {
            return;
        }
        let (chunk, at) = place(series.index);
        let known = (self.chunks.get(chunk), self.hot.get(series.family.0 as usize));
        let (Some(cells), Some(hot)) = known else { return self.observe_far(series, value) };
        debug_assert_eq!(hot.kind, HotKind::Histogram);
        debug_assert!(at + (hot.sum as usize) < CHUNK_CELLS, "a series within one chunk");
        // the cells of a series are in one chunk: the remainder changes nothing and avoids the
        // bounds check
        let bucket = &cells[(at + hot.bounds.bucket(value) as usize) % CHUNK_CELLS];
        bucket.store(bucket.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let sum = &cells[(at + hot.sum as usize) % CHUNK_CELLS];
        let all = f64::from_bits(sum.load(Ordering::Relaxed)) + value;
        sum.store(all.to_bits(), Ordering::Relaxed);
    }

    /// Observes in a series that another shard returned, or of a family that was declared later.
    #[cold]
    fn observe_far(&mut self, series: SeriesId, value: f64) {
        self.grow(series.index);
        self.learn_families();
        if self.hot.len() > series.family.0 as usize {
            self.observe(series, value);
        }
    }

    /// Returns whether an exemplar for this value would be accepted: none since the last scrape.
    /// Costs a load or two.
    #[inline]
    pub fn wants_exemplar(&self, series: SeriesId, value: f64) -> bool {
        let epoch = self.registry.epoch.load(Ordering::Relaxed);
        let Some(cell) = self.exemplar_cell(series, value) else { return false };
        self.filled.get(cell as usize) != Some(&epoch)
            && (self.slots.epoch != epoch || self.slots.filled < EXEMPLARS_MAX)
    }

    /// Stores an exemplar with a counter (the value is what was added) or with a histogram's
    /// bucket.
    pub fn exemplar(&mut self, series: SeriesId, exemplar: Exemplar) {
        if !self.wants_exemplar(series, exemplar.value) {
            return;
        }
        let epoch = self.registry.epoch.load(Ordering::Relaxed);
        let Some(cell) = self.exemplar_cell(series, exemplar.value) else { return };
        if self.slots.epoch != epoch {
            self.slots = Slots { epoch, filled: 0 };
        }
        if cell as usize >= self.filled.len() {
            self.filled.resize(self.chunks.len().max(1) * CHUNK_CELLS, 0);
        }
        let Some(filled) = self.filled.get_mut(cell as usize) else { return };
        *filled = epoch;
        let slots = self.shard.exemplars.get_or_init(Exemplars::new);
        slots.put(self.slots.filled, epoch, cell, &exemplar);
        self.slots.filled += 1;
    }

    /// Returns the cell that an exemplar of this value belongs to; gauges have none.
    #[inline]
    fn exemplar_cell(&self, series: SeriesId, value: f64) -> Option<u32> {
        let hot = self.hot.get(series.family.0 as usize)?;
        match hot.kind {
            HotKind::Counter | HotKind::FloatCounter => Some(series.index),
            HotKind::Histogram if value.is_nan() => None,
            HotKind::Histogram => Some(series.index + hot.bounds.bucket(value)),
            HotKind::SetGauge | HotKind::AddGauge => None,
        }
    }

    #[inline]
    fn kind(&self, series: SeriesId) -> Option<HotKind> {
        self.hot.get(series.family.0 as usize).map(|hot| hot.kind)
    }

    /// Returns a cell of a series that this or another shard returned.
    #[inline]
    fn cell(&mut self, index: u32) -> &AtomicU64 {
        let (chunk, at) = place(index);
        if chunk >= self.chunks.len() {
            self.grow(index);
        }
        &self.chunks[chunk][at]
    }

    /// Returns the number of values of a family's labels that this shard keeps.
    #[cfg(test)]
    pub(super) fn known_values(&self, family: FamilyId) -> usize {
        self.families[family.0 as usize].values.iter().map(ValueMap::len).sum()
    }

    #[cold]
    fn grow(&mut self, index: u32) {
        self.shard.grow(&mut self.chunks, index);
    }

    #[cold]
    fn learn_families(&mut self) {
        for family in self.registry.admission().families_from(self.families.len()) {
            let labels = family.spec.labels.len();
            let mut values = Vec::new();
            values.resize_with(labels, ValueMap::default);
            let family = Arc::clone(family);
            self.hot.push(Hot::new(&family));
            self.families.push(Known { family, values, sets: SetMap::new(labels), full_flags: 0 });
        }
    }

    /// Resolves label values that this shard does not know. If a full flag was set since the last
    /// copy, copies everything behind it and looks again; then asks the admission.
    #[cold]
    fn resolve(&mut self, at: usize, values: &[&str], now: UnixNanos) -> u32 {
        let registry = Arc::clone(&self.registry);
        let bytes_max = registry.limits.label_value_bytes_max;
        let known = &mut self.families[at];
        if known.family.full_flags.load(Ordering::Acquire) != known.full_flags {
            known.copy_all(registry.admission().entry(at));
            if let Some(cell) = known.find(values, bytes_max, &mut self.scratch) {
                return cell;
            }
        }
        let mut scratches = [const { String::new() }; LABELS_MAX];
        let mut short = [""; LABELS_MAX];
        for ((short, value), scratch) in short.iter_mut().zip(values).zip(&mut scratches) {
            *short = cut(value, bytes_max, scratch);
        }
        let short = &short[..values.len()];
        let mut admission = registry.admission();
        let series_before = admission.series_count();
        let (ids, cell) = admission.admit(at, short, now);
        if admission.series_count() > series_before {
            let kept = values.iter().zip(ids).filter(|(_, id)| *id != OTHER_ID);
            let replaced = kept.filter(|(value, _)| is_replaced(value)).count() as u64;
            registry.replaced_count.fetch_add(replaced, Ordering::Relaxed);
        }
        registry.values_count.store(admission.values_count(), Ordering::Relaxed);
        let entry = admission.entry(at);
        for ((value, known), all) in short.iter().zip(&mut known.values).zip(&entry.values) {
            if let Some((value, id)) = all.get(value) {
                known.insert(value, id);
            }
        }
        known.sets.insert(&ids[..values.len()], cell);
        debug_assert_eq!(known.sets.find(&ids[..values.len()]), Some(cell), "found next time");
        cell
    }
}

/// Returns the chunk of a cell and its index in the chunk.
#[inline]
fn place(index: u32) -> (usize, usize) {
    (index as usize / CHUNK_CELLS, index as usize % CHUNK_CELLS)
}

impl Known {
    /// Returns the series with these values if this shard can decide that without a lock; counts
    /// folds.
    fn find(&self, values: &[&str], bytes_max: usize, scratch: &mut String) -> Option<u32> {
        let mut ids = [OTHER_ID; LABELS_MAX];
        let (mut unknown, mut folded) = (0u32, 0u32);
        for (label, (value, known)) in values.iter().zip(&self.values).enumerate() {
            match known.find(cut(value, bytes_max, scratch)) {
                Some(id) => ids[label] = id,
                None if self.full_flags & label_full(label) != 0 => folded |= label_full(label),
                None => unknown |= label_full(label),
            }
        }
        let labels = values.len();
        let mut overflow = false;
        let mut cell = if unknown == 0 { self.sets.find(&ids[..labels]) } else { None };
        if cell.is_none() && self.full_flags & FULL != 0 {
            cell = self.find_overflow(&mut ids, unknown, &mut overflow);
        }
        if cell.is_some() && folded | u32::from(overflow) != 0 {
            self.count(folded, overflow);
        }
        cell
    }

    /// Returns the overflow series of a full family, which keeps the closed labels or none.
    fn find_overflow(
        &self,
        ids: &mut [u32; LABELS_MAX],
        mut unknown: u32,
        overflow: &mut bool,
    ) -> Option<u32> {
        let spec = &self.family.spec;
        for (label, spec) in spec.labels.iter().enumerate().filter(|(_, spec)| !spec.closed) {
            debug_assert!(!spec.closed);
            *overflow |= ids[label] != OTHER_ID || unknown & label_full(label) != 0;
            ids[label] = OTHER_ID;
            unknown &= !label_full(label);
        }
        let labels = spec.labels.len();
        let kept = if unknown == 0 { self.sets.find(&ids[..labels]) } else { None };
        if kept.is_some() || self.full_flags & OVERFLOW_FULL == 0 {
            return kept;
        }
        *overflow = true;
        self.sets.find(&[OTHER_ID; LABELS_MAX][..labels])
    }

    #[cold]
    fn count(&self, folded: u32, overflow: bool) {
        for label in (0..LABELS_MAX).filter(|label| folded & label_full(*label) != 0) {
            self.family.count_folded(label);
        }
        if overflow {
            self.family.count_overflow();
        }
    }

    /// Copies all values and series of a family; happens at most once for each of its full flags.
    fn copy_all(&mut self, entry: &super::admission::FamilyEntry) {
        for (known, all) in self.values.iter_mut().zip(&entry.values) {
            for (id, value) in all.names.iter().enumerate() {
                known.insert(value, id as u32);
            }
        }
        for (ids, cell) in entry.sets.iter() {
            self.sets.insert(ids, cell);
        }
        self.full_flags = self.family.full_flags.load(Ordering::Relaxed);
    }
}
