//! Reads zones after a time: offsets, and the abbreviations that have one meaning. Unit: one zone.

use super::civil::two;

/// Abbreviations with one meaning, and their offsets in minutes.
#[rustfmt::skip]
const ZONES: [(&[u8], i32); 29] = [
    (b"UTC", 0), (b"GMT", 0), (b"UT", 0), (b"WET", 0),
    (b"WEST", 60), (b"CET", 60), (b"CEST", 120), (b"MET", 60),
    (b"MEST", 120), (b"EET", 120), (b"EEST", 180), (b"MSK", 180),
    (b"SAST", 120), (b"EAT", 180), (b"PKT", 300), (b"WIB", 420),
    (b"HKT", 480), (b"SGT", 480), (b"AWST", 480), (b"JST", 540),
    (b"KST", 540), (b"AEST", 600), (b"AEDT", 660), (b"NZST", 720),
    (b"NZDT", 780), (b"PDT", -420), (b"MDT", -360), (b"AKST", -540),
    (b"AKDT", -480),
];

/// Abbreviations that several zones share: the configured zone is used.
const AMBIGUOUS_ZONES: [&[u8]; 16] = [
    b"EST", b"EDT", b"CST", b"CDT", b"MST", b"PST", b"IST", b"BST", b"AST", b"ADT", b"SST", b"GST",
    b"HST", b"NST", b"ART", b"BRT",
];

/// A zone after a clock time.
#[derive(Clone, Copy, Default)]
pub(super) struct ZoneText {
    pub(super) offset: Option<i32>,
    pub(super) is_ambiguous: bool,
}

/// Returns the length of a zone with the space before it, and its meaning.
pub(super) fn zone_at(rest: &[u8]) -> Option<(usize, ZoneText)> {
    let space = usize::from(rest.first() == Some(&b' '));
    let zone = &rest[space..];
    let ends = |length: usize| !zone.get(length).is_some_and(u8::is_ascii_alphanumeric);
    let digits = |from: usize, to: usize| {
        zone.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let number = |at: usize| two(zone[at], zone[at + 1]) as i32;
    let (length, hours, minutes) = match zone {
        [b'Z' | b'z', ..] if space == 0 && ends(1) => (1, 0, 0),
        [b'+' | b'-', ..] if digits(1, 3) && zone.get(3) == Some(&b':') && digits(4, 6) => {
            (6, number(1), number(4))
        }
        [b'+' | b'-', ..] if digits(1, 5) => (5, number(1), number(3)),
        // after a space, `-12` may begin a message
        [b'+', ..] if digits(1, 3) => (3, number(1), 0),
        [b'-', ..] if digits(1, 3) && (space == 0 || zone[3..].starts_with(b" [")) => {
            (3, number(1), 0)
        }
        _ => {
            let length = abbreviation(zone)?;
            let name = &zone[..length];
            let known = ZONES.iter().find(|(known, _)| *known == name);
            let offset = known.map(|(_, minutes)| minutes * 60);
            return Some((space + length, ZoneText { offset, is_ambiguous: offset.is_none() }));
        }
    };
    if !ends(length) || hours > 23 || minutes > 59 {
        return None;
    }
    let east = (hours * 60 + minutes) * 60 * if zone[0] == b'-' { -1 } else { 1 };
    Some((space + length, ZoneText { offset: Some(east), is_ambiguous: false }))
}

/// Returns the length of a zone's abbreviation.
pub(super) fn abbreviation(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().take(5).take_while(|byte| byte.is_ascii_uppercase()).count();
    let name = &bytes[..length];
    let ends = !bytes.get(length).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let known = ZONES.iter().any(|(known, _)| *known == name) || AMBIGUOUS_ZONES.contains(&name);
    (known && ends).then_some(length)
}

/// Returns the abbreviation in a text that several zones share.
pub(super) fn ambiguous(text: &str) -> Option<&str> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.find(|word| AMBIGUOUS_ZONES.contains(&word.as_bytes()))
}
