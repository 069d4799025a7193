//! Measures a review: reviews per second on the one webhook thread over TLS 1.3, the latency for a
//! client, and the processor time of that thread. Client and webhook run on separate cores if there
//! are two, so that neither waits for the other. Run: `cargo bench --bench admission`.

#[path = "../tests/support/client.rs"]
mod client;
#[path = "support/review.rs"]
mod review;

use bytes::Bytes;
use client::{SERVER, certificates};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use review::review;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustls::pki_types::ServerName;
use sidelight::clock::Clock;
use sidelight_injector::inject::policy::Policy;
use sidelight_injector::server::ServerSetup;
use sidelight_injector::server::lease::{EVERY, Named};
use sidelight_injector::server::metrics::Metrics;
use sidelight_injector::server::missing::Counting;
use sidelight_injector::server::reload::{InvalidPolicy, Reload};
use sidelight_injector::server::settings::{Lifetimes, Mode, TlsSettings};
use sidelight_injector::server::webhook::Leaving;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Reviews of one measurement.
const REVIEWS: usize = 20_000;
/// Number of rounds; the one with the least processor time counts.
const ROUNDS: usize = 3;

fn main() {
    let clock = Clock::system();
    let folder = tempfile::tempdir().expect("a folder");
    let tls = certificates(&clock, folder.path());
    pin(0);
    let (at, running) = start(&clock, folder.path().to_owned());
    pin(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    println!("| pod | connections | reviews/s | p50 | p99 | p99.9 | CPU of the webhook a review |");
    println!("|---|---|---|---|---|---|---|");
    for (name, body) in [
        ("1 container", review(1, 3)),
        ("3 containers", review(3, 12)),
        ("20 containers", review(20, 40)),
    ] {
        for connections in [1, 8, 200] {
            let measured = (0..ROUNDS)
                .map(|_| runtime.block_on(storm(&clock, at, &tls, &body, connections)))
                .min_by_key(|measured| measured.cpu)
                .expect("a round");
            let kib = body.len() as f64 / 1024.0;
            println!(
                "| {name}, {kib:.1} KiB | {connections} | {:.0} | {:.0} us | {:.0} us | {:.0} us | {:.0} us |",
                measured.rate,
                measured.at(0.5),
                measured.at(0.99),
                measured.at(0.999),
                measured.cpu.as_secs_f64() * 1e6,
            );
        }
    }
    let handshakes = runtime.block_on(handshakes(at, &tls, 500));
    println!(
        "a new connection: {:.0} us of the webhook's processor time",
        handshakes.as_secs_f64() * 1e6
    );
    println!("resident memory of webhook and client: {} KiB", resident());
    running.stop();
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // on a machine with one core both share it, and the figures include that
    let _ = sched_setaffinity(None, &set);
}

fn start(
    clock: &Clock,
    directory: std::path::PathBuf,
) -> (SocketAddr, sidelight_injector::server::Running) {
    let bound = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        listener
    };
    let listener = bound();
    let at = listener.local_addr().expect("an address");
    let metrics = Arc::new(Metrics::new());
    let reload = Reload {
        file: None,
        parse: Box::new(|_| Err(InvalidPolicy("no file".to_owned()))),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        seen: None,
    };
    let none = String::new;
    let parts = ServerSetup {
        clock: clock.clone(),
        metrics,
        listener,
        admin: bound(),
        access: None,
        tls: TlsSettings {
            mode: Mode::Provided,
            directory,
            publish: false,
            namespace: none(),
            service: none(),
            names: Vec::new(),
            secret: none(),
            configuration: none(),
            lifetimes: Lifetimes::default(),
            every: Duration::from_millis(50),
        },
        lease: Named { namespace: none(), name: none(), identity: none(), every: EVERY },
        events: false,
        policy: Policy::default(),
        reload,
        counting: Counting { configuration: none(), every: Duration::ZERO },
        leaving: Leaving { linger: Duration::ZERO, drain: Duration::from_secs(1) },
    };
    (at, parts.spawn().expect("threads"))
}

type Sender = SendRequest<Full<Bytes>>;

async fn connect(at: SocketAddr, tls: &TlsConnector) -> Sender {
    for _ in 0..1000 {
        let stream = TcpStream::connect(at).await.expect("a listener");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from(SERVER).expect("a name");
        // before the first read of the files there is no certificate
        let Ok(stream) = tls.connect(name, stream).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
        tokio::spawn(connection);
        return sender;
    }
    panic!("nobody serves")
}

async fn send(sender: &mut Sender, body: &Bytes) {
    let request = Request::post("/mutate").header("host", SERVER);
    let request = request.header("content-type", "application/json").body(Full::new(body.clone()));
    sender.ready().await.expect("kept alive");
    let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer = answer.into_body().collect().await.expect("a body").to_bytes();
    assert!(answer.len() > 1000, "no patch: {}", String::from_utf8_lossy(&answer));
}

struct Measured {
    rate: f64,
    /// Processor time of the webhook's thread, per review.
    cpu: Duration,
    micros: Vec<f64>,
}

impl Measured {
    fn at(&self, share: f64) -> f64 {
        self.micros[((self.micros.len() - 1) as f64 * share) as usize]
    }
}

async fn storm(
    clock: &Clock,
    at: SocketAddr,
    tls: &TlsConnector,
    body: &[u8],
    connections: usize,
) -> Measured {
    let body = Bytes::copy_from_slice(body);
    let mut senders = Vec::new();
    for _ in 0..connections {
        let mut sender = connect(at, tls).await;
        send(&mut sender, &body).await;
        senders.push(sender);
    }
    let before = cpu();
    let begun = clock.monotonic();
    let mut tasks = JoinSet::new();
    let each = REVIEWS / connections;
    for mut sender in senders {
        let (body, clock) = (body.clone(), clock.clone());
        tasks.spawn(async move {
            let mut micros = Vec::with_capacity(each);
            for _ in 0..each {
                let begun = clock.monotonic();
                send(&mut sender, &body).await;
                micros.push(clock.monotonic().saturating_sub(begun).as_secs_f64() * 1e6);
            }
            micros
        });
    }
    let mut micros: Vec<f64> = tasks.join_all().await.into_iter().flatten().collect();
    let took = clock.monotonic().saturating_sub(begun);
    let spent = cpu().saturating_sub(before);
    micros.sort_by(f64::total_cmp);
    let count = micros.len() as u32;
    Measured { rate: f64::from(count) / took.as_secs_f64(), cpu: spent / count, micros }
}

async fn handshakes(at: SocketAddr, tls: &TlsConnector, count: u32) -> Duration {
    let before = cpu();
    for _ in 0..count {
        drop(connect(at, tls).await);
    }
    cpu().saturating_sub(before) / count
}

/// Returns the processor time of the thread named `webhook`, which the scheduler counts in
/// nanoseconds.
fn cpu() -> Duration {
    for task in std::fs::read_dir("/proc/self/task").expect("threads") {
        let path = task.expect("a thread").path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "webhook") {
            let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
            return Duration::from_nanos(nanos.unwrap_or(0));
        }
    }
    Duration::ZERO
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}
