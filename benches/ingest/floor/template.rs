//! Hand-written route templates: numbers, UUIDs and hashes become `{id}`; the query is removed.

use super::bytes::{HIGH, ONES, Span, load, non_digits, word};

/// Length of the longest template that fits a key of the memo.
pub(crate) const BYTES_MAX: usize = 64;

const DIGIT: u8 = 1;
const HEX: u8 = 2;
const DASH: u8 = 4;
const OTHER: u8 = 8;
const SLASH: u8 = 16;
const QUERY: u8 = 32;

static CLASS: [u8; 256] = {
    let mut class = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX,
            b'-' => DASH,
            b'/' => SLASH,
            b'?' => QUERY,
            _ => OTHER,
        };
        byte += 1;
    }
    class
};

/// Whether a segment is an id, judged by the classes of its bytes.
#[inline]
fn is_id(segment: &[u8], classes: u8) -> bool {
    match classes {
        DIGIT => true,
        HEX | 3 => matches!(segment.len(), 32 | 40 | 64),
        DASH..=7 => {
            let dash = |at| matches!(at, 8 | 13 | 18 | 23);
            segment.len() == 36
                && segment.iter().enumerate().all(|(at, byte)| dash(at) == (*byte == b'-'))
        }
        _ => false,
    }
}

/// Writes the template and returns its length, or None if it is longer than [`BYTES_MAX`].
#[inline]
pub(crate) fn template(
    buf: &[u8],
    path: Span,
    out: &mut [u8; BYTES_MAX + super::bytes::SLACK],
) -> Option<u32> {
    let end = path.at + path.len;
    let (mut to, mut start) = (0usize, path.at);
    loop {
        let stop = segment_end(buf, start, end);
        let len = stop - start;
        if to + len as usize > BYTES_MAX {
            return None;
        }
        if is_id_at(buf, start, len) {
            out[to..to + 4].copy_from_slice(b"{id}");
            to += 4;
        } else {
            // copies whole words: both buffers have enough space after the end
            let mut copied = 0;
            while copied < len {
                let eight: [u8; 8] = load(buf, start + copied);
                out[to + copied as usize..to + copied as usize + 8].copy_from_slice(&eight);
                copied += 8;
            }
            to += len as usize;
        }
        if stop == end || buf[stop as usize] == b'?' {
            return (to <= BYTES_MAX).then_some(to as u32);
        }
        out[to] = b'/';
        to += 1;
        start = stop + 1;
    }
}

/// Finds the first `/` or `?`, which differ in one bit, or the end of the path.
#[inline(always)]
fn segment_end(buf: &[u8], mut at: u32, end: u32) -> u32 {
    while at < end {
        let x = (word(buf, at) | (0x10 * ONES)) ^ (0x3F * ONES);
        let hits = x.wrapping_sub(ONES) & !x & HIGH;
        if hits != 0 {
            return (at + hits.trailing_zeros() / 8).min(end);
        }
        at += 8;
    }
    end
}

/// Most segments begin with a letter that no number or hash contains; most ids are short numbers.
#[inline(always)]
fn is_id_at(buf: &[u8], at: u32, len: u32) -> bool {
    if CLASS[buf[at as usize] as usize] & (DIGIT | HEX) == 0 || len == 0 {
        return false;
    }
    match len {
        1..=8 => non_digits(word(buf, at)).trailing_zeros() / 8 >= len,
        32 => load::<32>(buf, at).iter().fold(true, |all, byte| all & is_hex(*byte)),
        36 => {
            const SHAPE: &[u8; 36] = b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
            let bytes = load::<36>(buf, at);
            SHAPE.iter().zip(bytes).fold(true, |all, (shape, byte)| {
                all & if *shape == b'-' { byte == b'-' } else { is_hex(byte) }
            })
        }
        _ => {
            let segment = &buf[at as usize..(at + len) as usize];
            is_id(segment, segment.iter().fold(0, |all, byte| all | CLASS[*byte as usize]))
        }
    }
}

#[inline(always)]
fn is_hex(byte: u8) -> bool {
    (byte.wrapping_sub(b'0') <= 9) | ((byte | 0x20).wrapping_sub(b'a') <= 5)
}

/// The same for any length; used when a path occurs for the first time.
pub(crate) fn template_long(path: &[u8]) -> Vec<u8> {
    let path = path.split(|byte| *byte == b'?').next().unwrap_or(path);
    let mut out = Vec::new();
    for (number, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if number > 0 {
            out.push(b'/');
        }
        let classes = segment.iter().fold(0, |all, byte| all | CLASS[*byte as usize]);
        out.extend_from_slice(if is_id(segment, classes) { b"{id}" } else { segment });
    }
    out
}
