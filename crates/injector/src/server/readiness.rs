//! The state behind `/livez` and `/readyz`. Tasks write it, and the admin port reads it without
//! waiting for them. Unit: one process.

use sidelight::clock::Clock;
use sidelight::sync::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A webhook thread without progress for this long hangs. One review of the largest pod takes
/// milliseconds.
const STALLED: Duration = Duration::from_secs(30);

/// The readiness of the injector.
#[derive(Debug)]
pub struct Readiness {
    clock: Clock,
    /// Why API servers do not trust the served certificate; `None` if they do.
    distrust: Mutex<Option<String>>,
    leaving: AtomicBool,
    /// Whether the platform of the cluster is known or not needed.
    platform: AtomicBool,
    /// When the webhook thread last made progress, in monotonic nanoseconds.
    round: AtomicU64,
}

impl Readiness {
    /// Creates the state of a process that is not ready.
    pub fn new(clock: Clock) -> Readiness {
        let distrust = Mutex::new(Some("not checked yet".to_owned()));
        let round = AtomicU64::new(clock.monotonic().as_nanos() as u64);
        let (leaving, platform) = (AtomicBool::new(false), AtomicBool::new(false));
        Readiness { clock, distrust, leaving, platform, round }
    }

    /// Returns why API servers do not trust the served certificate; `None` if they do.
    pub fn distrust(&self) -> Option<String> {
        lock(&self.distrust).clone()
    }

    /// Sets why API servers do not trust the served certificate; `None` if they do.
    pub fn set_distrust(&self, distrust: Option<String>) {
        *lock(&self.distrust) = distrust;
    }

    /// Records that the platform of the cluster is known, or is not needed.
    pub fn set_platform_known(&self) {
        self.platform.store(true, Ordering::Release);
    }

    /// Returns whether the platform is known or not needed.
    pub fn is_platform_known(&self) -> bool {
        self.platform.load(Ordering::Acquire)
    }

    /// Records that a stop was requested, so that Services remove this pod.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Returns whether a stop was requested.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Records progress of the webhook thread.
    pub fn record_progress(&self) {
        self.round.store(self.clock.monotonic().as_nanos() as u64, Ordering::Release);
    }

    /// Returns how long the webhook thread has hung; `None` while it makes progress.
    pub fn stalled(&self) -> Option<Duration> {
        let round = Duration::from_nanos(self.round.load(Ordering::Acquire));
        Some(self.clock.monotonic().saturating_sub(round)).filter(|silent| *silent >= STALLED)
    }
}
