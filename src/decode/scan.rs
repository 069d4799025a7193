//! Where a run of bytes ends: 16 bytes a step, in words, without a branch a byte. (Vectors would be faster, but
//! are not reached from safe code.) Reads past the end of the text see zero bytes, which stop every run. Never allocates, never looks at what the bytes mean. Unit: one run.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

/// Strings of one length are taken as such from this length on...
pub(crate) const FIXED_MIN: usize = 8;
/// ...and up to this one: ids and times are shorter.
pub(crate) const FIXED_MAX: usize = 64;

/// Bytes looked at in one step.
pub(crate) const STEP: usize = 16;

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

/// Position of the first quote, backslash or control character at or after `at`; the length of `bytes`, or
/// a little more, where there is none.
#[inline(always)]
pub(crate) fn string_stop(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let count = kernel::string(window(bytes, at));
        at += count;
        if count < STEP {
            return at;
        }
    }
}

/// Whether a string of this very length, at least [`FIXED_MIN`], stands at `at`, its quote behind it. Where the
/// next literal starts then does not wait for the bytes: the branch predictor has gone on already.
#[inline(always)]
pub(crate) fn is_string(bytes: &[u8], at: usize, len: usize) -> bool {
    let Some(text) = bytes.get(at..).and_then(|rest| rest.get(..len + 1)) else {
        return false;
    };
    let text = &text[..len];
    let mut stops = (bytes[at + len] ^ b'"') as u64;
    if let Some(last) = text.last_chunk::<STEP>() {
        let mut from = 0;
        while from + STEP < len {
            stops |= kernel::string_stops(window(text, from));
            from += STEP;
        }
        stops |= kernel::string_stops(u128::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        stops |= kernel::string_flags(u64::from_le_bytes(*first));
        stops |= kernel::string_flags(u64::from_le_bytes(*last));
    } else {
        return false;
    }
    stops == 0
}

/// Position of the first space or control character at or after `at`; as [`string_stop`] at the end.
#[inline(always)]
pub(crate) fn word_stop(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let count = kernel::word(window(bytes, at));
        at += count;
        if count < STEP {
            return at;
        }
    }
}

/// The end of the JSON number at `at` (RFC 8259 section 6), or `None` where there is none. What follows the
/// number is not looked at.
#[inline(always)]
pub(crate) fn number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let first = window(bytes, at);
    let count = kernel::digits(first);
    // up to 15 digits without a leading zero; the next byte is then inside the text or a padding zero
    if (1..STEP).contains(&count) && (count == 1 || first as u8 != b'0') {
        let end = at + count;
        match byte(bytes, end) {
            b'.' => {
                let places = kernel::digits(window(bytes, end + 1));
                let end = end + 1 + places;
                if (1..STEP).contains(&places) && byte(bytes, end) | 0x20 != b'e' {
                    return Some(end);
                }
            }
            b'e' | b'E' => {}
            _ => return Some(end),
        }
    }
    number_end_any(bytes, at)
}

#[cold]
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

/// How many bytes of a window, from its first, lie before the first stop; 16 where there is none. Two words
/// a window and one branch: a borrow or a carry only spoils flags above the first true one.
mod kernel {
    const HIGH: u64 = all(0x80);

    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }

    #[inline(always)]
    fn first(window: u128, stops: impl Fn(u64) -> u64) -> usize {
        let low = stops(window as u64);
        let high = stops((window >> 64) as u64);
        let (flags, before) = if low != 0 { (low, 0) } else { (high, 8) };
        before + (flags.trailing_zeros() / 8) as usize
    }

    #[inline(always)]
    pub(super) fn string(window: u128) -> usize {
        first(window, string_flags)
    }

    /// Not 0 where a word has a quote, a backslash or a control character.
    #[inline(always)]
    pub(super) fn string_flags(text: u64) -> u64 {
        let quote = (text ^ all(b'"')).wrapping_sub(all(1));
        let backslash = (text ^ all(b'\\')).wrapping_sub(all(1));
        (quote | backslash | text.wrapping_sub(all(0x20))) & !text & HIGH
    }

    #[inline(always)]
    pub(super) fn string_stops(window: u128) -> u64 {
        string_flags(window as u64) | string_flags((window >> 64) as u64)
    }

    #[inline(always)]
    pub(super) fn word(window: u128) -> usize {
        first(window, |text| text.wrapping_sub(all(0x21)) & !text & HIGH)
    }

    #[inline(always)]
    pub(super) fn digits(window: u128) -> usize {
        first(window, |text| {
            let value = text ^ all(b'0');
            ((value & !HIGH).wrapping_add(all(0x80 - 10)) | value) & HIGH
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8], stop: impl Fn(u8) -> bool) -> usize {
        bytes.iter().position(|b| stop(*b)).unwrap_or(STEP)
    }

    proptest! {
        /// Words agree with a loop over the bytes.
        #[test]
        fn property_kernels_agree(bytes in proptest::array::uniform16(prop_oneof![
            any::<u8>(), Just(b'"'), Just(b'\\'), b'/'..b':', 0x1eu8..0x23, 0x7eu8..0x82
        ])) {
            let w = u128::from_le_bytes(bytes);
            let string = naive(&bytes, |b| b == b'"' || b == b'\\' || b < 0x20);
            let word = naive(&bytes, |b| b <= 0x20);
            let digits = naive(&bytes, |b| !b.is_ascii_digit());
            prop_assert_eq!(kernel::string(w), string);
            prop_assert_eq!(kernel::word(w), word);
            prop_assert_eq!(kernel::digits(w), digits);
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
        assert_eq!(window(b"ab", 7), 0);
    }
}
