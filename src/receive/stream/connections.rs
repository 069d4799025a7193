//! The connections of one data thread: limits of their number, and of the memory that they keep.
//! Unit: one connection.

use crate::pipeline::input::Source;
use crate::receive::intake::Tail;
use crate::receive::limits::{Limits, TAIL_BYTES_ALWAYS};
use crate::receive::meter::Refusal;
use rustix::fd::OwnedFd;
use std::collections::HashMap;
use std::time::Duration;

/// Distinguishes a connection that floods, which may wait for its turn, from one with a writer that
/// was blocked once and has to catch up, which must not wait. A writer that has left space in its
/// socket for a while may fill it as often as that; one that always fills it floods.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pace {
    /// The number of reads that left space in the socket, less the others; at most [`PACE_MAX`].
    credit: u16,
    was_full: bool,
}

/// This many sockets full of 200-byte lines are 1.4 s of a writer of 30,000 lines/s.
const PACE_MAX: u16 = 256;

/// From this credit on, a full socket does not mean a flood. A flood that leaves space now and then
/// stays below it, because every full read takes away what such a read adds; a writer that keeps up
/// has it after 16 reads.
const PACE_STEADY: u16 = 16;

impl Pace {
    /// Counts a read, which found the socket full or not.
    pub(crate) fn count(&mut self, was_full: bool) {
        self.was_full = was_full;
        self.credit =
            if was_full { self.credit.saturating_sub(1) } else { PACE_MAX.min(self.credit + 1) };
    }

    /// Returns true if the connection keeps its socket full.
    pub(crate) fn is_flood(self) -> bool {
        self.was_full && self.credit < PACE_STEADY
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket, which is closed when it is dropped.
    pub socket: OwnedFd,
    /// The source that the pipeline sees.
    pub source: Source,
    /// Its unfinished line.
    pub tail: Tail,
    /// Until when its held-back lines wait, on the monotonic clock.
    pub hold_until: Duration,
    /// True if it is in the queue of held-back lines.
    pub hold_queued: bool,
    /// How its writer writes.
    pub pace: Pace,
    uid: u32,
    /// The memory of `tail` at its last count.
    tail_bytes: usize,
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
            tail: Tail::default(),
            hold_until: Duration::ZERO,
            hold_queued: false,
            pace: Pace::default(),
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
        let now = connection.tail.bytes();
        self.tail_bytes = self.tail_bytes - connection.tail_bytes + now;
        connection.tail_bytes = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::input::Input;
    use crate::receive::intake::{Bounds, Buffer};
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

    #[test]
    fn all_tails_together_are_bounded_and_each_keeps_a_little() {
        let limits =
            Limits { tails_bytes_max: 100_000, line_bytes_max: 65_536, ..Limits::default() };
        let mut all = connections(limits);
        let slots = [1, 2, 3].map(|uid| come(&mut all, uid).expect("below the limits"));
        assert_eq!(all.tail_bytes_max(slots[0]), 65_536);
        let mut buffer = Buffer::new(65_536, 70_000);
        for (slot, left) in [(slots[0], 40_000), (slots[1], TAIL_BYTES_ALWAYS)] {
            let bounds = Bounds { line_bytes_max: 65_536, tail_bytes_max: 65_536 };
            let tail = &mut all.get(slot).expect("it is there").tail;
            tail.take(&mut buffer, 60_000, bounds, &mut |_| unreachable!("no line is whole"));
            all.count_tail(slot);
            assert_eq!(all.tail_bytes_max(slots[2]), left);
        }
        assert_eq!(all.tail_bytes_max(slots[0]), 40_000, "its own do not count against it");
        all.remove(slots[0]);
        assert_eq!(all.tail_bytes_max(slots[2]), 40_000, "what went is free again");
    }
}
