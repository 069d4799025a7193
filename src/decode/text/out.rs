//! The destination of the parts of a text line.

use crate::record::field::FieldId;
use crate::record::slots::{Entry, Place, Slots};

/// The slots of the line that is being read.
#[derive(Debug)]
pub(super) struct Out<'a> {
    /// Receives the fields.
    pub(super) slots: &'a mut Slots,
    /// The text that positions refer to: the line, or its copy without colours.
    pub(super) place: Place,
}

impl Out<'_> {
    /// Writes a field between two positions.
    #[inline]
    pub(super) fn put(&mut self, field: FieldId, from: usize, to: usize) {
        self.slots.put(field, Entry { place: self.place, ..Entry::text(from, to) });
    }
}
