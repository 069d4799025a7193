//! Exemplars: a measured value with its span. Each shard has a fixed number of slots and keeps the
//! first exemplars that arrive. A scrape starts a new epoch and collects the exemplars of the last
//! one; then the slots fill again. The registry keeps a collected exemplar until a newer one
//! replaces it. A slot is a seqlock of atomics: a scrape skips a torn slot.

use crate::clock::UnixNanos;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Maximum number of exemplars of a shard between two scrapes: 56 KiB, allocated with the first
/// one. Traced lines rarely reach more cells than this between two scrapes; the remaining cells get
/// theirs after the next scrape.
pub const EXEMPLARS_MAX: usize = 1024;

/// A measured value with the span that it came from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exemplar {
    /// The measured value.
    pub value: f64,
    /// Time of the measurement.
    pub at: UnixNanos,
    /// W3C trace id.
    pub trace_id: [u8; 16],
    /// W3C span id; all zero if the line named none.
    pub span_id: [u8; 8],
}

/// Sequence; epoch and cell; value; time; trace id in two words; span id.
type Slot = [AtomicU64; 7];

/// The slots of one shard.
#[derive(Debug)]
pub(super) struct Exemplars {
    slots: Box<[Slot]>,
}

impl Exemplars {
    pub(super) fn new() -> Exemplars {
        Exemplars::of(EXEMPLARS_MAX)
    }

    fn of(slots: usize) -> Exemplars {
        let empty = || [const { AtomicU64::new(0) }; 7];
        Exemplars { slots: (0..slots).map(|_| empty()).collect() }
    }

    /// Writes slot `at`; only the writer of the shard may call this. The sequence only grows, so
    /// that a reader cannot mistake two writes for one.
    pub(super) fn put(&self, at: usize, epoch: u32, cell: u32, exemplar: &Exemplar) {
        let Some([sequence, rest @ ..]) = self.slots.get(at) else { return };
        let words = words(epoch, cell, exemplar);
        let before = sequence.load(Ordering::Relaxed);
        sequence.store(before + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (slot, word) in rest.iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        sequence.store(before + 2, Ordering::Release);
    }

    /// Collects all complete exemplars of `epoch` as (cell, exemplar).
    pub(super) fn take(&self, epoch: u32, into: &mut Vec<(u32, Exemplar)>) {
        for [sequence, rest @ ..] in &self.slots {
            let before = sequence.load(Ordering::Acquire);
            let words: [u64; 6] = std::array::from_fn(|n| rest[n].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before % 2 == 1 || sequence.load(Ordering::Relaxed) != before {
                continue;
            }
            if before > 0 && words[0] >> 32 == u64::from(epoch) {
                into.push(read(words));
            }
        }
    }
}

fn words(epoch: u32, cell: u32, exemplar: &Exemplar) -> [u64; 6] {
    let trace = u128::from_be_bytes(exemplar.trace_id);
    [
        u64::from(epoch) << 32 | u64::from(cell),
        exemplar.value.to_bits(),
        exemplar.at.0,
        (trace >> 64) as u64,
        trace as u64,
        u64::from_be_bytes(exemplar.span_id),
    ]
}

fn read(words: [u64; 6]) -> (u32, Exemplar) {
    let trace = u128::from(words[3]) << 64 | u128::from(words[4]);
    let exemplar = Exemplar {
        value: f64::from_bits(words[1]),
        at: UnixNanos(words[2]),
        trace_id: trace.to_be_bytes(),
        span_id: words[5].to_be_bytes(),
    };
    (words[0] as u32, exemplar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(n: u64) -> Exemplar {
        let trace = u128::from(n) << 64 | u128::from(n);
        Exemplar {
            value: n as f64,
            at: UnixNanos(n),
            trace_id: trace.to_be_bytes(),
            span_id: n.to_be_bytes(),
        }
    }

    /// Scenario: one thread rewrites a slot as fast as it can while another reads it. Guarantees:
    /// an exemplar that is read was written completely, by one write.
    #[test]
    fn a_torn_exemplar_is_never_taken() {
        let slots = Exemplars::of(1);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 1..400_000 {
                    slots.put(0, 1, n as u32, &made(n));
                }
            });
            let mut taken = Vec::new();
            while !writer.is_finished() {
                slots.take(1, &mut taken);
                for (cell, exemplar) in taken.drain(..) {
                    assert_eq!(exemplar, made(u64::from(cell)));
                }
            }
        });
        let mut last = Vec::new();
        slots.take(1, &mut last);
        assert_eq!(last, [(399_999, made(399_999))]);
    }

    #[test]
    fn only_the_requested_epoch_is_taken() {
        let slots = Exemplars::new();
        slots.put(0, 1, 5, &made(1));
        slots.put(1, 2, 6, &made(2));
        slots.put(EXEMPLARS_MAX, 2, 7, &made(3));
        let mut taken = Vec::new();
        slots.take(2, &mut taken);
        assert_eq!(taken, [(6, made(2))], "the slot past the last is none");
    }
}
