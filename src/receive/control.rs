//! Controls a data thread from other threads: stops it, wakes it to load new rules, or replaces its
//! socket. Costs the thread no system call unless it is used. Unit: one data thread.

use crate::sync::lock;
use crate::telemetry::process_status::ThreadHeartbeat;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The control handle of one data thread.
#[derive(Debug)]
pub struct Control {
    /// The thread's heartbeat.
    pub beat: Arc<ThreadHeartbeat>,
    wake: OwnedFd,
    closing: AtomicBool,
    /// When bytes last arrived, in nanoseconds on the monotonic clock.
    last_activity: AtomicU64,
    /// Sockets that replace the thread's current one, in turn: each may hold connections that wait.
    replacements: Mutex<Vec<OwnedFd>>,
}

impl Control {
    /// Creates the control of a thread with this name.
    ///
    /// # Errors
    /// Returns an error if the kernel has no descriptor left.
    pub fn new(thread: &'static str) -> Result<Arc<Control>, Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let beat = Arc::new(ThreadHeartbeat::new(thread));
        Ok(Arc::new(Control {
            beat,
            wake,
            closing: AtomicBool::new(false),
            last_activity: AtomicU64::new(0),
            replacements: Mutex::default(),
        }))
    }

    /// Makes the thread read its input to the end and return.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the thread, which then calls flush; the pipeline loads new rules there.
    pub fn wake(&self) {
        // The write fails only if the counter is full, and then the thread is already being woken.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Passes the thread a socket that replaces its current one, after the socket file has
    /// disappeared or the path has changed. Open connections are kept.
    pub fn replace(&self, socket: OwnedFd) {
        lock(&self.replacements).push(socket);
        self.wake();
    }

    pub(super) fn take_replacements(&self) -> Vec<OwnedFd> {
        std::mem::take(&mut *lock(&self.replacements))
    }

    /// Returns when bytes last arrived, on the monotonic clock.
    pub fn last_activity(&self) -> Duration {
        Duration::from_nanos(self.last_activity.load(Ordering::Relaxed))
    }

    pub(super) fn mark_activity(&self, now: Duration) {
        self.last_activity.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns the descriptor that the thread polls together with its input.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Clears all pending wake-ups, so that the next wait blocks.
    pub(super) fn clear_wake(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }
}
