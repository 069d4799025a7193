//! Splits lines into columns. Unit: one line.

use crate::record::columns::COLUMNS_MAX;
use crate::record::field::FieldId;
use crate::record::slots::{SlotValue, Slots};
use memchr::memchr;

/// The longest method: `VERSION-CONTROL` has 15 letters.
const METHOD_BYTES_MAX: usize = 16;

/// Returns the positions of the columns between spaces, without their quotes.
pub(super) fn columns(bytes: &[u8], from: usize) -> ([(usize, usize); COLUMNS_MAX], usize) {
    let mut all = [(0, 0); COLUMNS_MAX];
    let (mut count, mut at) = (0, from);
    while count < COLUMNS_MAX && at < bytes.len() {
        if bytes[at] == b' ' {
            at += 1;
            continue;
        }
        let is_quoted = bytes[at] == b'"';
        let start = at + usize::from(is_quoted);
        let end = if is_quoted { b'"' } else { b' ' };
        let length = memchr(end, &bytes[start..]).unwrap_or(bytes.len() - start);
        all[count] = (start, start + length);
        count += 1;
        at = start + length + 1;
    }
    (all, count)
}

pub(super) fn put(slots: &mut Slots, field: FieldId, span: (usize, usize)) {
    slots.put(field, SlotValue::text(span.0, span.1));
}

pub(super) fn is_status(text: &[u8]) -> bool {
    matches!(text, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'])
}

/// Returns whether a word may be a method: upper-case letters.
pub(crate) fn is_method(word: &[u8]) -> bool {
    (1..=METHOD_BYTES_MAX).contains(&word.len())
        && word[0] != b'-'
        && word.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}
