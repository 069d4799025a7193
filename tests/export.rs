//! Tests the export of spans from the outbox to a collector, for all kinds of collectors: each span
//! is counted once, and every step keeps its time limit.

#[path = "support/collector.rs"]
mod collector;

use collector::{FakeCollector, Reply, refusing_port};
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use proptest::prelude::*;
use sidelight::clock::{Clock, UnixNanos};
use sidelight::export::endpoint::Protocol;
use sidelight::export::resolve::Resolver;
use sidelight::export::retry::Waits;
use sidelight::export::{self, Exporter, ExporterSetup, Settings};
use sidelight::outbox::{BatchSize, Capacity, Chunk, Outbox};
use sidelight::resource::Resource;
use sidelight::spans::encode::{self, Span};
use sidelight::telemetry::Telemetry;
use sidelight::telemetry::ledger::Ledger;
use sidelight::telemetry::outputs::{Condition, OutputStatus};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Long enough for a loaded machine; a test that waits this long fails.
const AMPLE: Duration = Duration::from_secs(20);

struct Bench {
    outbox: Arc<Outbox>,
    telemetry: Telemetry,
    status: Arc<OutputStatus>,
    exporter: Exporter,
}

fn settings(endpoint: &str, protocol: Protocol) -> Settings {
    Settings {
        endpoint: endpoint.to_owned(),
        protocol,
        headers: vec![("x-tenant".to_owned(), "shop".to_owned())],
        timeout: AMPLE,
        batch: BatchSize { items_max: 4, bytes_max: 1 << 20 },
        schedule_delay: Duration::from_millis(1),
        waits: Waits { min: Duration::from_millis(2), ..Waits::default() },
        // on a busy machine an answer may take longer than the timeout that pods use
        closing_silence: AMPLE,
        resolver: Resolver::default(),
    }
}

fn bench(settings: Settings, capacity: Capacity) -> Bench {
    let outbox = Outbox::new(capacity);
    let telemetry = Telemetry::new();
    let status = OutputStatus::new("spans", &telemetry.output_healthy, Box::new(|| 0.0));
    let parts = ExporterSetup {
        status: Arc::clone(&status),
        resource: Resource { service_name: "shop".to_owned(), attributes: Vec::new() },
        outbox: Arc::clone(&outbox),
        telemetry: &telemetry,
        clock: Clock::wound(UnixNanos(784_111_777_000_000_000)).0,
        seed: 7,
    };
    let exporter = export::spawn(settings, parts).expect("an exporter");
    Bench { outbox, telemetry, status, exporter }
}

fn spans(ids: std::ops::Range<u64>) -> Chunk {
    let mut chunk = Chunk::default();
    for id in ids {
        let span = Span {
            service: if id % 3 == 2 { "cart" } else { "" },
            trace_id: TraceId::from_bytes([9; 16]),
            span_id: SpanId::from_bytes((id + 1).to_be_bytes()),
            parent_id: SpanId::INVALID,
            name: ("GET", "/orders/{id}"),
            kind: SpanKind::Server,
            start: UnixNanos(1),
            end: UnixNanos(2),
            attributes: &[],
            exception: None,
            failed: false,
        };
        encode::write(&mut chunk, &span);
    }
    chunk
}

impl Bench {
    fn offer(&self, ids: std::ops::Range<u64>) {
        let offered = self.outbox.offer(&mut spans(ids.clone()));
        let telemetry = &self.telemetry;
        telemetry.offered.with_label_values(&["spans"]).inc_by(ids.end - ids.start);
        let dropped = telemetry.dropped.with_label_values(&["spans", offered.reason()]);
        dropped.inc_by(offered.dropped);
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.telemetry.dropped.with_label_values(&["spans", reason]).get()
    }

    /// Closes the exporter and returns the ledger, after checking that it closes.
    fn finish(self, within: Duration) -> (Ledger, Telemetry, Duration) {
        let clock = Clock::system();
        self.exporter.finish(within);
        let ledger = Ledger::read(&self.telemetry, self.outbox.held());
        assert_eq!((ledger.held, ledger.lost), (0, 0), "{ledger}");
        (ledger, self.telemetry, clock.monotonic())
    }
}

