//! Measures the times of a process's end, and of a reload, against their goals. Tests do not assert
//! them, because a busy machine can delay everything. Unit: one stop or one reload.

use super::abuse::{launch, said};
use crate::sidecar::{Launch, Sidecar, Stop, quantile};
use rustix::process::Signal;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Interval between two checks of what has arrived.
const SETTLE: Duration = Duration::from_millis(300);
/// Interval between two looks at the metrics while a reload is awaited.
const LOOK: Duration = Duration::from_millis(5);
/// A reload that takes longer fails.
const RELOAD_MAX: Duration = Duration::from_mins(1);

/// Stops after spans of 64 MiB have been offered and none was sent; SIGTERM to exit, at most 0.5 s
/// (promise R2). The queue holds 4 MiB; the ledger counts the rest as dropped.
pub(crate) fn dead_network(binary: &Path) -> Result<String, String> {
    const STOPS: usize = 5;
    const GOAL: Duration = Duration::from_millis(500);
    const SPANS: u64 = 64 * 1024 * 1024 / 200; // an encoded span takes at least 200 bytes
    let silent = TcpListener::bind("127.0.0.1:0").map_err(said)?;
    let (full, _queued) = full_backlog().map_err(said)?;
    let line =
        b"{\"level\":\"INFO\",\"method\":\"GET\",\"path\":\"/users/17/orders\",\"status\":200,\
        \"duration_ms\":5,\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n";
    let block = line.repeat(1_000);
    let (mut reports, mut slowest) = (Vec::new(), Duration::ZERO);
    for (name, address) in [
        ("nothing listens", SocketAddr::from(([127, 0, 0, 1], 1))),
        ("never answers", silent.local_addr().map_err(said)?),
        ("no handshake", full),
    ] {
        for protocol in ["http/protobuf", "grpc"] {
            let url = format!("http://{address}");
            let environment = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "100000"),
            ];
            let launched = Launch { environment: &environment, ..Launch::default() };
            let mut took = Vec::new();
            for _ in 0..STOPS {
                let mut child = launch(binary, launched)?;
                let mut stream = child.connect()?;
                for _ in 0..SPANS.div_ceil(1_000) {
                    stream.write_all(&block).map_err(said)?;
                }
                thread::sleep(SETTLE);
                let stop = stop(child, Signal::TERM);
                let offered = stop.ledger("offered").unwrap_or(0);
                if stop.code != Some(0) || offered < SPANS || stop.ledger("lost") != Some(0) {
                    return Err(format!("{name}: exit {:?}, {offered} offered", stop.code));
                }
                took.push(stop.took.as_millis() as u64);
                slowest = slowest.max(stop.took);
            }
            took.sort_unstable();
            let (p50, max) = (quantile(&took, 0.5), quantile(&took, 1.0));
            reports.push(format!("{name}, {protocol}: p50 {p50} ms, max {max} ms"));
        }
    }
    verdict(slowest, GOAL, &format!("{SPANS} spans each; {}", reports.join("; ")))
}

/// SIGQUIT while the drain waits for an application: at most 1 s.
pub(crate) fn quit(binary: &Path) -> Result<String, String> {
    let environment = [("SIDELIGHT_MODE", "classic"), ("SIDELIGHT_GRACE_SECONDS", "3600")];
    let mut child = launch(binary, Launch { environment: &environment, ..Launch::default() })?;
    let _stays = child.connect()?;
    child.signal(Signal::TERM);
    thread::sleep(SETTLE);
    let stop = stop(child, Signal::QUIT);
    if stop.code != Some(3) {
        return Err(format!("exit {:?}", stop.code));
    }
    verdict(stop.took, Duration::from_secs(1), "from SIGQUIT to the exit")
}

