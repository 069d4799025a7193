//! Route templates by hand: numbers, UUIDs and hashes become `{id}`, the query is cut.

/// The longest template that fits a key of the memo.
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

/// Whether a segment is an id, from the classes of its bytes.
#[inline]
fn is_id(segment: &[u8], classes: u8) -> bool {
    match classes {
        DIGIT => true,
        HEX | 3 => matches!(segment.len(), 32 | 40 | 64),
        DASH..=7 => {
            segment.len() == 36
                && [8, 13, 18, 23].iter().all(|at| segment[*at] == b'-')
                && segment.iter().filter(|byte| **byte == b'-').count() == 4
        }
        _ => false,
    }
}

/// Writes the template and says its length; None: it is longer than [`BYTES_MAX`].
#[inline]
pub(crate) fn template(
    path: &[u8],
    out: &mut [u8; BYTES_MAX + super::bytes::SLACK],
) -> Option<u32> {
    let mut to = 0;
    let mut start = 0;
    loop {
        let mut classes = 0;
        let mut end = start;
        let mut last = QUERY;
        while let Some(byte) = path.get(end) {
            let class = CLASS[*byte as usize];
            if class >= SLASH {
                last = class;
                break;
            }
            classes |= class;
            end += 1;
        }
        let segment = &path[start..end];
        let id = is_id(segment, classes);
        let written = if id { b"{id}" } else { segment };
        if to + written.len() + 1 > BYTES_MAX {
            return None;
        }
        out[to..to + written.len()].copy_from_slice(written);
        to += written.len();
        if last == QUERY {
            return Some(to as u32);
        }
        out[to] = b'/';
        to += 1;
        start = end + 1;
    }
}

/// The same for any length; for what is met for the first time.
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
