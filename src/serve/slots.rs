//! Who may hold a connection to the admin port: at most [`CONNECTIONS_MAX`]. When all are held, the
//! one whose last request lies longest back gives way, so that a crowd of silent connections never
//! keeps a scraper or a kubelet out; but each has [`GRACE`] to say what it wants, so that a crowd that
//! comes again and again pushes nobody out before he was heard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// A scraper, a kubelet and a few people need ten; each costs about 20 KiB while it is read.
pub const CONNECTIONS_MAX: usize = 64;

/// From the accept to the request of an honest client passes a round trip. With 64 places 3,200
/// connections a second come in; what is more waits in the kernel.
pub const GRACE: Duration = Duration::from_millis(20);

/// One connection's place.
#[derive(Debug)]
pub struct Slot {
    /// When its last request began, or when it was accepted: microseconds since `Slots::start`.
    active: AtomicU64,
    /// Told when another takes its place.
    evicted: Notify,
}

/// All places.
#[derive(Debug)]
pub struct Slots {
    start: Instant,
    held: Mutex<Vec<Arc<Slot>>>,
    /// How many there are.
    most: usize,
}

impl Slots {
    /// [`CONNECTIONS_MAX`], all free.
    pub fn new() -> Slots {
        Slots::of(CONNECTIONS_MAX)
    }

    /// As many as a port needs that is no admin port, all free.
    pub fn of(most: usize) -> Slots {
        Slots { start: Instant::now(), held: Mutex::new(Vec::new()), most }
    }

    /// A place for a new connection, and whether another had to give way for it.
    ///
    /// # Errors
    /// All are held and none may be taken away for so long.
    pub fn take(&self) -> Result<(Arc<Slot>, bool), Duration> {
        let now = self.now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Waits for a slot for a connection; calls `gave_way` when another connection lost its slot for it.
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

    /// A request began on this connection.
    pub fn touch(&self, slot: &Slot) {
        slot.active.store(self.now(), Ordering::Relaxed);
    }

    /// How long ago the last request of this connection began.
    pub fn idle(&self, slot: &Slot) -> Duration {
        Duration::from_micros(self.now().saturating_sub(slot.active.load(Ordering::Relaxed)))
    }

    /// The connection ended.
    pub fn free(&self, slot: &Arc<Slot>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// Waits until another takes this place.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn the_one_that_asked_least_lately_gives_way_after_its_grace() {
        let slots = Slots::new();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            held.push(slots.take().expect("a free place").0);
            advance(Duration::from_micros(100)).await;
        }
        let waits = slots.take().expect_err("nobody had his grace");
        assert_eq!(waits, Duration::from_micros(20_000 - 6400));
        advance(waits).await;
        slots.touch(&held[0]);
        advance(Duration::from_micros(100)).await;
        let (new, full) = slots.take().expect("the second had his grace");
        assert!(full);
        let kept = slots.held.lock().expect("not poisoned").clone();
        assert_eq!(kept.len(), CONNECTIONS_MAX);
        assert!(kept.iter().any(|slot| Arc::ptr_eq(slot, &held[0])), "it had just asked");
        assert!(!kept.iter().any(|slot| Arc::ptr_eq(slot, &held[1])), "the oldest stayed");
        slots.free(&new);
        assert!(!slots.take().expect("a free place").1, "a freed place is free");
    }
}