/// A final scrape ends the wait for it, long before that wait is over: at most 5 s.
pub(crate) fn last_scrape(binary: &Path) -> Result<String, String> {
    let environment =
        [("SIDELIGHT_FINAL_SCRAPE_WAIT", "600s"), ("SIDELIGHT_GRACE_SECONDS", "3600")];
    let child = launch(binary, Launch { environment: &environment, ..Launch::default() })?;
    let scrape = || {
        child.get_as("/metrics", "User-Agent: Prometheus/3.16.0\r\nAccept: application/openmetrics-text;version=1.0.0\r\n")
    };
    scrape().map_err(said)?;
    let begun = Instant::now();
    child.terminate();
    // the scrapes before the ledger is closed do not have the final values
    while scrape().is_ok() {
        thread::sleep(LOOK);
    }
    let stop = child.stopped(begun);
    if stop.code != Some(0) {
        return Err(format!("exit {:?}", stop.code));
    }
    verdict(stop.took, Duration::from_secs(5), "from SIGTERM to the exit")
}

/// In classic mode, an application that never leaves: the exit comes before the grace period ends.
pub(crate) fn grace(binary: &Path) -> Result<String, String> {
    let environment = [("SIDELIGHT_MODE", "classic"), ("SIDELIGHT_GRACE_SECONDS", "10")];
    let mut child = launch(binary, Launch { environment: &environment, ..Launch::default() })?;
    let _stays = child.connect()?;
    let stop = stop(child, Signal::TERM);
    if stop.code != Some(0) {
        return Err(format!("exit {:?}", stop.code));
    }
    verdict(stop.took, Duration::from_secs(10), "from SIGTERM to the exit, 10 s of grace")
}

/// A changed file takes effect within 2 s.
pub(crate) fn reload(binary: &Path) -> Result<String, String> {
    const TIMES: u64 = 5;
    let directory = tempfile::tempdir().map_err(said)?;
    let file = directory.path().join("sidelight.yaml");
    std::fs::write(&file, "rules: []\n").map_err(said)?;
    let path = file.display().to_string();
    let environment = [("SIDELIGHT_CONFIG", path.as_str())];
    let child = launch(binary, Launch { environment: &environment, ..Launch::default() })?;
    let mut took = Vec::new();
    for number in 1..=TIMES {
        let rule =
            format!("rules: [{{name: r{number}, counter: {{name: c{number}, help: C.}}}}]\n");
        let begun = Instant::now();
        std::fs::write(&file, rule).map_err(said)?;
        let loaded = format!("sidelight_config_reloads_total{{outcome=\"loaded\"}} {number}\n");
        while !child.get("/metrics").map_err(said)?.1.contains(&loaded) {
            if begun.elapsed() > RELOAD_MAX {
                return Err(format!("reload {number} never came"));
            }
            thread::sleep(LOOK);
        }
        took.push(begun.elapsed());
    }
    stop(child, Signal::TERM);
    let slowest = took.iter().max().copied().unwrap_or_default();
    verdict(
        slowest,
        Duration::from_secs(2),
        &format!("from the change to its effect, {TIMES} times"),
    )
}

/// Compares the slowest time with its goal.
fn verdict(slowest: Duration, goal: Duration, what: &str) -> Result<String, String> {
    let report = format!("{} ms, goal {} ms ({what})", slowest.as_millis(), goal.as_millis());
    if slowest > goal { Err(report) } else { Ok(report) }
}

fn stop(child: Sidecar, signal: Signal) -> Stop {
    let now = Instant::now();
    child.signal(signal);
    child.stopped(now)
}

/// Returns an address with a full queue of connections, so that the kernel drops every further
/// SYN, and what keeps it full.
fn full_backlog() -> std::io::Result<(SocketAddr, (TcpListener, Vec<TcpStream>))> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&listener, &any)?;
    listen(&listener, 0)?;
    let listener = TcpListener::from(listener);
    let address = listener.local_addr()?;
    let mut queued = Vec::new();
    for _ in 0..4 {
        let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::io::ioctl_fionbio(&client, true)?;
        let _ = connect(&client, &address);
        queued.push(TcpStream::from(client));
    }
    thread::sleep(SETTLE);
    Ok((address, (listener, queued)))
}
