//! Runs the real binary as a child process in a temporary directory: its log, its admin port, its
//! exit.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a loaded machine: a test that waits this long fails. No test asserts on a
/// shorter time.
pub(crate) const AMPLE: Duration = Duration::from_mins(1);

/// Interval between two checks of an expected condition.
const LOOK: Duration = Duration::from_millis(2);

/// Arguments and environment of a process.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<&'static str, String>,
    /// A configuration file.
    pub(crate) config: Option<&'static str>,
    /// The admin port; a free one if None.
    pub(crate) listen: Option<SocketAddr>,
    /// Path of the stream socket, if it is not in the temporary directory.
    pub(crate) stream: Option<PathBuf>,
}

/// A running sidecar process.
pub(crate) struct Sidecar {
    pub(crate) stream: PathBuf,
    pub(crate) datagram: PathBuf,
    pub(crate) config: PathBuf,
    child: Child,
    lines: Receiver<String>,
    /// Lines that the process has written to standard error so far.
    pub(crate) said: Vec<String>,
    directory: TempDir,
}

/// The exit of a sidecar process.
pub(crate) struct Ending {
    pub(crate) code: Option<i32>,
    pub(crate) said: Vec<String>,
    pub(crate) stdout: Vec<u8>,
}

impl Ending {
    /// Returns the terms of the ledger by name; the ledger must be the very last line.
    pub(crate) fn ledger(&self) -> BTreeMap<String, u64> {
        let last = self.said.last().expect("it said something");
        let terms = last.strip_prefix("ledger ").unwrap_or_else(|| panic!("{:#?}", self.said));
        let names: Vec<&str> =
            terms.split(' ').map(|term| term.split_once('=').expect("a term").0).collect();
        assert_eq!(
            names,
            ["received", "decoded", "refused", "offered", "sent", "dropped", "held", "lost"]
        );
        let pair = |term: &str| {
            let (name, value) = term.split_once('=').expect("a term");
            (name.to_owned(), value.parse().expect("a number"))
        };
        terms.split(' ').map(pair).collect()
    }
}

impl Sidecar {
    /// Starts a sidecar and waits until it has printed its addresses.
    pub(crate) fn start(setup: Setup) -> Sidecar {
        let mut sidecar = Sidecar::spawn(setup, Stdio::null());
        sidecar.wait_said("admin port");
        sidecar
    }

    /// Starts a sidecar without waiting.
    pub(crate) fn spawn(setup: Setup, stdin: Stdio) -> Sidecar {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let stream = setup.stream.unwrap_or_else(|| directory.path().join("log.sock"));
        let (datagram, config) =
            (directory.path().join("datagram.sock"), directory.path().join("sidelight.yaml"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight"));
        command.arg("run").arg("--socket").arg(&stream).arg("--datagram-socket").arg(&datagram);
        let listen = setup.listen.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        if !setup.environment.contains_key("METRICS_PORT") {
            command.arg("--listen").arg(listen.to_string());
        }
        if let Some(text) = setup.config {
            std::fs::write(&config, text).expect("a writable directory");
            command.arg("--config").arg(&config);
        }
        command.args(setup.arguments).env_clear().envs(setup.environment);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary");
        let stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Sidecar { stream, datagram, config, child, lines, said: Vec::new(), directory }
    }

    /// Waits for a line that contains `text`, and returns it.
    pub(crate) fn wait_said(&mut self, text: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        let until = Instant::now() + AMPLE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {text:?} in {:#?}", self.said)
            };
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the admin port that the process printed.
    pub(crate) fn admin(&self) -> SocketAddr {
        let line = self.said.iter().find(|line| line.contains("http://")).expect("it was said");
        let from = line.find("http://").expect("an address") + "http://".len();
        let to = from + line[from..].find('/').expect("a path");
        line[from..to].parse().expect("an address")
    }

    /// Sends a request to the admin port; returns status and body.
    pub(crate) fn get(&self, path: &str, accept: &str) -> (u16, String) {
        self.try_get(path, accept).expect("the admin port answers")
    }

    /// Like `get`, but returns an error if the port is not open yet.
    pub(crate) fn try_get(&self, path: &str, accept: &str) -> std::io::Result<(u16, String)> {
        let mut connection = TcpStream::connect(self.admin())?;
        connection.set_read_timeout(Some(AMPLE)).expect("a timeout");
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        write!(request, "accept: {accept}\r\n\r\n").expect("a string takes all");
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((status.expect("a status"), body.to_owned()))
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the metrics in classic text format.
    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics", "text/plain").1
    }

    /// Waits until the metrics contain this line.
    pub(crate) fn wait_metric(&self, line: &str) {
        let until = Instant::now() + AMPLE;
        loop {
            let metrics = self.metrics();
            if metrics.lines().any(|other| other == line) {
                return;
            }
            assert!(Instant::now() < until, "no {line:?} in\n{metrics}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the metrics contain this text.
    pub(crate) fn wait_metrics(&self, text: &str) {
        let until = Instant::now() + AMPLE;
        while !self.metrics().contains(text) {
            assert!(Instant::now() < until, "no {text:?} in\n{}", self.metrics());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the health verdict is evaluated once more, which happens every second.
    pub(crate) fn wait_evaluation(&self) {
        let evaluated = || {
            let (_, health) = self.get("/health", "text/plain");
            let time = health.lines().find_map(|line| line.split_once("healthy as of "));
            time.map(|(_, time)| time.to_owned())
        };
        let (before, until) = (evaluated(), Instant::now() + AMPLE);
        while evaluated() == before {
            assert!(Instant::now() < until, "no evaluation after {before:?}");
            std::thread::sleep(LOOK);
        }
    }

    /// Writes to the stream socket over a new connection.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut stream = UnixStream::connect(&self.stream).expect("the stream socket");
        stream.write_all(bytes).expect("it reads");
    }

    /// Sends a datagram.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(bytes, &self.datagram).expect("the datagram socket");
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Writes to the standard input of the process, if it is a pipe, and closes it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut stdin = self.child.stdin.take().expect("piped");
        stdin.write_all(bytes).expect("it reads");
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) fn stop(self) -> Ending {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for the exit.
    pub(crate) fn end(mut self) -> Ending {
        let mut stdout = Vec::new();
        if let Some(mut from) = self.child.stdout.take() {
            from.read_to_end(&mut stdout).expect("a readable pipe");
        }
        let until = Instant::now() + AMPLE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(LOOK);
        };
        let mut said = std::mem::take(&mut self.said);
        said.extend(self.lines.iter());
        Ending { code: status.code(), said, stdout }
    }

    /// Returns the directory of the sockets.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // a failed test must not leave a process behind
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
