//! Reads times by a pattern that a user's format defines: which digits are the day and which the
//! month is then known, and so is the zone. A pattern is a sequence of parts; `rules` compiles it
//! from the notation of Python, Java or loguru. Reads no clock, and does not allocate once the
//! scratch buffer is warm. Unit: one time.

use super::civil;
use super::zones::zone_at;

/// What a part of a pattern holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// This byte.
    Byte(u8),
    /// The year.
    Year,
    /// The last two digits of the year; below 69 it is one of this century, as in POSIX.
    ShortYear,
    /// The month as a number.
    Month,
    /// The month by its name or the first three letters of it, in English.
    MonthName,
    /// The day of the month.
    Day,
    /// The day of the week by its name; it adds nothing to the date.
    Weekday,
    /// The hour from 0 to 23.
    Hour,
    /// The hour from 1 to 12.
    HalfDayHour,
    /// The minute.
    Minute,
    /// The second.
    Second,
    /// Digits of the fraction of a second.
    Fraction,
    /// `AM` or `PM`.
    HalfDay,
    /// `+0100`, `+01:00`, `+01` or `Z`.
    Offset,
    /// The name or abbreviation of a zone.
    ZoneName,
    /// A number since the epoch; its magnitude says in which unit.
    Epoch,
    /// A number that adds nothing, such as the day of the year.
    Ignored,
}

/// One part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// What it holds.
    pub item: Item,
    /// The fewest digits; 0 for a zone that may be missing.
    pub min: u8,
    /// The most digits.
    pub max: u8,
    /// A short number is padded with spaces before it.
    pub is_padded: bool,
}

impl Part {
    /// Creates a part of exactly this many digits.
    pub fn digits(item: Item, count: u8) -> Part {
        Part { item, min: count, max: count, is_padded: false }
    }

    /// Creates a literal byte.
    pub fn byte(byte: u8) -> Part {
        Part::digits(Item::Byte(byte), 1)
    }
}

/// The most bytes of a time that is compared as whole words.
const FIXED_BYTES_MAX: usize = 32;
const WORD: usize = 8;

/// The first parts of a time, as far as every digit has its place: they are compared eight bytes at
/// a time.
#[derive(Clone, Copy, Debug)]
struct Fixed {
    length: usize,
    /// How many parts are compared; an offset, for example, is not, because it has several forms.
    parts: usize,
    /// The literal bytes, zeros elsewhere.
    literals: [u64; FIXED_BYTES_MAX / WORD],
    /// All bits of the literal bytes.
    is_literal: [u64; FIXED_BYTES_MAX / WORD],
    /// All bits of the bytes that are neither literals nor digits.
    is_free: [u64; FIXED_BYTES_MAX / WORD],
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct TimePattern {
    parts: Box<[Part]>,
    fixed: Option<Fixed>,
}

/// The value of a time: what the text contains of it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Civil {
    /// The year; `None` if the text has none.
    pub year: Option<u32>,
    /// The month and the day; `None` if the text has no date.
    pub month_day: Option<(u32, u32)>,
    /// Hour, minute and second of the wall clock.
    pub clock: (u32, u32, u32),
    /// The fraction of the second.
    pub nanos: u32,
    /// Seconds east of UTC, if the text names them without ambiguity.
    pub offset: Option<i32>,
}

impl Civil {
    /// Returns the seconds since 1970-01-01 of the wall clock, if the text has a whole date.
    pub fn seconds(&self) -> Option<i64> {
        let (month, day) = self.month_day?;
        let (hour, minute, second) = self.clock;
        let days = civil::days(self.year?, month, day)?;
        Some(days * civil::DAY + i64::from(hour * 3600 + minute * 60 + second))
    }
}

impl TimePattern {
    /// Creates a pattern from its parts.
    pub fn new(parts: Vec<Part>) -> TimePattern {
        let fixed = Fixed::of(&parts);
        TimePattern { parts: parts.into_boxed_slice(), fixed }
    }

    /// Returns its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns whether a part of this kind is in the pattern.
    pub fn has(&self, item: Item) -> bool {
        self.parts.iter().any(|part| part.item == item)
    }

