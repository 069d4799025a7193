//! The process-wide table of series: which series exist, whether a new one may be created, and what
//! overflows. It is under one lock. A shard takes the lock for its first lookup of a label set and
//! never again for that set, and holds it for a few lookups.
//!
//! Decision: series are never removed while the process lives, because a removed counter that
//! returns looks like a reset to every reader. The limits bound the cost.

use super::cells::CHUNK_CELLS;
use super::declare::{self, FAMILIES_MAX, FULL, Family, LABELS_MAX, OVERFLOW_FULL};
use super::declare::{OVERFLOW_SETS_MAX, label_full};
use super::family::{FamilyConflict, FamilyId, FamilySpec, Limits, OTHER, UNMATCHED};
use super::intern::{OTHER_ID, SetMap, ValueMap, cut};
use super::rendered::{NewSeries, label_text};
use crate::clock::UnixNanos;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Number of values that every label has: `_other` and `_unmatched`.
const RESERVED: usize = 2;

/// Marks a value without a number, among the numbers of known values.
const UNKNOWN: u32 = u32::MAX;

/// All families, their series and the remaining capacity.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    families: Vec<FamilyEntry>,
    /// Number of series that count against the limit of the process: all but the overflow series.
    ordinary: usize,
    all: usize,
    next_cell: u32,
    /// Number of values that labels have taken so far.
    values_count: u32,
    /// Series created since the last scrape took them; at most as many as there are series.
    new_series: Vec<NewSeries>,
    /// How often a shard needed the lock to resolve a label set.
    #[cfg(test)]
    pub(super) calls: usize,
}

/// The part of the table that belongs to one family.
#[derive(Debug)]
pub(super) struct FamilyEntry {
    pub(super) family: Arc<Family>,
    /// The help text of the latest declaration.
    pub(super) help: Arc<str>,
    siblings: Vec<(usize, Vec<String>)>,
    pub(super) values: Vec<Interner>,
    pub(super) sets: SetMap,
    ordinary: usize,
    overflow: usize,
}

/// The values of one label: from number to value and back.
#[derive(Default, Debug)]
pub(super) struct Interner {
    map: ValueMap,
    /// The values by number; the first is `_other`.
    pub(super) names: Vec<Arc<str>>,
}

impl Interner {
    fn insert(&mut self, value: &str) -> u32 {
        let (id, value) = (self.names.len() as u32, Arc::from(value));
        self.map.insert(&value, id);
        self.names.push(value);
        id
    }

    /// Returns a value that some admitted label set has, with its number.
    pub(super) fn get(&self, value: &str) -> Option<(&Arc<str>, u32)> {
        let id = self.map.find(value)?;
        Some((&self.names[id as usize], id))
    }
}

impl FamilyEntry {
    fn is(&self, flag: u32) -> bool {
        self.family.full_flags.load(Ordering::Relaxed) & flag != 0
    }

    fn close(&self, flag: u32) {
        self.family.full_flags.fetch_or(flag, Ordering::Release);
    }

    /// Closes the family for ordinary series, and names the open label with the most values as the
    /// cause.
    fn close_full(&self) {
        if self.is(FULL) {
            return;
        }
        let labels = self.family.spec.labels.iter().zip(&self.values).enumerate();
        let most = labels.max_by_key(|(n, (label, values))| {
            (!label.closed, values.names.len(), std::cmp::Reverse(*n))
        });
        self.family.overflow_label.store(most.map_or(0, |(n, _)| n as u32), Ordering::Relaxed);
        self.close(FULL);
    }

    /// Returns the number of a value; assigns one if the label still takes values.
    fn intern(&mut self, label: usize, value: &str) -> Option<u32> {
        if let Some((_, id)) = self.values[label].get(value) {
            return Some(id);
        }
        if self.is(label_full(label)) {
            return None;
        }
        let id = self.values[label].insert(value);
        self.close_label_at_its_cap(label);
        Some(id)
    }

    fn close_label_at_its_cap(&self, label: usize) {
        let own_values = self.values[label].names.len() - RESERVED;
        if self.family.spec.labels[label].values_max.is_some_and(|max| own_values >= max) {
            self.close(label_full(label));
        }
    }
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Admission {
        Admission {
            limits,
            families: Vec::new(),
            ordinary: 0,
            all: 0,
            next_cell: 0,
            values_count: 0,
            new_series: Vec::new(),
            #[cfg(test)]
            calls: 0,
        }
    }