fn ids(collector: &FakeCollector) -> Vec<u64> {
    let id = |bytes: Vec<u8>| u64::from_be_bytes(bytes.try_into().expect("eight bytes")) - 1;
    let mut ids: Vec<u64> =
        collector.spans().into_iter().map(|(_, span)| id(span.span_id)).collect();
    ids.sort_unstable();
    ids
}

/// Scenario: a healthy collector.
/// Guarantees: all spans arrive, by service, over one connection, with the headers that the
/// protocol requires and the user's headers.
#[test]
fn both_transports_deliver() {
    for (protocol, path, content_type) in [
        (Protocol::Http, "/v1/traces", "application/x-protobuf"),
        (
            Protocol::Grpc,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "application/grpc+proto",
        ),
    ] {
        let collector = FakeCollector::start(protocol, &[]);
        let bench = bench(settings(&collector.endpoint, protocol), Capacity::SPANS);
        bench.offer(0..9);
        bench.offer(9..10);
        let (ledger, telemetry, _) = bench.finish(AMPLE);
        assert_eq!((ledger.sent, ledger.dropped), (10, 0));
        assert_eq!(telemetry.export_requests.with_label_values(&["spans", "ok"]).get(), 3);
        assert_eq!(ids(&collector), (0..10).collect::<Vec<_>>());
        let cart = collector.spans().iter().filter(|(service, _)| service.contains("cart")).count();
        assert_eq!(cart, 3);
        assert_eq!(collector.connections(), 1, "a connection is kept");
        assert!(collector.paths().iter().all(|seen| seen == path));
        for headers in collector.headers() {
            assert_eq!(headers["content-type"], content_type);
            assert_eq!(headers["x-tenant"], "shop");
            assert!(headers["user-agent"].to_str().expect("text").starts_with("sidelight/"));
            assert_eq!(headers.contains_key("te"), protocol == Protocol::Grpc);
        }
    }
}

/// Scenario: the collector answers with a retryable error.
/// Guarantees: the same spans are sent again, and are counted once when the collector accepts them.
#[test]
fn what_may_be_repeated_is_repeated() {
    for (protocol, replies) in [
        (Protocol::Http, vec![Reply::Status(503, None), Reply::Status(429, Some("0"))]),
        (Protocol::Http, vec![Reply::Status(502, None), Reply::Status(504, None), Reply::Reset]),
        (Protocol::Grpc, vec![Reply::Grpc(14), Reply::Grpc(4), Reply::Status(503, None)]),
        (Protocol::Grpc, vec![Reply::Reset, Reply::Grpc(1)]),
        (Protocol::Http, vec![Reply::Raw(b"HTTP/9.9 what\r\n\r\n"), Reply::Status(503, None)]),
        (Protocol::Grpc, vec![Reply::Raw(b"SSH-2.0-OpenSSH_9.9\r\n"), Reply::Grpc(14)]),
    ] {
        let collector = FakeCollector::start(protocol, &replies);
        let bench = bench(settings(&collector.endpoint, protocol), Capacity::SPANS);
        bench.offer(0..4);
        let (ledger, telemetry, _) = bench.finish(AMPLE);
        assert_eq!((ledger.sent, ledger.dropped), (4, 0), "{replies:?}");
        assert_eq!(ids(&collector), [0, 1, 2, 3], "{replies:?}");
        let retries = telemetry.export_requests.with_label_values(&["spans", "retry"]).get();
        assert_eq!(retries, replies.len() as u64, "{replies:?}");
    }
}

