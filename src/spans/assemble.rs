//! Joins pairs: a line that reports the start of work and a line that reports its end become one
//! span. An end is joined to the newest start of its key, so that nested work of the same name is
//! kept apart. Memory is bounded: the oldest start is dropped. Pure. Unit: one start.

use super::identify::Mix;
use crate::clock::UnixNanos;
use hashbrown::HashMap;
use opentelemetry::trace::TraceId;
use std::collections::VecDeque;
use std::time::Duration;

/// Maximum number of starts without an end. An application has far fewer in progress, and work that
/// never ends must not use up memory.
pub const STARTS_MAX: usize = 4_096;
/// How long a start waits for its end. Work that takes longer does not belong in a trace.
pub const AGE_MAX: Duration = Duration::from_mins(10);
/// Number of slots at which the slots of ended pairs are cleared.
const SLOTS_MAX: usize = 2 * STARTS_MAX;

/// A hash of what a start and its end have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key(u64);

impl Key {
    /// Hashes the connection, the logger, and the name of the work or an id that only this work
    /// has.
    pub fn new(source: u64, logger: &str, name: &str) -> Key {
        Key(Mix::of(TraceId::INVALID).word(source).text(logger).text(name).value())
    }
}

/// A start that was joined to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started<T = ()> {
    /// Time at which the work began, from the line.
    pub at: UnixNanos,
    /// What its line says about the work.
    pub work: T,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    key: Key,
    at: UnixNanos,
    work: T,
    observed: UnixNanos,
    /// Number of the previous start of the same key, which may have been dropped since.
    older: Option<u64>,
    /// Whether it still waits for its end.
    open: bool,
}

/// The open starts, each with what its line says about the work (`T`).
#[derive(Debug, Default)]
pub struct Pairs<T = ()> {
    /// Starts in the order of arrival; the first has number `first`.
    slots: VecDeque<Slot<T>>,
    first: u64,
    /// The number of the newest open start of each key.
    newest: HashMap<Key, u64, foldhash::fast::FixedState>,
    open: usize,
    /// Starts dropped since the last [`Pairs::take_dropped`].
    dropped: Dropped,
}

/// Numbers of starts dropped without their end, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Dropped {
    /// Too many starts were open, so the oldest was dropped.
    pub evicted: u64,
    /// Starts that had waited for [`AGE_MAX`].
    pub expired: u64,
}

impl<T: Copy + Default> Pairs<T> {
    /// Creates an empty set of open starts.
    pub fn new() -> Pairs<T> {
        Pairs::default()
    }

    /// Adds a start: the work began at `at`, and its line arrived at `observed`.
    pub fn started(&mut self, key: Key, at: UnixNanos, observed: UnixNanos, work: T) {
        if self.open == STARTS_MAX {
            self.drop_ended();
            self.drop_oldest();
            self.dropped.evicted += 1;
        } else if self.slots.len() == SLOTS_MAX {
            self.compact();
        }
        let number = self.first + self.slots.len() as u64;
        let older = self.newest.insert(key, number);
        self.slots.push_back(Slot { key, at, work, observed, older, open: true });
        self.open += 1;
    }

    /// Returns what the newest open start of a key says about the work.
    pub fn newest(&self, key: Key) -> Option<T> {
        let number = self.newest.get(&key)?;
        self.slots.get((number - self.first) as usize).map(|slot| slot.work)
    }

    /// Removes and returns the newest open start of work that has ended.
    pub fn ended(&mut self, key: Key) -> Option<Started<T>> {
        let number = self.newest.remove(&key)?;
        let index = (number - self.first) as usize;
        let slot = &mut self.slots[index];
        debug_assert!(slot.open && slot.key == key);
        slot.open = false;
        let (at, work) = (slot.at, slot.work);
        let older = slot.older.filter(|older| *older >= self.first);
        if let Some(older) = older {
            self.newest.insert(key, older);
        }
        self.open -= 1;
        self.drop_ended();
        Some(Started { at, work })
    }

    /// Drops starts that have waited too long.
    pub fn tick(&mut self, now: UnixNanos) {
        self.drop_ended();
        while self.slots.front().is_some_and(|slot| now.since(slot.observed) > AGE_MAX) {
            self.drop_oldest();
            self.dropped.expired += 1;
            self.drop_ended();
        }
    }

