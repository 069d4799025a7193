//! Parses numbers in lines: the digits become an integer, followed by one division. What this path
//! cannot do exactly (long mantissas, exponents) goes to the standard library, so that every value
//! equals `str::parse::<f64>`. Milliseconds are divided by 1000, never multiplied by 0.001.

use super::field::Unit;

/// Powers of ten that a double represents exactly.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Parses a decimal number: optional sign, digits, optional fraction, optional exponent. Returns
/// `None` for anything else, also for `inf` and `nan`.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let mut mantissa = 0u64;
    let mut fraction = usize::MAX;
    // 15 digits and a point: below 2^53, so that one division rounds once, as the exact parser does
    if bytes.is_empty() || bytes.len() > 16 {
        return general(text);
    }
    for (index, &byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + digit as u64;
        } else if byte == b'.' && fraction == usize::MAX {
            fraction = index;
        } else {
            return general(text);
        }
    }
    if fraction == usize::MAX {
        if bytes.len() > 15 {
            return general(text);
        }
        return Some(mantissa as f64);
    }
    let places = bytes.len() - 1 - fraction;
    if fraction == 0 || places == 0 {
        return general(text);
    }
    Some(mantissa as f64 / POWERS[places])
}

/// Parses the decimal number of `len` bytes at `start`, as [`decimal`] does. If eight bytes end
/// with the number, whatever precedes it, one load reads them all.
#[inline]
pub(crate) fn decimal_at(whole: &str, start: usize, len: usize) -> Option<f64> {
    let until = whole.as_bytes().get(..start + len);
    if let Some(word) = until.and_then(|until| until.last_chunk::<8>())
        && let Some(value) = short(u64::from_le_bytes(*word), len)
    {
        return Some(value);
    }
    decimal(whole.get(start..start + len)?)
}

/// Parses the last `count` bytes of a word, up to eight, digits with or without a point between
/// them. It handles all bytes at once without a branch per byte, because branch prediction fails on
/// the varying lengths of durations.
#[inline]
fn short(word: u64, count: usize) -> Option<f64> {
    if !(1..=8).contains(&count) {
        return None;
    }
    // the last byte becomes the highest, with zeros before the first: leading zeros change no
    // number
    let left = 8 * (8 - count);
    let digits = (word ^ all(b'0')) & (u64::MAX << left);
    let others = other_than_digits(digits);
    if others == 0 {
        return Some(joined(digits) as f64);
    }
    let point = others.trailing_zeros() as usize & 0x38;
    if point == left || point == 56 || (digits >> point) as u8 != b'.' ^ b'0' {
        return None;
    }
    // the digits before the point move over the point
    let below = (1u64 << point) - 1;
    let digits = (digits & below) << 8 | digits & !(below << 8 | 0xff);
    let places = 7 - point / 8;
    (other_than_digits(digits) == 0).then(|| joined(digits) as f64 / POWERS[places])
}

const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Sets bits in the upper half of every byte above 9; exact up to the first such byte.
#[inline]
fn other_than_digits(digits: u64) -> u64 {
    (digits.wrapping_add(all(6)) | digits) & all(0xf0)
}

