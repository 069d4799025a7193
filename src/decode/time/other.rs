//! The shapes of a time that busy loggers do not write: epoch numbers, RFC 3164, a time of day, twelve-hour
//! clocks, RFC 1123 and ctime. What a text leaves out is the nearest to the arrival.

use super::civil::{self, DAY, Stamp, two};
use jiff::fmt::{rfc2822, strtime};

/// The smallest number that is taken for seconds since the epoch (1973): a smaller one counts something else.
const EPOCH_SECONDS_MIN: u64 = 100_000_000;

/// Reads `text`; `now` is the arrival on the wall clock of the zone, in civil seconds.
pub(super) fn parse(text: &str, now: i64) -> Option<Stamp> {
    let bytes = text.as_bytes();
    match bytes {
        [_, _, b':', ..] => time_of_day(bytes, now),
        [b'0'..=b'9', _, b'/', _, _, b'/', ..] => twelve_hours(bytes),
        [b'0'..=b'9', ..] => epoch(text).or_else(|| by_jiff(text)),
        [m1, m2, m3, b' ', ..] => {
            rfc3164([*m1, *m2, *m3], &bytes[4..], now).or_else(|| by_jiff(text))
        }
        _ => by_jiff(text),
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by magnitude.
fn epoch(text: &str) -> Option<Stamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        // 1.7639e9: no logger's habit, but a JSON number
        let value = text.parse::<f64>().ok().filter(|v| (1e8..1e11).contains(v))?;
        let seconds = value.trunc();
        let nanos = ((value - seconds) * 1e9) as u32;
        return Some(Stamp { seconds: seconds as i64, nanos, offset: Some(0) });
    }
    let whole = whole.parse::<u64>().ok()?;
    let (per_second, nanos_each) = match whole {
        0..EPOCH_SECONDS_MIN => return None,
        // each bound is the year 5138 in the smaller unit and 1973 in the larger
        EPOCH_SECONDS_MIN..100_000_000_000 => (1, 1_000_000_000),
        100_000_000_000..100_000_000_000_000 => (1_000, 1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => (1_000_000, 1_000),
        _ => (1_000_000_000, 1),
    };
    let below = match civil::fraction(fraction.as_bytes()) {
        Some((nanos, _)) => nanos as u64 * nanos_each / 1_000_000_000,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let nanos = whole % per_second * nanos_each + below;
    Some(Stamp { seconds: (whole / per_second) as i64, nanos: nanos as u32, offset: Some(0) })
}

/// `Nov 21 10:00:00`, the day padded with a space or a zero or not at all: of the years around the arrival
/// the one that lies nearest.
fn rfc3164(name: [u8; 3], rest: &[u8], now: i64) -> Option<Stamp> {
    let month = civil::month(name)?;
    let (day, rest) = match rest {
        [b' ', ones, b' ', rest @ ..] | [ones, b' ', rest @ ..] => (two(b'0', *ones), rest),
        [tens, ones, b' ', rest @ ..] => (two(*tens, *ones), rest),
        _ => return None,
    };
    let (within, nanos, offset) = clock(rest)?;
    let year = civil::year_of(now / DAY);
    let nearest = (year - 1..=year + 1)
        .filter_map(|year| Some(civil::days(year, month, day)? * DAY + within))
        .min_by_key(|seconds| seconds.abs_diff(now))?;
    Some(Stamp { seconds: nearest, nanos, offset })
}

/// `12:00:00`: today, or the day before or after where that lies nearer to the arrival.
fn time_of_day(bytes: &[u8], now: i64) -> Option<Stamp> {
    let (within, nanos, offset) = clock(bytes)?;
    let today = now.div_euclid(DAY) * DAY + within;
    let seconds = [today - DAY, today, today + DAY]
        .into_iter()
        .min_by_key(|seconds| seconds.abs_diff(now))?;
    Some(Stamp { seconds, nanos, offset })
}

/// `HH:MM:SS` with what may follow: seconds since midnight, nanoseconds, offset.
fn clock(bytes: &[u8]) -> Option<(i64, u32, Option<i32>)> {
    let [h1, h2, b':', m1, m2, rest @ ..] = bytes else { return None };
    let (hour, minute) = (two(*h1, *h2), two(*m1, *m2));
    let (second, nanos, offset) = civil::tail(rest)?;
    (hour < 24 && minute < 60).then_some((
        (hour * 3600 + minute * 60 + second) as i64,
        nanos,
        offset,
    ))
}

/// `01/02/2026 03:04:05 PM`: the form of Python's logging HOWTO, the month first; only with AM or PM,
/// which nobody writes who puts the day first.
fn twelve_hours(bytes: &[u8]) -> Option<Stamp> {
    let [m1, m2, b'/', d1, d2, b'/', y1, y2, y3, y4, b' ', rest @ ..] = bytes else { return None };
    let (rest, [b' ', half, b'M' | b'm']) = rest.split_last_chunk::<3>()? else { return None };
    let (within, nanos, offset) = clock(rest)?;
    let hour = within / 3600;
    if !(1..=12).contains(&hour) {
        return None;
    }
    let afternoon = match half.to_ascii_uppercase() {
        b'A' => 0,
        b'P' => 12,
        _ => return None,
    };
    let within = within - hour * 3600 + (hour % 12 + afternoon) * 3600;
    let year = two(*y1, *y2) * 100 + two(*y3, *y4);
    let day = civil::days(year, two(*m1, *m2), two(*d1, *d2))?;
    Some(Stamp { seconds: day * DAY + within, nanos, offset })
}

/// RFC 1123, ctime and ISO 8601's basic form, by the library.
fn by_jiff(text: &str) -> Option<Stamp> {
    let instant = |at: jiff::Timestamp| Stamp {
        seconds: at.as_nanosecond().div_euclid(1_000_000_000) as i64,
        nanos: at.as_nanosecond().rem_euclid(1_000_000_000) as u32,
        offset: Some(0),
    };
    if let Ok(at) = rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(instant(at));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(instant(at));
    }
    let civil = strtime::parse("%a %b %e %H:%M:%S %Y", text).ok()?.to_datetime().ok()?;
    let day = civil::days(civil.year() as u32, civil.month() as u32, civil.day() as u32)?;
    let within = civil.hour() as i64 * 3600 + civil.minute() as i64 * 60 + civil.second() as i64;
    Some(Stamp { seconds: day * DAY + within, nanos: 0, offset: None })
}
