//! Counts of one data thread since its last flush: plain integers, added to the shared counters of
//! `telemetry` once a batch.

use crate::health::Counts;
use crate::record::Format;
use crate::telemetry::Telemetry;
use prometheus::IntCounter;

/// The counts of one batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) decoded: [u64; Format::ALL.len()],
    pub(super) malformed: u64,
    pub(super) joined: u64,
    pub(super) oversized: u64,
    pub(super) invalid_utf8: u64,
    pub(super) disabled: u64,
    pub(super) undecodable: u64,
    pub(super) evicted: u64,
    pub(super) expired: u64,
    pub(super) health: Counts,
}

/// The shared counters, looked up once.
#[derive(Debug)]
pub(super) struct Totals {
    decoded: [IntCounter; Format::ALL.len()],
    malformed: IntCounter,
    joined: IntCounter,
    oversized: IntCounter,
    invalid_utf8: IntCounter,
    without_level: IntCounter,
    without_time: IntCounter,
    disabled: IntCounter,
    undecodable: IntCounter,
    evicted: IntCounter,
    expired: IntCounter,
}

impl Totals {
    pub(super) fn of(telemetry: &Telemetry) -> Totals {
        Totals {
            decoded: Format::ALL.map(|f| telemetry.decoded.with_label_values(&[f.name()])),
            malformed: telemetry.malformed.with_label_values(&[Format::Json.name()]),
            joined: telemetry.joined.clone(),
            oversized: telemetry.oversized.clone(),
            invalid_utf8: telemetry.invalid_utf8.clone(),
            without_level: telemetry.records_incomplete.with_label_values(&["level"]),
            without_time: telemetry.records_incomplete.with_label_values(&["time"]),
            disabled: telemetry.refused.with_label_values(&["disabled"]),
            undecodable: telemetry.refused.with_label_values(&["undecodable"]),
            evicted: telemetry.starts_dropped.with_label_values(&["evicted"]),
            expired: telemetry.starts_dropped.with_label_values(&["expired"]),
        }
    }

    /// Adds a batch to the shared counters and resets it.
    pub(super) fn add(&self, batch: &mut Batch) {
        for (counter, &count) in self.decoded.iter().zip(&batch.decoded) {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        self.malformed.inc_by(batch.malformed);
        self.joined.inc_by(batch.joined);
        self.oversized.inc_by(batch.oversized);
        self.invalid_utf8.inc_by(batch.invalid_utf8);
        self.without_level.inc_by(batch.health.without_level);
        self.without_time.inc_by(batch.health.without_time);
        self.disabled.inc_by(batch.disabled);
        self.undecodable.inc_by(batch.undecodable);
        self.evicted.inc_by(batch.evicted);
        self.expired.inc_by(batch.expired);
        *batch = Batch::default();
    }
}
