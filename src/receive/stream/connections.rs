//! The connections of one data thread: limits of their number, and of the memory that they keep.
//! Unit: one connection.

use crate::pipeline::input::Source;
use crate::receive::intake::Intake;
use crate::receive::limits::{Limits, TAIL_BYTES_ALWAYS};
use crate::receive::meter::Refusal;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::SendFlags;
use std::collections::HashMap;
use std::time::Duration;

/// Distinguishes a connection that floods, which may wait for its turn, from one with a writer that
/// was blocked once and has to catch up, which must not wait. A writer that has left space in its
/// socket for a while may fill it as often as that; one that always fills it floods.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pace {
    /// The number of reads that left space in the socket, less the others; at most [`PACE_MAX`].
    credit: u16,
    /// What the last read found, if the socket was full.
    full_bytes: Option<u64>,
}

/// This many sockets full of 200-byte lines are 1.4 s of a writer of 30,000 lines/s.
const PACE_MAX: u16 = 256;

/// From this credit on, a full socket does not mean a flood. A flood that leaves space now and then
/// stays below it, because every full read takes away what such a read adds; a writer that keeps up
/// has it after four reads, which take 4 ms beside connections that flood.
const PACE_STEADY: u16 = 4;

/// From this credit on, a connection is read without a look at how much it has to say.
const PACE_PROVEN: u16 = 16;

impl Pace {
    /// Counts a read: `full_bytes` is what it found if the socket was full. If the thread was
    /// `late`, a full socket says nothing about its writer.
    pub(crate) fn count(&mut self, full_bytes: Option<u64>, late: bool) {
        self.full_bytes = full_bytes;
        self.credit = match full_bytes {
            Some(_) if late => self.credit,
            Some(_) => self.credit.saturating_sub(1),
            None => PACE_MAX.min(self.credit + 1),
        };
    }

    /// Returns when the connection is read in a sweep, if `queued` returns the bytes that can be
    /// read now.
    fn turn(self, queued: impl FnOnce() -> u64) -> Turn {
        if self.full_bytes.is_none() && self.credit >= PACE_PROVEN {
            return Turn::Steady;
        }
        // half of a full socket is a writer that pauses
        let full_bytes = self.full_bytes.map_or(TRIAL_BYTES, |bytes| bytes / 2);
        if queued() < full_bytes {
            Turn::Trial
        } else if self.credit >= PACE_STEADY {
            Turn::CatchUp
        } else {
            Turn::Flood
        }
    }
}

/// With less than this to read, a connection is not full. Half of a socket full of 200-byte lines;
/// a writer of 10,000 lines/s needs 8 ms for it, and sweeps beside connections that flood follow
/// within 2 ms.
const TRIAL_BYTES: u64 = 16 * 1024;

/// When a connection is read in a sweep. [`Turn::Steady`] comes first; the others follow in this
/// order, each for a bounded time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// The connection is new or was full lately, and has little to read now.
    Trial,
    /// The writer kept up until its socket was full, and may have been blocked.
    CatchUp,
    /// The writer keeps its socket full, or does so from its beginning.
    Flood,
    /// The writer keeps up: its connection is read in every sweep.
    Steady,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket, which is closed when it is dropped.
    pub socket: OwnedFd,
    /// The source that the pipeline sees.
    pub source: Source,
    /// Its framing, with the unfinished line.
    pub intake: Intake,
    /// Until when its held-back lines wait, on the monotonic clock.
    pub hold_until: Duration,
    /// True if it is in the queue of held-back lines.
    pub hold_queued: bool,
    /// How its writer writes.
    pub pace: Pace,
    /// Answers that its socket had no space for.
    pub unsent: Vec<u8>,
    uid: u32,
    /// The memory of `intake` at its last count.
    tail_bytes: usize,
}

/// The most bytes of answers that wait for a peer that does not read them.
const UNSENT_BYTES_MAX: usize = 16 * 1024;

