//! Finds the end of the next record in a stream whose records do not end in a newline. Pure: a
//! function of the bytes from the start of a record. Unit: one record.

mod opcodes;

use memchr::{memchr, memmem};

/// The most bytes in front of a record: an octet count with its space.
pub const HEADER_BYTES_MAX: usize = OCTET_DIGITS_MAX + 1;

/// The bytes that tell a pickle from text: the length, the protocol and an opcode.
const PICKLE_HEADER: usize = 6;

/// A pickled record begins with its attribute `name`, within this many bytes.
const PICKLE_NAME_WITHIN: usize = 32;

/// The most digits of an octet count (RFC 6587 section 3.4.1 sets no limit).
const OCTET_DIGITS_MAX: usize = 7;

/// How a stream is split into records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Each record ends in NUL.
    Nul,
    /// Each record has its length in front, in decimal digits with a space (RFC 6587).
    Octets,
    /// Each record has its length in front, as four bytes, the most significant first, and is a
    /// pickle.
    Pickle,
}

/// What the bytes from the start of a record contain. All positions count from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// A whole record at `start..end`; the next one starts at `next`.
    Record {
        /// Where its bytes start, behind a length.
        start: usize,
        /// Where its bytes end.
        end: usize,
        /// Where the next record starts.
        next: usize,
    },
    /// A record of `length` bytes, more than the limit, of which the first `limit` are there.
    TooLong {
        /// Where its bytes start, behind a length.
        start: usize,
        /// Its length; `usize::MAX` if only its end will show it.
        length: usize,
    },
    /// The beginning of a record whose end cannot come before `needed` bytes are there.
    Partial {
        /// So many bytes from the start of the record.
        needed: usize,
    },
    /// No record: a torn one, or bytes between records. What may be a record starts at `skip`.
    Torn {
        /// Where what may be a record starts.
        skip: usize,
    },
    /// The stream no longer follows the framing.
    Lost,
}

impl Framing {
    /// Finds the next record in `bytes`, which is not empty. A record of more than `limit` bytes is
    /// too long. After a torn record, only what certainly is a record is one.
    pub fn next(self, bytes: &[u8], limit: usize, is_torn: bool) -> Next {
        match self {
            Framing::Nul => match memchr(0, &bytes[..bytes.len().min(limit + 1)]) {
                Some(end) => Next::Record { start: 0, end, next: end + 1 },
                None if bytes.len() > limit => Next::TooLong { start: 0, length: usize::MAX },
                None => Next::Partial { needed: bytes.len() + 1 },
            },
            Framing::Octets => match octet_count(bytes) {
                None => Next::Partial { needed: bytes.len() + 1 },
                Some(false) => Next::Lost,
                Some(true) => {
                    let (length, start) = octets(bytes);
                    counted(bytes, start, length, limit)
                }
            },
            Framing::Pickle => pickle(bytes, limit, is_torn),
        }
    }
}

/// Finds a record of `length` bytes at `start`.
fn counted(bytes: &[u8], start: usize, length: usize, limit: usize) -> Next {
    let end = start + length;
    if bytes.len() >= end && length <= limit {
        Next::Record { start, end, next: end }
    } else if length <= limit {
        Next::Partial { needed: end }
    } else if bytes.len() >= start + limit {
        Next::TooLong { start, length }
    } else {
        Next::Partial { needed: start + limit }
    }
}

/// Finds a pickle. Processes that share a connection after a fork can interleave their records; the
/// record that is torn by another one is given up, and the other one is found.
fn pickle(bytes: &[u8], limit: usize, is_torn: bool) -> Next {
    let header = if is_torn { record_header(bytes) } else { pickle_header(bytes) };
    match header {
        None => return Next::Partial { needed: bytes.len() + 1 },
        Some(false) => return Next::Torn { skip: resume(bytes) },
        Some(true) => {}
    }
    let next = counted(bytes, 4, pickle_length(bytes).unwrap_or(0), limit);
    if let Next::Record { start, end, .. } = next {
        let record = &bytes[start..end];
        if record.last() != Some(&b'.')
            || contains_record(record) && opcodes::end(record) != Some(record.len())
        {
            return Next::Torn { skip: resume(bytes) };
        }
    }
    next
}

