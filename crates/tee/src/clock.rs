//! Reads the monotonic clock. No other module reads it; they take the time as an argument. Unit:
//! one reading.

use std::time::{Duration, Instant};

/// A monotonic clock that counts from its creation.
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts a clock at zero.
    pub(crate) fn start() -> Clock {
        #[allow(clippy::disallowed_methods)] // the one place that may
        Clock(Instant::now())
    }

    /// Returns the time since the start; it never goes backwards.
    pub(crate) fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
