//! What decoding tried on a line: each reader, and where and why it declined. Readers note the
//! position as they decline; only `explain` collects the notes. Unit: one reader on one line.

use super::field::FieldId;
use super::slots::SlotValue;

/// Where a reader stopped, and what it expected there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Decline {
    /// The position in bytes, in the line without its wrappers.
    pub at: usize,
    /// What would have to be there.
    pub expected: &'static str,
}

/// The result of one reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The name of the reader.
    pub reader: &'static str,
    /// Why it declined; `None` if it read the line.
    pub declined: Option<Decline>,
}

/// What decoding did with a line; collected for `explain` only.
#[derive(Clone, Default, Debug)]
pub struct Trail {
    /// The readers in the order in which they were tried.
    pub attempts: Vec<Attempt>,
    /// The length in bytes of the wrappers before the line: a syslog header, the time of CRI.
    pub wrapper: usize,
    /// Values that cannot be read as their field; positions count in the line without wrappers.
    pub refused: Vec<(FieldId, SlotValue)>,
}
