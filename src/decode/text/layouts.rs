//! Remembers the headers of the last lines, so that a line with a known header is not parsed again.
//! It never changes what a line means. Unit: one header.
//!
//! ```text
//! 2026-11-21 10:00:00,123 - shop.orders - INFO - Stored 7 rows
//! [ time, as `stamp` ][   literal, remembered  ][ message    ]
//! ```
//!
//! A line has a known header if all of these hold:
//!
//! 1. It begins with a time, with a bracket and a time, or with klog's letter and a time. The length
//!    of the time may differ.
//! 2. The bytes from the time to the message are those of the remembered header.
//! 3. The message begins with a word that no part of a header can be, and that no other part
//!    examines: see [`is_inert`].
//!
//! Then the parser would make the same decisions: it examines the bytes of the header, and of the
//! message at most the beginning. Headers for which this is not certain are not remembered: those
//! without a level, and those with a level of one letter that a known form does not enclose. A test
//! compares both ways with random lines.

use super::state::Header;
use super::{forms, stamp};
use crate::decode::out::Out;
use crate::record::field::{FieldId, SEVERITY, TIMESTAMP};
use crate::record::slots::Slots;
use memchr::memchr;

/// Limit of remembered headers: the call sites of a klog application, or each thread and logger of
/// a Java application with its levels; about 64 KiB.
const KNOWN_MAX: usize = 512;
/// The shortest and the longest literal that is remembered.
const LITERAL_MIN: usize = 6;
const LITERAL_MAX: usize = 128;
/// Limit of the fields of a header.
const FIELDS_MAX: usize = 8;
/// Size of the table: a power of two.
const CELLS: usize = 1024;
/// Literals are found by their first 32, 16 or 6 bytes, whichever they have.
const PREFIXES: [usize; 3] = [32, 16, LITERAL_MIN];
/// Limit of literals with the same beginning that a lookup compares.
const CHAIN_MAX: usize = 24;
/// Remembering a header costs about as much as parsing one. A source that writes a new header in
/// every line (an id of the request) stops being remembered when its credit is used up.
const COST: u32 = 8;
const CREDIT_MAX: u32 = COST * KNOWN_MAX as u32;
/// A line without a known header adds one to the credit this rarely.
const MISSES_FOR_CREDIT: u32 = 64;
/// No header.
const NONE: u16 = u16::MAX;

/// What precedes the time with which a line begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opening {
    Nothing,
    Bracket,
    /// klog's level.
    Letter,
}

impl Opening {
    #[inline]
    fn bytes(self) -> usize {
        match self {
            Opening::Nothing => 0,
            Opening::Bracket | Opening::Letter => 1,
        }
    }
}

/// A remembered header.
#[derive(Debug)]
struct Known {
    /// Where the literal starts in [`Layouts::literals`], and its length.
    start: u32,
    length: u8,
    /// The last bytes of the literal, which differ more than the first.
    last: [u8; LITERAL_MIN],
    opening: Opening,
    /// The first byte of the line is the level, as klog writes it.
    has_letter: bool,
    /// A bar near the start of the message could separate a part of the header.
    is_barred: bool,
    count: u8,
    /// The fields after the time. Their positions count from the start of the literal.
    fields: [(FieldId, u8, u8); FIELDS_MAX],
    /// PostgreSQL's `LOG`, for which the message is read too.
    is_statement: bool,
    /// The next header with the same beginning.
    next: u16,
}

/// The headers that a data thread remembers.
#[derive(Debug)]
pub struct Layouts {
    known: Vec<Known>,
    literals: Vec<u8>,
    cells: Vec<u16>,
    /// How many literals of each class of `PREFIXES` there are.
    classes: [u16; PREFIXES.len()],
    credit: u32,
    misses: u32,
}

impl Known {
    /// Returns whether `rest`, the line after its time, begins with this header.
    #[inline]
    fn is_at(&self, rest: &[u8], literals: &[u8]) -> bool {
        let (start, length) = (self.start as usize, usize::from(self.length));
        let Some((literal, message)) = rest.split_at_checked(length) else { return false };
        literal.last_chunk::<LITERAL_MIN>() == Some(&self.last)
            && literals.get(start..start + length).is_some_and(|own| is_same(own, literal))
            && is_inert(message)
            && !(self.is_barred && has_bar(message))
    }

