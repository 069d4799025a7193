//! Effect 3: a health verdict on the application, derived from its logs. Data threads add to totals
//! once per batch. The admin thread evaluates the totals once per second, with the clock that it is
//! given, and publishes the verdict; a GET only reads it. Liveness never depends on the verdict,
//! and no text of a log line ever reaches it.

pub(crate) mod counters;
pub(crate) mod evaluate;
pub(crate) mod settings;
pub(crate) mod unrecognised;
pub(crate) mod verdict;
pub(crate) mod window;

use crate::clock::UnixNanos;
use counters::Beats;
use unrecognised::{Reports, Unrecognised};

/// The counts of one batch of a data thread.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Records of severity ERROR and above.
    pub errors: u64,
    /// Finished requests.
    pub requests: u64,
    /// Finished requests with a 5xx status.
    pub failed_requests: u64,
    /// Records without a level; the line of a request needs none.
    pub without_level: u64,
    /// Records without a time.
    pub without_time: u64,
}

/// What a rule reports to the health verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The application is alive.
    Heartbeat,
}

/// The counters that data threads write and the admin thread reads.
///
/// Decision: totals that only grow instead of a ring of per-second cells, because several threads
/// can add to a total without agreeing on which of them clears an old cell; the evaluator keeps the
/// samples. Times are arrival times of lines and are only displayed. The evaluator measures ages
/// with its own monotonic clock, so that a step of the wall clock neither ages nor renews anything.
#[derive(Debug, Default)]
pub struct HealthCounters {
    beats: Beats,
    unrecognised: Reports,
}

impl HealthCounters {
    /// Adds a batch that arrived at `at`: six relaxed additions per batch.
    pub fn add(&self, at: UnixNanos, counts: Counts) {
        if counts == Counts::default() {
            return;
        }
        let Counts { records, errors, requests, failed_requests, without_level, without_time } =
            counts;
        self.beats.add(
            at,
            window::Totals {
                records,
                errors,
                requests,
                failed_requests,
                without_level,
                without_time,
            },
        );
    }

    /// Counts a record of severity FATAL. `kind` is its exception type, or empty; never the text.
    /// Never waits.
    pub fn fatal(&self, at: UnixNanos, kind: &str) {
        self.beats.fatal(at, kind);
    }

    /// Counts a heartbeat line.
    pub fn heartbeat(&self, at: UnixNanos) {
        self.beats.heartbeat(at);
    }

    /// Reads a snapshot of all counters for the evaluator.
    pub fn read(&self) -> counters::Snapshot {
        self.beats.read()
    }

    /// Reports a source with records that are not understood. Never waits: returns false if the
    /// report could not be added now.
    pub fn report_unrecognised(&self, make: impl FnOnce() -> Unrecognised) -> bool {
        self.unrecognised.add(make)
    }

    /// Takes the reports about sources that are not understood.
    pub fn take_unrecognised(&self) -> Vec<Unrecognised> {
        self.unrecognised.take()
    }
}
