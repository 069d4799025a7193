//! Converts dates, minutes and offsets to numbers. Pure arithmetic of the proleptic Gregorian
//! calendar.

/// A time as written: the wall clock's seconds since 1970 as if they were UTC, and the offset, if
/// there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    /// Civil seconds since 1970-01-01T00:00:00, without the offset.
    pub(super) seconds: i64,
    /// The fraction of a second.
    pub(super) nanos: u32,
    /// Seconds east of UTC, if the text contains an offset.
    pub(super) offset: Option<i32>,
}

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Returns the days since 1970-01-01 of a date; `None` if the date does not exist.
#[inline]
pub(super) fn days(year: u32, month: u32, day: u32) -> Option<i64> {
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const LENGTH: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = month.wrapping_sub(1) as usize;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = *LENGTH.get(index)? as u32 + u32::from(leap && index == 1);
    if day.wrapping_sub(1) >= longest || year == 0 {
        return None;
    }
    let years = (year - 1) as i64;
    let leaps = years / 4 - years / 100 + years / 400;
    let within = BEFORE[index] as i64 + i64::from(leap && index > 1) + day as i64 - 1;
    // 719,162 days lie between 0001-01-01 and 1970-01-01
    Some(years * 365 + leaps + within - 719_162)
}

/// Returns the days since 1970 of a day of the year, counted from 1.
pub(super) fn day_of_year(year: u32, day: u32) -> Option<i64> {
    let days = days(year, 1, 1)? + i64::from(day.checked_sub(1)?);
    (year_of(days) == year).then_some(days)
}

/// Returns the year of a day since 1970-01-01, for days from 1970 on.
pub(super) fn year_of(day: i64) -> u32 {
    let mut year = 1970 + (day.max(0) / 366) as u32;
    while days(year + 1, 1, 1).is_some_and(|next| next <= day) {
        year += 1;
    }
    year
}

/// Parses two digits; returns 100 or more if they are not digits.
#[inline]
pub(super) fn two(tens: u8, ones: u8) -> u32 {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { 1000 } else { tens as u32 * 10 + ones as u32 }
}

/// Returns the month of an English abbreviation, 1 to 12, ignoring case.
#[inline]
pub(super) fn month(name: [u8; 3]) -> Option<u32> {
    const NAMES: [[u8; 3]; 12] = [
        *b"jan", *b"feb", *b"mar", *b"apr", *b"may", *b"jun", *b"jul", *b"aug", *b"sep", *b"oct",
        *b"nov", *b"dec",
    ];
    let lower = name.map(|byte| byte | 0x20);
    NAMES.iter().position(|known| *known == lower).map(|index| index as u32 + 1)
}

/// Parses what follows the minute: `:SS` if present, a fraction after `.` or `,`, and a zone.
/// Returns seconds, nanoseconds, offset.
#[inline]
pub(super) fn tail(rest: &[u8]) -> Option<(u32, u32, Option<i32>)> {
    let (second, rest) = match rest {
        [b':', tens, ones, rest @ ..] => (two(*tens, *ones), rest),
        _ => (0, rest),
    };
    if second > 60 {
        return None;
    }
    let (nanos, rest) = match rest {
        [b'.' | b',', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    Some((second, nanos, zone(rest).ok()?))
}

/// Parses the digits of a fraction of a second, any number of them; cuts off those after the ninth.
#[inline]
pub(super) fn fraction(bytes: &[u8]) -> Option<(u32, &[u8])> {
    const SCALE: [u32; 10] =
        [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let mut value = 0u32;
    let mut length = 0;
    while let Some(digit) = bytes.get(length).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        if length < 9 {
            value = value * 10 + digit as u32;
        }
        length += 1;
    }
    (length > 0).then(|| (value * SCALE[length.min(9)], &bytes[length..]))
}

/// Parses a zone: nothing, `Z`, `UTC`, `GMT`, `+HH`, `+HHMM`, `+HH:MM`, with or without a space
/// before it. Returns `Ok(None)` if there is no zone, and an error if the text is not a zone.
#[inline]
pub(super) fn zone(bytes: &[u8]) -> Result<Option<i32>, ()> {
    let bytes = match bytes {
        [b' ', rest @ ..] if !rest.is_empty() => rest,
        other => other,
    };
    let (sign, hours, minutes) = match bytes {
        [] => return Ok(None),
        [b'Z' | b'z'] | b"UTC" | b"GMT" => return Ok(Some(0)),
        [sign @ (b'+' | b'-'), h1, h2] => (sign, two(*h1, *h2), 0),
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] | [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            (sign, two(*h1, *h2), two(*m1, *m2))
        }
        _ => return Err(()),
    };
    if hours > 23 || minutes > 59 {
        return Err(());
    }
    let east = (hours * 3600 + minutes * 60) as i32;
    Ok(Some(if *sign == b'-' { -east } else { east }))
}
