//! The settings of the health verdict on the application. The defaults suit an application that
//! nobody has described: they warn early, and report it as unhealthy only if most of its records
//! are failures.

use std::time::Duration;

/// Settings of the application's verdict.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The window of the ratios. Default 60 s: four scrapes, and short enough that a repaired fault
    /// no longer counts after a minute. At most [`WINDOW_MAX`].
    pub window: Duration,
    /// Share of records of severity ERROR and above among all records.
    pub errors: Ratio,
    /// Share of 5xx statuses among all finished requests.
    pub http_errors: Ratio,
    /// A raised ratio counts as recovered after it has stayed below half of its threshold for this
    /// long. Default 30 s, so that the verdict does not flap with every scrape.
    pub recover_after: Duration,
    /// How long a FATAL record makes the application unhealthy. Default 5 minutes; zero disables
    /// it.
    pub fatal_for: Duration,
    /// A line that must arrive periodically; None (the default) expects none.
    pub heartbeat: Option<Heartbeat>,
}

/// The longest window. It bounds the number of samples, one per second.
pub(crate) const WINDOW_MAX: Duration = Duration::from_mins(10);

/// Thresholds of a share of failures, each in 0..=1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ratio {
    /// Threshold of a warning. Default 0.05. A value above 1 disables it.
    pub warn: f64,
    /// Threshold of unhealthy. Default 0.5. A value above 1 disables it.
    pub fail: f64,
    /// Minimum number of events in the window to judge the ratio. Default 20: one error among three
    /// lines says nothing.
    pub events_min: u64,
}

/// How often a heartbeat line is expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Its period.
    pub every: Duration,
    /// How late it may be. If a rule leaves it out, half a period.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            window: Duration::from_mins(1),
            errors: Ratio::default(),
            http_errors: Ratio::default(),
            recover_after: Duration::from_secs(30),
            fatal_for: Duration::from_mins(5),
            heartbeat: None,
        }
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Ratio { warn: 0.05, fail: 0.5, events_min: 20 }
    }
}
