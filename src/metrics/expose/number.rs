//! Writes numbers as the formats require: integers digit by digit, doubles as the shortest text
//! that reads back as the same number.

use super::page::copy;
use crate::clock::UnixNanos;
use std::io::Write;

/// All pairs of decimal digits: they save half of the divisions.
const PAIRS: [u8; 200] = pairs();

const fn pairs() -> [u8; 200] {
    let mut pairs = [0; 200];
    let mut n = 0;
    while n < 100 {
        pairs[2 * n] = b'0' + (n / 10) as u8;
        pairs[2 * n + 1] = b'0' + (n % 10) as u8;
        n += 1;
    }
    pairs
}

/// Writes an integer.
#[inline]
pub(super) fn integer(out: &mut Vec<u8>, mut value: u64) {
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    while value >= 10 {
        let pair = 2 * (value % 100) as usize;
        value /= 100;
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value > 0 {
        start -= 1;
        digits[start] = b'0' + value as u8;
    }
    copy(out, &digits[start..]);
}

/// Writes the value of a sample: as an integer if it is one, else as the shortest text that reads
/// back.
pub(super) fn double(out: &mut Vec<u8>, value: f64) {
    // below 2^53 every integer is a double and the cast is exact
    if value.abs() < 9_007_199_254_740_992.0 && value.fract() == 0.0 {
        if value < 0.0 {
            out.push(b'-');
        }
        integer(out, value.abs() as u64);
    } else if let Some(word) = not_finite(value) {
        out.extend_from_slice(word.as_bytes());
    } else {
        // outside of this range `{}` would print a row of zeros
        let plain = (1e-7..1e17).contains(&value.abs());
        let done = if plain { write!(out, "{value}") } else { write!(out, "{value:e}") };
        done.expect("a Vec takes everything");
    }
}

/// Writes a bucket's bound as Go's `%g` does, because Prometheus' own libraries write bounds that
/// way in both formats; OpenMetrics appends `.0` to a whole number.
pub(super) fn bound(out: &mut Vec<u8>, value: f64, open: bool) {
    if let Some(word) = not_finite(value) {
        return out.extend_from_slice(word.as_bytes());
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the format's exponent is a number");
    let done = if (-4..6).contains(&exponent) {
        let whole = open && value.fract() == 0.0;
        write!(out, "{value}{}", if whole { ".0" } else { "" })
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.abs())
    };
    done.expect("a Vec takes everything");
}

/// Writes a time as seconds with milliseconds, the precision of Prometheus.
pub(super) fn seconds(out: &mut Vec<u8>, at: UnixNanos) {
    integer(out, at.seconds());
    let millis = at.0 / 1_000_000 % 1000;
    out.push(b'.');
    out.push(b'0' + (millis / 100) as u8);
    let pair = 2 * (millis % 100) as usize;
    out.extend_from_slice(&PAIRS[pair..pair + 2]);
}

/// Writes bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn not_finite(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn doubles() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (9007199254740992.0, "9007199254740992"),
            (1e17, "1e17"),
            (1.5e300, "1.5e300"),
            (2.5e-9, "2.5e-9"),
            (-1e-7, "-0.0000001"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| double(out, value)), expected);
        }
    }

    /// The examples of the OpenMetrics specification, "Canonical Numbers".
    #[test]
    fn bounds_are_canonical() {
        let cases = [
            (0.0, "0", "0.0"),
            (0.001, "0.001", "0.001"),
            (0.1, "0.1", "0.1"),
            (1.0, "1", "1.0"),
            (2.5, "2.5", "2.5"),
            (10.0, "10", "10.0"),
            (-5.0, "-5", "-5.0"),
            (100000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (1234567.0, "1.234567e+06", "1.234567e+06"),
            (1e10, "1e+10", "1e+10"),
            (1e100, "1e+100", "1e+100"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (1e-10, "1e-10", "1e-10"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ];
        for (value, classic, open) in cases {
            assert_eq!(text(|out| bound(out, value, false)), classic);
            assert_eq!(text(|out| bound(out, value, true)), open);
        }
    }

    #[test]
    fn times_and_ids() {
        assert_eq!(
            text(|out| seconds(out, UnixNanos(1_700_000_000_007_999_999))),
            "1700000000.007"
        );
        assert_eq!(text(|out| seconds(out, UnixNanos(0))), "0.000");
        assert_eq!(text(|out| hexadecimal(out, &[0, 0x1f, 0xa0])), "001fa0");
    }

    proptest! {
        #[test]
        fn property_integers_as_std_writes_them(value: u64, shift in 0..64u32) {
            let value = value >> shift;
            prop_assert_eq!(text(|out| integer(out, value)), value.to_string());
        }

        #[test]
        fn property_doubles_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            for text in [text(|out| double(out, value)), text(|out| bound(out, value, true))] {
                let read: f64 = text.parse().expect("a number");
                let same = read.to_bits() == value.to_bits() || value == 0.0 && read == 0.0;
                prop_assert!(same || read.is_nan() && value.is_nan(), "{}", text);
            }
        }
    }
}