/// Returns whether another pickled record may begin inside of this one.
pub fn contains_record(record: &[u8]) -> bool {
    const OLD: &[u8] = b"X\x04\0\0\0name";
    const NEW: &[u8] = b"\x8c\x04name";
    let needle =
        if memmem::find(&record[..record.len().min(64)], OLD).is_some() { OLD } else { NEW };
    memmem::find_iter(record, needle).nth(1).is_some()
}

/// Returns where the next record may start, behind the first byte.
pub fn resume(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        at += memchr(0, &bytes[at..]).unwrap_or(bytes.len() - at);
        if at < bytes.len() && record_header(&bytes[at..]) != Some(false) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Returns whether the bytes begin with the length and the pickle of a record as CPython writes it:
/// its first attribute is `name`. `None` if more bytes are needed.
fn record_header(bytes: &[u8]) -> Option<bool> {
    if !pickle_header(bytes)? {
        return Some(false);
    }
    let end = pickle_length(bytes)?.saturating_add(4).min(PICKLE_NAME_WITHIN);
    let head = &bytes[..bytes.len().min(end)];
    match memmem::find(head, b"name") {
        Some(_) => Some(true),
        None if head.len() < end => None,
        None => Some(false),
    }
}

/// Returns an octet count and the position behind its space. The bytes begin with one.
fn octets(bytes: &[u8]) -> (usize, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    (length, memchr(b' ', bytes).map_or(0, |space| space + 1))
}

/// Returns the length that stands in front of a pickle.
pub(super) fn pickle_length(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = *bytes else { return None };
    Some(u32::from_be_bytes([a, b, c, d]) as usize)
}

/// Returns whether the bytes begin with a length and a pickle of a dictionary: in the protocols 0
/// and 1 `(d` or `}`, in later ones `\x80` and the protocol. `None` if more bytes are needed.
pub(super) fn pickle_header(bytes: &[u8]) -> Option<bool> {
    let head = &bytes[..bytes.len().min(PICKLE_HEADER)];
    if head.first().is_some_and(|first| *first != 0)
        || head.starts_with(&[0, 0, 0]) && {
            // the shortest pickled record has some twenty attributes
            head.get(3).is_some_and(|length| *length < 16)
        }
    {
        return Some(false);
    }
    match head {
        [_, _, _, _, b'}', b'q' | b'.' | b'(' | b'r', ..]
        | [_, _, _, _, b'(', b'd', ..]
        | [_, _, _, _, 0x80, 1..=5, ..] => Some(true),
        [_, _, _, _, b'}' | b'(' | 0x80] | [] | [_] | [_, _] | [_, _, _] | [_, _, _, _] => None,
        _ => Some(false),
    }
}

/// Returns whether the bytes begin with `<PRI>` of syslog, `<0>` to `<999>`. `None` if more bytes
/// are needed.
pub(super) fn priority(bytes: &[u8]) -> Option<bool> {
    let Some((b'<', rest)) = bytes.split_first() else {
        return if bytes.is_empty() { None } else { Some(false) };
    };
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    match rest.get(digits) {
        None => None,
        Some(b'>') => Some((1..=3).contains(&digits)),
        Some(_) => Some(false),
    }
}

/// Returns whether the bytes begin with a length, a space and `<PRI>`. `None` if more bytes are
/// needed.
pub(super) fn octet_count(bytes: &[u8]) -> Option<bool> {
    let head = &bytes[..bytes.len().min(OCTET_DIGITS_MAX + 1)];
    match memchr(b' ', head) {
        Some(0) => Some(false),
        Some(space) if head[..space].iter().all(u8::is_ascii_digit) => {
            priority(&bytes[space + 1..])
        }
        Some(_) => Some(false),
        None if head.iter().all(u8::is_ascii_digit) => {
            (bytes.len() > OCTET_DIGITS_MAX).then_some(false)
        }
        None => Some(false),
    }
}

#[cfg(test)]
mod tests;
