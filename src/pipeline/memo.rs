//! The joint memo: from the raw bytes of the fields that labels are made of to the series of all families
//! that these labels feed. One lookup a group of families, no hash of each label, no copy; what is not
//! remembered is worked out by the caller and put here. Bounded: at most `CELLS_MAX` cells, forgotten when full.

use super::plan::Group;
use crate::metrics::SeriesId;
use crate::record::Record;
use crate::record::slots::Place;
use std::hash::{BuildHasher, Hasher};

/// Words of eight bytes in a key; every field begins with a new word. Longer keys are not remembered.
const WORDS: usize = 8;

/// Fields of a key: their lengths share one word, a byte each.
pub(super) const INPUTS_MAX: usize = 8;

/// Series that a cell holds itself; a group with more keeps them in a list beside.
const INLINE: usize = 2;

/// A memo of 96-byte cells begins small, because most applications have a few dozen label sets...
const CELLS_FIRST: usize = 128;

/// ... and ends here: 1.5 MiB.
const CELLS_MAX: usize = 16 * 1024;

/// How far a key may lie from its place; more means that the table is too full.
const PROBES: usize = 8;

/// No series: the record is not one for this family.
pub(super) const NO_SERIES: SeriesId =
    SeriesId { family: crate::metrics::FamilyId(u16::MAX), index: u32::MAX };

/// The raw bytes of a group's fields in one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    words: [u64; WORDS],
    lengths: u64,
    used: usize,
}

impl Key {
    /// The key of a record; None where it does not fit. `path` stands in for the path that was asked for.
    #[inline]
    pub(super) fn of(group: &Group, record: &Record<'_>, path: Option<&str>) -> Option<Key> {
        let mut key = Key { words: [0; WORDS], lengths: 0, used: 0 };
        for (number, &input) in group.inputs.iter().enumerate() {
            let (text, from, length) = match path {
                Some(path) if input == crate::record::field::URL_PATH => (path, 0, path.len()),
                _ => {
                    let Some(entry) = record.entry(input) else { continue };
                    let whole = match entry.place {
                        Place::Line => record.line(),
                        Place::Scratch => record.scratch(),
                    };
                    (whole, entry.start as usize, entry.len as usize)
                }
            };
            if key.used + length.div_ceil(8) > WORDS {
                return None;
            }
            key.push(text.as_bytes(), from, length);
            key.lengths |= (length as u64) << (8 * number);
        }
        Some(key)
    }

    #[inline]
    fn push(&mut self, text: &[u8], from: usize, length: usize) {
        let mut at = 0;
        while at < length {
            self.words[self.used] = word(text, from + at, length - at);
            self.used += 1;
            at += 8;
        }
    }

    #[inline]
    fn hash(&self, group: u32, seed: u64) -> u64 {
        let mut state = seed ^ self.lengths ^ (u64::from(group) << 40);
        for &word in &self.words[..self.used] {
            state = fold(state ^ word);
        }
        fold(state)
    }
}

/// Up to eight bytes as a word, what lies behind them masked out.
#[inline]
fn word(text: &[u8], at: usize, length: usize) -> u64 {
    let bytes = match text.get(at..at + 8) {
        Some(bytes) => bytes.try_into().unwrap_or_default(),
        None => short(text, at),
    };
    let word = u64::from_le_bytes(bytes);
    if length >= 8 { word } else { word & ((1 << (8 * length)) - 1) }
}

#[cold]
fn short(text: &[u8], at: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    let rest = &text[at..];
    bytes[..rest.len()].copy_from_slice(rest);
    bytes
}