impl Connection {
    /// Returns when the connection is read in a sweep.
    pub(crate) fn turn(&self) -> Turn {
        // without an answer, a read shows what there is
        self.pace.turn(|| ioctl_fionread(&self.socket).unwrap_or(0))
    }

    /// Sends answers, and those before that the socket had no space for; never waits. Returns false
    /// if the peer reads too little or is gone: the connection is to be closed then.
    pub(crate) fn answer(&mut self, replies: &mut Vec<u8>) -> bool {
        if replies.is_empty() && self.unsent.is_empty() {
            return true;
        }
        self.unsent.append(replies);
        send(&self.socket, &mut self.unsent) && self.unsent.len() <= UNSENT_BYTES_MAX
    }
}

/// Sends the beginning of `answers` for which the socket has space, and removes it. Returns false if
/// the peer is gone.
pub(crate) fn send(socket: &OwnedFd, answers: &mut Vec<u8>) -> bool {
    if answers.is_empty() {
        return true;
    }
    match rustix::net::send(socket, answers, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(sent) => drop(answers.drain(..sent)),
        Err(Errno::AGAIN | Errno::INTR) => {}
        Err(_) => return false,
    }
    true
}

/// All connections of a data thread.
#[derive(Debug)]
pub(crate) struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    per_uid: HashMap<u32, usize>,
    /// The memory that all tails occupy.
    tail_bytes: usize,
    limits: Limits,
}

impl Connections {
    /// Creates an empty set of connections.
    pub(crate) fn new(limits: Limits) -> Connections {
        Connections {
            slots: Vec::new(),
            free: Vec::new(),
            per_uid: HashMap::new(),
            tail_bytes: 0,
            limits,
        }
    }

    /// Returns the number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Checks whether another connection of `uid` is allowed.
    ///
    /// # Errors
    /// Returns the limit that the connection would exceed.
    pub(crate) fn admits(&self, uid: u32) -> Result<(), Refusal> {
        if self.count() >= self.limits.connections_max {
            return Err(Refusal::Limit);
        }
        if self.per_uid.get(&uid).is_some_and(|n| *n >= self.limits.connections_per_uid_max) {
            return Err(Refusal::UidLimit);
        }
        Ok(())
    }

