//! Measures the cost of a sidecar at the pace of real applications, on the built binary from
//! outside: CPU time of the process, duration of the application's `write()`, memory, start, and
//! responses under load.
//!
//! `cargo bench --bench paced -- [--seconds N] [--rate LINES_PER_S --connections N]`
//!
//! Settings other than the three addresses come from the environment (`SIDELIGHT_CONFIG` and
//! others), which the child inherits. Unit: one phase of a few seconds.

// a benchmark reads the real clock
#![allow(clippy::disallowed_methods)]

#[path = "../tests/support/corpus.rs"]
#[allow(dead_code)] // only `ingest` checks the ground truth
mod corpus;
#[path = "support/sidecar.rs"]
#[allow(dead_code)] // shared with `torture`, which uses the rest
mod sidecar;

use corpus::Shape;
use sidecar::{Sidecar, quantile};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SECONDS_DEFAULT: u64 = 5;
const SECONDS_MAX: u64 = 600;
const RATE_MAX: u64 = 1_000_000;
const CONNECTIONS_MAX: u64 = 1_000;
/// Lines per second in all, and connections.
const PACES: [(u64, u64); 3] = [(1_000, 4), (10_000, 4), (10_000, 100)];
/// Number of different lines that the writers repeat.
const LINES: usize = 20_000;
/// Number of starts; the median is reported.
const STARTS: usize = 15;
const SCRAPES: usize = 31;
/// Interval between two requests while a data thread is saturated.
const LOOK: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    sidecar::exit_code(run())
}

fn run() -> Result<(), String> {
    let (seconds, paces) = options()?;
    let binary = sidecar::binary()?;
    let fail = |error: std::io::Error| error.to_string();

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let mut child = Sidecar::spawn(&binary).map_err(fail)?;
        starts.push(child.ready()?.as_micros() as u64);
        child.finish()?;
    }
    starts.sort_unstable();
    println!(
        "start to ready (first 200 on /readyz): p50 {:.1} ms, max {:.1} ms of {STARTS}\n",
        quantile(&starts, 0.5) as f64 / 1e3,
        quantile(&starts, 1.0) as f64 / 1e3
    );

    println!(
        "| lines/s | connections | written | % of a core | write() us p50 | p99 | p99.9 | max | RSS MiB idle | loaded | peak |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let lines = split(&corpus::corpus(Shape::Json, LINES, 3).bytes);
    for (rate, connections) in paces {
        pace(&binary, &lines, Pace { rate, connections, seconds })?;
    }
    println!();
    saturated(&binary, &lines, seconds)?;
    scrapes(&binary)
}

fn options() -> Result<(u64, Vec<(u64, u64)>), String> {
    let (mut seconds, mut rate, mut connections) = (SECONDS_DEFAULT, None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = |most| sidecar::number(&word, &mut words, most);
        match word.as_str() {
            "--bench" | "--test" => {}
            "--seconds" => seconds = number(SECONDS_MAX)?,
            "--rate" => rate = Some(number(RATE_MAX)?),
            "--connections" => connections = Some(number(CONNECTIONS_MAX)?),
            other => return Err(format!("{other:?}: there are --seconds, --rate, --connections")),
        }
    }
    let paces = match (rate, connections) {
        (None, None) => PACES.to_vec(),
        (rate, connections) => vec![(rate.unwrap_or(10_000), connections.unwrap_or(4))],
    };
    Ok((seconds, paces))
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

#[derive(Clone, Copy)]
struct Pace {
    rate: u64,
    connections: u64,
    seconds: u64,
}

/// Writes lines at a steady pace, one `write()` each.
fn pace(binary: &std::path::Path, lines: &[Vec<u8>], pace: Pace) -> Result<(), String> {
    let mut child = Sidecar::spawn(binary).map_err(|error| error.to_string())?;
    child.ready()?;
    // keeps the first page faults of the admin thread out of the measurement
    let _ = child.get("/metrics");
    let idle = child.memory_kib("VmRSS");
    let streams: Result<Vec<UnixStream>, String> =
        (0..pace.connections).map(|_| child.connect()).collect();
    let before = child.cpu();
    let begun = Instant::now();
    let mut waits: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = streams?
            .into_iter()
            .enumerate()
            .map(|(number, stream)| scope.spawn(move || write_paced(stream, lines, pace, number)))
            .collect();
        let waits = writers.into_iter().map(|writer| writer.join().expect("a writer"));
        Ok::<_, String>(waits.flatten().collect())
    })?;
    let cpu = child.cpu().saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let (loaded, peak) = (child.memory_kib("VmRSS"), child.memory_kib("VmHWM"));
    waits.sort_unstable();
    let us = |share| quantile(&waits, share) as f64 / 1e3;
    println!(
        "| {} | {} | {} | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} | {:.1} | {:.1} | {:.1} |",
        pace.rate,
        pace.connections,
        waits.len(),
        cpu * 100.0,
        us(0.5),
        us(0.99),
        us(0.999),
        us(1.0),
        mib(idle),
        mib(loaded),
        mib(peak)
    );
    let stop = child.finish()?;
    let received = stop.ledger("received");
    if received != Some(waits.len() as u64) {
        return Err(format!("{} lines written, the ledger says {received:?}", waits.len()));
    }
    Ok(())
}

