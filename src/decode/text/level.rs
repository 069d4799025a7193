//! Level words, eight letters in one word. Unit: one word.

use crate::decode::scan;

/// A level word that stands somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Level {
    /// Its length in bytes.
    pub(super) length: usize,
    /// Whether it begins with two capitals: `error` may be a word of a sentence, `ERROR` is not.
    pub(super) is_upper: bool,
}

/// The longest level word is `information`.
pub(super) const BYTES_MAX: usize = 11;

/// The level word at `at`, ended by something that no word goes on with.
#[inline]
pub(super) fn at(bytes: &[u8], at: usize) -> Option<Level> {
    let window = scan::window(bytes, at) as u64;
    // letters in lower case; a byte that is none turns into one only where it is a control character
    let lower = window | u64::from_le_bytes([0x20; 8]);
    let length = match lower as u8 {
        b'i' => one_of(lower, &[word(b"info")]),
        b'd' => one_of(lower, &[word(b"debug")]),
        b'w' => one_of(lower, &[word(b"warning"), word(b"warn")]),
        b'e' => one_of(lower, &[word(b"error"), word(b"emerg"), word(b"err")]),
        b'c' => one_of(lower, &[word(b"critical"), word(b"crit")]),
        b'f' => one_of(lower, &[word(b"fatal")]),
        b't' => one_of(lower, &[word(b"trace")]),
        b'n' => one_of(lower, &[word(b"notice")]),
        b's' => one_of(lower, &[word(b"success"), word(b"severe")]),
        b'a' => one_of(lower, &[word(b"alert")]),
        b'p' => one_of(lower, &[word(b"panic")]),
        b'v' => one_of(lower, &[word(b"verbose")]),
        // `LOG:` is PostgreSQL's alone
        b'l' if window as u32 == u32::from_le_bytes(*b"LOG:") => Some(3),
        _ => None,
    }?;
    let goes_on = scan::byte(bytes, at + length);
    if goes_on.is_ascii_alphanumeric() || goes_on == b'_' {
        // `information` goes on behind `info`
        return information(bytes, at)
            .filter(|_| length == 4)
            .map(|length| Level { length, is_upper: window as u16 & 0x2020 == 0 });
    }
    Some(Level { length, is_upper: window as u16 & 0x2020 == 0 })
}

/// A name in lower case, its mask and its length.
type Word = (u64, u64, usize);

const fn word(name: &[u8]) -> Word {
    let mut bytes = [0; 8];
    let mut index = 0;
    while index < name.len() {
        bytes[index] = name[index];
        index += 1;
    }
    (u64::from_le_bytes(bytes), u64::MAX >> (64 - 8 * name.len()), name.len())
}

#[inline]
fn one_of(lower: u64, words: &[Word]) -> Option<usize> {
    words.iter().find(|(name, mask, _)| lower & mask == *name).map(|(.., length)| *length)
}

#[cold]
fn information(bytes: &[u8], at: usize) -> Option<usize> {
    const NAME: &[u8] = b"information";
    let found = bytes.get(at..at + NAME.len())?.eq_ignore_ascii_case(NAME);
    (found && !scan::byte(bytes, at + NAME.len()).is_ascii_alphanumeric()).then_some(NAME.len())
}
