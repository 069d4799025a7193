//! Simulates a web application: the lines that its services log, request by request. Pure: random
//! numbers and times come in, lines go out; the same seed gives the same lines. Unit: one request.

use crate::clock::UnixNanos;
use std::fmt::Write as _;
use std::time::Duration;

/// The service that writes a line, and the time after the start of the request.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    pub(super) service: Service,
    pub(super) after: Duration,
    pub(super) text: String,
}

/// The services of the shop; each has a separate connection and a format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Service {
    /// The shop's web tier: JSON, its fields below `data`.
    Shop,
    /// The payment gateway, a slow dependency: logfmt with trace ids.
    Payments,
    /// A worker written in Python: text with tracebacks.
    Worker,
    /// The proxy in front of the shop: nginx' access log with `request_time`.
    Edge,
}

impl Service {
    pub(super) const ALL: [Service; 4] =
        [Service::Shop, Service::Payments, Service::Worker, Service::Edge];
}

/// The exception of a mail server that closes the connection.
const UNREACHABLE: &str = "\nTraceback (most recent call last):\n\
\x20 File \"/app/mail.py\", line 33, in send_receipt\n\
\x20   smtp.send_message(message)\n\
\x20 File \"/usr/lib/python3.11/smtplib.py\", line 986, in send_message\n\
\x20   raise SMTPServerDisconnected('please run connect() first')\n\
smtplib.SMTPServerDisconnected: please run connect() first";

/// A route: method, path with `#` for an id, its share of the requests, its median in milliseconds,
/// and how many of a thousand requests fail.
struct Route {
    method: &'static str,
    path: &'static str,
    share: u64,
    median_ms: f64,
    failing: u64,
    table: &'static str,
}

const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/", share: 22, median_ms: 6.0, failing: 1, table: "" },
    Route {
        method: "GET",
        path: "/api/products",
        share: 20,
        median_ms: 24.0,
        failing: 3,
        table: "products",
    },
    Route {
        method: "GET",
        path: "/api/products/#",
        share: 26,
        median_ms: 12.0,
        failing: 6,
        table: "products",
    },
    Route {
        method: "POST",
        path: "/api/cart/#/items",
        share: 14,
        median_ms: 31.0,
        failing: 9,
        table: "cart_items",
    },
    Route {
        method: "POST",
        path: "/api/checkout",
        share: 8,
        median_ms: 240.0,
        failing: 45,
        table: "orders",
    },
    Route {
        method: "GET",
        path: "/api/orders/#",
        share: 7,
        median_ms: 18.0,
        failing: 4,
        table: "orders",
    },
    Route {
        method: "DELETE",
        path: "/api/cart/#/items/#",
        share: 3,
        median_ms: 15.0,
        failing: 4,
        table: "cart_items",
    },
];

/// The state of the application: its random numbers and the number of requests.
#[derive(Debug)]
pub(super) struct Play {
    state: u64,
    requests: u64,
}

impl Play {
    pub(super) fn new(seed: u64) -> Play {
        Play { state: seed | 1, requests: 0 }
    }

    /// Returns the lines that the services log for one request that starts at `at`.
    pub(super) fn request(&mut self, at: UnixNanos) -> Vec<Line> {
        self.requests += 1;
        let route = self.route();
        let mut path = String::new();
        for part in route.path.split_inclusive('#') {
            match part.strip_suffix('#') {
                Some(before) => {
                    let id = 1 + self.below(90_000);
                    let _ = write!(path, "{before}{id}");
                }
                None => path.push_str(part),
            }
        }
        let took = self.latency(route.median_ms);
        let fails = self.below(1000) < route.failing;
        let status = match (fails, route.method) {
            (true, _) => 500,
            (false, "POST") if self.below(20) == 0 => 422,
            (false, "POST") => 201,
            (false, _) if self.below(40) == 0 => 404,
            (false, _) => 200,
        };
        let request =
            Request { at, took, status, path, id: self.hex(16), trace: self.hex(32), route };
        let mut lines = Vec::new();
        self.shop(&request, &mut lines);
        if route.path == "/api/checkout" {
            self.payment(&request, &mut lines);
            self.mail(&request, &mut lines);
        }
        self.edge(&request, &mut lines);
        lines
    }

    fn shop(&mut self, request: &Request<'_>, lines: &mut Vec<Line>) {
        let Request { at, took, status, path, id, route, .. } = request;
        let method = route.method;
        if !route.table.is_empty() {
            let query_ms = took.as_secs_f64() * 1e3 * 0.4;
            let stamp = format!("{:.6}", at.after(took.mul_f64(0.5)));
            let (verb, table) =
                (if method == "GET" { "SELECT * FROM" } else { "INSERT INTO" }, route.table);
            let text = format!(
                r#"{{"timestamp": "{stamp}", "level": "DEBUG", "logger": "shop.db", "message": "Database Query", "service": "shop", "data": {{"query": "{verb} {table} WHERE id = {}", "duration_ms": {query_ms:.2}, "rows_affected": 1, "request_id": "{id}"}}}}"#,
                self.below(90_000),
            );
            lines.push(Line { service: Service::Shop, after: took.mul_f64(0.5), text });
        }
        let stamp = format!("{:.6}", at.after(*took));
        if *status == 500 {
            let (kind, text) = self.failure();
            let line = format!(
                r#"{{"timestamp": "{stamp}", "level": "ERROR", "logger": "shop.http", "message": "Request failed", "service": "shop", "data": {{"error_type": "{kind}", "request_id": "{id}"}}, "exception": "Traceback (most recent call last):\n  File \"/app/views.py\", line 71, in handle\n    return view(request)\n{kind}: {text}"}}"#
            );
            lines.push(Line { service: Service::Shop, after: *took, text: line });
        }
        let level = if *status >= 500 { "ERROR" } else { "INFO" };
        let took_ms = took.as_secs_f64() * 1e3;
        let text = format!(
            r#"{{"timestamp": "{stamp}", "level": "{level}", "logger": "shop.http", "message": "HTTP Request", "service": "shop", "data": {{"method": "{method}", "path": "{path}", "status_code": {status}, "duration_ms": {took_ms:.2}, "request_id": "{id}"}}}}"#
        );
        lines.push(Line { service: Service::Shop, after: *took, text });
    }

