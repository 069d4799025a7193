//! Compares remembered headers with the parser, on random and on usual lines.

use super::super::header;
use super::*;
use crate::record::slots::{SlotValue, ValueBuffer};
use proptest::prelude::*;
use proptest::sample::select;

type Read = (Option<usize>, Vec<(u16, SlotValue)>);

fn read(line: &[u8], layouts: Option<&mut Layouts>) -> Read {
    let mut slots = Slots::new();
    let mut out = Out::new(&mut slots, ValueBuffer::Line);
    let body = match layouts {
        Some(layouts) => header::read_remembered(line, layouts, &mut out),
        None => header::read(line, &mut out).ok(),
    };
    let fields = (0..64).filter_map(|field| Some((field, *slots.get(FieldId(field))?)));
    (body, if body.is_some() { fields.collect() } else { Vec::new() })
}

fn any_time() -> impl Strategy<Value = String> {
    let digits = (0..30_u32, 0..24_u32, 0..60_u32, 0..1000_u32);
    (0..9, digits).prop_map(|(form, (day, hour, second, fraction))| match form {
        0 => format!("2026-11-{day:02} {hour:02}:00:{second:02},{fraction:03}"),
        1 => format!("2026-11-{day:02}T{hour:02}:00:{second:02}.{fraction}Z"),
        2 => format!("2026-11-{day:02} {hour:02}:00:{second:02}"),
        3 => format!("[2026-11-{day:02} {hour:02}:00:{second:02}.{fraction:03}]"),
        4 => format!("I11{day:02} {hour:02}:00:{second:02}.{fraction:06}"),
        5 => format!("2026-11-{day:02} {hour:02}:00:{second:02}.{fraction:03} UTC"),
        6 => format!("2026/11/{day:02} {hour:02}:00:{second:02}"),
        7 => format!("11-{day:02} {hour:02}:00:{second:02}.{fraction:03}"),
        _ => format!("[2026-11-{day:02}T{hour:02}:00:{second:02}+01:00]"),
    })
}

