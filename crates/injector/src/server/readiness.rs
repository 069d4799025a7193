//! Where the injector stands, for `/livez` and `/readyz`: written by the tasks, read by the admin port
//! without a wait. Unit: one process.

use sidelight::clock::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A webhook thread that did not come round for so long hangs. One review of the largest pod takes
/// milliseconds.
const STALLED: Duration = Duration::from_secs(30);

/// Where it stands.
#[derive(Debug)]
pub struct Readiness {
    clock: Clock,
    /// Whether API servers believe what is served, or why not.
    trust: Mutex<Result<(), String>>,
    leaving: AtomicBool,
    /// Whether it is known what kind of cluster this is, or nobody asked.
    platform: AtomicBool,
    /// When the webhook's thread last came round, monotonic nanoseconds.
    round: AtomicU64,
}

impl Readiness {
    /// Not ready yet.
    pub fn new(clock: Clock) -> Readiness {
        let trust = Mutex::new(Err("not looked at yet".to_owned()));
        let round = AtomicU64::new(clock.monotonic().as_nanos() as u64);
        let (leaving, platform) = (AtomicBool::new(false), AtomicBool::new(false));
        Readiness { clock, trust, leaving, platform, round }
    }

    /// Whether API servers believe what is served.
    ///
    /// # Errors
    /// Why they do not.
    pub fn trust(&self) -> Result<(), String> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says whether they do.
    pub fn set_trust(&self, trust: Result<(), String>) {
        *self.trust.lock().unwrap_or_else(PoisonError::into_inner) = trust;
    }

    /// What kind of cluster this is is known, or does not matter.
    pub fn set_platform_known(&self) {
        self.platform.store(true, Ordering::Release);
    }

    /// Whether it is.
    pub fn is_platform_known(&self) -> bool {
        self.platform.load(Ordering::Acquire)
    }

    /// The process was told to stop: Services take it out.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether it was.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// The webhook's thread came round.
    pub fn came_round(&self) {
        self.round.store(self.clock.monotonic().as_nanos() as u64, Ordering::Release);
    }

    /// How long the webhook's thread has hung; None while it does not.
    pub fn stalled(&self) -> Option<Duration> {
        let round = Duration::from_nanos(self.round.load(Ordering::Acquire));
        Some(self.clock.monotonic().saturating_sub(round)).filter(|silent| *silent >= STALLED)
    }
}
