//! Tests of the times in formats.

use super::*;
use crate::decode::time::{MinuteCache, Zone, parse};

/// The time that a record has, in nanoseconds since the epoch.
fn time_of(settings: &FormatSettings, line: &str) -> Option<u64> {
    let mut readers = compiled(settings);
    let mut into = Decoded::new();
    assert!(readers.read(line, &mut into), "{line}: {:?}", readers.declines(line));
    let now = crate::clock::UnixNanos(1_767_323_045_000_000_000);
    let record = crate::record::Record::new(line, &into, now, crate::record::Envelope::default());
    let text = record.text(crate::record::field::TIMESTAMP)?;
    parse(text, &Zone::Utc, now, &mut MinuteCache::default()).map(|time| time.0)
}

/// Guarantees: the format's own form of a time decides what is day and what is month, and the zone
/// of the format counts where the text names none.
#[test]
fn times_have_the_form_and_zone_of_the_format() {
    // 2026-02-01T03:04:05Z
    const FEBRUARY: u64 = 1_769_915_045_000_000_000;
    let python = |datefmt: &str| FormatSettings {
        datefmt: Some(datefmt.to_owned()),
        ..settings(Notation::Python, "%(asctime)s %(message)s")
    };
    for (datefmt, text) in [
        ("%d/%m/%Y %H:%M:%S", "01/02/2026 03:04:05"),
        ("%m/%d/%Y %H:%M:%S", "02/01/2026 03:04:05"),
        ("%d.%m.%y %I:%M:%S %p", "01.02.26 03:04:05 AM"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-02-01T03:04:05+0000"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-02-01T03:04:05+00:00"),
        ("%Y-%m-%dT%H:%M:%S%:z", "2026-02-01T03:04:05+00:00"),
        ("%d-%b-%Y %H:%M:%S", "01-Feb-2026 03:04:05"),
        ("%s", "1769915045"),
        ("%c", "Sun Feb  1 03:04:05 2026"),
        ("%Y%m%d %H%M%S", "20260201 030405"),
    ] {
        let line = format!("{text} x");
        assert_eq!(time_of(&python(datefmt), &line), Some(FEBRUARY), "{datefmt}");
    }
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
    let zoned = FormatSettings { time_zone: Some(berlin), ..python("%Y-%m-%d %H:%M:%S") };
    for _ in 0..2 {
        assert_eq!(time_of(&zoned, "2026-02-01 04:04:05 x"), Some(FEBRUARY));
    }
    assert_eq!(time_of(&zoned, "2026-07-01 05:04:05 x"), Some(1_782_875_045_000_000_000));
    let merged = settings(Notation::Python, "%(asctime)s.%(msecs)03d %(message)s");
    let merged = FormatSettings { datefmt: Some("%d/%m/%Y %H:%M:%S".to_owned()), ..merged };
    assert_eq!(time_of(&merged, "01/02/2026 03:04:05.250 x"), Some(FEBRUARY + 250_000_000));
    // a date that does not exist costs only the time
    assert_eq!(time_of(&python("%d/%m/%Y %H:%M:%S"), "31/02/2026 03:04:05 x"), None);
    let java = |notation, pattern| settings(notation, pattern);
    for (format, line) in [
        (java(Notation::Logback, "%d{dd/MM/yyyy HH:mm:ss} %msg%n"), "01/02/2026 03:04:05 x"),
        (
            java(Notation::Logback, "%d{\"HH:mm:ss,SSS dd.MM.yy\", UTC} %msg"),
            "03:04:05,000 01.02.26 x",
        ),
        (java(Notation::Log4j2, "%d{ISO8601}{GMT} %msg%n"), "2026-02-01T03:04:05,000 x"),
        (
            java(Notation::Log4j2, "%d{yyyy-MM-dd HH:mm:ss}{Europe/Berlin} %m"),
            "2026-02-01 04:04:05 x",
        ),
        (
            java(Notation::Logback, "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %msg%n"),
            "2026-02-01T04:04:05.000+01:00 x",
        ),
        (java(Notation::Log4j2, "%d{yyyy-MM-dd'T'HH:mm:ssXXX} %m%n"), "2026-02-01T03:04:05Z x"),
        (
            java(Notation::Logback, "%d{yyyy-MM-dd HH:mm:ss ZZZZ} %msg%n"),
            "2026-02-01 04:04:05 GMT+01:00 x",
        ),
        (java(Notation::Apache, "%{%FT%T%z}t %r"), "2026-02-01T04:04:05+0100 x"),
        (java(Notation::Nginx, "$time_iso8601 $request"), "2026-02-01T04:04:05+01:00 x"),
        (java(Notation::Log4j2, "%d{UNIX_MILLIS} %m%n"), "1769915045000 x"),
        (java(Notation::Loguru, "{time:D/M/YYYY H:mm:ss} {message}"), "1/2/2026 3:04:05 x"),
        (
            java(Notation::Loguru, "{time:YYYY-MM-DD HH:mm:ss!UTC} {message}"),
            "2026-02-01 03:04:05 x",
        ),
        (java(Notation::Apache, "%{%d/%m/%Y %T}t %r"), "01/02/2026 03:04:05 x"),
        (java(Notation::Apache, "%{msec}t %r"), "1769915045000 x"),
        (java(Notation::Nginx, "$msec $request"), "1769915045.000 x"),
    ] {
        assert_eq!(time_of(&format, line), Some(FEBRUARY), "{}", format.pattern);
    }
}

