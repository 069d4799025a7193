//! A verdict and its checks. sidelight writes each reason from numbers and closed sets of words;
//! the text of a log line never becomes part of it.

use crate::clock::UnixNanos;
use crate::sync::lock;
use std::sync::{Arc, Mutex};

/// The status of one check, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// No problem.
    Pass,
    /// A problem that does not make the application unhealthy.
    Warn,
    /// Unhealthy.
    Fail,
}

/// One check and its result.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    /// Its name in a report and in a path.
    pub name: &'static str,
    /// Its status.
    pub status: Status,
    /// The reason in words; empty if there is nothing to say.
    pub reason: String,
    /// The measured value and its unit.
    pub observed: Option<(f64, &'static str)>,
    /// The time of the event that the check is about (the last line, the last FATAL).
    pub time: Option<UnixNanos>,
}

impl Check {
    /// Creates a check without a measured value.
    pub fn new(name: &'static str, status: Status, reason: impl Into<String>) -> Check {
        Check { name, status, reason: reason.into(), observed: None, time: None }
    }

    /// Adds a measured value.
    pub fn observing(mut self, value: f64, unit: &'static str) -> Check {
        self.observed = Some((value, unit));
        self
    }
}

/// The verdict on the application at one time.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Verdict {
    /// Time of the evaluation; the epoch before the first one.
    pub at: UnixNanos,
    /// Its checks, in the order of the report.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// Returns the worst status of the checks.
    pub fn status(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass)
    }
}

/// The published verdict: written once per second, read by every GET.
#[derive(Debug, Default)]
pub struct Published(Mutex<Arc<Verdict>>);

impl Published {
    /// Replaces the verdict.
    pub fn publish(&self, verdict: Verdict) {
        *lock(&self.0) = Arc::new(verdict);
    }

    /// Returns the last published verdict.
    pub fn get(&self) -> Arc<Verdict> {
        Arc::clone(&lock(&self.0))
    }
}
