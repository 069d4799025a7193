//! Reads the forms of a time as programs write them: the value of a time at the start of a text,
//! and its end. One function serves both the header of a line, which needs the length, and the
//! value. It does not guess what is ambiguous (day or month first, an abbreviation that several
//! zones share). Unit: one time.

use super::civil;
use super::zones::{ZoneText, abbreviation, zone_at};

/// A time that was read: the wall clock, and what the text contains of date and zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    pub(super) date: Date,
    /// Seconds since midnight of the wall clock.
    pub(super) seconds: u32,
    pub(super) nanos: u32,
    /// Seconds east of UTC, if the text names them without ambiguity.
    pub(super) offset: Option<i32>,
    /// The text names a zone by an abbreviation that has several meanings.
    pub(crate) has_ambiguous_zone: bool,
    /// The length of the time in bytes.
    pub(crate) length: usize,
}

/// The date in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Date {
    /// Days since 1970-01-01.
    Full(i64),
    /// Month and day without a year.
    MonthDay(u32, u32),
    /// No date, only a time of day.
    None,
    /// Numbers of which either may be the month.
    Ambiguous,
}

const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// Reads the time at the start of `bytes`; epoch numbers are not among the forms.
pub(crate) fn read(bytes: &[u8]) -> Option<Moment> {
    let mut text = Cursor { bytes, at: 0 };
    let digits = text.digits();
    let behind = text.peek_at(digits);
    match (digits, behind) {
        (4, b'-' | b'/' | b'.') if matches!(text.digits_at(5), 1..=3) => year_first(text),
        // klog's `0102 03:04:05.000000` and Chromium's `0102/030405.000000`
        (4, b' ' | b'/') => month_day_joined(text),
        (8, b'-' | b' ' | b'T') => compact(text),
        (6, b' ') => two_digit_year(text),
        (1 | 2, b'/') => slashes(text),
        (1 | 2, b'-' | b'.') => dashes(text, behind),
        (1 | 2, b' ') => day_and_name(text),
        (1 | 2, b':') => {
            let clock = text.clock()?;
            // `12:34` alone may be anything
            let is_time = clock.has_seconds || clock.is_half_day;
            is_time.then(|| text.finish(Date::None, clock))?
        }
        (0, b'A'..=b'Z') => names(text),
        _ => None,
    }
}

/// Reads `2026-01-02T03:04:05` with any of the usual separators; `2005-06-03-15.42.50.675872`;
/// ISO 8601's ordinal date, `2026-002T03:04:05`.
fn year_first(mut text: Cursor<'_>) -> Option<Moment> {
    let year = text.number(4, 4)?;
    let separator = text.next()?;
    if text.digits() == 3 {
        let date = Date::Full(civil::day_of_year(year, text.number(3, 3)?)?);
        let clock = text.take(b'T').then(|| text.clock())??;
        return text.finish(date, clock);
    }
    let month = text.number(1, 2)?;
    if !text.take(separator) {
        return None;
    }
    let day = text.number(1, 2)?;
    let date = Date::Full(civil::days(year, month, day)?);
    match text.next()? {
        b'-' => {
            let clock = text.dotted_clock().or_else(|| text.clock())?;
            return text.finish(date, clock);
        }
        b'T' | b't' | b'_' => {}
        b']' if text.take(b'[') => {}
        b' ' => {
            if !(text.peek() == b'-' && text.take(b'-') && text.take(b' ')) {
                text.take(b' ');
            }
        }
        b',' if text.take(b' ') => {}
        _ => return None,
    }
    let clock = text.clock()?;
    text.finish(date, clock)
}

fn month_day_joined(mut text: Cursor<'_>) -> Option<Moment> {
    let both = text.number(4, 4)?;
    let clock = match text.next()? {
        b'/' => text.joined_clock()?,
        _ => text.clock()?,
    };
    let date = month_day(both / 100, both % 100)?;
    text.finish(date, clock)
}

/// Reads `20171223-22:15:29:606`, `20260102 03:04:05`, `20260102T030405Z`.
fn compact(mut text: Cursor<'_>) -> Option<Moment> {
    let date = text.number(8, 8)?;
    let date = Date::Full(civil::days(date / 10_000, date / 100 % 100, date % 100)?);
    text.next();
    let clock = text.joined_clock().or_else(|| text.clock())?;
    text.finish(date, clock)
}

