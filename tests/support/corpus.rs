//! Corpora of log lines with their ground truth, shared by benches and tests. The same seed always
//! gives the same bytes. This file must never use sidelight's code, because sidelight is compared
//! with it. Unit: one line, and what it adds to the samples of the families below.

#[path = "corpus_services.rs"]
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The service of lines that name none: OpenTelemetry's default name.
pub(crate) const SERVICE_DEFAULT: &str = "unknown_service";

/// Upper bounds of both duration histograms, in seconds.
pub(crate) const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The shape of a corpus' lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// JSON with 12 top-level keys, always in one order.
    Json,
    /// JSON with nested objects and arrays, and raw ids in the paths.
    Nested,
    /// nginx' combined format followed by `$request_time`.
    Access,
    /// logfmt.
    Logfmt,
    /// `asctime - name - LEVEL - message`, half of the messages with a duration.
    Python,
    /// `Json` with four more keys, each present or absent at random.
    Optional,
    /// `Json` with a different order of keys in every line.
    Shuffled,
    /// `Json` with 10,000 series: 8,000 counters, 2,000 histograms.
    ManySeries,
    /// `Json` with numbers, UUIDs and hashes in the paths, and queries.
    Ids,
    /// Kubernetes' klog.
    Klog,
    /// Spring Boot's console.
    Spring,
    /// Serilog's compact JSON.
    Serilog,
    /// HAProxy's HTTP log.
    Haproxy,
    /// PostgreSQL's log with `log_min_duration_statement = 0`.
    Postgres,
}

impl Shape {
    /// All shapes, in the order of the report.
    pub(crate) const ALL: [Shape; 14] = [
        Shape::Json,
        Shape::Nested,
        Shape::Access,
        Shape::Logfmt,
        Shape::Python,
        Shape::Optional,
        Shape::Shuffled,
        Shape::ManySeries,
        Shape::Ids,
        Shape::Klog,
        Shape::Spring,
        Shape::Serilog,
        Shape::Haproxy,
        Shape::Postgres,
    ];

    /// The name on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Json => "json",
            Shape::Nested => "nested",
            Shape::Access => "nginx",
            Shape::Logfmt => "logfmt",
            Shape::Python => "python",
            Shape::Optional => "json-optional",
            Shape::Shuffled => "json-shuffled",
            Shape::ManySeries => "json-series",
            Shape::Ids => "json-ids",
            Shape::Klog => "klog",
            Shape::Spring => "spring",
            Shape::Serilog => "serilog",
            Shape::Haproxy => "haproxy",
            Shape::Postgres => "postgres",
        }
    }
}

/// Lines and the samples that they add up to.
#[derive(Debug)]
pub(crate) struct Corpus {
    /// All lines, each with its newline.
    pub(crate) bytes: Vec<u8>,
    /// The number of lines.
    pub(crate) lines: usize,
    /// The samples that a reader must have after it has read `bytes` once.
    pub(crate) truth: Truth,
}

/// Samples by name with labels, in the syntax of the text format; bounds of buckets as Rust prints
/// a number.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct Truth(pub(crate) BTreeMap<String, f64>);

/// The differences between an exposition and the truth.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// One sentence per sample, for the first few.
    pub(crate) samples: Vec<String>,
    /// Families of the truth without any sample in the exposition.
    pub(crate) families_missing: Vec<String>,
}

impl Truth {
    fn add(&mut self, sample: String, by: f64) {
        *self.0.entry(sample).or_default() += by;
    }

    fn observe(&mut self, family: &str, labels: &str, seconds: f64) {
        for bound in BOUNDS {
            let hit = f64::from(u8::from(seconds <= bound));
            self.add(format!("{family}_bucket{{{labels},le=\"{bound}\"}}"), hit);
        }
        self.add(format!("{family}_bucket{{{labels},le=\"+Inf\"}}"), 1.0);
        self.add(format!("{family}_count{{{labels}}}"), 1.0);
        self.add(format!("{family}_sum{{{labels}}}"), seconds);
    }

