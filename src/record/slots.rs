//! Where the wanted fields of one line lie. A slot is a position, not a copy: writing one costs a store,
//! and a bit mask says which are there. Unit: one field of one line.

use super::field::{FieldId, Unit};

/// How many fields have a bit in the mask; the rest live in a list that is empty for nearly every line.
pub const MASKED_MAX: usize = 64;

/// What a value is. JSON `null` is an absent field and has no kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A string without its quotes, or a value of a format that has only text.
    Text,
    /// A JSON number, as it is written.
    Number,
    /// JSON `true`.
    True,
    /// JSON `false`.
    False,
    /// A JSON object or array, as it is written.
    Tree,
}

/// Which text an entry points into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Place {
    /// The line itself.
    Line,
    /// The scratch beside it, where escapes were undone.
    Scratch,
}

/// One value: a position and what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// First byte, from the start of the line or of the scratch.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
    /// What the value is.
    pub kind: Kind,
    /// Which text `start` counts in.
    pub place: Place,
    /// The unit that the key defines (`duration_ms`).
    pub unit: Unit,
    /// How good this key is for this field, 0 best; see [`Slots::put`].
    pub rank: u8,
}

impl Entry {
    /// Text of the line between two positions, of the best rank.
    #[inline]
    pub fn text(start: usize, end: usize) -> Entry {
        Entry {
            start: start as u32,
            len: (end - start) as u32,
            kind: Kind::Text,
            place: Place::Line,
            unit: Unit::None,
            rank: 0,
        }
    }
}

const EMPTY: Entry =
    Entry { start: 0, len: 0, kind: Kind::Text, place: Place::Line, unit: Unit::None, rank: 0 };

/// The slots of one line.
#[derive(Debug)]
pub struct Slots {
    /// The masked fields that are present, a bit each.
    pub present: u64,
    entries: [Entry; MASKED_MAX],
    extended: Vec<(FieldId, Entry)>,
}

impl Slots {
    /// All empty.
    pub fn new() -> Slots {
        Slots { present: 0, entries: [EMPTY; MASKED_MAX], extended: Vec::new() }
    }

    /// Empties all.
    #[inline]
    pub fn clear(&mut self) {
        self.present = 0;
        if !self.extended.is_empty() {
            self.extended.clear();
        }
    }

    /// Writes a field. Where two keys of one line mean the same field, the better rank stays; of two with
    /// the same rank, and so of duplicate keys, the last one stays.
    #[inline]
    pub fn put(&mut self, field: FieldId, entry: Entry) {
        let index = field.0 as usize;
        if index >= MASKED_MAX {
            return self.put_extended(field, entry);
        }
        let mut present = self.present;
        self.put_into(&mut present, field, entry);
        self.present = present;
    }

    /// The same for a field with a bit, for a walk that keeps the mask beside it.
    #[inline]
    pub(crate) fn put_into(&mut self, present: &mut u64, field: FieldId, entry: Entry) {
        debug_assert!((field.0 as usize) < MASKED_MAX, "a field with a bit");
        let index = field.0 as usize % MASKED_MAX;
        let bit = 1u64 << index;
        if *present & bit != 0 && self.entries[index].rank < entry.rank {
            return;
        }
        *present |= bit;
        self.entries[index] = entry;
    }

    /// Takes a field away: its last duplicate was null. A better key's value stays.
    #[cold]
    pub fn take(&mut self, field: FieldId, rank: u8) {
        let index = field.0 as usize;
        if index >= MASKED_MAX {
            self.extended.retain(|(of, entry)| *of != field || entry.rank < rank);
        } else if self.entries[index].rank >= rank {
            self.present &= !(1u64 << index);
        }
    }

    /// The entry of a field.
    #[inline]
    pub fn get(&self, field: FieldId) -> Option<&Entry> {
        let index = field.0 as usize;
        if index >= MASKED_MAX {
            return self.get_extended(field);
        }
        if self.present & (1u64 << index) == 0 {
            return None;
        }
        Some(&self.entries[index])
    }

    /// The entry of a field whose bit is set.
    #[inline]
    pub(crate) fn planned(&self, field: FieldId) -> &Entry {
        debug_assert!(self.present & field.bit() != 0, "a field that is there");
        &self.entries[field.0 as usize % MASKED_MAX]
    }

    /// The present fields without a bit of their own.
    #[inline]
    pub fn extended(&self) -> &[(FieldId, Entry)] {
        &self.extended
    }

    /// Moves every entry of the line: what was read was its end, from `offset` on.
    pub(crate) fn shift(&mut self, offset: usize) {
        let mut rest = self.present;
        while rest != 0 {
            let entry = &mut self.entries[rest.trailing_zeros() as usize];
            if entry.place == Place::Line {
                entry.start += offset as u32;
            }
            rest &= rest - 1;
        }
        for (_, entry) in self.extended.iter_mut().filter(|(_, e)| e.place == Place::Line) {
            entry.start += offset as u32;
        }
    }

    #[cold]
    fn put_extended(&mut self, field: FieldId, entry: Entry) {
        match self.extended.iter_mut().find(|(of, _)| *of == field) {
            Some((_, old)) if old.rank < entry.rank => {}
            Some((_, old)) => *old = entry,
            None => self.extended.push((field, entry)),
        }
    }

    #[cold]
    fn get_extended(&self, field: FieldId) -> Option<&Entry> {
        self.extended.iter().find(|(of, _)| *of == field).map(|(_, entry)| entry)
    }
}

impl Default for Slots {
    fn default() -> Self {
        Slots::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize, rank: u8) -> Entry {
        Entry { rank, ..Entry::text(start, start + 1) }
    }

    /// The same in the mask and in the list.
    #[test]
    fn the_better_rank_stays_and_of_equals_the_last() {
        for field in [FieldId(3), FieldId(900)] {
            let mut slots = Slots::new();
            assert_eq!(slots.get(field), None);
            slots.put(field, at(1, 4));
            slots.put(field, at(2, 4));
            assert_eq!(
                slots.get(field).map(|e| e.start),
                Some(2),
                "a duplicate key: the last wins"
            );
            slots.put(field, at(3, 5));
            assert_eq!(slots.get(field).map(|e| e.start), Some(2), "a worse key does not");
            slots.put(field, at(4, 0));
            assert_eq!(slots.get(field).map(|e| e.start), Some(4));
            slots.take(field, 4);
            assert_eq!(
                slots.get(field).map(|e| e.start),
                Some(4),
                "a worse key's null takes nothing"
            );
            slots.take(field, 0);
            assert_eq!(slots.get(field), None);
            slots.put(field, at(5, 0));
            slots.clear();
            assert_eq!(slots.get(field), None);
        }
    }
}