/// Reads `081109 203615`, `260102 03:04:05`, `260102  3:04:05`.
fn two_digit_year(mut text: Cursor<'_>) -> Option<Moment> {
    let date = text.number(6, 6)?;
    let date = Date::Full(civil::days(century(date / 10_000), date / 100 % 100, date % 100)?);
    text.take(b' ');
    text.take(b' ');
    let clock = text.joined_clock().or_else(|| text.clock())?;
    text.finish(date, clock)
}

/// Reads `02/Jan/2026:03:04:05`, `17/06/09 20:10:40`, `01/02/2026 03:04:05 PM`, `01/02 03:04:05`.
fn slashes(mut text: Cursor<'_>) -> Option<Moment> {
    let is_padded = text.digits() == 2;
    let first = text.number(1, 2)?;
    text.take(b'/');
    if let Some(month) = text.month() {
        let date = text.year_behind(b'/', month, first)?;
        if !text.take(b':') && !text.take(b' ') {
            return None;
        }
        let clock = text.clock()?;
        return text.finish(date, clock);
    }
    let second = text.number(1, 2)?;
    let third = if text.take(b'/') { Some((text.digits(), text.number(2, 4)?)) } else { None };
    text.take(b',');
    if !text.take(b' ') {
        return None;
    }
    let clock = text.clock()?;
    let date = match third {
        Some((2, day)) if is_padded => Date::Full(civil::days(century(first), second, day)?),
        Some((2, year)) => Date::Full(civil::days(century(year), first, second)?),
        Some((4, year)) => day_or_month_first(first, second, clock.is_half_day, |month, day| {
            Some(Date::Full(civil::days(year, month, day)?))
        })?,
        Some(_) => return None,
        None => day_or_month_first(first, second, clock.is_half_day, month_day)?,
    };
    text.finish(date, clock)
}

/// Reads `02-Jan-2026 03:04:05`, `03-17 16:13:38.811`, `01-02|03:04:05`, `02.01.2026 03:04:05`,
/// `10.30 16:49:06`.
fn dashes(mut text: Cursor<'_>, separator: u8) -> Option<Moment> {
    let first = text.number(1, 2)?;
    text.take(separator);
    if let Some(month) = text.month() {
        let date = text.year_behind(separator, month, first)?;
        if !(text.take(b' ') || (text.take(b':') && text.take(b':'))) {
            return None;
        }
        let clock = text.clock()?;
        return text.finish(date, clock);
    }
    let second = text.number(2, 2)?;
    let year = if text.take(separator) { Some(text.number(4, 4)?) } else { None };
    text.take(b',');
    if !(text.take(b' ') || text.take(b'|')) {
        return None;
    }
    let clock = text.clock()?;
    let date = match year {
        // dots put the day first; dashes do so about half of the time
        Some(year) if separator == b'.' => Date::Full(civil::days(year, second, first)?),
        Some(year) => day_or_month_first(first, second, clock.is_half_day, |month, day| {
            Some(Date::Full(civil::days(year, month, day)?))
        })?,
        None => month_day(first, second).or_else(|| month_day(second, first))?,
    };
    text.finish(date, clock)
}

/// Reads `29 Aug 2023 13:47:38.984`, `2 Jan 03:04:05`.
fn day_and_name(mut text: Cursor<'_>) -> Option<Moment> {
    let day = text.number(1, 2)?;
    text.take(b' ');
    let month = text.month()?;
    if !text.take(b' ') {
        return None;
    }
    let date = if text.digits() == 4 {
        let year = text.number(4, 4)?;
        text.take(b' ');
        Date::Full(civil::days(year, month, day)?)
    } else {
        month_day(month, day)?
    };
    let clock = text.clock()?;
    text.finish(date, clock)
}