    /// Returns the end of the time at `at`, if one has the form of the pattern. Whether the date
    /// exists is not checked.
    #[inline]
    pub fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let (at, parts) = match &self.fixed {
            Some(fixed) => (fixed.end(bytes, at)?, &self.parts[fixed.parts..]),
            None => (at, &*self.parts),
        };
        parts.iter().try_fold(at, |at, part| part.end(bytes, at))
    }

    /// Reads a time of this form. Returns `None` if the date or the time of day does not exist.
    pub fn read(&self, text: &str) -> Option<Civil> {
        let bytes = text.as_bytes();
        let mut found = Civil::default();
        let (mut month, mut day, mut afternoon) = (None, None, None);
        let mut at = 0;
        for part in &self.parts {
            let end = part.end(bytes, at)?;
            let text = &bytes[at..end];
            let number = || decimal(text);
            match part.item {
                Item::Year => found.year = Some(number()),
                Item::ShortYear => {
                    let year = number();
                    found.year = Some(if year < 69 { 2000 + year } else { 1900 + year });
                }
                Item::Month => month = Some(number()),
                Item::MonthName => month = Some(civil::month(*text.first_chunk::<3>()?)?),
                Item::Day => day = Some(number()),
                Item::Hour | Item::HalfDayHour => found.clock.0 = number(),
                Item::Minute => found.clock.1 = number(),
                Item::Second => found.clock.2 = number(),
                Item::Fraction => found.nanos = civil::fraction(text)?.0,
                Item::HalfDay => afternoon = Some(text[0] | 0x20 == b'p'),
                // the id of a zone, `America/New_York`, has no offset that could be read here
                Item::ZoneName if text.contains(&b'/') => return None,
                Item::Offset | Item::ZoneName => found.offset = offset_in(text),
                Item::Byte(_) | Item::Weekday | Item::Ignored => {}
                Item::Epoch => return None,
            }
            at = end;
        }
        if let Some(afternoon) = afternoon {
            let hour = found.clock.0;
            if !(1..=12).contains(&hour) {
                return None;
            }
            found.clock.0 = hour % 12 + if afternoon { 12 } else { 0 };
        }
        let (hour, minute, second) = found.clock;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        if let (Some(month), Some(day)) = (month, day) {
            // in a leap year, so that 29 February is a valid day if no year is given
            civil::days(found.year.unwrap_or(2024), month, day)?;
            found.month_day = Some((month, day));
        }
        Some(found)
    }

    /// Writes a time in this form, for tests of the pattern at the time of compiling. Its offset is
    /// zero or an hour.
    pub fn show(&self, of: &Civil) -> String {
        let is_utc = of.offset.is_none_or(|east| east == 0);
        let (month, day) = of.month_day.unwrap_or((1, 1));
        let (hour, minute, second) = of.clock;
        let mut out = String::new();
        for part in &self.parts {
            let width = usize::from(part.min.max(1));
            let number = |number: u32| {
                if part.is_padded {
                    format!("{number:>width$}", width = usize::from(part.max))
                } else {
                    format!("{number:0width$}")
                }
            };
            let month_name = MONTHS[(month as usize + 11) % 12];
            match part.item {
                Item::Byte(byte) => out.push(char::from(byte)),
                Item::Year => out.push_str(&number(of.year.unwrap_or(1970))),
                Item::ShortYear => out.push_str(&number(of.year.unwrap_or(1970) % 100)),
                Item::Month => out.push_str(&number(month)),
                Item::MonthName if part.max > 4 => out.push_str(month_name),
                Item::MonthName => out.push_str(&month_name[..3]),
                Item::Day => out.push_str(&number(day)),
                Item::Weekday => out.push_str("Mon"),
                Item::Hour => out.push_str(&number(hour)),
                Item::HalfDayHour => out.push_str(&number((hour + 11) % 12 + 1)),
                Item::Minute => out.push_str(&number(minute)),
                Item::Second => out.push_str(&number(second)),
                Item::Fraction => {
                    let digits = format!("{:09}", of.nanos);
                    out.push_str(&digits[..usize::from(part.max.min(9))]);
                }
                Item::HalfDay => out.push_str(if hour < 12 { "AM" } else { "PM" }),
                Item::Offset => out.push_str(if is_utc { "+0000" } else { "+0100" }),
                Item::ZoneName => out.push_str(if is_utc { "UTC" } else { "GMT+01:00" }),
                Item::Epoch => {
                    out.push_str(&of.seconds().unwrap_or(0).to_string());
                    let zeros = usize::from(part.min).saturating_sub(10);
                    out.push_str(&"0".repeat(zeros));
                }
                Item::Ignored => out.push_str(&number(1)),
            }
        }
        out
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Appends a time in a form that [`super::parse`] reads without ambiguity; `east` is the offset of a
/// text that names none.
pub(crate) fn write(of: &Civil, east: Option<i32>, into: &mut String) {
    let two = |into: &mut String, number: u32| {
        into.push(digit(number / 10));
        into.push(digit(number % 10));
    };
    if let Some((month, day)) = of.month_day {
        if let Some(year) = of.year {
            two(into, year / 100);
            two(into, year % 100);
            into.push('-');
        }
        two(into, month);
        into.push('-');
        two(into, day);
        into.push(' ');
    }
    let (hour, minute, second) = of.clock;
    two(into, hour);
    into.push(':');
    two(into, minute);
    into.push(':');
    two(into, second);
    if of.nanos > 0 {
        into.push('.');
        let mut scale = 100_000_000;
        while scale > 0 {
            into.push(digit(of.nanos / scale));
            scale /= 10;
        }
    }
    let Some(east) = of.offset.or(east) else { return };
    into.push(if east < 0 { '-' } else { '+' });
    let minutes = east.unsigned_abs() / 60;
    two(into, minutes / 60);
    into.push(':');
    two(into, minutes % 60);
}

fn digit(number: u32) -> char {
    char::from(b'0' + (number % 10) as u8)
}

/// Returns the value of the digits in a text of at most ten bytes.
fn decimal(text: &[u8]) -> u32 {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    digits
        .fold(0, |number: u32, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}

impl Part {
    fn end(self, bytes: &[u8], at: usize) -> Option<usize> {
        let rest = bytes.get(at..)?;
        let run = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
        match self.item {
            Item::Byte(byte) => (rest.first() == Some(&byte)).then_some(at + 1),
            Item::MonthName | Item::Weekday => {
                let length = run(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
                (length > 0).then_some(at + length)
            }
            Item::HalfDay => match rest {
                [b'A' | b'a' | b'P' | b'p', b'M' | b'm', ..] => Some(at + 2),
                _ => None,
            },
            Item::Offset => match offset(rest) {
                0 if self.min > 0 => None,
                length => Some(at + length),
            },
            Item::ZoneName => {
                let length = run(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b':' | b'/' | b'_')
                });
                (length >= usize::from(self.min)).then_some(at + length)
            }
            _ => {
                let most = usize::from(self.max);
                let blanks = if self.is_padded { most - 1 } else { 0 };
                let spaces = rest.iter().take(blanks).take_while(|byte| **byte == b' ').count();
                let digits = rest[spaces..].iter().take(most - spaces);
                let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
                let enough = count + spaces >= usize::from(self.min) && count > 0;
                enough.then_some(at + spaces + count)
            }
        }
    }
}

/// Returns the offset that a zone names: `+01:00`, `CET`, or Java's `GMT+01:00` and `GMT+1`.
fn offset_in(text: &[u8]) -> Option<i32> {
    let known = |text: &[u8]| zone_at(text).and_then(|(_, zone)| zone.offset);
    match text.strip_prefix(b"GMT").or_else(|| text.strip_prefix(b"UTC")) {
        Some([sign, hour]) => known(&[*sign, b'0', *hour]),
        Some([sign, hour, b':', minutes @ ..]) => {
            known(&[&[*sign, b'0', *hour, b':'], minutes].concat())
        }
        Some(offset @ [b'+' | b'-', ..]) => known(offset),
        _ => known(text),
    }
}

/// Returns the length of `Z`, `+01`, `+0100`, `+01:00`; 0 if there is no offset.
fn offset(rest: &[u8]) -> usize {
    let is_digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
    let two = |at: usize| is_digit(at) && is_digit(at + 1);
    match rest.first() {
        Some(b'Z' | b'z') => 1,
        Some(b'+' | b'-') if two(1) => match rest.get(3) {
            Some(b':') if two(4) => 6,
            _ if two(3) => 5,
            _ => 3,
        },
        _ => 0,
    }
}

impl Fixed {
    /// Returns the whole words of the parts before the first that has several lengths.
    fn of(parts: &[Part]) -> Option<Fixed> {
        let mut bytes = [0; FIXED_BYTES_MAX];
        let mut is_literal = [0; FIXED_BYTES_MAX];
        let mut is_free = [0; FIXED_BYTES_MAX];
        let mut length = 0;
        let mut compared = 0;
        for part in parts {
            let is_text =
                matches!(part.item, Item::Weekday | Item::HalfDay | Item::Offset | Item::ZoneName);
            let count = usize::from(part.max);
            let fits = length + count <= FIXED_BYTES_MAX;
            if is_text || !fits || part.min != part.max || part.is_padded {
                break;
            }
            match part.item {
                Item::Byte(byte) => {
                    bytes[length] = byte;
                    is_literal[length] = 0xff;
                }
                // only reading the value checks the letters
                Item::MonthName => is_free[length..length + count].fill(0xff),
                _ => {}
            }
            length += count;
            compared += 1;
        }
        let words = |bytes: [u8; FIXED_BYTES_MAX]| {
            let (chunks, _) = bytes.as_chunks::<WORD>();
            let mut words = [0; FIXED_BYTES_MAX / WORD];
            for (word, chunk) in words.iter_mut().zip(chunks) {
                *word = u64::from_le_bytes(*chunk);
            }
            words
        };
        (length >= WORD).then(|| Fixed {
            length,
            parts: compared,
            literals: words(bytes),
            is_literal: words(is_literal),
            is_free: words(is_free),
        })
    }

    #[inline]
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let text = bytes.get(at..at + self.length)?;
        let mut wrong = 0;
        let mut number = 0;
        let mut rest = text;
        while let Some((chunk, more)) = rest.split_first_chunk::<WORD>() {
            wrong |= self.word(u64::from_le_bytes(*chunk), number, 0);
            number += 1;
            rest = more;
        }
        if !rest.is_empty() {
            // the last word overlaps the one before it
            let last = text.last_chunk::<WORD>()?;
            let shift = 8 * (WORD - rest.len()) as u32;
            wrong |= self.word(u64::from_le_bytes(*last) >> shift, number, shift);
        }
        (wrong == 0).then_some(at + self.length)
    }

    /// Returns bits of what is wrong in a word: literals that differ, and bytes that are no digits.
    /// The highest `unused` bits of the word are zeros.
    #[inline]
    fn word(&self, word: u64, number: usize, unused: u32) -> u64 {
        const ZEROS: u64 = 0x3030_3030_3030_3030;
        const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
        const OVER: u64 = 0x0606_0606_0606_0606;
        let number = number % self.literals.len();
        let used = u64::MAX >> unused;
        let digits = !(self.is_literal[number] | self.is_free[number]) & used;
        let differs = (word ^ self.literals[number]) & self.is_literal[number] & used;
        let low = (word ^ ZEROS) & digits;
        let over = (low & !HIGH).wrapping_add(OVER & digits);
        differs | ((low | over) & HIGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(item: Item, count: u8) -> Part {
        Part::digits(item, count)
    }

    /// The parts of `2026-01-02 03:04:05`, with more behind them.
    fn usual(more: &[Part]) -> TimePattern {
        let mut parts = vec![digits(Item::Year, 4)];
        for (byte, item) in [
            (b'-', Item::Month),
            (b'-', Item::Day),
            (b' ', Item::Hour),
            (b':', Item::Minute),
            (b':', Item::Second),
        ] {
            parts.extend([Part::byte(byte), digits(item, 2)]);
        }
        parts.extend(more);
        TimePattern::new(parts)
    }

    /// Guarantees: comparing whole words finds what comparing byte by byte finds, for every byte in
    /// every place.
    #[test]
    fn words_agree_with_bytes() {
        let milliseconds = [Part::byte(b','), digits(Item::Fraction, 3)];
        for (pattern, text) in [
            (usual(&milliseconds), "2026-01-02 03:04:05,678"),
            (usual(&[digits(Item::Offset, 5)]), "2026-01-02 03:04:05+0100"),
            (usual(&[digits(Item::Offset, 6)]), "2026-01-02 03:04:05+01:00"),
            (usual(&[digits(Item::Offset, 6), Part::byte(b']')]), "2026-01-02 03:04:05-01:00]"),
        ] {
            assert!(pattern.fixed.is_some());
            let slow = TimePattern { fixed: None, ..pattern.clone() };
            let line = format!("{text} - x").into_bytes();
            assert_eq!(pattern.end(&line, 0), Some(text.len()), "{text}");
            for place in 0..line.len() {
                for byte in 0..=255 {
                    let mut changed = line.clone();
                    changed[place] = byte;
                    let found = (pattern.end(&changed, 0), slow.end(&changed, 0));
                    assert_eq!(found.0, found.1, "{text}: {place} {byte}");
                }
            }
            for end in 0..line.len() {
                assert_eq!(pattern.end(&line[..end], 0), slow.end(&line[..end], 0), "{end}");
            }
        }
    }

    #[test]
    fn a_time_is_read_and_written() {
        let part = |item, min, max| Part { item, min, max, is_padded: false };
        let pattern = TimePattern::new(vec![
            part(Item::Day, 1, 2),
            Part::byte(b'/'),
            part(Item::Month, 1, 2),
            Part::byte(b'/'),
            part(Item::ShortYear, 2, 2),
            Part::byte(b' '),
            part(Item::HalfDayHour, 1, 2),
            Part::byte(b':'),
            part(Item::Minute, 2, 2),
            part(Item::HalfDay, 2, 2),
            part(Item::Offset, 0, 6),
        ]);
        for (text, east, expected) in [
            ("3/4/26 1:05PM", None, Some("2026-04-03 13:05:00")),
            ("3/4/26 12:05am", Some(3600), Some("2026-04-03 00:05:00+01:00")),
            ("3/4/26 12:05am-0330", Some(3600), Some("2026-04-03 00:05:00-03:30")),
            ("31/4/26 1:05PM", None, None),
            ("3/4/26 13:05PM", None, None),
        ] {
            assert_eq!(pattern.end(text.as_bytes(), 0), Some(text.len()), "{text}");
            let written = pattern.read(text).map(|found| {
                let mut out = String::new();
                write(&found, east, &mut out);
                out
            });
            assert_eq!(written.as_deref(), expected, "{text}");
        }
    }
}