/// Multiplies by a constant of random bits and folds both halves: one step of what foldhash and wyhash do.
#[inline]
fn fold(word: u64) -> u64 {
    let wide = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[derive(Clone, Debug)]
struct Cell {
    words: [u64; WORDS],
    lengths: u64,
    /// 0: empty.
    group: u32,
    fact: u32,
    series: [SeriesId; INLINE],
}

const EMPTY: Cell =
    Cell { words: [0; WORDS], lengths: 0, group: 0, fact: 0, series: [NO_SERIES; INLINE] };

/// What was remembered of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// What the caller worked out beside the series: a severity, a status code.
    pub(super) fact: u32,
    /// The series, one a measure of the group.
    pub(super) series: &'a [SeriesId],
}

/// The memo of one data thread.
#[derive(Debug)]
pub(super) struct Memo {
    cells: Vec<Cell>,
    used: usize,
    seed: u64,
    spilled: Vec<SeriesId>,
}

impl Memo {
    pub(super) fn new() -> Memo {
        let seed = foldhash::fast::RandomState::default().build_hasher().finish();
        Memo { cells: vec![EMPTY; CELLS_FIRST], used: 0, seed, spilled: Vec::new() }
    }

    /// Forgets everything: the rules changed.
    pub(super) fn forget(&mut self) {
        self.cells.fill(EMPTY);
        self.used = 0;
        self.spilled.clear();
    }

    /// What is known of a key.
    #[inline]
    pub(super) fn find(&self, group: &Group, key: &Key) -> Option<Known<'_>> {
        let mask = self.cells.len() - 1;
        let mut at = key.hash(group.number, self.seed) as usize;
        for _ in 0..PROBES {
            let cell = &self.cells[at & mask];
            if cell.group == group.number && same(cell, key) {
                let series = if group.measures.len() <= INLINE {
                    &cell.series[..group.measures.len()]
                } else {
                    let from = cell.series[0].index as usize;
                    &self.spilled[from..from + group.measures.len()]
                };
                return Some(Known { fact: cell.fact, series });
            }
            if cell.group == 0 {
                return None;
            }
            at = at.wrapping_add(1);
        }
        None
    }

    /// Remembers a key that `find` did not know.
    pub(super) fn insert(&mut self, group: &Group, key: &Key, fact: u32, series: &[SeriesId]) {
        if self.used * 2 >= self.cells.len() {
            self.grow();
        }
        let mut held = [NO_SERIES; INLINE];
        if series.len() <= INLINE {
            held[..series.len()].copy_from_slice(series);
        } else {
            held[0].index = self.spilled.len() as u32;
            self.spilled.extend_from_slice(series);
        }
        let cell = Cell {
            words: key.words,
            lengths: key.lengths,
            group: group.number,
            fact,
            series: held,
        };
        if !self.place(key.hash(group.number, self.seed), cell) {
            self.grow();
        }
    }

    fn place(&mut self, hash: u64, cell: Cell) -> bool {
        let mask = self.cells.len() - 1;
        for step in 0..PROBES {
            let at = (hash as usize).wrapping_add(step) & mask;
            if self.cells[at].group == 0 {
                self.cells[at] = cell;
                self.used += 1;
                return true;
            }
        }
        false
    }

    /// Twice the cells, or, when there may be no more, none: what is in use comes back in a moment, and what
    /// was a flood of once-seen values does not.
    #[cold]
    fn grow(&mut self) {
        if self.cells.len() >= CELLS_MAX {
            self.forget();
            return;
        }
        let old = std::mem::take(&mut self.cells);
        self.cells = vec![EMPTY; old.len() * 4];
        self.used = 0;
        for cell in old.into_iter().filter(|cell| cell.group != 0) {
            let used = WORDS - cell.words.iter().rev().take_while(|word| **word == 0).count();
            // a key whose last bytes are zero hashes over more words than this: it is met again
            let key = Key { words: cell.words, lengths: cell.lengths, used };
            self.place(key.hash(cell.group, self.seed), cell);
        }
    }
}

#[inline]
fn same(cell: &Cell, key: &Key) -> bool {
    let mut different = cell.lengths ^ key.lengths;
    for (a, b) in cell.words.iter().zip(&key.words) {
        different |= a ^ b;
    }
    different == 0
}
