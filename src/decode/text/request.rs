//! Reads requests inside a message, as web frameworks and their loggers write them:
//! `client - "GET /x HTTP/1.1" 200` with other text around it, `GET /x 200 12 ms`,
//! `| 200 | 12ms | client | GET "/x"`, `Completed 200 OK in 12ms`,
//! `request{method=GET uri=/x}: ... status=200`; and the duration and statement that PostgreSQL
//! writes into its message. A check of four bytes rejects nearly every other message. Unit: one
//! message.

mod wording;

use crate::decode::access;
use crate::decode::access::columns::is_method;
use crate::decode::out::Out;
use crate::record::field::{
    CLIENT_ADDRESS, DB_QUERY, DURATION, HTTP_METHOD, HTTP_STATUS, URL_PATH, Unit,
};
use crate::record::number;
use memchr::{memchr, memmem};

/// How far from the start of the message the quote of the request is searched for: addresses and
/// times are shorter.
const QUOTE_WITHIN: usize = 120;
/// How far after a request its status and its duration are searched for.
const WORDS_MAX: usize = 12;

/// Reads the request of a message that starts at `at`, if it has one; returns `at`.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize, out: &mut Out<'_>) -> usize {
    let Some(first) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return at };
    let out = &mut out.of_message();
    match first {
        [b'0'..=b'9' | b'[' | b':' | b'"' | b'-' | b'|', ..] | b"unix" | b"loca" => {
            quoted(bytes, at, out)
                .or_else(|| piped(bytes, at, out))
                .or_else(|| tagged(bytes, at, out))
                .or_else(|| wording::squid(bytes, at, out));
        }
        // an IPv6 address
        _ if first.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b':') => {
            quoted(bytes, at, out);
        }
        b"GET " | b"POST" | b"PUT " | b"PATC" | b"DELE" | b"HEAD" | b"OPTI" => {
            bare(bytes, at, out);
        }
        b"HTTP" if bytes[at..].starts_with(b"HTTP ") => {
            bare(bytes, at + 5, out);
        }
        b"Requ" if bytes[at..].starts_with(b"Request finished HTTP/") => {
            finished(bytes, at, out);
        }
        b"Comp" => {
            completed(bytes, at, out);
        }
        b"dura" => {
            statement(bytes, at, out);
        }
        b"requ" => {
            span(bytes, at, out);
        }
        b"# Qu" => {
            wording::slow_query(bytes, at, out);
        }
        _ => {}
    }
    at
}

fn put_duration(bytes: &[u8], from: usize, to: usize, out: &mut Out<'_>) -> Option<()> {
    let text = std::str::from_utf8(bytes.get(from..to)?).ok()?;
    // without a unit that the text itself names, it is no duration
    number::seconds(text, Unit::None)?;
    out.put(DURATION, from, to);
    Some(())
}

