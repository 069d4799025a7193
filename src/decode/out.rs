//! The destination of the parts of a line that a reader finds by their position.

use crate::record::field::{FieldId, Unit};
use crate::record::slots::{SlotValue, Slots, ValueBuffer};

/// The rank of what a message says about a request: worse than every key, even one in a wrapper,
/// so that `{"msg":"GET /a 200","status":503}` has the status 503.
const IN_MESSAGE: u8 = u8::MAX - 1;

/// The slots of the line that is being read.
#[derive(Debug)]
pub(super) struct Out<'a> {
    /// Receives the fields.
    pub(super) slots: &'a mut Slots,
    buffer: ValueBuffer,
    rank: u8,
}

impl<'a> Out<'a> {
    /// Receives the parts of a line; positions refer to the text that `buffer` names.
    #[inline]
    pub(super) fn new(slots: &'a mut Slots, buffer: ValueBuffer) -> Out<'a> {
        Out { slots, buffer, rank: 0 }
    }

    /// Receives the parts of the message: anything else that the line has for a field is better.
    #[inline]
    pub(super) fn of_message(&mut self) -> Out<'_> {
        Out { slots: self.slots, buffer: self.buffer, rank: IN_MESSAGE }
    }

    /// Writes a field between two positions.
    #[inline]
    pub(super) fn put(&mut self, field: FieldId, from: usize, to: usize) {
        self.slots.put(field, self.entry(from, to));
    }

    /// Writes a field in a unit that its text does not name.
    #[inline]
    pub(super) fn put_in(&mut self, unit: Unit, field: FieldId, from: usize, to: usize) {
        self.slots.put(field, SlotValue { unit, ..self.entry(from, to) });
    }

    fn entry(&self, from: usize, to: usize) -> SlotValue {
        SlotValue { buffer: self.buffer, rank: self.rank, ..SlotValue::text(from, to) }
    }
}
