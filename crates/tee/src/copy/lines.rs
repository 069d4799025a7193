//! Decides which lines of a stream are copied: every line while the peer takes them, and only whole
//! lines while it does not. This module does no I/O; the caller passes bytes and a function that
//! sends. One connection carries whole lines in their order; only its last line may be incomplete.
//! Unit: one line.
//!
//! Decision: when the buffer is full, the newest lines are dropped and not the oldest, because the
//! first lines of an application that starts before its sidecar describe how it started.

use memchr::{memchr, memrchr};

/// Bytes that are buffered for the peer: the capacity of a pipe, after a read that did not end with
/// a line.
pub(crate) const HELD_BYTES_MAX: usize = 128 * 1024;

/// A line that reaches this length without its end is sent in pieces, because the sidecar keeps no
/// more of it.
const PIECE_BYTES_MIN: usize = 64 * 1024;

/// Free bytes that are required before a notice of dropped lines is added. Without this limit, a
/// buffer that is almost full would get one notice for each line that still fits.
const NOTICE_FREE_BYTES_MIN: usize = HELD_BYTES_MAX / 2;

/// The buffered lines of one stream.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Unsent bytes. They begin at the beginning of a line, unless `open` is set.
    held: Vec<u8>,
    /// Bytes of `held` that were sent; never more than `sendable`.
    sent: usize,
    /// Bytes of `held` that are whole lines.
    whole: usize,
    /// The beginning of the first line was sent and is no longer in `held`.
    open: bool,
    /// The rest of the current input line is dropped.
    skipping: bool,
    /// The beginning of a line was sent on the connection, but its rest was dropped.
    torn: bool,
    /// Number of dropped lines that no notice has reported yet.
    unreported: u64,
    dropped: u64,
}

impl Lines {
    /// Returns the number of lines that were not copied, or not to their end.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns whether there is something to send.
    pub(crate) fn waits(&self) -> bool {
        self.sendable() > self.sent
    }

    /// Returns whether the connection carries the beginning of a line that was dropped after it.
    /// The caller must close that connection, or the peer would take the next line for the rest.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Takes the bytes of one read, and sends as many as `send` accepts. `send` returns the number
    /// of bytes that it accepted, zero if it would block.
    ///
    /// # Errors
    /// Returns the error of `send`. Bytes that were not accepted stay buffered.
    pub(crate) fn take<E>(
        &mut self,
        bytes: &[u8],
        send: &mut impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        debug_assert!(bytes.len() <= HELD_BYTES_MAX, "an empty buffer holds a whole read");
        let plain = self.held.is_empty()
            && !self.skipping
            && !self.open
            && !self.torn
            && self.unreported == 0;
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        if !plain || whole == 0 {
            self.append(bytes);
            return self.flush(send);
        }
        // the path of almost all lines: from the read to the socket without a copy
        let sent = send(&bytes[..whole]);
        let taken = sent.as_ref().map_or(0, |sent| *sent);
        let begun = memrchr(b'\n', &bytes[..taken]).map_or(0, |at| at + 1);
        self.append(&bytes[begun..]);
        self.sent = taken - begun;
        sent.map(|_| ())
    }

    /// Sends the buffered bytes. A line that was sent in part stays at the front, so that its rest
    /// comes next.
    ///
    /// # Errors
    /// Returns the error of `send`.
    pub(crate) fn flush<E>(
        &mut self,
        send: &mut impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        while self.waits() {
            let sent = send(&self.held[self.sent..self.sendable()])?;
            if sent == 0 {
                break;
            }
            self.sent += sent;
            self.forget();
        }
        Ok(())
    }

    /// Prepares for a new connection. A line that was sent in part is sent again as a whole.
    pub(crate) fn disconnected(&mut self) {
        if self.open {
            let end = memchr(b'\n', &self.held).map(|at| at + 1);
            self.drop_one();
            self.skipping |= end.is_none();
            let cut = end.unwrap_or(self.held.len());
            self.held.drain(..cut);
            self.whole -= cut.min(self.whole);
        }
        (self.open, self.torn, self.sent) = (false, false, 0);
    }

    /// Ends the stream: completes an unfinished line, and adds a notice for lines that were dropped
    /// and not reported.
    pub(crate) fn end(&mut self) {
        let unfinished = self.held.len() > self.whole || (self.open && self.whole == 0);
        if unfinished && self.unreported > 0 {
            self.held.push(b'\n');
        }
        self.whole = self.held.len();
        self.skipping = false;
        self.tell();
    }

    /// Returns how many bytes of `held` may be sent.
    fn sendable(&self) -> usize {
        if self.torn {
            return 0;
        }
        let is_long = self.open || self.held.len() >= PIECE_BYTES_MIN;
        if self.whole == 0 && is_long { self.held.len() } else { self.whole }
    }

    /// Returns whether the next byte begins a line.
    fn is_between(&self) -> bool {
        !self.skipping && self.held.len() == self.whole && !(self.open && self.whole == 0)
    }

    /// Buffers as much as fits: whole lines, and the beginning of the last one.
    fn append(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            if self.skipping {
                let Some(at) = memchr(b'\n', rest) else { return };
                self.skipping = false;
                rest = &rest[at + 1..];
                continue;
            }
            let free = HELD_BYTES_MAX.saturating_sub(self.held.len());
            let mut part = rest;
            if self.unreported > 0 && free >= NOTICE_FREE_BYTES_MIN {
                if self.is_between() {
                    self.tell();
                } else {
                    // complete the current line first
                    part = &rest[..memchr(b'\n', rest).map_or(rest.len(), |at| at + 1)];
                }
            }
            let fits = &part[..free.min(part.len())];
            let whole = memrchr(b'\n', fits).map(|at| at + 1);
            let held = if fits.len() == part.len() { Some(part.len()) } else { whole };
            let Some(held) = held else {
                // the current line does not fit, and its beginning is useless without the rest
                self.held.truncate(self.whole);
                self.skipping = true;
                if self.open && self.whole == 0 {
                    (self.open, self.torn) = (false, true);
                }
                self.drop_one();
                continue;
            };
            self.whole = whole.map_or(self.whole, |whole| self.held.len() + whole);
            self.held.extend_from_slice(&part[..held]);
            rest = &rest[held..];
        }
    }

    fn drop_one(&mut self) {
        self.dropped += 1;
        self.unreported += 1;
    }

    /// Discards sent bytes, except those of a line that was sent in part.
    fn forget(&mut self) {
        let lines = memrchr(b'\n', &self.held[..self.sent]).map(|at| at + 1);
        let in_pieces = self.whole == 0 || (self.open && lines.is_none());
        let cut = if in_pieces { self.sent } else { lines.unwrap_or(0) };
        self.open = in_pieces;
        self.held.drain(..cut);
        self.sent -= cut;
        self.whole -= cut.min(self.whole);
        if self.held.is_empty() {
            // free the memory of a burst
            self.held = Vec::new();
        }
    }

    /// Adds a notice that counts the dropped lines.
    fn tell(&mut self) {
        if self.unreported > 0 {
            self.held.extend_from_slice(notice(self.unreported).as_bytes());
            self.whole = self.held.len();
            self.unreported = 0;
        }
    }
}

/// Returns the record that replaces dropped lines.
pub(crate) fn notice(lines: u64) -> String {
    let head = r#"{"level":"warn","logger":"sidelight.tee","message":"lines were not copied""#;
    format!("{head},\"lines\":{lines}}}\n")
}

#[cfg(test)]
mod tests;
