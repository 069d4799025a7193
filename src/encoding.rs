//! Encodings that several modules use: percent encoding, characters that a text must not contain as
//! they are, and a hash that is the same in every process. Unit: one text.

use std::fmt;

/// Decodes percent encoding; keeps a `%` that is not followed by two hexadecimal digits.
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let decoded = match (byte, tail) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        plain.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    plain
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

/// Returns whether a text that shows this character could control a terminal or deceive its reader:
/// control characters, and characters that are invisible, change the writing direction or end a
/// line. Besides U+2028, U+2029 and U+FEFF these are the characters with the property
/// `Bidi_Control` (Unicode Standard Annex 9).
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// The hash FNV-1a with 64 bits. Unlike the hashes of the standard library it is the same in every
/// process and build, so that it can name a configuration or a cut label value. It is no defence
/// against chosen inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// Returns the hash of no bytes.
    pub const fn new() -> Fnv1a {
        Fnv1a(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Returns the hash of all bytes so far.
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl Default for Fnv1a {
    fn default() -> Fnv1a {
        Fnv1a::new()
    }
}

impl fmt::Write for Fnv1a {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone_where_it_is_valid() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("a%20b%2Cc", "a b,c"),
            ("%e2%82%ac", "\u{20ac}"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%%41", "%zz%A"),
            ("a+b", "a+b"),
        ] {
            assert_eq!(percent_decoded(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    /// The list of the standard: UAX 9, table of explicit and implicit formatting characters.
    #[test]
    fn characters_that_turn_or_hide_text_are_deceptive() {
        let bidi = ['\u{61c}', '\u{200e}', '\u{200f}'].into_iter();
        let bidi = bidi.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for character in bidi.chain(['\u{2028}', '\u{2029}', '\u{feff}', '\0', '\n', '\u{9b}']) {
            assert!(is_deceptive(character), "{}", character.escape_unicode());
        }
        for character in ['a', ' ', '\u{e9}', '\u{61b}', '\u{2027}', '\u{1f600}'] {
            assert!(!is_deceptive(character), "{}", character.escape_unicode());
        }
    }

    /// The values are those of the authors' test vectors (draft-eastlake-fnv).
    #[test]
    fn fnv_agrees_with_its_published_values() {
        for (text, expected) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            let mut hash = Fnv1a::new();
            hash.write(text.as_bytes());
            assert_eq!(hash.finish(), expected, "{text}");
        }
    }
}
