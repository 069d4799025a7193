//! The only queue. It is bounded in items and bytes and counts what it drops. A data thread hands
//! over whole chunks and never waits for an exporter. An exporter takes batches and settles them
//! when they are sent or dropped. Unit: one item (a span, a record, a line).
//!
//! Decision: a full outbox drops the newest items, because the oldest are already part of the batch
//! that is being sent. A ring that overwrites its oldest items would need synchronization with its
//! readers.

use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Smaller offers are copied to the end of the last chunk, so that a trickle of single items does
/// not become a list of thousands of chunks. Larger offers change hands without a copy.
const MERGE_BYTES_MAX: usize = 32 * 1024;
/// Empty chunks kept for reuse: half a second of a busy application between two takes. A longer
/// queue allocates one vector for each further chunk.
const SPARE_CHUNKS_MAX: usize = 8;
/// A chunk that grew beyond this size is freed instead of kept. The value is twice the most that a
/// producer hands over, because a growing vector doubles. All spare chunks together stay below 1
/// MiB.
const SPARE_BYTES_MAX: usize = 128 * 1024;

/// A batch of encoded items, stored end to end. Chunks are recycled, so that no line allocates.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The items' bytes.
    pub bytes: Vec<u8>,
    /// The end of each item in `bytes`.
    pub ends: Vec<u32>,
}

impl Chunk {
    /// Ends the item that consists of the bytes appended last.
    #[inline]
    pub fn end_item(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }

    /// Removes all items and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the items in order.
    pub fn items(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let item = &self.bytes[start..end as usize];
            start = end as usize;
            item
        })
    }

    /// Removes the first item, if there is one.
    pub fn remove_first(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        let end = self.ends.remove(0);
        self.bytes.drain(..end as usize);
        for later in &mut self.ends {
            *later -= end;
        }
    }

    /// Returns the position in `bytes` at which item `index` begins.
    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// Appends the items `range` of `other`.
    fn append(&mut self, other: &Chunk, range: std::ops::Range<usize>) {
        let (from, to) = (other.start(range.start), other.start(range.end));
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes[from..to]);
        self.ends.extend(other.ends[range].iter().map(|&end| (base + end as usize - from) as u32));
    }
}

/// The result of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offered {
    /// Items that the outbox accepted.
    pub taken: u64,
    /// Items that the outbox dropped because it was full or closed.
    pub dropped: u64,
    /// Whether the outbox was closed, which then is the reason for the drop.
    pub closed: bool,
}

impl Offered {
    /// Returns the value of the label `reason` for the dropped items.
    pub fn reason(self) -> &'static str {
        if self.closed { "closed" } else { "queue_full" }
    }
}

/// The bounds of an outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Maximum number of items.
    pub items_max: usize,
    /// Maximum number of bytes of all items.
    pub bytes_max: usize,
}

impl Capacity {
    /// For spans: sixteen export requests of the usual size, which is some minutes of a quiet
    /// application.
    pub const SPANS: Capacity = Capacity { items_max: 8_192, bytes_max: 4 << 20 };
    /// For passed-through lines: sixteen times what a pipe of 64 KiB holds.
    pub const LINES: Capacity = Capacity { items_max: 65_536, bytes_max: 1 << 20 };
}

/// The bounds of one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchSize {
    /// Maximum number of items.
    pub items_max: usize,
    /// Maximum number of bytes of all items. One item is always taken, whatever its length.
    pub bytes_max: usize,
}

/// A bounded queue between data threads and one output.
#[derive(Debug)]
pub struct Outbox {
    capacity: Capacity,
    state: Mutex<Queue>,
    /// Wakes the taker when the first item arrives, when a batch is full, and at the close.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// Items of the front chunk that the taker already has.
    front_taken: usize,
    /// Items and bytes in `chunks` that the taker does not have yet.
    items: usize,
    bytes: usize,
    /// Items that were taken and are not settled yet.
    in_flight: usize,
    spare: Vec<Chunk>,
    /// The number of items at which the taker wants to be woken.
    wake_at: usize,
    closed: bool,
}

impl Outbox {
    /// Creates an empty outbox.
    pub fn new(capacity: Capacity) -> Arc<Outbox> {
        let state = Queue { wake_at: 1, ..Queue::default() };
        Arc::new(Outbox { capacity, state: Mutex::new(state), wake: Notify::new() })
    }

    /// Hands over all items of `chunk`, which comes back empty with its own or a recycled
    /// allocation. Waits for nothing but the lock, which is held briefly. Drops those of the new
    /// items that do not fit.
    pub fn offer(&self, chunk: &mut Chunk) -> Offered {
        if chunk.is_empty() {
            return Offered::default();
        }
        let mut state = self.lock();
        let fit = if state.closed { 0 } else { state.fitting(self.capacity, chunk) };
        let offered = Offered {
            taken: fit as u64,
            dropped: (chunk.len() - fit) as u64,
            closed: state.closed,
        };
        let before = state.items;
        if fit > 0 {
            state.push(chunk, fit);
        }
        self.check(&state);
        let wake = before < state.wake_at && state.items >= state.wake_at;
        drop(state);
        chunk.clear();
        if wake {
            self.wake.notify_one();
        }
        offered
    }

    /// Waits for the first item, then at most `linger` for a full batch, and moves the oldest items
    /// to the empty `into`. The outbox counts them as held until they are settled. Returns false
    /// when the outbox is closed and empty. Only one taker may call this at a time.
    pub async fn take(&self, into: &mut Chunk, most: BatchSize, linger: Duration) -> bool {
        into.clear();
        if !self.wait(1, None).await {
            return false;
        }
        self.wait(most.items_max.min(self.capacity.items_max), Some(Instant::now() + linger)).await;
        let mut state = self.lock();
        state.pop(into, most);
        state.in_flight += into.len();
        self.check(&state);
        true
    }

