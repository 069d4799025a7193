//! How a data thread is reached from outside: a word to end, a nudge to look at new rules. It never costs the
//! thread a system call unless somebody speaks. Unit: one data thread.

use crate::telemetry::standing::Beat;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The handle of one data thread.
#[derive(Debug)]
pub struct Control {
    /// The thread's pulse.
    pub beat: Arc<Beat>,
    wake: OwnedFd,
    closing: AtomicBool,
    /// Nanoseconds on the monotonic clock at which bytes last came.
    fed: AtomicU64,
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
            fed: AtomicU64::new(0),
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

    /// When bytes last came, on the monotonic clock.
    pub fn fed(&self) -> Duration {
        Duration::from_nanos(self.fed.load(Ordering::Relaxed))
    }

    pub(super) fn feed(&self, now: Duration) {
        self.fed.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// What to wait on beside the thread's own descriptors.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Takes back all wake-ups.
    pub(super) fn hush(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }
}