/// Reads `client - "GET /x HTTP/1.1" 200 OK`, with or without a time in brackets, a size, a
/// referrer; chi's `"GET http://host/x HTTP/1.1" from client - 200 12B in 1.5ms`.
#[cold]
fn quoted(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let near = &bytes[at..bytes.len().min(at + QUOTE_WITHIN)];
    let quote = memchr(b'"', near).or_else(|| wording::behind_role(bytes, at))?;
    let open = at + quote + 1;
    if open > at + 1 && bytes[open - 2] != b' ' {
        return None;
    }
    let close = open + memchr(b'"', &bytes[open..])?;
    let is_path = |from: usize| matches!(bytes.get(open + from), Some(b'/' | b'h' | b'*'));
    let request = access::request_line(&bytes[open..close]);
    let Some((method, path)) = request.filter(|(method, _)| is_path(method + 1)) else {
        return answer(bytes, close, out);
    };
    let behind = bytes.get(close + 1..)?;
    let status = match behind {
        [b' ', b'f', b'r', b'o', b'm', b' ', ..] => close + 1 + memmem::find(behind, b" - ")? + 3,
        // OpenStack: `status: 200 len: 5 time: 0.25`
        _ if behind.starts_with(b" status: ") => close + 10,
        [b' ', ..] => close + 2,
        _ => return None,
    };
    if !is_status(bytes, status) {
        return None;
    }
    let client = bytes[at..open - 1].iter().position(|byte| *byte == b' ').unwrap_or(0);
    let (from, to) = access::address(&bytes[at..at + client]);
    let is_address = bytes[at] != b'[' || bytes[at + from..at + to].contains(&b':');
    if from < to && is_address && &bytes[at + from..at + to] != b"-" {
        out.put(CLIENT_ADDRESS, at + from, at + to);
    }
    out.put(HTTP_METHOD, open, open + method);
    out.put(URL_PATH, open + method + 1, open + path);
    out.put(HTTP_STATUS, status, status + 3);
    if status == close + 10 {
        let from = memmem::find(bytes, b" time: ").map(|at| at + 7)?;
        let digits = bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        out.put_in(Unit::Seconds, DURATION, from, from + digits);
    } else if status == close + 2 {
        if !wording::bucket(bytes, at, status + 3, out) {
            access::behind_status(bytes, status + 3, out);
        }
    } else if let Some(from) = memmem::rfind(bytes, b" in ").map(|at| at + 4) {
        put_duration(bytes, from, bytes.len(), out);
    }
    Some(())
}

/// Reads CoreDNS: `client:port - id "A IN example.org. ..." NOERROR qr,rd 68 0.000990251s`: a
/// duration, but no request.
fn answer(bytes: &[u8], close: usize, out: &mut Out<'_>) -> Option<()> {
    let behind = bytes.get(close + 1..)?;
    if !matches!(behind, [b' ', b'A'..=b'Z', b'A'..=b'Z', ..]) {
        return None;
    }
    let from = bytes.len() - behind.iter().rev().position(|byte| *byte == b' ')?;
    matches!(bytes[from..], [b'0'..=b'9', .., b's']).then_some(())?;
    put_duration(bytes, from, bytes.len(), out)
}

/// Reads `GET /x 200 12.5 ms - 15`, `GET /x HTTP/1.1 200 15 - 12.5 ms`,
/// `GET /x responded 200 in 12.5 ms`.
#[cold]
fn bare(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let rest = &bytes[at..];
    let method = memchr(b' ', rest)?;
    let from = at + method + 1;
    let path = memchr(b' ', bytes.get(from..)?)?;
    if !is_method(&rest[..method]) || !matches!(bytes[from], b'/' | b'h') {
        return None;
    }
    let mut words = Words { bytes, at: from + path };
    let (mut start, mut end) = words.next()?;
    if bytes[start..end].starts_with(b"HTTP/") {
        (start, end) = words.next()?;
    }
    if bytes[start..].starts_with(b"=> generated ") {
        let request = wording::Request { method: (at, at + method), path: (from, from + path) };
        return wording::uwsgi(bytes, start, request, out);
    }
    if matches!(&bytes[start..end], b"responded" | b"returned" | b"-" | b"->" | b"-->" | b"=>") {
        (start, end) = words.next()?;
    }
    if end - start != 3 || !is_status(bytes, start) {
        return None;
    }
    out.put(HTTP_METHOD, at, at + method);
    out.put(URL_PATH, from, from + path);
    out.put(HTTP_STATUS, start, end);
    timed(bytes, words, out)
}

