//! A sidecar as a child process that counts the lines of each connection: this test program,
//! started with a variable that makes it a child.

use crate::recorder::{AMPLE, decode};
use sidelight::app::drain::{self, Output};
use sidelight::app::listeners::SocketLocation;
use sidelight::app::reload::Looked;
use sidelight::app::setup::{AppSetup, Settings, Sockets};
use sidelight::app::signals::Signals;
use sidelight::app::worker::Pipelines;
use sidelight::clock::{Clock, UnixNanos};
use sidelight::frame::count;
use sidelight::frame::encoding::Frame;
use sidelight::pipeline::input::{FrameSink, Source};
use sidelight::telemetry::Telemetry;
use sidelight::telemetry::process_status::ProcessStatus;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reads the number of lines of each connection that a child has written to `directory`.
pub(crate) fn counted_lines(directory: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(directory.join("lines")).expect("the child has ended");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// Starts a child.
pub(crate) fn start(directory: &Path, stdin: bool) -> Child {
    let stdin = if stdin { "1" } else { "" };
    start_with(directory, &[("CHILD_STDIN", stdin)])
}

/// Starts a child with these variables.
pub(crate) fn start_with(directory: &Path, environment: &[(&str, &str)]) -> Child {
    let program = std::env::current_exe().expect("we run");
    let files = environment.iter().find(|(name, _)| *name == "CHILD_FILES");
    let mut command = if let Some((_, files)) = files {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    command
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("CHILD_DIRECTORY", directory)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this very program starts")
}

/// Runs the child, if this process is one: counts the lines of each connection, and writes the counts to a file at the end.
pub(crate) fn run() {
    let Some(directory) = std::env::var_os("CHILD_DIRECTORY").map(PathBuf::from) else { return };
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let mut signals = Signals::install().expect("handlers");
    let counts: Arc<Mutex<BTreeMap<u64, Count>>> = Arc::default();
    let into = Arc::clone(&counts);
    let place = |name: &str| {
        Some(SocketLocation { path: Some(directory.join(name)), ..SocketLocation::default() })
    };
    let hangs = directory.join("hangs");
    let outputs = if is_set("CHILD_HANGS") {
        let finish = Box::new(move |_| {
            std::fs::write(hangs, "").expect("written");
            // longer than the test waits, so that only the signal can end it
            std::thread::park_timeout(2 * AMPLE);
        });
        vec![Output { name: "hangs", held: Box::new(|| 0), finish }]
    } else {
        Vec::new()
    };
    let telemetry = Arc::new(Telemetry::new());
    let counted = Arc::clone(&telemetry);
    let process_status = ProcessStatus::new();
    if is_set("CHILD_EXHAUSTED") {
        exhaust_descriptors(&directory, Arc::clone(&process_status));
    }
    let parts = AppSetup {
        settings: Settings {
            sockets: Sockets {
                stream: place("log.sock"),
                datagram: place("d.sock"),
                ..Sockets::default()
            },
            stdin: is_set("CHILD_STDIN"),
            drain: drain::Settings { deadline: AMPLE, ..drain::Settings::default() },
            ..Settings::default()
        },
        clock: Clock::system(),
        telemetry,
        process_status,
        pipelines: Pipelines::new(move |_| {
            Box::new(Counter { counts: Arc::clone(&into), telemetry: Arc::clone(&counted) })
        }),
        admin: None,
        outputs,
    };
    let mut reloads = 0;
    let directory_of_reloads = directory.clone();
    let reload = move |_| {
        reloads += 1;
        std::fs::write(directory_of_reloads.join(format!("reloaded {reloads}")), "")
            .expect("written");
        Looked { changed: true, ..Looked::default() }
    };
    let code = sidelight::app::run(parts, &mut signals, |_| {}, reload).expect("it runs");
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<String> = counts.values().map(|count| count.lines.to_string()).collect();
    std::fs::write(directory.join("lines"), lines.join("\n")).expect("written");
    std::process::exit(i32::from(code));
}

/// Takes all file descriptors but four, which are enough to bind a socket but not to serve it,
/// until a file `release` exists. Meanwhile writes to `stuck` what the process reports about its
/// listeners, and adds a line `open` when all are open.
fn exhaust_descriptors(directory: &Path, process_status: Arc<ProcessStatus>) {
    let mut stuck = std::fs::File::create(directory.join("stuck")).expect("a file");
    let release = directory.join("release");
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    taken.truncate(taken.len() - 4);
    std::thread::spawn(move || {
        let mut said = String::new();
        while !process_status.is_started() || !release.exists() {
            for (_, state) in process_status.listeners() {
                let state = state.to_string();
                if state.contains("its thread ended") && said != state {
                    writeln!(stuck, "{state}").expect("written");
                    said = state;
                }
            }
            if release.exists() {
                taken.clear();
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        writeln!(stuck, "open").expect("written");
    });
}

/// Counts the lines of each source.
struct Counter {
    counts: Arc<Mutex<BTreeMap<u64, Count>>>,
    telemetry: Arc<Telemetry>,
}

impl Counter {
    fn add(&self, source: &Source, bytes: &[u8]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(source.id).or_default().add(bytes);
    }
}

impl FrameSink for Counter {
    fn lines(&mut self, source: &mut Source, block: &[u8], _: UnixNanos) {
        decode(&self.telemetry, count::frames(block));
        self.add(source, block);
    }

    fn oversized(&mut self, _: &mut Source, _: &[u8], _: u64, _: UnixNanos) {
        panic!("no line is that long");
    }

    fn frame(&mut self, source: &mut Source, frame: Frame<'_>, _: UnixNanos) {
        decode(&self.telemetry, 1);
        self.add(source, frame.bytes);
    }

    fn flush(&mut self, _: UnixNanos) {}

    fn tick(&mut self, _: UnixNanos) -> bool {
        false
    }
}

/// Checks lines that carry their number: panics if a line is missing, duplicated or out of order.
#[derive(Default)]
struct Count {
    lines: u64,
}

impl Count {
    fn add(&mut self, block: &[u8]) {
        for line in block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Some(number) = line.strip_prefix(b"#") {
                let end = number.iter().position(|byte| *byte == b' ').expect("a space");
                let number = std::str::from_utf8(&number[..end]).expect("digits");
                assert_eq!(number.parse(), Ok(self.lines), "in order and without a gap");
            }
            self.lines += 1;
        }
    }
}

/// Waits until `path` exists.
pub(crate) fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < AMPLE, "{} never came", path.display());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Stops a child and returns the number of lines of each connection.
pub(crate) fn stop(child: Child, directory: &Path) -> Vec<u64> {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    counted_lines(directory)
}

/// The sums over all stops.
#[derive(Default, Debug)]
pub(crate) struct Sum {
    pub(crate) stops: u64,
    pub(crate) written: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) slowest_exit: Duration,
}

const LINE_BYTES: usize = 200;

fn line(number: u64) -> Vec<u8> {
    let mut line = format!("#{number} ").into_bytes();
    line.resize(LINE_BYTES - 1, b'x');
    line.push(b'\n');
    line
}

/// Runs one child: start, load, SIGTERM under load, and a comparison of the counts of both sides.
pub(crate) fn stop_under_load(round: u64, sum: &mut Sum) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let child = start(directory.path(), false);
    let (stream, datagram) = (directory.path().join("log.sock"), directory.path().join("d.sock"));
    wait_for(&stream);
    wait_for(&datagram);
    let (written, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut output = None;
    let mut left = Duration::ZERO;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| written.fetch_add(write_lines(&stream), Ordering::Relaxed));
        }
        scope.spawn(|| written.fetch_add(come_and_go(&stream, &done), Ordering::Relaxed));
        scope.spawn(|| written.fetch_add(write_datagrams(&datagram), Ordering::Relaxed));
        std::thread::park_timeout(Duration::from_micros(5_000 + round * 7_919 % 30_000));
        let begin = Instant::now();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        output = child.wait_with_output().ok();
        left = begin.elapsed();
        done.store(true, Ordering::Relaxed);
    });
    let output = output.expect("it ended");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let delivered: u64 = counted_lines(directory.path()).iter().sum();
    let written = written.into_inner();
    sum.stops += 1;
    sum.written += written;
    sum.delivered += delivered;
    sum.lost += written.abs_diff(delivered);
    sum.slowest_exit = sum.slowest_exit.max(left);
    assert_eq!(written, delivered, "round {round}: {stderr}");
}

/// Writes until the reader is gone; returns the number of accepted lines.
fn write_lines(path: &Path) -> u64 {
    let Ok(mut socket) = UnixStream::connect(path) else { return 0 };
    let mut number = 0;
    while socket.write(&line(number)).is_ok_and(|bytes| bytes == LINE_BYTES) {
        number += 1;
    }
    number
}

/// Repeatedly connects, writes a line and disconnects, until nothing listens.
fn come_and_go(path: &Path, done: &AtomicBool) -> u64 {
    let mut accepted = 0;
    while !done.load(Ordering::Relaxed) {
        let Ok(mut socket) = UnixStream::connect(path) else { continue };
        accepted += u64::from(socket.write(&line(0)).is_ok());
    }
    accepted
}

fn write_datagrams(path: &Path) -> u64 {
    let Ok(socket) = UnixDatagram::unbound() else { return 0 };
    if socket.connect(path).is_err() {
        return 0;
    }
    let mut number = 0;
    while socket.send(&line(number)).is_ok() {
        number += 1;
    }
    number
}
