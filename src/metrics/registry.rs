//! The registry: families, the series table, the shards and the state that scrapes keep. Locks are
//! taken in this order and never two at once: scrape, then admission, then shards, then a shard's
//! chunks.

use super::admission::Admission;
use super::cells::{Shard, View};
use super::declare::SERIES_MAX;
use super::exemplar::Exemplar;
use super::family::{FamilyConflict, FamilyId, FamilySpec, Limits};
use super::rendered::Rendered;
use crate::order;
use crate::sync::lock;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Maximum number of kept exemplars: one for each of eight buckets of 512 series, in 256 KiB.
const EXEMPLARS_KEPT_MAX: usize = 4096;

/// All families and series of the process.
#[derive(Debug)]
pub struct Registry {
    pub(super) limits: Limits,
    admission: Mutex<Admission>,
    shards: Mutex<Vec<Arc<Shard>>>,
    rendered: Mutex<Rendered>,
    /// Incremented when a scrape collects the exemplars of the shards; starts at 1, because 0 means
    /// never.
    pub(super) epoch: AtomicU32,
    /// Grows whenever a label takes a new value; stored after the admission of that value.
    pub(super) values_count: AtomicU32,
    /// Label values of new series in which characters were replaced.
    pub(super) replaced_count: AtomicU64,
    /// The newest exemplar of each cell, ascending by cell.
    exemplars: Mutex<Vec<(u32, Exemplar)>>,
}

impl Registry {
    /// Creates an empty registry. It accepts at most [`SERIES_MAX`] series, whatever the limits
    /// say.
    pub fn new(mut limits: Limits) -> Arc<Registry> {
        limits.series_max = limits.series_max.min(SERIES_MAX);
        Arc::new(Registry {
            limits,
            admission: Mutex::new(Admission::new(limits)),
            shards: Mutex::default(),
            rendered: Mutex::default(),
            epoch: AtomicU32::new(1),
            values_count: AtomicU32::new(0),
            replaced_count: AtomicU64::new(0),
            exemplars: Mutex::default(),
        })
    }

    /// Declares a family; the same spec again returns the same number. Appends `_total` to the name
    /// of a counter if it lacks it. Help and siblings may differ from the last declaration; the new
    /// ones apply.
    ///
    /// # Errors
    /// Fails if a family of another type, unit, label list or buckets has the name, or if
    /// Prometheus does not accept the name, a label or the buckets.
    pub fn declare(&self, spec: FamilySpec) -> Result<FamilyId, FamilyConflict> {
        self.admission().declare(spec)
    }

    /// Returns in how many label values of new series characters were replaced. A value that was
    /// folded into `_other` does not count, nor does a series that another shard creates again.
    pub fn replaced_count(&self) -> u64 {
        self.replaced_count.load(Ordering::Relaxed)
    }

    /// Checks whether [`Registry::declare`] would accept the spec; declares nothing.
    ///
    /// # Errors
    /// Fails as [`Registry::declare`] does.
    pub fn accepts(&self, spec: &FamilySpec) -> Result<(), FamilyConflict> {
        self.admission().accepts(&super::declare::checked(spec.clone())?)
    }

    /// Returns the number of series, overflow series included.
    pub fn series_count(&self) -> usize {
        self.admission().series_count()
    }

    /// Returns the labels that overflowed: (family name, label name, number of folded values). The
    /// number grows with each lookup of a series, so a value that returns counts again.
    pub fn overflows(&self) -> Vec<(String, String, u64)> {
        let mut overflows = Vec::new();
        for entry in self.admission().entries() {
            let spec = &entry.family.spec;
            for (label, folded) in spec.labels.iter().zip(&entry.family.folded) {
                let folded = folded.load(Ordering::Relaxed);
                if folded > 0 {
                    overflows.push((spec.name.clone(), label.name.clone(), folded));
                }
            }
        }
        overflows
    }

    pub(super) fn admission(&self) -> MutexGuard<'_, Admission> {
        lock(&self.admission)
    }

    /// Returns a shard without a writer, or a new one. The numbers of a former writer stay in its
    /// shard.
    pub(super) fn shard(&self) -> Arc<Shard> {
        let mut shards = lock(&self.shards);
        let free = shards.iter().find(|shard| !shard.held.swap(true, Ordering::Acquire));
        if let Some(free) = free {
            return Arc::clone(free);
        }
        let shard = Arc::new(Shard::default());
        shard.held.store(true, Ordering::Relaxed);
        shards.push(Arc::clone(&shard));
        shard
    }

    #[cfg(test)]
    pub(super) fn shard_count(&self) -> usize {
        lock(&self.shards).len()
    }

    /// Returns what a scrape reads: the current text of every series, and the cells of all shards.
    /// Blocks other scrapes while the texts are borrowed, and a data thread only while handles are
    /// copied.
    pub(super) fn scrape(&self) -> (MutexGuard<'_, Rendered>, View) {
        let mut rendered = lock(&self.rendered);
        let new_series = {
            let mut admission = self.admission();
            for entry in admission.entries() {
                rendered.learn(&entry.family, &entry.help);
            }
            admission.take_new_series()
        };
        rendered.register(&new_series);
        let view = View::of(&lock(&self.shards));
        (rendered, view)
    }

    /// Returns the newest exemplar of each cell, ascending by cell, the same for every format. An
    /// exemplar stays until a newer one replaces it, so that one scraper does not take it from
    /// another. At most [`EXEMPLARS_KEPT_MAX`], the newest. The caller must hold the lock of a
    /// scrape.
    pub(super) fn exemplars(&self) -> MutexGuard<'_, Vec<(u32, Exemplar)>> {
        let mut kept = lock(&self.exemplars);
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        let mut newer = Vec::new();
        for shard in lock(&self.shards).iter() {
            if let Some(exemplars) = shard.exemplars.get() {
                exemplars.take(epoch, &mut newer);
            }
        }
        if newer.is_empty() {
            return kept;
        }
        // of two exemplars with the same time, the one collected last sorts first and stays
        newer.append(&mut kept);
        *kept = newer;
        order::sort_by_key(&mut kept, |(cell, exemplar)| (*cell, Reverse(exemplar.at)));
        kept.dedup_by_key(|(cell, _)| *cell);
        if kept.len() > EXEMPLARS_KEPT_MAX {
            order::sort_by_key(&mut kept, |(_, exemplar)| Reverse(exemplar.at));
            kept.truncate(EXEMPLARS_KEPT_MAX);
            order::sort_by_key(&mut kept, |(cell, _)| *cell);
        }
        kept
    }
}
