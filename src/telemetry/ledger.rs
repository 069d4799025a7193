//! The ledger: what arrived, what became of it, and what was sent. received = decoded + refused,
//! and offered = sent + dropped + held; `lost` is what no counter explains. No term is derived from
//! another: `receive` counts frames when it hands them on, the pipeline counts what it has done
//! with each, the producer of items counts its offers, and an output counts what its collector or
//! its descriptor has accepted.

use super::Telemetry;
use std::fmt;

/// The terms of the ledger, as `architecture` defines them. Unit: frames, then spans and records.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ledger {
    /// Frames that the framer produced.
    pub received: u64,
    /// Frames that were decoded.
    pub decoded: u64,
    /// Frames that were refused.
    pub refused: u64,
    /// Items offered to a configured output.
    pub offered: u64,
    /// Items that an output accepted.
    pub sent: u64,
    /// Items dropped, for any reason.
    pub dropped: u64,
    /// Items that are still in a queue.
    pub held: u64,
    /// Frames and items that no counter explains.
    pub lost: u64,
}

impl Ledger {
    /// Reads the counters; `held` is the number of items in the outboxes now.
    pub fn read(telemetry: &Telemetry, held: u64) -> Ledger {
        let sum = super::sum;
        // Read before `received`, which a data thread publishes first: a thread that still works
        // can only make frames look unfinished, never more than there are.
        let (decoded, refused) = (sum(&telemetry.decoded), sum(&telemetry.refused));
        let mut ledger = Ledger {
            received: sum(&telemetry.received),
            decoded,
            refused,
            offered: sum(&telemetry.offered),
            sent: sum(&telemetry.sent),
            dropped: sum(&telemetry.dropped),
            held,
            lost: 0,
        };
        let frames = ledger.decoded + ledger.refused;
        let items = ledger.sent + ledger.dropped + ledger.held;
        ledger.lost = ledger.received.abs_diff(frames) + ledger.offered.abs_diff(items);
        ledger
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ledger received={} decoded={} refused={} offered={} sent={} dropped={} held={} lost={}",
            self.received,
            self.decoded,
            self.refused,
            self.offered,
            self.sent,
            self.dropped,
            self.held,
            self.lost
        )
    }
}
