//! Tests of the notations: each format is compiled as from a configuration and reads a line back.

mod java;
mod refused;
mod servers;
mod times;

use super::*;
use crate::decode::formats::Readers;
use crate::decode::text::fixture::{all_of, expected};
use crate::record::Decoded;
use std::sync::Arc;

fn settings(notation: Notation, pattern: &str) -> FormatSettings {
    let pattern = pattern.to_owned();
    FormatSettings { name: "f".to_owned(), notation, pattern, ..FormatSettings::default() }
}

fn compiled(settings: &FormatSettings) -> Readers {
    let (formats, errors) = compile(std::slice::from_ref(settings), &mut FieldTable::standard());
    assert_eq!(errors, [], "{}", settings.pattern);
    Readers::new(&Arc::new(formats))
}

fn reads(settings: &FormatSettings, line: &str, fields: &[(&str, &str)]) {
    let mut readers = compiled(settings);
    let mut into = Decoded::new();
    let is_read = readers.read(line, &mut into);
    assert!(is_read, "{}\n{line}\n{:?}", settings.pattern, readers.declines(line));
    assert_eq!(all_of(line, &into), expected(fields), "{}\n{line}", settings.pattern);
    // a second line of the same format is read in the same way
    into.clear();
    assert!(readers.read(line, &mut into));
    assert_eq!(all_of(line, &into), expected(fields), "again: {line}");
}

/// Returns the value of a field that a rule names.
fn own(settings: &FormatSettings, name: &str, line: &str) -> Option<String> {
    let mut fields = FieldTable::standard();
    let field = fields.intern(name);
    let (formats, errors) = compile(std::slice::from_ref(settings), &mut fields);
    assert_eq!(errors, [], "{}", settings.pattern);
    let mut into = Decoded::new();
    assert!(Readers::new(&Arc::new(formats)).read(line, &mut into), "{line}");
    let (now, envelope) = (crate::clock::UnixNanos(0), crate::record::Envelope::default());
    let record = crate::record::Record::new(line, &into, now, envelope);
    record.text(field).map(str::to_owned)
}

const TIME: (&str, &str) = ("timestamp", "2026-01-02 03:04:05,678");
const INFO: (&str, &str) = ("severity_text", "INFO");
const LOGGER: (&str, &str) = ("logger.name", "shop.cart");
const BODY: (&str, &str) = ("body", "order 17 - done");

#[test]
fn python_in_three_styles() {
    let line = "2026-01-02 03:04:05,678 - shop.cart - INFO - order 17 - done";
    for pattern in [
        "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
        "{asctime} - {name} - {levelname} - {message}",
        "$asctime - ${name} - $levelname - $message",
    ] {
        reads(&settings(Notation::Python, pattern), line, &[TIME, INFO, LOGGER, BODY]);
    }
    let padded =
        settings(Notation::Python, "[%(levelname)-8s] %(name)12s %(lineno)4d: %(message)s");
    reads(
        &padded,
        "[INFO    ]    shop.cart   17: x",
        &[INFO, LOGGER, ("code.line.number", "17"), ("body", "x")],
    );
    reads(
        &padded,
        "[CRITICAL] shop.cart.abcdef 12345: x",
        &[
            ("severity_text", "CRITICAL"),
            ("logger.name", "shop.cart.abcdef"),
            ("code.line.number", "12345"),
            ("body", "x"),
        ],
    );
    let braces = settings(Notation::Python, "{levelname:<8}|{name:>10}|{{{process:d}}} {message}");
    reads(&braces, "INFO    | shop.cart|{7} x", &[INFO, LOGGER, ("body", "x")]);
    let short = settings(Notation::Python, "%(levelname).3s %(message)s");
    reads(&short, "CRI x", &[("severity_text", "CRITICAL"), ("body", "x")]);
    reads(&short, "INF x", &[("severity_text", "INF"), ("body", "x")]);
    let extra = settings(Notation::Python, "%(request_id)s %(trace_id)s %(shop)s %(message)s");
    reads(&extra, "r1 - b x", &[("request_id", "r1"), ("body", "x")]);
    let message_first = settings(Notation::Python, "%(message)s [%(name)s]");
    reads(&message_first, "a [b] c [shop.cart]", &[("body", "a [b] c"), LOGGER]);
    let uvicorn = settings(
        Notation::Python,
        "%(levelprefix)s %(client_addr)s - \"%(request_line)s\" %(status_code)s",
    );
    reads(
        &uvicorn,
        "INFO:     192.0.2.7:47026 - \"GET /orders/17 HTTP/1.1\" 200 OK",
        &[
            INFO,
            ("client.address", "192.0.2.7"),
            ("http.request.method", "GET"),
            ("url.path", "/orders/17"),
            ("http.response.status_code", "200"),
        ],
    );
}