/// Scenario: the collector answers with a permanent error.
/// Guarantees: the batch is dropped with its reason, and the next one is sent.
#[test]
fn what_is_rejected_is_dropped_and_counted() {
    for (protocol, reply, reason, dropped) in [
        (Protocol::Http, Reply::Status(400, None), "rejected", 4),
        (Protocol::Http, Reply::Status(404, None), "rejected", 4),
        (Protocol::Http, Reply::Status(301, None), "rejected", 4),
        (Protocol::Http, Reply::Status(500, None), "rejected", 4),
        // a success status that does not come from a collector: a proxy's page, no content, another
        // type
        (Protocol::Http, Reply::Status(200, None), "rejected", 4),
        (Protocol::Http, Reply::Status(202, None), "rejected", 4),
        (Protocol::Http, Reply::Status(204, None), "rejected", 4),
        (Protocol::Grpc, Reply::Status(200, None), "rejected", 4),
        (Protocol::Grpc, Reply::Grpc(3), "rejected", 4),
        (Protocol::Grpc, Reply::Grpc(8), "rejected", 4),
        (Protocol::Grpc, Reply::Status(401, None), "rejected", 4),
        (Protocol::Http, Reply::Partial(3), "partial", 3),
        (Protocol::Grpc, Reply::Partial(3), "partial", 3),
        (Protocol::Http, Reply::Partial(300), "partial", 4),
    ] {
        let collector = FakeCollector::start(protocol, std::slice::from_ref(&reply));
        let bench = bench(settings(&collector.endpoint, protocol), Capacity::SPANS);
        bench.offer(0..8);
        let (ledger, telemetry, _) = bench.finish(AMPLE);
        let counted = telemetry.dropped.with_label_values(&["spans", reason]).get();
        assert_eq!((ledger.sent, counted), (8 - dropped, dropped), "{reply:?}");
    }
}

/// Scenario: a collector that answers slowly, endlessly, or never.
/// Guarantees: an exchange ends within the timeout; spans count as sent only after a complete
/// success response.
#[test]
fn a_hostile_collector_costs_a_timeout() {
    let check = |protocol, reply: Reply| {
        let collector = FakeCollector::start(protocol, std::slice::from_ref(&reply));
        // the next exchange must finish within this timeout, even on a busy machine
        let timeout = Duration::from_secs(4);
        let settings = Settings { timeout, ..settings(&collector.endpoint, protocol) };
        let bench = bench(settings, Capacity::SPANS);
        bench.offer(0..8);
        let (ledger, telemetry, _) = bench.finish(AMPLE);
        assert_eq!((ledger.sent, ledger.dropped), (8, 0), "{protocol:?} {reply:?}");
        let retries = telemetry.export_requests.with_label_values(&["spans", "retry"]).get();
        assert_eq!(retries, 1, "{protocol:?} {reply:?}");
        assert_eq!(collector.connections(), 2, "the connection is thrown away: {reply:?}");
    };
    // each case waits for its timeout, so they run in parallel
    std::thread::scope(|scope| {
        for (protocol, reply) in [
            (Protocol::Http, Reply::Hang),
            (Protocol::Grpc, Reply::Hang),
            (Protocol::Http, Reply::Raw(b"HTTP/1.1 200 OK\r\nx: ")),
            (Protocol::Http, Reply::Raw(CUT_SHORT)),
            (Protocol::Grpc, Reply::Stuck),
            (Protocol::Grpc, Reply::Endless),
            (Protocol::Http, Reply::Endless),
            (Protocol::Http, Reply::Stuck),
        ] {
            scope.spawn(move || check(protocol, reply));
        }
    });
}

/// A response with a Content-Length that does not match its body.
const CUT_SHORT: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\n";

/// An interim response, repeated for as long as the client reads; in HTTP/2, frames that need no
/// answer.
const INTERIM: Reply = Reply::Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n");
const PINGS: Reply = Reply::Flood(b"\0\0\0\x04\0\0\0\0\0", b"\0\0\x08\x06\0\0\0\0\0........");

/// Scenario: a collector floods its connection without ever answering.
/// Guarantees: the exporter reads up to a limit and closes the connection; the next connection gets
/// the spans.
#[test]
fn a_flood_ends_with_a_number_of_bytes() {
    for (protocol, reply) in [(Protocol::Http, INTERIM), (Protocol::Grpc, PINGS)] {
        let collector = FakeCollector::start(protocol, std::slice::from_ref(&reply));
        let bench = bench(settings(&collector.endpoint, protocol), Capacity::SPANS);
        bench.offer(0..4);
        let (ledger, telemetry, _) = bench.finish(AMPLE);
        assert_eq!((ledger.sent, ledger.dropped), (4, 0), "{protocol:?}");
        let retries = telemetry.export_requests.with_label_values(&["spans", "retry"]).get();
        assert_eq!((retries, collector.connections()), (1, 2), "{protocol:?}");
        // the buffers of both sockets count as written too
        assert!(collector.flooded() < 16 << 20, "{protocol:?}: {}", collector.flooded());
    }
}

