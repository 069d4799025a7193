//! Reads the timestamps of records. Unit: one record.

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
    /// Creates a reader; `zone` is the time zone of timestamps that name none.
    pub(super) fn new(zone: Zone) -> RecordTimes {
        RecordTimes { zone, minute: MinuteCache::default() }
    }

    /// Returns the record's timestamp, if it has a readable one.
    pub(super) fn own(&mut self, record: &Record<'_>) -> Option<UnixNanos> {
        let text = record.text(field::TIMESTAMP)?;
        time::parse(text, &self.zone, record.observed, &mut self.minute)
    }

    /// Returns the record's timestamp, or else its arrival time.
    pub(super) fn of(&mut self, record: &Record<'_>) -> UnixNanos {
        self.own(record).unwrap_or(record.observed)
    }
}
