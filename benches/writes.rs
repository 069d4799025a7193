//! Measures how long the sidecar blocks an application's `write()`: the share of time in which the
//! writer was blocked, which percentiles of single writes hide. For comparison, it also measures a
//! reader that only sleeps 0.5 ms and reads.
//!
//! `cargo bench --bench writes -- [--seconds N] [--rate LINES_PER_S --connections N] [--flooders
//! N]`
//!
//! The load is open: one thread writes lines of 200 bytes, one `write()` each, on the connections
//! in turn. Every line is written at its due time, whatever happened to earlier lines. With
//! `--flooders`, this number of other connections is kept full meanwhile. Unit: one run of a few
//! seconds.

// a benchmark reads the real clock
#![allow(clippy::disallowed_methods)]

#[path = "support/sidecar.rs"]
#[allow(dead_code)] // shared with `paced` and `torture`, which use the rest
mod sidecar;

use rustix::thread::{CpuSet, sched_setaffinity};
use sidecar::{Sidecar, quantile};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SECONDS_DEFAULT: u64 = 5;
const SECONDS_MAX: u64 = 600;
const RATE_MAX: u64 = 1_000_000;
const CONNECTIONS_MAX: u64 = 1_000;
const RATES: [u64; 5] = [10_000, 20_000, 30_000, 75_000, 100_000];
const CONNECTIONS: [u64; 3] = [1, 4, 100];
const LINE_BYTES: usize = 200;
/// Number of different lines that the writer repeats; making one takes as long as writing it.
const LINES: usize = 1_000;
/// A write that takes longer counts as blocked.
const BLOCKED: Duration = Duration::from_millis(1);
/// Environment variable that names the socket to the child that is the trivial reader.
const TRIVIAL: &str = "WRITES_TRIVIAL_READER";
const TRIVIAL_SLEEP: Duration = Duration::from_micros(500);

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os(TRIVIAL) {
        read_trivially(Path::new(&path));
    }
    sidecar::exit_code(run())
}

#[derive(Clone, Copy)]
struct Load {
    rate: u64,
    connections: u64,
    seconds: u64,
    flooders: u64,
}

fn run() -> Result<(), String> {
    let loads = options()?;
    let binary = sidecar::binary()?;
    println!(
        "| reader | lines/s | connections | flooders | blocked % | write() us p50 | p99 | p99.9 | max | reader % of a core |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for load in loads {
        let mut child = Sidecar::spawn(&binary).map_err(|error| error.to_string())?;
        child.ready()?;
        let connect = |_| child.connect();
        let writers = (0..load.connections).map(connect).collect::<Result<Vec<_>, _>>()?;
        let crowd = (0..load.flooders).map(|_| child.connect()).collect::<Result<Vec<_>, _>>()?;
        let before = child.cpu();
        let (begun, written) = (Instant::now(), write_open(writers, crowd, load));
        let cpu = child.cpu().saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
        report("sidelight", load, &written, cpu);
        child.finish()?;
        if load.flooders == 0 {
            trivial(load)?;
        }
    }
    Ok(())
}

fn options() -> Result<Vec<Load>, String> {
    let (mut seconds, mut rate, mut connections, mut flooders) = (SECONDS_DEFAULT, None, None, 0);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = |most| sidecar::number(&word, &mut words, most);
        match word.as_str() {
            "--bench" | "--test" => {}
            "--seconds" => seconds = number(SECONDS_MAX)?,
            "--rate" => rate = Some(number(RATE_MAX)?),
            "--connections" => connections = Some(number(CONNECTIONS_MAX)?),
            "--flooders" => flooders = number(CONNECTIONS_MAX)?,
            other => {
                return Err(format!(
                    "{other:?}: there are --seconds, --rate, --connections, --flooders"
                ));
            }
        }
    }
    let rates = rate.map_or(RATES.to_vec(), |rate| vec![rate]);
    let connections = connections.map_or(CONNECTIONS.to_vec(), |number| vec![number]);
    let all = connections.iter().flat_map(|connections| {
        let load =
            move |rate: &u64| Load { rate: *rate, connections: *connections, seconds, flooders };
        rates.iter().map(load)
    });
    Ok(all.collect())
}

/// Writes the load; returns the duration of each write in nanoseconds.
fn write_open(mut writers: Vec<UnixStream>, crowd: Vec<UnixStream>, load: Load) -> Vec<u64> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if !crowd.is_empty() {
            scope.spawn(|| flood(crowd, &over));
        }
        let writer = scope.spawn(|| {
            pin();
            let took = write_lines(&mut writers, load);
            over.store(true, Ordering::Relaxed);
            took
        });
        writer.join().expect("the writer does not panic")
    })
}