/// Writes one connection's share of the lines; returns the duration of each `write()` in
/// nanoseconds.
fn write_paced(mut stream: UnixStream, lines: &[Vec<u8>], pace: Pace, number: usize) -> Vec<u64> {
    let count = pace.rate * pace.seconds / pace.connections;
    let period = Duration::from_nanos(1_000_000_000 * pace.connections / pace.rate);
    // the connections start at different times
    let mut due = Instant::now() + period.mul_f64(number as f64 / pace.connections as f64);
    let mut waits = Vec::with_capacity(count as usize);
    for at in 0..count as usize {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += period;
        let line = &lines[(number * 97 + at) % lines.len()];
        let before = Instant::now();
        if stream.write_all(line).is_err() {
            break;
        }
        waits.push(before.elapsed().as_nanos() as u64);
    }
    waits
}

/// Requests `/livez` while the data thread has more to read than it can process.
fn saturated(binary: &std::path::Path, lines: &[Vec<u8>], seconds: u64) -> Result<(), String> {
    const WRITERS: usize = 2;
    let mut child = Sidecar::spawn(binary).map_err(|error| error.to_string())?;
    child.ready()?;
    let streams: Result<Vec<UnixStream>, String> = (0..WRITERS).map(|_| child.connect()).collect();
    let block = lines.concat();
    let over = AtomicBool::new(false);
    let before = child.cpu();
    let begun = Instant::now();
    let (written, answers) = std::thread::scope(|scope| {
        let (block, over) = (&block, &over);
        let writers: Vec<_> = streams?
            .into_iter()
            .map(|mut stream| {
                scope.spawn(move || {
                    let mut rounds = 0;
                    while !over.load(Ordering::Relaxed) && stream.write_all(block).is_ok() {
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        let mut answers = Vec::new();
        while begun.elapsed() < Duration::from_secs(seconds) {
            let sent = Instant::now();
            let status = child.get("/livez").map_or(0, |(status, _)| status);
            answers.push((sent.elapsed().as_micros() as u64, status));
            std::thread::sleep(LOOK);
        }
        over.store(true, Ordering::Relaxed);
        let rounds: usize = writers.into_iter().map(|w| w.join().expect("a writer")).sum();
        Ok::<_, String>((rounds * lines.len(), answers))
    })?;
    let elapsed = begun.elapsed().as_secs_f64();
    let cpu = child.cpu().saturating_sub(before).as_secs_f64();
    let unwell = answers.iter().filter(|(_, status)| *status != 200).count();
    let mut times: Vec<u64> = answers.iter().map(|(us, _)| *us).collect();
    times.sort_unstable();
    println!(
        "/livez while saturated ({:.0} lines/s, {:.0} % of a core, {:.0} CPU ns a line): p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms of {}, not 200: {unwell}",
        written as f64 / elapsed,
        100.0 * cpu / elapsed,
        cpu * 1e9 / written.max(1) as f64,
        quantile(&times, 0.5) as f64 / 1e3,
        quantile(&times, 0.99) as f64 / 1e3,
        quantile(&times, 1.0) as f64 / 1e3,
        times.len()
    );
    child.finish().map(|_| ())
}

/// Requests `/metrics` with as many series as the limits allow; a configuration can raise them to
/// 10,000.
fn scrapes(binary: &std::path::Path) -> Result<(), String> {
    let mut child = Sidecar::spawn(binary).map_err(|error| error.to_string())?;
    child.ready()?;
    let many = corpus::corpus(Shape::ManySeries, 120_000, 3);
    let mut stream = child.connect()?;
    stream.write_all(&many.bytes).map_err(|error| error.to_string())?;
    drop(stream);
    let mut times = Vec::new();
    let (mut samples, mut bytes) = (0, 0);
    for _ in 0..SCRAPES {
        let sent = Instant::now();
        let (status, body) = child.get("/metrics").map_err(|error| error.to_string())?;
        times.push(sent.elapsed().as_micros() as u64);
        if status != 200 {
            return Err(format!("/metrics answered {status}"));
        }
        samples = body.lines().filter(|line| !line.starts_with('#')).count();
        bytes = body.len();
    }
    times.sort_unstable();
    println!(
        "/metrics with {samples} samples ({:.2} MB), a connection each: p50 {:.2} ms, max {:.2} ms of {SCRAPES}; RSS {:.1} MiB, peak {:.1} MiB",
        bytes as f64 / 1e6,
        quantile(&times, 0.5) as f64 / 1e3,
        quantile(&times, 1.0) as f64 / 1e3,
        mib(child.memory_kib("VmRSS")),
        mib(child.memory_kib("VmHWM"))
    );
    child.finish().map(|_| ())
}
