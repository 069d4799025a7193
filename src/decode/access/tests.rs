//! Access lines as servers write them, and the fields that are read from them.

use super::*;
use crate::decode::text::fixture::{all_of, expected as fields};
use proptest::prelude::*;

fn check(line: &str, expected: &[(&str, &str)]) {
    let mut into = Decoded::new();
    assert!(read(line, &mut into), "not taken: {line}");
    assert_eq!(into.format, Format::Access);
    assert_eq!(all_of(line, &into), fields(expected), "{line}");
}

const CLIENT: (&str, &str) = ("client.address", "203.0.113.9");
const TIME: (&str, &str) = ("timestamp", "21/Nov/2026:10:00:00 +0000");
const GET: (&str, &str) = ("http.request.method", "GET");
const PATH: (&str, &str) = ("url.path", "/shop/7?page=2&q=a");
const OK: (&str, &str) = ("http.response.status_code", "200");
const AGENT: (&str, &str) = ("user_agent.original", "Mozilla/5.0 (X11; Linux)");
const HEAD: &str =
    "203.0.113.9 - - [21/Nov/2026:10:00:00 +0000] \"GET /shop/7?page=2&q=a HTTP/1.1\" 200";

/// Scenario: the default formats of servers. Guarantees: every field is read, and no other.
#[test]
fn formats() {
    let combined = format!("{HEAD} 5120 \"https://example.com/\" \"Mozilla/5.0 (X11; Linux)\"");
    let base = [CLIENT, TIME, GET, PATH, OK];
    check(HEAD, &base);
    check(&format!("{HEAD} 5120"), &base);
    check(&format!("{HEAD} -"), &base);
    check(&format!("{HEAD} 5120 0.045"), &[&base[..], &[("duration", "0.045s")]].concat());
    let with_agent = [&base[..], &[AGENT]].concat();
    check(&combined, &with_agent);
    let id = "0af7651916cd43dd8448eb211c80319c";
    let uuid = "6f1c1b1e-5f0e-4a3e-9d3c-0f6b1a2c3d4e";
    for (tail, more) in [
        (" 0.123", vec![("duration", "0.123s")]),
        (" 0.123 0.120", vec![("duration", "0.123s")]),
        (" 0.123 -", vec![("duration", "0.123s")]),
        (" 12.000", vec![("duration", "12.000s")]),
        (" 123", vec![]),
        (" .5", vec![]),
        (" 1.", vec![]),
        (" 1.2.3.4", vec![]),
        (" \"198.51.100.7\"", vec![]),
        (" \"198.51.100.7, 10.0.0.1\" 0.123", vec![("duration", "0.123s")]),
        (" rt=0.123 uct=\"0.000\" uht=\"0.120\" urt=\"0.120\"", vec![("duration", "0.123s")]),
        (" rt=0.123 \"198.51.100.7\"", vec![("duration", "0.123s")]),
        (&format!(" 0.123 {id}"), vec![("request_id", id), ("duration", "0.123s")]),
        (&format!(" 0.123 \"{uuid}\""), vec![("request_id", uuid), ("duration", "0.123s")]),
        (
            &format!(" 0.123 0.120 . request_id={id}"),
            vec![("request_id", id), ("duration", "0.123s")],
        ),
        (" 0.500 req_id=-", vec![("duration", "0.500s")]),
        (" 0.500 notanid", vec![("duration", "0.500s")]),
        (" 0.5", vec![]),
        (" \"2.35\"", vec![]),
        (" \"0.123\"", vec![]),
        (" 2.35", vec![]),
        (" 1767323044.250", vec![]),
        (" 1767323044.250 0.012", vec![("duration", "0.012s")]),
        (" 0.000123", vec![("duration", "0.000123s")]),
        (" 0.328 ms", vec![("duration", "0.328 ms")]),
        (" 12 ms 0.120", vec![("duration", "12 ms")]),
        (" duration=12 ms", vec![("duration", "12 ms")]),
        (" 12 msec", vec![]),
        (" 17 \"router@docker\" \"http://10.0.0.2:80\" 247ms", vec![("duration", "247ms")]),
        (" ", vec![]),
    ] {
        check(&format!("{combined}{tail}"), &[&with_agent[..], &more].concat());
    }
}

