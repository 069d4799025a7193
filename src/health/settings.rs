//! What the verdict on the application depends on. Defaults judge an application that nobody
//! described: they warn early and call it unhealthy only when most of what it says is failure.

use std::time::Duration;

/// Settings of the application's verdict.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// How far the ratios look back. Default 60 s: four scrapes, and short enough that a fixed
    /// fault is forgotten in a minute. At most [`WINDOW_MAX`].
    pub window: Duration,
    /// Records of severity ERROR and above, among all records.
    pub errors: Ratio,
    /// Answers with a 5xx status, among all finished requests.
    pub http_errors: Ratio,
    /// A ratio that was too high counts as recovered when it stayed below half of its threshold for
    /// this long. Default 30 s: a verdict does not flap with every scrape.
    pub recover_after: Duration,
    /// For how long a FATAL record makes the application unhealthy. Default 5 minutes; zero never
    /// does.
    pub fatal_for: Duration,
    /// A line that must come again and again; None (the default) expects none.
    pub heartbeat: Option<Heartbeat>,
}

/// The longest window, which bounds the samples kept: one a second.
pub const WINDOW_MAX: Duration = Duration::from_mins(10);

/// Thresholds of a share of failures, each in 0..=1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ratio {
    /// From here on a warning. Default 0.05. Above 1 it never comes.
    pub warn: f64,
    /// From here on unhealthy. Default 0.5. Above 1 it never comes.
    pub fail: f64,
    /// With fewer events in the window no judgement is made. Default 20: one error among three
    /// lines says nothing.
    pub events_min: u64,
}

/// How often the line of a heartbeat comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Its period.
    pub every: Duration,
    /// How late it may be. Default when a rule leaves it out: half a period.
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
