//! Reads the notations of times: `strftime`, the letters of Java's `DateTimeFormatter` and
//! `SimpleDateFormat`, the tokens of loguru. Each becomes the same parts. Unit: one pattern of a
//! time.

use super::notation::Cursor;
use crate::decode::time::pattern::{Item, Part};
use crate::rules::syntax::SyntaxError;
use jiff::tz::TimeZone;

fn part(item: Item, min: u8, max: u8) -> Part {
    Part { item, min, max, is_padded: false }
}

fn literal(text: &str, into: &mut Vec<Part>) {
    into.extend(text.bytes().map(Part::byte));
}

/// Python's default: `2026-01-02 03:04:05,678`.
pub(super) fn python_default() -> Vec<Part> {
    let mut parts = strftime("%Y-%m-%d %H:%M:%S,").unwrap_or_default();
    parts.push(Part::digits(Item::Fraction, 3));
    parts
}

/// The time of the common log format, always in English: `02/Jan/2026:03:04:05 +0000`.
pub(super) fn common_log() -> Vec<Part> {
    let mut parts = strftime("%d/%b/%Y:%H:%M:%S ").unwrap_or_default();
    for part in &mut parts {
        if part.item == Item::MonthName {
            part.max = 3;
        }
    }
    parts.push(part(Item::Offset, 5, 5));
    parts
}

/// Returns the conversions of which one letter is an abbreviation.
fn several(letter: char) -> Option<&'static str> {
    Some(match letter {
        'D' | 'x' => "%m/%d/%y",
        'F' => "%Y-%m-%d",
        'T' | 'X' => "%H:%M:%S",
        'R' => "%H:%M",
        'r' => "%I:%M:%S %p",
        'c' => "%a %b %e %H:%M:%S %Y",
        _ => return None,
    })
}

/// Reads the conversions of C's and Python's `strftime`.
///
/// # Errors
/// Returns the position of a conversion that is unknown or cannot be read back.
pub(super) fn strftime(text: &str) -> Result<Vec<Part>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let mut parts = Vec::new();
    while let Some(character) = cursor.next() {
        if character != '%' {
            let from = cursor.at - character.len_utf8();
            literal(cursor.since(from), &mut parts);
            continue;
        }
        let from = cursor.at - 1;
        // glibc's flag for a number without its zero
        let is_short = cursor.take("-");
        // the offset with a colon, which Python writes since 3.12
        if cursor.rest().starts_with(":z") {
            cursor.next();
        }
        let Some(letter) = cursor.next() else {
            return Err(SyntaxError::new(from, "`%` at the end of the format of times"));
        };
        if let Some(several) = several(letter) {
            parts.extend(strftime(several)?);
            continue;
        }
        let one = match letter {
            'Y' => part(Item::Year, 4, 4),
            'y' => part(Item::ShortYear, 2, 2),
            'm' => part(Item::Month, 2, 2),
            'd' => part(Item::Day, 2, 2),
            'e' => Part { is_padded: true, ..part(Item::Day, 1, 2) },
            'b' | 'h' => part(Item::MonthName, 3, 4),
            'B' => part(Item::MonthName, 3, 9),
            'a' | 'A' => part(Item::Weekday, 3, 9),
            'H' => part(Item::Hour, 2, 2),
            'k' => Part { is_padded: true, ..part(Item::Hour, 1, 2) },
            'I' => part(Item::HalfDayHour, 2, 2),
            'l' => Part { is_padded: true, ..part(Item::HalfDayHour, 1, 2) },
            'M' => part(Item::Minute, 2, 2),
            'S' => part(Item::Second, 2, 2),
            'f' => part(Item::Fraction, 6, 6),
            'p' | 'P' => part(Item::HalfDay, 2, 2),
            'z' => part(Item::Offset, 0, 6),
            'Z' => part(Item::ZoneName, 0, 40),
            's' => part(Item::Epoch, 9, 11),
            'j' => part(Item::Ignored, 3, 3),
            'w' | 'u' => part(Item::Ignored, 1, 1),
            'U' | 'W' | 'V' => part(Item::Ignored, 2, 2),
            'n' | 't' | '%' => {
                let byte = if letter == '%' { b'%' } else { b' ' };
                parts.push(Part::byte(byte));
                continue;
            }
            _ => {
                let message = format!("`%{letter}` is no conversion of strftime that can be read");
                return Err(SyntaxError::new(from, message).hint(
                    "as in %Y-%m-%d %H:%M:%S, with %f for microseconds and %z for the zone",
                ));
            }
        };
        parts.push(Part { min: if is_short { 1 } else { one.min }, ..one });
    }
    Ok(parts)
}

