//! How a data thread is reached from outside: a word to end, a nudge to look at new rules. It never
//! costs the thread a system call unless somebody speaks. Unit: one data thread.

use crate::telemetry::standing::Beat;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The handle of one data thread.
#[derive(Debug)]
pub struct Control {
    /// The thread's pulse.
    pub beat: Arc<Beat>,
    wake: OwnedFd,
    closing: AtomicBool,
    /// Nanoseconds on the monotonic clock at which bytes last came.
    last_activity: AtomicU64,
    /// A socket that takes the place of the thread's own.
    replacement: Mutex<Option<OwnedFd>>,
}

impl Control {
    /// For a thread of this name.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new(thread: &'static str) -> Result<Arc<Control>, Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let beat = Arc::new(Beat::new(thread));
        Ok(Arc::new(Control {
            beat,
            wake,
            closing: AtomicBool::new(false),
            last_activity: AtomicU64::new(0),
            replacement: Mutex::default(),
        }))
    }

    /// Asks the thread to read what is there to its end, and to return.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the thread: it hands on a flush, on which the pipeline looks at new rules.
    pub fn wake(&self) {
        // the only failure is a full counter, which is as awake as can be
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Gives the thread a socket that takes the place of its own, of which the file is gone. Open
    /// connections stay.
    pub fn replace(&self, socket: OwnedFd) {
        *self.replacement.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
        self.wake();
    }

    pub(super) fn take_replacement(&self) -> Option<OwnedFd> {
        self.replacement.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// When bytes last came, on the monotonic clock.
    pub fn last_activity(&self) -> Duration {
        Duration::from_nanos(self.last_activity.load(Ordering::Relaxed))
    }

    pub(super) fn mark_activity(&self, now: Duration) {
        self.last_activity.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// What to wait on beside the thread's own descriptors.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Clears all wake-ups, so that the next wait sleeps.
    pub(super) fn clear_wake(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }
}