    /// Returns the numbers of starts dropped since the last call.
    pub fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }

    /// Returns the number of open starts.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Returns whether there are no open starts.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Removes ended slots from the front.
    fn drop_ended(&mut self) {
        while self.slots.front().is_some_and(|slot| !slot.open) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Drops the first slot, which is open: the oldest of all starts, and therefore of its key.
    fn drop_oldest(&mut self) {
        let Some(slot) = self.slots.pop_front() else { return };
        if self.newest.get(&slot.key) == Some(&self.first) {
            self.newest.remove(&slot.key);
        }
        self.first += 1;
        self.open -= 1;
    }

    /// Removes all ended slots. The cost is amortised over at least STARTS_MAX starts since the
    /// last call.
    fn compact(&mut self) {
        self.slots.retain(|slot| slot.open);
        self.newest.clear();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.older = self.newest.insert(slot.key, self.first + index as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: u8) -> Key {
        Key::new(1, "shop", &name.to_string())
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Start(u8),
        End(u8),
        Many(u8, u16),
        Pass(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..6u8).prop_map(Step::Start),
            4 => (0..6u8).prop_map(Step::End),
            1 => (0..6u8, 0..5_000u16).prop_map(|(name, count)| Step::Many(name, count)),
            1 => (0..700u16).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Guarantees: the pairs agree with a plain list that is searched from its end.
        #[test]
        fn property_equals_a_list(steps in prop::collection::vec(step(), 0..60)) {
            let mut pairs = Pairs::<()>::new();
            let mut list: Vec<(Key, UnixNanos)> = Vec::new();
            let mut now = UnixNanos(1_000_000_000_000);
            let (mut evicted, mut expired) = (0, 0);
            for step in steps {
                let (name, count) = match step {
                    Step::Start(name) => (name, 1),
                    Step::Many(name, count) => (name, count),
                    Step::End(name) => {
                        let at = list.iter().rposition(|(of, _)| *of == key(name));
                        let expected = at.map(|at| Started { at: list.remove(at).1, work: () });
                        prop_assert_eq!(pairs.ended(key(name)), expected);
                        continue;
                    }
                    Step::Pass(seconds) => {
                        now = now.after(SECOND * u32::from(seconds));
                        pairs.tick(now);
                        let before = list.len();
                        list.retain(|(_, at)| now.since(*at) <= AGE_MAX);
                        expired += (before - list.len()) as u64;
                        continue;
                    }
                };
                for _ in 0..count {
                    now = UnixNanos(now.0 + 1);
                    pairs.started(key(name), now, now, ());
                    if list.len() == STARTS_MAX {
                        list.remove(0);
                        evicted += 1;
                    }
                    list.push((key(name), now));
                }
                prop_assert_eq!(pairs.len(), list.len());
                prop_assert!(pairs.slots.len() <= SLOTS_MAX);
            }
            prop_assert_eq!(pairs.take_dropped(), Dropped { evicted, expired });
            prop_assert_eq!(pairs.take_dropped(), Dropped::default());
        }
    }

    /// Guarantees: ended pairs do not displace a long job among many short ones.
    #[test]
    fn ended_pairs_displace_no_open_start() {
        let mut pairs = Pairs::<()>::new();
        pairs.started(key(0), UnixNanos(7), UnixNanos(7), ());
        for at in 0..50_000 {
            pairs.started(key(1), UnixNanos(at), UnixNanos(at), ());
            assert_eq!(pairs.ended(key(1)), Some(Started { at: UnixNanos(at), work: () }));
        }
        assert_eq!(pairs.ended(key(0)), Some(Started { at: UnixNanos(7), work: () }));
        assert_eq!((pairs.take_dropped(), pairs.is_empty()), (Dropped::default(), true));
    }

    #[test]
    fn keys_distinguish_connections_loggers_and_names() {
        let one = Key::new(1, "shop", "f");
        assert_eq!(one, Key::new(1, "shop", "f"));
        for other in [Key::new(2, "shop", "f"), Key::new(1, "cart", "f"), Key::new(1, "shop", "g")]
        {
            assert_ne!(one, other);
        }
        assert_ne!(Key::new(1, "ab", "c"), Key::new(1, "a", "bc"));
    }
}
