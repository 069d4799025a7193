//! Finds the end of a run of bytes, sixteen bytes per step, in vectors that every x86-64 and every
//! arm64 has, and without a branch per byte. Zero bytes follow the end of the text and stop every
//! run.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use wide::u8x16;

/// The shortest string that is matched by its fixed length...
pub(crate) const FIXED_MIN: usize = STEP;
/// ...and the longest: ids and times are shorter.
pub(crate) const FIXED_MAX: usize = 64;

/// How many bytes a node keeps of either end of its literal.
pub(crate) const STEP: usize = 16;
const WORD: usize = 8;

/// Returns the 16 bytes at `at`, the first one lowest; zeros past the end.
#[inline(always)]
pub(crate) fn window(bytes: &[u8], at: usize) -> u128 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<STEP>()) {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => window_at_end(bytes, at),
    }
}

#[cold]
#[inline(never)]
fn window_at_end(bytes: &[u8], at: usize) -> u128 {
    let mut padded = [0u8; STEP];
    let rest = bytes.get(at..).unwrap_or_default();
    let count = rest.len().min(STEP);
    padded[..count].copy_from_slice(&rest[..count]);
    u128::from_le_bytes(padded)
}

/// Returns the position of the first quote, backslash or control character at or after `at`, or the
/// length of `bytes` if there is none.
#[inline(always)]
pub(crate) fn string_stop(bytes: &[u8], at: usize) -> usize {
    run(bytes, at, kernel::ends_string)
}

/// Returns the position of the first space or control character at or after `at`, or the length if
/// there is none.
#[inline(always)]
pub(crate) fn word_stop(bytes: &[u8], at: usize) -> usize {
    run(bytes, at, kernel::ends_word)
}

/// Returns the position of the first quote or newline, or the length if there is none.
#[inline(always)]
pub(crate) fn quote_or_newline(bytes: &[u8]) -> usize {
    run(bytes, 0, |text| kernel::is(text, b'"') | kernel::is(text, b'\n'))
}

/// Returns the position of the first newline or escape character (colours begin with one), or the
/// length if there is none.
#[inline(always)]
pub(crate) fn newline_or_escape(bytes: &[u8]) -> usize {
    run(bytes, 0, |text| kernel::is(text, b'\n') | kernel::is(text, 0x1b))
}

/// Returns the position of the first `wanted` byte at or after `at`, or the length if there is none.
#[inline(always)]
pub(crate) fn byte_stop(bytes: &[u8], at: usize, wanted: u8) -> usize {
    run(bytes, at, |text| kernel::is(text, wanted))
}

/// Returns the position of the first space or `wanted` byte at or after `at`, or the length if there
/// is none.
#[inline(always)]
pub(crate) fn space_or(bytes: &[u8], at: usize, wanted: u8) -> usize {
    run(bytes, at, |text| kernel::is(text, wanted) | kernel::is(text, b' '))
}

#[inline(always)]
fn run(bytes: &[u8], at: usize, stops: impl Fn(u8x16) -> u8x16) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((chunk, more)) = rest.split_first_chunk::<STEP>() {
        let flags = kernel::bits(stops(u8x16::new(*chunk)));
        if flags != 0 {
            return bytes.len() - rest.len() + flags.trailing_zeros() as usize;
        }
        rest = more;
    }
    bytes.len() - rest.len() + run_at_end(rest, stops)
}

#[inline(never)]
fn run_at_end(rest: &[u8], stops: impl Fn(u8x16) -> u8x16) -> usize {
    let flags = kernel::bits(stops(u8x16::new(window_at_end(rest, 0).to_le_bytes())));
    (flags.trailing_zeros() as usize).min(rest.len())
}

/// Returns whether `text` starts with a string of exactly this length, at least [`FIXED_MIN`], and
/// its quote. The start of the next literal then does not depend on the bytes: the branch predictor
/// has already continued.
#[inline(always)]
pub(crate) fn is_string(text: &[u8], len: usize) -> bool {
    text.get(len) == Some(&b'"') && passes(text, len, kernel::ends_string)
}

