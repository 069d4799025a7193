//! Where the parts of a text line are written to.

use crate::record::field::FieldId;
use crate::record::slots::{Entry, Slots};

/// The slots of the line that is being read.
#[derive(Debug)]
pub(super) struct Out<'a> {
    /// Where fields go.
    pub(super) slots: &'a mut Slots,
}

impl Out<'_> {
    /// Writes a field that lies between two positions.
    #[inline]
    pub(super) fn put(&mut self, field: FieldId, from: usize, to: usize) {
        self.slots.put(field, Entry::text(from, to));
    }
}
