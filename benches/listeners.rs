//! Measures the listeners only, at a steady pace: the CPU time of reading, and the duration of the
//! application's `write`. Lines are counted, not processed; `paced` measures the whole sidecar.
//!
//! `cargo bench --bench listeners`; `LISTENERS_SECONDS` sets the duration of each row.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // real sockets need real time

use sidelight::app::listeners::SocketLocation;
use sidelight::app::reload::Looked;
use sidelight::app::setup::{AppSetup, Settings, Sockets};
use sidelight::app::signals::Signals;
use sidelight::app::worker::Pipelines;
use sidelight::clock::Clock;
use sidelight::clock::UnixNanos;
use sidelight::frame::encoding::Frame;
use sidelight::pipeline::input::{FrameSink, Source};
use sidelight::telemetry::Telemetry;
use sidelight::telemetry::process_status::ProcessStatus;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LINE: &str = r#"{"timestamp":"2026-11-21T09:00:00.000Z","level":"INFO","service":"web","message":"request completed","method":"GET","path":"/api/users/12345","status":200,"duration_ms":12.5,"request_id":"0123456789abcdef"}"#;

fn main() {
    if let Some(directory) = std::env::var_os("LISTENERS_CHILD") {
        be_child(&PathBuf::from(directory));
    }
    let seconds = std::env::var("LISTENERS_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    println!(
        "lines/s  connections  % of a core  write p50 us  p99 us  p99.9 us  max us  lines delivered"
    );
    for (rate, connections) in
        [(0, 4), (100, 4), (1_000, 4), (10_000, 4), (10_000, 100), (100_000, 4), (100_000, 1)]
    {
        measure(rate, connections, Duration::from_secs(seconds));
    }
}

fn measure(rate: u64, connections: usize, span: Duration) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("log.sock");
    let child = spawn(directory.path());
    while UnixStream::connect(&path).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut writers: Vec<UnixStream> =
        (0..connections).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
    let line = format!("{LINE}\n");
    // the first lines create series and teach the decoder, so they are not measured
    for writer in &mut writers {
        writer.write_all(line.as_bytes()).expect("it reads");
    }
    std::thread::sleep(Duration::from_millis(300));
    let before = processor_time(child.id());
    let begin = Instant::now();
    let total = rate * span.as_secs();
    let mut took = Vec::with_capacity(total as usize);
    for at in 0..total {
        let due = begin + Duration::from_nanos(at * 1_000_000_000 / rate);
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        let writer = &mut writers[at as usize % connections];
        let start = Instant::now();
        writer.write_all(line.as_bytes()).expect("it reads");
        took.push(start.elapsed());
    }
    std::thread::sleep(span.saturating_sub(begin.elapsed()));
    let spent = processor_time(child.id()).saturating_sub(before);
    let share = 100.0 * spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    drop(writers);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    took.sort_unstable();
    let micros = |part: f64| {
        let at = (took.len() as f64 * part) as usize;
        took.get(at.min(took.len().saturating_sub(1))).map_or(0.0, |one| one.as_secs_f64() * 1e6)
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!(
        "{rate:7}  {connections:11}  {share:11.2}  {:12.1}  {:6.1}  {:8.1}  {:6.0}  {} of {}",
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0),
        std::fs::read_to_string(directory.path().join("lines")).unwrap_or_default(),
        total + connections as u64,
    );
}

fn spawn(directory: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("we run"));
    command.env("LISTENERS_CHILD", directory);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Returns the CPU time of all threads of a process, from the scheduler's accounting.
fn processor_time(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let spent = tasks.flatten().map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(spent.sum())
}

fn be_child(directory: &Path) -> ! {
    let mut signals = Signals::install().expect("handlers");
    let lines = Arc::new(AtomicU64::new(0));
    let into = Arc::clone(&lines);
    let place =
        SocketLocation { path: Some(directory.join("log.sock")), ..SocketLocation::default() };
    let parts = AppSetup {
        settings: Settings {
            sockets: Sockets { stream: Some(place), ..Sockets::default() },
            ..Settings::default()
        },
        clock: Clock::system(),
        telemetry: Arc::new(Telemetry::new()),
        process_status: ProcessStatus::new(),
        pipelines: Pipelines::new(move |_| Box::new(LineCounter(Arc::clone(&into)))),
        admin: None,
        outputs: Vec::new(),
    };
    let code =
        sidelight::app::run(parts, &mut signals, |_| {}, |_| Looked::default()).expect("it runs");
    let counted = lines.load(Ordering::Relaxed).to_string();
    std::fs::write(directory.join("lines"), counted).expect("written");
    std::process::exit(i32::from(code));
}

/// Counts lines.
struct LineCounter(Arc<AtomicU64>);

impl FrameSink for LineCounter {
    fn lines(&mut self, _: &mut Source, block: &[u8], _: UnixNanos) {
        let count = memchr::memchr_iter(b'\n', block).count() as u64;
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn oversized(&mut self, _: &mut Source, _: &[u8], _: u64, _: UnixNanos) {}

    fn frame(&mut self, _: &mut Source, _: Frame<'_>, _: UnixNanos) {}

    fn flush(&mut self, _: UnixNanos) {}

    fn tick(&mut self, _: UnixNanos) -> bool {
        false
    }
}
