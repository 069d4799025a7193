//! Reads access logs of load balancers, proxies and databases that begin with a time or an address
//! and contain their values in columns: HAProxy, AWS ELB and ALB, IIS, PostgreSQL's csvlog. Each
//! format has a different unit of time. Unit: one line.

use super::columns::{columns, is_status, put};
use super::request_line;
use super::w3c;
use crate::record::attempt::Decline;
use crate::record::columns::COLUMNS_MAX;
use crate::record::field::{
    BODY, CLIENT_ADDRESS, DB_QUERY, DURATION, HTTP_METHOD, HTTP_STATUS, SERVICE, SEVERITY,
    TIMESTAMP, URL_PATH, USER_AGENT, Unit,
};
use crate::record::slots::{SlotValue, Slots, ValueBuffer};
use crate::record::{Decoded, Format, number};
use memchr::{memchr, memmem};
use std::fmt::Write as _;

/// Returns whether a line that begins with a date may be ELB's
/// (`2026-01-02T03:04:04.250000Z name`), IIS' (`2026-01-02 03:04:04 10.0.0.1 `) or csvlog's
/// (`2026-01-02 03:04:04.250 UTC,`).
#[inline]
pub(super) fn is_candidate(bytes: &[u8]) -> bool {
    match bytes.get(10..32) {
        Some([b'T', .., b'Z', b' ', _, _, _, _]) => true,
        Some([b' ', _, _, b':', _, _, b':', _, _, b' ', b'0'..=b'9' | b':', ..]) => true,
        Some([b' ', _, _, b':', _, _, b':', _, _, b'.', rest @ ..]) => rest.contains(&b','),
        _ => is_directed(bytes),
    }
}

/// Returns whether the method or the site follows the time, where a `#Fields` directive may put
/// them.
fn is_directed(bytes: &[u8]) -> bool {
    const FIRST: [&[u8]; 8] =
        [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"W3SVC"];
    match bytes.get(10..) {
        Some([b' ', _, _, b':', _, _, b':', _, _, b' ', word @ ..]) => {
            FIRST.iter().any(|first| word.starts_with(first))
        }
        _ => false,
    }
}

/// Reads a line; leaves `into` empty for any other line.
#[cold]
pub(super) fn read(line: &str, into: &mut Decoded) -> bool {
    let bytes = line.as_bytes();
    let is_date = matches!(bytes, [b'0'..=b'9', _, _, _, b'-', ..]);
    let found = if is_date && is_candidate(bytes) {
        if bytes[10] == b'T' {
            balancer(line, 0, into)
        } else if bytes[19] == b'.' {
            csvlog(line, into)
        } else {
            w3c::read(line, into)
        }
    } else {
        // the first byte rejects nearly every other line
        match bytes {
            [b'0'..=b'9' | b':', ..] if !is_date => haproxy(line, into),
            [b'h', b'a', b'p', ..] | [b'-', b':', ..] | [b'u', b'n', b'i', b'x', b':', ..] => {
                haproxy(line, into)
            }
            [b'h', b't' | b'2', ..] | [b'w', b's', ..] | [b'g', b'r', ..] => typed(line, into),
            _ => None,
        }
    };
    if found.is_none() {
        into.slots.clear();
        if is_date {
            into.decline = Decline { at: 0, expected: "the columns of ELB, IIS or csvlog" };
        }
        return false;
    }
    true
}

/// Reads ALB's format: the type of connection precedes ELB's columns.
fn typed(line: &str, into: &mut Decoded) -> Option<()> {
    let kind = memchr(b' ', line.as_bytes())?;
    let known = ["http", "https", "h2", "ws", "wss", "grpc", "grpcs"];
    known.contains(&&line[..kind]).then_some(())?;
    balancer(line, kind + 1, into)
}

fn put_request(bytes: &[u8], span: (usize, usize), slots: &mut Slots) {
    if let Some((method, path)) = request_line(&bytes[span.0..span.1]) {
        put(slots, HTTP_METHOD, (span.0, span.0 + method));
        put(slots, URL_PATH, (span.0 + method + 1, span.0 + path));
    }
}

