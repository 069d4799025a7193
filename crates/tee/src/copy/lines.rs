//! Which lines of a stream are copied: all, while the other side takes them; whole ones, when it does not.
//! Pure: it is given bytes and a way to send some. What it sends over one connection is whole lines one
//! behind the other, but for the last. Unit: one line.
//!
//! Decision: of lines that find no room the newest are dropped, not the oldest: the first lines of an
//! application that starts before its sidecar say how it started.

use memchr::{memchr, memrchr};

/// What waits for the other side: as much as a pipe holds, behind a read that did not end with a line.
pub(crate) const HELD_BYTES_MAX: usize = 128 * 1024;

/// A line of which so much came without its end is sent piece by piece: the sidecar keeps no more of it.
const PIECE_BYTES_MIN: usize = 64 * 1024;

/// Room that must be there before word of missing lines is left: on the brink of full, each line that slips
/// in would bring a word of its own.
const ROOM_TO_TELL: usize = HELD_BYTES_MAX / 2;

/// The lines of one stream.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Begins at the beginning of a line, unless `open`.
    held: Vec<u8>,
    /// So much of `held` was sent; never more than `sendable`.
    sent: usize,
    /// So much of `held` is whole lines.
    whole: usize,
    /// The beginning of the line at the front was sent and is held no more.
    open: bool,
    /// The rest of the line that comes in is dropped.
    skipping: bool,
    /// The connection has the beginning of a line whose rest was dropped.
    torn: bool,
    /// Dropped and not told yet.
    untold: u64,
    dropped: u64,
}

impl Lines {
    /// Lines that were not copied, or not to their end.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether something could be sent.
    pub(crate) fn waits(&self) -> bool {
        self.sendable() > self.sent
    }

    /// Whether the connection has the beginning of a line whose rest was dropped: it must be closed, or the
    /// next line would be taken for that rest.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Takes what one read gave, and sends what `send` takes of it. `send` says how many bytes it took, none
    /// where it has no room now.
    ///
    /// # Errors
    /// Why `send` failed. What it did not take is held.
    pub(crate) fn take<E>(
        &mut self,
        bytes: &[u8],
        send: &mut impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        debug_assert!(
            bytes.len() <= HELD_BYTES_MAX,
            "what was read finds room where nothing is held"
        );
        let plain =
            self.held.is_empty() && !self.skipping && !self.open && !self.torn && self.untold == 0;
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        if !plain || whole == 0 {
            self.append(bytes);
            return self.flush(send);
        }
        // the way of nearly all lines: from the read to the socket without a copy
        let sent = send(&bytes[..whole]);
        let taken = sent.as_ref().map_or(0, |sent| *sent);
        let begun = memrchr(b'\n', &bytes[..taken]).map_or(0, |at| at + 1);
        self.append(&bytes[begun..]);
        self.sent = taken - begun;
        sent.map(|_| ())
    }

    /// Sends what waits. A line that went out in part stays at the front, so that its rest comes next.
    ///
    /// # Errors
    /// Why `send` failed.
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

    /// The connection is gone. A line that went out in part goes again, whole, over the next one.
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

    /// The stream has ended: an unfinished line is all of it, and what was not told is told.
    pub(crate) fn end(&mut self) {
        let unfinished = self.held.len() > self.whole || (self.open && self.whole == 0);
        if unfinished && self.untold > 0 {
            self.held.push(b'\n');
        }
        self.whole = self.held.len();
        self.skipping = false;
        self.tell();
    }

    /// How much of `held` may be sent.
    fn sendable(&self) -> usize {
        if self.torn {
            return 0;
        }
        let is_long = self.open || self.held.len() >= PIECE_BYTES_MIN;
        if self.whole == 0 && is_long { self.held.len() } else { self.whole }
    }

    /// Whether the next byte begins a line.
    fn is_between(&self) -> bool {
        !self.skipping && self.held.len() == self.whole && !(self.open && self.whole == 0)
    }

    /// Holds what there is room for: whole lines, and the beginning of the last.
    fn append(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            if self.skipping {
                let Some(at) = memchr(b'\n', rest) else { return };
                self.skipping = false;
                rest = &rest[at + 1..];
                continue;
            }
            let room = HELD_BYTES_MAX.saturating_sub(self.held.len());
            let mut part = rest;
            if self.untold > 0 && room >= ROOM_TO_TELL {
                if self.is_between() {
                    self.tell();
                } else {
                    // first the line at hand
                    part = &rest[..memchr(b'\n', rest).map_or(rest.len(), |at| at + 1)];
                }
            }
            let fits = &part[..room.min(part.len())];
            let whole = memrchr(b'\n', fits).map(|at| at + 1);
            let held = if fits.len() == part.len() { Some(part.len()) } else { whole };
            let Some(held) = held else {
                // the line at hand finds no room, and its beginning is worth nothing without it
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
        self.untold += 1;
    }

    /// Lets go of what was sent, back to the beginning of a line that was sent in part.
    fn forget(&mut self) {
        let lines = memrchr(b'\n', &self.held[..self.sent]).map(|at| at + 1);
        let in_pieces = self.whole == 0 || (self.open && lines.is_none());
        let cut = if in_pieces { self.sent } else { lines.unwrap_or(0) };
        self.open = in_pieces;
        self.held.drain(..cut);
        self.sent -= cut;
        self.whole -= cut.min(self.whole);
        if self.held.is_empty() {
            // a burst is no reason to keep its memory
            self.held = Vec::new();
        }
    }

    /// Leaves word of what is missing.
    fn tell(&mut self) {
        if self.untold > 0 {
            self.held.extend_from_slice(notice(self.untold).as_bytes());
            self.whole = self.held.len();
            self.untold = 0;
        }
    }
}

/// The record that stands where lines are missing.
pub(crate) fn notice(lines: u64) -> String {
    let head = r#"{"level":"warn","logger":"sidelight.tee","message":"lines were not copied""#;
    format!("{head},\"lines\":{lines}}}\n")
}

#[cfg(test)]
mod tests;
