//! Runs hostile applications against a real sidelight, which must stay small, answer, and count
//! every line that it accepted. Each case ends by SIGTERM and fails unless the ledger matches the
//! written lines. Unit: one case, bounded in count and in time.

use crate::sidecar::{self, Launch, Sidecar, quantile};
use crate::{admin, collector, exit, text};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Case = fn(&Path) -> Result<String, String>;

const CASES: [(&str, Case); 23] = [
    ("crash", crash),
    ("descriptors", descriptors),
    ("endless", endless),
    ("endless-crowd", endless_crowd),
    ("distinct", distinct),
    ("saturate", saturate),
    ("crowd", crowd),
    ("churn", churn),
    ("slow-requests", slow_requests),
    ("bad-requests", bad_requests),
    ("scrape-crowd", admin::scrape_crowd),
    ("unread-scrapes", admin::unread_scrapes),
    ("silent-crowd", admin::silent_crowd),
    ("slow-connections", admin::slow_connections),
    ("exit-dead-network", exit::dead_network),
    ("exit-quit", exit::quit),
    ("exit-last-scrape", exit::last_scrape),
    ("exit-grace", exit::grace),
    ("reload", exit::reload),
    ("control-bytes", text::control_bytes),
    ("secrets", text::secrets),
    ("hostile-collector", collector::hostile),
    ("hostile-collector-grpc", collector::hostile_grpc),
];

const LINE: &[u8] =
    b"{\"timestamp\":\"2026-11-21T10:00:00.123Z\",\"level\":\"INFO\",\"message\":\"line\"}\n";
/// Interval between two checks of what has arrived.
const SETTLE: Duration = Duration::from_millis(300);
/// Memory that a flood may add: series up to their limits, and the contents of the memo.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

pub(crate) fn main(only: Option<&str>) -> ExitCode {
    let binary = match sidecar::binary() {
        Ok(binary) => binary,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let mut failed = false;
    for (name, case) in CASES.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let result = case(&binary);
        failed |= result.is_err();
        let (Ok(report) | Err(report)) = result.map_err(|wrong| format!("FAILED: {wrong}"));
        println!("{name}: {report}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

pub(crate) fn start(binary: &Path) -> Result<Sidecar, String> {
    launch(binary, Launch::default())
}

pub(crate) fn launch(binary: &Path, launch: Launch<'_>) -> Result<Sidecar, String> {
    let mut child = Sidecar::launch(binary, launch).map_err(said)?;
    child.ready()?;
    Ok(child)
}

#[allow(clippy::needless_pass_by_value)] // for map_err
pub(crate) fn said(error: std::io::Error) -> String {
    error.to_string()
}

/// Stops a child and checks that its ledger has received `written` lines.
pub(crate) fn end(child: Sidecar, written: u64) -> Result<Duration, String> {
    let now = Instant::now();
    child.terminate();
    let stop = child.stopped(now);
    let received = stop.ledger("received");
    if stop.code == Some(0) && received == Some(written) {
        return Ok(stop.took);
    }
    Err(format!("{written} lines written, received {received:?}, exit {:?}", stop.code))
}

/// Checks that the memory has grown over `began` by no more than a flood may add.
fn small(child: &Sidecar, began: u64) -> Result<u64, String> {
    let peak = child.memory_kib("VmHWM");
    if peak > began + GROWTH_KIB_MAX { Err(format!("{began} KiB became {peak}")) } else { Ok(peak) }
}

/// SIGKILL leaves the sockets behind; the next process takes them over.
fn crash(binary: &Path) -> Result<String, String> {
    const TIMES: usize = 30;
    let mut child = start(binary)?;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        child.connect()?.write_all(LINE).map_err(said)?;
        child.crash(binary).map_err(said)?;
        took.push(child.ready()?.as_micros() as u64);
    }
    took.sort_unstable();
    child.connect()?.write_all(LINE).map_err(said)?;
    end(child, 1)?;
    Ok(format!("{TIMES} times, ready again in {} us (p50)", quantile(&took, 0.5)))
}

/// 64 file descriptors and 200 writers: the surplus writers are refused, and their lines are
/// counted.
fn descriptors(binary: &Path) -> Result<String, String> {
    let mut child = launch(binary, Launch { descriptors: Some(64), ..Launch::default() })?;
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = child.connect()?;
        stream.write_all(LINE).map_err(said)?;
        streams.push(stream);
    }
    let before = child.cpu();
    std::thread::sleep(Duration::from_secs(2));
    let spent = child.cpu().saturating_sub(before);
    let again = streams.iter_mut().filter_map(|stream| stream.write_all(LINE).ok()).count();
    end(child, 200 + again as u64)?;
    if spent > Duration::from_millis(20) {
        return Err(format!("it span: {spent:?} of 2 s"));
    }
    Ok(format!("200 writers, {again} stayed, {spent:?} of processor in 2 s"))
}

/// 1 GiB without a newline, then a line.
fn endless(binary: &Path) -> Result<String, String> {
    let mut child = start(binary)?;
    let began = child.memory_kib("VmRSS");
    let mut stream = child.connect()?;
    let block = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        stream.write_all(&block).map_err(said)?;
    }
    stream.write_all(b"\n").and_then(|()| stream.write_all(LINE)).map_err(said)?;
    std::thread::sleep(SETTLE);
    let peak = small(&child, began)?;
    end(child, 2)?;
    Ok(format!("1 GiB without a newline: RSS {began} KiB, peak {peak}"))
}

