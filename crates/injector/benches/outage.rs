//! Creates pods while the webhook fails, as an API server does: 8 at a time, over connections that
//! are kept, with the chart's `timeoutSeconds` and `failurePolicy: Ignore`. No failure may hold pods
//! up for longer than that. Run: `cargo bench -p sidelight-injector --bench outage`.
//!
//! Unit: one creation. The injector is a real process; signals go only to its process id.

// a benchmark reads the real clock
#![allow(clippy::disallowed_methods)]

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
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::ServerName;
use sidelight::clock::Clock;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Creations of one outage.
const CREATIONS: u64 = 1_000;
/// Creations a second: 1,000 take 4 s.
const RATE: f64 = 250.0;
/// Creations at the same time.
const WORKERS: usize = 8;
/// `injection.timeoutSeconds` of the chart.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Number of creations before the outage begins, and before it ends.
const OUTAGE: (u64, u64) = (300, 700);
/// The outage ends after this in any case: creations do not proceed while all workers wait.
const OUTAGE_MAX: Duration = Duration::from_secs(8);
/// A start that takes longer fails.
const START_MAX: Duration = Duration::from_secs(20);
/// The promise for a webhook that is gone.
const DELAY_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// The webhook serves throughout; the figures of the others are compared with these.
    None,
    /// SIGKILL: connections are refused.
    Killed,
    /// SIGTERM: it serves on for `--linger`, then connections are refused.
    Stopped,
    /// SIGSTOP: the kernel accepts connections that nobody answers.
    Hung,
}

struct Injector {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Drop for Injector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(directory: &Path, address: SocketAddr) -> std::io::Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight-injector"));
    command.args(["serve", "--tls=provided", "--log-level=error", "--admin=127.0.0.1:0"]);
    command.args(["--linger=500ms", "--listen", &address.to_string(), "--tls-directory"]);
    command.arg(directory).env_clear().stderr(Stdio::null());
    command.spawn()
}

impl Injector {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our child");
    }

    fn begin(&mut self, outage: Outage) {
        match outage {
            Outage::None => {}
            Outage::Killed => self.signal(Signal::KILL),
            Outage::Stopped => self.signal(Signal::TERM),
            Outage::Hung => self.signal(Signal::STOP),
        }
    }

    fn end(&mut self, outage: Outage) {
        match outage {
            Outage::None => {}
            Outage::Killed | Outage::Stopped => {
                self.child.wait().expect("our child");
                self.child = start(self.directory.path(), self.address).expect("the program");
            }
            Outage::Hung => self.signal(Signal::CONT),
        }
    }
}

type Sender = SendRequest<Full<Bytes>>;

async fn connect(at: SocketAddr, tls: &TlsConnector) -> Option<Sender> {
    let stream = TcpStream::connect(at).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let name = ServerName::try_from(SERVER).expect("a name");
    let stream = tls.connect(name, stream).await.ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// Sends a review. Returns whether the pod gets its sidecar.
async fn call(
    sender: &mut Option<Sender>,
    at: SocketAddr,
    tls: &TlsConnector,
    body: &Bytes,
) -> Option<()> {
    let mut kept = match sender.take().filter(|kept| !kept.is_closed()) {
        Some(kept) => kept,
        None => connect(at, tls).await?,
    };
    let request = Request::post("/mutate").header("host", SERVER);
    let request = request.header("content-type", "application/json").body(Full::new(body.clone()));
    kept.ready().await.ok()?;
    let answer = kept.send_request(request.expect("a request")).await.ok()?;
    let is_ok = answer.status() == 200;
    let answer = answer.into_body().collect().await.ok()?.to_bytes();
    *sender = Some(kept);
    (is_ok && answer.windows(7).any(|window| window == b"\"patch\"")).then_some(())
}

#[derive(Default)]
struct Measured {
    injected: usize,
    delays: Vec<Duration>,
}

impl Measured {
    fn at(&self, share: f64) -> Duration {
        self.delays[((self.delays.len() - 1) as f64 * share) as usize]
    }
}

async fn creations(injector: &mut Injector, tls: &TlsConnector, outage: Outage) -> Measured {
    let body = Bytes::from(review(1, 3));
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let (next, tls, body, at) = (next.clone(), tls.clone(), body.clone(), injector.address);
        workers.push(tokio::spawn(async move {
            let (mut sender, mut measured) = (None, Measured::default());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CREATIONS {
                    return measured;
                }
                let due = Duration::from_secs_f64(number as f64 / RATE);
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
                let called = Instant::now();
                let call = call(&mut sender, at, &tls, &body);
                let answer = tokio::time::timeout(TIMEOUT, call).await;
                measured.injected += usize::from(matches!(answer, Ok(Some(()))));
                measured.delays.push(called.elapsed());
            }
        }));
    }
    let reached = async |number: u64, within: Duration| {
        let begun = Instant::now();
        while next.load(Ordering::Relaxed) < number && begun.elapsed() < within {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    reached(OUTAGE.0, OUTAGE_MAX).await;
    injector.begin(outage);
    reached(OUTAGE.1, OUTAGE_MAX).await;
    injector.end(outage);
    let mut all = Measured::default();
    for worker in workers {
        let measured = worker.await.expect("no panic");
        all.injected += measured.injected;
        all.delays.extend(measured.delays);
    }
    all.delays.sort();
    all
}

async fn until_serving(at: SocketAddr, tls: &TlsConnector) -> Result<(), String> {
    let begun = Instant::now();
    while connect(at, tls).await.is_none() {
        if begun.elapsed() > START_MAX {
            return Err(format!("nobody serves at {at} after {START_MAX:?}"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn run() -> Result<bool, String> {
    let clock = Clock::system();
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let tls = certificates(&clock, directory.path());
    // the port was free a moment ago, and nothing else here takes ports
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.map_err(|error| error.to_string())?;
    let child = start(directory.path(), address).map_err(|error| error.to_string())?;
    let mut injector = Injector { child, directory, address };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut kept = true;
    println!("| webhook | pods | with a sidecar | p50 | p99 | longest |");
    println!("|---|---|---|---|---|---|");
    for (name, outage, most) in [
        ("serves", Outage::None, DELAY_MAX),
        ("killed", Outage::Killed, DELAY_MAX),
        ("stopped by SIGTERM", Outage::Stopped, DELAY_MAX),
        // an API server waits for its timeout, and this driver adds its own scheduling
        ("hangs for 8 s", Outage::Hung, TIMEOUT + Duration::from_millis(500)),
    ] {
        runtime.block_on(until_serving(address, &tls))?;
        let measured = runtime.block_on(creations(&mut injector, &tls, outage));
        let longest = measured.at(1.0);
        println!(
            "| {name} | {} | {} | {:.1} ms | {:.1} ms | {:.1} ms |",
            measured.delays.len(),
            measured.injected,
            measured.at(0.5).as_secs_f64() * 1e3,
            measured.at(0.99).as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
        );
        let is_complete = outage != Outage::None || measured.injected as u64 == CREATIONS;
        if longest > most || !is_complete || measured.injected == 0 {
            println!(
                "BROKEN: `{name}` held a pod up for longer than {most:?}, or injected too few"
            );
            kept = false;
        }
    }
    Ok(kept)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("outage: {error}");
            ExitCode::FAILURE
        }
    }
}
