//! Pairs: a line that says that work started and the one that says that it ended become one span.
//! The newest start of a key ends first, so that nested work of one name is told apart. Memory is
//! bounded: the oldest start gives way. Pure. Unit: one start.

use super::identify::Mix;
use crate::clock::UnixNanos;
use hashbrown::HashMap;
use opentelemetry::trace::TraceId;
use std::collections::VecDeque;
use std::time::Duration;

/// Starts that wait for their end. What an application does at once is far less; what never ends
/// must not take memory.
pub const STARTS_MAX: usize = 4_096;
/// How long a start waits. Longer work is not what a trace is for.
pub const AGE_MAX: Duration = Duration::from_mins(10);
/// Slots of ended pairs are cleared away when there are this many slots.
const SLOTS_MAX: usize = 2 * STARTS_MAX;

/// What a start and its end have in common, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key(u64);

impl Key {
    /// The connection, the logger, and the name of the work or an id that only this piece of work has.
    pub fn new(source: u64, logger: &str, name: &str) -> Key {
        Key(Mix::of(TraceId::INVALID).word(source).text(logger).text(name).value())
    }
}

/// A start that was joined to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    /// When the work began, by the line's own time.
    pub at: UnixNanos,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    at: UnixNanos,
    observed: UnixNanos,
    /// The number of the start of the same key before this; it may be gone by now.
    older: Option<u64>,
    /// It waits for its end.
    open: bool,
}

/// The starts that wait.
#[derive(Debug, Default)]
pub struct Pairs {
    /// In the order of arrival; the first has number `first`.
    slots: VecDeque<Slot>,
    first: u64,
    /// The newest open start of a key, by number.
    newest: HashMap<Key, u64, foldhash::fast::FixedState>,
    open: usize,
    /// Starts that were dropped since [`Pairs::take_dropped`].
    dropped: Dropped,
}

/// Starts that were dropped without their end, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Dropped {
    /// Too many waited: the oldest gave way.
    pub evicted: u64,
    /// They had waited for [`AGE_MAX`].
    pub expired: u64,
}

impl Pairs {
    /// None.
    pub fn new() -> Pairs {
        Pairs::default()
    }

    /// Work began at `at`, as a line says that arrived at `observed`.
    pub fn started(&mut self, key: Key, at: UnixNanos, observed: UnixNanos) {
        if self.open == STARTS_MAX {
            self.drop_ended();
            self.drop_oldest();
            self.dropped.evicted += 1;
        } else if self.slots.len() == SLOTS_MAX {
            self.compact();
        }
        let number = self.first + self.slots.len() as u64;
        let older = self.newest.insert(key, number);
        self.slots.push_back(Slot { key, at, observed, older, open: true });
        self.open += 1;
    }

    /// Work ended: its newest start.
    pub fn ended(&mut self, key: Key) -> Option<Started> {
        let number = self.newest.remove(&key)?;
        let index = (number - self.first) as usize;
        let slot = &mut self.slots[index];
        debug_assert!(slot.open && slot.key == key);
        slot.open = false;
        let (at, older) = (slot.at, slot.older.filter(|older| *older >= self.first));
        if let Some(older) = older {
            self.newest.insert(key, older);
        }
        self.open -= 1;
        self.drop_ended();
        Some(Started { at })
    }

    /// Drops what has waited too long.
    pub fn tick(&mut self, now: UnixNanos) {
        self.drop_ended();
        while self.slots.front().is_some_and(|slot| now.since(slot.observed) > AGE_MAX) {
            self.drop_oldest();
            self.dropped.expired += 1;
            self.drop_ended();
        }
    }

    /// Returns what was dropped since the last call.
    pub fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Clears ended slots from the front.
    fn drop_ended(&mut self) {
        while self.slots.front().is_some_and(|slot| !slot.open) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Drops the first slot, which is open: the oldest start of all, and so of its key.
    fn drop_oldest(&mut self) {
        let Some(slot) = self.slots.pop_front() else { return };
        if self.newest.get(&slot.key) == Some(&self.first) {
            self.newest.remove(&slot.key);
        }
        self.first += 1;
        self.open -= 1;
    }

    /// Clears all ended slots; amortised over the STARTS_MAX starts, at least, that came since.
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
        /// Against a plain list that is searched from its end.
        #[test]
        fn property_equals_a_list(steps in prop::collection::vec(step(), 0..60)) {
            let mut pairs = Pairs::new();
            let mut list: Vec<(Key, UnixNanos)> = Vec::new();
            let mut now = UnixNanos(1_000_000_000_000);
            let (mut evicted, mut expired) = (0, 0);
            for step in steps {
                let (name, count) = match step {
                    Step::Start(name) => (name, 1),
                    Step::Many(name, count) => (name, count),
                    Step::End(name) => {
                        let at = list.iter().rposition(|(of, _)| *of == key(name));
                        let expected = at.map(|at| Started { at: list.remove(at).1 });
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
                    pairs.started(key(name), now, now);
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

    /// A long job among many short ones is not pushed out by pairs that have ended.
    #[test]
    fn ended_pairs_take_no_room() {
        let mut pairs = Pairs::new();
        pairs.started(key(0), UnixNanos(7), UnixNanos(7));
        for at in 0..50_000 {
            pairs.started(key(1), UnixNanos(at), UnixNanos(at));
            assert_eq!(pairs.ended(key(1)), Some(Started { at: UnixNanos(at) }));
        }
        assert_eq!(pairs.ended(key(0)), Some(Started { at: UnixNanos(7) }));
        assert_eq!((pairs.take_dropped(), pairs.is_empty()), (Dropped::default(), true));
    }

    #[test]
    fn keys_tell_connections_loggers_and_names_apart() {
        let one = Key::new(1, "shop", "f");
        assert_eq!(one, Key::new(1, "shop", "f"));
        for other in [Key::new(2, "shop", "f"), Key::new(1, "cart", "f"), Key::new(1, "shop", "g")]
        {
            assert_ne!(one, other);
        }
        assert_ne!(Key::new(1, "ab", "c"), Key::new(1, "a", "bc"));
    }
}