/// Reads the letters of Java: `yyyy-MM-dd'T'HH:mm:ss.SSSX`. `base` is the position of `text` in
/// the whole pattern.
///
/// # Errors
/// Returns the position of a letter that is unknown or cannot be read back.
pub(super) fn java(text: &str, base: usize) -> Result<Vec<Part>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let mut parts = Vec::new();
    while let Some(letter) = cursor.peek() {
        let from = cursor.at;
        if letter == '\'' {
            quoted(&mut cursor, base, &mut parts)?;
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            cursor.next();
            literal(cursor.since(from), &mut parts);
            continue;
        }
        let run = cursor.take_while(|c| c == letter);
        let count = run.len().min(9) as u8;
        let number = |item| if count == 1 { part(item, 1, 2) } else { part(item, 2, 2) };
        parts.push(match letter {
            'y' | 'u' | 'Y' if count == 2 => part(Item::ShortYear, 2, 2),
            'y' | 'u' | 'Y' => part(Item::Year, 4, 4),
            'M' | 'L' if count >= 4 => part(Item::MonthName, 3, 9),
            'M' | 'L' if count == 3 => part(Item::MonthName, 3, 4),
            'M' | 'L' => number(Item::Month),
            'd' => number(Item::Day),
            'E' | 'e' | 'c' => part(Item::Weekday, 3, 9),
            'H' => number(Item::Hour),
            'h' => number(Item::HalfDayHour),
            'm' => number(Item::Minute),
            's' => number(Item::Second),
            'S' | 'n' => part(Item::Fraction, count, count),
            'a' => part(Item::HalfDay, 2, 2),
            'Z' if count == 4 => part(Item::ZoneName, 1, 40),
            'Z' | 'X' | 'x' => part(Item::Offset, 1, 6),
            'z' | 'V' | 'O' => part(Item::ZoneName, 1, 40),
            'D' => part(Item::Ignored, count, 3.max(count)),
            _ => {
                let message = format!("`{run}` is no part of a time that can be read");
                return Err(SyntaxError::new(base + from, message)
                    .hint("as in yyyy-MM-dd HH:mm:ss.SSS, with X for the zone"));
            }
        });
    }
    Ok(parts)
}

/// Reads `'T'`; two quotes are one.
fn quoted(cursor: &mut Cursor<'_>, base: usize, parts: &mut Vec<Part>) -> Result<(), SyntaxError> {
    let from = cursor.at;
    cursor.next();
    if cursor.take("'") {
        parts.push(Part::byte(b'\''));
        return Ok(());
    }
    loop {
        literal(cursor.take_while(|c| c != '\''), parts);
        if !cursor.take("'") {
            return Err(SyntaxError::new(base + from, "the quote of a text is not closed"));
        }
        if !cursor.take("'") {
            return Ok(());
        }
        parts.push(Part::byte(b'\''));
    }
}

