//! Reports of sources with records that have no level or no time. Data threads report a source at
//! most once; the admin thread takes the reports once a second and logs them. A report contains no
//! text of a line. Unit: one source.

use std::sync::Mutex;

/// The least number of records on which it is decided that most have no level or no time.
pub const RECORDS_MIN: u32 = 50;

/// How many reports wait at most until they are taken; more are tried again later.
const REPORTS_MAX: usize = 16;

/// A source whose records are mostly not understood.
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
        let Ok(mut reports) = self.0.try_lock() else { return false };
        if reports.len() >= REPORTS_MAX {
            return false;
        }
        reports.push(make());
        true
    }

    /// Takes all reports.
    pub(super) fn take(&self) -> Vec<Unrecognised> {
        self.0.lock().map(|mut reports| std::mem::take(&mut *reports)).unwrap_or_default()
    }
}