/// Guarantees: the exporter reports its state in clear words: the collector's answer, or that the
/// peer speaks another protocol, and the recovery.
#[test]
fn the_exporter_says_how_it_is() {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    for (protocol, reply, words) in [
        (Protocol::Http, Reply::Status(401, None), "HTTP status 401 (credentials"),
        (Protocol::Http, Reply::Status(404, None), "HTTP status 404 (the path"),
        (Protocol::Http, Reply::Status(200, None), "is this a collector?"),
        (Protocol::Http, Reply::Raw(SETTINGS), "a gRPC port answers"),
        (Protocol::Grpc, Reply::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no gRPC port answers"),
        (Protocol::Grpc, Reply::Grpc(16), "gRPC status 16"),
        (Protocol::Grpc, Reply::Status(503, None), "HTTP status 503"),
        (Protocol::Http, Reply::Reset, ""),
    ] {
        let collector = FakeCollector::start(protocol, std::slice::from_ref(&reply));
        // a retry delay long enough for the test to look at the first failure
        let waits = Waits { min: AMPLE, ..Waits::default() };
        let settings = Settings { waits, ..settings(&collector.endpoint, protocol) };
        let bench = bench(settings, Capacity::SPANS);
        assert_eq!(bench.status.condition(), Condition::Working);
        bench.offer(0..4);
        let clock = Clock::system();
        let condition = loop {
            match bench.status.condition() {
                Condition::Working => assert!(clock.monotonic() < AMPLE, "{reply:?}"),
                other => break other,
            }
            std::thread::yield_now();
        };
        let Condition::Degraded { since, reason } = condition else { panic!("{condition:?}") };
        assert_eq!(since, UnixNanos(784_111_777_000_000_000));
        assert!(reason.contains(words), "{reply:?}: {reason}");
        bench.offer(4..8);
        let status = Arc::clone(&bench.status);
        let (_, telemetry, _) = bench.finish(AMPLE);
        assert_eq!(status.condition(), Condition::Working, "{reply:?}");
        assert_eq!(telemetry.output_healthy.with_label_values(&["spans"]).get(), 1);
    }
}

/// Scenario: the network is dead at the close: nothing listens, or the peer never answers.
/// Guarantees: the close ends after the time limit for silence, even if its deadline is later;
/// everything is counted.
#[test]
fn the_close_does_not_wait_for_the_dead() {
    let (_refuses, address) = refusing_port();
    let nobody = format!("http://{address}");
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let hole = FakeCollector::start(protocol, &[Reply::Hang, Reply::Hang]);
        for endpoint in [&nobody, &hole.endpoint] {
            let silence = Settings::default().closing_silence;
            assert!(silence <= Duration::from_millis(300), "an exit takes at most half a second");
            let settings = Settings { closing_silence: silence, ..settings(endpoint, protocol) };
            let bench = bench(settings, Capacity::SPANS);
            bench.offer(0..6);
            let (ledger, telemetry, took) = bench.finish(AMPLE * 100);
            assert_eq!((ledger.sent, ledger.dropped), (0, 6), "{endpoint}");
            assert_eq!(telemetry.dropped.with_label_values(&["spans", "deadline"]).get(), 6);
            assert!(took < AMPLE, "{took:?}");
        }
    }
}

