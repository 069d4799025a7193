//! Tests every form of a time against the same moment, and against jiff.

use super::*;
use proptest::prelude::*;

/// 2026-11-21T10:00:00Z, the arrival of every line here.
const NOW: UnixNanos = UnixNanos(1_795_255_200_000_000_000);

fn read(text: &str, zone: &Zone) -> Option<UnixNanos> {
    parse(text, zone, NOW, &mut MinuteCache::default())
}

fn at(rfc3339: &str) -> UnixNanos {
    UnixNanos(rfc3339.parse::<jiff::Timestamp>().expect("a time").as_nanosecond() as u64)
}

/// Scenario: every form that a logger writes, no zone set. Guarantees: the instant that jiff reads
/// from the RFC 3339 text in the same row.
#[test]
fn every_shape() {
    for (text, expected) in [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.1Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
        ("2026-01-02T03:04:05.1234567891234+02:00", "2026-01-02T01:04:05.123456789Z"),
        ("2026-01-02 03:04:05,123", "2026-01-02T03:04:05.123Z"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04", "2026-01-02T03:04:00Z"),
        ("2026-01-02T03:04Z", "2026-01-02T03:04:00Z"),
        ("2026-01-02 03:04:05 +0000", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05.123 GMT", "2026-01-02T03:04:05.123Z"),
        ("2026-01-02T03:04:05-0930", "2026-01-02T12:34:05Z"),
        ("2026-01-02T03:04:05+01", "2026-01-02T02:04:05Z"),
        ("2026/01/02 15:04:05", "2026-01-02T15:04:05Z"),
        ("2026/01/02 15:04:05.000123", "2026-01-02T15:04:05.000123Z"),
        ("21/Nov/2026:10:09:08 +0000", "2026-11-21T10:09:08Z"),
        ("21/Nov/2026:10:09:08 -0100", "2026-11-21T11:09:08Z"),
        ("21/Nov/2026 10:09:08", "2026-11-21T10:09:08Z"),
        ("1795255200", "2026-11-21T10:00:00Z"),
        ("1795255200.5", "2026-11-21T10:00:00.5Z"),
        ("1795255200.1234567", "2026-11-21T10:00:00.1234567Z"),
        ("1795255200123", "2026-11-21T10:00:00.123Z"),
        ("1795255200123.5", "2026-11-21T10:00:00.1235Z"),
        ("1795255200123456", "2026-11-21T10:00:00.123456Z"),
        ("1795255200123456789", "2026-11-21T10:00:00.123456789Z"),
        ("1.7952552e9", "2026-11-21T10:00:00Z"),
        ("Nov 21 10:00:00", "2026-11-21T10:00:00Z"),
        ("Jan  1 00:00:05", "2026-01-01T00:00:05Z"),
        ("Mar 1 00:00:05", "2026-03-01T00:00:05Z"),
        // the sender's clock may be ahead by a week
        ("Nov 28 09:59:59", "2026-11-28T09:59:59Z"),
        ("Nov 28 10:00:01", "2025-11-28T10:00:01Z"),
        ("2026-325T10:00:00,250", "2026-11-21T10:00:00.25Z"),
        ("@400000006a0e3af01dcd6500", "2026-05-20T22:51:18.5Z"),
        ("Jun 21 00:00:05.5", "2026-06-21T00:00:05.5Z"),
        ("09:59:58", "2026-11-21T09:59:58Z"),
        ("23:59:58,250", "2026-11-20T23:59:58.25Z"),
        ("01/02/2026 03:04:05 PM", "2026-01-02T15:04:05Z"),
        ("01/02/2026 12:04:05 AM", "2026-01-02T00:04:05Z"),
        ("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00Z"),
        ("Sat Nov 21 10:00:00 2026", "2026-11-21T10:00:00Z"),
        ("20261121T100000Z", "2026-11-21T10:00:00Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(read(text, &Zone::Utc), Some(at(expected)), "{text:?}");
    }
}

#[test]
fn what_is_no_time() {
    for text in [
        "",
        "x",
        "now",
        "12",
        "99999999",
        "-1795255200",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+25:00",
        "2026-01-01T00:00:00 and more",
        "31/Feb/2026:10:00:00 +0000",
        "21/Xyz/2026:10:00:00 +0000",
        "1969-12-31T23:59:59Z",
        "3000-01-01T00:00:00Z",
        "25:00:00",
        "Feb 30 10:00:00",
        "01/02/2026 13:04:05 PM",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0:00",
    ] {
        assert_eq!(read(text, &Zone::Utc), None, "{text:?}");
    }
}

#[test]
fn a_zone_is_that_of_the_text_else_the_one_that_is_set() {
    let newyork = Zone::Named(TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("a zone"));
    for (text, zone, expected) in [
        ("2026-07-01 12:00:00", &newyork, "2026-07-01T16:00:00Z"),
        ("2026-12-01 12:00:00", &newyork, "2026-12-01T17:00:00Z"),
        ("01/Jul/2026:12:00:00", &newyork, "2026-07-01T16:00:00Z"),
        ("2026-07-01 12:00:00Z", &newyork, "2026-07-01T12:00:00Z"),
        // 10:00Z is 05:00 there: a time of day belongs to that wall clock
        ("04:59:00", &newyork, "2026-11-21T09:59:00Z"),
        ("Nov 21 04:59:00", &newyork, "2026-11-21T09:59:00Z"),
        ("2026-07-01 12:00:00", &Zone::Fixed(3600), "2026-07-01T11:00:00Z"),
        ("2026-07-01 12:00:00+00:00", &Zone::Fixed(3600), "2026-07-01T12:00:00Z"),
        ("1795255200", &Zone::Fixed(3600), "2026-11-21T10:00:00Z"),
    ] {
        assert_eq!(read(text, zone), Some(at(expected)), "{text:?}");
    }
}

/// Scenario: times of several minutes, hours and zones alternate. Guarantees: the cache never
/// changes a value.
#[test]
fn the_cache_forgets_nothing_and_mixes_nothing() {
    let zone = Zone::Named(TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("a zone"));
    let mut cache = MinuteCache::default();
    let texts = [
        "2026-11-01 00:59:59,999",
        "2026-11-01 01:59:59",
        "2026-11-01 02:00:00",
        "2026-11-01 02:00:00Z",
        "2026-11-01 02:00:59",
        "01/Nov/2026:01:59:58",
        "01/Nov/2026:01:50:58",
        "01/Nov/2026:01:50:58 +0000",
        "01/Nov/2026:02:00:58",
        "2026-11-01T02:00:58",
        "2026-02-30T02:00:58",
    ];
    for first in texts {
        for second in texts {
            for text in [first, second, second] {
                assert_eq!(parse(text, &zone, NOW, &mut cache), read(text, &zone), "{text:?}");
            }
        }
    }
}

proptest! {
    /// Any instant in any common form is read back as itself; jiff is the oracle.
    #[test]
    fn property_equals_jiff(
        seconds in 0i64..18_446_744_073,
        nanos in 0i32..1_000_000_000,
        places in 0usize..10,
        east in -14i32 * 60..14 * 60,
        shape in 0..4,
    ) {
        let cut = if places == 0 { 0 } else { nanos / 10i32.pow(9 - places as u32) * 10i32.pow(9 - places as u32) };
        let instant = jiff::Timestamp::new(seconds, if shape == 2 { 0 } else { cut }).expect("in range");
        let offset = jiff::tz::Offset::from_seconds(east * 60).expect("in range");
        let zoned = instant.to_zoned(TimeZone::fixed(offset));
        let fraction = if places == 0 { String::new() } else { format!(".{:0places$}", cut / 10i32.pow(9 - places as u32)) };
        let text = match shape {
            0 => zoned.strftime(&format!("%Y-%m-%dT%H:%M:%S{fraction}%:z")).to_string(),
            1 => zoned.strftime(&format!("%Y-%m-%d %H:%M:%S{} %z", fraction.replace('.', ","))).to_string(),
            2 => zoned.strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
            _ => zoned.strftime(&format!("%Y/%m/%d %H:%M:%S{fraction}%z")).to_string(),
        };
        prop_assert_eq!(read(&text, &Zone::Utc), Some(UnixNanos(instant.as_nanosecond() as u64)), "{}", text);
    }

    /// Text in the form of RFC 3339 is accepted or refused as by jiff; only a leap second differs.
    #[test]
    fn property_refuses_what_jiff_refuses(
        (y, mo, d) in (1970u32..2500, 0u32..14, 0u32..33),
        (h, mi, s) in (0u32..26, 0u32..62, 0u32..60),
    ) {
        let text = format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z");
        let expected = text.parse::<jiff::Timestamp>().ok().map(|t| UnixNanos(t.as_nanosecond() as u64));
        prop_assert_eq!(read(&text, &Zone::Utc), expected);
    }

    /// No text causes a panic.
    #[test]
    fn property_any_text(text in "\\PC{0,40}|[0-9TZ:., +/-]{0,40}|[A-Z][a-z]{2} [ 0-9:]{0,20}") {
        let _ = read(&text, &Zone::Utc);
    }
}
