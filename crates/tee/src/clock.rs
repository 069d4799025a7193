//! Monotonic time, read here alone: the rest takes it as an argument. Unit: one reading.

use std::time::{Duration, Instant};

/// The time since it was made.
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    pub(crate) fn start() -> Clock {
        #[allow(clippy::disallowed_methods)] // the one place that may
        Clock(Instant::now())
    }

    /// Never goes backwards.
    pub(crate) fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
