//! Layouts of text lines, including tracebacks, and the fields that are found in each.

mod layouts;
mod programs;
mod tracebacks;

use super::fixture::{all_of, expected as fields};
use super::*;
use crate::decode::Memory;
use crate::record::field::FieldTable;
use proptest::prelude::*;

fn decode(line: &str) -> Decoded {
    let mut into = Decoded::new();
    let wanted = FieldTable::standard();
    crate::decode::decode(line, &wanted, &mut Memory::default(), &mut into);
    into
}

#[track_caller]
fn check(line: &str, format: Format, expected: &[(&str, &str)]) {
    let into = decode(line);
    assert_eq!(all_of(line, &into), fields(expected), "{line}");
    assert_eq!(into.format, format, "{line}");
}

const T: (&str, &str) = ("timestamp", "2026-01-01 10:00:00,123");
const S: (&str, &str) = ("timestamp", "2026-01-01 10:00:00");
const INFO: (&str, &str) = ("severity_text", "INFO");
const NAME: (&str, &str) = ("logger.name", "shop.orders");
const MESSAGE: (&str, &str) = ("body", "API Request: f failed - a | b");
const UUID: &str = "6f1c1b1e-5f0e-4a3e-9d3c-0f6b1a2c3d4e";

/// Scenario: the layouts of the founding documents, as CPython's `logging` writes them. Guarantees:
/// every part is found; the message keeps the separators inside it.
#[test]
fn python_layouts() {
    for (line, expected) in [
        ("INFO:shop.orders:API Request: f failed - a | b", &[INFO, NAME, MESSAGE][..]),
        ("WARNING:root:", &[("severity_text", "WARNING"), ("logger.name", "root"), ("body", "")]),
        (
            "2026-01-01 10:00:00,123 - shop.orders - INFO - API Request: f failed - a | b",
            &[T, NAME, INFO, MESSAGE],
        ),
        ("2026-01-01 10:00:00,123 - INFO - API Request: f failed - a | b", &[T, INFO, MESSAGE]),
        ("2026-01-01 10:00:00,123 - INFO - started - ok", &[T, INFO, ("body", "started - ok")]),
        (
            "2026-01-01 10:00:00,123 | shop.orders | INFO | orders.py:12 | API Request: f failed - a | b",
            &[T, NAME, INFO, ("code.file.path", "orders.py"), ("code.line.number", "12"), MESSAGE],
        ),
        (
            "2026-01-01 10:00:00 | shop.orders | INFO | orders.py:12 | API Request: f failed - a | b",
            &[S, NAME, INFO, ("code.file.path", "orders.py"), ("code.line.number", "12"), MESSAGE],
        ),
        (
            "2026-01-01 10:00:00 - root     - INFO     - orders.py:12 - x",
            &[
                S,
                ("logger.name", "root"),
                INFO,
                ("code.file.path", "orders.py"),
                ("code.line.number", "12"),
                ("body", "x"),
            ],
        ),
        (
            "2026-01-01 10:00:00,123 - [req-12] - INFO - API Request: f failed - a | b",
            &[T, ("request_id", "req-12"), INFO, MESSAGE],
        ),
        (
            "2026-01-01 10:00:00,123 - [NO_REQUEST] - INFO - API Request: f failed - a | b",
            &[T, INFO, MESSAGE],
        ),
        (
            "2026-01-01 10:00:00,123 - shop.orders - [6f1c1b1e-5f0e-4a3e-9d3c-0f6b1a2c3d4e] - API Request: f failed - a | b",
            &[T, NAME, ("trace_id", UUID), MESSAGE],
        ),
        (
            "2026-01-01 10:00:00,123 - shop.orders - [no_trace] - API Request: f failed - a | b",
            &[T, NAME, MESSAGE],
        ),
        (
            "2026-01-01 10:00:00,123 - shop.orders - [req-1] - INFO - x",
            &[T, NAME, ("request_id", "req-1"), INFO, ("body", "x")],
        ),
        (
            "2026-01-01 10:00:00,123 - MainThread - shop.orders - INFO - x",
            &[T, NAME, INFO, ("body", "x")],
        ),
        ("2026-01-01 10:00:00,123 - 12 - shop.orders - INFO - x", &[T, NAME, INFO, ("body", "x")]),
        (
            "2026-01-01 10:00:00,123 - shop.orders - INFO - [cache] - x",
            &[T, NAME, INFO, ("body", "[cache] - x")],
        ),
        ("2026-01-01 10:00:00,123 - INFO - shop.orders - x", &[T, NAME, INFO, ("body", "x")]),
        (
            "2026-01-01 10:00:00,123 - shop.orders - INFO - [req-12] - x",
            &[T, NAME, INFO, ("request_id", "req-12"), ("body", "x")],
        ),
        ("2026-01-01 10:00:00,123 - shop.orders - INFO - [-] - x", &[T, NAME, INFO, ("body", "x")]),
        ("INFO - API Request: f failed - a | b", &[INFO, MESSAGE]),
        ("ERROR | x", &[("severity_text", "ERROR"), ("body", "x")]),
        ("shop.orders - INFO - API Request: f failed - a | b", &[NAME, INFO, MESSAGE]),
        ("root: not a layout - INFO - x", &[("body", "root: not a layout - INFO - x")]),
        ("2026-01-01 10:00:00,123:INFO:shop.orders:x", &[T, INFO, NAME, ("body", "x")]),
        ("2026-01-01 10:00:00,123 INFO:shop.orders:x", &[T, INFO, NAME, ("body", "x")]),
        ("2026-01-01 10:00:00,123 shop.orders INFO x - y", &[T, INFO, NAME, ("body", "x - y")]),
        ("2026-01-01 10:00:00,123 INFO shop.orders: x", &[T, INFO, NAME, ("body", "x")]),
        ("2026-01-01 10:00:00,123 INFO user: x", &[T, INFO, ("body", "user: x")]),
        ("2026-01-01 10:00:00,123 [INFO] shop.orders: x", &[T, INFO, NAME, ("body", "x")]),
        ("2026-01-01 10:00:00,123 [INFO] API Request: f failed - a | b", &[T, INFO, MESSAGE]),
        ("2026-01-01 10:00:00,123 INFO [cache] x", &[T, INFO, ("body", "[cache] x")]),
        (
            "[2026-01-01 10:00:00,123] INFO in orders: x - y",
            &[T, INFO, ("logger.name", "orders"), ("body", "x - y")],
        ),
        ("[2026-01-01 10:00:00,123] INFO in the morning", &[T, INFO, ("body", "in the morning")]),
        (
            "10:00:00 - shop.orders - INFO - x",
            &[("timestamp", "10:00:00"), NAME, INFO, ("body", "x")],
        ),
        (
            "01/02/2026 03:04:05 PM - INFO - x",
            &[("timestamp", "01/02/2026 03:04:05 PM"), INFO, ("body", "x")],
        ),
        (
            "2026-01-01 10:00:00,123 - nothing is known here",
            &[T, ("body", "nothing is known here")],
        ),
        ("2026-01-01 10:00:00,123 - started - ok", &[T, ("body", "started - ok")]),
        ("2026-01-01 10:00:00,123 - shop.orders - INFO - ", &[T, NAME, INFO, ("body", "")]),
        ("2026-01-01 10:00:00,123", &[T, ("body", "")]),
        (
            "2026-01-01 10:00:00,123 INFO [shop.orders] [orders.py:12] [trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 resource.service.name=shop trace_sampled=True] - API Request: f failed - a | b",
            &[
                T,
                INFO,
                NAME,
                ("code.file.path", "orders.py"),
                ("code.line.number", "12"),
                ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
                ("span_id", "b7ad6b7169203331"),
                ("service.name", "shop"),
                ("trace_flags", "True"),
                MESSAGE,
            ],
        ),
        (
            "2026-01-01 10:00:00,123 INFO [shop.orders] [orders.py:12] [trace_id=0 span_id=0 resource.service.name= trace_sampled=False] - x",
            &[
                T,
                INFO,
                NAME,
                ("code.file.path", "orders.py"),
                ("code.line.number", "12"),
                ("trace_flags", "False"),
                ("body", "x"),
            ],
        ),
    ] {
        let plain =
            !expected.iter().any(|(name, _)| matches!(*name, "timestamp" | "severity_text"));
        check(line, if plain { Format::Plain } else { Format::Text }, expected);
    }
}

