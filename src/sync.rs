//! Locks that a panic does not disable. Unit: one lock.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Locks a mutex even if a thread panicked while it held the lock.
///
/// Every value behind a lock of this program is consistent after each statement, and a scrape or an
/// export must not fail because another thread has panicked.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    ignore_poison(mutex.lock())
}

/// Returns what a lock or a condition variable guards, even if a thread panicked while it held the
/// lock. For all that is not a plain mutex, as in [`lock`].
pub fn ignore_poison<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_panic_does_not_disable_a_lock() {
        let mutex = Arc::new(Mutex::new(1));
        let other = Arc::clone(&mutex);
        let panicked = std::thread::spawn(move || {
            let _guard = lock(&other);
            panic!("while the lock is held");
        });
        assert!(panicked.join().is_err());
        assert!(mutex.is_poisoned());
        *lock(&mutex) += 1;
        assert_eq!(*lock(&mutex), 2);
    }
}
