//! Runs a real sidelight as a child process, through its documented interfaces: `run` with its
//! three addresses, the admin port, SIGTERM, and the closing ledger as the last line on stderr.
//! Signals go only to the child's process id. Unit: one child.

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A start that takes longer fails.
const START_MAX: Duration = Duration::from_secs(10);
/// A stop that takes longer fails, and the child is killed.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(40);
/// Interval between two checks of a condition.
const LOOK: Duration = Duration::from_micros(200);
/// Limit of an answer of the admin port; longer ones are cut. 10,000 series take about 1 MB.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A running child; dropping it kills the process if it still runs.
#[derive(Debug)]
pub(crate) struct Sidecar {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    started: Instant,
    listen: SocketAddr,
    directory: tempfile::TempDir,
}

/// Optional settings of a child.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Launch<'a> {
    /// Environment variables in addition to the inherited ones.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Limit of its open file descriptors.
    pub(crate) descriptors: Option<u32>,
}

/// The exit of a child.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Time from the signal to the exit.
    pub(crate) took: Duration,
    /// Exit code, or None if the process was killed.
    pub(crate) code: Option<i32>,
    /// Everything that it wrote to stderr.
    pub(crate) stderr: String,
}

/// Returns the binary to measure: `SIDELIGHT_BINARY`, or the static one, because that is the one in
/// the image.
pub(crate) fn binary() -> Result<PathBuf, String> {
    let path = if let Some(path) = std::env::var_os("SIDELIGHT_BINARY") {
        PathBuf::from(path)
    } else {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(here, PathBuf::from);
        target.join(STATIC_TARGET).join("release/sidelight")
    };
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    let build = format!("cargo build --release --target {STATIC_TARGET}");
    Err(format!("no binary at {path}: run `{build}`, or set SIDELIGHT_BINARY"))
}

/// The target of the image's binary on this machine.
const STATIC_TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-musl"
} else {
    "x86_64-unknown-linux-musl"
};

impl Sidecar {
    /// Starts a child with its directory and port. Returns at once, before the child is ready.
    pub(crate) fn spawn(binary: &Path) -> std::io::Result<Sidecar> {
        Sidecar::launch(binary, Launch::default())
    }

    /// Like the above, with optional settings.
    pub(crate) fn launch(binary: &Path, launch: Launch<'_>) -> std::io::Result<Sidecar> {
        let directory = tempfile::tempdir()?;
        // the port was free a moment ago, and nothing else here takes ports
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started = Instant::now();
        let mut child = command(binary, directory.path(), listen, launch).spawn()?;
        let stderr = Some(listener(&mut child));
        Ok(Sidecar { child, stderr, started, listen, directory })
    }

