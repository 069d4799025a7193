//! Tests of the admin port over real loopback connections, with a clock that the test moves.

mod connections;

use super::page::Pages;
use super::*;
use crate::clock::{Clock, Hand, UnixNanos};
use crate::health::verdict::{Check, Status, Verdict};
use crate::metrics::expose::Encoding;
use crate::phase::Phase;
use crate::telemetry::Telemetry;
use crate::telemetry::outputs::OutputStatus;
use crate::telemetry::process_status::{
    ListenerKind, ListenerState, ProcessStatus, ThreadHeartbeat,
};
use std::io::Read;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const START: UnixNanos = UnixNanos(1_800_000_000_000_000_000);

fn state() -> (AdminState, Hand) {
    let (clock, hand) = Clock::wound(START);
    let exposition =
        Box::new(|encoding, options: crate::metrics::expose::Options, out: &mut Vec<u8>| {
            let encoding = match encoding {
                Encoding::Classic => "classic",
                Encoding::OpenMetrics => "openmetrics",
            };
            out.extend_from_slice(format!("# {encoding} created={}\n", options.created).as_bytes());
            out.resize(out.len() + 4096, b'#');
        });
    let process_status = ProcessStatus::new();
    process_status
        .set_listener(ListenerKind::Stream, ListenerState::Open("/run/lines.sock".to_owned()));
    let state = AdminState::new(clock, Arc::new(Telemetry::new()), process_status, exposition);
    (state, hand)
}

/// An answer: status, head (lower case), body.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An admin port with its state; it lives until it is dropped.
struct Port {
    address: SocketAddr,
    state: Arc<AdminState>,
    close: watch::Sender<bool>,
}

async fn port(state: AdminState) -> Port {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("a bound address");
    let state = Arc::new(state);
    let (close, mut closed) = watch::channel(false);
    let serving = serve(listener, Arc::clone(&state), async move {
        let _ = closed.changed().await;
    });
    tokio::spawn(serving);
    Port { address, state, close }
}

impl Port {
    /// Sends bytes as they are and reads until the server closes the connection.
    async fn raw(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("a listener");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        reply
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Reply {
        let close = "Host: x\r\nConnection: close\r\n";
        let raw = self.raw(&format!("{method} {path} HTTP/1.1\r\n{close}{headers}\r\n")).await;
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&raw[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Reply { status, head, body: raw[end + 4..].to_vec() }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "").await
    }

    fn refused(&self, reason: &str) -> u64 {
        self.state.telemetry.connections_refused.with_label_values(&[reason]).get()
    }
}

#[tokio::test]
async fn every_path_answers_with_exact_headers() {
    let port = port(state().0).await;
    for (path, status, kind) in [
        ("/", 200, TEXT),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/metrics/", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/livez", 200, TEXT),
        ("/healthz", 200, TEXT),
        ("/readyz", 200, TEXT),
        ("/readyz/", 200, TEXT),
        ("/startupz", 200, TEXT),
        ("/health", 200, "application/json"),
        ("/health/config", 200, "application/json"),
        ("/health/nothing", 404, TEXT),
        ("/readyz/queues", 200, TEXT),
        ("/readyz/nothing", 404, TEXT),
        ("/livez/ping", 200, TEXT),
        ("/livez/shutdown", 404, TEXT),
        ("/metrics/x", 404, TEXT),
        ("/nothing", 404, TEXT),
        ("//", 200, TEXT),
        ("/livez%00", 404, TEXT),
        ("http://elsewhere/livez", 200, TEXT),
    ] {
        let reply = port.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.head.contains(&format!("content-type: {kind}\r\n")), "{path} {}", reply.head);
        assert!(reply.head.contains("cache-control: no-store"), "{path} {}", reply.head);
        assert!(reply.head.contains("x-content-type-options: nosniff"), "{path} {}", reply.head);
    }
    assert!(port.get("/nothing").await.text().contains("/metrics"));
    assert_eq!(port.get("/livez").await.text(), "ok");
}