    /// Compares the text of an exposition after `times` passes over the corpus. Ignores samples of
    /// 0 and families that the truth does not contain.
    pub(crate) fn compare(&self, exposition: &str, times: f64) -> Difference {
        const SHOWN_MAX: usize = 5;
        let seen = parse(exposition);
        let families: std::collections::BTreeSet<&str> =
            self.0.keys().map(|sample| family_of(sample)).collect();
        let present: std::collections::BTreeSet<&str> =
            seen.keys().map(|sample| family_of(sample)).collect();
        let mut difference = Difference {
            families_missing: families.difference(&present).map(|f| (*f).to_owned()).collect(),
            ..Difference::default()
        };
        let mut say = |text: String| {
            if difference.samples.len() < SHOWN_MAX {
                difference.samples.push(text);
            }
        };
        for (sample, expected) in &self.0 {
            let expected = expected * times;
            let found = seen.get(sample).copied().unwrap_or(0.0);
            let slack = if sample.contains("_sum{") { 1e-9 * expected.abs() } else { 0.0 };
            if present.contains(family_of(sample)) && (found - expected).abs() > slack {
                say(format!("{sample}: expected {expected}, found {found}"));
            }
        }
        for (sample, found) in &seen {
            let known = families.contains(family_of(sample));
            if known && *found != 0.0 && !self.0.contains_key(sample) {
                say(format!("{sample}: not expected, found {found}"));
            }
        }
        difference
    }
}

impl Difference {
    /// Whether there is no difference; a missing family is a difference.
    pub(crate) fn is_none(&self) -> bool {
        self.samples.is_empty() && self.families_missing.is_empty()
    }
}

fn family_of(sample: &str) -> &str {
    sample.split('{').next().unwrap_or(sample)
}

/// Parses the text format naively; sufficient for the label values of these corpora.
fn parse(exposition: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in exposition.lines().filter(|line| !line.starts_with('#')) {
        let line = line.split(" # ").next().unwrap_or(line);
        let (name, value) = match line.rfind('}') {
            Some(end) => line.split_at(end + 1),
            None => line.split_once(' ').unwrap_or((line, "")),
        };
        let value = value.split_whitespace().next().unwrap_or("");
        let Ok(value) = value.parse::<f64>() else { continue };
        // 1.0 and 1 are the same bound
        let name = match name.find("le=\"") {
            None => name.to_owned(),
            Some(at) => {
                let (before, rest) = name.split_at(at + 4);
                let (bound, after) = rest.split_once('"').unwrap_or((rest, ""));
                match bound.parse::<f64>() {
                    Ok(number) if number.is_finite() => format!("{before}{number}\"{after}"),
                    _ => name.to_owned(),
                }
            }
        };
        samples.insert(name, value);
    }
    samples
}

/// Generates `lines` lines of a shape. The bytes depend only on the arguments.
pub(crate) fn corpus(shape: Shape, lines: usize, seed: u64) -> Corpus {
    let mut random = Random(seed ^ 0x5DEE_CE66_D1CE_4E5B);
    let mut bytes = Vec::with_capacity(lines * 330);
    let mut truth = Totals::default();
    let words = route_words();
    for number in 0..lines {
        match shape {
            Shape::Python => python(number, &mut random, &mut bytes, &mut truth),
            Shape::Klog | Shape::Spring | Shape::Postgres => {
                let mut line = String::new();
                match shape {
                    Shape::Klog => services::klog(number, &mut random, &mut line, &mut truth),
                    Shape::Spring => services::spring(number, &mut random, &mut line, &mut truth),
                    _ => services::postgres(number, &mut random, &mut line, &mut truth),
                }
                bytes.extend_from_slice(line.as_bytes());
            }
            _ => request_line(shape, number, &words, &mut random, &mut bytes, &mut truth),
        }
        bytes.push(b'\n');
    }
    Corpus { bytes, lines, truth: truth.samples() }
}

