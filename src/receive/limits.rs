//! Limits of everything that an application can send. The names give the units.

use crate::frame::multiline;
use std::time::Duration;

/// The largest configurable line length; a read buffer holds one line.
pub(crate) const LINE_BYTES_CEILING: usize = 16 * 1024 * 1024;

/// The longest line that is kept whole, unless a setting says otherwise.
pub(crate) const LINE_BYTES_DEFAULT: usize = 64 * 1024;

/// The most connections at once, unless a setting says otherwise.
pub(crate) const CONNECTIONS_DEFAULT: usize = 2048;

/// The number of bytes requested from the kernel per read. A stream socket with the default buffer
/// holds at most 233 KB, and 200-byte lines fill it at 33 KB; a larger read gains nothing
/// (measured: 64 KiB and 256 KiB are equal).
pub(crate) const READ_BYTES: usize = 128 * 1024;

/// The size of a datagram buffer: with the default send buffer, the kernel refuses 262,144 bytes
/// and more.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 256 * 1024;

/// How much of an unfinished line a connection may always keep, however much the others keep.
pub(crate) const TAIL_BYTES_ALWAYS: usize = 4 * 1024;

/// The least that a connection may keep, however short the line limit is: a record with joined
/// lines, and the beginning of a line that may belong to it. So the records are the same wherever
/// the reads split the stream.
pub(crate) const TAIL_BYTES_JOINED: usize = 2 * multiline::JOINED_BYTES_MAX;

/// The limits of `receive`; each is a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::struct_field_names)] // every field is a limit
pub struct Limits {
    /// The longest line; only this much of a longer line is kept.
    pub line_bytes_max: usize,
    /// The most bytes that the unfinished lines of all connections may occupy together.
    pub tails_bytes_max: usize,
    /// The most connections that may be open at once.
    pub connections_max: usize,
    /// The most connections of one user id, so that one container cannot lock out the others.
    pub connections_per_uid_max: usize,
    /// The longest sleep of a data thread between two sweeps; a sudden burst waits no longer than
    /// this.
    pub sleep_max: Duration,
    /// How long a text line is held back for a traceback that may follow.
    pub hold_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line_bytes_max: LINE_BYTES_DEFAULT,
            tails_bytes_max: 8 * 1024 * 1024,
            connections_max: CONNECTIONS_DEFAULT,
            connections_per_uid_max: 1024,
            sleep_max: Duration::from_millis(10),
            hold_max: Duration::from_millis(300),
        }
    }
}

impl Limits {
    /// Returns these limits with `line_bytes_max` clamped between 1 KiB and [`LINE_BYTES_CEILING`].
    pub fn bounded(mut self) -> Limits {
        self.line_bytes_max = self.line_bytes_max.clamp(1024, LINE_BYTES_CEILING);
        self
    }

    /// Returns how many bytes one connection may keep between two reads.
    pub fn tail_bytes_max(&self) -> usize {
        self.line_bytes_max.max(TAIL_BYTES_JOINED)
    }
}

const _: () =
    assert!(READ_BYTES >= 2 * LINE_BYTES_DEFAULT, "a read holds two lines of the default limit");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_limit_still_keeps_a_joined_record() {
        let limits = |line_bytes_max| Limits { line_bytes_max, ..Limits::default() }.bounded();
        assert_eq!(limits(0).line_bytes_max, 1024);
        assert_eq!(limits(2048).tail_bytes_max(), TAIL_BYTES_JOINED);
        assert_eq!(limits(1 << 20).tail_bytes_max(), 1 << 20);
        assert_eq!(limits(usize::MAX).line_bytes_max, LINE_BYTES_CEILING);
    }
}
