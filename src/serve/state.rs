//! The shared state from which the admin port answers; `app` fills it. Reading it never waits for a
//! data thread or an exporter.

use crate::clock::Clock;
use crate::health::verdict::{Published, Status};
use crate::metrics::expose::{Encoding, Options};
use crate::phase::Phase;
use crate::serve::page::Pages;
use crate::sync::lock;
use crate::telemetry::Telemetry;
use crate::telemetry::outputs::Condition;
use crate::telemetry::process_status::{self, ListenerState, ProcessStatus};
use std::fmt;
use std::sync::{Arc, Mutex};

/// A function that writes the whole exposition.
pub(crate) type Exposition = Box<dyn Fn(Encoding, Options, &mut Vec<u8>) + Send + Sync>;

/// A function that queries another part of the process; it must not wait.
pub(crate) type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// The state that `app` hands to the admin thread.
pub struct AdminState {
    /// The clock that determines the age of the verdict.
    pub clock: Clock,
    /// The counters, for the admin port's own refusals.
    pub telemetry: Arc<Telemetry>,
    /// The status of the process: its phase, its listeners, its data threads.
    pub process_status: Arc<ProcessStatus>,
    /// The verdict on the application.
    pub verdict: Arc<Published>,
    /// Renders `/metrics`.
    pub pages: Pages,
    /// Whether OpenMetrics includes `_created` samples by default (`?created=1` requests them).
    pub created: bool,
    /// Whether lines are processed; if not, they are only counted.
    pub enabled: Ask<bool>,
    /// The warnings about the configuration in use; each load replaces them.
    pub warnings: Mutex<Vec<String>>,
}

impl AdminState {
    /// Creates a state without any problems; the caller fills in the rest.
    pub fn new(
        clock: Clock,
        telemetry: Arc<Telemetry>,
        process_status: Arc<ProcessStatus>,
        exposition: Exposition,
    ) -> AdminState {
        AdminState {
            clock,
            telemetry,
            process_status,
            verdict: Arc::new(Published::default()),
            pages: Pages::new(exposition),
            created: false,
            enabled: Box::new(|| true),
            warnings: Mutex::new(Vec::new()),
        }
    }

    /// Replaces the warnings about the configuration.
    pub fn warn(&self, warnings: Vec<String>) {
        *lock(&self.warnings) = warnings;
    }

    /// Checks the fullest queue of all outputs: warns from half full on.
    pub(crate) fn overload(&self) -> (Status, String) {
        match self.process_status.fullest() {
            Some((output, fill)) if fill >= 0.5 => {
                (Status::Warn, process_status::describe_fill(output, fill))
            }
            _ => (Status::Pass, String::new()),
        }
    }

    /// Checks the outputs: a problem is never more than a warning, because the application does not
    /// suffer from it.
    pub(crate) fn outputs(&self) -> (Status, String) {
        let mut reasons = Vec::new();
        for output in self.process_status.outputs() {
            match output.condition() {
                Condition::Working => {}
                Condition::Degraded { since, reason } => {
                    reasons.push(format!("{} since {:.0}: {reason}", output.name, since));
                }
                Condition::Unusable { reason } => {
                    reasons.push(format!("{} cannot be sent: {reason}", output.name));
                }
            }
        }
        let status = if reasons.is_empty() { Status::Pass } else { Status::Warn };
        (status, reasons.join("; "))
    }

    /// Checks the listeners: one that cannot be opened fails the check while the process should
    /// take lines.
    pub(crate) fn sockets(&self) -> (Status, String) {
        if self.process_status.phase.get() != Phase::Serving {
            return (Status::Warn, "draining".to_owned());
        }
        match self.process_status.closed_listener() {
            Some(reason) => (Status::Fail, reason),
            None => (Status::Pass, String::new()),
        }
    }

    /// Checks that every listener was tried. One that cannot be opened does not count: a startup
    /// probe that fails for ever would keep the application from starting.
    pub(crate) fn started(&self) -> (Status, String) {
        let untried = self.process_status.listeners().into_iter().find(|(_, state)| match state {
            ListenerState::Closed => true,
            ListenerState::Stuck(_) | ListenerState::Open(_) => false,
        });
        match untried {
            Some((kind, state)) => (Status::Fail, format!("{} {state}", kind.name())),
            None => (Status::Pass, String::new()),
        }
    }

    /// Checks the data threads.
    pub(crate) fn data_threads(&self) -> (Status, String) {
        match self.process_status.hanging(self.clock.monotonic()) {
            Some(why) => (Status::Fail, why),
            None => (Status::Pass, String::new()),
        }
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("process_status", &self.process_status)
            .finish_non_exhaustive()
    }
}
