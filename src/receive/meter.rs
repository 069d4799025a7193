//! Counts what a data thread does in plain integers, and publishes the counts once a sweep. Unit:
//! one data thread.

use crate::frame::count;
use crate::pipeline::input::Input;
use crate::telemetry::Telemetry;
use prometheus::{Counter, IntCounter, IntGauge};
use std::time::Duration;

/// The counters of one data thread.
#[derive(Debug)]
pub struct Meter {
    received: IntCounter,
    received_bytes: IntCounter,
    torn: IntCounter,
    connections: IntCounter,
    connections_open: IntGauge,
    refused_limit: IntCounter,
    refused_uid_limit: IntCounter,
    refused_descriptors: IntCounter,
    busy: Counter,
    sleep: Counter,
    wait: Counter,
    /// When the current state began.
    since: Duration,
    /// Bytes since the last publication.
    bytes: u64,
    /// Frames since the last publication.
    frames: u64,
    /// For tests: the next frame is counted and lost.
    lose_frame: bool,
}

/// Why a connection was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The process has the maximum number of connections.
    Limit,
    /// This user id has the maximum number of connections.
    UidLimit,
    /// The process has no descriptor left.
    Descriptors,
}

/// How a thread spends its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadState {
    /// Reads and processes.
    Busy,
    /// Sleeps while writes accumulate.
    Sleep,
    /// Waits in the kernel for the first byte.
    Wait,
}

impl Meter {
    /// Creates the meter of the thread that serves `input`, starting at `now` on the monotonic
    /// clock.
    pub fn new(telemetry: &Telemetry, input: Input, now: Duration) -> Meter {
        let (input, connected) = (input.name(), Input::Stream.name());
        let thread = |state: &str| telemetry.thread_seconds.with_label_values(&[input, state]);
        let refused = |reason: &str| telemetry.connections_refused.with_label_values(&[reason]);
        Meter {
            received: telemetry.received.with_label_values(&[input]),
            received_bytes: telemetry.received_bytes.with_label_values(&[input]),
            torn: telemetry.torn.clone(),
            connections: telemetry.connections.with_label_values(&[connected]),
            connections_open: telemetry.connections_open.with_label_values(&[connected]),
            refused_limit: refused("limit"),
            refused_uid_limit: refused("uid_limit"),
            refused_descriptors: refused("descriptors"),
            busy: thread("busy"),
            sleep: thread("sleep"),
            wait: thread("wait"),
            since: now,
            bytes: 0,
            frames: 0,
            lose_frame: telemetry.faults.lose_frame,
        }
    }

    /// Counts the frames of `block`, which consists of whole lines. Returns the bytes to process:
    /// all of them, unless a test loses a frame.
    #[must_use]
    pub fn lines<'a>(&mut self, block: &'a [u8]) -> &'a [u8] {
        self.frames += count::frames(block);
        if self.lose_frame {
            self.lose_frame = false;
            return count::split_first(block).1;
        }
        block
    }

    /// Counts a frame that is not a line of a block: a datagram or an oversized line. Returns
    /// whether to process it: always, unless a test loses a frame.
    #[must_use]
    pub fn frame(&mut self) -> bool {
        self.frames += 1;
        !std::mem::take(&mut self.lose_frame)
    }

    /// Counts bytes that were read.
    pub fn read(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Counts a torn line.
    pub fn torn(&self) {
        self.torn.inc();
    }

    /// Counts an accepted connection.
    pub fn opened(&self) {
        self.connections.inc();
        self.connections_open.inc();
    }

    /// Counts the end of a connection.
    pub fn closed(&self) {
        self.connections_open.dec();
    }

    /// Counts a refused connection.
    pub fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Limit => self.refused_limit.inc(),
            Refusal::UidLimit => self.refused_uid_limit.inc(),
            Refusal::Descriptors => self.refused_descriptors.inc(),
        }
    }

    /// Adds the time until `now` to `state`, and publishes the accumulated counts.
    pub fn until(&mut self, now: Duration, state: ThreadState) {
        let spent = now.saturating_sub(self.since).as_secs_f64();
        self.since = now;
        match state {
            ThreadState::Busy => self.busy.inc_by(spent),
            ThreadState::Sleep => self.sleep.inc_by(spent),
            ThreadState::Wait => self.wait.inc_by(spent),
        }
        self.publish();
    }

    /// Publishes the accumulated counts.
    pub fn publish(&mut self) {
        if self.bytes > 0 {
            self.received_bytes.inc_by(std::mem::take(&mut self.bytes));
        }
        // Held-back lines are processed without a read.
        if self.frames > 0 {
            self.received.inc_by(std::mem::take(&mut self.frames));
        }
    }
}

impl Drop for Meter {
    /// Publishes the counts of a thread that ends early.
    fn drop(&mut self) {
        self.publish();
    }
}
