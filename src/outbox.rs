//! The only queue: bounded in items and bytes, counts what it drops. A data thread hands over whole chunks
//! and never waits; an exporter takes them. Unit: one item (a span, a record, a line).

use std::sync::Arc;

/// A batch of encoded items, one behind the other; recycled, so that no line allocates.
#[derive(Debug, Default, Clone)]
pub struct Chunk {
    /// The items' bytes.
    pub bytes: Vec<u8>,
    /// Where each item ends in `bytes`.
    pub ends: Vec<u32>,
}

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offered {
    /// Items that were taken.
    pub taken: u64,
    /// Items that were dropped because the outbox was full or closed.
    pub dropped: u64,
}

/// How much an outbox holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Items.
    pub items_max: usize,
    /// Bytes of all items.
    pub bytes_max: usize,
}

/// The queue.
#[derive(Debug)]
pub struct Outbox {}

impl Outbox {
    /// An empty one.
    pub fn new(capacity: Capacity) -> Arc<Outbox> {
        let _ = capacity;
        todo!()
    }

    /// Hands over all items of `chunk`, which comes back empty with its (or a recycled) allocation. Never waits
    /// longer than the lock of a moment. What does not fit is dropped: the new items.
    pub fn offer(&self, chunk: &mut Chunk) -> Offered {
        let _ = chunk;
        todo!()
    }
}