/// Scenario: the default loggers of frameworks, and loggers of other languages.
#[test]
fn other_layouts() {
    let get = [("http.request.method", "GET"), ("http.response.status_code", "200")];
    let uvicorn = [INFO, ("client.address", "127.0.0.1"), ("url.path", "/x?q=1"), get[0], get[1]];
    for (line, expected) in [
        (
            "INFO:     127.0.0.1:5 - \"GET /x?q=1 HTTP/1.1\" 200 OK",
            [&uvicorn[..], &[("body", "127.0.0.1:5 - \"GET /x?q=1 HTTP/1.1\" 200 OK")]].concat(),
        ),
        (
            "2026-01-01 10:00:00,123 - uvicorn.access - INFO - 127.0.0.1:5 - \"GET /x?q=1 HTTP/1.1\" 200",
            [
                &uvicorn[..],
                &[
                    T,
                    ("logger.name", "uvicorn.access"),
                    ("body", "127.0.0.1:5 - \"GET /x?q=1 HTTP/1.1\" 200"),
                ],
            ]
            .concat(),
        ),
        (
            "INFO:werkzeug:127.0.0.1 - - [01/Jan/2026 10:00:00] \"GET /x?q=1 HTTP/1.1\" 200 -",
            [
                &uvicorn[..],
                &[
                    ("logger.name", "werkzeug"),
                    ("body", "127.0.0.1 - - [01/Jan/2026 10:00:00] \"GET /x?q=1 HTTP/1.1\" 200 -"),
                ],
            ]
            .concat(),
        ),
        (
            "INFO:     Started server process [7]",
            vec![INFO, ("body", "Started server process [7]")],
        ),
        (
            "[2026-01-01 10:00:00 +0000] [7] [INFO] Booting worker",
            vec![("timestamp", "2026-01-01 10:00:00 +0000"), INFO, ("body", "Booting worker")],
        ),
        (
            "[2026-01-01 10:00:00,123: WARNING/MainProcess] Task x - done",
            vec![T, ("severity_text", "WARNING"), ("body", "Task x - done")],
        ),
        (
            "2026-01-01 10:00:00.123 | INFO     | shop.orders:buy:12 - API Request: f failed - a | b",
            vec![
                ("timestamp", "2026-01-01 10:00:00.123"),
                INFO,
                NAME,
                ("code.function.name", "buy"),
                ("code.line.number", "12"),
                MESSAGE,
            ],
        ),
        (
            "2026-01-01 10:00:00.123 | SUCCESS  | __main__:<module>:3 - x",
            vec![
                ("timestamp", "2026-01-01 10:00:00.123"),
                ("severity_text", "SUCCESS"),
                ("logger.name", "__main__"),
                ("code.line.number", "3"),
                ("body", "x"),
            ],
        ),
        (
            "2026-01-01 10:00:00 [info     ] request done                   [shop.orders] duration_ms=12.5 method=GET request_id=abc status=200",
            vec![
                S,
                ("severity_text", "info"),
                NAME,
                ("duration", "12.5ms"),
                ("request_id", "abc"),
                get[0],
                get[1],
                (
                    "body",
                    "request done                   [shop.orders] duration_ms=12.5 method=GET request_id=abc status=200",
                ),
            ],
        ),
        (
            "2026/01/01 10:00:00 listening on :8080",
            vec![("timestamp", "2026/01/01 10:00:00"), ("body", "listening on :8080")],
        ),
        (
            "2026/01/01 10:00:00 error reading x",
            vec![("timestamp", "2026/01/01 10:00:00"), ("body", "error reading x")],
        ),
        (
            "2026/01/01 10:00:00 main.go:12: x",
            vec![("timestamp", "2026/01/01 10:00:00"), ("body", "main.go:12: x")],
        ),
        (
            "2026/01/01 10:00:00 [error] 7#7: *1 open() failed",
            vec![
                ("timestamp", "2026/01/01 10:00:00"),
                ("severity_text", "error"),
                ("body", "7#7: *1 open() failed"),
            ],
        ),
        (
            "2026-01-01 10:00:00,123 [main] INFO  c.e.Foo - API Request: f failed - a | b",
            vec![T, INFO, ("logger.name", "c.e.Foo"), MESSAGE],
        ),
        (
            "2026-01-01 10:00:00,123 INFO  [http-nio-8080-exec-1] c.e.Foo - x",
            vec![T, INFO, ("logger.name", "c.e.Foo"), ("body", "x")],
        ),
        (
            "2026-01-01T10:00:00.123Z  INFO 12345 --- [main] c.e.Foo      : x : y",
            vec![
                ("timestamp", "2026-01-01T10:00:00.123Z"),
                INFO,
                ("logger.name", "c.e.Foo"),
                ("body", "x : y"),
            ],
        ),
        (
            "2026-01-01T10:00:00.000Z\tinfo\tshop.orders\torders.go:12\tx",
            vec![
                ("timestamp", "2026-01-01T10:00:00.000Z"),
                ("severity_text", "info"),
                NAME,
                ("code.file.path", "orders.go"),
                ("code.line.number", "12"),
                ("body", "x"),
            ],
        ),
        (
            "2026-01-01T10:00:00.5Z  WARN shop.orders: x",
            vec![
                ("timestamp", "2026-01-01T10:00:00.5Z"),
                ("severity_text", "WARN"),
                NAME,
                ("body", "x"),
            ],
        ),
        (
            "2026-01-01 10:00:00.123 UTC [12] LOG:  duration: 1.25 ms  statement: SELECT a - b FROM t",
            vec![
                ("timestamp", "2026-01-01 10:00:00.123 UTC"),
                ("severity_text", "LOG"),
                ("duration", "1.25 ms"),
                ("db.query.text", "SELECT a - b FROM t"),
                ("body", "duration: 1.25 ms  statement: SELECT a - b FROM t"),
            ],
        ),
        (
            "2026-01-01 10:00:00.123 UTC [12] bob@shop ERROR:  relation \"x\" does not exist",
            vec![
                ("timestamp", "2026-01-01 10:00:00.123 UTC"),
                ("severity_text", "ERROR"),
                ("body", "relation \"x\" does not exist"),
            ],
        ),
    ] {
        check(line, Format::Text, &expected);
    }
}