/// A thousand writers that never end their lines.
fn endless_crowd(binary: &Path) -> Result<String, String> {
    let mut child = start(binary)?;
    let began = child.memory_kib("VmRSS");
    let block = vec![b'x'; 100_000];
    let streams: Result<Vec<UnixStream>, String> = (0..1_000).map(|_| child.connect()).collect();
    let mut streams = streams?;
    for _ in 0..4 {
        for stream in &mut streams {
            stream.write_all(&block).map_err(said)?;
        }
    }
    std::thread::sleep(SETTLE);
    let peak = child.memory_kib("VmHWM");
    end(child, 0)?;
    // 8 MiB of tails in all, plus 4 KiB for each connection
    if peak > began + 16 * 1024 {
        return Err(format!("{began} KiB became {peak}"));
    }
    Ok(format!("1,000 lines of 400 KB without an end: RSS {began} KiB, peak {peak}"))
}

/// Ten million different values of every label that an application can name.
fn distinct(binary: &Path) -> Result<String, String> {
    const LINES: u64 = 10_000_000;
    const LONGEST: Duration = Duration::from_secs(100);
    let mut child = start(binary)?;
    let began = child.memory_kib("VmRSS");
    let mut stream = child.connect()?;
    let (begun, mut written) = (Instant::now(), 0);
    let mut block = String::new();
    while written < LINES && begun.elapsed() < LONGEST {
        block.clear();
        for n in written..written + 1_000 {
            let _ = writeln!(
                block,
                "{{\"level\":\"ERROR\",\"service\":\"s{n}\",\"method\":\"GET\",\"path\":\"/a{n}x/b{n}y\",\"status\":{},\"duration_ms\":{},\"error_type\":\"E{n}\",\"db_system\":\"d{n}\",\"operation\":\"op{n}\",\"message\":\"m\"}}",
                200 + n % 400,
                n % 1_000
            );
        }
        stream.write_all(block.as_bytes()).map_err(said)?;
        written += 1_000;
    }
    drop(stream);
    std::thread::sleep(SETTLE);
    let (status, body) = child.get("/metrics").map_err(said)?;
    let peak = small(&child, began)?;
    end(child, written)?;
    if status != 200 || body.len() > 1 << 20 {
        return Err(format!("/metrics answers {status} with {} bytes", body.len()));
    }
    let kb = body.len() / 1000;
    Ok(format!("{written} lines: RSS {began} KiB, peak {peak}; /metrics {kb} kB"))
}

/// One writer at full speed for 20 s.
fn saturate(binary: &Path) -> Result<String, String> {
    let mut child = start(binary)?;
    let began = child.memory_kib("VmRSS");
    let mut block = String::new();
    for n in 0..5_000 {
        let status = 200 + n % 5;
        let _ = writeln!(
            block,
            "{{\"level\":\"INFO\",\"method\":\"GET\",\"path\":\"/users/{n}\",\"status\":{status},\"duration_ms\":{}}}",
            n % 500
        );
    }
    let mut stream = child.connect()?;
    let (begun, mut written) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(20) {
        stream.write_all(block.as_bytes()).map_err(said)?;
        written += 5_000;
    }
    let rate = written as f64 / begun.elapsed().as_secs_f64();
    drop(stream);
    let peak = small(&child, began)?;
    end(child, written)?;
    Ok(format!("{rate:.0} lines/s: RSS {began} KiB, peak {peak}"))
}

/// 2,000 writers of one user; the limit of connections per user is 1,024.
fn crowd(binary: &Path) -> Result<String, String> {
    let mut child = start(binary)?;
    let began = child.memory_kib("VmRSS");
    let mut streams = Vec::new();
    for _ in 0..2_000 {
        streams.push(child.connect()?);
    }
    let written = streams.iter_mut().filter_map(|stream| stream.write_all(LINE).ok()).count();
    std::thread::sleep(SETTLE);
    let (open, loaded) = (child.descriptors(), child.memory_kib("VmRSS"));
    end(child, written as u64)?;
    Ok(format!("2,000 writers, {written} lines, {open} descriptors; RSS {began} KiB, {loaded}"))
}

