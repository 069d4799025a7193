//! What the admin port answers from: plain shared state, filled by `app`. Reading it never waits
//! for a data thread or an exporter.

use crate::clock::{Clock, UnixNanos};
use crate::health::verdict::{Published, Status};
use crate::metrics::expose::{Encoding, Options};
use crate::phase::Phase;
use crate::serve::page::Pages;
use crate::telemetry::Telemetry;
use crate::telemetry::outputs::Condition;
use crate::telemetry::standing::{self, DoorState, Standing};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Writes the whole exposition.
pub type Exposition = Box<dyn Fn(Encoding, Options, &mut Vec<u8>) + Send + Sync>;

/// Asks a part of the process something; must not wait.
pub type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// What `app` hands to the admin thread.
pub struct State {
    /// For the age of the verdict.
    pub clock: Clock,
    /// Counters of the admin port's own refusals.
    pub telemetry: Arc<Telemetry>,
    /// Where the process stands: its phase, its doors, its data threads.
    pub standing: Arc<Standing>,
    /// The verdict on the application.
    pub verdict: Arc<Published>,
    /// Renders `/metrics`.
    pub pages: Pages,
    /// `_created` samples in OpenMetrics without being asked (`?created=1` asks).
    pub created: bool,
    /// Whether lines are looked at; switched off they are only counted.
    pub enabled: Ask<bool>,
    /// What is wrong with the configuration in use, replaced by each load.
    pub warnings: Mutex<Vec<String>>,
}

impl State {
    /// A state in which all is well, to be filled by whoever knows better.
    pub fn new(
        clock: Clock,
        telemetry: Arc<Telemetry>,
        standing: Arc<Standing>,
        exposition: Exposition,
    ) -> State {
        State {
            clock,
            telemetry,
            standing,
            verdict: Arc::new(Published::default()),
            pages: Pages::new(exposition),
            created: false,
            enabled: Box::new(|| true),
            warnings: Mutex::new(Vec::new()),
        }
    }

    /// Replaces the warnings about the configuration.
    pub fn warn(&self, warnings: Vec<String>) {
        *self.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
    }

    /// The fullest queue of all outputs, as a check: a warning from half on.
    pub(crate) fn overload(&self) -> (Status, String) {
        match self.standing.fullest() {
            Some((output, fill)) if fill >= 0.5 => {
                (Status::Warn, standing::describe_fill(output, fill))
            }
            _ => (Status::Pass, String::new()),
        }
    }

    /// What the outputs say of themselves, as a check: never more than a warning, because the
    /// application does not suffer from it.
    pub(crate) fn outputs(&self) -> (Status, String) {
        let mut reasons = Vec::new();
        for output in self.standing.outputs() {
            match output.condition() {
                Condition::Working => {}
                Condition::Degraded { since, reason } => {
                    reasons.push(format!("{} since {}: {reason}", output.name, rfc3339(since)));
                }
                Condition::Unusable { reason } => {
                    reasons.push(format!("{} cannot be sent: {reason}", output.name));
                }
            }
        }
        let status = if reasons.is_empty() { Status::Pass } else { Status::Warn };
        (status, reasons.join("; "))
    }

    /// The doors, as a check: a stuck one fails it while lines are to be taken.
    pub(crate) fn sockets(&self) -> (Status, String) {
        if self.standing.phase.get() != Phase::Serving {
            return (Status::Warn, "draining".to_owned());
        }
        match self.standing.shut_door() {
            Some(reason) => (Status::Fail, reason),
            None => (Status::Pass, String::new()),
        }
    }

    /// Every door was tried. One that is stuck does not count: a startup probe that fails for ever would
    /// keep the application from starting.
    pub(crate) fn started(&self) -> (Status, String) {
        let untried = self.standing.doors().into_iter().find(|(_, state)| match state {
            DoorState::Closed => true,
            DoorState::Stuck(_) | DoorState::Open(_) => false,
        });
        match untried {
            Some((door, state)) => (Status::Fail, format!("{} {state}", door.name())),
            None => (Status::Pass, String::new()),
        }
    }

    /// The data threads, as a check.
    pub(crate) fn data_threads(&self) -> (Status, String) {
        match self.standing.hanging(self.clock.monotonic()) {
            Some(why) => (Status::Fail, why),
            None => (Status::Pass, String::new()),
        }
    }
}

/// A time in a report, to the second.
pub(crate) fn rfc3339(at: UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map(|time| format!("{time:.0}"))
        .unwrap_or_default()
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("standing", &self.standing).finish_non_exhaustive()
    }
}