/// Reads the first duration with a unit among the next words: `12ms`, `12.5 ms`, `in 12.5 ms`,
/// `(12 ms)`, `0.35 seconds`, `duration=12ms`, `duration_ms=12`. Without one it keeps `duration=12`,
/// which is not used, so that `explain` says what is missing.
fn timed(bytes: &[u8], words: Words<'_>, out: &mut Out<'_>) -> Option<()> {
    let mut before = None;
    let mut without_unit = None;
    for (start, end) in words.take(WORDS_MAX) {
        let start = start + usize::from(matches!(bytes[start], b'(' | b'['));
        let end = end - usize::from(matches!(bytes[end - 1], b',' | b')' | b';' | b']'));
        let Some(word) = bytes.get(start..end).filter(|word| !word.is_empty()) else { continue };
        if let Some((unit, value)) = timed_key(word) {
            let text = std::str::from_utf8(&word[value..]).ok()?;
            if number::seconds(text, unit).is_some() {
                out.put_in(unit, DURATION, start + value, end);
                return Some(());
            }
            let is_number = number::decimal(text).is_some();
            without_unit = without_unit.or(is_number.then_some((start + value, end)));
            continue;
        }
        let is_unit = UNITS.contains(&word);
        let from = if is_unit { before.unwrap_or(start) } else { start };
        if bytes[from].is_ascii_digit() && put_duration(bytes, from, end, out).is_some() {
            return Some(());
        }
        before = Some(start);
    }
    let (from, to) = without_unit?;
    out.put(DURATION, from, to);
    Some(())
}

/// Units that are a word of their own.
const UNITS: [&[u8]; 9] =
    [b"ms", b"s", b"us", b"ns", b"sec", b"secs", b"seconds", b"millis", b"milliseconds"];

/// Keys of the duration of a request, with or without the suffix of a unit.
const TIMED_KEYS: [&str; 9] = [
    "duration",
    "took",
    "elapsed",
    "latency",
    "time",
    "request_time",
    "response_time",
    "rt",
    "runtime",
];

/// Returns the unit that the key of `duration_ms=12` names, and where the value begins.
fn timed_key(word: &[u8]) -> Option<(Unit, usize)> {
    let equals = memchr(b'=', word)?;
    let key = std::str::from_utf8(&word[..equals]).ok()?;
    let unit = Unit::of_suffix(key);
    let is_known = |known: &str| {
        // a suffix of one word: not `duration_db_ms`
        key.strip_prefix(known).is_some_and(|suffix| {
            let one_word = suffix.bytes().filter(|byte| *byte == b'_').count() <= 1;
            suffix.is_empty() || (unit != Unit::None && Unit::of_suffix(suffix) == unit && one_word)
        })
    };
    TIMED_KEYS.iter().any(|known| is_known(known)).then_some((unit, equals + 1))
}

/// Reads ASP.NET Core: `Request finished HTTP/1.1 GET http://host/x - 200 512 text/plain 12.5ms`.
#[cold]
fn finished(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let mut words = Words { bytes, at };
    let (method, to) = words.nth(3)?;
    if !is_method(&bytes[method..to]) {
        return None;
    }
    bare(bytes, method, out)
}

/// Reads gin: `[GIN] 2026/01/02 - 03:04:04 | 200 |  12.5ms |  192.0.2.7 | GET      "/x"`; fiber has
/// the path after one more bar.
#[cold]
fn piped(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let near = &bytes[at..bytes.len().min(at + QUOTE_WITHIN)];
    // gin's time is a part of the header, the status is then the first thing
    let is_first = is_status(bytes, at) && near[3..].starts_with(b" |");
    let mut from = if is_first { at } else { at + memchr(b'|', near)? + 1 };
    let mut part = || {
        let rest = bytes.get(from..)?;
        let length = memchr(b'|', rest).unwrap_or(rest.len());
        let inside = &rest[..length];
        let start = inside.iter().position(|byte| *byte != b' ')?;
        let end = length - inside.iter().rev().position(|byte| *byte != b' ')?;
        let found = (from + start, from + end);
        from += length + 1;
        Some(found)
    };
    let (status, status_end) = part()?;
    let took = part()?;
    let client = part()?;
    let (method, end) = part()?;
    if status_end - status != 3 || !is_status(bytes, status) {
        return None;
    }
    let method_end = method + memchr(b' ', &bytes[method..end]).unwrap_or(end - method);
    let (path, path_end) = match &bytes[method_end..end] {
        [] => part()?,
        [.., b'"'] => (method_end + memchr(b'"', &bytes[method_end..end])? + 1, end - 1),
        _ => return None,
    };
    if !is_method(&bytes[method..method_end]) || bytes.get(path) != Some(&b'/') {
        return None;
    }
    put_duration(bytes, took.0, took.1, out)?;
    out.put(CLIENT_ADDRESS, client.0, client.1);
    out.put(HTTP_STATUS, status, status_end);
    out.put(HTTP_METHOD, method, method_end);
    out.put(URL_PATH, path, path_end);
    Some(())
}