/// One connection per line.
fn churn(binary: &Path) -> Result<String, String> {
    const COME: u64 = 100_000;
    let mut child = start(binary)?;
    let began = child.memory_kib("VmRSS");
    let begun = Instant::now();
    for _ in 0..COME {
        child.connect()?.write_all(LINE).map_err(said)?;
    }
    let rate = COME as f64 / begun.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    let loaded = child.memory_kib("VmRSS");
    end(child, COME)?;
    // ten bytes per connection; a runtime that was never polled once leaked 400
    if loaded > began + 1_024 {
        return Err(format!("{began} KiB became {loaded}"));
    }
    Ok(format!("{COME} came and left, {rate:.0}/s; RSS {began} KiB, {loaded}"))
}

/// 100 clients that never complete their requests; then 20,000 that connect and disconnect.
fn slow_requests(binary: &Path) -> Result<String, String> {
    let child = start(binary)?;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(child.listen()).map_err(said)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").map_err(said)?;
        slow.push(stream);
    }
    let beside = probe_times(&child, 50)?;
    drop(slow);
    let begun = Instant::now();
    for _ in 0..20_000 {
        drop(TcpStream::connect(child.listen()).map_err(said)?);
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("connections that come and leave wait for their second SYN".to_owned());
        }
    }
    let rate = 20_000.0 / begun.elapsed().as_secs_f64();
    let after = probe_times(&child, 50)?;
    end(child, 0)?;
    Ok(format!(
        "/livez beside 100 slow ones {beside}; after 20,000 that left ({rate:.0}/s) {after}"
    ))
}

/// Requests `/livez` the given number of times, each time on a new connection.
fn probe_times(child: &Sidecar, count: usize) -> Result<String, String> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let (status, _) = child.get("/livez").map_err(said)?;
        if status != 200 {
            return Err(format!("/livez answers {status}"));
        }
        took.push(begun.elapsed().as_micros() as u64);
    }
    took.sort_unstable();
    Ok(format!("p50 {} us, max {} us", quantile(&took, 0.5), quantile(&took, 1.0)))
}

/// Requests that no scraper sends: each gets an error response or a closed connection, and the port
/// keeps working.
fn bad_requests(binary: &Path) -> Result<String, String> {
    let child = start(binary)?;
    let head = "/livez HTTP/1.1\r\nHost: x\r\n";
    let close = "Connection: close\r\n\r\n";
    let many: String = (0..100).fold(String::new(), |all, n| format!("{all}X-{n}: a\r\n"));
    let pipelined = format!("GET {head}\r\n").repeat(1_000) + &format!("GET {head}{close}");
    let rows: [(&str, String, u16); 12] = [
        ("header of 10 MB", format!("GET {head}X: {}\r\n\r\n", "a".repeat(10_000_000)), 431),
        ("path of 1 MB", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1_000_000)), 431),
        ("100 headers", format!("GET {head}{many}{close}"), 431),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 0),
        ("no host", format!("GET /livez HTTP/1.1\r\n{close}"), 400),
        ("a body", format!("POST {head}Content-Length: 1000000000\r\n\r\naaaa"), 400),
        ("chunked", format!("GET {head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), 400),
        ("POST", format!("POST {head}{close}"), 405),
        ("an unknown method", format!("BREW {head}{close}"), 405),
        ("HEAD", format!("HEAD {head}{close}"), 200),
        ("no HTTP", "\0\u{1}\u{2}\r\n\r\n".to_owned(), 400),
        ("1,001 at once", pipelined, 200),
    ];
    let mut wrong = Vec::new();
    for (name, request, expected) in &rows {
        let answer = exchange(&child, request.as_bytes()).map_err(said)?;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        // the server may close the connection of an endless request before the client reads the
        // error response
        let large = request.len() > 500_000;
        let answers = answer.matches("HTTP/1.1 200").count();
        if (status != *expected && !(large && status == 0)) || (answers > 1 && answers != 1_001) {
            wrong.push(format!("{name}: {status} ({answers} answers)"));
        }
    }
    let after = probe_times(&child, 50)?;
    end(child, 0)?;
    if wrong.is_empty() {
        Ok(format!("{}; /livez {after}", rows.len()))
    } else {
        Err(wrong.join(", "))
    }
}

/// Returns the response to these bytes; a connection reset counts as the end.
fn exchange(child: &Sidecar, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(child.listen())?;
    stream.set_read_timeout(Some(Duration::from_secs(8)))?;
    let _ = stream.write_all(request);
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..count]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
