//! The cells of one shard: chunks that never move, written by one thread and read by scrapes. Each
//! cell is read independently, except the time and the value of a set gauge, which are read in that
//! order.

use super::exemplar::Exemplars;
use crate::sync::lock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Number of cells in a chunk: 8 KiB, so that a shard with few series uses two pages, and 10,000
/// counters use ten chunks.
pub(super) const CHUNK_CELLS: usize = 1024;

/// A chunk of cells; its address never changes.
pub(super) type Chunk = [AtomicU64; CHUNK_CELLS];

/// The part of a shard that its writer and the scrapes share.
#[derive(Default, Debug)]
pub(super) struct Shard {
    /// The writer locks this only when it needs another chunk, a scrape only to copy the handles.
    chunks: Mutex<Vec<Arc<Chunk>>>,
    /// Created with the first exemplar.
    pub(super) exemplars: OnceLock<Exemplars>,
    /// A writer holds this shard. A shard without a writer keeps its numbers and can get a new
    /// writer.
    pub(super) held: AtomicBool,
}

impl Shard {
    /// Creates chunks up to the one with `cell`, then copies the handles that `known` lacks.
    pub(super) fn grow(&self, known: &mut Vec<Arc<Chunk>>, cell: u32) {
        let mut chunks = lock(&self.chunks);
        while chunks.len() <= cell as usize / CHUNK_CELLS {
            chunks.push(Arc::new([const { AtomicU64::new(0) }; CHUNK_CELLS]));
        }
        known.extend(chunks.iter().skip(known.len()).cloned());
    }
}

/// The cells of all shards for one scrape.
#[derive(Debug)]
pub(super) struct View {
    shards: Vec<Vec<Arc<Chunk>>>,
}

impl View {
    /// Returns a view of the live cells; each cell is read on access.
    pub(super) fn of(shards: &[Arc<Shard>]) -> View {
        View { shards: shards.iter().map(|shard| lock(&shard.chunks).clone()).collect() }
    }

    fn each(&self, cell: u32) -> impl Iterator<Item = &AtomicU64> {
        let (chunk, at) = (cell as usize / CHUNK_CELLS, cell as usize % CHUNK_CELLS);
        self.shards.iter().filter_map(move |chunks| chunks.get(chunk).map(|chunk| &chunk[at]))
    }

    /// Returns the sum of integer cells.
    #[inline]
    pub(super) fn count(&self, cell: u32) -> u64 {
        self.each(cell).fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }

    /// Returns the sum of double cells.
    pub(super) fn sum(&self, cell: u32) -> f64 {
        self.each(cell).map(|cell| f64::from_bits(cell.load(Ordering::Relaxed))).sum()
    }

    /// Returns the newest value of a set gauge: `cell` has the time, the next cell the value.
    /// Returns 0 if the gauge was never set.
    pub(super) fn newest(&self, cell: u32) -> f64 {
        let mut newest = (0, 0.0);
        for (time, value) in self.each(cell).zip(self.each(cell + 1)) {
            // the writer stores the value first, so a reader of this time reads its value or a
            // newer one
            let time = time.load(Ordering::Acquire);
            if time > newest.0 {
                newest = (time, f64::from_bits(value.load(Ordering::Relaxed)));
            }
        }
        newest.1
    }
}