/// Returns the address without its port.
fn without_port(bytes: &[u8], (start, end): (usize, usize)) -> (usize, usize) {
    let colon = bytes[start..end].iter().rposition(|byte| *byte == b':');
    (start, start + colon.unwrap_or(end - start))
}

/// Reads HAProxy's HTTP format: `client:port [time] frontend backend/server TR/Tw/Tc/Tr/Ta status
/// bytes ... "GET /x HTTP/1.1"`. Its TCP format has three timers, no status and no request. Timers
/// are in milliseconds; the last one is the total.
fn haproxy(line: &str, into: &mut Decoded) -> Option<()> {
    let bytes = line.as_bytes();
    let mut from = 0;
    if line.starts_with("haproxy[") {
        from = memmem::find(bytes, b"]: ")? + 3;
    }
    let (all, count) = columns(bytes, from);
    let of = |number: usize| &bytes[all[number].0..all[number].1];
    if count < 8 || !matches!(of(1), [b'[', .., b']']) || !of(3).contains(&b'/') {
        return None;
    }
    // a log-format of one's own may have the host before the timers
    let slashes_of = |number: usize| {
        let timers = of(number);
        let is_timers =
            timers.iter().all(|b| b.is_ascii_digit() || matches!(b, b'/' | b'-' | b'+'));
        let slashes = timers.split(|byte| *byte == b'/').count() - 1;
        (is_timers && matches!(slashes, 2 | 4)).then_some((number, slashes))
    };
    let (at, slashes) = slashes_of(4).or_else(|| slashes_of(5))?;
    let timers = of(at);
    let slots = &mut into.slots;
    let client = without_port(bytes, all[0]);
    if &bytes[client.0..client.1] != b"-" {
        put(slots, CLIENT_ADDRESS, client);
    }
    put(slots, TIMESTAMP, (all[1].0 + 1, all[1].1 - 1));
    // `+` means that the session continued after the line was written
    let total = timers.iter().rposition(|byte| matches!(byte, b'/' | b'+'))? + 1;
    let span = (all[at].0 + total, all[at].1);
    if bytes[span.0..span.1].first().is_some_and(u8::is_ascii_digit) {
        slots.put(
            DURATION,
            SlotValue { unit: Unit::Milliseconds, ..SlotValue::text(span.0, span.1) },
        );
    }
    if slashes == 4 {
        if is_status(of(at + 1)) {
            put(slots, HTTP_STATUS, all[at + 1]);
        }
        let open = memchr(b'"', bytes)? + 1;
        let length = memchr(b'"', &bytes[open..]).unwrap_or(bytes.len() - open);
        put_request(bytes, (open, open + length), slots);
    }
    into.format = Format::Access;
    Some(())
}

/// Reads AWS' format: `[type] time name client:port target:port t1 t2 t3 elb_status target_status
/// received sent "request" "agent" ...`. The duration of a request is the sum of the three times in
/// seconds; -1 means that there is none.
fn balancer(line: &str, from: usize, into: &mut Decoded) -> Option<()> {
    let bytes = line.as_bytes();
    let (all, count) = columns(bytes, from);
    let text = |number: usize| &line[all[number].0..all[number].1];
    if count < 12 || !text(2).contains(':') || !text(0).ends_with('Z') {
        return None;
    }
    if !is_status(text(7).as_bytes()) {
        return None;
    }
    put_request(bytes, all[11], &mut into.slots);
    put(&mut into.slots, TIMESTAMP, all[0]);
    put(&mut into.slots, CLIENT_ADDRESS, without_port(bytes, all[2]));
    put(&mut into.slots, HTTP_STATUS, all[7]);
    if count > 12 && text(12) != "-" {
        put(&mut into.slots, USER_AGENT, all[12]);
    }
    let times = [number::decimal(text(4))?, number::decimal(text(5))?, number::decimal(text(6))?];
    if times.iter().all(|time| *time >= 0.0) {
        let start = into.scratch.len();
        // writing to a string does not fail
        let _ = write!(into.scratch, "{:.6}", times.iter().sum::<f64>());
        let entry = SlotValue::text(start, into.scratch.len());
        into.slots.put(
            DURATION,
            SlotValue { unit: Unit::Seconds, buffer: ValueBuffer::Scratch, ..entry },
        );
    }
    into.format = Format::Access;
    Some(())
}

