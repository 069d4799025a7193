//! Effect 3: a verdict on the application from its logs. Data threads add to totals once a batch;
//! the admin thread evaluates once a second with the clock it was given and publishes; a GET only
//! reads. Liveness never depends on it, and no text of a log line ever reaches it.

pub mod evaluate;
pub mod pulse;
pub mod settings;
pub mod verdict;
pub mod window;

use crate::clock::UnixNanos;
use pulse::Beats;

/// What a data thread saw in one batch.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Records of severity ERROR and above.
    pub errors: u64,
    /// Finished requests.
    pub requests: u64,
    /// Those with a 5xx status.
    pub failed_requests: u64,
}

/// What a rule tells the verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The application is alive.
    Heartbeat,
}

/// What data threads write and the admin thread reads.
///
/// Decision: totals that only grow instead of a ring of per-second cells, because several threads
/// can add to a total without agreeing on who empties an old cell; the evaluator keeps the samples.
/// Times are those of the lines' arrival and only shown: ages are measured by the evaluator's own
/// monotonic clock, so that a step of the wall clock neither ages nor renews anything.
#[derive(Debug, Default)]
pub struct Pulse(Beats);

impl Pulse {
    /// Adds a batch that arrived at `at`. Four relaxed additions, once a batch.
    pub fn add(&self, at: UnixNanos, counts: Counts) {
        if counts == Counts::default() {
            return;
        }
        let Counts { records, errors, requests, failed_requests } = counts;
        self.0.add(at, window::Totals { records, errors, requests, failed_requests });
    }

    /// A record of severity FATAL; `kind` is its exception type, or empty. Never the text. Never
    /// waits.
    pub fn fatal(&self, at: UnixNanos, kind: &str) {
        self.0.fatal(at, kind);
    }

    /// A heartbeat line.
    pub fn heartbeat(&self, at: UnixNanos) {
        self.0.heartbeat(at);
    }

    /// What the evaluator needs, at one time.
    pub fn read(&self) -> pulse::Snapshot {
        self.0.read()
    }
}