    /// Records that `items` of the taken items are now sent or dropped. Returns how many of them
    /// were still held. Items that [`Outbox::abandon`] took over are no longer held, and the caller
    /// must not count them again.
    pub fn settle(&self, items: u64) -> u64 {
        let mut state = self.lock();
        let settled = (items as usize).min(state.in_flight);
        state.in_flight -= settled;
        settled as u64
    }

    /// Takes what is available without waiting, for callers that are not async. Returns false when
    /// the outbox is empty.
    pub fn take_now(&self, into: &mut Chunk, most: BatchSize) -> bool {
        into.clear();
        let mut state = self.lock();
        state.pop(into, most);
        state.in_flight += into.len();
        self.check(&state);
        !into.is_empty()
    }

    /// Rejects further items; the held items can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Closes the outbox and gives up all held items, those in flight included. Returns their
    /// number, which the caller has to count as dropped.
    pub fn abandon(&self) -> u64 {
        let mut state = self.lock();
        let held = state.items + state.in_flight;
        *state = Queue { closed: true, wake_at: state.wake_at, ..Queue::default() };
        drop(state);
        self.wake.notify_one();
        held as u64
    }

    /// Returns how full the outbox is, from 0 to 1: in items or in bytes, whichever is fuller.
    pub fn fill(&self) -> f64 {
        let state = self.lock();
        let share = |held: usize, most: usize| held as f64 / most.max(1) as f64;
        let items = share(state.items + state.in_flight, self.capacity.items_max);
        items.max(share(state.bytes, self.capacity.bytes_max)).min(1.0)
    }

    /// Returns the number of items that were offered and are neither sent nor dropped.
    pub fn held(&self) -> u64 {
        let state = self.lock();
        (state.items + state.in_flight) as u64
    }

    /// Waits until `items` are there, the outbox is closed, or `until` has passed. Returns whether
    /// there are any items.
    async fn wait(&self, items: usize, until: Option<Instant>) -> bool {
        loop {
            {
                let mut state = self.lock();
                if state.items >= items || state.closed {
                    return state.items > 0;
                }
                state.wake_at = items;
            }
            match until {
                None => self.wake.notified().await,
                Some(until) => {
                    if timeout_at(until, self.wake.notified()).await.is_err() {
                        return true;
                    }
                }
            }
        }
    }

    /// Checks, in debug builds, that the counts agree with the chunks and that the outbox holds no
    /// more than its capacity.
    fn check(&self, state: &Queue) {
        debug_assert_eq!(
            state.items + state.front_taken,
            state.chunks.iter().map(Chunk::len).sum::<usize>(),
            "items counted and queued"
        );
        let most = self.capacity.items_max;
        debug_assert!(state.items + state.in_flight <= most, "items held within the capacity");
        debug_assert!(state.bytes <= self.capacity.bytes_max, "bytes held within the capacity");
    }

    /// Locks the state. A poisoned lock is safe to use: the counts stay consistent after a panic,
    /// since no code under the lock calls out.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.state)
    }
}

impl Queue {
    /// Returns how many items of `chunk`, from its first, fit.
    fn fitting(&self, capacity: Capacity, chunk: &Chunk) -> usize {
        let items = capacity.items_max.saturating_sub(self.items + self.in_flight);
        let bytes = capacity.bytes_max.saturating_sub(self.bytes);
        if chunk.len() <= items && chunk.bytes.len() <= bytes {
            return chunk.len();
        }
        chunk.ends.partition_point(|&end| end as usize <= bytes).min(items)
    }

    /// Appends the first `count` items of `chunk`.
    fn push(&mut self, chunk: &mut Chunk, count: usize) {
        debug_assert!(count <= chunk.len(), "{count} of {} items", chunk.len());
        let bytes = chunk.start(count);
        self.items += count;
        self.bytes += bytes;
        if let Some(last) = self.chunks.back_mut()
            && last.bytes.len() + bytes <= MERGE_BYTES_MAX
        {
            last.append(chunk, 0..count);
            return;
        }
        let mut fresh = self.spare.pop().unwrap_or_default();
        if count == chunk.len() && bytes > MERGE_BYTES_MAX {
            std::mem::swap(&mut fresh, chunk);
        } else {
            fresh.append(chunk, 0..count);
        }
        self.chunks.push_back(fresh);
    }

    /// Moves the oldest items to `into`, at most `most`.
    fn pop(&mut self, into: &mut Chunk, most: BatchSize) {
        while let Some(front) = self.chunks.front() {
            let space = most.bytes_max.saturating_sub(into.bytes.len());
            let from = front.start(self.front_taken);
            let fit = front.ends[self.front_taken..]
                .partition_point(|&end| end as usize - from <= space)
                .min(most.items_max - into.len());
            let fit = if into.is_empty() { fit.max(1) } else { fit };
            if fit == 0 {
                return;
            }
            let to = self.front_taken + fit;
            into.append(front, self.front_taken..to);
            self.items -= fit;
            self.bytes -= front.start(to) - from;
            self.front_taken = to;
            if to == front.len() {
                self.front_taken = 0;
                let emptied = self.chunks.pop_front().expect("the front that was just read");
                self.recycle(emptied);
            }
        }
    }

    fn recycle(&mut self, mut chunk: Chunk) {
        if self.spare.len() < SPARE_CHUNKS_MAX && chunk.bytes.capacity() <= SPARE_BYTES_MAX {
            chunk.clear();
            self.spare.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests;
