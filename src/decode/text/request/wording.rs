//! Reads requests and queries in the wording of one program each: uWSGI, Squid, Amazon S3, MySQL's
//! slow log. Unit: one message.

use crate::decode::access::columns::is_method;
use crate::decode::out::Out;
use crate::record::field::{CLIENT_ADDRESS, DURATION, HTTP_METHOD, HTTP_STATUS, URL_PATH, Unit};
use memchr::{memchr, memmem};

/// The positions of the method and the path of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) method: (usize, usize),
    pub(super) path: (usize, usize),
}

impl Request {
    fn put(self, out: &mut Out<'_>) {
        out.put(HTTP_METHOD, self.method.0, self.method.1);
        out.put(URL_PATH, self.path.0, self.path.1);
    }
}

fn digits(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count()
}

fn is_code(word: &[u8]) -> bool {
    matches!(word, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'])
}

/// Reads uWSGI's `=> generated 47 bytes in 129 msecs (HTTP/1.1 200) ...` after method and path.
pub(super) fn uwsgi(bytes: &[u8], at: usize, request: Request, out: &mut Out<'_>) -> Option<()> {
    let from = at + memmem::find(&bytes[at..], b" bytes in ")? + 10;
    let to = from + digits(bytes, from);
    let behind = bytes.get(to..)?;
    let unit = [
        (&b" msecs "[..], Unit::Milliseconds),
        (b" micros ", Unit::Microseconds),
        (b" nanos ", Unit::Nanoseconds),
        (b" secs ", Unit::Seconds),
    ]
    .into_iter()
    .find(|(word, _)| behind.starts_with(word));
    let open = to + memchr(b'(', behind)?;
    let status = open + memchr(b' ', &bytes[open..])? + 1;
    if bytes.get(status + 3) != Some(&b')') || !is_code(&bytes[status..status + 3]) {
        return None;
    }
    request.put(out);
    out.put(HTTP_STATUS, status, status + 3);
    if let Some((_, unit)) = unit.filter(|_| to > from) {
        out.put_in(unit, DURATION, from, to);
    }
    Some(())
}

/// Reads Squid's own format after the time: `180 192.0.2.7 TCP_MISS/200 411 GET http://host/x ...`;
/// the duration is in milliseconds.
#[cold]
pub(super) fn squid(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let mut all = [(0, 0); 6];
    let mut next = at;
    for column in &mut all {
        let start = next + bytes.get(next..)?.iter().position(|byte| *byte != b' ')?;
        let length = memchr(b' ', &bytes[start..]).unwrap_or(bytes.len() - start);
        next = start + length;
        *column = (start, next);
    }
    let [took, client, result, _, method, url] = all;
    let of = |(from, to): (usize, usize)| &bytes[from..to];
    let slash = memchr(b'/', of(result))?;
    let is_result = [&b"TCP_"[..], b"UDP_", b"NONE"].iter().any(|k| of(result).starts_with(k));
    let status = (result.0 + slash + 1, result.1);
    let is_number = digits(bytes, took.0) == took.1 - took.0;
    if !is_result || !is_number || !is_method(of(method)) || !is_code(of(status)) {
        return None;
    }
    Request { method, path: url }.put(out);
    out.put(CLIENT_ADDRESS, client.0, client.1);
    out.put(HTTP_STATUS, status.0, status.1);
    out.put_in(Unit::Milliseconds, DURATION, took.0, took.1);
    Some(())
}

/// Reads the total time of Amazon S3's server access log, in milliseconds: `200 - 2662 2662 19 18 "
/// "` are status, error, bytes sent, size of the object, total time, time of S3 itself.
pub(super) fn bucket(bytes: &[u8], at: usize, status_end: usize, out: &mut Out<'_>) -> bool {
    let operation = [&b" REST."[..], b" WEBSITE.", b" BATCH."];
    if !operation.iter().any(|word| memmem::find(&bytes[at..status_end], word).is_some()) {
        return false;
    }
    let behind = bytes.get(status_end..).unwrap_or_default();
    let mut from = status_end + 1;
    for (number, word) in behind.get(1..).unwrap_or_default().split(|b| *b == b' ').enumerate() {
        if number == 3 && !word.is_empty() && word.iter().all(u8::is_ascii_digit) {
            out.put_in(Unit::Milliseconds, DURATION, from, from + word.len());
        }
        if number >= 3 {
            break;
        }
        from += word.len() + 1;
    }
    true
}

/// Finds the quote of the request after the name of a role, which in Amazon S3's log may be long.
#[cold]
pub(super) fn behind_role(bytes: &[u8], at: usize) -> Option<usize> {
    const ROLE_BYTES_MAX: usize = 512;
    let near = &bytes[at..bytes.len().min(at + ROLE_BYTES_MAX)];
    memmem::find(near, b" arn:aws:")?;
    memchr(b'"', near)
}

/// Reads MySQL's slow log: `# Query_time: 2.475469  Lock_time: ...`, in seconds.
#[cold]
pub(super) fn slow_query(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let from = at + bytes[at..].strip_prefix(b"# Query_time: ").map(|_| 14)?;
    let length = bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    (length > 0).then(|| out.put_in(Unit::Seconds, DURATION, from, from + length))
}

#[cfg(test)]
mod tests {
    use crate::decode::text;
    use crate::decode::text::fixture::all_of;
    use crate::record::Decoded;

    fn check(line: &str, fields: &[(&str, &str)]) {
        let mut into = Decoded::new();
        if !text::read(line, &mut into) {
            into = Decoded::new();
            text::plain(line, &mut into);
        }
        let all = all_of(line, &into);
        for (name, value) in fields {
            assert_eq!(
                all.get(*name).map(String::as_str),
                Some(*value),
                "{name} of {line}: {all:?}"
            );
        }
        let has_request = fields.iter().any(|(name, _)| *name == "http.request.method");
        assert_eq!(all.contains_key("http.request.method"), has_request, "{line}: {all:?}");
    }

    const GET: (&str, &str) = ("http.request.method", "GET");
    const PATH: (&str, &str) = ("url.path", "/orders/17");
    const OK: (&str, &str) = ("http.response.status_code", "200");
    const CLIENT: (&str, &str) = ("client.address", "192.0.2.7");

    /// Guarantees: the request of each server is read with the unit of its duration.
    #[test]
    fn every_server_with_its_unit() {
        let uwsgi = "[pid: 7|app: 0|req: 1/2] 192.0.2.7 () {38 vars in 696 bytes} \
                     [Fri Jan  2 03:04:04 2026] GET /orders/17 => generated 47 bytes in ";
        let behind = " (HTTP/1.1 200) 9 headers in 378 bytes (1 switches on core 3)";
        let time = ("timestamp", "Fri Jan  2 03:04:04 2026");
        for (took, read) in [("129 msecs", "129ms"), ("68 micros", "68us"), ("2 secs", "2s")] {
            let line = format!("{uwsgi}{took}{behind}");
            check(&line, &[time, CLIENT, GET, PATH, OK, ("duration", read)]);
        }
        check(
            "1767323044.250    180 192.0.2.7 TCP_MISS/200 411 GET http://shop.example/orders/17 - \
             DIRECT/192.0.2.8 text/plain",
            &[
                ("timestamp", "1767323044.250"),
                CLIENT,
                GET,
                ("url.path", "http://shop.example/orders/17"),
                OK,
                ("duration", "180ms"),
            ],
        );
        check(
            "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be shop \
             [02/Jan/2026:03:04:04 +0000] 192.0.2.7 arn:aws:sts::123456789012:assumed-role/Service/\
             Advisor_627959692251_784ab70b-8cc9-4d37-a2ec-2ff4d0c08af9 \
             3E57427F3EXAMPLE REST.GET.OBJECT orders \"GET /orders/17 HTTP/1.1\" 200 - 113 113 7 6 \
             \"-\" \"S3Console/0.4\" -",
            &[CLIENT, GET, PATH, OK, ("duration", "7ms")],
        );
        check(
            "I, [2026-01-02T03:04:04.250000 #7]  INFO -- : [fa1c5d80-6f1b] [web] Completed 200 OK \
             in 12ms (Views: 5.0ms)",
            &[OK, ("duration", "12ms")],
        );
    }

    /// Guarantees: the two lines of a slow query give its time and its duration, in seconds.
    #[test]
    fn the_slow_log_of_mysql() {
        check("# Time: 260102  3:04:04", &[("timestamp", "260102  3:04:04")]);
        check(
            "# Time: 2026-01-02T03:04:04.250000Z",
            &[("timestamp", "2026-01-02T03:04:04.250000Z")],
        );
        check("# Query_time: 2.475469  Lock_time: 0.000072", &[("duration", "2.475469s")]);
        check("# Query_time is missing", &[]);
    }

    /// Guarantees: lines that look similar name no request.
    #[test]
    fn lines_of_others() {
        for line in [
            "1767323044.250    180 192.0.2.7 MISS/200 411 GET http://shop.example/ - DIRECT/- -",
            "1767323044.250    180 192.0.2.7 TCP_MISS/999 411 GET http://shop.example/ - -",
            "1767323044.250    fast 192.0.2.7 TCP_MISS/200 411 GET http://shop.example/ - -",
            "[pid: 7|app: 0|req: 1/2] 192.0.2.7 () {38 vars} [Fri Jan  2 03:04:04 2026] GET /x",
            "INFO GET /orders/17 => generated 47 bytes in 129 msecs (HTTP/1.1 ok)",
            "INFO [a] [b] Completed the order in 12ms",
        ] {
            check(line, &[]);
        }
    }
}