/// Reads PostgreSQL's csvlog: time, user, database, process, client, ..., severity (12th), state,
/// message (14th), ..., statement (20th), ..., application (23rd).
fn csvlog(line: &str, into: &mut Decoded) -> Option<()> {
    let bytes = line.as_bytes();
    let mut all = [(0, 0); COLUMNS_MAX];
    let (mut count, mut at) = (0, 0);
    while count < COLUMNS_MAX && at <= bytes.len() {
        let is_quoted = bytes.get(at) == Some(&b'"');
        let start = at + usize::from(is_quoted);
        let mut end = start;
        loop {
            let stop = if is_quoted { b'"' } else { b',' };
            end += memchr(stop, bytes.get(end..)?).unwrap_or(bytes.len() - end);
            // a quote inside is doubled
            if is_quoted && bytes.get(end + 1) == Some(&b'"') {
                end += 2;
                continue;
            }
            break;
        }
        all[count] = (start, end);
        count += 1;
        at = end + 1 + usize::from(is_quoted);
    }
    let text = |number: usize| &line[all[number].0..all[number].1];
    let is_severity = !text(11).is_empty()
        && text(11).bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    // a message of several lines leaves its last column open, and the columns after it absent
    if count < 14 || !is_severity || text(12).len() != 5 {
        return None;
    }
    let slots = &mut into.slots;
    put(slots, TIMESTAMP, all[0]);
    put(slots, SEVERITY, all[11]);
    put(slots, BODY, all[13]);
    if !text(19).is_empty() {
        put(slots, DB_QUERY, all[19]);
    }
    if !text(4).is_empty() && text(4) != "[local]" {
        put(slots, CLIENT_ADDRESS, without_port(bytes, all[4]));
    }
    if !text(22).is_empty() {
        put(slots, SERVICE, all[22]);
    }
    crate::decode::text::statement_in(bytes, all[13], ValueBuffer::Line, slots);
    into.format = Format::Text;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::text::fixture::{all_of, expected};

    const GET: (&str, &str) = ("http.request.method", "GET");
    const OK: (&str, &str) = ("http.response.status_code", "200");

    fn check(line: &str, fields: &[(&str, &str)]) {
        let mut into = Decoded::new();
        assert_eq!(super::super::read(line, &mut into), !fields.is_empty(), "{line}");
        assert_eq!(all_of(line, &into), expected(fields), "{line}");
        if fields.first().is_some_and(|(name, _)| *name == "timestamp") && line.starts_with("20") {
            assert!(is_candidate(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn every_server_with_its_unit() {
        check(
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html HTTP/1.1\"",
            &[
                ("timestamp", "06/Feb/2009:12:14:14.655"),
                ("client.address", "10.0.1.2"),
                ("duration", "109ms"),
                GET,
                ("url.path", "/index.html"),
                OK,
            ],
        );
        check(
            "haproxy[14387]: 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
            &[
                ("timestamp", "06/Feb/2009:12:12:51.443"),
                ("client.address", "10.0.1.2"),
                ("duration", "5007ms"),
            ],
        );
        check(
            "10.0.1.2:33320 [06/Feb/2009:12:14:14.655] http-in http-in/<NOSRV> -1/-1/-1/-1/-1 400 187 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"",
            &[
                ("timestamp", "06/Feb/2009:12:14:14.655"),
                ("client.address", "10.0.1.2"),
                ("http.response.status_code", "400"),
            ],
        );
        check(
            "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 \"GET http://www.example.com:80/a HTTP/1.1\" \"curl/7.38.0\" - -",
            &[
                ("timestamp", "2015-05-13T23:39:43.945958Z"),
                ("client.address", "192.168.131.39"),
                ("duration", "0.001178s"),
                GET,
                ("url.path", "http://www.example.com:80/a"),
                OK,
                ("user_agent.original", "curl/7.38.0"),
            ],
        );
        check(
            "https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 \"GET https://www.example.com:443/a HTTP/1.1\" \"-\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2",
            &[
                ("timestamp", "2018-07-02T22:23:00.186641Z"),
                ("client.address", "192.168.131.39"),
                ("duration", "0.171000s"),
                GET,
                ("url.path", "https://www.example.com:443/a"),
                OK,
            ],
        );
        check(
            "http 2018-07-02T22:23:00.186641Z app/a/5 192.168.131.39:2817 - -1 -1 -1 503 - 0 57 \"GET http://a:80/a HTTP/1.1\" \"-\" - -",
            &[
                ("timestamp", "2018-07-02T22:23:00.186641Z"),
                ("client.address", "192.168.131.39"),
                GET,
                ("url.path", "http://a:80/a"),
                ("http.response.status_code", "503"),
            ],
        );
        check(
            "2026-01-02 03:04:04 10.0.0.1 GET /orders/17 - 80 - 192.0.2.7 curl/8 - 200 0 0 12",
            &[
                ("timestamp", "2026-01-02 03:04:04"),
                ("client.address", "192.0.2.7"),
                ("user_agent.original", "curl/8"),
                ("duration", "12ms"),
                GET,
                ("url.path", "/orders/17"),
                OK,
            ],
        );
        check(
            "2026-01-02 03:04:04.250 UTC,\"shop\",\"shop\",7,\"192.0.2.7:5000\",69571b64.7,1,\"SELECT\",2026-01-02 03:04:00 UTC,3/7,0,LOG,00000,\"duration: 37.118 ms  statement: SELECT \"\"a\"\" FROM t\",,,,,,,,,\"psql\",\"client backend\",,0",
            &[
                ("timestamp", "2026-01-02 03:04:04.250 UTC"),
                ("severity_text", "LOG"),
                ("service.name", "psql"),
                ("client.address", "192.0.2.7"),
                ("duration", "37.118 ms"),
                ("db.query.text", "SELECT \"\"a\"\" FROM t"),
                ("body", "duration: 37.118 ms  statement: SELECT \"\"a\"\" FROM t"),
            ],
        );
        // the message continues in the next line
        check(
            "2026-01-02 03:04:04.250 UTC,,,7,,69571b64.7,1,,2026-01-02 03:04:00 UTC,3/7,0,LOG,00000,\"duration: 0.658 ms  statement: SELECT 1,",
            &[
                ("timestamp", "2026-01-02 03:04:04.250 UTC"),
                ("severity_text", "LOG"),
                ("duration", "0.658 ms"),
                ("db.query.text", "SELECT 1,"),
                ("body", "duration: 0.658 ms  statement: SELECT 1,"),
            ],
        );
        // HAProxy hides the address of a client
        check(
            "-:47625 [22/Jun/2026:12:02:53.473] www~ app/node2 shop.example 0/0/1/17/18 200 291 - - ---- 1/1/0/0/0 0/0 \"GET /orders/17 HTTP/1.1\"",
            &[
                ("timestamp", "22/Jun/2026:12:02:53.473"),
                GET,
                ("url.path", "/orders/17"),
                OK,
                ("duration", "18ms"),
            ],
        );
    }

    #[test]
    fn lines_of_others() {
        for line in [
            "2026-01-02 03:04:04 10 orders placed",
            "2026-01-02 03:04:04 10.0.0.1 GET /orders/17 - 80 - 192.0.2.7 curl/8 - 200 0 0 slow",
            "2026-01-02 03:04:04 GET /orders/17 200 12",
            "2026-01-02 03:04:04.250 UTC,\"shop\"",
            "2026-01-02 03:04:04.250 [main] INFO a, b",
            "2015-05-13T23:39:43.945958Z a b c d e f g h i j k l m",
            "http is the protocol of the web and many lines begin with it, but not this",
            "10.0.1.2:33317 [a] b c/d 1/2/x/4/5 200 e f",
            "10 [a] b",
            "-: [a] b c/d 1/2/3/4/5 200 e f",
            "unix: listening on 7",
        ] {
            check(line, &[]);
        }
    }
}
