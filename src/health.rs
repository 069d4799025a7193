//! Effect 3: a verdict on the application from its logs. Data threads write per-second cells; the admin
//! thread evaluates once a second with the clock it was given. Liveness never depends on it.

use crate::clock::UnixNanos;

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

/// The cells that data threads write and the admin thread reads.
#[derive(Debug, Default)]
pub struct Pulse {}

impl Pulse {
    /// Adds a batch to the cell of its second.
    pub fn add(&self, at: UnixNanos, counts: Counts) {
        let _ = (at, counts);
        todo!()
    }

    /// A record of severity FATAL; `kind` is its exception type, or empty. Never the text.
    pub fn fatal(&self, at: UnixNanos, kind: &str) {
        let _ = (at, kind);
        todo!()
    }

    /// A heartbeat line.
    pub fn heartbeat(&self, at: UnixNanos) {
        let _ = at;
        todo!()
    }
}
