//! What the admin port answers from: plain shared state, filled by `app`. Reading it never waits
//! for a data thread or an exporter.

use crate::clock::Clock;
use crate::health::verdict::{Published, Status};
use crate::metrics::expose::{Encoding, Options};
use crate::phase::Phase;
use crate::serve::page::Pages;
use crate::telemetry::Telemetry;
use crate::telemetry::standing::{DoorState, Standing};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Writes the whole exposition.
pub type Exposition = Box<dyn Fn(Encoding, Options, &mut Vec<u8>) + Send + Sync>;

/// Asks a part of the process something; must not wait.
pub type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// From this share of the fullest outbox on the sidecar is not ready: the rest is a second or two
/// of spans.
pub const QUEUE_FILL_READY_MAX: f64 = 0.95;

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
    /// How full the fullest outbox is, 0..=1.
    pub queue_fill: Ask<f64>,
    /// Why the exporter is degraded, in sidelight's own words; None while it is well or absent.
    pub exporter_degraded: Ask<Option<String>>,
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
            queue_fill: Box::new(|| 0.0),
            exporter_degraded: Box::new(|| None),
            enabled: Box::new(|| true),
            warnings: Mutex::new(Vec::new()),
        }
    }

    /// Replaces the warnings about the configuration.
    pub fn warn(&self, warnings: Vec<String>) {
        *self.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
    }

    /// The fullest outbox, as a check: a warning from half on.
    pub(crate) fn overload(&self) -> (Status, String) {
        let fill = (self.queue_fill)();
        let percent = (fill * 100.0).floor();
        match fill {
            fill if fill >= QUEUE_FILL_READY_MAX => {
                (Status::Fail, format!("an export queue is {percent} % full"))
            }
            fill if fill >= 0.5 => (Status::Warn, format!("an export queue is {percent} % full")),
            _ => (Status::Pass, String::new()),
        }
    }

    /// The doors, as a check: a stuck one fails it while lines are to be taken.
    pub(crate) fn sockets(&self) -> (Status, String) {
        if self.standing.phase.get() != Phase::Serving {
            return (Status::Warn, "draining".to_owned());
        }
        let shut = self.standing.doors().into_iter().find(|(_, state)| match state {
            DoorState::Closed | DoorState::Stuck(_) => true,
            DoorState::Open(_) => false,
        });
        match shut {
            Some((door, state)) => (Status::Fail, format!("{} {state}", door.name())),
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
            Some(thread) => (Status::Fail, format!("thread {thread:?} hangs")),
            None => (Status::Pass, String::new()),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("standing", &self.standing).finish_non_exhaustive()
    }
}
