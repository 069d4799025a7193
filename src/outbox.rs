//! The only queue: bounded in items and bytes, counts what it drops. A data thread hands over whole
//! chunks and never waits for an exporter; an exporter takes batches and settles them when they are
//! sent or dropped. Unit: one item (a span, a record, a line).
//!
//! Decision: what does not fit is the newest, because the oldest are already promised to the batch
//! on its way; instead of a ring that overwrites, whose readers would have to be fenced.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Offers smaller than this are copied behind the last chunk, so that a trickle of single items
/// does not become a list of thousands of chunks; larger ones change hands without a copy.
const MERGE_BYTES_MAX: usize = 32 * 1024;
/// Empty chunks kept for reuse: half a second of a busy application between two takes. A longer queue
/// allocates once a chunk.
const SPARE_CHUNKS_MAX: usize = 8;
/// A chunk that grew beyond this is freed instead of kept: twice what the makers hand over at most, since
/// a growing vector doubles. All spares together stay below 1 MiB.
const SPARE_BYTES_MAX: usize = 128 * 1024;

/// A batch of encoded items, one behind the other; recycled, so that no line allocates.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The items' bytes.
    pub bytes: Vec<u8>,
    /// Where each item ends in `bytes`.
    pub ends: Vec<u32>,
}

impl Chunk {
    /// Ends the item whose bytes were just appended.
    #[inline]
    pub fn end_item(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }

    /// Forgets all items, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many items.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The items, in order.
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

    /// Where item `index` begins.
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

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offered {
    /// Items that were taken.
    pub taken: u64,
    /// Items that were dropped because the outbox was full or closed.
    pub dropped: u64,
    /// It was closed: the reason of the drop, where there is one.
    pub closed: bool,
}

impl Offered {
    /// The value of the label `reason` for what was dropped.
    pub fn reason(self) -> &'static str {
        if self.closed { "closed" } else { "queue_full" }
    }
}

/// How much an outbox holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Items.
    pub items_max: usize,
    /// Bytes of all items.
    pub bytes_max: usize,
}

impl Capacity {
    /// For spans: sixteen export requests of the usual size, some minutes of a quiet application.
    pub const SPANS: Capacity = Capacity { items_max: 8_192, bytes_max: 4 << 20 };
    /// For lines that pass through: what a pipe of 64 KiB holds, sixteen times.
    pub const LINES: Capacity = Capacity { items_max: 65_536, bytes_max: 1 << 20 };
}

/// How much is taken at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchSize {
    /// Items.
    pub items_max: usize,
    /// Bytes of all items; one item is taken however long it is.
    pub bytes_max: usize,
}

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    capacity: Capacity,
    state: Mutex<State>,
    /// Wakes the one that takes: when the first item comes, when a batch is full, at the close.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Chunk>,
    /// Items of the front chunk that were taken already.
    front_taken: usize,
    /// Items and bytes in `queue` that were not taken.
    items: usize,
    bytes: usize,
    /// Items that were taken and are not settled.
    in_flight: usize,
    spare: Vec<Chunk>,
    /// The taker wants to be woken when this many items are there.
    wake_at: usize,
    closed: bool,
}

impl Outbox {
    /// An empty one.
    pub fn new(capacity: Capacity) -> Arc<Outbox> {
        let state = State { wake_at: 1, ..State::default() };
        Arc::new(Outbox { capacity, state: Mutex::new(state), wake: Notify::new() })
    }

    /// Hands over all items of `chunk`, which comes back empty with its (or a recycled) allocation.
    /// Never waits longer than the lock of a moment. What does not fit is dropped: the new items.
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
        let wake = before < state.wake_at && state.items >= state.wake_at;
        drop(state);
        chunk.clear();
        if wake {
            self.wake.notify_one();
        }
        offered
    }

    /// Waits for the first item, then at most `linger` for a full batch; moves the oldest items to
    /// the empty `into`. They stay held until they are settled. False: closed, and nothing is left.
    /// For one taker at a time.
    pub async fn take(&self, into: &mut Chunk, most: BatchSize, linger: Duration) -> bool {
        into.clear();
        if !self.wait(1, None).await {
            return false;
        }
        self.wait(most.items_max.min(self.capacity.items_max), Some(Instant::now() + linger)).await;
        let mut state = self.lock();
        state.pop(into, most);
        state.in_flight += into.len();
        true
    }

    /// `items` that were taken are sent or dropped now. Says how many of them were still held:
    /// those that [`Outbox::abandon`] took over are not, and must not be counted again.
    pub fn settle(&self, items: u64) -> u64 {
        let mut state = self.lock();
        let settled = (items as usize).min(state.in_flight);
        state.in_flight -= settled;
        settled as u64
    }

    /// What can be taken without waiting: for whoever is not async. False: nothing is held.
    pub fn take_now(&self, into: &mut Chunk, most: BatchSize) -> bool {
        into.clear();
        let mut state = self.lock();
        state.pop(into, most);
        state.in_flight += into.len();
        !into.is_empty()
    }

    /// Takes no more; what is held can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Closes and gives up all that is held, in flight too: the number of items that the caller has
    /// to count as dropped.
    pub fn abandon(&self) -> u64 {
        let mut state = self.lock();
        let held = state.items + state.in_flight;
        *state = State { closed: true, wake_at: state.wake_at, ..State::default() };
        drop(state);
        self.wake.notify_one();
        held as u64
    }

    /// How full it is, in items or in bytes, whichever is fuller: 0 to 1.
    pub fn fill(&self) -> f64 {
        let state = self.lock();
        let share = |held: usize, most: usize| held as f64 / most.max(1) as f64;
        let items = share(state.items + state.in_flight, self.capacity.items_max);
        items.max(share(state.bytes, self.capacity.bytes_max)).min(1.0)
    }

    /// Items that were offered and are neither sent nor dropped.
    pub fn held(&self) -> u64 {
        let state = self.lock();
        (state.items + state.in_flight) as u64
    }

    /// Waits until `items` are there, it is closed, or `until` has come; whether anything is there.
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

    /// A thread that panicked inside leaves counts that are whole, since nothing here calls out.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many items of `chunk`, from its first, fit.
    fn fitting(&self, capacity: Capacity, chunk: &Chunk) -> usize {
        let items = capacity.items_max.saturating_sub(self.items + self.in_flight);
        let bytes = capacity.bytes_max.saturating_sub(self.bytes);
        if chunk.len() <= items && chunk.bytes.len() <= bytes {
            return chunk.len();
        }
        chunk.ends.partition_point(|&end| end as usize <= bytes).min(items)
    }

    /// Appends the first `count` items.
    fn push(&mut self, chunk: &mut Chunk, count: usize) {
        let bytes = chunk.start(count);
        self.items += count;
        self.bytes += bytes;
        if let Some(last) = self.queue.back_mut()
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
        self.queue.push_back(fresh);
    }

    /// Moves the oldest items, at most `most`.
    fn pop(&mut self, into: &mut Chunk, most: BatchSize) {
        while let Some(front) = self.queue.front() {
            let room = most.bytes_max.saturating_sub(into.bytes.len());
            let from = front.start(self.front_taken);
            let fit = front.ends[self.front_taken..]
                .partition_point(|&end| end as usize - from <= room)
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
                let emptied = self.queue.pop_front().expect("the front that was just read");
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
