//! Parses the text of a time into nanoseconds since the epoch: RFC 3339, Python's asctime, the
//! common log format, Go's log, epoch numbers, and shortened forms (no zone, no year, no date).
//! Reads no clock: the arrival time of the line supplies what a text omits. An impossible date is
//! not a time. Unit: one time.

mod civil;
mod other;
pub(crate) mod pattern;
pub(crate) mod shape;
mod zones;

use crate::clock::UnixNanos;
use civil::Stamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

/// The zone of times that are written without a zone.
#[derive(Clone, Default, Debug)]
pub enum Zone {
    /// UTC, the default.
    #[default]
    Utc,
    /// This many seconds east of UTC.
    Fixed(i32),
    /// A zone with daylight saving time.
    Named(TimeZone),
}

/// The minute of the last time that was read, because lines of one minute share their date. Each
/// thread has one per zone.
#[derive(Clone, Debug)]
pub struct MinuteCache {
    /// The first 16 bytes of the last time: up to its minute, or (common log format) its ten
    /// minutes.
    prefix: [u8; 16],
    /// Civil seconds of the prefix.
    seconds: i64,
    /// The last digit of the minute is after the prefix.
    is_clf: bool,
    /// Offset in seconds east of UTC of a time without a zone in this minute; a zone changes only
    /// between minutes.
    offset: Option<i32>,
}

impl Default for MinuteCache {
    fn default() -> Self {
        // 0xff is not a byte of UTF-8, so it equals no text
        MinuteCache { prefix: [0xff; 16], seconds: 0, is_clf: false, offset: None }
    }
}

/// Parses a time. `observed` supplies a year or a date that is omitted; a time without a zone is in
/// `zone`. A leap second becomes the first second of the next minute.
#[inline]
pub fn parse(
    text: &str,
    zone: &Zone,
    observed: UnixNanos,
    cache: &mut MinuteCache,
) -> Option<UnixNanos> {
    let bytes = text.as_bytes();
    let Some((prefix, rest)) = bytes.split_first_chunk::<16>() else {
        return parse_other(text, zone, observed);
    };
    if *prefix != cache.prefix && !learn(prefix, rest, cache) {
        return parse_other(text, zone, observed);
    }
    let mut seconds = cache.seconds;
    let mut rest = rest;
    if cache.is_clf {
        let [digit @ b'0'..=b'9', behind @ ..] = rest else {
            return parse_other(text, zone, observed);
        };
        seconds += (digit - b'0') as i64 * 60;
        rest = behind;
    }
    let Some((second, nanos, offset)) = civil::tail(rest) else {
        return parse_other(text, zone, observed);
    };
    seconds += second as i64;
    let east = match (offset, zone) {
        (Some(east), _) => east,
        (None, Zone::Utc) => 0,
        (None, Zone::Fixed(east)) => *east,
        // the offset of a zone may change within ten minutes: only a whole minute is remembered
        (None, Zone::Named(_)) if cache.is_clf => offset_of(zone, seconds)?,
        (None, Zone::Named(_)) => match cache.offset {
            Some(east) => east,
            None => *cache.offset.insert(offset_of(zone, cache.seconds)?),
        },
    };
    unix(seconds - east as i64, nanos)
}

/// Returns the abbreviation of a zone in the text of a time if several zones share it; the
/// configured zone counts then.
pub fn ambiguous_zone(text: &str) -> Option<&str> {
    zones::ambiguous(text)
}

/// Parses the date and the minute into the cache: `2026-01-02T15:04`, `2026/01/02 15:04`,
/// `02/Jan/2026:15:0`.
fn learn(prefix: &[u8; 16], rest: &[u8], cache: &mut MinuteCache) -> bool {
    let two = civil::two;
    let (date, hour, minute, is_clf) = match *prefix {
        [
            y1,
            y2,
            y3,
            y4,
            b'-',
            m1,
            m2,
            b'-',
            d1,
            d2,
            b'T' | b't' | b' ' | b'_',
            h1,
            h2,
            b':',
            n1,
            n2,
        ]
        | [y1, y2, y3, y4, b'/', m1, m2, b'/', d1, d2, b' ', h1, h2, b':', n1, n2] => {
            let year = two(y1, y2) * 100 + two(y3, y4);
            ((year, two(m1, m2), two(d1, d2)), two(h1, h2), two(n1, n2), false)
        }
        [d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':' | b' ', h1, h2, b':', n1] => {
            let Some(month) = civil::month([m1, m2, m3]) else { return false };
            if !matches!(rest, [_, b':', ..]) {
                return false;
            }
            let year = two(y1, y2) * 100 + two(y3, y4);
            ((year, month, two(d1, d2)), two(h1, h2), two(n1, b'0'), true)
        }
        _ => return false,
    };
    let (year, month, day) = date;
    if year > 9999 || hour > 23 || minute > 59 {
        return false;
    }
    let Some(days) = civil::days(year, month, day) else { return false };
    let seconds = days * civil::DAY + (hour * 3600 + minute * 60) as i64;
    *cache = MinuteCache { prefix: *prefix, seconds, is_clf, offset: None };
    true
}

/// Parses every other form; no busy logger writes one of them.
#[cold]
fn parse_other(text: &str, zone: &Zone, observed: UnixNanos) -> Option<UnixNanos> {
    let now = observed.seconds() as i64;
    let east = match zone {
        Zone::Utc => 0,
        Zone::Fixed(east) => *east,
        Zone::Named(named) => named.to_offset(jiff::Timestamp::from_second(now).ok()?).seconds(),
    };
    let Stamp { seconds, nanos, offset } = other::parse(text.trim(), now + east as i64)?;
    let east = match offset {
        Some(east) => east,
        None => offset_of(zone, seconds)?,
    };
    unix(seconds - east as i64, nanos)
}

/// Returns the seconds east of UTC of a civil time in a zone; in a gap or a fold as RFC 5545
/// chooses.
#[cold]
pub(super) fn offset_of(zone: &Zone, seconds: i64) -> Option<i32> {
    match zone {
        Zone::Utc => Some(0),
        Zone::Fixed(east) => Some(*east),
        Zone::Named(named) => {
            let midnight = date(1970, 1, 1).at(0, 0, 0, 0);
            let civil = midnight.checked_add(jiff::Span::new().try_seconds(seconds).ok()?).ok()?;
            let instant = named.to_timestamp(civil).ok()?.as_second();
            Some((seconds - instant) as i32)
        }
    }
}

/// Converts to Unix time; returns `None` before 1970 and after 2554.
#[inline]
fn unix(seconds: i64, nanos: u32) -> Option<UnixNanos> {
    let whole = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    Some(UnixNanos(whole.checked_add(nanos as u64)?))
}

#[cfg(test)]
mod tests;