/// Returns the letters of a named form of logback or log4j 2.
pub(super) fn java_named(name: &str, is_log4j2: bool) -> Option<&'static str> {
    Some(match (name, is_log4j2) {
        ("" | "DEFAULT", _) | ("ISO8601", false) => "yyyy-MM-dd HH:mm:ss,SSS",
        ("ISO8601", true) | ("STRICT", false) => "yyyy-MM-dd'T'HH:mm:ss,SSS",
        ("ABSOLUTE", _) => "HH:mm:ss,SSS",
        ("DATE", _) => "dd MMM yyyy HH:mm:ss,SSS",
        ("COMPACT", true) => "yyyyMMddHHmmssSSS",
        ("DEFAULT_MICROS", true) => "yyyy-MM-dd HH:mm:ss,SSSSSS",
        ("DEFAULT_NANOS", true) => "yyyy-MM-dd HH:mm:ss,SSSSSSSSS",
        ("DEFAULT_PERIOD", true) => "yyyy-MM-dd HH:mm:ss.SSS",
        ("ABSOLUTE_MICROS", true) => "HH:mm:ss,SSSSSS",
        ("ABSOLUTE_NANOS", true) => "HH:mm:ss,SSSSSSSSS",
        ("ABSOLUTE_PERIOD", true) => "HH:mm:ss.SSS",
        ("DATE_PERIOD", true) => "dd MMM yyyy HH:mm:ss.SSS",
        ("ISO8601_BASIC", true) => "yyyyMMdd'T'HHmmss,SSS",
        ("ISO8601_BASIC_PERIOD", true) => "yyyyMMdd'T'HHmmss.SSS",
        ("ISO8601_PERIOD", true) => "yyyy-MM-dd'T'HH:mm:ss.SSS",
        ("ISO8601_PERIOD_MICROS", true) => "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
        ("ISO8601_OFFSET_DATE_TIME_HH", true) => "yyyy-MM-dd'T'HH:mm:ss,SSSX",
        ("ISO8601_OFFSET_DATE_TIME_HHMM", true) => "yyyy-MM-dd'T'HH:mm:ss,SSSXX",
        ("ISO8601_OFFSET_DATE_TIME_HHCMM", true) => "yyyy-MM-dd'T'HH:mm:ss,SSSZ",
        _ => return None,
    })
}

/// Reads the tokens of loguru: `YYYY-MM-DD HH:mm:ss.SSS`, with `!UTC` behind them. Returns the zone
/// too. `base` is the position of `text` in the whole pattern.
///
/// # Errors
/// Returns the position of a token that is unknown or cannot be read back.
pub(super) fn loguru(
    text: &str,
    base: usize,
) -> Result<(Vec<Part>, Option<TimeZone>), SyntaxError> {
    let (text, zone) = match text.strip_suffix("!UTC") {
        Some(text) => (text, Some(TimeZone::UTC)),
        None => (text, None),
    };
    let text = if text.is_empty() { "YYYY-MM-DDTHH:mm:ss.SSSSSSZZ" } else { text };
    let mut cursor = Cursor::new(text);
    let mut parts = Vec::new();
    while let Some(letter) = cursor.peek() {
        let from = cursor.at;
        if cursor.take("[") {
            literal(cursor.take_while(|c| c != ']'), &mut parts);
            if !cursor.take("]") {
                return Err(SyntaxError::new(base + from, "`[` is not closed by `]`"));
            }
            continue;
        }
        if !"YMDdHhmsSAZXxEQW".contains(letter) {
            cursor.next();
            literal(cursor.since(from), &mut parts);
            continue;
        }
        let run = cursor.take_while(|c| c == letter);
        let count = run.len().min(9) as u8;
        let number = |item| if count == 1 { part(item, 1, 2) } else { part(item, 2, 2) };
        parts.push(match letter {
            'Y' if count == 2 => part(Item::ShortYear, 2, 2),
            'Y' => part(Item::Year, 4, 4),
            'M' if count >= 4 => part(Item::MonthName, 3, 9),
            'M' if count == 3 => part(Item::MonthName, 3, 4),
            'M' => number(Item::Month),
            'D' if count > 2 => part(Item::Ignored, 1, 3),
            'D' => number(Item::Day),
            'd' if count > 2 => part(Item::Weekday, 3, 9),
            'd' | 'E' | 'Q' => part(Item::Ignored, 1, 1),
            'W' => part(Item::Ignored, 1, 2),
            'H' => number(Item::Hour),
            'h' => number(Item::HalfDayHour),
            'm' => number(Item::Minute),
            's' => number(Item::Second),
            'S' => part(Item::Fraction, count, count),
            'A' => part(Item::HalfDay, 2, 2),
            'Z' if count < 3 => part(Item::Offset, 1, 6),
            'Z' => part(Item::ZoneName, 1, 40),
            'X' => part(Item::Epoch, 9, 11),
            'x' => part(Item::Epoch, 12, 17),
            _ => {
                let message = format!("`{run}` is no token of a time that can be read");
                return Err(SyntaxError::new(base + from, message));
            }
        });
    }
    Ok((parts, zone))
}