/// Returns whether `text` starts with a word of exactly this length, at least [`FIXED_MIN`].
#[inline(always)]
pub(crate) fn is_word(text: &[u8], len: usize) -> bool {
    text.get(len).is_some_and(|byte| *byte <= b' ') && passes(text, len, kernel::ends_word)
}

/// Returns whether no byte of the first `len` bytes stops a run.
#[inline(always)]
fn passes(text: &[u8], len: usize, stops: impl Fn(u8x16) -> u8x16) -> bool {
    let Some(text) = text.get(..len) else { return false };
    // the last vector overlaps the one before it
    let Some(last) = text.last_chunk::<STEP>() else { return false };
    let mut flags = stops(u8x16::new(*last));
    let mut rest = text;
    while let Some((chunk, more)) = rest.split_first_chunk::<STEP>()
        && !more.is_empty()
    {
        flags |= stops(u8x16::new(*chunk));
        rest = more;
    }
    kernel::bits(flags) == 0
}

/// Returns how many of the next eight bytes are digits, up to the first that is not a digit.
#[inline(always)]
pub(crate) fn digits(bytes: &[u8], at: usize) -> usize {
    kernel::digits(window(bytes, at) as u64)
}

/// Returns the end of the JSON number at `at` (RFC 8259 section 6), or `None` if there is none.
/// Ignores what follows the number.
#[inline(always)]
pub(crate) fn number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let Some(first) = word(bytes, at) else {
        return number_end_any(bytes, at);
    };
    let count = kernel::digits(first);
    // up to 7 digits without a leading zero; the byte after them is then in the word
    if (1..WORD).contains(&count) && (count == 1 || first as u8 != b'0') {
        let end = at + count;
        match (first >> (8 * count)) as u8 {
            b'.' => {
                if let Some(fraction) = word(bytes, end + 1) {
                    let places = kernel::digits(fraction);
                    let exponent = (fraction >> (8 * (places & 7))) as u8 | 0x20 == b'e';
                    if (1..WORD).contains(&places) && !exponent {
                        return Some(end + 1 + places);
                    }
                }
            }
            b'e' | b'E' => {}
            _ => return Some(end),
        }
    }
    number_end_any(bytes, at)
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..)?.first_chunk::<WORD>()?;
    Some(u64::from_le_bytes(*chunk))
}