    /// Kills it with SIGKILL, and starts another one in its place.
    pub(crate) fn crash(&mut self, binary: &Path) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.started = Instant::now();
        let path = self.directory.path();
        self.child = command(binary, path, self.listen, Launch::default()).spawn()?;
        self.stderr = Some(listener(&mut self.child));
        Ok(())
    }

    /// Returns the address of its admin port.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Returns the number of its open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    /// Waits for the first 200 on `/readyz`; returns the time since the start.
    pub(crate) fn ready(&mut self) -> Result<Duration, String> {
        loop {
            if let Ok((200, _)) = self.get("/readyz") {
                return Ok(self.started.elapsed());
            }
            self.still_starting()?;
        }
    }

    /// Connects to the stream socket as soon as it exists.
    pub(crate) fn connect(&mut self) -> Result<UnixStream, String> {
        let path = self.directory.path().join("stream.sock");
        loop {
            if let Ok(stream) = UnixStream::connect(&path) {
                return Ok(stream);
            }
            self.still_starting()?;
        }
    }

    fn still_starting(&mut self) -> Result<(), String> {
        if self.started.elapsed() > START_MAX {
            return Err(format!("not ready after {} s", START_MAX.as_secs()));
        }
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("ended while starting: {status}"));
        }
        std::thread::sleep(LOOK);
        Ok(())
    }

    /// Sends one request on a new connection; returns status and body.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        self.get_as(path, "")
    }

    /// Like the above, with more headers, each ended by CR LF.
    pub(crate) fn get_as(&self, path: &str, headers: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.listen, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: sidelight\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status, body.to_owned()))
    }

    /// Returns the CPU time of all its threads so far. Uses the scheduler's nanoseconds if they are
    /// available: at 1,000 lines/s, five seconds cost only two or three of the 10 ms ticks of
    /// `/proc/PID/stat`.
    pub(crate) fn cpu(&self) -> Duration {
        let pid = self.child.id();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let nanos: Option<u64> = threads.ok().and_then(|threads| {
            let times = threads.flatten().map(|thread| {
                let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
                text.split(' ').next()?.parse::<u64>().ok()
            });
            times.sum()
        });
        match nanos {
            Some(nanos) if nanos > 0 => Duration::from_nanos(nanos),
            _ => Duration::from_millis(10 * self.ticks()),
        }
    }

    /// Reads utime and stime from `/proc/PID/stat`, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        let behind_name = stat.rsplit(')').next().unwrap_or("");
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let at = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        at(11) + at(12)
    }

    /// Reads a line of `/proc/PID/status` such as `VmRSS`, in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or("");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// Makes the current resident memory the peak that `VmHWM` shows.
    pub(crate) fn reset_peak(&self) -> std::io::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
    }

    /// Sends SIGTERM; [`Sidecar::stopped`] waits for the exit.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a child has a process number");
        // an error means that the process has ended by itself, which `stopped` reports
        let _ = kill_process(pid, signal);
    }

    /// Stops it as Kubernetes does; its ledger must close.
    pub(crate) fn finish(self) -> Result<Stop, String> {
        let now = Instant::now();
        self.terminate();
        let stop = self.stopped(now);
        if stop.code == Some(0) && stop.ledger("lost") == Some(0) {
            return Ok(stop);
        }
        let last = stop.stderr.lines().last().unwrap_or("nothing");
        Err(format!("left with {:?}, saying {last}", stop.code))
    }

    /// Waits for the exit after a signal sent at `since`.
    pub(crate) fn stopped(mut self, since: Instant) -> Stop {
        let code = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status.code(),
                Ok(None) if since.elapsed() < STOP_MAX => std::thread::sleep(LOOK),
                Ok(None) | Err(_) => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    break None;
                }
            }
        };
        let took = since.elapsed();
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Stop { took, code, stderr }
    }
}

/// Builds the command of a child; uses a shell only if something has to be limited.
fn command(binary: &Path, directory: &Path, listen: SocketAddr, launch: Launch<'_>) -> Command {
    let mut command = match launch.descriptors {
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("ulimit -n {most}; exec \"$0\" \"$@\"")).arg(binary);
            shell
        }
        None => Command::new(binary),
    };
    command
        .arg("run")
        .arg("--socket")
        .arg(directory.join("stream.sock"))
        .arg("--datagram-socket")
        .arg(directory.join("datagram.sock"))
        .arg("--listen")
        .arg(listen.to_string())
        .envs(launch.environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads everything that a child writes.
fn listener(child: &mut Child) -> JoinHandle<String> {
    let mut pipe = child.stderr.take().expect("stderr is piped");
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = pipe.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    })
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Stop {
    /// Returns a term of the closing ledger, which is the last line.
    pub(crate) fn ledger(&self, term: &str) -> Option<u64> {
        let line = self.stderr.lines().last()?.strip_prefix("ledger ")?;
        let mut terms = line.split(' ').filter_map(|pair| pair.split_once('='));
        terms.find(|(name, _)| *name == term)?.1.parse().ok()
    }
}

/// Raises this program's limit of open files as far as the system allows: thousands of connections
/// need as many.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Reads the value of an option, a number from 1 to `most`.
pub(crate) fn number(
    option: &str,
    words: &mut impl Iterator<Item = String>,
    most: u64,
) -> Result<u64, String> {
    let value = words.next().and_then(|value| value.parse::<u64>().ok());
    value.filter(|n| (1..=most).contains(n)).ok_or(format!("{option} wants 1 to {most}"))
}

/// Runs a benchmark; exit code 2 if it cannot be run or a sidecar does not behave.
pub(crate) fn exit_code(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::from(2)
        }
    }
}

/// Returns the given percentile of the sorted figures.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).ceil() as usize).copied().unwrap_or(0)
}