#[test]
fn requests_that_are_none_and_other_oddities() {
    for (request, more) in [
        ("-", vec![]),
        ("", vec![]),
        (r"\x16\x03\x01", vec![]),
        ("GET", vec![]),
        ("GET /", vec![GET, ("url.path", "/")]),
        ("GET  HTTP/1.1", vec![]),
        ("get / HTTP/1.1", vec![]),
        ("PRI * HTTP/2.0", vec![("http.request.method", "PRI"), ("url.path", "*")]),
        ("GET /a b HTTP/1.1", vec![GET, ("url.path", "/a b")]),
        (r#"GET /\"q\" HTTP/1.1"#, vec![GET, ("url.path", r#"/\"q\""#)]),
        ("M-SEARCH / HTTP/1.1", vec![("http.request.method", "M-SEARCH"), ("url.path", "/")]),
        ("GET / HTTP/2", vec![GET, ("url.path", "/")]),
    ] {
        check(
            &format!(
                "203.0.113.9 - bob [21/Nov/2026:10:00:00 +0000] \"{request}\" 200 0 \"-\" \"-\""
            ),
            &[&[CLIENT, TIME, OK], &more[..]].concat(),
        );
    }
    check(
        "[21/Nov/2026 10:00:00] \"GET / HTTP/1.1\" 200 123",
        &[("timestamp", "21/Nov/2026 10:00:00"), GET, ("url.path", "/"), OK],
    );
    check(
        "::1 - - [2026-11-21T10:00:00+00:00] \"GET / HTTP/1.1\" 200 123",
        &[
            ("client.address", "::1"),
            ("timestamp", "2026-11-21T10:00:00+00:00"),
            GET,
            ("url.path", "/"),
            OK,
        ],
    );
    check(
        "- - alice smith [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 123 \"a \\\" b\" \"c \\\" d\" 0.100",
        &[
            ("client.address", "-"),
            TIME,
            GET,
            ("url.path", "/"),
            OK,
            ("user_agent.original", "c \\\" d"),
            ("duration", "0.100s"),
        ],
    );
}

/// Scenario: Envoy's and Istio's default text, Rack's line, aiohttp's, and one of a client on a
/// Unix socket. Guarantees: only the column that is the duration is read as one, with its unit.
#[test]
fn proxies_and_application_servers() {
    let time = ("timestamp", "2026-01-02T03:04:04.250Z");
    let get = [GET, ("url.path", "/orders/17"), OK];
    check(
        "[2026-01-02T03:04:04.250Z] \"GET /orders/17 HTTP/1.1\" 200 - 0 512 12 11 \"192.0.2.7\" \"curl/8\" \"84961386-6d84-929d-98bd-c5aee93b5c88\" \"shop.example\" \"10.0.0.1:80\"",
        &[
            &get[..],
            &[time, ("duration", "12ms"), ("user_agent.original", "curl/8")],
            &[("request_id", "84961386-6d84-929d-98bd-c5aee93b5c88")],
        ]
        .concat(),
    );
    check(
        "[2026-01-02T03:04:04.250Z] \"GET /orders/17 HTTP/1.1\" 200 - via_upstream - \"-\" 0 512 12 11 \"-\" \"curl/8\" \"-\" \"shop.example\" \"127.0.0.1:80\" inbound|8000|| 127.0.0.1:4 10.0.0.1:80 - default",
        &[&get[..], &[time, ("duration", "12ms"), ("user_agent.original", "curl/8")]].concat(),
    );
    for (head, client) in [
        ("192.0.2.7 -", Some("192.0.2.7")),
        ("192.0.2.7", Some("192.0.2.7")),
        ("2001:db8::7 - -", Some("2001:db8::7")),
        ("[2001:db8::7]:41234 - -", Some("2001:db8::7")),
        ("[2001:db8::7] - -", Some("2001:db8::7")),
        ("2001:db8::7:41234 - -", Some("2001:db8::7")),
        ("192.0.2.7:41234 - -", Some("192.0.2.7")),
        ("unix: - -", Some("unix")),
        (" - -", None),
    ] {
        let line =
            format!("{head} [21/Nov/2026:10:00:00 +0000] \"GET /orders/17 HTTP/1.1\" 200 - 0.0123");
        let client = client.map(|client| ("client.address", client));
        check(&line, &[&get[..], &[TIME, ("duration", "0.0123s")], client.as_slice()].concat());
    }
}

#[test]
fn what_is_no_access_line() {
    for line in [
        "",
        "\"",
        "\"\"",
        "x",
        "2026-11-21 10:00:00 - a - INFO - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
        "INFO:werkzeug:127.0.0.1 - - [21/Nov/2026 10:00:00] \"GET / HTTP/1.1\" 200 -",
        "user \"bob\" logged in",
        "said [yes] \"GET / HTTP/1.1\" 200 5",
        "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\"",
        "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 20",
        "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 2000 5",
        "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1 200 5",
        "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / \\\" 200 5",
        "host [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
        "1.2.3.4 - - 21/Nov/2026:10:00:00 +0000 \"GET / HTTP/1.1\" 200 5",
        "[not a time of any kind] \"GET / HTTP/1.1\" 200 5",
    ] {
        let mut into = Decoded::new();
        assert!(!read(line, &mut into), "taken: {line}");
        assert_eq!((into.slots.present, into.format), (0, Format::Plain), "{line}");
    }
}

proptest! {
    /// No line causes a panic, and every field of an accepted line lies within it.
    #[test]
    fn property_any_line(line in "([0-9.]{1,9} - - )?(\\[21/Nov/2026:10:00:00 \\+0000\\] )?\"[A-Z /\\\\\"]{0,12}\" [0-9]{2,4}[ \"0-9.=a-z\u{e9}-]{0,30}") {
        let mut into = Decoded::new();
        read(&line, &mut into);
        all_of(&line, &into);
    }
}
