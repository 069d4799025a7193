//! Limits the connections to the admin port to [`CONNECTIONS_MAX`]. If all slots are taken, a new
//! connection replaces the one with the oldest last request, so that many silent connections never
//! keep a scraper or a kubelet out. Each connection has [`GRACE`] to send its request first, so
//! that clients that reconnect again and again do not displace one before its request is read.

use crate::sync::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// A scraper, a kubelet and a few people need ten connections; each uses about 20 KiB while it is
/// read.
pub const CONNECTIONS_MAX: usize = 64;

/// A regular client sends its request one round trip after the accept. With 64 slots, 3,200
/// connections per second are accepted; the others wait in the kernel.
pub const GRACE: Duration = Duration::from_millis(20);

/// The slot of one connection.
#[derive(Debug)]
pub struct Slot {
    /// Time of its last request, or of its acceptance: microseconds since `Slots::start`.
    active: AtomicU64,
    /// Notified when another connection takes the slot.
    evicted: Notify,
}

/// A limited set of slots.
#[derive(Debug)]
pub struct Slots {
    start: Instant,
    held: Mutex<Vec<Arc<Slot>>>,
    /// The number of slots.
    most: usize,
}

impl Slots {
    /// Creates [`CONNECTIONS_MAX`] free slots.
    pub fn new() -> Slots {
        Slots::of(CONNECTIONS_MAX)
    }

    /// Creates `most` free slots, for a port that is not the admin port.
    pub fn of(most: usize) -> Slots {
        Slots { start: Instant::now(), held: Mutex::new(Vec::new()), most }
    }

    /// Takes a slot for a new connection. Returns it, and whether another connection lost its slot
    /// for it.
    ///
    /// # Errors
    /// Fails if all slots are taken and none may be taken away; returns the time until one may be.
    pub fn take(&self) -> Result<(Arc<Slot>, bool), Duration> {
        let now = self.now();
        let mut held = lock(&self.held);
        let full = held.len() >= self.most;
        if full {
            let active = |at: &usize| held[*at].active.load(Ordering::Relaxed);
            if let Some(oldest) = (0..held.len()).min_by_key(active) {
                let idle = Duration::from_micros(now.saturating_sub(active(&oldest)));
                if idle < GRACE {
                    return Err(GRACE.saturating_sub(idle));
                }
                held.swap_remove(oldest).evicted.notify_one();
            }
        }
        let slot = Arc::new(Slot { active: AtomicU64::new(now), evicted: Notify::new() });
        held.push(Arc::clone(&slot));
        Ok((slot, full))
    }

    /// Waits for a slot for a connection; calls `gave_way` if another connection lost its slot for
    /// it.
    pub async fn wait(&self, gave_way: impl Fn()) -> Arc<Slot> {
        loop {
            match self.take() {
                Ok((slot, full)) => {
                    if full {
                        gave_way();
                    }
                    return slot;
                }
                Err(wait) => sleep(wait).await,
            }
        }
    }

    /// Records that a request began on this connection.
    pub fn touch(&self, slot: &Slot) {
        slot.active.store(self.now(), Ordering::Relaxed);
    }

    /// Returns the time since the last request of this connection began.
    pub fn idle(&self, slot: &Slot) -> Duration {
        Duration::from_micros(self.now().saturating_sub(slot.active.load(Ordering::Relaxed)))
    }

    /// Frees the slot of a connection that has ended.
    pub fn free(&self, slot: &Arc<Slot>) {
        let mut held = lock(&self.held);
        held.retain(|other| !Arc::ptr_eq(other, slot));
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

impl Default for Slots {
    fn default() -> Self {
        Slots::new()
    }
}

impl Slot {
    /// Waits until another connection takes this slot.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_slot_gives_way_after_its_grace() {
        let slots = Slots::new();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            held.push(slots.take().expect("a free place").0);
            advance(Duration::from_micros(100)).await;
        }
        let waits = slots.take().expect_err("the grace of every slot lasts");
        assert_eq!(waits, Duration::from_micros(20_000 - 6400));
        advance(waits).await;
        slots.touch(&held[0]);
        advance(Duration::from_micros(100)).await;
        let (new, full) = slots.take().expect("the grace of the second is over");
        assert!(full);
        let kept = slots.held.lock().expect("not poisoned").clone();
        assert_eq!(kept.len(), CONNECTIONS_MAX);
        assert!(kept.iter().any(|slot| Arc::ptr_eq(slot, &held[0])), "it was just used");
        assert!(!kept.iter().any(|slot| Arc::ptr_eq(slot, &held[1])), "the oldest stayed");
        slots.free(&new);
        assert!(!slots.take().expect("a free place").1, "a freed place is free");
    }
}