#[inline(never)]
fn number_end_any(bytes: &[u8], mut at: usize) -> Option<usize> {
    if byte(bytes, at) == b'-' {
        at += 1;
    }
    at = match byte(bytes, at) {
        b'0' => at + 1,
        _ => digits_end(bytes, at)?,
    };
    if byte(bytes, at) == b'.' {
        at = digits_end(bytes, at + 1)?;
    }
    if byte(bytes, at) | 0x20 == b'e' {
        at += 1;
        if matches!(byte(bytes, at), b'+' | b'-') {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Some(at)
}

fn digits_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while byte(bytes, end).is_ascii_digit() {
        end += 1;
    }
    (end > at).then_some(end)
}

/// Returns the byte at `at`; zero past the end.
#[inline(always)]
pub(crate) fn byte(bytes: &[u8], at: usize) -> u8 {
    match bytes.get(at) {
        Some(&byte) => byte,
        None => 0,
    }
}

/// Flags the bytes that end a run: all bits of a byte are set, or none.
mod kernel {
    use wide::u8x16;

    const HIGH: u64 = all(0x80);

    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }

    /// Returns the index of the first flagged byte; 8 if there is none.
    #[inline(always)]
    pub(super) fn first(flags: u64) -> usize {
        (flags.trailing_zeros() / 8) as usize
    }

    /// Returns a bit for each byte.
    #[inline(always)]
    pub(super) fn bits(flags: u8x16) -> u32 {
        flags.to_bitmask()
    }

    /// Flags one byte value.
    #[inline(always)]
    pub(super) fn is(text: u8x16, byte: u8) -> u8x16 {
        text.simd_eq(u8x16::splat(byte))
    }

    /// Flags quotes, backslashes and control characters.
    #[inline(always)]
    pub(super) fn ends_string(text: u8x16) -> u8x16 {
        // with the second bit flipped, a quote is 0x20 and a control character stays below it
        let turned = text ^ u8x16::splat(0x02);
        let low = turned.min(u8x16::splat(0x20)).simd_eq(turned);
        low | is(text, b'\\')
    }

    /// Flags spaces and control characters.
    #[inline(always)]
    pub(super) fn ends_word(text: u8x16) -> u8x16 {
        text.min(u8x16::splat(b' ')).simd_eq(text)
    }

    /// Returns how many digits a word starts with. These flags are all exact.
    #[inline(always)]
    pub(super) fn digits(text: u64) -> usize {
        let value = text ^ all(b'0');
        first((((value & !HIGH).wrapping_add(all(0x80 - 10))) | value) & HIGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8], stop: impl Fn(u8) -> bool) -> usize {
        bytes.iter().position(|b| stop(*b)).unwrap_or(bytes.len())
    }

    fn any_byte() -> impl Strategy<Value = u8> {
        prop_oneof![
            any::<u8>(),
            Just(b'"'),
            Just(b'\\'),
            Just(b'\n'),
            Just(0x1b),
            b'/'..b':',
            0x1eu8..0x23,
            0x7eu8..0x82,
            Just(b'a')
        ]
    }

    proptest! {
        /// The functions on words agree with a loop over the bytes.
        #[test]
        fn property_runs_end_where_a_loop_ends_them(bytes in proptest::collection::vec(any_byte(), 0..40)) {
            let special = |b| b == b'"' || b == b'\\' || b < 0x20;
            let stop = naive(&bytes, special);
            prop_assert_eq!(string_stop(&bytes, 0), stop);
            prop_assert_eq!(word_stop(&bytes, 0), naive(&bytes, |b| b <= 0x20));
            prop_assert_eq!(quote_or_newline(&bytes), naive(&bytes, |b| b == b'"' || b == b'\n'));
            prop_assert_eq!(newline_or_escape(&bytes), naive(&bytes, |b| b == b'\n' || b == 0x1b));
            prop_assert_eq!(byte_stop(&bytes, 0, b'/'), naive(&bytes, |b| b == b'/'));
            prop_assert_eq!(space_or(&bytes, 0, b'/'), naive(&bytes, |b| b == b'/' || b == b' '));
            for len in FIXED_MIN..bytes.len() {
                prop_assert_eq!(is_string(&bytes, len), stop == len && bytes[len] == b'"');
                prop_assert_eq!(is_word(&bytes, len), naive(&bytes, |b| b <= 0x20) == len);
            }
        }

        /// A number ends where serde_json's grammar ends it.
        #[test]
        fn property_number_grammar(text in "-?[0-9]{0,20}(\\.[0-9]{0,18})?([eE][-+]?[0-9]{0,3})?") {
            let whole = number_end(text.as_bytes(), 0) == Some(text.len());
            let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&text);
            prop_assert_eq!(whole, parsed.is_ok(), "{}", text);
        }
    }

    #[test]
    fn runs_longer_than_a_step_and_at_the_end() {
        let text = format!("{}\"x", "a".repeat(40));
        assert_eq!(string_stop(text.as_bytes(), 0), 40);
        assert_eq!(string_stop(text.as_bytes(), 41), 42, "the end stops");
        assert_eq!(word_stop(b"abc def", 0), 3);
        assert_eq!(word_stop(b"abc", 0), 3);
        assert!(is_string(text.as_bytes(), 40) && !is_string(text.as_bytes(), 39));
        assert_eq!(window(b"ab", 7), 0);
    }
}