    /// Writes the fields of a line with this header.
    #[inline]
    fn write(&self, time_end: usize, out: &mut Out<'_>) -> Found {
        if self.has_letter {
            out.put(SEVERITY, 0, 1);
        }
        out.put(TIMESTAMP, self.opening.bytes(), time_end);
        for &(field, from, to) in &self.fields[..usize::from(self.count)] {
            out.put(field, time_end + usize::from(from), time_end + usize::from(to));
        }
        Found { body: time_end + usize::from(self.length), is_statement: self.is_statement }
    }
}

/// What a known header says about a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The start of the message.
    pub(super) body: usize,
    /// PostgreSQL's `LOG`.
    pub(super) is_statement: bool,
}

impl Default for Layouts {
    fn default() -> Layouts {
        Layouts {
            known: Vec::new(),
            literals: Vec::new(),
            cells: Vec::new(),
            classes: [0; PREFIXES.len()],
            credit: CREDIT_MAX,
            misses: 0,
        }
    }
}

impl Layouts {
    /// Writes the fields of the header with which `bytes` begins, if it is known.
    #[inline]
    pub(super) fn find(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Option<Found> {
        if self.known.is_empty() {
            return None;
        }
        let (opening, time_end) = time(bytes)?;
        let rest = bytes.get(time_end..)?;
        for (class, prefix) in PREFIXES.into_iter().enumerate() {
            if self.classes[class] == 0 || rest.len() < prefix {
                continue;
            }
            let mut at = self.cells[cell(&rest[..prefix], class)];
            for _ in 0..CHAIN_MAX {
                let Some(known) = self.known.get(usize::from(at)) else { break };
                if known.opening == opening && known.is_at(rest, &self.literals) {
                    self.credit = (self.credit + 1).min(CREDIT_MAX);
                    return Some(known.write(time_end, out));
                }
                at = known.next;
            }
        }
        None
    }

    /// Remembers the header of a line, if its meaning depends on nothing else. `slots` contains the
    /// fields of the header and nothing of the message.
    #[cold]
    pub(super) fn learn(&mut self, header: &Header<'_>, body: usize, slots: &Slots) {
        self.misses = self.misses.wrapping_add(1);
        if self.misses.is_multiple_of(MISSES_FOR_CREDIT) {
            self.credit = (self.credit + 1).min(CREDIT_MAX);
        }
        if self.credit < COST {
            return;
        }
        if let Some((known, literal)) = remembered(header, body, slots) {
            self.credit -= COST;
            self.insert(known, literal);
        }
    }

    fn insert(&mut self, mut known: Known, literal: &[u8]) {
        if self.cells.is_empty() {
            self.cells = vec![NONE; CELLS];
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
            self.literals.clear();
            self.cells.fill(NONE);
            self.classes = [0; PREFIXES.len()];
        }
        let class = PREFIXES.iter().position(|prefix| *prefix <= literal.len());
        let Some(class) = class else { return };
        let cell = cell(&literal[..PREFIXES[class]], class);
        known.start = self.literals.len() as u32;
        known.next = self.cells[cell];
        self.literals.extend_from_slice(literal);
        self.cells[cell] = self.known.len() as u16;
        self.classes[class] += 1;
        self.known.push(known);
        debug_assert!(self.known.len() <= KNOWN_MAX && usize::from(self.cells[cell]) < KNOWN_MAX);
    }
}

/// Finds the time with which a line begins, at its first or second byte: what precedes it, and its
/// end.
#[inline]
fn time(bytes: &[u8]) -> Option<(Opening, usize)> {
    let (opening, length) = match bytes {
        [b'0'..=b'9', ..] => (Opening::Nothing, stamp::extent(bytes)),
        [b'[', b'0'..=b'9', ..] => (Opening::Bracket, stamp::extent(&bytes[1..])),
        [b'I' | b'W' | b'E' | b'F', b'0'..=b'9', ..] => {
            return forms::klog_time_end(bytes).map(|end| (Opening::Letter, end));
        }
        _ => return None,
    };
    (length > 0).then_some((opening, opening.bytes() + length))
}

/// Builds the memory of a header, if the parser's decisions depend on its bytes alone.
fn remembered<'a>(header: &Header<'a>, body: usize, slots: &Slots) -> Option<(Known, &'a [u8])> {
    let bytes = header.bytes;
    // klog's letter is a level by its form
    let has_letter = slots.get(SEVERITY).is_some_and(|entry| (entry.start, entry.len) == (0, 1));
    let (from, to) = match header.level {
        Some(level) => (level.from, level.to),
        None if has_letter => (0, 1),
        None => return None,
    };
    let (opening, time_end) = time(bytes)?;
    let (literal, message) = (bytes.get(time_end..body)?, bytes.get(body..)?);
    // structlog's console writes fields into the message
    let is_padded = header.level.is_some_and(|level| level.is_padded);
    let is_structlog = is_padded && bytes[from].is_ascii_lowercase();
    // `LEVEL:logger:message`: whether there is a logger depends on the message
    let is_basic = literal.last() == Some(&b':');
    // logcat's letter is a level whatever follows, but what follows may be a tag
    let is_letter = to - from < 2 && !header.is_done;
    let is_barred = header.separator == b'|';
    if header.is_searched
        || is_structlog
        || is_basic
        || is_letter
        || !(LITERAL_MIN..=LITERAL_MAX).contains(&literal.len())
        || !is_inert(message)
        || (is_barred && has_bar(message))
    {
        return None;
    }
    let mut known = Known {
        start: 0,
        length: literal.len() as u8,
        last: *literal.last_chunk::<LITERAL_MIN>()?,
        opening,
        has_letter,
        is_barred,
        count: 0,
        fields: [(FieldId::NONE, 0, 0); FIELDS_MAX],
        is_statement: &bytes[from..to] == b"LOG",
        next: NONE,
    };
    let mut present = slots.present;
    while present != 0 {
        let field = FieldId(present.trailing_zeros() as u16);
        present &= present - 1;
        let entry = slots.get(field)?;
        let (from, to) = (entry.start as usize, (entry.start + entry.len) as usize);
        match (field, from, to) {
            (TIMESTAMP, _, _) if (from, to) == (opening.bytes(), time_end) => {}
            (SEVERITY, 0, 1) => {}
            _ if from >= time_end && to <= body => {
                let slot = known.fields.get_mut(usize::from(known.count))?;
                *slot = (field, (from - time_end) as u8, (to - time_end) as u8);
                known.count += 1;
            }
            _ => return None,
        }
    }
    (slots.present & TIMESTAMP.bit() != 0).then_some((known, literal))
}