/// Scenario: nothing listens.
/// Guarantees: the outbox fills, the newest spans are dropped, the close ends by its deadline, and
/// everything is counted.
#[test]
fn a_dead_collector_costs_the_newest_and_no_time() {
    let (_refuses, address) = refusing_port();
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let settings = settings(&format!("http://{address}"), protocol);
        let bench = bench(settings, Capacity { items_max: 10, bytes_max: 1 << 20 });
        bench.offer(0..7);
        bench.offer(7..14);
        assert_eq!(bench.dropped("queue_full"), 4);
        let (ledger, telemetry, took) = bench.finish(Duration::from_millis(300));
        assert_eq!((ledger.sent, ledger.dropped), (0, 14));
        assert_eq!(telemetry.dropped.with_label_values(&["spans", "deadline"]).get(), 10);
        assert!(took < AMPLE / 2, "{took:?}");
    }
}

/// Scenario: a collector hangs at the close.
/// Guarantees: the deadline of the close shortens the timeout.
#[test]
fn the_close_does_not_wait_for_a_timeout() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let collector = FakeCollector::start(protocol, &[Reply::Hang]);
        let bench = bench(settings(&collector.endpoint, protocol), Capacity::SPANS);
        bench.offer(0..6);
        let (ledger, telemetry, took) = bench.finish(Duration::from_millis(100));
        assert_eq!((ledger.sent, ledger.dropped), (0, 6));
        assert_eq!(telemetry.dropped.with_label_values(&["spans", "deadline"]).get(), 6);
        assert!(took < AMPLE / 2, "{took:?}");
    }
}

/// Scenario: the collector asks for a delay of one hour, in seconds and as a date.
/// Guarantees: the exporter sends nothing in that time, and a close before its end does not wait in
/// vain.
#[test]
fn retry_after_is_kept_to() {
    for advice in ["3600", "Sun, 06 Nov 1994 09:49:37 GMT"] {
        let collector = FakeCollector::start(Protocol::Http, &[Reply::Status(503, Some(advice))]);
        let bench = bench(settings(&collector.endpoint, Protocol::Http), Capacity::SPANS);
        bench.offer(0..4);
        let (ledger, telemetry, took) = bench.finish(AMPLE);
        assert_eq!((ledger.sent, ledger.dropped), (0, 4));
        assert_eq!(telemetry.export_requests.with_label_values(&["spans", "retry"]).get(), 1);
        assert!(took < AMPLE / 2, "{took:?}");
    }
}

/// Scenario: one batch is refused repeatedly.
/// Guarantees: it does not hold up the other batches for ever.
#[test]
fn a_batch_grows_too_old() {
    let collector = FakeCollector::start(Protocol::Http, &[Reply::Status(503, None)]);
    let waits =
        Waits { batch_max: Duration::ZERO, min: Duration::from_millis(1), ..Waits::default() };
    let settings = Settings { waits, ..settings(&collector.endpoint, Protocol::Http) };
    let bench = bench(settings, Capacity::SPANS);
    bench.offer(0..8);
    let (ledger, telemetry, _) = bench.finish(AMPLE);
    assert_eq!((ledger.sent, ledger.dropped), (4, 4));
    assert_eq!(telemetry.dropped.with_label_values(&["spans", "expired"]).get(), 4);
    assert_eq!(ids(&collector), [4, 5, 6, 7]);
}

#[test]
fn an_endpoint_with_tls_says_that_it_comes_later() {
    let telemetry = Telemetry::new();
    let parts = ExporterSetup {
        resource: Resource::default(),
        outbox: Outbox::new(Capacity::SPANS),
        telemetry: &telemetry,
        status: OutputStatus::new("spans", &telemetry.output_healthy, Box::new(|| 0.0)),
        clock: Clock::system(),
        seed: 1,
    };
    let settings =
        Settings { endpoint: "https://otel:4318/v1/traces".into(), ..Settings::default() };
    let error = export::spawn(settings, parts).expect_err("no TLS yet");
    let source = std::error::Error::source(&error).expect("a reason").to_string();
    assert!(source.contains("TLS") && source.contains("https://otel:4318"), "{source}");
}

