//! Strings with escapes: finds their end, validates them, and unescapes them into a scratch buffer.
//! All of this is off the fast path, because nearly every string of a log line has no escape. Unit:
//! one string.

use super::scan::{byte, string_stop};

/// Returns the closing quote of the JSON string with text at `at`. Returns `None` if an escape is
/// invalid, a control character is not escaped or the string does not end.
#[inline(never)]
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = string_stop(bytes, at);
        match byte(bytes, at) {
            b'"' => return Some(at),
            b'\\' => at = after_escape(bytes, at)?,
            _ => return None,
        }
    }
}

fn after_escape(bytes: &[u8], at: usize) -> Option<usize> {
    match byte(bytes, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6),
        _ => None,
    }
}

/// Appends `raw` without its escapes. Two surrogates make one character; one alone becomes U+FFFD.
/// A backslash that starts no escape is kept (logfmt; in JSON, [`string_end`] has refused it
/// before).
pub(crate) fn undo(raw: &str, into: &mut String) {
    let bytes = raw.as_bytes();
    let mut from = 0;
    while let Some(skipped) = memchr::memchr(b'\\', &bytes[from..]) {
        let at = from + skipped;
        push(raw, from, at, into);
        let (character, length) = match byte(bytes, at + 1) {
            b'n' => ('\n', 2),
            b't' => ('\t', 2),
            b'r' => ('\r', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'u' => match hex(bytes, at + 2) {
                Some(unit) => joined(bytes, at, unit),
                None => ('\\', 1),
            },
            plain @ (b'"' | b'\\' | b'/') => (plain as char, 2),
            _ => ('\\', 1),
        };
        into.push(character);
        from = at + length;
    }
    push(raw, from, raw.len(), into);
}

/// Bytes of a piece that is copied without a call.
const SHORT: usize = 16;

/// Appends `raw[from..to]`. The pieces between escapes are short, and a call of musl's `memcpy`
/// costs more than copying sixteen bytes at once and cutting off what is too much.
#[inline]
fn push(raw: &str, from: usize, to: usize, into: &mut String) {
    let length = to - from;
    if length <= SHORT
        && let Some(piece) = raw.get(from..from + SHORT)
    {
        let end = into.len() + length;
        into.push_str(piece);
        into.truncate(end);
    } else {
        into.push_str(&raw[from..to]);
    }
}

/// Appends a value as web servers escape it: what JSON escapes, and `\x22` for other bytes. A byte
/// outside of ASCII stays escaped, because alone it is no character.
pub(crate) fn undo_logged(raw: &str, into: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find("\\x") {
        let digits = rest.get(at + 2..at + 4);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let is_escaped = rest[..at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0;
        match byte.filter(|byte| byte.is_ascii() && is_escaped) {
            Some(byte) => {
                undo(&rest[..at], into);
                into.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                undo(&rest[..at + 2], into);
                rest = &rest[at + 2..];
            }
        }
    }
    undo(rest, into);
}

/// Appends a value of RFC 5424's structured data: only `\"`, `\\` and `\]` are escapes (section
/// 6.3.3).
pub(crate) fn undo_parameter(raw: &str, into: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        into.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if !behind.starts_with(['"', '\\', ']']) {
            into.push('\\');
        }
        let length = behind.chars().next().map_or(0, char::len_utf8);
        into.push_str(&behind[..length]);
        rest = &behind[length..];
    }
    into.push_str(rest);
}

/// Returns the character of the `\u` escape at `at`, with the low surrogate after it if there is
/// one.
fn joined(bytes: &[u8], at: usize, unit: u32) -> (char, usize) {
    let pair = (0xd800..0xdc00).contains(&unit) && bytes.get(at + 6..at + 8) == Some(b"\\u");
    if let (true, Some(low @ 0xdc00..0xe000)) = (pair, hex(bytes, at + 8)) {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | (*digit as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn undone(raw: &str) -> String {
        let mut text = String::new();
        undo(raw, &mut text);
        text
    }

    #[test]
    fn escapes() {
        for (raw, expected) in [
            (r"plain", "plain"),
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u0000x", "\u{e9}\0x"),
            (r"\ud83d\ude00!", "\u{1f600}!"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ude00\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\x41 \q \", "\\x41 \\q \\"),
            (r"\u12", "\\u12"),
        ] {
            assert_eq!(undone(raw), expected, "{raw}");
        }
    }

    #[test]
    fn escapes_of_servers() {
        for (raw, expected) in [
            (r"a\x22b\x5C", "a\"b\\"),
            (r"\xC3\xBC", r"\xC3\xBC"),
            (r"\\x22", "\\x22"),
            (r#"a\"b\x2"#, "a\"b\\x2"),
            (r"\x0a\x", "\n\\x"),
        ] {
            let mut text = String::new();
            undo_logged(raw, &mut text);
            assert_eq!(text, expected, "{raw}");
        }
    }

    #[test]
    fn ends() {
        for (text, expected) in [
            (r#"ab""#, Some(2)),
            (r#"a\"b"x"#, Some(4)),
            (r#"\u00e9""#, Some(6)),
            (r#"\u00g9""#, None),
            (r#"\x""#, None),
            (r"\", None),
            ("a\tb\"", None),
            ("ab", None),
            ("\u{e9}\"", Some(2)),
        ] {
            assert_eq!(string_end(text.as_bytes(), 0), expected, "{text:?}");
        }
    }

    proptest! {
        /// The reader restores what serde_json writes, and reads what serde_json reads to the same
        /// text.
        #[test]
        fn property_as_serde_json(text in "\\PC*|[\\x00-\\x7f]{0,40}") {
            let written = serde_json::to_string(&text).expect("strings can be written");
            prop_assert_eq!(string_end(written.as_bytes(), 1), Some(written.len() - 1));
            prop_assert_eq!(undone(&written[1..written.len() - 1]), text);
        }
    }
}