/// Combines eight digits, the first in the lowest byte, into a number: tens, hundreds and ten
/// thousands, each with its neighbour.
#[inline]
fn joined(digits: u64) -> u64 {
    let pairs = (digits * 10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[cold]
fn general(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.as_bytes().first().is_some_and(|b| b.is_ascii_digit() || *b == b'.') {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Parses a duration in seconds: a number in the unit of its key, or text that contains its unit
/// (`12.5ms`, `0.12s`, `1m30s`, `3 seconds`). A negative value is not a duration.
#[inline]
pub(crate) fn seconds(text: &str, unit: Unit) -> Option<f64> {
    seconds_at(text, 0, text.len(), unit)
}

/// Parses the `len` bytes at `start`, as [`seconds`] does.
#[inline]
pub(crate) fn seconds_at(whole: &str, start: usize, len: usize, unit: Unit) -> Option<f64> {
    let value = match whole.as_bytes().get(start..start + len)? {
        // one number and one unit, by far the most frequent text; `with_unit` reads all others
        [.., b'0'..=b'9', b'm', b's'] => one_unit(whole, start, len, 2, 1e3)?,
        [.., b'0'..=b'9', b's'] => one_unit(whole, start, len, 1, 1.0)?,
        _ => match decimal_at(whole, start, len) {
            // without a unit the result is NaN, for which the comparison below is false
            Some(number) => number / unit.per_second().unwrap_or(f64::NAN),
            None => with_unit(whole.get(start..start + len)?)?,
        },
    };
    (value >= 0.0).then_some(value)
}

/// Parses a number with a unit of `suffix` bytes after it.
#[inline]
fn one_unit(whole: &str, start: usize, len: usize, suffix: usize, per_second: f64) -> Option<f64> {
    let text = whole.get(start..start + len)?;
    // neither a sign nor an exponent may precede a unit
    let is_plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    if text.as_bytes()[..len - suffix].iter().all(is_plain)
        && let Some(number) = decimal_at(whole, start, len - suffix)
    {
        return Some(number / per_second);
    }
    with_unit(text)
}

/// Parses a duration with units, as Go, Python and people write it, into seconds.
#[cold]
pub(crate) fn with_unit(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    if rest.contains(':') {
        return clock(rest);
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number = decimal(&rest[..number_end])?;
        rest = rest[number_end..].trim_start();
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(rest.len());
        let per_second = match &rest[..unit_end] {
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "ms" | "msec" | "millis" | "milliseconds" | "millisecond" => 1e3,
            "us" | "\u{b5}s" | "\u{3bc}s" | "usec" | "micros" | "microseconds" => 1e6,
            "ns" | "nanos" | "nanoseconds" => 1e9,
            "m" | "min" | "mins" | "minute" | "minutes" => 1.0 / 60.0,
            "h" | "hour" | "hours" => 1.0 / 3600.0,
            _ => return None,
        };
        total += number / per_second;
        rest = rest[unit_end..].trim_start();
    }
    Some(total)
}

/// Parses `hours:minutes:seconds`, as .NET and Python print a time span; days may precede it
/// (`1.02:03:04`).
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || minutes.len() != 2 || seconds.as_bytes().get(..2)?.contains(&b'.')
    {
        return None;
    }
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if ![days, hours, minutes].into_iter().all(is_number) {
        return None;
    }
    let (days, hours, minutes) = (decimal(days)?, decimal(hours)?, decimal(minutes)?);
    Some(((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + decimal(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, unit, expected) in [
            ("12", Unit::Milliseconds, Some(0.012)),
            ("0.25", Unit::Seconds, Some(0.25)),
            ("1500", Unit::Microseconds, Some(0.0015)),
            ("7000000", Unit::Nanoseconds, Some(0.007)),
            ("12", Unit::None, None),
            ("12.5ms", Unit::None, Some(0.0125)),
            ("0.12s", Unit::None, Some(0.12)),
            ("1m30s", Unit::None, Some(90.0)),
            ("3 seconds", Unit::None, Some(3.0)),
            ("250\u{b5}s", Unit::None, Some(0.00025)),
            ("12ms", Unit::Seconds, Some(0.012)),
            ("-1", Unit::Seconds, None),
            ("0", Unit::Seconds, Some(0.0)),
            ("fast", Unit::Seconds, None),
            ("", Unit::Seconds, None),
            ("5parsecs", Unit::None, None),
            ("00:00:00.0125000", Unit::None, Some(0.0125)),
            ("0:01:30", Unit::None, Some(90.0)),
            ("1.01:00:00", Unit::None, Some(90_000.0)),
            ("10:30", Unit::None, None),
            ("a:00:00", Unit::None, None),
        ] {
            assert_eq!(seconds(text, unit), expected, "{text:?} {unit:?}");
        }
    }

    proptest! {
        /// Short texts of bytes near digits and points are numbers exactly if the standard library
        /// accepts them.
        #[test]
        fn property_short_texts(text in "[-./0-9:e ]{0,9}") {
            let digit = text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let expected = text.parse::<f64>().ok().filter(|v| v.is_finite() && digit);
            prop_assert_eq!(decimal(&text), expected);
            let line = format!("ab{text},\"c\":1}}");
            prop_assert_eq!(decimal_at(&line, 2, text.len()), expected);
        }

        /// A duration with one unit has the same value as when every unit is read.
        #[test]
        fn property_one_unit_equals_any(text in "[-+]?[0-9.me]{0,12}(ms|s|m2s|ns)") {
            let expected = with_unit(&text).filter(|value| *value >= 0.0);
            prop_assert_eq!(seconds(&text, Unit::None), expected, "{}", text);
        }

        /// Every text that is a number gives exactly the double of the standard library.
        #[test]
        fn property_equals_the_standard_parser(text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|v| v.is_finite());
            prop_assert_eq!(decimal(&text), expected);
        }
    }
}