/// Bug: two times of one pattern with different zones shared the offset of the first.
/// Guarantees: each has the offset of the zone that it names.
#[test]
fn each_time_of_a_pattern_has_its_zone() {
    for (first, second) in
        [("Europe/Berlin", "America/New_York"), ("America/New_York", "Europe/Berlin")]
    {
        let date = |zone: &str| format!("%d{{yyyy-MM-dd HH:mm:ss}}{{{zone}}}");
        let pattern = format!("{} {} %m", date(first), date(second));
        let mut fields = FieldTable::standard();
        let one = settings(Notation::Log4j2, &pattern);
        let (formats, errors) = compile(std::slice::from_ref(&one), &mut fields);
        assert_eq!(errors, []);
        let mut readers = Readers::new(&Arc::new(formats));
        let line = "2026-02-01 03:04:05 2026-02-01 03:04:05 x";
        let mut into = Decoded::new();
        assert!(readers.read(line, &mut into));
        let offsets: Vec<&str> = into.scratch.split("2026-02-01 03:04:05").skip(1).collect();
        let of = |zone: &str| if zone == "Europe/Berlin" { "+01:00" } else { "-05:00" };
        assert_eq!(offsets, [of(first), of(second)]);
    }
}

/// Guarantees: a rule that names a time by its key in the pattern has it as it is written.
#[test]
fn a_rule_can_name_a_time() {
    let format = FormatSettings {
        datefmt: Some("%d/%m/%Y %H:%M:%S".to_owned()),
        ..settings(Notation::Python, "%(asctime)s %(message)s")
    };
    let line = "01/02/2026 03:04:05 x";
    assert_eq!(own(&format, "asctime", line).as_deref(), Some("01/02/2026 03:04:05"));
}

/// Guarantees: the settings of times of an expression apply to the part that they map to a time.
#[test]
fn an_expression_has_the_form_and_zone_of_the_format() {
    let format = FormatSettings {
        datefmt: Some("%d/%m/%Y %H:%M:%S".to_owned()),
        time_zone: jiff::tz::TimeZone::get("Europe/Berlin").ok(),
        fields: vec![("begin".to_owned(), "time".to_owned())],
        ..settings(Notation::Regex, r"^(?<begin>\S+ \S+) (?<message>.*)$")
    };
    assert_eq!(time_of(&format, "01/02/2026 04:04:05 x"), Some(1_769_915_045_000_000_000));
}

/// Bug: a name of a time that the settings map to a field had no effect on the field.
/// Guarantees: the text is the value of that field, and the record has no time from it.
#[test]
fn a_time_that_is_mapped_is_another_field() {
    let started = FormatSettings {
        fields: vec![("asctime".to_owned(), "started".to_owned())],
        ..settings(Notation::Python, "%(asctime)s %(created)s %(message)s")
    };
    let line = "2026-01-02 03:04:05,678 1769915045.0 x";
    assert_eq!(own(&started, "started", line).as_deref(), Some("2026-01-02 03:04:05,678"));
    reads(&started, line, &[("timestamp", "1769915045.0"), ("body", "x")]);
}