/// The counts by label values; converted to samples once at the end.
#[derive(Default)]
struct Totals {
    requests: BTreeMap<(&'static str, String, u16), Vec<f64>>,
    records: BTreeMap<(&'static str, &'static str), u64>,
    functions: BTreeMap<&'static str, Vec<f64>>,
    /// Routes that have succeeded: before that, a refused request counts as `_unmatched`.
    routes: BTreeSet<String>,
}

impl Totals {
    fn samples(self) -> Truth {
        let mut truth = Truth::default();
        for ((method, route, status), seconds) in self.requests {
            let labels = format!("method=\"{method}\",endpoint=\"{route}\"");
            let counter = format!("http_requests_total{{{labels},status_code=\"{status}\"}}");
            truth.add(counter, seconds.len() as f64);
            for one in seconds {
                truth.observe("http_request_duration_seconds", &labels, one);
            }
        }
        for ((service, level), count) in self.records {
            let sample = format!("log_records_total{{service=\"{service}\",level=\"{level}\"}}");
            truth.add(sample, count as f64);
        }
        for (function, seconds) in self.functions {
            let labels = format!("function=\"{function}\"");
            for one in seconds {
                truth.observe("function_duration_seconds", &labels, one);
            }
        }
        truth
    }
}

/// splitmix64: short, and good enough to choose lines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }

    fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}

/// Routes of a plausible shop. The service follows from the route; the first routes are the most
/// frequent.
const ROUTES: [(&str, &str, &[&str]); 24] = [
    ("catalog", "/api/products", &["GET", "GET", "GET", "POST"]),
    ("catalog", "/api/products/search", &["GET"]),
    ("checkout", "/api/orders", &["GET", "POST"]),
    ("accounts", "/api/users", &["GET", "GET", "POST", "PATCH"]),
    ("checkout", "/api/cart", &["GET", "POST", "DELETE"]),
    ("checkout", "/api/cart/items", &["GET", "POST", "PUT", "DELETE"]),
    ("accounts", "/api/sessions", &["POST", "DELETE"]),
    ("catalog", "/", &["GET"]),
    ("catalog", "/api/categories", &["GET"]),
    ("catalog", "/api/recommendations", &["GET"]),
    ("checkout", "/api/payments", &["POST"]),
    ("checkout", "/api/payments/methods", &["GET"]),
    ("accounts", "/api/users/me", &["GET", "PUT"]),
    ("accounts", "/api/users/me/addresses", &["GET", "POST"]),
    ("delivery", "/api/shipments", &["GET", "POST"]),
    ("delivery", "/api/shipments/quote", &["POST"]),
    ("catalog", "/api/reviews", &["GET", "POST"]),
    ("checkout", "/api/vouchers", &["GET", "POST"]),
    ("accounts", "/login", &["GET", "POST"]),
    ("accounts", "/logout", &["POST"]),
    ("catalog", "/static/app.js", &["GET"]),
    ("catalog", "/healthz", &["GET"]),
    ("delivery", "/api/webhooks/carrier", &["POST"]),
    ("accounts", "/api/notifications/preferences", &["GET", "PUT"]),
];

const SYLLABLES: [&str; 24] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "indigo", "jasper",
    "kelp", "lotus", "maple", "nectar", "onyx", "pearl", "quartz", "river", "sable", "topaz",
    "umber", "velvet", "willow", "zephyr",
];

const ADDRESSES: usize = 5_000;
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const STATUSES: [u16; 4] = [200, 201, 404, 500];
const USER_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Mobile/15E148",
    "python-requests/2.32.3",
];

