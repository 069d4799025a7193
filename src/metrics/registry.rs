//! The one place where families, the series table, the shards and what scrapes remember meet.
//! Locks, never two at once but in this order: scrape, then admission, then shards, then a shard's
//! chunks.

use super::admission::Admission;
use super::cells::{Shard, View, held};
use super::declare::SERIES_MAX;
use super::exemplar::Exemplar;
use super::family::{FamilyConflict, FamilyId, FamilySpec, Limits};
use super::rendered::Rendered;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Exemplars kept: one for each of eight buckets of 512 series, in 256 KiB.
const EXEMPLARS_KEPT_MAX: usize = 4096;

/// All families and series of the process.
#[derive(Debug)]
pub struct Registry {
    pub(super) limits: Limits,
    admission: Mutex<Admission>,
    shards: Mutex<Vec<Arc<Shard>>>,
    rendered: Mutex<Rendered>,
    /// Counts up when the shards' exemplars are collected; starts at 1, as 0 means never.
    pub(super) epoch: AtomicU32,
    /// Grows whenever a label takes a new value; published after the admission that took it.
    pub(super) values_count: AtomicU32,
    /// The newest exemplar of each cell, ascending by cell.
    exemplars: Mutex<Vec<(u32, Exemplar)>>,
}

impl Registry {
    /// An empty one. It takes no more than [`SERIES_MAX`] series, whatever the limits say.
    pub fn new(mut limits: Limits) -> Arc<Registry> {
        limits.series_max = limits.series_max.min(SERIES_MAX);
        Arc::new(Registry {
            limits,
            admission: Mutex::new(Admission::new(limits)),
            shards: Mutex::default(),
            rendered: Mutex::default(),
            epoch: AtomicU32::new(1),
            values_count: AtomicU32::new(0),
            exemplars: Mutex::default(),
        })
    }

    /// Declares a family; the same spec again gives the same number. A counter's name gets its
    /// `_total` where it lacks; help and siblings may differ from the last time and are taken over.
    ///
    /// # Errors
    /// The name is taken by a family of another type, unit, label list or buckets; or the
    /// name, a label or the buckets are none that Prometheus accepts.
    pub fn declare(&self, spec: FamilySpec) -> Result<FamilyId, FamilyConflict> {
        self.admission().declare(spec)
    }

    /// Whether [`Registry::declare`] would take it; nothing is declared.
    ///
    /// # Errors
    /// As [`Registry::declare`].
    pub fn accepts(&self, spec: &FamilySpec) -> Result<(), FamilyConflict> {
        self.admission().accepts(&super::declare::checked(spec.clone())?)
    }

    /// Series now alive, overflow series included.
    pub fn series_count(&self) -> usize {
        self.admission().series_count()
    }

    /// Which labels overflowed: (family name, label name, how many values were folded). Counted
    /// each time that a series is asked for, so a value that comes back counts again.
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
        held(&self.admission)
    }

    /// A shard without a writer, or a new one: numbers of a writer that left stay.
    pub(super) fn shard(&self) -> Arc<Shard> {
        let mut shards = held(&self.shards);
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
        held(&self.shards).len()
    }

    /// What a scrape reads: every series' text, up to date, and all shards' cells. Holds up another
    /// scrape for as long as the texts are borrowed, a data thread only for the copying of handles.
    pub(super) fn scrape(&self) -> (MutexGuard<'_, Rendered>, View) {
        let mut rendered = held(&self.rendered);
        let births = {
            let mut admission = self.admission();
            for entry in admission.entries() {
                rendered.learn(&entry.family, &entry.help);
            }
            admission.take_births()
        };
        rendered.bear(&births);
        let view = View::of(&held(&self.shards));
        (rendered, view)
    }

    /// Returns the newest exemplar of each cell, ascending by cell, in one format as in another: an
    /// exemplar stays until a newer one replaces it, so that no scraper takes it from another. At
    /// most [`EXEMPLARS_KEPT_MAX`], the newest. To be called under a scrape.
    pub(super) fn exemplars(&self) -> MutexGuard<'_, Vec<(u32, Exemplar)>> {
        let mut kept = held(&self.exemplars);
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        let mut newer = Vec::new();
        for shard in held(&self.shards).iter() {
            if let Some(exemplars) = shard.exemplars.get() {
                exemplars.take(epoch, &mut newer);
            }
        }
        if newer.is_empty() {
            return kept;
        }
        // of two with one time the one that was collected last comes first, and stays
        newer.append(&mut kept);
        *kept = newer;
        kept.sort_by_key(|(cell, exemplar)| (*cell, Reverse(exemplar.at)));
        kept.dedup_by_key(|(cell, _)| *cell);
        if kept.len() > EXEMPLARS_KEPT_MAX {
            kept.sort_by_key(|(_, exemplar)| Reverse(exemplar.at));
            kept.truncate(EXEMPLARS_KEPT_MAX);
            kept.sort_by_key(|(cell, _)| *cell);
        }
        kept
    }
}