/// Returns the directory of the real peers, which are built once and kept outside the repository.
fn peer(name: &str) -> Option<PathBuf> {
    let home =
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/sidelight/bin"));
    let directory = std::env::var_os("SIDELIGHT_PEERS").map(PathBuf::from).or(home)?;
    Some(directory.join(name)).filter(|path| path.is_file())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A child process that is killed when a test fails.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Scenario: a real OpenTelemetry collector, if one is installed, that is still starting.
/// Guarantees: over both transports every span arrives once, under its service; the exporter's
/// retries wait for the start.
#[test]
fn a_real_collector_takes_the_spans() {
    let Some(otelcol) = peer("otelcol") else {
        eprintln!("skipped: no otelcol in SIDELIGHT_PEERS or ~/.cache/sidelight/bin");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out.jsonl");
    let (http, grpc) = (free_port(), free_port());
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, \
         http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}\n\
         exporters: {{file: {{path: '{}'}}}}\n\
         service: {{telemetry: {{metrics: {{level: none}}}}, \
         pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}}}\n",
        out.display()
    );
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, config).expect("a file");
    let child = Command::new(otelcol).arg("--config").arg(&path).stderr(Stdio::null()).spawn();
    let mut child = Guarded(child.expect("it starts"));
    for (endpoint, protocol, ids) in [
        (format!("http://127.0.0.1:{http}/v1/traces"), Protocol::Http, 0..100),
        (format!("http://localhost:{grpc}"), Protocol::Grpc, 100..200),
    ] {
        let settings = Settings { headers: Vec::new(), ..settings(&endpoint, protocol) };
        let bench = bench(settings, Capacity::SPANS);
        bench.offer(ids);
        let (ledger, _, _) = bench.finish(AMPLE);
        assert_eq!((ledger.sent, ledger.dropped), (100, 0), "{protocol:?}");
    }
    // the collector's output is complete when it has exited
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    child.0.wait().expect("it ends");
    let mut seen = BTreeMap::new();
    for line in std::fs::read_to_string(out).expect("its file").lines() {
        let request: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for group in request["resourceSpans"].as_array().expect("groups") {
            let service = group["resource"]["attributes"][0]["value"]["stringValue"].to_string();
            for span in group["scopeSpans"][0]["spans"].as_array().expect("spans") {
                let id = span["spanId"].as_str().expect("an id").to_owned();
                assert_eq!((&span["name"], &span["kind"]), (&"GET /orders/{id}".into(), &2.into()));
                assert!(seen.insert(id, service.clone()).is_none(), "each once");
            }
        }
    }
    assert_eq!(seen.len(), 200);
    assert_eq!(seen.values().filter(|service| service.contains("cart")).count(), 66);
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        Just(Reply::Ok),
        (0..6i64).prop_map(Reply::Partial),
        prop::sample::select(vec![200u16, 400, 429, 500, 503])
            .prop_map(|status| Reply::Status(status, None)),
        prop::sample::select(vec![0u32, 3, 8, 14]).prop_map(Reply::Grpc),
        Just(Reply::Endless),
        Just(Reply::Reset),
        Just(Reply::Raw(b"\0\0\0\0garbage")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the collector answers and whenever the close happens: offered = sent + dropped,
    /// nothing is held, nothing is unexplained, and no span is dropped by the deadline if there was
    /// enough time.
    #[test]
    fn property_the_ledger_closes(
        replies in prop::collection::vec(reply(), 0..6), grpc: bool,
        offers in prop::collection::vec(1..9u64, 1..5), within_ms in prop::option::of(0..30u64),
    ) {
        let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
        let collector = FakeCollector::start(protocol, &replies);
        let capacity = Capacity { items_max: 12, bytes_max: 1 << 20 };
        let bench = bench(settings(&collector.endpoint, protocol), capacity);
        let mut next = 0;
        for count in offers {
            bench.offer(next..next + count);
            next += count;
        }
        let within = within_ms.map_or(AMPLE, Duration::from_millis);
        let (ledger, telemetry, took) = bench.finish(within);
        prop_assert_eq!(ledger.offered, next);
        prop_assert!(took < AMPLE);
        let deadline = telemetry.dropped.with_label_values(&["spans", "deadline"]).get();
        prop_assert!(within < AMPLE || deadline == 0, "time was ample");
    }
}
