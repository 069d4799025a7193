//! The names of levels in every framework, and how certain each of them is. Unit: one word.

use crate::decode::scan;

/// A level word in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Level {
    /// Its length in bytes, including slog's `+4`.
    pub(crate) length: usize,
    /// It begins with two capitals: `error` may be a word of a sentence, `ERROR` is not.
    pub(super) is_upper: bool,
    /// The word has so many other meanings that it is a level only inside brackets or bars.
    pub(super) is_weak: bool,
}

/// Finds the level word at `at`, followed by a byte that does not continue a word.
#[inline]
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Level> {
    let window = scan::window(bytes, at) as u64;
    // converts letters to lower case; no other byte becomes a letter
    let lower = window | u64::from_le_bytes([0x20; 8]);
    // of two names that begin alike, the longer one is listed first
    let names: &[Word] = match lower as u8 {
        b'i' => &const { [word(b"info"), word(b"inf")] },
        b'd' => {
            &const {
                [
                    word(b"debug"),
                    word(b"debu"),
                    word(b"dbug"),
                    word(b"dbg"),
                    word(b"dpanic"),
                    weak(b"deprecat"),
                ]
            }
        }
        b'w' => &const { [word(b"warning"), word(b"warn"), word(b"wrn")] },
        b'e' => {
            &const { [word(b"error"), word(b"emerg"), word(b"erro"), word(b"eror"), word(b"err")] }
        }
        b'c' => &const { [word(b"critical"), word(b"crit"), word(b"crt"), weak(b"config")] },
        b'f' => {
            &const {
                [
                    word(b"failure"),
                    word(b"fatal"),
                    word(b"fata"),
                    word(b"ftl"),
                    weak(b"fail"),
                    weak(b"finest"),
                    weak(b"finer"),
                    weak(b"fine"),
                ]
            }
        }
        b't' => &const { [word(b"trace"), word(b"trac"), word(b"trce"), word(b"trc")] },
        b'n' => &const { [word(b"notice"), weak(b"note")] },
        b's' => &const { [word(b"success"), word(b"severe"), weak(b"silly")] },
        b'a' => &const { [word(b"alert")] },
        b'p' => &const { [word(b"panic")] },
        b'v' => &const { [word(b"verbose"), word(b"vrb")] },
        b'l' => &const { [weak(b"log")] },
        _ => return None,
    };
    let found = names.iter().find(|found| lower & found.mask == found.name)?;
    let is_upper = window as u16 & 0x2020 == 0;
    let length = match scan::byte(bytes, at + found.length) {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'+' | b'-' => {
            further(bytes, at, found.length, is_upper)?
        }
        _ => found.length,
    };
    Some(Level { length, is_upper, is_weak: found.is_weak })
}

/// A name in lower case.
struct Word {
    name: u64,
    mask: u64,
    length: usize,
    is_weak: bool,
}

const fn word(name: &[u8]) -> Word {
    let mut bytes = [0; 8];
    let mut index = 0;
    while index < name.len() {
        bytes[index] = name[index];
        index += 1;
    }
    let mask = u64::MAX >> (64 - 8 * name.len());
    Word { name: u64::from_le_bytes(bytes), mask, length: name.len(), is_weak: false }
}

const fn weak(name: &[u8]) -> Word {
    Word { is_weak: true, ..word(name) }
}

/// Matches names longer than a machine word, slog's `ERROR+4` and PostgreSQL's `DEBUG1`.
#[cold]
fn further(bytes: &[u8], at: usize, length: usize, is_upper: bool) -> Option<usize> {
    const LONG: [&[u8]; 4] = [b"informational", b"information", b"emergency", b"deprecation"];
    let goes_on = |end: usize| {
        let byte = scan::byte(bytes, end);
        byte.is_ascii_alphanumeric() || byte == b'_'
    };
    for name in LONG {
        let found = bytes.get(at..at + name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return (!goes_on(at + name.len())).then_some(name.len());
        }
    }
    match scan::byte(bytes, at + length) {
        b'+' | b'-' => {
            let digits = scan::digits(bytes, at + length + 1);
            if is_upper && (1..3).contains(&digits) && !goes_on(at + length + 1 + digits) {
                return Some(length + 1 + digits);
            }
            Some(length)
        }
        b'1'..=b'5' if is_upper && bytes[at..].starts_with(b"DEBUG") && !goes_on(at + 6) => Some(6),
        // Apache: `[rewrite:trace3]`
        b'1'..=b'8'
            if at > 0
                && bytes[at - 1] == b':'
                && bytes[at..].starts_with(b"trace")
                && !goes_on(at + 6) =>
        {
            Some(6)
        }
        _ => None,
    }
}
