//! Describes the shape of a line by the classes of its tokens, so that a log message can show what
//! sidelight sees without any content of the line. Unit: one line.

use super::text::level;
use super::text::stamp;

/// The longest outline in bytes.
const OUTLINE_BYTES_MAX: usize = 160;

/// How many ordinary words in a row are described by one `words`.
const WORDS_MIN: usize = 3;

/// Returns the classes of the tokens of the first line of a record: `time`, `level`, `number`, `id`,
/// `WORD`, `Word`, `word`, `words`, `"text"`, `key=`; separators and brackets are shown as they are.
pub(crate) fn outline(record: &str) -> String {
    let line = record.split('\n').next().unwrap_or_default().trim();
    let bytes = line.as_bytes();
    let mut out = String::with_capacity(OUTLINE_BYTES_MAX + 16);
    let (mut at, mut words, mut words_from) = (0, 0, 0);
    while at < bytes.len() {
        if out.len() > OUTLINE_BYTES_MAX {
            out.push_str(" ...");
            break;
        }
        let (class, length) = token(bytes, at);
        at += length;
        match class {
            "word" | "Word" if out.ends_with(' ') || out.is_empty() || words > 0 => {
                if words == 0 {
                    words_from = out.len();
                }
                words += 1;
                if words >= WORDS_MIN {
                    out.truncate(words_from);
                    out.push_str("words");
                } else {
                    out.push_str(class);
                }
            }
            " " => {
                if words < WORDS_MIN {
                    out.push(' ');
                } else if !next_is_word(bytes, at) {
                    out.push(' ');
                    words = 0;
                }
            }
            _ => {
                words = 0;
                out.push_str(class);
            }
        }
    }
    out
}

fn next_is_word(bytes: &[u8], at: usize) -> bool {
    at < bytes.len() && matches!(token(bytes, at).0, "word" | "Word")
}

/// Returns the class and the length of the token at `at`.
fn token(bytes: &[u8], at: usize) -> (&'static str, usize) {
    let rest = &bytes[at..];
    let is_inside = at > 0 && is_word(bytes[at - 1]);
    if !is_inside && matches!(rest[0], b'0'..=b'9' | b'A'..=b'Z') {
        let length = stamp::extent(rest);
        if length > 0 {
            return ("time", length);
        }
    }
    match rest[0] {
        b' ' | b'\t' => (" ", rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()),
        b'"' | b'\'' if !is_inside => match memchr::memchr(rest[0], &rest[1..]) {
            Some(length) => ("\"text\"", length + 2),
            None => ("\"", 1),
        },
        byte if is_word(byte) => word(bytes, at),
        byte => {
            // a run of one separator is one token
            (sign(byte), rest.iter().take_while(|other| **other == byte).count())
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Classifies a run of letters and digits.
fn word(bytes: &[u8], at: usize) -> (&'static str, usize) {
    let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
    let text = &bytes[at..at + length];
    if bytes.get(at + length) == Some(&b'=') {
        return ("key=", length + 1);
    }
    if level::at(bytes, at).is_some_and(|level| level.length == length) {
        return ("level", length);
    }
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let class =
        match text {
            _ if digits == length => "number",
            _ if digits > 0 && (length >= 8 || text[0].is_ascii_digit() || digits * 2 > length) => {
                "id"
            }
            [b'A'..=b'Z', rest @ ..] if !rest.is_empty() => {
                if rest.iter().any(u8::is_ascii_lowercase) { "Word" } else { "WORD" }
            }
            _ => "word",
        };
    (class, length)
}

/// Returns a separator as text; other signs are content.
fn sign(byte: u8) -> &'static str {
    const SIGNS: &str = "[](){}<>|-:,;.=/#*!@\"'\\";
    let at = SIGNS.as_bytes().iter().position(|sign| *sign == byte);
    at.map_or("?", |at| &SIGNS[at..=at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_of_tokens() {
        for (line, expected) in [
            ("", ""),
            ("order 17 placed for the customer", "word number words"),
            (
                "2026-01-02 03:04:04.250 <7> Shop.Orders~x no stock",
                "time <number> Word.Word?word word word",
            ),
            ("@@ [Worker-3] prio=high took 12ms", "@ [Worker-number] key=word word id"),
            ("{\"a\": \"secret\", \"b\": 7}", "{\"text\": \"text\", \"text\": number}"),
            ("17 ERROR in deadbeef01", "number level word id"),
            ("first\nsecond", "word"),
            ("it's \u{fc}ber all", "word'word word word"),
        ] {
            let expected = expected.replace("Worker", "Word");
            assert_eq!(outline(line), expected, "{line:?}");
        }
    }

    proptest! {
        /// Guarantees: no text of the line is shown, and the length is bounded.
        #[test]
        fn property_nothing_of_the_line_is_shown(line in "[QXZ0-9 :=\\[\"'|-]{0,400}|.{0,200}") {
            let outline = outline(&line);
            prop_assert!(outline.len() <= OUTLINE_BYTES_MAX + 16);
            prop_assert!(!outline.contains(['Q', 'X', 'Z']), "{outline}");
            prop_assert!(!outline.bytes().any(|byte| byte.is_ascii_digit()), "{outline}");
            prop_assert!(outline.is_ascii(), "{outline}");
        }
    }
}
