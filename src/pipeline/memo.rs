//! Maps the raw bytes of the fields that labels are made of to the series of all families that
//! these labels feed. One lookup serves a group of families, without hashing each label and without
//! a copy. The caller resolves an unknown key and inserts it. Bounded: at most `CELLS_MAX` cells;
//! in a full neighbourhood, a new key replaces another.

use super::plan::{Group, INPUTS_MAX};
use crate::metrics::SeriesId;
use crate::record::Record;
use crate::record::field::URL_PATH;
use crate::record::severity::Severity;
use crate::record::slots::{ValueBuffer, ValueKind};
use crate::rules::action::Measure;
use std::hash::BuildHasher;

/// Words of eight bytes in a key; every field starts at a new word. Longer keys are not cached.
const WORDS: usize = 11;

const _: () = assert!(INPUTS_MAX <= 8, "the lengths of a key's fields share one word, a byte each");

/// The number of series that a cell stores inline; a group with more stores them in a separate
/// list. A request needs three: its level, its status, its duration.
const INLINE: usize = 4;

/// A memo of 128-byte cells starts small, because most applications have a few dozen label sets.
const CELLS_FIRST: usize = 128;

/// The largest number of cells: 2 MiB.
const CELLS_MAX: usize = 16 * 1024;

/// The most series stored for groups that do not fit into their cells; beyond this number, the memo
/// is cleared and all keys are resolved again.
const SPILLED_MAX: usize = 64 * 1024;

/// The largest distance of a key from its home slot; a greater one means that the table is too
/// full.
const PROBES: usize = 8;

/// Marks a measure without a series: the record does not count in its family.
const NO_SERIES: u32 = u32::MAX;

/// The raw bytes of a group's fields in one record. A memo has one key, which is filled again for
/// every record; the words after the used ones belong to older records.
#[derive(Debug)]
pub(super) struct Key {
    words: [u64; WORDS],
    used: usize,
    lengths: u64,
    hash: u64,
    seeds: [u64; WORDS],
}

impl Key {
    pub(super) fn new() -> Key {
        let random = foldhash::fast::RandomState::default();
        // Odd factors lose no bit of a word.
        let seeds = std::array::from_fn(|number| random.hash_one(number) | 1);
        Key { words: [0; WORDS], used: 0, lengths: 0, hash: 0, seeds }
    }

    /// Reads the key of a record. The plan guarantees that the record has all fields of the group.
    /// Returns false if the key does not fit.
    #[inline]
    pub(super) fn read(&mut self, group: &Group, record: &Record<'_>) -> bool {
        if group.inputs.len() > INPUTS_MAX {
            return false;
        }
        let line = record.line().as_bytes();
        let mut sum = Sum::new(group);
        for &input in &group.inputs {
            let entry = record.planned(input);
            if entry.buffer != ValueBuffer::Line {
                return self.read_any(group, record, None);
            }
            let Some(text) = line.get(entry.start as usize..) else { return false };
            if !self.push(&mut sum, text, entry.len as usize) {
                return false;
            }
            sum.lengths ^= kind_bit(entry.kind);
        }
        self.end(sum);
        true
    }

    /// Does the same for values with escapes, and for a template that replaces the requested path.
    #[inline(never)]
    pub(super) fn read_any(
        &mut self,
        group: &Group,
        record: &Record<'_>,
        template: Option<&str>,
    ) -> bool {
        if group.inputs.len() > INPUTS_MAX {
            return false;
        }
        let mut sum = Sum::new(group);
        for &input in &group.inputs {
            let entry = record.planned(input);
            let text = match template {
                Some(path) if input == URL_PATH => path,
                _ => record.slice(entry),
            };
            if !self.push(&mut sum, text.as_bytes(), text.len()) {
                return false;
            }
            sum.lengths ^= kind_bit(entry.kind);
        }
        self.end(sum);
        true
    }

    /// Reads a key that consists of one text; returns false if it does not fit.
    #[inline]
    pub(super) fn take(&mut self, group: &Group, text: &str) -> bool {
        let mut sum = Sum::new(group);
        let fits = self.push(&mut sum, text.as_bytes(), text.len());
        self.end(sum);
        fits
    }

    /// Appends the next field: `length` bytes of `text`, which may continue after them. A long
    /// field ends with a word that overlaps the one before, so that only a short field needs a
    /// mask.
    #[inline]
    fn push(&mut self, sum: &mut Sum, text: &[u8], length: usize) -> bool {
        sum.lengths = sum.lengths << 8 | length as u64;
        if length <= 8 {
            return self.word(sum, first_word(text) & FIRST[length]);
        }
        let Some(mut text) = text.get(..length) else { return false };
        let Some(last) = text.last_chunk::<8>() else { return false };
        while let Some((word, rest)) = text.split_first_chunk::<8>()
            && !rest.is_empty()
        {
            if !self.word(sum, u64::from_le_bytes(*word)) {
                return false;
            }
            text = rest;
        }
        self.word(sum, u64::from_le_bytes(*last))
    }

