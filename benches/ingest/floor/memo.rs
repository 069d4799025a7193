//! Finds the series of all families from the raw bytes of all label fields, with one lookup per
//! line. A key is the bytes themselves, padded with zeros, and their lengths; it is compared as a
//! whole.

/// The label fields of a line: first status and lengths in one word, then the bytes of the others.
/// The path is last, in 4 words, and in 4 more if it is longer than 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key<const N: usize> {
    pub(crate) short: [u64; N],
    pub(crate) long: [u64; 4],
}

/// The cells that a line adds to. Cell 0 belongs to no series.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Effects {
    pub(crate) counter: u32,
    pub(crate) histogram: u32,
    pub(crate) log: u32,
}

#[derive(Clone, Debug)]
struct MemoSlot<const N: usize> {
    key: Key<N>,
    effects: Effects,
    used: bool,
}

/// When there are more entries, all are dropped: 16 k entries of 120 bytes are 2 MB, twice that
/// with half-filled slots.
const ENTRIES_MAX: usize = 16 * 1024;

/// A hash table with open addressing, at most half full.
#[derive(Debug)]
pub(crate) struct Memo<const N: usize> {
    slots: Vec<MemoSlot<N>>,
    used: usize,
    seed: u64,
}

impl<const N: usize> MemoSlot<N> {
    const EMPTY: MemoSlot<N> = MemoSlot {
        key: Key { short: [0; N], long: [0; 4] },
        effects: Effects { counter: 0, histogram: 0, log: 0 },
        used: false,
    };
}

const K: [u64; 10] = [
    0x243F_6A88_85A3_08D3,
    0x1319_8A2E_0370_7344,
    0xA409_3822_299F_31D0,
    0x082E_FA98_EC4E_6C89,
    0x4528_21E6_38D0_1377,
    0xBE54_66CF_34E9_0C6C,
    0xC0AC_29B7_C97C_50DD,
    0x3F84_D5B5_B547_0917,
    0x9216_D5D9_8979_FB1B,
    0xD131_0BA6_98DF_B5AC,
];

#[inline(always)]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl<const N: usize> Memo<N> {
    pub(crate) fn new() -> Memo<N> {
        use std::hash::BuildHasher as _;
        let seed = foldhash::fast::RandomState::default().hash_one(0);
        Memo { slots: vec![MemoSlot::EMPTY; 1_024], used: 0, seed }
    }

    #[inline(always)]
    fn hash(&self, key: &Key<N>) -> usize {
        let mut hash = 0;
        for (pair, salt) in key.short.chunks(2).zip(K.chunks_exact(2)) {
            let second = pair.get(1).copied().unwrap_or(0);
            hash ^= folded(pair[0] ^ salt[0] ^ self.seed, second ^ salt[1]);
        }
        if key.is_long() {
            let l = &key.long;
            hash ^= folded(l[0] ^ K[1], l[1] ^ K[0]) ^ folded(l[2] ^ K[3], l[3] ^ K[2]);
        }
        (hash ^ (hash >> 32)) as usize
    }

    #[inline(always)]
    pub(crate) fn get(&self, key: &Key<N>) -> Option<Effects> {
        let last = self.slots.len() - 1;
        let mut at = self.hash(key);
        loop {
            let entry = self.slots.get(at & last)?;
            if entry.key.is(key) && entry.used {
                return Some(entry.effects);
            }
            if !entry.used {
                return None;
            }
            at += 1;
        }
    }

    #[cold]
    pub(crate) fn put(&mut self, key: Key<N>, effects: Effects) {
        if self.used * 2 >= self.slots.len() {
            let old = if self.used >= ENTRIES_MAX {
                self.slots.fill(MemoSlot::EMPTY);
                Vec::new()
            } else {
                let more = vec![MemoSlot::EMPTY; self.slots.len() * 2];
                std::mem::replace(&mut self.slots, more)
            };
            self.used = 0;
            for entry in old.into_iter().filter(|entry| entry.used) {
                self.put(entry.key, entry.effects);
            }
        }
        let last = self.slots.len() - 1;
        let mut at = self.hash(&key);
        while self.slots[at & last].used {
            at += 1;
        }
        self.slots[at & last] = MemoSlot { key, effects, used: true };
        self.used += 1;
    }
}

impl<const N: usize> Key<N> {
    /// Whether the path has more than 32 bytes; `long` contains its last words.
    #[inline(always)]
    fn is_long(&self) -> bool {
        (self.short[0] >> 32) as u8 > 32
    }

    #[inline(always)]
    fn is(&self, other: &Key<N>) -> bool {
        let differ = self.short.iter().zip(&other.short).fold(0, |all, (a, b)| all | (a ^ b));
        differ == 0 && (!other.is_long() || self.long == other.long)
    }
}
