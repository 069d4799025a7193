//! Who may hold a connection to the admin port: at most [`CONNECTIONS_MAX`]. When all are held, the
//! one whose last request lies longest back gives way, so that a crowd of silent connections never
//! keeps a scraper or a kubelet out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// A scraper, a kubelet and a few people need ten; each costs about 20 KiB while it is read.
pub const CONNECTIONS_MAX: usize = 64;

/// One connection's place.
#[derive(Debug)]
pub struct Slot {
    /// The turn of its last request, or of its accept.
    turn: AtomicU64,
    /// Told when another takes its place.
    evicted: Notify,
}

/// All places.
#[derive(Debug, Default)]
pub struct Slots {
    turn: AtomicU64,
    held: Mutex<Vec<Arc<Slot>>>,
}

impl Slots {
    /// A place for a new connection, and whether another had to give way for it.
    pub fn take(&self) -> (Arc<Slot>, bool) {
        let turn = AtomicU64::new(self.next());
        let slot = Arc::new(Slot { turn, evicted: Notify::new() });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let full = held.len() >= CONNECTIONS_MAX;
        if full {
            let oldest = (0..held.len()).min_by_key(|at| held[*at].turn.load(Ordering::Relaxed));
            if let Some(oldest) = oldest {
                held.swap_remove(oldest).evicted.notify_one();
            }
        }
        held.push(Arc::clone(&slot));
        (slot, full)
    }

    /// A request began on this connection.
    pub fn touch(&self, slot: &Slot) {
        slot.turn.store(self.next(), Ordering::Relaxed);
    }

    /// The connection ended.
    pub fn free(&self, slot: &Arc<Slot>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|other| !Arc::ptr_eq(other, slot));
    }

    fn next(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

impl Slot {
    /// Waits until another takes this place.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The turn of its last request: it did nothing since when this did not change.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_asked_least_lately_gives_way() {
        let slots = Slots::default();
        let mut held: Vec<Arc<Slot>> = (0..CONNECTIONS_MAX).map(|_| slots.take().0).collect();
        slots.touch(&held[0]);
        let (new, full) = slots.take();
        assert!(full);
        let kept = slots.held.lock().expect("not poisoned").clone();
        assert_eq!(kept.len(), CONNECTIONS_MAX);
        assert!(kept.iter().any(|slot| Arc::ptr_eq(slot, &held[0])), "it had just asked");
        assert!(!kept.iter().any(|slot| Arc::ptr_eq(slot, &held[1])), "the oldest stayed");
        slots.free(&new);
        slots.free(&held.remove(0));
        assert!(!slots.take().1, "a freed place is free");
    }
}