/// 500 routes for `Shape::ManySeries`; no digits, so that each is its own template.
fn route_words() -> Vec<String> {
    let pairs = SYLLABLES.iter().flat_map(|a| SYLLABLES.iter().map(move |b| (a, b)));
    pairs.take(500).map(|(a, b)| format!("/api/{a}/{b}")).collect()
}

/// One request, as every format describes it.
struct Request {
    service: &'static str,
    method: &'static str,
    path: String,
    status: u16,
    level: &'static str,
    /// Hundredths of a millisecond, so that milliseconds with two digits are exact.
    hundredths: u64,
    message: String,
    address: String,
    time_ms: u64,
}

/// Returns a latency that is mostly a few ms and sometimes seconds, in hundredths of a millisecond.
fn latency(random: &mut Random) -> u64 {
    let exponent = random.below(9) as u32;
    let base = 40u64 << exponent;
    let value = base + random.below(base as usize) as u64;
    if random.chance(1) { value * 20 } else { value }
}

fn request(
    shape: Shape,
    number: usize,
    words: &[String],
    random: &mut Random,
    totals: &mut Totals,
) -> Request {
    let (service, method, path, route) = if shape == Shape::ManySeries {
        let chosen = random.below(words.len());
        let path = words[chosen].clone();
        (ROUTES[chosen % 4].0, random.pick(&METHODS), path.clone(), path)
    } else {
        // the square makes the first routes frequent
        let share = (random.below(1_000) * random.below(1_000)) / 1_000;
        let (service, route, methods) = ROUTES[share * ROUTES.len() / 1_000];
        let ids = shape == Shape::Ids || (shape == Shape::Nested && random.chance(50));
        let (path, route) = if ids && route.starts_with("/api/") {
            with_id(route, random)
        } else {
            (route.to_owned(), route.to_owned())
        };
        (service, random.pick(methods), path, route)
    };
    let path = if shape == Shape::Ids && random.chance(30) {
        format!("{path}?page={}&sort=name", random.below(50))
    } else {
        path
    };
    let status = match shape {
        Shape::ManySeries => random.pick(&STATUSES),
        _ => match random.below(100) {
            0..90 if method == "POST" => 201,
            0..90 => 200,
            90..92 => 304,
            92..95 => 404,
            95..97 => 400,
            97..99 => 500,
            _ => 503,
        },
    };
    // the first answer of a route is not a refusal, so that the truth of a corpus does not depend
    // on earlier runs
    let is_refused = matches!(status, 400 | 404);
    let succeeded = if method == "POST" { 201 } else { 200 };
    let is_first = !totals.routes.contains(&route);
    let status = if is_refused && is_first { succeeded } else { status };
    totals.routes.insert(route.clone());
    let (level, said) = match status {
        500.. => ("ERROR", "request failed"),
        400..500 => ("WARNING", "request rejected"),
        _ => ("INFO", "request completed"),
    };
    let message = match random.below(100) {
        0..2 => format!("{said}, client said \\\"again\\\""),
        2 => format!("{said} at caf\u{e9}"),
        _ => said.to_owned(),
    };
    let hundredths = latency(random);
    let seconds = match shape {
        // these servers write whole ms, so the value is rounded here too
        Shape::Access | Shape::Haproxy => (hundredths / 100) as f64 / 1_000.0,
        _ => hundredths as f64 / 100_000.0,
    };
    totals.requests.entry((method, route, status)).or_default().push(seconds);
    if !matches!(shape, Shape::Access | Shape::Haproxy) {
        let short = if level == "WARNING" { "WARN" } else { level };
        let service = if shape == Shape::Serilog { SERVICE_DEFAULT } else { service };
        *totals.records.entry((service, short)).or_default() += 1;
    }
    let client = random.below(ADDRESSES);
    Request {
        service,
        method,
        path,
        status,
        level,
        hundredths,
        message,
        address: format!("10.{}.{}.{}", client % 7, client % 250, client / 20),
        time_ms: number as u64 * 7,
    }
}

