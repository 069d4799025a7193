//! Label values as numbers, label sets as arrays of such numbers, and the cut of long values. Every
//! lookup takes a borrowed key, compares it as a whole, and does not allocate. The process-wide
//! table and each shard have separate copies.

use crate::encoding::{Fnv1a, is_deceptive};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// The number of `_other` in every label.
pub(super) const OTHER_ID: u32 = 0;

/// A map from a label value to its number.
#[derive(Default, Debug)]
pub(super) struct ValueMap {
    table: HashTable<(Arc<str>, u32)>,
    hasher: RandomState,
}

impl ValueMap {
    pub(super) fn find(&self, value: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(value);
        self.table.find(hash, |(known, _)| **known == *value).map(|(_, id)| *id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Adds a value; a known value keeps its number.
    pub(super) fn insert(&mut self, value: &Arc<str>, id: u32) {
        let hash = self.hasher.hash_one(&**value);
        if self.table.find(hash, |(known, _)| **known == **value).is_none() {
            let hasher = &self.hasher;
            self.table.insert_unique(hash, (Arc::clone(value), id), |(known, _)| {
                hasher.hash_one(&**known)
            });
        }
    }
}

/// A map from a label set, as numbers of values, to the first cell of its series.
#[derive(Debug)]
pub(super) struct SetMap {
    labels: usize,
    ids: Vec<u32>,
    cells: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl SetMap {
    /// Creates a map for sets of `labels` labels.
    pub(super) fn new(labels: usize) -> SetMap {
        SetMap {
            labels,
            ids: Vec::new(),
            cells: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::default(),
        }
    }

    fn row(&self, row: u32) -> &[u32] {
        &self.ids[row as usize * self.labels..][..self.labels]
    }

    pub(super) fn find(&self, ids: &[u32]) -> Option<u32> {
        let hash = self.hasher.hash_one(ids);
        let row = self.table.find(hash, |row| self.row(*row) == ids)?;
        Some(self.cells[*row as usize])
    }

    /// Adds a set; a known set keeps its cell.
    pub(super) fn insert(&mut self, ids: &[u32], cell: u32) {
        if self.find(ids).is_some() {
            return;
        }
        let row = self.cells.len() as u32;
        self.ids.extend_from_slice(ids);
        self.cells.push(cell);
        let (labels, all, hasher) = (self.labels, &self.ids, &self.hasher);
        self.table.insert_unique(hasher.hash_one(ids), row, |row| {
            hasher.hash_one(&all[*row as usize * labels..][..labels])
        });
    }

    /// Returns every set with its cell, in the order of insertion.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u32], u32)> {
        self.cells.iter().enumerate().map(|(row, cell)| (self.row(row as u32), *cell))
    }
}

/// Number of bytes of the mark at the end of a cut value: `~` and eight digits of a hash of the
/// whole value.
const CUT_MARK_BYTES: usize = 9;

/// Returns whether a page must not show a character as it is. A newline is safe, because both text
/// formats escape it.
fn is_unsafe(character: char) -> bool {
    character != '\n' && is_deceptive(character)
}

/// Returns whether [`cut`] replaces characters of the value.
pub(super) fn is_replaced(value: &str) -> bool {
    let is_plain = value.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    !is_plain && value.contains(is_unsafe)
}

/// Returns `value` as it may be a label. Replaces control characters and deceptive ones by U+FFFD.
/// Cuts a value of more than `bytes_max` bytes at a character and appends a hash of the
/// whole value, so that two long values remain two series. The result has at most `bytes_max`
/// bytes, but at least the mark. The hash is the same in every process, so that a restart does not
/// rename a series.
pub(super) fn cut<'a>(value: &'a str, bytes_max: usize, scratch: &'a mut String) -> &'a str {
    if value.len() <= bytes_max && !is_replaced(value) {
        return value;
    }
    scratch.clear();
    scratch
        .extend(value.chars().map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }));
    if scratch.len() <= bytes_max {
        return scratch;
    }
    let mut hash = Fnv1a::new();
    hash.write(scratch.as_bytes());
    let folded = (hash.finish() >> 32) as u32 ^ hash.finish() as u32;
    scratch.truncate(scratch.floor_char_boundary(bytes_max.saturating_sub(CUT_MARK_BYTES)));
    scratch.push('~');
    for digit in (0..8).rev() {
        let nibble = folded >> (4 * digit) & 15;
        scratch.push(char::from_digit(nibble, 16).expect("a nibble is a hexadecimal digit"));
    }
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/metrics` contained raw escape sequences that a line had put into a label.
    #[test]
    fn control_characters_are_replaced() {
        for (value, expected) in [
            ("a\u{1b}[31mb\u{0}\t\r", "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}"),
            ("c1 \u{85}\u{9b}, del \u{7f}", "c1 \u{fffd}\u{fffd}, del \u{fffd}"),
            ("\u{202e}turned\u{2066}\u{2028}\u{feff}", "\u{fffd}turned\u{fffd}\u{fffd}\u{fffd}"),
            ("\u{61c}1\u{2028}", "\u{fffd}1\u{fffd}"),
            ("caf\u{e9} \u{1f600}\n", "caf\u{e9} \u{1f600}\n"),
        ] {
            assert_eq!(cut(value, 128, &mut String::new()), expected);
            assert_eq!(is_replaced(value), value != expected);
        }
        let long = "\u{1b}".repeat(100);
        assert!(cut(&long, 128, &mut String::new()).len() <= 128);
    }

    #[test]
    fn values_are_cut_at_a_character_and_stay_apart() {
        let mut scratch = String::new();
        assert_eq!(cut("short", 5, &mut scratch), "short");
        let long = "\u{e9}".repeat(20);
        let one = cut(&long, 24, &mut scratch).to_owned();
        assert_eq!(one.len(), 23, "15 bytes are no character's end: 14, and the mark");
        assert!(one.starts_with(&"\u{e9}".repeat(7)) && one.as_bytes()[14] == b'~');
        let other = cut(&format!("{long}x"), 24, &mut scratch).to_owned();
        assert_eq!(one[..14], other[..14]);
        assert_ne!(one, other);
        assert_eq!(cut("0123456789", 0, &mut scratch).len(), CUT_MARK_BYTES);
        let a = cut("the same in every process, forever", 12, &mut scratch);
        assert_eq!(a, "the~5e474b98");
    }

    #[test]
    fn sets_of_no_label_are_one() {
        let mut sets = SetMap::new(0);
        assert_eq!(sets.find(&[]), None);
        sets.insert(&[], 7);
        sets.insert(&[], 8);
        assert_eq!(sets.find(&[]), Some(7));
        assert_eq!(sets.iter().count(), 1);
    }

    #[test]
    fn a_thousand_sets_are_found_by_full_comparison() {
        let (mut sets, mut values) = (SetMap::new(2), ValueMap::default());
        for n in 0..1000u32 {
            sets.insert(&[n, n % 7], n);
            values.insert(&n.to_string().into(), n);
            values.insert(&n.to_string().into(), 5000);
        }
        for n in 0..1000u32 {
            assert_eq!(sets.find(&[n, n % 7]), Some(n));
            assert_eq!(sets.find(&[n, n % 7 + 1]), None);
            assert_eq!(values.find(&n.to_string()), Some(n), "the first number stays");
        }
        assert_eq!(values.find("1000"), None);
    }
}
