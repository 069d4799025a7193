//! The atomics behind [`super::HealthCounters`]. Data threads write here: no allocation and no waiting.

use crate::clock::UnixNanos;
use crate::health::window::Totals;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Maximum number of bytes kept of an exception type. The longest in CPython's standard library has
/// 29; a framework's dotted path rarely has 80.
pub(crate) const EXCEPTION_TYPE_BYTES_MAX: usize = 96;

/// The name of an exception type: letters, digits, `_`, `.`, `:` and `$`. A name with any other
/// character is rejected, since it may be text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExceptionType {
    bytes: [u8; EXCEPTION_TYPE_BYTES_MAX],
    len: usize,
}

impl ExceptionType {
    /// Creates a kind. Returns None for an empty name or one that may be the text of a line.
    pub fn new(name: &str) -> Option<ExceptionType> {
        let name = name.as_bytes();
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:$".contains(byte);
        if name.is_empty() || name.len() > EXCEPTION_TYPE_BYTES_MAX || !name.iter().all(part) {
            return None;
        }
        let mut bytes = [0; EXCEPTION_TYPE_BYTES_MAX];
        bytes[..name.len()].copy_from_slice(name);
        Some(ExceptionType { bytes, len: name.len() })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Debug for ExceptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All counters at one time. Times are arrival times, and the epoch if nothing has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Snapshot {
    /// Totals since the process began.
    pub totals: Totals,
    /// When the last batch arrived.
    pub last_line: UnixNanos,
    /// Number of FATAL records.
    pub fatals: u64,
    /// Arrival time of the last FATAL record.
    pub last_fatal: UnixNanos,
    /// Exception type of the last FATAL record, if it had one.
    pub fatal_kind: Option<ExceptionType>,
    /// Number of heartbeat lines.
    pub heartbeats: u64,
}

/// The atomic counters.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    records: AtomicU64,
    errors: AtomicU64,
    requests: AtomicU64,
    failed_requests: AtomicU64,
    without_level: AtomicU64,
    without_time: AtomicU64,
    last_line: AtomicU64,
    fatals: AtomicU64,
    last_fatal: AtomicU64,
    fatal_kind: Mutex<Option<ExceptionType>>,
    heartbeats: AtomicU64,
}

impl Beats {
    /// Adds a batch.
    pub(crate) fn add(&self, at: UnixNanos, batch: Totals) {
        self.records.fetch_add(batch.records, Relaxed);
        self.errors.fetch_add(batch.errors, Relaxed);
        self.requests.fetch_add(batch.requests, Relaxed);
        self.failed_requests.fetch_add(batch.failed_requests, Relaxed);
        self.without_level.fetch_add(batch.without_level, Relaxed);
        self.without_time.fetch_add(batch.without_time, Relaxed);
        self.last_line.store(at.0, Relaxed);
    }

    /// Counts a FATAL record.
    pub(crate) fn fatal(&self, at: UnixNanos, kind: &str) {
        // a reader or another thread holds the lock: this record is counted, but its type is not
        // shown
        if let Ok(mut kept) = self.fatal_kind.try_lock() {
            *kept = ExceptionType::new(kind);
        }
        self.last_fatal.store(at.0, Relaxed);
        self.fatals.fetch_add(1, Relaxed);
    }

    /// Counts a heartbeat.
    pub(crate) fn heartbeat(&self, at: UnixNanos) {
        self.last_line.store(at.0, Relaxed);
        self.heartbeats.fetch_add(1, Relaxed);
    }

    /// Reads all counters. Reads failures before the totals that contain them, so that no share
    /// exceeds 1.
    pub(crate) fn read(&self) -> Snapshot {
        let errors = self.errors.load(Relaxed);
        let failed_requests = self.failed_requests.load(Relaxed);
        let without_level = self.without_level.load(Relaxed);
        let without_time = self.without_time.load(Relaxed);
        let totals = Totals {
            errors,
            failed_requests,
            without_level,
            without_time,
            records: self.records.load(Relaxed).max(errors).max(without_level).max(without_time),
            requests: self.requests.load(Relaxed).max(failed_requests),
        };
        Snapshot {
            totals,
            last_line: UnixNanos(self.last_line.load(Relaxed)),
            fatals: self.fatals.load(Relaxed),
            last_fatal: UnixNanos(self.last_fatal.load(Relaxed)),
            fatal_kind: self.fatal_kind.lock().ok().and_then(|kept| *kept),
            heartbeats: self.heartbeats.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_type_is_kept_of_a_fatal() {
        let long = "x".repeat(EXCEPTION_TYPE_BYTES_MAX + 1);
        for (given, kept) in [
            ("ValueError", Some("ValueError")),
            ("django.db.utils.OperationalError", Some("django.db.utils.OperationalError")),
            ("std::bad_alloc", Some("std::bad_alloc")),
            ("", None),
            ("password is hunter2", None),
            ("a\nb", None),
            ("caf\u{e9}", None),
            (long.as_str(), None),
        ] {
            let beats = Beats::default();
            beats.fatal(UnixNanos(7), given);
            let seen = beats.read();
            assert_eq!(seen.fatal_kind.as_ref().map(ExceptionType::as_str), kept, "{given}");
            assert_eq!((seen.fatals, seen.last_fatal), (1, UnixNanos(7)));
        }
    }
}
