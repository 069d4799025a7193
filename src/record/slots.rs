//! The positions of the wanted fields of one line. A slot is a position, not a copy: writing one
//! costs a store, and a bit mask says which fields are present. Unit: one field of one line.

use super::field::{EXCEPTION_STACKTRACE, FIRST_OWN, FRAMEWORK, FieldId, TRACE_FLAGS, Unit};

/// How many fields have a bit in the mask; the others are kept in a list that is empty for nearly
/// every line.
pub const MASKED_MAX: usize = 64;

/// The kind of a value. JSON `null` is an absent field and has no kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ValueKind {
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

/// Returns whether a field accepts a value of this kind. JSON `true` and `false` are neither text
/// nor numbers; an object or array is accepted only as the frames of a stack.
#[inline]
pub fn takes(field: FieldId, kind: ValueKind) -> bool {
    match kind {
        ValueKind::Text | ValueKind::Number => true,
        ValueKind::True | ValueKind::False => {
            field == TRACE_FLAGS || field == FRAMEWORK || field.0 >= FIRST_OWN
        }
        ValueKind::Tree => {
            matches!(field, EXCEPTION_STACKTRACE | FRAMEWORK) || field.0 >= FIRST_OWN
        }
    }
}

/// The text that the position of an entry refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ValueBuffer {
    /// The line itself.
    Line,
    /// The scratch buffer, which holds unescaped text.
    Scratch,
}

/// A value: its position and its properties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotValue {
    /// Offset of the first byte, in the line or in the scratch buffer.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
    /// What the value is.
    pub kind: ValueKind,
    /// The text that `start` refers to.
    pub buffer: ValueBuffer,
    /// The unit that the key defines (`duration_ms`).
    pub unit: Unit,
    /// The rank of the key for this field; 0 is best. See [`Slots::put`].
    pub rank: u8,
}

impl SlotValue {
    /// Creates an entry for text of the line between two positions, with the best rank.
    #[inline]
    pub fn text(start: usize, end: usize) -> SlotValue {
        SlotValue {
            start: start as u32,
            len: (end - start) as u32,
            kind: ValueKind::Text,
            buffer: ValueBuffer::Line,
            unit: Unit::None,
            rank: 0,
        }
    }
}

const EMPTY: SlotValue = SlotValue {
    start: 0,
    len: 0,
    kind: ValueKind::Text,
    buffer: ValueBuffer::Line,
    unit: Unit::None,
    rank: 0,
};

/// Limit of the values kept beside the best one of each field; a line with more keys for a field
/// loses the rest.
const OTHERS_MAX: usize = 12;

/// The positions of the fields of one line.
#[derive(Debug)]
pub struct Slots {
    /// One bit for each masked field that is present.
    pub present: u64,
    entries: [SlotValue; MASKED_MAX],
    extended: Vec<(FieldId, SlotValue)>,
    /// Values of keys with a worse rank, in no order: one of them is used if the best one is
    /// unreadable.
    others: [(FieldId, SlotValue); OTHERS_MAX],
    others_count: usize,
}

impl Slots {
    /// Creates empty slots.
    pub fn new() -> Slots {
        Slots {
            present: 0,
            entries: [EMPTY; MASKED_MAX],
            extended: Vec::new(),
            others: [(FieldId::NONE, EMPTY); OTHERS_MAX],
            others_count: 0,
        }
    }

    /// Empties all slots.
    #[inline]
    pub fn clear(&mut self) {
        self.present = 0;
        self.others_count = 0;
        if !self.extended.is_empty() {
            self.extended.clear();
        }
    }

    /// Writes a field. If two keys of one line mean the same field, the better rank is kept; of two
    /// with the same rank, and therefore of duplicate keys, the last one is kept.
    #[inline]
    pub fn put(&mut self, field: FieldId, entry: SlotValue) {
        let index = field.0 as usize;
        if index >= MASKED_MAX {
            return self.put_extended(field, entry);
        }
        let mut present = self.present;
        self.put_into(&mut present, field, entry);
        self.present = present;
    }

    /// Writes a field with a bit, for a walk that keeps the mask in a variable.
    #[inline]
    pub(crate) fn put_into(&mut self, present: &mut u64, field: FieldId, entry: SlotValue) {
        debug_assert!((field.0 as usize) < MASKED_MAX, "a field with a bit");
        let index = field.0 as usize % MASKED_MAX;
        let bit = 1u64 << index;
        if *present & bit != 0 {
            return self.put_again(field, entry);
        }
        *present |= bit;
        self.entries[index] = entry;
    }

    /// Adds a second value of a field: the better one stays in the slot, the worse one goes to the
    /// other values.
    #[cold]
    #[inline(never)]
    fn put_again(&mut self, field: FieldId, entry: SlotValue) {
        let index = field.0 as usize % MASKED_MAX;
        let old = self.entries[index];
        if old.rank == entry.rank {
            self.entries[index] = entry;
            return;
        }
        let worse = if entry.rank < old.rank {
            self.entries[index] = entry;
            old
        } else {
            entry
        };
        let known = self.others[..self.others_count]
            .iter()
            .position(|(of, other)| *of == field && other.rank == worse.rank);
        let at = known.unwrap_or(self.others_count);
        if let Some(place) = self.others.get_mut(at) {
            *place = (field, worse);
            self.others_count = self.others_count.max(at + 1);
        }
    }

