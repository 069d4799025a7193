//! Tests of endpoints in every form, of the settings that they come from, and of the chart's
//! schema.

use super::*;
use regex::Regex;

fn used(text: &str, protocol: Protocol) -> Result<(String, u16, String, String), EndpointError> {
    let e = Endpoint::new(text, protocol, &[])?;
    Ok((e.host, e.port, e.authority, e.path))
}

fn check(text: &str, protocol: Protocol, expected: (&str, u16, &str, &str)) {
    let (host, port, authority, path) = expected;
    let expected = (host.to_owned(), port, authority.to_owned(), path.to_owned());
    assert_eq!(used(text, protocol), Ok(expected), "{text:?}");
}

const WRONG: [&str; 21] = [
    "",
    "http://",
    "http://:4318",
    "http:///v1/traces",
    "http://a:b",
    "http://a:",
    "http://a:0",
    "http://a:70000",
    "http://a:-1",
    "ftp://a",
    "unix:///run/otel.sock",
    "http://a b",
    "http://u:p@host:1",
    "http://host/\r\nx: y",
    "http://a/#f",
    "http://a#f",
    "http://a?x=1",
    "http://[::1",
    "http://[fe80::g]:1",
    "http://1:2:3:4318",
    "http://caf\u{e9}:4318",
];

#[test]
fn endpoints() {
    use Protocol::{Grpc, Http};
    let traces = "/v1/traces";
    check("http://localhost:4318/v1/traces", Http, ("localhost", 4318, "localhost:4318", traces));
    check("http://localhost:4318", Http, ("localhost", 4318, "localhost:4318", traces));
    check("http://[::1]:4317", Grpc, ("::1", 4317, "[::1]:4317", traces));
    check("HTTP://otel", Http, ("otel", 80, "otel:80", traces));
    check("Http://otel/a?b=c", Http, ("otel", 80, "otel:80", "/a?b=c"));
    check("otel.ns.svc:9", Grpc, ("otel.ns.svc", 9, "otel.ns.svc:9", traces));
    check("[::1]", Grpc, ("::1", 4317, "[::1]:4317", traces));
    check("otel", Http, ("otel", 4318, "otel:4318", traces));
    check("otel:4317", Grpc, ("otel", 4317, "otel:4317", traces));
    check("http://fd00::7:4318", Http, ("fd00::7", 4318, "[fd00::7]:4318", traces));
    check(
        "http://fd00:0:0:0:0:0:0:7:4318",
        Http,
        ("fd00:0:0:0:0:0:0:7", 4318, "[fd00:0:0:0:0:0:0:7]:4318", traces),
    );
    check("http://fd00::7", Http, ("fd00::7", 80, "[fd00::7]:80", traces));
    check("http://10.0.0.7:4318", Http, ("10.0.0.7", 4318, "10.0.0.7:4318", traces));
    for wrong in WRONG {
        used(wrong, Http).expect_err(wrong);
    }
}

/// Guarantees: each setting gives its documented path, and a normalized endpoint parses as the same
/// endpoint.
#[test]
fn every_source_has_its_path() {
    use Given::{Base, Setting, Traces};
    for (text, given, expected) in [
        ("http://c:4318", Setting, "http://c:4318/v1/traces"),
        ("http://c:4318/", Setting, "http://c:4318/v1/traces"),
        ("http://c:4318/otlp", Setting, "http://c:4318/otlp"),
        ("http://c:4318", Base, "http://c:4318/v1/traces"),
        ("HTTP://c/otlp/", Base, "http://c/otlp/v1/traces"),
        ("http://c:4318", Traces, "http://c:4318/"),
        ("http://c:4318/v1/traces", Traces, "http://c:4318/v1/traces"),
        ("https://c", Setting, "https://c/v1/traces"),
        ("c:4317", Setting, "c:4317/v1/traces"),
        ("http://fd00::7:4318", Base, "http://[fd00::7]:4318/v1/traces"),
    ] {
        let made = normalized(text, given).expect(text);
        assert_eq!(made, expected, "{text} {given:?}");
        assert_eq!(normalized(&made, Traces).as_deref(), Ok(expected), "{text} {given:?}");
    }
}

#[test]
fn errors_say_what_to_do_and_keep_secrets() {
    for (text, part) in [
        ("https://host", "TLS"),
        ("https://u:hunter2@host", "password"),
        ("http://u:hunter2@host", "password"),
        ("ftp://u:hunter2@host", "not http"),
        ("http://host:x", "port"),
        ("http://", "not a URL"),
    ] {
        let error = used(text, Protocol::Http).expect_err(text);
        let text = format!("{error} {}", error.hint());
        assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
    }
    let header = |name: &str, value: &str| {
        Endpoint::new("http://host", Protocol::Http, &[(name.to_owned(), value.to_owned())])
    };
    assert_eq!(header("a", "x\r\ny: z"), Err(EndpointError::Header("a".into())));
    assert_eq!(header("a b", "x"), Err(EndpointError::Header("a b".into())));
    assert_eq!(header("host", "a b"), Err(EndpointError::Header("host".into())));
    for name in FRAMING {
        assert_eq!(header(name, "1"), Err(EndpointError::Framing(name.into())));
    }
    let endpoint = header("Authorization", "Bearer hunter2").expect("valid");
    assert!(!format!("{endpoint:?}").contains("hunter2"));
}

/// Guarantees: a header replaces ours, or an earlier one of the user, instead of appearing twice.
#[test]
fn a_header_stands_once() {
    let headers = [("X-A", "1"), ("host", "front:1"), ("x-a", "2")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let endpoint = Endpoint::new("http://host:9", Protocol::Http, &headers).expect("valid");
    assert_eq!((endpoint.host.as_str(), endpoint.authority.as_str()), ("host", "front:1"));
    let values: Vec<&str> =
        endpoint.headers.iter().map(|(_, value)| value.to_str().expect("text")).collect();
    assert_eq!(values, ["2"]);
}

/// Guarantees: the chart's schema has this pattern, and accepts the endpoints that the parser
/// accepts and that can be used.
#[test]
fn the_schema_of_the_chart_is_the_parser() {
    let pattern = Regex::new(PATTERN).expect("a pattern");
    for right in [
        "http://$(HOST_IP):4318",
        "http://$(HOST_IP)",
        "collector:4317",
        "HTTP://c/p?q=1",
        "http://[fd00::1]:4318",
        "http://collector-$(ZONE).otel:$(PORT)/x",
    ] {
        assert!(pattern.is_match(right), "{right}");
        used(&without_variables(right), Protocol::Http).expect(right);
    }
    for wrong in WRONG.iter().skip(1).chain(&["https://c", "http://c:999999"]) {
        // a pattern cannot detect a number out of range or an invalid address in brackets
        let unseen = ["http://a:0", "http://a:70000"].contains(wrong);
        assert_eq!(pattern.is_match(wrong), unseen, "{wrong}");
    }
    let schema = include_str!("../../../helm/sidelight/values.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("JSON");
    let mut found = Vec::new();
    endpoints_of(&schema, &mut found);
    assert!(!found.is_empty());
    for one in found {
        assert_eq!(one["pattern"], PATTERN);
    }
}

/// Collects the schemas of all settings named `endpoint`, at any depth.
fn endpoints_of<'v>(value: &'v serde_json::Value, found: &mut Vec<&'v serde_json::Value>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if key == "endpoint" && value["type"] == "string" {
                    found.push(value);
                }
                endpoints_of(value, found);
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                endpoints_of(value, found);
            }
        }
        _ => {}
    }
}
