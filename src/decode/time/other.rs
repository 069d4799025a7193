//! Parses times that the minute cache does not handle: every form of [`shape`], epoch numbers, RFC
//! 1123, TAI64N labels. The arrival supplies the year or the day that a text omits.

use super::civil::{self, DAY, Stamp};
use super::shape::{self, Date, Moment};
use jiff::fmt::rfc2822;

/// The smallest number that is accepted as seconds since the epoch (1973): a smaller one is a
/// count.
const EPOCH_SECONDS_MIN: u64 = 100_000_000;

/// How far the clock of a sender may be ahead, in seconds: of a time without a year that is further
/// ahead, the year before is meant.
const AHEAD_MAX: i64 = 7 * DAY;

/// Parses `text`; `now` is the arrival on the wall clock of the zone, in civil seconds.
pub(super) fn parse(text: &str, now: i64) -> Option<Stamp> {
    match shape::read(text.as_bytes()) {
        Some(moment) if moment.length == text.len() => dated(&moment, now),
        _ if text.as_bytes().first().is_some_and(u8::is_ascii_digit) => {
            epoch(text).or_else(|| by_jiff(text))
        }
        _ if text.starts_with('@') => tai64n(text),
        _ => by_jiff(text),
    }
}

/// Fills in what the text omits: the day that is nearest to the arrival; the year in which the time
/// is the latest that the arrival allows, because no line arrives before it is written.
fn dated(moment: &Moment, now: i64) -> Option<Stamp> {
    let within = i64::from(moment.seconds);
    let nearest = |days: [Option<i64>; 3]| {
        let all = days.into_iter().flatten().map(|day| day * DAY + within);
        all.min_by_key(|seconds| seconds.abs_diff(now))
    };
    let seconds = match moment.date {
        Date::Full(days) => days * DAY + within,
        Date::MonthDay(month, day) => {
            let year = civil::year_of(now / DAY);
            let days = [year - 1, year, year + 1].map(|year| civil::days(year, month, day));
            let latest = now + AHEAD_MAX;
            let past = days.into_iter().flatten().map(|day| day * DAY + within);
            past.filter(|seconds| *seconds <= latest).max().or_else(|| nearest(days))?
        }
        Date::None => {
            let today = now.div_euclid(DAY);
            nearest([today - 1, today, today + 1].map(Some))?
        }
        Date::Ambiguous => return None,
    };
    Some(Stamp { seconds, nanos: moment.nanos, offset: moment.offset })
}

/// Parses seconds, milliseconds, microseconds or nanoseconds since the epoch, distinguished by
/// magnitude.
fn epoch(text: &str) -> Option<Stamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        // 1.7639e9: loggers do not write this form, but it is a JSON number
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

/// Parses the label of daemontools and runit: 2^62 + 10 plus the seconds since 1970, and
/// nanoseconds, in hexadecimal digits. These programs add 10 seconds to the system's clock and do
/// not count leap seconds.
fn tai64n(text: &str) -> Option<Stamp> {
    const EPOCH: i64 = (1 << 62) + 10;
    let (seconds, nanos) = text.get(1..25).filter(|_| text.len() == 25)?.split_at(16);
    let seconds = i64::from_str_radix(seconds, 16).ok()?.checked_sub(EPOCH)?;
    let nanos = u32::from_str_radix(nanos, 16).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Stamp { seconds, nanos, offset: Some(0) })
}

/// Parses RFC 1123 with its obsolete zones, with the library jiff.
fn by_jiff(text: &str) -> Option<Stamp> {
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let nanos = at.as_nanosecond();
    Some(Stamp {
        seconds: nanos.div_euclid(1_000_000_000) as i64,
        nanos: nanos.rem_euclid(1_000_000_000) as u32,
        offset: Some(0),
    })
}