fn any_line() -> impl Strategy<Value = String> {
    let parts = [
        " - ",
        " | ",
        " : ",
        ": ",
        " --- ",
        " -- ",
        " ",
        "  ",
        "\t",
        "|",
        "-",
        ":",
        ",",
        " app.views",
        " root",
        "views",
        "INFO",
        "ERROR",
        "[INFO]",
        "[error]",
        "warn",
        "W",
        "D",
        "LOG:  ",
        "INFO ",
        "[main]",
        "[nio-1]",
        "[7]",
        "(f)",
        "<x>",
        "{a=b}",
        " 7 file.go:12] ",
        " 1234  5678 ",
        "app.ERROR: ",
        "E/tag( 7): ",
        "tag: ",
        "7",
        "in",
        "in app: ",
        "[req-1a2b3c4d5e6f7a8b9]",
        "name",
        "DEBUG",
        "cpu7:1)",
        "I",
        "[I]",
        "(0x0040)",
        "app:f:12",
        "a=b",
        "[trace_id=1 span_id=2]",
    ];
    let messages = [
        "Stored 7 rows",
        "GET /orders 200 12.5ms",
        "duration: 1.5 ms  statement: SELECT 1",
        "in app: x",
        "\"Reconciled\" pod=\"x\"",
        "x",
        "a b [c] | d: e] - f (g) INFO",
        "a.b: c",
        "name: text",
        "7: x",
        "hostd[7] x",
        "(f) x",
        "x|y",
        "ab - c",
        "ab : c",
        "ab  c",
        "ERROR x y",
        "key=value x",
        "root: x",
        "",
        "a b | c",
        "--- x",
        "tag x: y",
        "{\"a\":1}",
        "[x] y",
        "f [x",
        "x:12 - y",
        "A\u{e9} b",
    ];
    let header = prop::collection::vec(select(parts.to_vec()), 1..5);
    (any_time(), header, select(messages.to_vec()))
        .prop_map(|(time, header, message)| format!("{time}{}{message}", header.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Scenario: lines with random headers, each followed by the same header with other times
    /// and messages, and by cut lines. Guarantees: the remembered header gives the fields that
    /// the parser gives.
    #[test]
    fn property_a_remembered_header_is_read_as_the_parser_reads_it(
        lines in prop::collection::vec((any_line(), any_line(), 0..80_usize), 1..40),
    ) {
        let mut layouts = Layouts::default();
        for (line, other, cut) in &lines {
            // the header of one line with the message of the other, and the reverse
            let (body, _) = read(line.as_bytes(), None);
            let (other_body, _) = read(other.as_bytes(), None);
            let (body, other_body) = (body.unwrap_or(0), other_body.unwrap_or(0));
            let mixed = format!("{}{}", &line[..body], &other[other_body..]);
            let short = line.get(..*cut).unwrap_or(line);
            for line in [line, other, &mixed, short, line] {
                let remembered = read(line.as_bytes(), Some(&mut layouts));
                prop_assert_eq!(remembered, read(line.as_bytes(), None), "{:?}", line);
            }
        }
    }
}

/// Headers that real layouts have are remembered, so that the parser does not run.
#[test]
fn usual_headers_are_remembered() {
    for line in [
        "2026-11-21 10:00:00,123 - shop.orders - INFO - Stored 7 rows",
        "I1121 10:00:00.123456       1 controller.go:138] \"Reconciled\" pod=\"x\"",
        "2026-11-21T10:00:00.123Z  INFO 1 --- [nio-8080-exec-1] c.s.OrderController   : Stored 7 rows",
        "2026-11-21 10:00:00.123 UTC [71] LOG:  duration: 1.5 ms  statement: SELECT 1",
        "2026-11-21 10:00:00.123 | INFO     | shop.orders:buy:12 - Stored 7 rows",
        "2026-11-21 10:00:00 INFO  Stored 7 rows",
    ] {
        let mut layouts = Layouts::default();
        read(line.as_bytes(), Some(&mut layouts));
        let mut slots = Slots::new();
        let mut out = Out::new(&mut slots, ValueBuffer::Line);
        assert!(layouts.find(line.as_bytes(), &mut out).is_some(), "{line}");
    }
}

/// Bug: a bracket in place of klog's letter was read as the level `[`.
#[test]
fn a_letter_and_a_bracket_before_a_time_are_different_headers() {
    let klog = "I1121 10:00:00.123456 1 a.go:13] Stored 7 rows";
    let bracketed = "[2026-11-21 10:00:00 1 a.go:13] Stored 7 rows";
    let mut layouts = Layouts::default();
    for line in [klog, bracketed, klog, bracketed] {
        let remembered = read(line.as_bytes(), Some(&mut layouts));
        assert_eq!(remembered, read(line.as_bytes(), None), "{line}");
    }
    assert_eq!(layouts.known.len(), 1, "klog's header is remembered");
}

/// Bug: a header of logcat without a tag was remembered if a separator followed its letter, and a
/// tag in another message was not read.
#[test]
fn a_header_in_whose_message_a_tag_is_looked_for_is_not_remembered() {
    let header = "2026-11-21 00:00:00,000 1234  5678 W | x:12 - ";
    let mut layouts = Layouts::default();
    for message in ["y", "Ztag: Stored 7 rows"] {
        let line = format!("{header}{message}");
        let remembered = read(line.as_bytes(), Some(&mut layouts));
        assert_eq!(remembered, read(line.as_bytes(), None), "{line}");
    }
}

/// Bug: a word that PostgreSQL writes as a level was searched for in a message of klog.
#[test]
fn a_letter_of_klog_is_the_level_whatever_the_message_says() {
    let line = "I1121 00:00:00.000000 7 file.go:12] [req-1] ERROR:  the message names a level";
    let (body, fields) = read(line.as_bytes(), None);
    assert_eq!(body, Some(36));
    let level = fields.iter().find(|(field, _)| *field == SEVERITY.0).map(|(_, value)| value);
    assert_eq!(level.map(|value| (value.start, value.len)), Some((0, 1)));
}

/// A source with a new header in every line uses its credit up, and gets it back slowly.
#[test]
fn what_never_recurs_is_not_remembered_forever() {
    let mut layouts = Layouts::default();
    let mut read_many = |lines: std::ops::Range<u32>| {
        for number in lines {
            let line = format!("2026-11-21 10:00:00 INFO app{number}.views: Stored 7 rows");
            read(line.as_bytes(), Some(&mut layouts));
            assert!(layouts.known.len() <= KNOWN_MAX);
        }
        layouts.credit
    };
    assert!(read_many(0..2_000) < COST);
    assert!(read_many(2_000..20_000) < 2 * COST);
}
