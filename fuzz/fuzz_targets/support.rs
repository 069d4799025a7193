//! What the targets that read single lines have in common.

use sidelight::decode::Memory;
use sidelight::record::field::FieldTable;
use std::fmt::Debug;

/// Reads the first lines of a text, each whole and cut off after up to `cut_max` bytes, with a new
/// memory and with one that has read all lines before. Panics if the results differ.
pub(crate) fn memory_changes_nothing<T: PartialEq + Debug>(
    text: &str,
    lines_max: usize,
    cut_max: usize,
    read: impl Fn(&str, &FieldTable, &mut Memory) -> T,
) {
    thread_local!(static WANTED: FieldTable = FieldTable::standard());
    WANTED.with(|wanted| {
        let mut trained = Memory::default();
        for line in text.split('\n').take(lines_max) {
            let cuts = (0..line.len().min(cut_max)).filter(|cut| line.is_char_boundary(*cut));
            let cuts = cuts.map(|cut| &line[..cut]);
            // the second time, the memory knows the line itself
            for part in [line, line].into_iter().chain(cuts) {
                let first = read(part, wanted, &mut Memory::default());
                assert_eq!(read(part, wanted, &mut trained), first, "{part:?}");
            }
        }
    });
}
