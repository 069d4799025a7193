//! Reads bodies that arrive slowly, never, or without an end. The clock is paused, so that waiting
//! takes no time.

use super::*;
use hyper::body::Frame;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body in frames; after them it ends, or stays silent for ever.
struct Frames {
    frames: VecDeque<Bytes>,
    ends: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.frames.pop_front() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            // the timer of the test wakes it
            None => Poll::Pending,
        }
    }
}

fn frames(count: usize, bytes: usize, ends: bool) -> Frames {
    Frames { frames: vec![Bytes::from(vec![b'x'; bytes]); count].into(), ends }
}

fn length(read: Read) -> (&'static str, usize) {
    match read {
        Read::Whole(bytes) => ("whole", bytes.len()),
        Read::Oversized(bytes) => ("oversized", bytes.len()),
        Read::Late(bytes) => ("late", bytes.len()),
        Read::Torn => ("torn", 0),
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_are_kept_as_far_as_they_may() {
    for (body, expected) in [
        (frames(0, 0, true), ("whole", 0)),
        (frames(1, 10_000, true), ("whole", 10_000)),
        (frames(3, 30_000, true), ("whole", 90_000)),
        (frames(4, 1 << 20, true), ("whole", 4 << 20)),
        (frames(5, 1 << 20, true), ("oversized", BODY_OWN_BYTES)),
        (frames(40, 1 << 20, false), ("oversized", BODY_OWN_BYTES)),
        (frames(0, 0, false), ("late", 0)),
        (frames(2, 30_000, false), ("late", 60_000)),
    ] {
        let memory = Semaphore::new(BODIES_KIB_MAX);
        let read = timeout(REVIEW_MAX * 2, read_body(body, &memory)).await.expect("a bound");
        assert_eq!(length(read), expected);
        assert_eq!(memory.available_permits(), BODIES_KIB_MAX);
    }
}

/// Scenario: eight bodies without a length and without an end, each of which reserved the maximum
/// of a body.
/// Guarantees: bytes that have not arrived reserve nothing; and while other bodies hold all memory,
/// a common pod is read at once.
#[tokio::test(start_paused = true)]
async fn silent_bodies_reserve_nothing() {
    let memory = Semaphore::new(BODIES_KIB_MAX);
    let silent = (0..8).map(|_| Box::pin(read_body(frames(1, 1000, false), &memory)));
    let mut silent: Vec<_> = silent.collect();
    for one in &mut silent {
        assert!(timeout(Duration::ZERO, one.as_mut()).await.is_err());
    }
    assert_eq!(memory.available_permits(), BODIES_KIB_MAX);
    let all = memory.acquire_many(BODIES_KIB_MAX as u32).await.expect("all of it");
    let common = timeout(Duration::ZERO, read_body(frames(2, 16_000, true), &memory)).await;
    assert_eq!(length(common.expect("at once")), ("whole", 32_000));
    let long = read_body(frames(3, 16_000, true), &memory).await;
    assert_eq!(length(long), ("late", 32_000), "it is let through in time");
    drop(all);
}