    /// Simulates the slow dependency: a tenth of its calls wait for a bank.
    fn payment(&mut self, request: &Request<'_>, lines: &mut Vec<Line>) {
        let waits = self.below(10) == 0;
        let took = if waits { self.latency(1_400.0) } else { request.took.mul_f64(0.6) };
        let stamp = format!("{:.6}", request.at.after(took));
        let (level, note) = if waits { ("warn", "the bank was slow") } else { ("info", "charged") };
        let text = format!(
            r#"ts={stamp} level={level} service=payments msg="{note}" method=POST path=/v1/charges status=200 duration={:.4}s trace_id={}"#,
            took.as_secs_f64(),
            request.trace
        );
        lines.push(Line { service: Service::Payments, after: took, text });
    }

    /// Simulates a background job: a start line, followed by an end, or by a failure with its
    /// traceback.
    fn mail(&mut self, request: &Request<'_>, lines: &mut Vec<Line>) {
        let took = self.latency(120.0);
        let fails = self.below(25) == 0;
        let mut line = |after: Duration, level: &str, message: String| {
            let stamp = python(request.at.after(after));
            let text = format!("{stamp} - worker.mail - {level} - {message}");
            lines.push(Line { service: Service::Worker, after, text });
        };
        line(request.took, "INFO", "API Request: send_receipt started".to_owned());
        let end = request.took + took;
        if fails {
            let trace = UNREACHABLE;
            let failed = "API Request: send_receipt failed - please run connect() first";
            line(end, "ERROR", format!("{failed}{trace}"));
        } else {
            line(
                end,
                "INFO",
                format!("API Request: send_receipt completed in {:.3}s", took.as_secs_f64()),
            );
        }
    }

    /// Simulates the files of a page, which the proxy serves itself.
    fn edge(&mut self, request: &Request<'_>, lines: &mut Vec<Line>) {
        if request.path != "/" {
            return;
        }
        let mut after = request.took;
        for file in ["/static/app.js", "/static/app.css"] {
            let took = self.latency(1.5);
            after += took;
            let text = format!(
                r#"10.2.{}.{} - - [{}] "GET {file} HTTP/1.1" 200 {} "-" "Mozilla/5.0" {:.3}"#,
                self.below(8),
                1 + self.below(250),
                common_log(request.at.after(after)),
                18_000 + self.below(9_000),
                took.as_secs_f64(),
            );
            lines.push(Line { service: Service::Edge, after, text });
        }
    }

    fn failure(&mut self) -> (&'static str, &'static str) {
        match self.below(4) {
            0 => ("KeyError", "'currency'"),
            1 => ("TimeoutError", "payments did not answer"),
            2 => ("sqlalchemy.exc.OperationalError", "server closed the connection unexpectedly"),
            _ => ("ValueError", "invalid literal for int() with base 10: ''"),
        }
    }

    fn route(&mut self) -> &'static Route {
        let total: u64 = ROUTES.iter().map(|route| route.share).sum();
        let mut dice = self.below(total);
        for route in ROUTES {
            if dice < route.share {
                return route;
            }
            dice -= route.share;
        }
        &ROUTES[0]
    }

    /// Returns a log-normal latency around its median, as real latencies are: about one in a
    /// hundred takes four times as long.
    fn latency(&mut self, median_ms: f64) -> Duration {
        // the sum of twelve random numbers approximates a normal distribution well enough for a
        // demo
        let normal: f64 =
            (0..12).map(|_| self.below(1 << 20) as f64 / f64::from(1 << 20)).sum::<f64>() - 6.0;
        Duration::from_secs_f64(median_ms / 1e3 * (0.55 * normal).exp())
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }

    /// Returns a number below `bound` (xorshift64*: Vigna, "An experimental exploration of
    /// Marsaglia's xorshift generators, scrambled").
    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

struct Request<'a> {
    at: UnixNanos,
    took: Duration,
    status: u16,
    path: String,
    id: String,
    trace: String,
    route: &'a Route,
}

fn python(at: UnixNanos) -> String {
    stamp(at, "%Y-%m-%d %H:%M:%S,%3f")
}

fn common_log(at: UnixNanos) -> String {
    stamp(at, "%d/%b/%Y:%H:%M:%S +0000")
}

fn stamp(at: UnixNanos, format: &str) -> String {
    let nanos = i128::from(at.0);
    jiff::Timestamp::from_nanosecond(nanos)
        .map_or_else(|_| String::new(), |time| time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_plays_the_same_day_and_every_service_speaks() {
        let at = UnixNanos(1_795_000_000_000_000_000);
        let play = |seed| {
            let mut play = Play::new(seed);
            (0..400).flat_map(|_| play.request(at)).collect::<Vec<_>>()
        };
        let lines = play(7);
        assert_eq!(lines, play(7));
        assert_ne!(lines, play(8));
        for service in Service::ALL {
            assert!(lines.iter().any(|line| line.service == service), "{service:?} is silent");
        }
        assert!(lines.iter().any(|line| line.text.contains("Traceback")));
        for line in lines.iter().filter(|line| line.service == Service::Shop) {
            assert!(serde_json::from_str::<serde_json::Value>(&line.text).is_ok(), "{}", line.text);
        }
    }
}
