//! What one data thread counted since it last told `telemetry`: plain integers, added to the shared
//! counters once a batch.

use super::Input;
use crate::health::Counts;
use crate::record::Format;
use crate::telemetry::Telemetry;
use prometheus::IntCounter;

/// The counters of a batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) received: [u64; 3],
    pub(super) decoded: [u64; Format::ALL.len()],
    pub(super) malformed: [u64; Format::ALL.len()],
    pub(super) joined: u64,
    pub(super) oversized: u64,
    pub(super) invalid_utf8: u64,
    pub(super) disabled: u64,
    pub(super) health: Counts,
}

/// The shared counters, looked up once.
#[derive(Debug)]
pub(super) struct Totals {
    received: [IntCounter; 3],
    decoded: [IntCounter; Format::ALL.len()],
    malformed: [IntCounter; Format::ALL.len()],
    joined: IntCounter,
    oversized: IntCounter,
    invalid_utf8: IntCounter,
    disabled: IntCounter,
}

impl Totals {
    pub(super) fn of(telemetry: &Telemetry) -> Totals {
        Totals {
            received: [Input::Stream, Input::Datagram, Input::Stdin]
                .map(|input| telemetry.received.with_label_values(&[input.name()])),
            decoded: Format::ALL.map(|f| telemetry.decoded.with_label_values(&[f.name()])),
            malformed: Format::ALL.map(|f| telemetry.malformed.with_label_values(&[f.name()])),
            joined: telemetry.joined.clone(),
            oversized: telemetry.oversized.clone(),
            invalid_utf8: telemetry.invalid_utf8.clone(),
            disabled: telemetry.refused.with_label_values(&["disabled"]),
        }
    }

    /// Adds a batch and empties it.
    pub(super) fn add(&self, batch: &mut Batch) {
        let all = self.received.iter().zip(&batch.received);
        let all = all.chain(self.decoded.iter().zip(&batch.decoded));
        let all = all.chain(self.malformed.iter().zip(&batch.malformed));
        for (counter, &count) in all {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        self.joined.inc_by(batch.joined);
        self.oversized.inc_by(batch.oversized);
        self.invalid_utf8.inc_by(batch.invalid_utf8);
        self.disabled.inc_by(batch.disabled);
        *batch = Batch::default();
    }
}