    /// Implements `Registry::declare`.
    pub(super) fn declare(&mut self, spec: FamilySpec) -> Result<FamilyId, FamilyConflict> {
        let mut spec = declare::checked(spec)?;
        for (_, values) in &mut spec.siblings {
            for value in values {
                *value = cut(value, self.limits.label_value_bytes_max, &mut String::new()).into();
            }
        }
        self.accepts(&spec)?;
        if let Some(old) = self.families.iter_mut().find(|old| old.family.spec.name == spec.name) {
            if *old.help != *spec.help {
                old.help = Arc::from(spec.help.as_str());
            }
            old.siblings = spec.siblings;
            return Ok(old.family.id);
        }
        let id = FamilyId(self.families.len() as u16);
        self.families.push(FamilyEntry::new(id, spec));
        self.close_where_full(id.0 as usize);
        Ok(id)
    }

    /// Checks whether a valid spec is compatible with the existing families.
    pub(super) fn accepts(&self, spec: &FamilySpec) -> Result<(), FamilyConflict> {
        if let Some(old) = self.families.iter().find(|old| old.family.spec.name == spec.name) {
            return declare::compatible(&old.family.spec, spec);
        }
        if let Some(old) = self.families.iter().find(|old| declare::collide(&old.family.spec, spec))
        {
            let (new, old) = (&spec.name, &old.family.spec.name);
            return declare::refuse(format!("`{new}` would write samples of the names of `{old}`"));
        }
        if self.families.len() == FAMILIES_MAX {
            return declare::refuse(format!("`{}`: already {FAMILIES_MAX} families", spec.name));
        }
        Ok(())
    }

    /// Returns the families from number `known` on.
    pub(super) fn families_from(&self, known: usize) -> impl Iterator<Item = &Arc<Family>> {
        self.families.iter().skip(known).map(|entry| &entry.family)
    }

    pub(super) fn entry(&self, family: usize) -> &FamilyEntry {
        &self.families[family]
    }

    pub(super) fn entries(&self) -> &[FamilyEntry] {
        &self.families
    }

    /// Returns a number that grows whenever a label takes a new value.
    pub(super) fn values_count(&self) -> u32 {
        self.values_count
    }

    pub(super) fn series_count(&self) -> usize {
        self.all
    }

    /// Takes the series that were created since the last call.
    pub(super) fn take_new_series(&mut self) -> Vec<NewSeries> {
        std::mem::take(&mut self.new_series)
    }

    /// Returns the numbers and the first cell of the series with these values, which are already
    /// cut. The series exists, or is created with its siblings, or is the overflow series if a
    /// limit is reached; overflow is counted.
    pub(super) fn admit(
        &mut self,
        family: usize,
        values: &[&str],
        now: UnixNanos,
    ) -> ([u32; LABELS_MAX], u32) {
        #[cfg(test)]
        {
            self.calls += 1;
        }
        let entry = &mut self.families[family];
        let mut ids = [OTHER_ID; LABELS_MAX];
        for (label, value) in values.iter().enumerate() {
            ids[label] = match entry.values[label].get(value) {
                Some((_, id)) => id,
                None if entry.is(label_full(label)) => {
                    entry.family.count_folded(label);
                    OTHER_ID
                }
                None => UNKNOWN,
            };
        }
        if let Some(cell) = entry.sets.find(&ids[..values.len()]) {
            return (ids, cell);
        }
        if entry.is(FULL) {
            return self.admit_overflow(family, ids, values, now);
        }
        self.values_count += u32::from(ids.contains(&UNKNOWN));
        for (label, value) in values.iter().enumerate() {
            if ids[label] == UNKNOWN {
                ids[label] = entry.intern(label, value).unwrap_or(OTHER_ID);
            }
        }
        let cell = self.create_series(family, &ids[..values.len()], now);
        self.create_siblings(family, ids, now);
        (ids, cell)
    }

    /// Keeps the values of closed labels and folds the rest; folds all if even those are too many.
    fn admit_overflow(
        &mut self,
        family: usize,
        mut ids: [u32; LABELS_MAX],
        values: &[&str],
        now: UnixNanos,
    ) -> ([u32; LABELS_MAX], u32) {
        let entry = &mut self.families[family];
        let (given, labels) = (ids, values.len());
        for (label, spec) in entry.family.spec.labels.iter().enumerate() {
            if !spec.closed {
                ids[label] = OTHER_ID;
            }
        }
        let mut cell = entry.sets.find(&ids[..labels]);
        if cell.is_none() && !entry.is(OVERFLOW_FULL) {
            for (label, value) in values.iter().enumerate() {
                if ids[label] == UNKNOWN {
                    ids[label] = entry.intern(label, value).unwrap_or(OTHER_ID);
                }
            }
            cell = entry.sets.find(&ids[..labels]);
            if cell.is_none() {
                cell = Some(self.create_series(family, &ids[..labels], now));
                self.create_siblings(family, ids, now);
            }
        }
        let entry = &self.families[family];
        let mut pairs = given.iter().zip(&ids).take(labels);
        if cell.is_none() || pairs.any(|(given, kept)| *kept == OTHER_ID && *given != OTHER_ID) {
            entry.family.count_overflow();
        }
        let Some(cell) = cell else {
            let all = [OTHER_ID; LABELS_MAX];
            let cell = entry.sets.find(&all[..labels]);
            return (all, cell.expect("the series of `_other` was created when the flag closed"));
        };
        (ids, cell)
    }

