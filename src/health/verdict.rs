//! What was found: a verdict and its checks. A reason is written by sidelight from numbers and
//! closed sets; the text of a log line never becomes part of it.

use crate::clock::UnixNanos;
use std::sync::{Arc, Mutex, PoisonError};

/// How one check stands, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// As it should be.
    Pass,
    /// Worth a look; not unhealthy.
    Warn,
    /// Unhealthy.
    Fail,
}

/// One check and what it found.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    /// Its name in a report and in a path.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// Why, in words; empty when there is nothing to say.
    pub reason: String,
    /// What was measured, and in which unit.
    pub observed: Option<(f64, &'static str)>,
    /// When what it speaks of happened (the last line, the last FATAL).
    pub time: Option<UnixNanos>,
}

impl Check {
    /// A check with nothing measured.
    pub fn new(name: &'static str, status: Status, reason: impl Into<String>) -> Check {
        Check { name, status, reason: reason.into(), observed: None, time: None }
    }

    /// With a measured value.
    pub fn observing(mut self, value: f64, unit: &'static str) -> Check {
        self.observed = Some((value, unit));
        self
    }
}

/// The verdict on the application at one time.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Verdict {
    /// When it was reached; the epoch when none was yet.
    pub at: UnixNanos,
    /// Its checks, in the order of the report.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// The worst of the checks.
    pub fn status(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass)
    }
}

/// Where the verdict is published: written once a second, read by every GET.
#[derive(Debug, Default)]
pub struct Published(Mutex<Arc<Verdict>>);

impl Published {
    /// Replaces the verdict.
    pub fn publish(&self, verdict: Verdict) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(verdict);
    }

    /// The last one.
    pub fn get(&self) -> Arc<Verdict> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