/// Reads Rails: `Completed 200 OK in 12ms (Views: 5.0ms | ActiveRecord: 0.5ms)`.
#[cold]
fn completed(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let mut words = Words { bytes, at };
    let (start, end) = words.nth(1)?;
    if !bytes[at..].starts_with(b"Completed ") || end - start != 3 || !is_status(bytes, start) {
        return None;
    }
    let from = at + memmem::find(&bytes[at..], b" in ")? + 4;
    let to = from + memchr(b' ', &bytes[from..]).unwrap_or(bytes.len() - from);
    put_duration(bytes, from, to, out)?;
    out.put(HTTP_STATUS, start, end);
    Some(())
}

/// Reads Rails' tags before the end of a request: `[id] Completed 200 OK in 12ms`.
fn tagged(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let mut at = at;
    while bytes.get(at) == Some(&b'[') {
        let near = &bytes[at..bytes.len().min(at + QUOTE_WITHIN)];
        at += memchr(b']', near)? + 1;
        at += usize::from(bytes.get(at) == Some(&b' '));
    }
    completed(bytes, at, out)
}

/// Reads tower-http: `request{method=GET uri=/x version=HTTP/1.1}: ...: finished processing request
/// latency=12 ms status=200`.
#[cold]
fn span(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let open = at + memchr(b'{', &bytes[at..])? + 1;
    let close = open + memchr(b'}', &bytes[open..])?;
    let value = |from: usize, to: usize, key: &[u8]| {
        let start = from + memmem::find(bytes.get(from..to)?, key)? + key.len();
        let length = bytes[start..to].iter().position(|byte| *byte == b' ');
        Some((start, start + length.unwrap_or(to - start)))
    };
    let method = value(open, close, b"method=")?;
    let path = value(open, close, b"uri=")?;
    let status = value(close, bytes.len(), b" status=")?;
    if status.1 - status.0 != 3 || !is_status(bytes, status.0) {
        return None;
    }
    out.put(HTTP_METHOD, method.0, method.1);
    out.put(URL_PATH, path.0, path.1);
    out.put(HTTP_STATUS, status.0, status.1);
    let (from, mut to) = value(close, bytes.len(), b" latency=")?;
    // `12 ms`: the unit is a separate word
    if let Some([b' ', rest @ ..]) = bytes.get(to..) {
        let unit = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        if matches!(&rest[..unit], b"ms" | b"s" | b"us" | b"ns" | b"\xc2\xb5s" | b"\xce\xbcs") {
            to += 1 + unit;
        }
    }
    put_duration(bytes, from, to, out)
}

/// Reads PostgreSQL: `duration: 37.118 ms  statement: SELECT 1`, `... execute name: SELECT 1`.
#[cold]
fn statement(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let from = at + bytes[at..].strip_prefix(b"duration: ").map(|_| 10)?;
    let unit = from + memmem::find(&bytes[from..], b" ms")? + 3;
    put_duration(bytes, from, unit, out)?;
    let behind = bytes.get(unit..)?;
    let is_query = [&b"  statement: "[..], b"  execute ", b"  parse ", b"  bind "]
        .iter()
        .any(|word| behind.starts_with(word));
    if is_query && let Some(colon) = memmem::find(behind, b": ") {
        out.put(DB_QUERY, unit + colon + 2, bytes.len());
    }
    Some(())
}