    /// Adds a connection of `uid`; returns its slot.
    pub(crate) fn insert(&mut self, socket: OwnedFd, uid: u32, source: Source) -> usize {
        let connection = Connection {
            socket,
            source,
            intake: Intake::default(),
            hold_until: Duration::ZERO,
            hold_queued: false,
            pace: Pace::default(),
            unsent: Vec::new(),
            uid,
            tail_bytes: 0,
        };
        *self.per_uid.entry(uid).or_default() += 1;
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(connection);
            return slot;
        }
        self.slots.push(Some(connection));
        self.slots.len() - 1
    }

    /// Returns the connection in `slot`, if there is one.
    pub(crate) fn get(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Removes and returns the connection in `slot`.
    pub(crate) fn remove(&mut self, slot: usize) -> Option<Connection> {
        let connection = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.tail_bytes -= connection.tail_bytes;
        if let Some(count) = self.per_uid.get_mut(&connection.uid) {
            *count -= 1;
            if *count == 0 {
                self.per_uid.remove(&connection.uid);
            }
        }
        Some(connection)
    }

    /// Returns the occupied slots.
    pub(crate) fn slots(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect()
    }

    /// Returns how many bytes the tail in `slot` may keep now.
    pub(crate) fn tail_bytes_max(&self, slot: usize) -> usize {
        let own = self.slots.get(slot).and_then(Option::as_ref).map_or(0, |own| own.tail_bytes);
        let left = self.limits.tails_bytes_max.saturating_sub(self.tail_bytes - own);
        left.max(TAIL_BYTES_ALWAYS).min(self.limits.tail_bytes_max())
    }

    /// Updates the memory count of the tail in `slot`.
    pub(crate) fn count_tail(&mut self, slot: usize) {
        let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let now = connection.intake.bytes();
        self.tail_bytes = self.tail_bytes - connection.tail_bytes + now;
        connection.tail_bytes = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::input::Input;
    use crate::receive::intake::piece::{Bounds, Buffer};
    use rustix::event::{EventfdFlags, eventfd};

    fn connections(limits: Limits) -> Connections {
        Connections::new(limits)
    }

    fn come(connections: &mut Connections, uid: u32) -> Result<usize, Refusal> {
        connections.admits(uid)?;
        let socket = eventfd(0, EventfdFlags::CLOEXEC).expect("any descriptor will do");
        Ok(connections.insert(socket, uid, Source::new(Input::Stream)))
    }

    #[test]
    fn one_user_cannot_lock_out_another() {
        let limits = Limits { connections_max: 4, connections_per_uid_max: 2, ..Limits::default() };
        let mut all = connections(limits);
        let first = come(&mut all, 1).expect("the first");
        come(&mut all, 1).expect("the second");
        assert_eq!(come(&mut all, 1), Err(Refusal::UidLimit));
        come(&mut all, 2).expect("another user");
        come(&mut all, 3).expect("the last place");
        assert_eq!(come(&mut all, 4), Err(Refusal::Limit));
        assert!(all.remove(first).is_some() && all.remove(first).is_none());
        assert_eq!(come(&mut all, 1), Ok(first), "a slot is used again");
        assert_eq!((all.count(), all.slots()), (4, vec![0, 1, 2, 3]));
    }

    /// Guarantees: a writer that fills its socket is taken for one that floods after a while, but
    /// not because the thread came late; and one that leaves space again is read like a new one.
    #[test]
    fn a_full_socket_counts_only_if_the_thread_was_in_time() {
        let full = |pace: &mut Pace, reads: u16, late| {
            (0..reads).for_each(|_| pace.count(Some(34_000), late));
        };
        let mut pace = Pace::default();
        assert_eq!((pace.turn(|| 100), pace.turn(|| 34_000)), (Turn::Trial, Turn::Flood));
        (0..PACE_STEADY).for_each(|_| pace.count(None, false));
        full(&mut pace, 1_000, true);
        assert_eq!(pace.turn(|| 34_000), Turn::CatchUp);
        full(&mut pace, 1, false);
        assert_eq!((pace.turn(|| 34_000), pace.turn(|| 100)), (Turn::Flood, Turn::Trial));
        (0..PACE_PROVEN).for_each(|_| pace.count(None, false));
        assert_eq!(pace.turn(|| unreachable!("it is known well")), Turn::Steady);
    }

    #[test]
    fn all_tails_together_are_bounded_and_each_keeps_a_little() {
        let limits =
            Limits { tails_bytes_max: 100_000, line_bytes_max: 65_536, ..Limits::default() };
        let mut all = connections(limits);
        let slots = [1, 2, 3].map(|uid| come(&mut all, uid).expect("below the limits"));
        assert_eq!(all.tail_bytes_max(slots[0]), 65_536);
        let mut buffer = Buffer::new(65_536, 70_000);
        buffer.space().fill(b'x');
        for (slot, left) in [(slots[0], 40_000), (slots[1], TAIL_BYTES_ALWAYS)] {
            let bounds = Bounds { line_bytes_max: 65_536, tail_bytes_max: 65_536 };
            let intake = &mut all.get(slot).expect("it is there").intake;
            intake.take(&mut buffer, 60_000, bounds, &mut |_| unreachable!("no line is whole"));
            all.count_tail(slot);
            assert_eq!(all.tail_bytes_max(slots[2]), left);
        }
        assert_eq!(all.tail_bytes_max(slots[0]), 40_000, "its own do not count against it");
        all.remove(slots[0]);
        assert_eq!(all.tail_bytes_max(slots[2]), 40_000, "what went is free again");
    }
}
