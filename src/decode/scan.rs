//! Where a run of bytes ends: eight bytes a step, in words, without a branch a byte. (Vectors would
//! be faster, but are not reached from safe code.) Past the end of the text stand zero bytes, which
//! stop every run.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

/// Strings of one length are taken as such from this length on...
pub(crate) const FIXED_MIN: usize = 8;
/// ...and up to this one: ids and times are shorter.
pub(crate) const FIXED_MAX: usize = 64;

/// Bytes that a node keeps of either end of its literal.
pub(crate) const STEP: usize = 16;
const WORD: usize = 8;

/// The 16 bytes at `at`, the first one lowest; zeros past the end.
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

/// Position of the first quote, backslash or control character at or after `at`; where there is
/// none, the length of `bytes`.
#[inline(always)]
pub(crate) fn string_stop(bytes: &[u8], at: usize) -> usize {
    run(bytes, at, kernel::string_flags)
}

/// Position of the first space or control character at or after `at`; where there is none, the
/// length.
#[inline(always)]
pub(crate) fn word_stop(bytes: &[u8], at: usize) -> usize {
    run(bytes, at, kernel::word_flags)
}

#[inline(always)]
fn run(bytes: &[u8], at: usize, stops: impl Fn(u64) -> u64) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((chunk, more)) = rest.split_first_chunk::<WORD>() {
        let flags = stops(u64::from_le_bytes(*chunk));
        if flags != 0 {
            return bytes.len() - rest.len() + kernel::first(flags);
        }
        rest = more;
    }
    bytes.len() - rest.len() + kernel::first(stops(window_at_end(rest, 0) as u64))
}

/// Whether a string of this very length, at least [`FIXED_MIN`], is what `text` starts with, its
/// quote behind it. Where the next literal starts then does not wait for the bytes: the branch
/// predictor has gone on already.
#[inline(always)]
pub(crate) fn is_string(text: &[u8], len: usize) -> bool {
    let Some((text, [quote, ..])) = text.split_at_checked(len) else {
        return false;
    };
    let mut stops = (quote ^ b'"') as u64;
    if let Some(last) = text.last_chunk::<STEP>() {
        let mut rest = text;
        while rest.len() > STEP
            && let Some((chunk, more)) = rest.split_first_chunk::<STEP>()
        {
            stops |= kernel::string_stops(u128::from_le_bytes(*chunk));
            rest = more;
        }
        stops |= kernel::string_stops(u128::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) =
        (text.first_chunk::<WORD>(), text.last_chunk::<WORD>())
    {
        stops |= kernel::string_flags(u64::from_le_bytes(*first));
        stops |= kernel::string_flags(u64::from_le_bytes(*last));
    } else {
        return false;
    }
    stops == 0
}

/// The end of the JSON number at `at` (RFC 8259 section 6), or `None` where there is none. What
/// follows the number is not looked at.
#[inline(always)]
pub(crate) fn number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let Some(first) = word(bytes, at) else {
        return number_end_any(bytes, at);
    };
    let count = kernel::digits(first);
    // up to 7 digits without a leading zero; the byte behind them is then in the word
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

/// The byte at `at`; zero past the end.
#[inline(always)]
pub(crate) fn byte(bytes: &[u8], at: usize) -> u8 {
    match bytes.get(at) {
        Some(&byte) => byte,
        None => 0,
    }
}

/// Flags in a word: the high bit of every byte that stops a run. A borrow only spoils flags above
/// the first true one.
mod kernel {
    const HIGH: u64 = all(0x80);

    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }

    /// Index of the first flagged byte; 8 where there is none.
    #[inline(always)]
    pub(super) fn first(flags: u64) -> usize {
        (flags.trailing_zeros() / 8) as usize
    }

    /// A quote, a backslash or a control character.
    #[inline(always)]
    pub(super) fn string_flags(text: u64) -> u64 {
        // with the second bit turned a quote is 0x20 and a control character stays below it
        let low = (text ^ all(0x02)).wrapping_sub(all(0x21));
        let backslash = (text ^ all(b'\\')).wrapping_sub(all(1));
        (low | backslash) & !text & HIGH
    }

    /// The same for 16 bytes, without their places.
    #[inline(always)]
    pub(super) fn string_stops(window: u128) -> u64 {
        string_flags(window as u64) | string_flags((window >> 64) as u64)
    }

    /// A space or a control character.
    #[inline(always)]
    pub(super) fn word_flags(text: u64) -> u64 {
        text.wrapping_sub(all(0x21)) & !text & HIGH
    }

    /// How many digits a word starts with. These flags are all exact.
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
            b'/'..b':',
            0x1eu8..0x23,
            0x7eu8..0x82,
            Just(b'a')
        ]
    }

    proptest! {
        /// Words agree with a loop over the bytes.
        #[test]
        fn property_runs_end_where_a_loop_ends_them(bytes in proptest::collection::vec(any_byte(), 0..40)) {
            let special = |b| b == b'"' || b == b'\\' || b < 0x20;
            let stop = naive(&bytes, special);
            prop_assert_eq!(string_stop(&bytes, 0), stop);
            prop_assert_eq!(word_stop(&bytes, 0), naive(&bytes, |b| b <= 0x20));
            for len in FIXED_MIN..bytes.len() {
                prop_assert_eq!(is_string(&bytes, len), stop == len && bytes[len] == b'"');
            }
        }

        /// The number's end is where serde_json's own grammar ends it.
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