/// Reads `Jan  2 03:04:05`, `Jan 02, 2026 3:04:05 AM`, `Sun Dec 04 04:47:44.712806 2005`,
/// `Sun Dec  4 04:47:44 UTC 2005`, `Fri, 02 Jan 2026 03:04:05 GMT`.
fn names(mut text: Cursor<'_>) -> Option<Moment> {
    let has_weekday = text.weekday();
    if has_weekday && text.digits() > 0 {
        return day_and_name(text);
    }
    let month = text.month()?;
    if !text.take(b' ') {
        return None;
    }
    text.take(b' ');
    let day = text.number(1, 2)?;
    text.take(b',');
    if !text.take(b' ') {
        return None;
    }
    if text.digits() == 4 {
        let year = text.number(4, 4)?;
        text.take(b',');
        text.take(b' ');
        let clock = text.clock()?;
        return text.finish(Date::Full(civil::days(year, month, day)?), clock);
    }
    let clock = text.clock()?;
    let date = month_day(month, day)?;
    if has_weekday {
        let mut with_year = text;
        let zone = with_year.zone();
        if with_year.take(b' ')
            && with_year.digits() == 4
            && let Some(year) = with_year.number(4, 4)
        {
            let date = Date::Full(civil::days(year, month, day)?);
            return Some(with_year.moment(date, clock, zone));
        }
    }
    text.finish(date, clock)
}

/// Reads two numbers that are month and day in one order or the other.
fn day_or_month_first(
    first: u32,
    second: u32,
    is_half_day: bool,
    date: impl Fn(u32, u32) -> Option<Date>,
) -> Option<Date> {
    match (first, second) {
        // with a twelve-hour clock the month comes first
        _ if is_half_day => date(first, second),
        (13.., _) => date(second, first),
        (_, 13..) => date(first, second),
        _ if first == second => date(first, second),
        _ if first > 0 && second > 0 => Some(Date::Ambiguous),
        _ => None,
    }
}

fn month_day(month: u32, day: u32) -> Option<Date> {
    // in a leap year, so that 29 February is a valid day
    civil::days(2024, month, day).map(|_| Date::MonthDay(month, day))
}

/// Returns the year of two digits, as POSIX reads `%y`.
fn century(year: u32) -> u32 {
    if year < 69 { 2000 + year } else { 1900 + year }
}

/// The time of day.
#[derive(Clone, Copy)]
struct Clock {
    seconds: u32,
    nanos: u32,
    /// `AM` or `PM` follows.
    is_half_day: bool,
    has_seconds: bool,
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Returns how many digits come next.
    fn digits(&self) -> usize {
        self.digits_at(0)
    }