/// Returns a path below a route with an id in it, and its template.
fn with_id(route: &str, random: &mut Random) -> (String, String) {
    let id = match random.below(10) {
        0..6 => random.below(1_000_000).to_string(),
        6..9 => random.uuid(),
        _ => random.hex(32),
    };
    let tail = random.pick(&["", "", "/items", "/history"]);
    (format!("{route}/{id}{tail}"), format!("{route}/{{id}}{tail}"))
}

fn request_line(
    shape: Shape,
    number: usize,
    words: &[String],
    random: &mut Random,
    out: &mut Vec<u8>,
    totals: &mut Totals,
) {
    let request = request(shape, number, words, random, totals);
    let line = match shape {
        Shape::Access => access(&request, random),
        Shape::Logfmt => logfmt(&request, random),
        Shape::Nested => nested(&request, random),
        Shape::Serilog | Shape::Haproxy => {
            let mut line = String::new();
            match shape {
                Shape::Serilog => services::serilog(&request, random, &mut line),
                _ => services::haproxy(&request, random, &mut line),
            }
            line
        }
        _ => json(shape, &request, random),
    };
    out.extend_from_slice(line.as_bytes());
}

fn iso(time_ms: u64) -> String {
    let (s, ms) = (time_ms / 1_000 % 86_400, time_ms % 1_000);
    format!("2026-11-21T{:02}:{:02}:{:02}.{ms:03}Z", s / 3_600, s / 60 % 60, s % 60)
}

/// Formats hundredths of a millisecond as Python's `round(ms, 2)` prints them: 12.35, 12.3, 12.0.
fn milliseconds(hundredths: u64) -> String {
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.strip_suffix('0').map_or(text.clone(), str::to_owned)
}

