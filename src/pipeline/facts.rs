//! Facts that the memo stores with a key besides its series: properties of its records, and whether
//! its series may have to be resolved again. Unit: one key.

use crate::record::severity::Severity;

/// The severity of the records of a key, and the status code if they are requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) severity: Severity,
    /// The status code; 0 if the record is no request.
    pub(super) status_code: u16,
    /// What may still change: a value that is held back, or a histogram without a value so far.
    pub(super) pending: Pending,
}

/// Why a cached key may have to be resolved again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Pending {
    /// A label is `_unmatched` until its value is admitted.
    pub(super) is_held_back: bool,
    /// The key has no series for the duration, because none of its records had a duration so far.
    pub(super) lacks_duration: bool,
}

impl Facts {
    #[inline]
    pub(super) fn from_word(word: u32) -> Facts {
        let pending =
            Pending { is_held_back: word & 1 << 24 != 0, lacks_duration: word & 1 << 25 != 0 };
        Facts { severity: Severity(word as u8), status_code: (word >> 8) as u16, pending }
    }

    pub(super) fn word(self) -> u32 {
        u32::from(self.severity.0)
            | u32::from(self.status_code) << 8
            | u32::from(self.pending.is_held_back) << 24
            | u32::from(self.pending.lacks_duration) << 25
    }
}
