//! The own times of records. Unit: one record.

use crate::clock::UnixNanos;
use crate::decode::time::{self, MinuteCache, Zone};
use crate::record::{Record, field};

/// Reads the timestamps of the records of one data thread.
#[derive(Debug)]
pub(super) struct RecordTimes {
    zone: Zone,
    minute: MinuteCache,
}

impl RecordTimes {
    /// `zone` is the zone of timestamps that name none.
    pub(super) fn new(zone: Zone) -> RecordTimes {
        RecordTimes { zone, minute: MinuteCache::default() }
    }

    /// The record's timestamp, if it has one that can be read.
    pub(super) fn own(&mut self, record: &Record<'_>) -> Option<UnixNanos> {
        let text = record.text(field::TIMESTAMP)?;
        time::parse(text, &self.zone, record.observed, &mut self.minute)
    }

    /// The record's timestamp, else its arrival.
    pub(super) fn of(&mut self, record: &Record<'_>) -> UnixNanos {
        self.own(record).unwrap_or(record.observed)
    }
}
