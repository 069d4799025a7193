//! Level words by their first letters. Unit: one word.

/// A level word that stands somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Level {
    /// Its length in bytes.
    pub(super) length: usize,
    /// Whether it begins with two capitals: `error` may be a word of a sentence, `ERROR` is not.
    pub(super) is_upper: bool,
}

/// The level word at `at`, ended by something that no word goes on with.
#[inline]
pub(super) fn at(bytes: &[u8], at: usize) -> Option<Level> {
    let word = bytes.get(at..)?;
    let [first, second, ..] = *word else { return None };
    let candidates: &[&[u8]] = match first | 0x20 {
        b'i' => &[b"info", b"information"],
        b'd' => &[b"debug"],
        b'w' => &[b"warning", b"warn"],
        b'e' => &[b"error", b"emergency", b"emerg", b"err"],
        b'c' => &[b"critical", b"crit"],
        b'f' => &[b"fatal"],
        b't' => &[b"trace"],
        b'n' => &[b"notice"],
        b's' => &[b"success", b"severe"],
        b'a' => &[b"alert"],
        b'p' => &[b"panic"],
        b'v' => &[b"verbose"],
        b'l' => &[b"log"],
        _ => return None,
    };
    for name in candidates {
        if let Some(head) = word.get(..name.len())
            && head.eq_ignore_ascii_case(name)
            && !word.get(name.len()).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        {
            let is_upper = first.is_ascii_uppercase() && second.is_ascii_uppercase();
            // `LOG:` is PostgreSQL's alone
            if *name == b"log" && !(is_upper && word.get(3) == Some(&b':')) {
                return None;
            }
            return Some(Level { length: name.len(), is_upper });
        }
    }
    None
}
