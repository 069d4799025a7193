//! Reports of sources with records that have no level or no time. Data threads report a source at
//! most once; the admin thread takes the reports once a second and logs them. A report contains no
//! text of a line. Unit: one source.

use crate::sync::{ignore_poison, lock};
use std::sync::{Mutex, TryLockError};

/// The least number of records on which it is decided that most have no level or no time.
pub(crate) const RECORDS_MIN: u32 = 50;

/// How many reports wait at most until they are taken; more are tried again later.
const REPORTS_MAX: usize = 16;

/// A source with records that are mostly not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unrecognised {
    /// The number of the source, unique in the process.
    pub source: u64,
    /// The input to which it belongs: the value of the label `input`.
    pub input: &'static str,
    /// Its records so far, or since the last decision.
    pub records: u32,
    /// How many of them have no level.
    pub without_level: u32,
    /// How many of them have no time.
    pub without_time: u32,
    /// The classes of the tokens of such a record.
    pub shape: String,
}

/// The reports that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<Vec<Unrecognised>>);

impl Reports {
    /// Adds a report without waiting. Returns false if that was not possible now.
    pub(super) fn add(&self, make: impl FnOnce() -> Unrecognised) -> bool {
        let mut reports = match self.0.try_lock() {
            Ok(reports) => reports,
            Err(TryLockError::Poisoned(poisoned)) => ignore_poison(Err(poisoned)),
            Err(TryLockError::WouldBlock) => return false,
        };
        if reports.len() >= REPORTS_MAX {
            return false;
        }
        reports.push(make());
        true
    }

    /// Takes all reports.
    pub(super) fn take(&self) -> Vec<Unrecognised> {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(source: u64) -> Unrecognised {
        Unrecognised {
            source,
            input: "stream",
            records: 50,
            without_level: 50,
            without_time: 0,
            shape: "words".to_owned(),
        }
    }

    /// Guarantees: the reports that wait are bounded, a source that is too late tries again, and
    /// the shape of a record is computed only if there is a place for it.
    #[test]
    fn reports_that_wait_are_bounded() {
        let reports = Reports::default();
        for source in 0..REPORTS_MAX as u64 {
            assert!(reports.add(|| report(source)));
        }
        assert!(!reports.add(|| panic!("a report without a place")));
        let taken: Vec<u64> = reports.take().iter().map(|one| one.source).collect();
        assert_eq!(taken, (0..REPORTS_MAX as u64).collect::<Vec<_>>());
        assert!(reports.add(|| report(99)));
        assert_eq!(reports.take(), [report(99)]);
        assert!(reports.take().is_empty());
    }

    /// Guarantees: a report is never waited for, and a panic does not end the reports.
    #[test]
    fn a_held_lock_delays_and_a_panic_disables_nothing() {
        let reports = Reports::default();
        let held = lock(&reports.0);
        assert!(!reports.add(|| report(1)));
        drop(held);
        let panicked = std::thread::scope(|scope| {
            scope.spawn(|| reports.add(|| panic!("while the lock is held"))).join()
        });
        assert!(panicked.is_err());
        assert!(reports.add(|| report(2)));
        assert_eq!(reports.take(), [report(2)]);
    }
}