#[test]
fn a_level_at_the_start_and_lines_without_a_header() {
    for (line, expected) in [
        ("ERROR something", &[("severity_text", "ERROR"), ("body", "something")][..]),
        ("[error] x", &[("severity_text", "error"), ("body", "x")]),
        ("WARNING: x", &[("severity_text", "WARNING"), ("body", "x")]),
        ("warning: x", &[("severity_text", "warning"), ("body", "x")]),
        ("Error: x", &[("severity_text", "Error"), ("body", "x")]),
        ("ERROR", &[("severity_text", "ERROR"), ("body", "")]),
        ("<debug> x", &[("severity_text", "debug"), ("body", "x")]),
        ("error something", &[("body", "error something")]),
        ("Information about it", &[("body", "Information about it")]),
        ("INFOBAR x", &[("body", "INFOBAR x")]),
        ("LOGIN: x", &[("body", "LOGIN: x")]),
        ("[error]x", &[("body", "[error]x")]),
        ("[main] starting", &[("body", "[main] starting")]),
        ("1,000 items", &[("body", "1,000 items")]),
        ("12:34 is no time", &[("body", "12:34 is no time")]),
        ("", &[("body", "")]),
        ("\u{1b}[31mERROR\u{1b}[0m x", &[("severity_text", "ERROR"), ("body", "x")]),
        ("two\nlines", &[("body", "two\nlines")]),
    ] {
        let has_level = expected.iter().any(|(name, _)| *name == "severity_text");
        check(line, if has_level { Format::Text } else { Format::Plain }, expected);
    }
}

