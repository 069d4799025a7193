//! Tests with the lines of one request.

use super::*;
use crate::clock::UnixNanos;
use crate::decode::{Memory, decode};
use crate::record::Envelope;
use crate::record::field::FieldTable;

fn with_record<T>(line: &str, f: impl FnOnce(&Record<'_>) -> T) -> T {
    let mut decoded = Decoded::new();
    decode(line, &FieldTable::standard(), &mut Memory::default(), &mut decoded);
    f(&Record::new(line, &decoded, UnixNanos(7), Envelope::default()))
}

fn started(line: &str) -> RequestLine {
    with_record(line, |record| RequestLine::of(record, &Routes::default(), &mut String::new()))
}

/// Bug: any line with a status and the id of a request ended it.
#[test]
fn only_an_end_ends_a_request() {
    let request = started(r#"{"msg":"request started","method":"GET","path":"/orders/17"}"#);
    for (line, expected) in [
        // the message says so
        (r#"{"msg":"request completed","status":200}"#, true),
        (r#"{"msg":"request.end","status":200}"#, true),
        (r#"{"event":"request_finished","status":200}"#, true),
        (r#"{"msg":"Completed 200 OK in 12ms","status":200}"#, true),
        (r#"{"msg":"Finished GET /orders/17","status":200}"#, true),
        (r#"{"msg":"done","status":200}"#, true),
        (r#"{"msg":"Request failed","status":500,"exc_info":"ValueError: no"}"#, true),
        (r#"{"msg":"request completed","status":200,"method":"GET","path":"/rewritten"}"#, true),
        // the record has only the status to report, or repeats the line of the request
        (r#"{"level":"info","status":200,"duration_ms":3}"#, true),
        (r#"{"msg":"access","status":200,"method":"GET","path":"/orders/17"}"#, true),
        (r#"{"msg":"access","status":200,"method":"GET","path":"/orders/18?a=b"}"#, true),
        (r#"{"msg":"access","status":200,"method":"GET","route":"/orders/:id"}"#, true),
        (r#"{"msg":"access","status":200,"method":"GET","route":"/orders/{id}/items"}"#, false),
        (r#"{"msg":"access","status":200,"method":"GET","route":"/{table}"}"#, false),
        (
            r#"{"msg":"access","status":200,"method":"GET","route":"/:id","path":"/orders/17"}"#,
            true,
        ),
        // calls to other services, and what went wrong on the way
        (r#"{"msg":"the cart answered","status":200}"#, false),
        (r#"{"msg":"the cart answered","status":200,"duration_ms":3}"#, false),
        (r#"{"msg":"payment completed","status":200}"#, false),
        (r#"{"msg":"lookup failed","status":503}"#, false),
        (r#"{"msg":"cart","status":200,"method":"GET","url":"http://cart/items"}"#, false),
        (r#"{"msg":"cart","status":200,"method":"POST","path":"/orders/17"}"#, false),
        (r#"{"msg":"request completed","status":200,"method":"POST"}"#, false),
        (r#"{"msg":"boom","status":500,"exc_info":"ValueError: no"}"#, false),
        (
            r#"{"msg":"boom","status":500,"method":"GET","path":"/orders/17","exc_info":"ValueError: no"}"#,
            false,
        ),
        // no status at all
        (r#"{"msg":"request completed"}"#, false),
        (r#"{"msg":"request completed","status":"ok"}"#, false),
    ] {
        let is_ended = with_record(line, |record| {
            request.is_ended_by(record, &Routes::default(), &mut String::new())
        });
        assert_eq!(is_ended, expected, "{line}");
    }
}

#[test]
fn a_start_with_a_route_is_ended_by_a_path_that_the_route_matches() {
    let request = started(r#"{"msg":"request started","method":"GET","route":"/orders/<int:id>"}"#);
    for (path, expected) in [
        ("/orders/17", true),
        ("/orders/new", true),
        ("/orders", false),
        ("http://cart/items", false),
    ] {
        let line = format!(r#"{{"msg":"x","status":200,"method":"GET","path":"{path}"}}"#);
        let is_ended = with_record(&line, |record| {
            request.is_ended_by(record, &Routes::default(), &mut String::new())
        });
        assert_eq!(is_ended, expected, "{line}");
    }
}

/// Guarantees: the record of an end gets what it lacks, and nothing that it has is replaced.
#[test]
fn an_end_is_completed() {
    let complete = |start: &str, end: &str| {
        let mut decoded = Decoded::new();
        decode(end, &FieldTable::standard(), &mut Memory::default(), &mut decoded);
        let ended = EndedRequest { line: started(start), took: Duration::from_millis(1_500) };
        let has_duration = decoded.slots.get(field::DURATION).is_some();
        ended.complete(has_duration, &mut decoded);
        let record = Record::new(end, &decoded, UnixNanos(7), Envelope::default());
        let text = |of| record.text(of).unwrap_or_default().to_owned();
        let names = [field::HTTP_METHOD, field::URL_PATH, field::HTTP_ROUTE].map(text);
        (names, record.seconds(field::DURATION))
    };
    let of = |method: &str, path: &str, route: &str| [method, path, route].map(str::to_owned);
    let start = r#"{"msg":"request started","method":"GET","path":"/orders/17"}"#;
    let routed = r#"{"msg":"request started","method":"GET","route":"/orders/{order}"}"#;
    for (start, end, expected) in [
        (start, r#"{"status":200}"#, (of("GET", "/orders/{id}", ""), Some(1.5))),
        (start, r#"{"status":200,"duration_ms":3}"#, (of("GET", "/orders/{id}", ""), Some(0.003))),
        (start, r#"{"status":200,"path":"/b"}"#, (of("GET", "/b", ""), Some(1.5))),
        (start, r#"{"status":200,"route":"/b"}"#, (of("GET", "", "/b"), Some(1.5))),
        // bug: a route became a path, so that its 404 counted as `_unmatched`
        (routed, r#"{"status":404}"#, (of("GET", "", "/orders/{order}"), Some(1.5))),
        (routed, r#"{"status":404,"path":"/b"}"#, (of("GET", "/b", "/orders/{order}"), Some(1.5))),
    ] {
        assert_eq!(complete(start, end), expected, "{end}");
    }
}
