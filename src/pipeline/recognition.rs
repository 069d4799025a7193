//! Watches whether the records of one source have a level and a time, and reports the shape of
//! those that have none, once per source. Counting costs no lock and no allocation; only the report
//! does. Unit: one record.

use crate::decode::outline::outline;
use crate::health::HealthCounters;
use crate::health::unrecognised::{RECORDS_MIN, Unrecognised};
use crate::record::severity::Severity;

/// What a record lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Missing {
    pub(super) level: bool,
    pub(super) time: bool,
}

impl Missing {
    /// Returns what is missing. The line of a request has its status in place of a level.
    #[inline]
    pub(super) fn of(severity: Severity, status_code: u16, has_time: bool) -> Missing {
        let level = severity == Severity::UNSPECIFIED && status_code == 0;
        Missing { level, time: !has_time }
    }
}

/// The records of a source since the last decision, which falls after [`RECORDS_MIN`] records and
/// then after every [`RECORDS_EACH`].
#[derive(Debug)]
pub(super) struct Recognition {
    records: u32,
    without_level: u32,
    without_time: u32,
    /// The number of records after which the next decision falls; 0 after the report.
    due: u32,
}

/// How many records a decision covers after the first one.
const RECORDS_EACH: u32 = 1_000;

impl Default for Recognition {
    fn default() -> Recognition {
        Recognition { records: 0, without_level: 0, without_time: 0, due: RECORDS_MIN }
    }
}

impl Recognition {
    /// Counts a record. Returns whether the source is due for [`Recognition::decide`]. Counts
    /// nothing after the report.
    #[inline]
    pub(super) fn count(&mut self, missing: Missing) -> bool {
        if self.due == 0 {
            return false;
        }
        self.records = self.records.saturating_add(1);
        self.without_level = self.without_level.saturating_add(u32::from(missing.level));
        self.without_time = self.without_time.saturating_add(u32::from(missing.time));
        self.records == self.due
    }

    /// Reports the source if most of its records lack a level or a time and this one is among
    /// them. Never waits: if another thread holds the list of reports, the next record is tried.
    #[cold]
    pub(super) fn decide(
        &mut self,
        source: (u64, &'static str),
        line: &str,
        missing: Missing,
        health: &HealthCounters,
    ) {
        let most = |count: u32| u64::from(count) * 2 > u64::from(self.records);
        let lacks_level = most(self.without_level);
        let is_example = if lacks_level { missing.level } else { missing.time };
        if !lacks_level && !most(self.without_time) {
            *self = Recognition { due: RECORDS_EACH, ..Recognition::default() };
            return;
        }
        let is_reported = is_example
            && health.report_unrecognised(|| Unrecognised {
                source: source.0,
                input: source.1,
                records: self.records,
                without_level: self.without_level,
                without_time: self.without_time,
                shape: outline(line),
            });
        self.due = if is_reported { 0 } else { self.records.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Missing = Missing { level: true, time: true };
    const ALL: Missing = Missing { level: false, time: false };

    /// Feeds records and returns the reports.
    fn reports(records: &[(Missing, u32)]) -> Vec<Unrecognised> {
        let health = HealthCounters::default();
        let mut recognition = Recognition::default();
        for &(missing, count) in records {
            for _ in 0..count {
                if recognition.count(missing) {
                    recognition.decide((7, "stream"), "some secret text", missing, &health);
                }
            }
        }
        health.take_unrecognised()
    }

    /// Guarantees: a source is reported once, as soon as most of its records lack something, and
    /// never if most have all.
    #[test]
    fn a_source_is_reported_once() {
        assert!(reports(&[(NOTHING, RECORDS_MIN - 1)]).is_empty());
        let found = reports(&[(NOTHING, RECORDS_MIN + 5_000)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].source, found[0].records, found[0].without_level), (7, 50, 50));
        assert_eq!(found[0].shape, "words");
        assert!(reports(&[(ALL, 10_000)]).is_empty());
        assert!(reports(&[(ALL, 25), (NOTHING, 25), (ALL, 5_000)]).is_empty(), "half is not most");
        // later, after a time in which all was well
        assert_eq!(reports(&[(ALL, RECORDS_MIN), (NOTHING, RECORDS_EACH)]).len(), 1);
        // the record at which it is decided is not an example
        let found = reports(&[(NOTHING, RECORDS_MIN - 1), (ALL, 3), (NOTHING, 1)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].records, RECORDS_MIN + 3);
    }

    /// Bug: the counters ran over after 2^32 records, and the source was reported again.
    #[test]
    fn nothing_is_counted_after_the_report() {
        let health = HealthCounters::default();
        let mut recognition = Recognition {
            records: u32::MAX,
            without_level: u32::MAX,
            without_time: u32::MAX,
            due: 0,
        };
        for _ in 0..3 {
            assert!(!recognition.count(NOTHING));
        }
        recognition.due = u32::MAX;
        assert!(recognition.count(NOTHING));
        recognition.decide((7, "stream"), "", ALL, &health);
        assert!(health.take_unrecognised().is_empty(), "this record is no example");
        assert!(recognition.count(NOTHING), "the next one is");
        recognition.decide((7, "stream"), "", NOTHING, &health);
        assert_eq!(health.take_unrecognised().len(), 1);
    }

    /// Guarantees: the line of a request needs no level.
    #[test]
    fn requests_need_no_level() {
        let time_only = Missing { level: false, time: true };
        assert_eq!(Missing::of(Severity::UNSPECIFIED, 200, false), time_only);
        assert_eq!(Missing::of(Severity::UNSPECIFIED, 0, false), NOTHING);
        assert_eq!(Missing::of(Severity::INFO, 0, true), ALL);
        assert_eq!(reports(&[(time_only, RECORDS_MIN)])[0].without_level, 0);
    }
}