    fn digits_at(&self, ahead: usize) -> usize {
        let rest = self.bytes.get(self.at + ahead..).unwrap_or_default();
        rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Reads a number of this many digits, and no more.
    fn number(&mut self, digits_min: usize, digits_max: usize) -> Option<u32> {
        let digits = self.digits();
        if !(digits_min..=digits_max).contains(&digits) {
            return None;
        }
        let text = &self.bytes[self.at..self.at + digits];
        self.at += digits;
        Some(text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// Reads the three letters of an English month.
    fn month(&mut self) -> Option<u32> {
        let name = *self.bytes.get(self.at..)?.first_chunk::<3>()?;
        if self.peek_at(3).is_ascii_alphabetic() {
            return None;
        }
        let month = civil::month(name)?;
        self.at += 3;
        Some(month)
    }

    /// Reads `Sun `, `Sun, `.
    fn weekday(&mut self) -> bool {
        let Some(name) = self.bytes.get(self.at..self.at + 3) else { return false };
        let comma = usize::from(self.peek_at(3) == b',');
        let found = WEEKDAYS.contains(&name) && self.peek_at(3 + comma) == b' ';
        if found {
            self.at += 4 + comma;
        }
        found
    }

    /// Reads the separator and four digits of a year.
    fn year_behind(&mut self, separator: u8, month: u32, day: u32) -> Option<Date> {
        if !self.take(separator) {
            return None;
        }
        Some(Date::Full(civil::days(self.number(4, 4)?, month, day)?))
    }

    /// Reads `H:MM`, `HH:MM:SS` with a fraction after `.`, `,` or `:`, and `AM` or `PM`.
    fn clock(&mut self) -> Option<Clock> {
        let hour = self.number(1, 2)?;
        if !self.take(b':') {
            return None;
        }
        let minute = self.number(2, 2)?;
        let mut second = None;
        if self.peek() == b':' && self.digits_at(1) == 2 {
            self.at += 1;
            second = self.number(2, 2);
        }
        let nanos = self.fraction();
        let half = self.half_day();
        let clock = of_day([hour, minute, second.unwrap_or(0)], nanos, half)?;
        Some(Clock { has_seconds: second.is_some(), ..clock })
    }

    /// Reads `030405`, with a fraction after a point.
    fn joined_clock(&mut self) -> Option<Clock> {
        if self.digits() != 6 {
            return None;
        }
        let all = self.number(6, 6)?;
        let nanos = self.fraction();
        of_day([all / 10_000, all / 100 % 100, all % 100], nanos, None)
    }

    /// Reads `15.42.50.675872`.
    fn dotted_clock(&mut self) -> Option<Clock> {
        let mut text = *self;
        let hour = text.number(2, 2)?;
        let minute = text.take(b'.').then(|| text.number(2, 2))??;
        let second = text.take(b'.').then(|| text.number(2, 2))??;
        let nanos = text.fraction();
        *self = text;
        of_day([hour, minute, second], nanos, None)
    }

    fn fraction(&mut self) -> u32 {
        let is_fraction = match self.peek() {
            b'.' | b',' => self.peek_at(1).is_ascii_digit(),
            b':' => self.digits_at(1) == 3,
            _ => false,
        };
        if !is_fraction {
            return 0;
        }
        let rest = &self.bytes[self.at + 1..];
        let Some((nanos, behind)) = civil::fraction(rest) else { return 0 };
        self.at = self.bytes.len() - behind.len();
        nanos
    }

    /// Returns the hours to add for ` PM`, `AM`.
    fn half_day(&mut self) -> Option<u32> {
        let space = usize::from(self.peek() == b' ');
        let afternoon = match (self.peek_at(space), self.peek_at(space + 1)) {
            (b'A' | b'a', b'M' | b'm') => 0,
            (b'P' | b'p', b'M' | b'm') => 12,
            _ => return None,
        };
        if self.peek_at(space + 2).is_ascii_alphanumeric() {
            return None;
        }
        self.at += space + 2;
        Some(afternoon)
    }

    /// Reads `Z`, `+01`, `+0100`, `+01:00`, `CET`, with or without a space before it, and what Go
    /// and Java add: ` +0100 CET m=+0.012`, `+01:00[Europe/Berlin]`.
    fn zone(&mut self) -> ZoneText {
        let Some((length, zone)) = zone_at(&self.bytes[self.at.min(self.bytes.len())..]) else {
            return ZoneText::default();
        };
        self.at += length;
        let rest = &self.bytes[self.at..];
        if zone.offset.is_some() {
            // Go writes the abbreviation after the offset
            if rest.first() == Some(&b' ')
                && let Some(name) = abbreviation(&rest[1..])
            {
                self.at += 1 + name;
            }
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b" m=") {
                let reading = |b: &&u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.');
                self.at += 3 + rest[3..].iter().take_while(reading).count();
            } else if rest.first() == Some(&b'[') {
                let name =
                    |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
                let length = rest[1..].iter().take_while(name).count();
                if length > 0 && rest.get(1 + length) == Some(&b']') && rest[1..].contains(&b'/') {
                    self.at += length + 2;
                }
            }
        }
        zone
    }

    fn finish(mut self, date: Date, clock: Clock) -> Option<Moment> {
        let zone = self.zone();
        let moment = self.moment(date, clock, zone);
        // `10:00:00x`, `1:2:3` and similar texts are not times
        let goes_on = self.peek().is_ascii_alphanumeric() || self.peek() == b'_';
        (!goes_on).then_some(moment)
    }

    fn moment(&self, date: Date, clock: Clock, zone: ZoneText) -> Moment {
        Moment {
            date,
            seconds: clock.seconds,
            nanos: clock.nanos,
            offset: zone.offset,
            has_ambiguous_zone: zone.is_ambiguous,
            length: self.at,
        }
    }
}

/// Checks that hour, minute and second exist; `half` is what `PM` adds.
fn of_day([hour, minute, second]: [u32; 3], nanos: u32, half: Option<u32>) -> Option<Clock> {
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + afternoon,
        None => hour,
    };
    (hour < 24 && minute < 60 && second <= 60).then_some(Clock {
        seconds: hour * 3600 + minute * 60 + second,
        nanos,
        is_half_day: half.is_some(),
        has_seconds: true,
    })
}
