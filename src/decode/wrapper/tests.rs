//! Tests every wrapper around the same line, and what remains without it.

use super::super::{Memory, decode};
use crate::decode::text::fixture::all_of;
use crate::record::field::FieldTable;
use crate::record::{Decoded, Format};
use proptest::prelude::*;

fn decoded(line: &str) -> Decoded {
    let mut into = Decoded::new();
    decode(line, &FieldTable::standard(), &mut Memory::default(), &mut into);
    into
}

/// Scenario: lines of every format in every wrapper. Guarantees: the line has the same fields as
/// without the wrapper; the wrapper adds its time and program only if the line has none.
#[test]
fn a_wrapped_line_gives_what_it_gives_alone() {
    let lines = [
        "{\"level\":\"error\",\"message\":\"no stock\"}",
        "level=error msg=\"no stock\"",
        "2026-01-02 03:04:05,250 - shop.orders - ERROR - no stock",
        "[2026-01-02 03:04:05 +0000] [7] [ERROR] no stock",
        "E0102 03:04:05.250000       1 main.go:40] no stock",
        "10.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /a HTTP/1.1\" 500 1 \"-\" \"c\" 0.1",
    ];
    let docker = |line: &str| {
        let log = serde_json::to_string(&format!("{line}\n")).expect("a string");
        format!("{{\"log\":{log},\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.25Z\"}}")
    };
    for line in lines {
        let alone = all_of(line, &decoded(line));
        for (wrapped, adds) in [
            (format!("\u{feff}{line}"), &[][..]),
            (format!("2026-01-02T03:04:04.250000000Z {line}"), &["timestamp"]),
            (format!("2026-01-02T03:04:04.25Z stdout F {line}"), &["timestamp"]),
            (format!("2026-01-02T03:04:04.25+01:00 stderr P {line}"), &["timestamp"]),
            (docker(line), &["timestamp"]),
            (format!("<11>{line}"), &[]),
            (format!("<11>Jan  2 03:04:05 host shop[7]: {line}"), &["timestamp", "service.name"]),
            (format!("Jan  2 03:04:05 host shop[7]: {line}"), &["timestamp", "service.name"]),
            (
                format!("2026-01-02T03:04:05+0100 host shop[7]: {line}"),
                &["timestamp", "service.name"],
            ),
            (
                format!("<11>1 2026-01-02T03:04:05Z host shop 7 ID [a@1 b=\"c] \\\"d\"] {line}"),
                &["timestamp", "service.name"],
            ),
            (format!("\u{1b}[31m{line}\u{1b}[0m"), &[]),
        ] {
            let into = decoded(&wrapped);
            let mut got = all_of(&wrapped, &into);
            for name in adds {
                let wrapper = got.get(*name).cloned();
                assert!(wrapper.is_some(), "{name} of {wrapped}");
                if !alone.contains_key(*name) {
                    got.remove(*name);
                }
            }
            assert_eq!(got, alone, "{wrapped}");
            assert_eq!(into.format, decoded(line).format, "{wrapped}");
        }
    }
}

#[test]
fn what_the_wrapper_says() {
    for (line, severity, fields) in [
        (
            "<165>1 2026-11-21T10:00:00Z host app 7 ID47 [x@1 request_id=\"r 1\" a=\"\\\"\"] text",
            10,
            &[
                ("timestamp", "2026-11-21T10:00:00Z"),
                ("service.name", "app"),
                ("request_id", "r 1"),
                ("body", "text"),
            ][..],
        ),
        (
            "<13>Nov 21 10:00:00 app[77]: text: more",
            10,
            &[("timestamp", "Nov 21 10:00:00"), ("service.name", "app"), ("body", "text: more")],
        ),
        ("<8>app[7]: started", 21, &[("service.name", "app"), ("body", "started")]),
        ("<14>note: this is no tag", 9, &[("body", "note: this is no tag")]),
        (
            "Dec 10 06:55:48 LabSZ sshd[24200]: error: Received disconnect",
            17,
            &[
                ("timestamp", "Dec 10 06:55:48"),
                ("service.name", "sshd"),
                ("severity_text", "error"),
                ("body", "Received disconnect"),
            ],
        ),
        ("<192>x", 0, &[("body", "<192>x")]),
        ("<b>bold</b>", 0, &[("body", "<b>bold</b>")]),
        (
            "62 <11>1 2026-01-02T03:04:05Z host shop - - - text",
            17,
            &[("timestamp", "2026-01-02T03:04:05Z"), ("service.name", "shop"), ("body", "text")],
        ),
        (
            "2026-01-02T03:04:04.250000000Z ERROR no stock",
            17,
            &[
                ("timestamp", "2026-01-02T03:04:04.250000000Z"),
                ("severity_text", "ERROR"),
                ("body", "no stock"),
            ],
        ),
        (
            "Jan 02 03:04:05 ERROR main: x",
            17,
            &[("timestamp", "Jan 02 03:04:05"), ("severity_text", "ERROR"), ("body", "main: x")],
        ),
    ] {
        let into = decoded(line);
        let record = crate::record::Record::new(
            line,
            &into,
            crate::clock::UnixNanos(0),
            crate::record::Envelope::default(),
        );
        assert_eq!(record.severity().0, severity, "{line}");
        let expected: Vec<_> =
            fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let got = all_of(line, &into);
        let got: Vec<_> = expected
            .iter()
            .map(|(name, _)| (*name, got.get(*name).cloned().unwrap_or_default()))
            .collect();
        assert_eq!(got, expected, "{line}");
    }
}

/// A Docker line that lacks a part is read as any other JSON.
#[test]
fn what_only_looks_like_docker() {
    for line in [
        "{\"log\":\"x\",\"stream\":\"stdin\",\"time\":\"2026-01-02T03:04:05.25Z\"}",
        "{\"log\":\"x\",\"time\":\"2026-01-02T03:04:05.25Z\"}",
        "{\"log\":{\"level\":\"info\"},\"stream\":\"stdout\"}",
    ] {
        let into = decoded(line);
        assert_eq!((into.format, into.rewritten.as_str()), (Format::Json, ""), "{line}");
    }
}

proptest! {
    /// No line causes a panic, whatever wraps it, and every field lies within the text.
    #[test]
    fn property_any_wrapping(
        layers in prop::collection::vec(prop::sample::select(vec![
            "\u{feff}", "<11>", "<11>1 2026-01-02T03:04:05Z h a p m - ", "<11>1 2026-01-02T03:04:05Z h a p m [a b=\"c\"] ",
            "Jan  2 03:04:05 host shop[7]: ", "2026-01-02T03:04:04.25Z stdout F ", "2026-01-02T03:04:04.250000000Z ",
            "12 ", "{\"log\":\"", "\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.25Z\"}", "\u{1b}[1m", "x: ",
        ]), 0..6),
        text in "\\PC{0,40}",
    ) {
        let line = layers.concat() + &text;
        let into = decoded(&line);
        all_of(&line, &into);
    }
}