#[test]
fn loguru_as_it_stands() {
    let format = settings(
        Notation::Loguru,
        "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> | <level>{level: <8}</level> | \
         <cyan>{name}</cyan>:<cyan>{function}</cyan>:<cyan>{line}</cyan> - <level>{message}</level> \
         {extra[request_id]}",
    );
    reads(
        &format,
        "2026-01-02 03:04:05.678 | SUCCESS  | shop:f:7 - order 17 done r9",
        &[
            ("timestamp", "2026-01-02 03:04:05.678"),
            ("severity_text", "SUCCESS"),
            ("logger.name", "shop"),
            ("code.function.name", "f"),
            ("code.line.number", "7"),
            ("body", "order 17 done"),
            ("request_id", "r9"),
        ],
    );
}

const REQUEST: [(&str, &str); 4] = [
    ("http.request.method", "GET"),
    ("url.path", "/orders/17?x=1"),
    ("http.response.status_code", "503"),
    ("client.address", "192.0.2.7"),
];
const CLF: (&str, &str) = ("timestamp", "02/Jan/2026:03:04:05 +0000");

#[test]
fn expressions_and_grok() {
    let regex = settings(
        Notation::Regex,
        r"^(?<ts>\S+) (?<level>[A-Z]+) took (?<duration_ms>[0-9.]+) (?<message>.*)$",
    );
    reads(
        &regex,
        "2026-01-02T03:04:05Z WARN took 12.5 order 17 - done",
        &[
            ("timestamp", "2026-01-02T03:04:05Z"),
            ("severity_text", "WARN"),
            ("duration", "12.5ms"),
            BODY,
        ],
    );
    let line = "192.0.2.7 - ann [02/Jan/2026:03:04:05 +0000] \"GET /orders/17?x=1 HTTP/1.1\" 503 12 \
                \"http://a/\" \"curl/8\"";
    let fields = [&REQUEST[..], &[CLF, ("user_agent.original", "curl/8")]].concat();
    reads(&settings(Notation::Grok, "%{COMBINEDAPACHELOG}"), line, &fields);
    let own = FormatSettings {
        patterns: vec![("ORDER".to_owned(), "o-%{INT}".to_owned())],
        fields: vec![("code".to_owned(), "http.response.status_code".to_owned())],
        levels: vec![("AUDIT".to_owned(), "notice".to_owned())],
        ..settings(
            Notation::Grok,
            "^%{TIMESTAMP_ISO8601:ts} %{WORD:level} %{ORDER:order} %{INT:code:int} (?>%{GREEDYDATA:msg})",
        )
    };
    reads(
        &own,
        "2026-01-02 03:04:05,678 AUDIT o-17 404 gone",
        &[
            TIME,
            ("severity_text", "NOTICE"),
            ("http.response.status_code", "404"),
            ("body", "gone"),
        ],
    );
}

