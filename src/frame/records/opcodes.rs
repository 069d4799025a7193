//! Walks over the opcodes of a pickle without reading their values, to tell a whole pickle from one
//! that is torn. Lengths of the arguments: CPython's `pickletools`. Unit: one pickle.

use memchr::memchr;

/// Returns the position behind the opcode STOP, or `None` if the bytes are no pickle or end before
/// it.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let opcode = *bytes.get(at)?;
        at += 1;
        match opcode {
            b'.' => return Some(at),
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'R'
            | b'a'
            | b'b'
            | b'd'
            | b'}'
            | b'e'
            | b'l'
            | b']'
            | b'o'
            | b's'
            | b't'
            | b')'
            | b'u'
            | b'Q'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x94
            | 0x97
            | 0x98 => {}
            b'K' | b'h' | b'q' | 0x80 | 0x82 => at += 1,
            b'M' | 0x83 => at += 2,
            b'J' | b'j' | b'r' | 0x84 => at += 4,
            b'G' | 0x95 => at += 8,
            b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => at = line(bytes, at)?,
            b'c' | b'i' => at = line(bytes, line(bytes, at)?)?,
            b'U' | b'C' | 0x8a | 0x8c => at = sized(bytes, at, 1)?,
            b'T' | b'X' | b'B' | 0x8b => at = sized(bytes, at, 4)?,
            0x8d | 0x8e | 0x96 => at = sized(bytes, at, 8)?,
            _ => return None,
        }
    }
}

/// Returns the position behind an argument that ends in a newline.
fn line(bytes: &[u8], at: usize) -> Option<usize> {
    memchr(b'\n', bytes.get(at..)?).map(|length| at + length + 1)
}

/// Returns the position behind an argument that has its length in front, in `width` bytes, the
/// least significant first.
fn sized(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let length = bytes.get(at..at + width)?;
    let length = length.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (at + width).checked_add(usize::try_from(length).ok()?).filter(|end| *end <= bytes.len())
}
