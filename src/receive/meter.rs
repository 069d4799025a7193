//! What a data thread says about itself, added up in plain numbers and published once a sweep.
//! Unit: one data thread.

use crate::pipeline::Input;
use crate::telemetry::Telemetry;
use prometheus::{Counter, IntCounter, IntGauge};
use std::time::Duration;

/// The counters of one data thread.
#[derive(Debug)]
pub struct Meter {
    received_bytes: IntCounter,
    torn: IntCounter,
    connections: IntCounter,
    connections_open: IntGauge,
    refused_limit: IntCounter,
    refused_uid_limit: IntCounter,
    refused_descriptors: IntCounter,
    busy: Counter,
    nap: Counter,
    wait: Counter,
    /// When the state that lasts now began.
    since: Duration,
    /// Bytes of this sweep, not yet published.
    bytes: u64,
}

/// Why a connection was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There are as many as there may be.
    Limit,
    /// This user id has as many as it may have.
    UidLimit,
    /// The process has no descriptor left.
    Descriptors,
}

/// What a thread does with its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Reads and processes.
    Busy,
    /// Sleeps so that writes gather.
    Nap,
    /// Waits in the kernel for the first byte.
    Wait,
}

impl Meter {
    /// For the thread that serves `input`, beginning at `now` on the monotonic clock.
    pub fn new(telemetry: &Telemetry, input: Input, now: Duration) -> Meter {
        let input = input.name();
        let thread = |state: &str| telemetry.thread_seconds.with_label_values(&[input, state]);
        let refused = |reason: &str| telemetry.connections_refused.with_label_values(&[reason]);
        Meter {
            received_bytes: telemetry.received_bytes.with_label_values(&[input]),
            torn: telemetry.torn.clone(),
            connections: telemetry.connections.with_label_values(&[input]),
            connections_open: telemetry.connections_open.with_label_values(&[input]),
            refused_limit: refused("limit"),
            refused_uid_limit: refused("uid_limit"),
            refused_descriptors: refused("descriptors"),
            busy: thread("busy"),
            nap: thread("nap"),
            wait: thread("wait"),
            since: now,
            bytes: 0,
        }
    }

    /// `bytes` were read.
    pub fn read(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// A line was torn.
    pub fn torn(&self) {
        self.torn.inc();
    }

    /// A connection was accepted.
    pub fn opened(&self) {
        self.connections.inc();
        self.connections_open.inc();
    }

    /// A connection ended.
    pub fn closed(&self) {
        self.connections_open.dec();
    }

    /// A connection was refused.
    pub fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Limit => self.refused_limit.inc(),
            Refusal::UidLimit => self.refused_uid_limit.inc(),
            Refusal::Descriptors => self.refused_descriptors.inc(),
        }
    }

    /// The thread was in `state` until `now`; publishes what came together.
    pub fn until(&mut self, now: Duration, state: State) {
        let spent = now.saturating_sub(self.since).as_secs_f64();
        self.since = now;
        match state {
            State::Busy => self.busy.inc_by(spent),
            State::Nap => self.nap.inc_by(spent),
            State::Wait => self.wait.inc_by(spent),
        }
        if self.bytes > 0 {
            self.received_bytes.inc_by(self.bytes);
            self.bytes = 0;
        }
    }
}