/// Guarantees: a name of a pattern can be mapped to a standard field by OpenTelemetry's name and by
/// any of its keys, which defines the unit; any other name is a separate field.
#[test]
fn names_are_mapped_to_fields() {
    let format = |meant: &str| FormatSettings {
        fields: vec![("xyz".to_owned(), meant.to_owned())],
        ..settings(Notation::Regex, "^xyz=(?<xyz>.*)$")
    };
    for (meant, value, expected) in [
        ("severity_text", "WARN", Some(("severity_text", "WARN"))),
        ("level", "WARN", Some(("severity_text", "WARN"))),
        ("status", "404", Some(("http.response.status_code", "404"))),
        ("http.response.status_code", "404", Some(("http.response.status_code", "404"))),
        ("duration_ms", "12", Some(("duration", "12ms"))),
        ("order", "17", None),
        ("t", "17", None),
    ] {
        let fields: Vec<_> = expected.into_iter().collect();
        reads(&format(meant), &format!("xyz={value}"), &fields);
    }
    // a rule may name the field by the key, and the pattern may have another value of the field
    let event = FormatSettings {
        fields: vec![("kind".to_owned(), "event".to_owned())],
        ..settings(Notation::Regex, "^(?<message>[a-z]+) (?<kind>[a-z]+)$")
    };
    assert_eq!(own(&event, "event", "hello sold").as_deref(), Some("sold"));
    reads(&event, "hello sold", &[("body", "hello")]);
}

/// Bug: the name of a rule for a client's address without its port had bytes from another place.
/// Guarantees: a field that a rule names has the whole value as it is written.
#[test]
fn a_rule_reads_the_value_as_it_is_written() {
    let format = settings(Notation::Python, "%(remote_addr)s %(message)s");
    for address in ["[::1]:443", "192.0.2.7:47026", "192.0.2.7"] {
        let line = format!("{address} x");
        assert_eq!(own(&format, "remote_addr", &line).as_deref(), Some(address));
    }
}

/// Guarantees: a hostile line costs a bounded number of attempts.
#[test]
fn attempts_are_bounded() {
    let format = settings(Notation::Python, "%(name)s a %(module)s b %(levelname)s: %(message)s");
    let mut readers = compiled(&format);
    let line = format!("{}{}", "x a ".repeat(20_000), "x b ".repeat(20_000));
    assert!(!readers.read(&line, &mut Decoded::new()));
}

proptest::proptest! {
    /// Guarantees: no pattern and no line panics, and the position of an error lies in the pattern.
    #[test]
    fn property_any_pattern_and_any_line(
        number in 0..Notation::ALL.len(),
        pattern in proptest::collection::vec(proptest::sample::select(vec![
            "%", "(", ")", "{", "}", "$", "asctime", "message", "levelname", "s", "d", "-8", ".3",
            "time", ":", "<8", "HH:mm", "log_format a '", "'", "\"", "LogFormat \"", "remote_addr",
            "request_time", "h", "t", ">s", "msg", "level", "X{", "%d{", "ISO8601", ",", "clr(", "%notEmpty{", "%esb(",
            "(?<level>", "[a-z]+", "%{IP:client}", "%{", "\\", " ", "\n", "\u{fc}", "[", "]", "!UTC",
        ]), 0..10),
        lines in proptest::collection::vec("[ -~\u{fc}]{0,40}", 1..4),
        datefmt in proptest::option::of("(%[a-zA-Z]|[ :/.-]){0,6}"),
    ) {
        let pattern = pattern.concat();
        let one = FormatSettings { datefmt, ..settings(Notation::ALL[number], &pattern) };
        let (formats, errors) =
            compile(std::slice::from_ref(&one), &mut FieldTable::standard());
        for error in &errors {
            let most = one.datefmt.as_ref().map_or(0, String::len).max(pattern.len());
            proptest::prop_assert!(error.offset <= most, "{error:?} in {pattern:?}");
        }
        let mut readers = Readers::new(&Arc::new(formats));
        for line in lines {
            let mut into = Decoded::new();
            readers.read(&line, &mut into);
            all_of(&line, &into);
            readers.declines(&line);
        }
    }
}
