//! Measures the length of a time in the header of a line; `time` parses its value only when it is
//! needed. Unit: one time.

use crate::decode::time::shape;

/// The bytes of `2026-01-` and of `02 03:04` that are digits; the others are separators.
const DATE_DIGITS: u64 = u64::from_le_bytes([255, 255, 255, 255, 0, 255, 255, 0]);
const TIME_DIGITS: u64 = u64::from_le_bytes([255, 255, 0, 255, 255, 0, 255, 255]);
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Returns the length of a time with fraction and zone; 0 if there is none.
#[inline]
pub(crate) fn extent(bytes: &[u8]) -> usize {
    let Some(head) = bytes.first_chunk::<19>() else { return other(bytes) };
    let mut date = [0; 8];
    let mut time = [0; 8];
    date.copy_from_slice(&head[..8]);
    time.copy_from_slice(&head[8..16]);
    let separated = (head[4] == b'-' || head[4] == b'/') && (head[7] == head[4]);
    let clock = (head[13] == b':') && (head[16] == b':') && matches!(head[10], b' ' | b'T' | b'_');
    if separated
        && clock
        && all_digits(u64::from_le_bytes(date), DATE_DIGITS)
        && all_digits(u64::from_le_bytes(time), TIME_DIGITS)
        && head[17].is_ascii_digit()
        && head[18].is_ascii_digit()
    {
        behind_seconds(bytes, 19)
    } else {
        other(bytes)
    }
}

/// Returns whether all bytes under the mask are digits.
#[inline]
fn all_digits(word: u64, mask: u64) -> bool {
    let low = (word ^ ZEROS) & mask;
    (low | low.wrapping_add(0x0606_0606_0606_0606 & mask)) & 0xf0f0_f0f0_f0f0_f0f0 == 0
}

/// Measures every form except the usual one.
fn other(bytes: &[u8]) -> usize {
    shape::read(bytes).map_or(0, |moment| moment.length)
}

/// Extends a time by its fraction and zone.
#[inline]
fn behind_seconds(bytes: &[u8], at: usize) -> usize {
    // `,123 - `, as Python's `logging` writes it
    if let Some([b',' | b'.', fraction @ .., b' ', b'-' | b'|', b' ']) = bytes.get(at..at + 7)
        && fraction.iter().all(u8::is_ascii_digit)
    {
        return at + 4;
    }
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = at;
    if let Some(b'.' | b',') = bytes.get(end) {
        let length = digits(end + 1);
        if length == 0 {
            return end;
        }
        end += 1 + length;
    }
    match bytes.get(end..) {
        // most lines have none
        Some(
            [b' ', b'-' | b'|' | b'[', b' ' | b'a'..=b'z' | b'A'..=b'Z', ..] | [b']', ..] | [],
        ) => end,
        Some([b'Z', next, ..]) if !next.is_ascii_alphanumeric() => end + 1,
        // a level: no zone of four letters ends like this
        Some([b' ', b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'S' | b'U'..=b'Z', ..]) => end,
        // anything else that may be a part of the time
        _ => other(bytes).max(end),
    }
}
