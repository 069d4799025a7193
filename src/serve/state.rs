//! What the admin port answers from: plain shared state, filled by `app`. Reading it never waits
//! for a data thread or an exporter.

use crate::clock::Clock;
use crate::health::verdict::{Published, Status};
use crate::metrics::expose::{Encoding, Options};
use crate::phase::PhaseCell;
use crate::telemetry::Telemetry;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Where the process stands.
    pub phase: Arc<PhaseCell>,
    /// The verdict on the application.
    pub verdict: Arc<Published>,
    /// Writes `/metrics`.
    pub exposition: Exposition,
    /// `_created` samples in OpenMetrics without being asked (`?created=1` asks).
    pub created: bool,
    /// All configured sockets are bound and accepting.
    pub sockets_bound: AtomicBool,
    /// All data threads turned their loop within the last 10 s. False restarts the container.
    pub data_threads_alive: Ask<bool>,
    /// How full the fullest outbox is, 0..=1.
    pub queue_fill: Ask<f64>,
    /// Why the exporter is degraded, in sidelight's own words; None while it is well or absent.
    pub exporter_degraded: Ask<Option<String>>,
    /// What is wrong with the configuration in use, replaced by each load.
    pub warnings: Mutex<Vec<String>>,
    /// Expositions written, so that the drain knows when the final values were fetched.
    pub scrapes: AtomicU64,
}

impl State {
    /// A state in which all is well, to be filled by whoever knows better.
    pub fn new(clock: Clock, telemetry: Arc<Telemetry>, exposition: Exposition) -> State {
        State {
            clock,
            telemetry,
            phase: Arc::new(PhaseCell::new()),
            verdict: Arc::new(Published::default()),
            exposition,
            created: false,
            sockets_bound: AtomicBool::new(false),
            data_threads_alive: Box::new(|| true),
            queue_fill: Box::new(|| 0.0),
            exporter_degraded: Box::new(|| None),
            warnings: Mutex::new(Vec::new()),
            scrapes: AtomicU64::new(0),
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

    /// The sockets, as a check. While draining they are closed on purpose.
    pub(crate) fn sockets(&self) -> (Status, String) {
        if self.sockets_bound.load(Ordering::Acquire) {
            (Status::Pass, String::new())
        } else {
            (Status::Fail, "not every socket is bound".to_owned())
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("phase", &self.phase.get()).finish_non_exhaustive()
    }
}
