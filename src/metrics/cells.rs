//! One shard's cells: chunks that never move, written by one thread and read by a scrape. Every
//! cell is its own truth; no two cells are read as one except a set gauge's time and value, in that
//! order.

use super::exemplar::Exemplars;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Cells a chunk: 8 KiB, so that a shard with few series costs two pages, and 10,000 counters ten
/// chunks.
pub(super) const CHUNK_CELLS: usize = 1024;

/// A chunk of cells; its address is fixed for life.
pub(super) type Chunk = [AtomicU64; CHUNK_CELLS];

/// What the one writer and the scrapes share of a shard.
#[derive(Default, Debug)]
pub(super) struct Shard {
    /// Locked by the writer only when it needs another chunk, by a scrape only to copy the handles.
    chunks: Mutex<Vec<Arc<Chunk>>>,
    /// Made when the first exemplar is left.
    pub(super) exemplars: OnceLock<Exemplars>,
    /// A writer holds this shard. A shard whose writer left keeps its numbers and takes a new one.
    pub(super) held: AtomicBool,
}

impl Shard {
    /// Copies the handles of chunks that `known` lacks, after making those up to the one with
    /// `cell`.
    pub(super) fn grow(&self, known: &mut Vec<Arc<Chunk>>, cell: u32) {
        let mut chunks = held(&self.chunks);
        while chunks.len() <= cell as usize / CHUNK_CELLS {
            chunks.push(Arc::new([const { AtomicU64::new(0) }; CHUNK_CELLS]));
        }
        known.extend(chunks.iter().skip(known.len()).cloned());
    }
}

/// A lock whose holder panicked is taken all the same: every value under these locks is whole
/// after each statement, and a scrape must not die of another thread's end.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All shards' cells as one scrape sees them.
#[derive(Debug)]
pub(super) struct View {
    shards: Vec<Vec<Arc<Chunk>>>,
}

impl View {
    /// The cells as they stand; each is read when it is asked for.
    pub(super) fn of(shards: &[Arc<Shard>]) -> View {
        View { shards: shards.iter().map(|shard| held(&shard.chunks).clone()).collect() }
    }

    fn each(&self, cell: u32) -> impl Iterator<Item = &AtomicU64> {
        let (chunk, at) = (cell as usize / CHUNK_CELLS, cell as usize % CHUNK_CELLS);
        self.shards.iter().filter_map(move |chunks| chunks.get(chunk).map(|chunk| &chunk[at]))
    }

    /// The sum of integer cells.
    #[inline]
    pub(super) fn count(&self, cell: u32) -> u64 {
        self.each(cell).fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }

    /// The sum of double cells.
    pub(super) fn sum(&self, cell: u32) -> f64 {
        self.each(cell).map(|cell| f64::from_bits(cell.load(Ordering::Relaxed))).sum()
    }

    /// The newest value of a set gauge: `cell` has the time, the next one the value; 0 if never
    /// set.
    pub(super) fn newest(&self, cell: u32) -> f64 {
        let mut newest = (0, 0.0);
        for (time, value) in self.each(cell).zip(self.each(cell + 1)) {
            // the writer stores the value first: whoever sees this time sees its value or a newer
            // one
            let time = time.load(Ordering::Acquire);
            if time > newest.0 {
                newest = (time, f64::from_bits(value.load(Ordering::Relaxed)));
            }
        }
        newest.1
    }
}
