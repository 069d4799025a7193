//! How long the time at the start of a line is; its value is read by `time` when somebody asks.
//! Unit: one line's beginning.

/// Which bytes of `2026-01-` and of `02 03:04` are digits; the others are separators.
const DATE_DIGITS: u64 = u64::from_le_bytes([255, 255, 255, 255, 0, 255, 255, 0]);
const TIME_DIGITS: u64 = u64::from_le_bytes([255, 255, 0, 255, 255, 0, 255, 255]);
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The length of a date with a time, or of a time of day, with fraction and zone; 0 where there is none.
#[inline]
pub(super) fn extent(bytes: &[u8]) -> usize {
    let Some(head) = bytes.first_chunk::<19>() else { return short(bytes) };
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
        short(bytes)
    }
}

/// Whether all bytes under the mask are digits.
#[inline]
fn all_digits(word: u64, mask: u64) -> bool {
    let low = (word ^ ZEROS) & mask;
    (low | low.wrapping_add(0x0606_0606_0606_0606 & mask)) & 0xf0f0_f0f0_f0f0_f0f0 == 0
}

/// `10:00:00`, `21/Nov/2026 10:00:00` and `01/02/2026 03:04:05 PM`.
#[cold]
fn short(bytes: &[u8]) -> usize {
    let is = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let clock_at = |at: usize| {
        [0, 1, 3, 4, 6, 7].iter().all(|offset| is(at + offset))
            && bytes[at + 2] == b':'
            && bytes[at + 5] == b':'
    };
    match bytes {
        [_, _, b':', ..] if clock_at(0) => behind_seconds(bytes, 8),
        [_, _, b'/', m, _, _, b'/', _, _, _, _, b' ' | b':', ..]
            if m.is_ascii_alphabetic() && is(0) && is(1) && is(7) && clock_at(12) =>
        {
            behind_seconds(bytes, 20)
        }
        [_, _, b'/', _, _, b'/', _, _, _, _, b' ', ..]
            if is(0) && is(3) && is(6) && clock_at(11) =>
        {
            match bytes[19..] {
                [b' ', b'A' | b'P', b'M', ..] => 22,
                _ => behind_seconds(bytes, 19),
            }
        }
        _ => 0,
    }
}

/// Takes in a fraction and a zone.
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
        // by far the most have none
        Some([b' ', b'-' | b'|' | b'[', b' ' | b'a'..=b'z' | b'A'..=b'Z', ..]) => end,
        Some(rest) => end + zone(rest),
        None => end,
    }
}

fn zone(rest: &[u8]) -> usize {
    let space = usize::from(rest.first() == Some(&b' '));
    let digits = |from: usize, to: usize| {
        rest.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let length = match &rest[space..] {
        [b'Z', ..] if space == 0 => 1,
        [b'U', b'T', b'C', ..] | [b'G', b'M', b'T', ..] if space == 1 => 3,
        [b'+' | b'-', _, _, b':', ..] if digits(space + 1, space + 3) => 6,
        [b'+' | b'-', ..] if digits(space + 1, space + 5) => 5,
        [b'+', ..] if space == 0 && digits(1, 3) => 3,
        _ => return 0,
    };
    let end = space + length;
    let goes_on = rest.get(end).is_some_and(u8::is_ascii_alphanumeric);
    if goes_on || end > rest.len() { 0 } else { end }
}