/// Keeps this thread on the second core, so that a writer that waits for its next line by spinning
/// never takes the core on which the reader wakes up.
fn pin() {
    let mut set = CpuSet::new();
    set.set(1);
    // on a machine with one core both share it, and the figures include that
    let _ = sched_setaffinity(None, &set);
}

fn write_lines(writers: &mut [UnixStream], load: Load) -> Vec<u64> {
    let count = (load.rate * load.seconds) as usize;
    let period = Duration::from_secs_f64(1.0 / load.rate as f64);
    let lines: Vec<Vec<u8>> = (0..LINES).map(line).collect();
    let mut took = Vec::with_capacity(count);
    let begun = Instant::now();
    for number in 0..count {
        wait_until(begun + period * number as u32);
        let writer = number % writers.len();
        let before = Instant::now();
        if writers[writer].write_all(&lines[number % LINES]).is_err() {
            break;
        }
        took.push(before.elapsed().as_nanos() as u64);
        if begun.elapsed() > Duration::from_secs(load.seconds) {
            break;
        }
    }
    took
}

/// Sleeps if there is enough time, and spins for the rest.
fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > Duration::from_micros(120) {
            let early = left.saturating_sub(Duration::from_micros(100));
            std::thread::sleep(early.min(Duration::from_millis(1)));
        } else {
            std::hint::spin_loop();
        }
    }
}

fn line(number: usize) -> Vec<u8> {
    let mut line = format!(
        "{{\"level\":\"info\",\"method\":\"GET\",\"path\":\"/users/{}\",\"status\":200,\"duration_ms\":12.5,\"trace_id\":\"{:032x}\",\"pad\":\"",
        number % 50,
        number + 1
    );
    while line.len() < LINE_BYTES - 3 {
        line.push('x');
    }
    line.push_str("\"}\n");
    line.into_bytes()
}

/// Keeps all of these connections full.
fn flood(mut crowd: Vec<UnixStream>, over: &AtomicBool) {
    let block = line(7).repeat(200);
    for one in &crowd {
        let _ = one.set_nonblocking(true);
    }
    while !over.load(Ordering::Relaxed) && !crowd.is_empty() {
        crowd.retain_mut(|one| {
            let is_open = match one.write(&block) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
            // a thread with real-time priority would keep the reader from its core for a whole round
            std::thread::yield_now();
            is_open
        });
    }
}

fn report(reader: &str, load: Load, took: &[u64], cpu: f64) {
    let blocked: u64 = took.iter().filter(|took| **took > BLOCKED.as_nanos() as u64).sum();
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let us = |share| quantile(&sorted, share) as f64 / 1e3;
    println!(
        "| {reader} | {} | {} | {} | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} | {:.2} |",
        load.rate,
        load.connections,
        load.flooders,
        blocked as f64 / 1e7 / load.seconds as f64,
        us(0.5),
        us(0.99),
        us(0.999),
        us(1.0),
        cpu * 100.0
    );
}

/// Applies the same load to the trivial reader, which is this program as a child process.
fn trivial(load: Load) -> Result<(), String> {
    let fail = |error: std::io::Error| error.to_string();
    let directory = tempfile::tempdir().map_err(fail)?;
    let path = directory.path().join("stream.sock");
    let program = std::env::current_exe().map_err(fail)?;
    let mut child =
        Command::new(program).env(TRIVIAL, &path).stdin(Stdio::piped()).spawn().map_err(fail)?;
    let writers = connect(&path, load.connections);
    let took = writers.map(|writers| write_open(writers, Vec::new(), load));
    let cpu = processor_time(&child).as_secs_f64() / load.seconds as f64;
    child.kill().map_err(fail)?;
    child.wait().map_err(fail)?;
    report("0.5 ms sleeps", load, &took?, cpu);
    Ok(())
}

fn connect(path: &PathBuf, count: u64) -> Result<Vec<UnixStream>, String> {
    let begun = Instant::now();
    while !path.exists() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("the trivial reader does not start".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // the file exists a moment before the process listens
    std::thread::sleep(Duration::from_millis(20));
    let one = |_| UnixStream::connect(path).map_err(|error| error.to_string());
    (0..count).map(one).collect()
}

fn processor_time(child: &Child) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()));
    let nanos = text.ok().and_then(|text| text.split(' ').next()?.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Accepts, reads and sleeps, until the process is killed.
fn read_trivially(path: &Path) -> ! {
    let listener = UnixListener::bind(path).expect("the way is free");
    listener.set_nonblocking(true).expect("a socket");
    let mut connections: Vec<UnixStream> = Vec::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        while let Ok((connection, _)) = listener.accept() {
            connection.set_nonblocking(true).expect("a socket");
            connections.push(connection);
        }
        connections.retain_mut(|connection| match connection.read(&mut buffer) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        std::thread::sleep(TRIVIAL_SLEEP);
    }
}