    /// Adds a word to the sum. Every word has a separate factor, so that no multiplication waits
    /// for the one before it.
    #[inline]
    fn word(&mut self, sum: &mut Sum, word: u64) -> bool {
        let places = (self.words.get_mut(sum.used), self.seeds.get(sum.used));
        let (Some(place), Some(seed)) = places else { return false };
        *place = word;
        sum.hash = sum.hash.wrapping_add(word.wrapping_mul(*seed));
        sum.used += 1;
        true
    }

    #[inline]
    fn end(&mut self, sum: Sum) {
        self.used = sum.used;
        self.lengths = sum.lengths;
        self.hash = fold(sum.hash ^ sum.lengths.wrapping_mul(self.seeds[0]));
    }

    fn words(&self) -> &[u64] {
        self.words.get(..self.used).unwrap_or_default()
    }
}

/// Distinguishes `true` from `"true"`, which can be a label value. The bit is free because no key
/// has a field of 128 bytes.
#[inline]
fn kind_bit(kind: ValueKind) -> u64 {
    u64::from(matches!(kind, ValueKind::True | ValueKind::False | ValueKind::Tree)) << 7
}

/// The running sum while a key is read. It is separate from the key, because a sum in memory would
/// wait for its own stores.
#[derive(Clone, Copy, Debug)]
struct Sum {
    used: usize,
    lengths: u64,
    hash: u64,
}

impl Sum {
    #[inline]
    fn new(group: &Group) -> Sum {
        Sum { used: 0, lengths: 0, hash: u64::from(group.number) }
    }
}

/// `FIRST[n]` keeps the first `n` bytes of a word.
const FIRST: [u64; 9] = {
    let mut masks = [u64::MAX; 9];
    let mut bytes = 0;
    while bytes < 8 {
        masks[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    masks
};

/// Returns the first eight bytes as a word, padded with zeros.
#[inline]
fn first_word(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => short(text),
    }
}

#[cold]
fn short(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..text.len()].copy_from_slice(text);
    u64::from_le_bytes(bytes)
}

/// Multiplies by a constant of random bits and folds both halves: one step of the hash functions
/// foldhash and wyhash.
#[inline]
fn fold(word: u64) -> u64 {
    let wide = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[derive(Clone, Debug)]
struct Cell {
    words: [u64; WORDS],
    lengths: u64,
    hash: u64,
    /// The number of the group; 0 marks an empty cell.
    group: u32,
    fact: u32,
    /// The numbers of the series in the families of the group's measures.
    series: [u32; INLINE],
}

const EMPTY: Cell =
    Cell { words: [0; WORDS], lengths: 0, hash: 0, group: 0, fact: 0, series: [NO_SERIES; INLINE] };

/// The cached result for a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// The word of the [`Facts`].
    fact: u32,
    series: &'a [u32],
}

impl Known<'_> {
    /// Returns what else the memo stores with the key.
    #[inline]
    pub(super) fn facts(&self) -> Facts {
        Facts::from_word(self.fact)
    }

    /// Returns true if the key may have to be resolved again.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.fact >> 24 != 0
    }

    /// Returns the measures of the group in which the record counts, with their series.
    #[inline]
    pub(super) fn measured<'a>(
        &'a self,
        group: &'a Group,
    ) -> impl Iterator<Item = (&'a Measure, SeriesId)> {
        let all = group.measures.iter().zip(self.series);
        let there = all.filter(|(_, index)| **index != NO_SERIES);
        there.map(|(measure, &index)| (measure, SeriesId { family: measure.family, index }))
    }
}

/// The severity of the records of a key, and the status code if they are requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) severity: Severity,
    /// The status code; 0 if the record is no request.
    pub(super) status_code: u16,
    /// What may still change: a value that is held back, or a histogram without a value so far.
    pub(super) pending: Pending,
}

/// Why a cached key may have to be resolved again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Pending {
    /// A label is `_unmatched` until its value is admitted.
    pub(super) is_held_back: bool,
    /// The key has no series for the duration, because none of its records had a duration so far.
    pub(super) lacks_duration: bool,
}

impl Facts {
    /// Those of a key that is no record's, such as a function's name.
    pub(super) const NONE: Facts = Facts {
        severity: Severity::UNSPECIFIED,
        status_code: 0,
        pending: Pending { is_held_back: false, lacks_duration: false },
    };