    /// Creates the series that differ in one label only and must exist from the beginning. They use
    /// only the remaining capacity: an overflow series has siblings in closed labels alone.
    fn create_siblings(&mut self, family: usize, ids: [u32; LABELS_MAX], now: UnixNanos) {
        let siblings = std::mem::take(&mut self.families[family].siblings);
        for (label, values) in &siblings {
            for value in values {
                let entry = &mut self.families[family];
                let mut labels = entry.family.spec.labels.iter().zip(&ids).enumerate();
                // the differing label, and every label with a value other than `_other`
                let open = labels.any(|(n, (l, id))| !l.closed && (n == *label || *id != OTHER_ID));
                if entry.is(OVERFLOW_FULL) || entry.is(FULL) && open {
                    continue;
                }
                let Some(id) = entry.intern(*label, value) else { continue };
                let mut ids = ids;
                ids[*label] = id;
                let ids = &ids[..entry.values.len()];
                if entry.sets.find(ids).is_none() {
                    self.create_series(family, ids, now);
                }
            }
        }
        self.families[family].siblings = siblings;
    }

    /// Assigns cells to a label set. The full flags decide whether it is an ordinary or an overflow
    /// series.
    fn create_series(&mut self, family: usize, ids: &[u32], now: UnixNanos) -> u32 {
        let entry = &mut self.families[family];
        let cells = entry.family.spec.kind.cells();
        if self.next_cell as usize % CHUNK_CELLS + cells as usize > CHUNK_CELLS {
            self.next_cell = self.next_cell.next_multiple_of(CHUNK_CELLS as u32);
        }
        let cell = self.next_cell;
        self.next_cell += cells;
        entry.sets.insert(ids, cell);
        let values = ids.iter().zip(&entry.values).map(|(id, known)| &*known.names[*id as usize]);
        let labels = label_text(entry.family.spec.labels.iter().map(|label| &*label.name), values);
        self.new_series.push(NewSeries { family: entry.family.id, cell, created: now, labels });
        self.all += 1;
        if entry.is(FULL) {
            entry.overflow += 1;
            if entry.overflow >= OVERFLOW_SETS_MAX {
                self.close_overflow(family, now);
            }
        } else {
            entry.ordinary += 1;
            self.ordinary += 1;
            self.close_where_full(family);
        }
        cell
    }

    /// Closes the family for overflow series, except the one that has `_other` in every label.
    fn close_overflow(&mut self, family: usize, now: UnixNanos) {
        let entry = &self.families[family];
        if entry.is(OVERFLOW_FULL) {
            return;
        }
        entry.close(OVERFLOW_FULL);
        let all = [OTHER_ID; LABELS_MAX];
        let all = &all[..entry.values.len()];
        if entry.sets.find(all).is_none() {
            self.create_series(family, all, now);
        }
    }

    fn close_where_full(&mut self, family: usize) {
        if self.ordinary >= self.limits.series_max {
            self.families.iter().for_each(FamilyEntry::close_full);
        } else if self.families[family].ordinary >= self.limits.label_sets_max {
            self.families[family].close_full();
        }
    }
}

impl FamilyEntry {
    fn new(id: FamilyId, spec: FamilySpec) -> FamilyEntry {
        let labels = spec.labels.len();
        let mut values: Vec<Interner> = Vec::new();
        values.resize_with(labels, Interner::default);
        for known in &mut values {
            known.insert(OTHER);
            known.insert(UNMATCHED);
        }
        let entry = FamilyEntry {
            help: Arc::from(spec.help.as_str()),
            siblings: spec.siblings.clone(),
            family: Arc::new(Family::new(id, spec)),
            values,
            sets: SetMap::new(labels),
            ordinary: 0,
            overflow: 0,
        };
        (0..labels).for_each(|label| entry.close_label_at_its_cap(label));
        entry
    }
}