#[tokio::test]
async fn a_head_request_has_the_headers_and_no_body() {
    let port = port(state().0).await;
    let get = port.get("/health").await;
    let head = port.ask("HEAD", "/health", "").await;
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert!(head.head.contains(&format!("content-length: {}", get.body.len())), "{}", head.head);
}

#[tokio::test]
async fn a_scrape_gets_what_it_requests() {
    let port = port(state().0).await;
    let plain = port.get("/metrics").await;
    assert!(plain.text().starts_with("# classic created=false\n"));
    assert!(plain.head.contains("vary: accept, accept-encoding"), "{}", plain.head);
    assert!(!plain.head.contains("content-encoding"));

    let headers = "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n";
    let packed = port.ask("GET", "/metrics?created=1", headers).await;
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
    assert!(packed.head.contains("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).expect("gzip");
    assert!(text.starts_with("# openmetrics created=true\n"));
    assert_eq!(text.len(), 4096 + "# openmetrics created=true\n".len());
    assert!(packed.body.len() < 200);
    assert_eq!(port.ask("HEAD", "/metrics", "").await.status, 200);

    let last = |method: &'static str, headers: &'static str| port.ask(method, "/metrics", headers);
    let known = || port.state.process_status.scrapers.with_final();
    assert_eq!(known(), 0, "nothing is final yet");
    port.state.process_status.phase.advance(Phase::Lingering);
    let prometheus = "User-Agent: Prometheus/3.15.0\r\n";
    last("HEAD", prometheus).await;
    last("GET", "User-Agent: curl/8.5.0\r\n").await;
    assert_eq!(known(), 0, "neither fetches for Prometheus");
    last("GET", prometheus).await;
    last("GET", headers).await;
    assert_eq!(known(), 1, "one requested OpenMetrics before the end; the other is unknown");
    last("GET", prometheus).await;
    assert_eq!(known(), 2, "the other one comes regularly");
}

#[tokio::test]
async fn a_short_exposition_is_not_compressed() {
    let (mut state, _) = state();
    state.pages = Pages::new(Box::new(|_, _, out| out.resize(1024, b'#')));
    let port = port(state).await;
    let reply = port.ask("GET", "/metrics", "Accept-Encoding: gzip\r\n").await;
    assert!(!reply.head.contains("content-encoding"));
    assert_eq!(reply.body.len(), 1024);
}

/// Scenario: the phases of a drain. Guarantees: alive until the end, ready only while serving.
#[tokio::test]
async fn draining_is_alive_and_not_ready() {
    let port = port(state().0).await;
    assert_eq!(port.get("/readyz").await.status, 200);
    for phase in [Phase::Reading, Phase::Flushing, Phase::Exporting, Phase::Lingering] {
        port.state.process_status.phase.advance(phase);
        assert_eq!(port.get("/livez").await.status, 200, "{phase:?}");
        assert_eq!(port.get("/metrics").await.status, 200, "{phase:?}");
        assert_eq!(port.get("/health").await.status, 200, "{phase:?}");
        let ready = port.get("/readyz").await;
        assert_eq!(ready.status, 503, "{phase:?}");
        let line = format!("[-]shutdown failed: process is {}\n", phase.name());
        assert!(ready.text().contains(&line), "{}", ready.text());
        assert_eq!(port.get("/readyz/shutdown").await.status, 503);
        assert_eq!(port.get("/readyz/ping").await.status, 200);
    }
}

/// Adds an output that failed at the start of the test, with a queue of the given fill.
fn degraded_output(state: &AdminState, fill: f64) {
    let output =
        OutputStatus::new("spans", &state.telemetry.output_healthy, Box::new(move || fill));
    output.degraded(START, "connection refused");
    state.process_status.add_output(output);
}

#[tokio::test]
async fn probes_speak_as_the_kube_apiserver_does() {
    let (state, _) = state();
    degraded_output(&state, 0.95);
    let port = port(state).await;
    let check = async |path: &str, status: u16, body: &str| {
        let reply = port.get(path).await;
        assert_eq!((reply.status, reply.text().as_str()), (status, body), "{path}");
    };
    check("/livez", 200, "ok").await;
    check("/livez?verbose", 200, "[+]ping ok\n[+]data_threads ok\nlivez check passed\n").await;
    check("/healthz?verbose=1", 200, "[+]ping ok\n[+]data_threads ok\nlivez check passed\n").await;
    let failed = "[+]ping ok\n[+]data_threads ok\n[+]sockets ok\n\
        [-]queues failed: the queue of spans is 95 % full\n[+]shutdown ok\nreadyz check failed\n";
    check("/readyz", 503, failed).await;
    check("/readyz?exclude=queues", 200, "ok").await;
    let excluded = "[+]ping ok\n[+]data_threads ok\n[+]sockets ok\n\
        [+]queues excluded: ok\n[+]shutdown ok\n\
        warn: some health checks cannot be excluded: no matches for \"etcd\"\n\
        readyz check passed\n";
    check("/readyz?exclude=queues&exclude=etcd&verbose", 200, excluded).await;
    let alone = "[-]queues failed: the queue of spans is 95 % full\nreadyz check failed\n";
    check("/readyz/queues", 503, alone).await;
    check("/startupz", 200, "ok").await;
}

#[tokio::test]
async fn only_a_hanging_thread_is_not_alive() {
    let (state, hand) = state();
    let beat = Arc::new(ThreadHeartbeat::new("stream"));
    beat.busy(state.clock.monotonic());
    state.process_status.watch(beat);
    state
        .process_status
        .set_listener(ListenerKind::Stream, ListenerState::Stuck("no space".to_owned()));
    let port = port(state).await;
    assert_eq!(port.get("/livez").await.status, 200);
    hand.wind(Duration::from_secs(11));
    let live = port.get("/livez").await;
    assert_eq!(live.status, 503);
    assert!(live.text().contains("[-]data_threads failed: thread \"stream\" hangs\n"));
    assert_eq!(port.get("/readyz/data_threads").await.status, 503);
    assert_eq!(port.get("/startupz").await.status, 200);
}

/// Guarantees: a listener that cannot be opened makes the process unready but not unstarted;
/// otherwise the application would wait for it.
#[tokio::test]
async fn a_listener_that_is_not_open_keeps_no_application_from_starting() {
    let port = port(state().0).await;
    port.state.process_status.set_listener(ListenerKind::Datagram, ListenerState::Closed);
    for path in ["/startupz", "/readyz", "/health"] {
        let reply = port.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        assert!(reply.text().contains("datagram socket not open yet"), "{path}");
    }
    port.state
        .process_status
        .set_listener(ListenerKind::Datagram, ListenerState::Stuck("denied".to_owned()));
    assert_eq!(port.get("/startupz").await.status, 200);
    let ready = port.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let line = "[-]sockets failed: datagram socket cannot be opened: denied\n";
    assert!(ready.text().contains(line), "{}", ready.text());
    assert_eq!(port.get("/livez").await.status, 200);
}

fn verdict(status: Status) -> Verdict {
    let mut fatal = Check::new("fatal", Status::Pass, "");
    fatal.time = Some(START);
    let errors = Check::new("errors", status, "30 of 40 in 60 s").observing(0.75, "ratio");
    Verdict { at: START, checks: vec![errors, fatal] }
}

#[tokio::test]
async fn the_report_has_three_shapes() {
    let (state, _) = state();
    degraded_output(&state, 0.0);
    state.verdict.publish(verdict(Status::Fail));
    let port = port(state).await;
    let parse =
        |reply: &Reply| -> serde_json::Value { serde_json::from_slice(&reply.body).expect("JSON") };
    let plain = port.ask("GET", "/health", "Accept: */*\r\n").await;
    assert_eq!(plain.status, 503);
    assert!(plain.text().starts_with("{\n  \"status\": \"unhealthy\",\n"), "indented for people");
    let compact = port.ask("GET", "/health", "Accept: application/json\r\n").await;
    assert!(
        compact.text().starts_with("{\"status\":\"unhealthy\",") && !compact.text().contains('\n')
    );
    assert_eq!(parse(&compact), parse(&plain));
    let plain = parse(&plain);
    assert_eq!(plain["status"], "unhealthy");
    assert_eq!(plain["checks"]["errors"]["status"], "unhealthy");
    assert_eq!(plain["checks"]["errors"]["error"], "30 of 40 in 60 s");
    assert_eq!(plain["checks"]["sockets"], serde_json::json!({"status": "healthy"}));
    assert_eq!(plain["checks"]["exporter"]["status"], "degraded", "a warning at most");
    assert_eq!(
        plain["checks"]["exporter"]["warning"],
        "spans since 2027-01-15T08:00:00Z: connection refused"
    );
    assert_eq!(plain["checks"]["fatal"]["time"], "2027-01-15T08:00:00Z");

    let ietf = port.ask("GET", "/health", "Accept: application/health+json\r\n").await;
    assert_eq!(ietf.status, 503);
    assert!(ietf.head.contains("content-type: application/health+json\r\n"), "{}", ietf.head);
    let ietf = parse(&ietf);
    assert_eq!(ietf["status"], "fail");
    assert_eq!(ietf["checks"]["errors"][0]["observedValue"], 0.75);
    assert_eq!(ietf["checks"]["exporter"][0]["status"], "warn");

    let text = port.ask("GET", "/health", "Accept: text/plain\r\n").await;
    assert_eq!(text.status, 503);
    let expected = "[+]sockets ok\n[+]config ok\n[!]exporter warning: spans since 2027-01-15T08:00:00Z: connection refused\n\
        [+]overload ok\n[-]errors failed: 30 of 40 in 60 s\n[+]fatal ok\n\
        unhealthy as of 2027-01-15T08:00:00Z\n";
    assert_eq!(text.text(), expected);

    assert_eq!(port.get("/health/errors").await.status, 503);
    assert_eq!(port.get("/health/exporter").await.status, 200);
}

#[tokio::test]
async fn warnings_are_healthy_and_an_old_verdict_is_an_error() {
    let (state, hand) = state();
    state.verdict.publish(verdict(Status::Warn));
    state.warn(vec!["no such rule".to_owned(), "unknown key".to_owned()]);
    let port = port(state).await;
    let parse =
        |reply: &Reply| -> serde_json::Value { serde_json::from_slice(&reply.body).expect("JSON") };
    let warned = port.get("/health").await;
    assert_eq!(warned.status, 200);
    let warned = parse(&warned);
    assert_eq!(warned["status"], "healthy");
    assert_eq!(warned["checks"]["config"]["warning"], "no such rule; unknown key");

    hand.wind(Duration::from_secs(11));
    let stale = port.get("/health").await;
    assert_eq!(stale.status, 200);
    let stale = parse(&stale);
    assert_eq!(stale["checks"]["application"]["status"], "error");
    assert_eq!(stale["checks"]["errors"], serde_json::Value::Null);
}

/// Scenario: requests that no regular client sends. Guarantees: they are refused and the connection
/// is closed.
#[tokio::test]
async fn strange_requests_are_refused() {
    let port = port(state().0).await;
    let many = (0..40).map(|at| format!("X-{at}: y\r\n")).collect::<Vec<_>>().concat();
    let get = "GET /livez HTTP/1.1\r\nHost: a\r\n";
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    for (request, status) in [
        ("POST /livez HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405"),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405"),
        ("POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_owned(), "400"),
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400"),
        ("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde".to_owned(), "400"),
        (format!("{get}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"),
        (format!("{get}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"),
        (format!("{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), "400"),
        ("GET /livez HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), "400"),
        ("GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("GET /livez HTTP/9.9\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("\0\0\0\0\r\n\r\n".to_owned(), "400"),
        (format!("GET /livez HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
        (format!("GET /livez HTTP/1.1\r\nHost: a\r\n{long}\r\n"), "431"),
    ] {
        let reply = String::from_utf8_lossy(&port.raw(&request).await).into_owned();
        let line = reply.lines().next().unwrap_or_default();
        assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{request:?} gave {reply:?}");
        let second = reply.matches("HTTP/1.1 ").count();
        assert_eq!(second, 1, "{request:?} was answered {second} times");
    }
    let allowed = port.ask("DELETE", "/metrics", "").await;
    assert!(allowed.head.contains("allow: get, head"), "{}", allowed.head);
}