#[test]
fn colours_come_off() {
    check(
        "\u{1b}[32m2026-01-01 10:00:00,123\u{1b}[0m - shop.orders - \u{1b}[1;31mINFO\u{1b}[0m - \u{1b}[1ma\u{1b}[0m b\u{1b}",
        Format::Text,
        &[T, NAME, INFO, ("body", "a b")],
    );
    check(
        "\u{1b}[2m2026-01-01 10:00:00\u{1b}[0m [\u{1b}[32m\u{1b}[1minfo     \u{1b}[0m] \u{1b}[1mx\u{1b}[0m",
        Format::Text,
        &[S, ("severity_text", "info"), ("body", "x")],
    );
    check(
        "\u{1b}[32mINFO\u{1b}[0m:     127.0.0.1:5 - \"\u{1b}[1mGET /x HTTP/1.1\u{1b}[0m\" \u{1b}[32m200 OK\u{1b}[0m",
        Format::Text,
        &[
            INFO,
            ("client.address", "127.0.0.1"),
            ("http.request.method", "GET"),
            ("url.path", "/x"),
            ("http.response.status_code", "200"),
            ("body", "127.0.0.1:5 - \"GET /x HTTP/1.1\" 200 OK"),
        ],
    );
}

const FRAMES: &str =
    "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\n    ~^^";

