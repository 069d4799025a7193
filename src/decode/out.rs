//! The destination of the parts of a line that a reader finds by their position.

use crate::record::field::{FieldId, Unit};
use crate::record::slots::{Entry, Place, Slots};

/// The rank of what a message says about a request: worse than every key, even one in a wrapper,
/// so that `{"msg":"GET /a 200","status":503}` has the status 503.
const IN_MESSAGE: u8 = u8::MAX - 1;

/// The slots of the line that is being read.
#[derive(Debug)]
pub(super) struct Out<'a> {
    /// Receives the fields.
    pub(super) slots: &'a mut Slots,
    place: Place,
    rank: u8,
}

impl<'a> Out<'a> {
    /// Receives the parts of a line; positions refer to the text that `place` names.
    #[inline]
    pub(super) fn new(slots: &'a mut Slots, place: Place) -> Out<'a> {
        Out { slots, place, rank: 0 }
    }

    /// Receives the parts of the message: anything else that the line has for a field is better.
    #[inline]
    pub(super) fn of_message(&mut self) -> Out<'_> {
        Out { slots: self.slots, place: self.place, rank: IN_MESSAGE }
    }

    /// Writes a field between two positions.
    #[inline]
    pub(super) fn put(&mut self, field: FieldId, from: usize, to: usize) {
        self.slots.put(field, self.entry(from, to));
    }

    /// Writes a field in a unit that its text does not name.
    #[inline]
    pub(super) fn put_in(&mut self, unit: Unit, field: FieldId, from: usize, to: usize) {
        self.slots.put(field, Entry { unit, ..self.entry(from, to) });
    }

    fn entry(&self, from: usize, to: usize) -> Entry {
        Entry { place: self.place, rank: self.rank, ..Entry::text(from, to) }
    }
}