/// Returns whether a bar is so near that it could end a part of the header.
#[inline]
fn has_bar(message: &[u8]) -> bool {
    memchr(b'|', &message[..message.len().min(WORD_MAX)]).is_some()
}

/// Returns whether a message begins so that no part of the header can depend on it: with a word of
/// letters, digits and signs that no layout uses, before the end of the line or another word.
#[inline]
fn is_inert(message: &[u8]) -> bool {
    let Some(first) = message.first() else { return false };
    if !(first.is_ascii_alphanumeric() || *first == b'"') {
        return false;
    }
    let near = &message[..message.len().min(WORD_MAX)];
    let Some(length) = near.iter().position(|byte| !is_inert_byte(*byte)) else {
        return message.len() <= WORD_MAX && message != b"in";
    };
    let mut end = length;
    // `duration: 3 ms`: neither a name with dots nor one of the names that loggers have
    if message[length] == b':' {
        let name = &message[..length];
        if !name.iter().all(u8::is_ascii_alphabetic) || name == b"root" {
            return false;
        }
        end += 1;
    }
    let next = message.get(end + 1).copied().unwrap_or(b' ');
    message.get(end) == Some(&b' ')
        && &message[..end] != b"in"
        && (next.is_ascii_alphanumeric() || matches!(next, b'"' | b'/' | b'\'' | b'$'))
}

/// The longest first word of a message.
const WORD_MAX: usize = 64;

#[inline]
fn is_inert_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'/' | b'.' | b'_' | b'-' | b',' | b'\'')
}

/// Compares two texts of the same length, sixteen bytes a step: musl's `memcmp` compares one.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let (chunks, rest) = a.as_chunks::<16>();
    let (others, other_rest) = b.as_chunks::<16>();
    let word = |bytes: &[u8; 16]| u128::from_le_bytes(*bytes);
    a.len() == b.len()
        && chunks.iter().zip(others).all(|(a, b)| word(a) == word(b))
        && rest.iter().zip(other_rest).all(|(a, b)| a == b)
}

/// Returns the cell of a literal that begins with these bytes.
#[inline]
fn cell(prefix: &[u8], class: usize) -> usize {
    let word = |at: usize| match prefix.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(bytes) => u64::from(u32::from_le_bytes(*bytes)),
        None => 0,
    };
    let fold =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let hash = match class {
        0 => (0..8).fold(1, |hash, step| fold(hash, word(4 * step))),
        1 => (0..4).fold(2, |hash, step| fold(hash, word(4 * step))),
        _ => fold(fold(3, word(0)), word(2)),
    };
    hash as usize % CELLS
}

#[cfg(test)]
mod tests;