proptest! {
    /// No text causes a panic, and every field lies within it, at character boundaries.
    #[test]
    fn property_any_text(
        line in "(2026-01-01 10:00:00(,123|Z| UTC)?|\\[2026-01-01 10:00:00\\]|10:00:00)?( - | \\| | |: ?)?(INFO|\\[|\\]|error|LOG:  |a\\.py:1|x\\.y|in m:|---|=|: | - | \\| |\"|\u{e9}|\t|\n|\u{1b}\\[1m|Traceback \\(most recent call last\\):\n|  \\| |[0-9]){0,9}"
    ) {
        let into = decode(&line);
        all_of(&line, &into);
    }
}

/// Scenario: lines of every form, cut after each byte. Guarantees: none panics. A line that ended in
/// `INFO in` did.
#[test]
fn a_line_may_end_anywhere() {
    for line in [
        "[2026-11-21 10:00:00,123] INFO in app: Stored",
        "2026-11-21 10:00:00,123 INFO in",
        "INFO in",
        "I1121 10:00:00.123456       1 controller.go:138] x",
        "I, [2026-11-21T10:00:00.123456 #7]  INFO -- name: x",
        "11-21 10:00:00.123  1000  2340 V tag: x",
        "2026-11-21T10:00:00.123Z cpu7:35233)ALERT: x",
        "2026-11-21T10:00:00.123Z In(14) name[7]: x",
        "2026-11-21T10:00:00.123Z  INFO 1 --- [nio-1] c.s.Orders : x",
        "Thread-1::INFO::2026-11-21 10:00:00,123::module::94::logger::(function) x",
        "=ERROR REPORT==== 2-Jan-2026::03:04:05 ===",
        "PHP Warning:  x",
        "npm ERR! x",
        "7:M 02 Jan 2026 03:04:05.000 * x",
        "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO x",
        "2026-11-21 10:00:00.123 UTC [71] LOG:  duration: 1.5 ms  statement: SELECT 1",
        "| 200 | 12ms | client | GET \"/x\"",
    ] {
        for end in 0..=line.len() {
            let mut into = Decoded::new();
            read(&line[..end], &mut into);
            plain(&line[..end], &mut into);
        }
    }
}