    #[inline]
    fn from_word(word: u32) -> Facts {
        let pending =
            Pending { is_held_back: word & 1 << 24 != 0, lacks_duration: word & 1 << 25 != 0 };
        Facts { severity: Severity(word as u8), status_code: (word >> 8) as u16, pending }
    }

    fn word(self) -> u32 {
        u32::from(self.severity.0)
            | u32::from(self.status_code) << 8
            | u32::from(self.pending.is_held_back) << 24
            | u32::from(self.pending.lacks_duration) << 25
    }
}

/// The memo of one data thread.
#[derive(Debug)]
pub(super) struct Memo {
    cells: Vec<Cell>,
    used: usize,
    spilled: Vec<u32>,
}

impl Memo {
    pub(super) fn new() -> Memo {
        Memo { cells: vec![EMPTY; CELLS_FIRST], used: 0, spilled: Vec::new() }
    }

    /// Clears the memo after the rules have changed.
    pub(super) fn forget(&mut self) {
        self.cells.fill(EMPTY);
        self.used = 0;
        self.spilled.clear();
    }

    /// Returns the number of cached keys.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.used
    }

    /// Looks up a key.
    #[inline]
    pub(super) fn find(&self, group: &Group, key: &Key) -> Option<Known<'_>> {
        let mask = self.cells.len() - 1;
        for step in 0..PROBES {
            let cell = self.cells.get((key.hash as usize).wrapping_add(step) & mask)?;
            if cell.hash == key.hash && cell.group == group.number && same(cell, key) {
                return self.known(group, cell);
            }
            if cell.group == 0 {
                return None;
            }
        }
        None
    }

    #[inline]
    fn known<'a>(&'a self, group: &Group, cell: &'a Cell) -> Option<Known<'a>> {
        let count = group.measures.len();
        let series = if count <= INLINE {
            cell.series.get(..count)?
        } else {
            self.spilled.get(cell.series[0] as usize..)?.get(..count)?
        };
        Some(Known { fact: cell.fact, series })
    }

    /// Inserts a key that `find` did not know.
    pub(super) fn insert(
        &mut self,
        group: &Group,
        key: &Key,
        facts: Facts,
        series: &[Option<SeriesId>],
    ) {
        debug_assert_eq!(series.len(), group.measures.len(), "a series for each measure, or none");
        debug_assert_ne!(group.number, 0, "0 marks an empty cell");
        if self.spilled.len() > SPILLED_MAX {
            self.forget();
        }
        if self.used * 2 >= self.cells.len() && self.cells.len() < CELLS_MAX {
            self.grow();
        }
        let mut held = [NO_SERIES; INLINE];
        let indices = series.iter().map(|series| series.map_or(NO_SERIES, |series| series.index));
        if series.len() <= INLINE {
            held.iter_mut().zip(indices).for_each(|(held, index)| *held = index);
        } else {
            held[0] = self.spilled.len() as u32;
            self.spilled.extend(indices);
        }
        let cell = Cell {
            words: key.words,
            lengths: key.lengths,
            hash: key.hash,
            group: group.number,
            fact: facts.word(),
            series: held,
        };
        // A key that was resolved again reuses its cell.
        let mask = self.cells.len() - 1;
        let known = (0..PROBES)
            .map(|step| (cell.hash as usize).wrapping_add(step) & mask)
            .find(|at| self.cells[*at].group == group.number && same(&self.cells[*at], key));
        if let Some(at) = known {
            self.cells[at] = cell;
        } else if !self.place(&cell) {
            // The neighbourhood is full: the newest key replaces another, because it is likelier to
            // recur.
            let first = cell.hash as usize & (self.cells.len() - 1);
            self.cells[first] = cell;
        }
        debug_assert!(self.used <= self.cells.len() && self.cells.len().is_power_of_two());
    }

    fn place(&mut self, cell: &Cell) -> bool {
        let mask = self.cells.len() - 1;
        for step in 0..PROBES {
            let at = (cell.hash as usize).wrapping_add(step) & mask;
            if self.cells[at].group == 0 {
                self.cells[at] = cell.clone();
                self.used += 1;
                return true;
            }
        }
        false
    }

    /// Grows the table.
    #[cold]
    fn grow(&mut self) {
        let cells = (self.cells.len() * 4).min(CELLS_MAX);
        let old = std::mem::replace(&mut self.cells, vec![EMPTY; cells]);
        self.used = 0;
        for cell in old.into_iter().filter(|cell| cell.group != 0) {
            self.place(&cell);
        }
    }
}

/// Compares a cell with a key word by word, because a wider load would wait for the stores of the
/// key.
#[inline]
fn same(cell: &Cell, key: &Key) -> bool {
    cell.lengths == key.lengths && key.words().iter().zip(&cell.words).all(|(a, b)| a == b)
}
