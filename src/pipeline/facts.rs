//! What is remembered of a key beside its series: what its record is, and whether the series may have to be
//! resolved again. Unit: one key.

use crate::record::severity::Severity;

/// What a group's cell remembers beside its series: the severity, and the status code of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) severity: Severity,
    /// 0: the record is no request.
    pub(super) status_code: u16,
    /// What may change: a value that is held back, a histogram whose measure had no value yet.
    pub(super) pending: Pending,
}

/// Why a remembered key may have to be resolved again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Pending {
    /// A label is `_unmatched` until its value is admitted.
    pub(super) is_held_back: bool,
    /// No series for the duration: no record of this key had one.
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
