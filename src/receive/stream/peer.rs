//! Who is at the other end of a connection. Unit: one connection, asked once.

use rustix::fd::OwnedFd;
use std::io;
use std::os::unix::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// Asks the kernel for the user id behind a connection (`SO_PEERCRED`).
///
/// Through tokio, not rustix: rustix reads the process id as a number that is never zero, and
/// between two pid namespaces, which is what two containers of a pod are, it is zero: its answer is
/// then an error of code 0 (tried with `unshare --pid`).
#[derive(Debug)]
pub struct Peers {
    runtime: Runtime,
    /// Asked since the runtime last had a turn.
    asked: usize,
}

/// The runtime keeps what it knew of a connection (about 250 bytes) until it has a turn of its own,
/// and nothing else here ever gives it one.
const TURN_EVERY: usize = 64;

impl Peers {
    /// Opens what tokio needs.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Peers> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        Ok(Peers { runtime, asked: 0 })
    }

    /// The user id of the peer, and the connection back.
    ///
    /// # Errors
    /// When the kernel refuses to say or to watch; the connection is closed then.
    pub fn uid(&mut self, socket: OwnedFd) -> io::Result<(OwnedFd, u32)> {
        self.asked += 1;
        if self.asked >= TURN_EVERY {
            self.asked = 0;
            self.runtime.block_on(yield_now());
        }
        let _inside = self.runtime.enter();
        let socket = tokio::net::UnixStream::from_std(UnixStream::from(socket))?;
        let uid = socket.peer_cred()?.uid();
        Ok((OwnedFd::from(socket.into_std()?), uid))
    }
}