    /// Returns the values that are not in the slots: those of worse keys, and unreadable ones.
    pub fn others(&self) -> &[(FieldId, SlotValue)] {
        &self.others[..self.others_count]
    }

    /// Moves the best value of a masked field that `is_readable` accepts into its slot. If it
    /// accepts none, the field is absent. The rejected values stay in [`Slots::others`].
    #[cold]
    pub(crate) fn choose(
        &mut self,
        field: FieldId,
        mut is_readable: impl FnMut(&mut SlotValue) -> bool,
    ) {
        let index = field.0 as usize % MASKED_MAX;
        if self.present & field.bit() == 0 || is_readable(&mut self.entries[index]) {
            return;
        }
        let mut refused = self.entries[index].rank;
        loop {
            let others = self.others[..self.others_count].iter_mut();
            let next = others
                .filter(|(of, entry)| *of == field && entry.rank > refused)
                .min_by_key(|(_, entry)| entry.rank);
            let Some((_, next)) = next else { break };
            refused = next.rank;
            if is_readable(next) {
                std::mem::swap(next, &mut self.entries[index]);
                return;
            }
        }
        self.present &= !field.bit();
        if let Some(place) = self.others.get_mut(self.others_count) {
            *place = (field, self.entries[index]);
            self.others_count += 1;
        }
    }

    /// Returns the entry of a field.
    #[inline]
    pub fn get(&self, field: FieldId) -> Option<&SlotValue> {
        let index = field.0 as usize;
        if index >= MASKED_MAX {
            return self.get_extended(field);
        }
        if self.present & (1u64 << index) == 0 {
            return None;
        }
        Some(&self.entries[index])
    }

    /// Returns the entry of a field that is known to have its bit set.
    #[inline]
    pub(crate) fn planned(&self, field: FieldId) -> &SlotValue {
        debug_assert!(self.present & field.bit() != 0, "a field that is there");
        &self.entries[field.0 as usize % MASKED_MAX]
    }

    /// Returns the present fields that have no bit.
    #[inline]
    pub fn extended(&self) -> &[(FieldId, SlotValue)] {
        &self.extended
    }

    /// Moves every entry of the line by `offset`, because only the end of the line was decoded.
    pub(crate) fn shift(&mut self, offset: usize) {
        let entries = self.entries.iter_mut().enumerate();
        let present = self.present;
        let own = entries.filter(|(index, _)| present & (1 << index) != 0).map(|(_, entry)| entry);
        let others = self.others[..self.others_count].iter_mut().map(|(_, entry)| entry);
        let extended = self.extended.iter_mut().map(|(_, entry)| entry);
        for entry in own.chain(others).chain(extended).filter(|e| e.buffer == ValueBuffer::Line) {
            entry.start += offset as u32;
        }
    }

    #[cold]
    fn put_extended(&mut self, field: FieldId, entry: SlotValue) {
        match self.extended.iter_mut().find(|(of, _)| *of == field) {
            Some((_, old)) if old.rank < entry.rank => {}
            Some((_, old)) => *old = entry,
            None => self.extended.push((field, entry)),
        }
    }

    #[cold]
    fn get_extended(&self, field: FieldId) -> Option<&SlotValue> {
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

    fn at(start: usize, rank: u8) -> SlotValue {
        SlotValue { rank, ..SlotValue::text(start, start + 1) }
    }

    /// The better rank wins, and of equal ranks the last value, in the mask and in the list.
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
            slots.clear();
            assert_eq!(slots.get(field), None);
        }
    }

    /// If the best value is unreadable, the next best is used, in whatever order they came.
    #[test]
    fn an_unreadable_value_hides_no_other() {
        let field = FieldId(3);
        let three = [(1, 4), (2, 0), (3, 2)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for (readable, expected) in
                [(&[2, 3][..], Some(2)), (&[1, 3], Some(3)), (&[1], Some(1)), (&[], None)]
            {
                let mut slots = Slots::new();
                for number in order {
                    let (start, rank) = three[number];
                    slots.put(field, at(start, rank));
                }
                slots.choose(field, |entry| readable.contains(&entry.start));
                assert_eq!(slots.get(field).map(|e| e.start), expected, "{order:?} {readable:?}");
                let mut kept: Vec<_> = slots.others().iter().map(|(_, e)| e.start).collect();
                kept.sort_unstable();
                let rest = [1, 2, 3].into_iter().filter(|start| Some(*start) != expected);
                assert_eq!(kept, rest.collect::<Vec<_>>());
            }
        }
    }

    /// If there are more values than fit, the worse ones are lost; of duplicates the last one is
    /// kept.
    #[test]
    fn others_are_bounded() {
        let mut slots = Slots::new();
        for rank in (0..40).rev() {
            slots.put(FieldId(3), at(100 + rank as usize, rank));
            slots.put(FieldId(3), at(rank as usize, rank));
        }
        assert_eq!(slots.others().len(), OTHERS_MAX);
        assert_eq!(slots.get(FieldId(3)).map(|e| e.start), Some(0));
        assert!(slots.others().iter().all(|(_, entry)| entry.start == u32::from(entry.rank)));
        slots.clear();
        assert!(slots.others().is_empty());
    }
}
