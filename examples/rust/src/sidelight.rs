//! Sends lines to sidelight: a `MakeWriter` for `tracing_subscriber`. One file to copy, which needs
//! `rustix` with the feature `net`: the standard library cannot connect without waiting.

use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time between two attempts to connect.
const RETRY: Duration = Duration::from_secs(1);

/// Never waits and never fails: what sidelight does not take at once is dropped and counted. Reconnects by itself.
#[derive(Clone, Default)]
pub struct Copier(Arc<Mutex<Link>>);

#[derive(Default)]
struct Link {
    stream: Option<UnixStream>,
    last_attempt: Option<Instant>,
    has_warned: bool,
    dropped: u64,
}

impl Copier {
    /// Returns the number of lines that sidelight did not take.
    #[allow(dead_code)] // the example does not show it
    pub fn dropped(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

/// SIDELIGHT_SOCKET, or else the default and the two directories that sidelight falls back to.
fn paths() -> Vec<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = named("SIDELIGHT_SOCKET") {
        return vec![path];
    }
    let mut paths = vec![PathBuf::from("/run/sidelight/log.sock")];
    paths.extend(named("XDG_RUNTIME_DIR").map(|directory| directory.join("log.sock")));
    // the fallback of a process without that variable is /tmp/sidelight-UID: the owner of our own files names the UID
    if let Ok(process) = std::fs::metadata("/proc/self") {
        use std::os::unix::fs::MetadataExt;
        paths.push(format!("/tmp/sidelight-{}/log.sock", process.uid()).into());
    }
    paths
}

/// Connects, or fails at once if the backlog of a sidelight that hangs is full.
fn connect_now(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

impl Link {
    fn connect(&mut self) {
        if self.stream.is_some() || self.last_attempt.is_some_and(|at| at.elapsed() < RETRY) {
            return;
        }
        self.last_attempt = Some(Instant::now());
        let paths = paths();
        self.stream = paths.iter().find_map(|path| connect_now(path).ok());
        if self.stream.is_none() && !self.has_warned {
            self.has_warned = true;
            let warning = format!("sidelight does not listen at {paths:?}: no log line is copied until it does");
            // `eprintln` would panic if standard error is closed
            _ = writeln!(io::stderr(), "{warning}");
        }
    }

    /// Returns whether the whole line was sent.
    fn send(&mut self, line: &[u8]) -> bool {
        // a second attempt, on a new connection, if sidelight was restarted in between
        for _ in 0..2 {
            self.connect();
            let Some(stream) = &mut self.stream else { return false };
            match stream.write(line) {
                Ok(sent) if sent == line.len() => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Ok(_) => {
                    // the rest of this line must not become the head of the next
                    self.stream = None;
                    return false;
                }
                Err(_) => self.stream = None,
            }
        }
        false
    }
}

impl Write for Copier {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !link.send(line) {
            link.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
