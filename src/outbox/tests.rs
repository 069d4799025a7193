//! Tests that compare the outbox with a plain list of items.

use super::*;
use proptest::prelude::*;
use std::future::Future;
use std::task::{Context, Poll, Waker};

const LINGER: Duration = Duration::from_secs(1);

fn chunk(items: &[Vec<u8>]) -> Chunk {
    let mut chunk = Chunk::default();
    for item in items {
        chunk.bytes.extend_from_slice(item);
        chunk.end_item();
    }
    chunk
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

#[derive(Clone, Debug)]
enum Step {
    Offer(Vec<Vec<u8>>),
    Take { items: usize, bytes: usize },
    Settle(u64),
    Abandon,
}

fn step() -> impl Strategy<Value = Step> {
    let item = prop::collection::vec(any::<u8>(), 1..40);
    let large = (0..=255u8, 1..40_000usize).prop_map(|(byte, len)| vec![byte; len]);
    let items = prop::collection::vec(prop_oneof![9 => item, 1 => large], 0..12);
    prop_oneof![
        6 => items.prop_map(Step::Offer),
        4 => (1..20usize, 0..60_000usize).prop_map(|(items, bytes)| Step::Take { items, bytes }),
        3 => (0..20u64).prop_map(Step::Settle),
        1 => Just(Step::Abandon),
    ]
}

proptest! {
    /// Guarantees: offered = sent + dropped + held after every step; items leave whole and in
    /// order; only the newest are dropped; neither bound is ever exceeded.
    #[test]
    fn property_the_ledger_closes(steps in prop::collection::vec(step(), 0..60)) {
        let capacity = Capacity { items_max: 30, bytes_max: 50_000 };
        let outbox = Outbox::new(capacity);
        let runtime = runtime();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let (mut in_flight, mut closed) = (0u64, false);
        let (mut offered, mut dropped, mut sent) = (0u64, 0u64, 0u64);
        let mut into = Chunk::default();
        for step in steps {
            match step {
                Step::Offer(items) => {
                    let mut bytes: usize = model.iter().map(Vec::len).sum();
                    let mut fits = 0;
                    for item in &items {
                        let full = model.len() + in_flight as usize >= capacity.items_max
                            || bytes + item.len() > capacity.bytes_max;
                        if full || closed {
                            break;
                        }
                        bytes += item.len();
                        fits += 1;
                        model.push_back(item.clone());
                    }
                    let mut given = chunk(&items);
                    let answer = outbox.offer(&mut given);
                    prop_assert!(given.is_empty() && given.bytes.is_empty());
                    prop_assert_eq!((answer.taken, answer.dropped), (fits, items.len() as u64 - fits));
                    offered += items.len() as u64;
                    dropped += answer.dropped;
                }
                Step::Take { items, bytes } => {
                    if model.is_empty() && !closed {
                        continue;
                    }
                    let most = BatchSize { items_max: items, bytes_max: bytes };
                    let more = runtime.block_on(outbox.take(&mut into, most, LINGER));
                    prop_assert_eq!(more, !model.is_empty());
                    prop_assert!(into.len() <= items && (into.bytes.len() <= bytes || into.len() == 1));
                    for item in into.items() {
                        let oldest = model.pop_front();
                        prop_assert_eq!(Some(item), oldest.as_deref());
                    }
                    in_flight += into.len() as u64;
                }
                Step::Settle(count) => {
                    prop_assert_eq!(outbox.settle(count), count.min(in_flight));
                    sent += count.min(in_flight);
                    in_flight -= count.min(in_flight);
                }
                Step::Abandon => {
                    dropped += outbox.abandon();
                    model.clear();
                    (in_flight, closed) = (0, true);
                }
            }
            prop_assert_eq!(outbox.held(), model.len() as u64 + in_flight);
            prop_assert_eq!(offered, sent + dropped + outbox.held());
        }
    }
}

/// Guarantees: a batch goes out when it is full or when its first item has waited for `linger`, and
/// never before.
#[test]
fn a_batch_waits_for_its_size_or_its_time() {
    runtime().block_on(async {
        let outbox = Outbox::new(Capacity::SPANS);
        let most = BatchSize { items_max: 3, bytes_max: 1_000 };
        let mut into = Chunk::default();
        let began = Instant::now();
        outbox.offer(&mut chunk(&[vec![1]]));
        assert!(outbox.take(&mut into, most, LINGER).await);
        assert_eq!((into.len(), began.elapsed()), (1, LINGER), "alone: after its time");
        outbox.offer(&mut chunk(&[vec![1], vec![2], vec![3], vec![4]]));
        assert!(outbox.take(&mut into, most, LINGER).await);
        assert_eq!((into.len(), began.elapsed()), (3, LINGER), "full: at once");
        let taker = outbox.take(&mut into, most, LINGER);
        let mut taker = std::pin::pin!(taker);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(taker.as_mut().poll(&mut context), Poll::Pending, "one waits for two more");
        outbox.offer(&mut chunk(&[vec![5], vec![6]]));
        assert_eq!(taker.as_mut().poll(&mut context), Poll::Ready(true));
        assert_eq!(began.elapsed(), LINGER);
    });
}

/// Guarantees: the close wakes the waiting taker, hands out the held items, and then reports the
/// end.
#[test]
fn the_close_flushes_and_ends() {
    runtime().block_on(async {
        let outbox = Outbox::new(Capacity::SPANS);
        let most = BatchSize { items_max: 3, bytes_max: 1_000 };
        let (mut one, mut other) = (Chunk::default(), Chunk::default());
        outbox.offer(&mut chunk(&[vec![1]]));
        outbox.close();
        let refused = outbox.offer(&mut chunk(&[vec![2]]));
        assert_eq!((refused.taken, refused.dropped, refused.reason()), (0, 1, "closed"));
        let began = Instant::now();
        assert!(outbox.take(&mut one, most, LINGER).await);
        assert!(!outbox.take(&mut other, most, LINGER).await);
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing lingers after the close");
        assert_eq!((one.len(), outbox.held(), outbox.settle(9), outbox.held()), (1, 1, 1, 0));
    });
}