fn json(shape: Shape, request: &Request, random: &mut Random) -> String {
    let text = |value: &str| format!("\"{value}\"");
    let mut members = vec![
        ("timestamp", text(&iso(request.time_ms))),
        ("level", text(request.level)),
        ("service", text(request.service)),
        ("logger", text("app.http")),
        ("message", text(&request.message)),
        ("method", text(request.method)),
        ("path", text(&request.path)),
        ("status_code", request.status.to_string()),
        ("duration_ms", milliseconds(request.hundredths)),
        ("trace_id", text(&random.hex(32))),
        ("request_id", text(&random.uuid())),
        ("client_ip", text(&request.address)),
    ];
    if shape == Shape::Optional {
        // in reverse order, so that the positions stay valid
        let optional = [
            (11, "cache_hit", "true".to_owned()),
            (8, "retry", random.below(4).to_string()),
            (4, "tenant", text(random.pick(&["acme", "globex", "initech"]))),
            (3, "user_id", format!("\"u-{}\"", random.below(100_000))),
        ];
        for (place, key, value) in optional {
            if random.chance(50) {
                members.insert(place, (key, value));
            }
        }
    }
    if shape == Shape::Shuffled {
        for last in (1..members.len()).rev() {
            members.swap(last, random.below(last + 1));
        }
    }
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn nested(request: &Request, random: &mut Random) -> String {
    let roles = random.pick(&["\"staff\"", "\"staff\",\"admin\"", ""]);
    let tags = random.pick(&["\"http\"", "\"http\",\"public\""]);
    let mut line = format!(
        "{{\"timestamp\":\"{}\",\"level\":\"{}\",\"service\":\"{}\",\"logger\":\"app.http\",\"message\":\"{}\",",
        iso(request.time_ms),
        request.level,
        request.service,
        request.message
    );
    let _ = write!(
        line,
        "\"trace_id\":\"{}\",\"data\":{{\"request_id\":\"{}\",\"method\":\"{}\",\"path\":\"{}\",\"status_code\":{},\"duration_ms\":{},",
        random.hex(32),
        random.uuid(),
        request.method,
        request.path,
        request.status,
        milliseconds(request.hundredths)
    );
    let _ = write!(
        line,
        "\"client\":{{\"ip\":\"{}\",\"port\":{},\"agent\":\"{}\"}},\"user\":{{\"id\":{},\"roles\":[{roles}],\"tenant\":\"acme\"}},",
        request.address,
        1_024 + random.below(60_000),
        random.pick(&USER_AGENTS),
        random.below(100_000)
    );
    let _ = write!(
        line,
        "\"response\":{{\"bytes\":{},\"type\":\"application/json\",\"cached\":{}}}}},\"host\":{{\"pod\":\"web-7d9f8c6b5-x2x4z\",\"node\":\"node-3\",\"zone\":\"eu-central-1a\"}},",
        random.below(100_000),
        random.chance(30)
    );
    let _ = write!(
        line,
        "\"process\":{{\"pid\":{},\"thread\":\"MainThread\"}},\"tags\":[{tags}],\"version\":\"1.14.2\"}}",
        1_000 + random.below(30)
    );
    line
}

fn access(request: &Request, random: &mut Random) -> String {
    let s = request.time_ms / 1_000 % 86_400;
    let ms = request.hundredths / 100;
    format!(
        "{} - - [21/Nov/2026:{:02}:{:02}:{:02} +0000] \"{} {} HTTP/1.1\" {} {} \"-\" \"{}\" {}.{:03}",
        request.address,
        s / 3_600,
        s / 60 % 60,
        s % 60,
        request.method,
        request.path,
        request.status,
        random.below(100_000),
        random.pick(&USER_AGENTS),
        ms / 1_000,
        ms % 1_000
    )
}

fn logfmt(request: &Request, random: &mut Random) -> String {
    format!(
        "time={} level={} service={} msg=\"{}\" method={} path={} status={} duration_ms={} trace_id={} request_id={}",
        iso(request.time_ms),
        request.level.to_ascii_lowercase(),
        request.service,
        request.message,
        request.method,
        request.path,
        request.status,
        milliseconds(request.hundredths),
        random.hex(32),
        random.uuid()
    )
}

const FUNCTIONS: [&str; 8] = [
    "get_user",
    "list_orders",
    "render_invoice",
    "load_cart",
    "charge_card",
    "send_mail",
    "search_products",
    "resize_image",
];

fn python(number: usize, random: &mut Random, out: &mut Vec<u8>, totals: &mut Totals) {
    let time_ms = number as u64 * 7;
    let (s, ms) = (time_ms / 1_000 % 86_400, time_ms % 1_000);
    let mut level = "INFO";
    let message = if random.chance(50) {
        let function = random.pick(&FUNCTIONS);
        let ms = latency(random) / 100;
        totals.functions.entry(function).or_default().push(ms as f64 / 1_000.0);
        format!("{function} executed in {}.{:03}s", ms / 1_000, ms % 1_000)
    } else {
        level = random.pick(&["INFO", "INFO", "INFO", "DEBUG", "WARNING", "ERROR"]);
        match random.below(4) {
            0 => format!("User {} logged in", random.below(100_000)),
            1 => format!("Cache refreshed - {} entries kept", random.below(5_000)),
            2 => format!("Connection to 10.0.0.{} took long", random.below(250)),
            _ => {
                format!("Order {} placed by customer {}", random.below(9_999), random.below(9_999))
            }
        }
    };
    let short = if level == "WARNING" { "WARN" } else { level };
    *totals.records.entry((SERVICE_DEFAULT, short)).or_default() += 1;
    let name = random.pick(&["app.views", "app.services.orders", "app.tasks"]);
    let line = format!(
        "2026-11-21 {:02}:{:02}:{:02},{ms:03} - {name} - {level} - {message}",
        s / 3_600,
        s / 60 % 60,
        s % 60
    );
    out.extend_from_slice(line.as_bytes());
}