/// Reads the same in a field of a structured line.
pub(super) fn statement_in(bytes: &[u8], from: usize, to: usize, out: &mut Out<'_>) {
    if let Some(bytes) = bytes.get(..to) {
        statement(bytes, from, &mut out.of_message());
    }
}

/// Returns whether three digits are at `at` and nothing that makes the number longer follows.
fn is_status(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at..), Some([b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', rest @ ..])
        if rest.first().is_none_or(|byte| *byte == b' '))
}

/// Iterates over the words between spaces, by their positions.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let rest = self.bytes.get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| *byte != b' ')?;
        let length = memchr(b' ', &self.bytes[start..]).unwrap_or(self.bytes.len() - start);
        self.at = start + length;
        Some((start, self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::text::fixture::{all_of, expected};
    use crate::record::Decoded;
    use crate::record::slots::ValueBuffer;

    fn check(message: &str, fields: &[(&str, &str)]) {
        // positions count from the line's start
        for before in ["", "INFO x "] {
            let line = format!("{before}{message}");
            let mut into = Decoded::new();
            let mut out = Out::new(&mut into.slots, ValueBuffer::Line);
            read(line.as_bytes(), before.len(), &mut out);
            assert_eq!(all_of(&line, &into), expected(fields), "{line}");
        }
    }

    const GET: (&str, &str) = ("http.request.method", "GET");
    const PATH: (&str, &str) = ("url.path", "/orders/17");
    const OK: (&str, &str) = ("http.response.status_code", "200");
    const CLIENT: (&str, &str) = ("client.address", "192.0.2.7");

    /// Scenario: one request, as the logger of each framework writes it. Guarantees: method, path
    /// and status are read, and the duration with its unit.
    #[test]
    fn one_request_in_every_wording() {
        let took = |text| ("duration", text);
        for (message, more) in [
            ("192.0.2.7:47026 - \"GET /orders/17 HTTP/1.1\" 200 OK", vec![CLIENT]),
            ("::1:35892 - \"GET /orders/17 HTTP/1.1\" 200 OK", vec![("client.address", "::1")]),
            // three digits may belong to the address
            (
                "2001:db8::7:443 - \"GET /orders/17 HTTP/1.1\" 200 OK",
                vec![("client.address", "2001:db8::7:443")],
            ),
            (
                "2001:db8::7 - \"GET /orders/17 HTTP/1.1\" 200 OK",
                vec![("client.address", "2001:db8::7")],
            ),
            ("[::1]:35892 - \"GET /orders/17 HTTP/1.1\" 200 OK", vec![("client.address", "::1")]),
            ("- \"GET /orders/17 HTTP/1.1\" 200 OK", vec![]),
            ("unix: - \"GET /orders/17 HTTP/1.1\" 200 OK", vec![("client.address", "unix")]),
            (
                "192.0.2.7 - - [02/Jan/2026 03:04:04] \"GET /orders/17 HTTP/1.1\" 200 -",
                vec![CLIENT],
            ),
            (
                "192.0.2.7:4 - - [02/Jan/2026:03:04:04 +0000] \"GET /orders/17 2\" 200 1 \"-\" \"-\"",
                vec![CLIENT],
            ),
            (
                "192.0.2.7 [02/Jan/2026:03:04:04 +0000] \"GET /orders/17 HTTP/1.1\" 200 1 \"-\" \"-\"",
                vec![CLIENT],
            ),
            ("\"GET /orders/17 HTTP/1.1\" 200 12", vec![]),
            (
                "192.0.2.7 \"GET /orders/17 HTTP/1.1\" 200 12 \"-\" \"curl/8\" 0.000123",
                vec![CLIENT, ("user_agent.original", "curl/8"), took("0.000123s")],
            ),
            ("GET /orders/17 200 12.345 ms - 15", vec![took("12.345 ms")]),
            ("GET /orders/17 200 15 - 12.345 ms", vec![took("12.345 ms")]),
            ("GET /orders/17 HTTP/1.1 200 15 - 12.3 ms", vec![took("12.3 ms")]),
            ("HTTP GET /orders/17 responded 200 in 12.5 ms", vec![took("12.5 ms")]),
            ("GET /orders/17 200", vec![]),
            ("GET /orders/17 -> 200 (12ms)", vec![took("12ms")]),
            ("GET /orders/17 - 200 (12.5 ms)", vec![took("12.5 ms")]),
            ("GET /orders/17 200 [12 ms]", vec![took("12 ms")]),
            ("GET /orders/17 200 elapsed 0.35 seconds", vec![took("0.35 seconds")]),
            ("GET /orders/17 200 size=9 duration=12ms", vec![took("12ms")]),
            ("GET /orders/17 200 (took=12ms)", vec![took("12ms")]),
            ("GET /orders/17 200 duration=1.5s,", vec![took("1.5s")]),
            // the unit is that of the key
            ("GET /orders/17 200 duration_ms=12", vec![took("12ms")]),
            ("GET /orders/17 200 elapsedMs=12", vec![took("12ms")]),
            ("GET /orders/17 200 took_seconds=0.5", vec![took("0.5s")]),
            ("GET /orders/17 200 duration_db_ms=12 timeout=5ms", vec![]),
            ("GET /orders/17 200 cache=12", vec![]),
            ("GET /orders/17 200 ( ) [", vec![]),
            (
                "[GIN] 2026/01/02 - 03:04:04 | 200 |     12.5ms |       192.0.2.7 | GET      \"/orders/17\"",
                vec![CLIENT, took("12.5ms")],
            ),
            (
                "03:04:04 | 200 |     12.5ms |  192.0.2.7 | GET     | /orders/17       | -",
                vec![CLIENT, took("12.5ms")],
            ),
            (
                "request{method=GET uri=/orders/17 version=HTTP/1.1}: tower_http::trace::on_response: finished processing request latency=12 ms status=200",
                vec![took("12 ms")],
            ),
        ] {
            check(message, &[&[GET, PATH, OK], &more[..]].concat());
        }
        let url = ("url.path", "http://shop.example/orders/17");
        check(
            "\"GET http://shop.example/orders/17 HTTP/1.1\" from 192.0.2.7:1234 - 200 12B in 12.5ms",
            &[GET, url, OK, took("12.5ms")],
        );
        check(
            "Request finished HTTP/1.1 GET http://shop.example/orders/17 - 200 512 text/plain 12.5ms",
            &[GET, url, OK, took("12.5ms")],
        );
        check("Completed 200 OK in 12ms (Views: 5.0ms)", &[OK, took("12ms")]);
        check(
            "duration: 37.118 ms  statement: SELECT 1",
            &[took("37.118 ms"), ("db.query.text", "SELECT 1")],
        );
        check(
            "duration: 0.5 ms  execute a1: SELECT 1",
            &[took("0.5 ms"), ("db.query.text", "SELECT 1")],
        );
        check("duration: 0.5 ms", &[took("0.5 ms")]);
        check(
            "192.0.2.7:50759 - 29008 \"A IN example.org. udp 41 false 4096\" NOERROR qr,rd 68 0.000990251s",
            &[took("0.000990251s")],
        );
    }

    #[test]
    fn messages_that_hold_no_request() {
        for message in [
            "",
            "GET",
            "GET ready",
            "GET /x",
            "GET /x failed",
            "GET /x 2000",
            "POSTED 200 letters",
            "Completed 200 orders",
            "Completed in 12ms",
            "duration: long",
            "request{a=b}: x status=200",
            "request{method=GET uri=/x}: started",
            "3 items \"in stock\" 200 left",
            "12 | 200 | x | y",
            "12 | 200 | 1ms | y | GET",
            "\"GET /x HTTP/1.1\"200",
            "\"GET /x HTTP/1.1\" 20",
        ] {
            check(message, &[]);
        }
    }
}
