//! Finds the user id of the peer of a connection. Unit: one connection, with one query each.

use rustix::fd::OwnedFd;
use std::io;
use std::os::unix::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// Queries the kernel for the user id of a peer (`SO_PEERCRED`).
///
/// Uses tokio instead of rustix: rustix reads the process id as a number that is never zero, but
/// between two pid namespaces, as between two containers of a pod, it is zero, and rustix then
/// returns an error with code 0 (tried with `unshare --pid`).
#[derive(Debug)]
pub(crate) struct Peers {
    runtime: Runtime,
    /// The number of queries since the runtime last ran.
    queries: usize,
}

/// The runtime keeps its data about a connection (about 250 bytes) until it runs, and no other code
/// here runs it.
const TURN_EVERY: usize = 64;

impl Peers {
    /// Creates the tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the kernel has no descriptor left.
    pub(crate) fn new() -> io::Result<Peers> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        Ok(Peers { runtime, queries: 0 })
    }

    /// Returns the user id of the peer, and the connection.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses the query or the registration; the connection is
    /// closed then.
    pub(crate) fn uid(&mut self, socket: OwnedFd) -> io::Result<(OwnedFd, u32)> {
        self.queries += 1;
        if self.queries >= TURN_EVERY {
            self.queries = 0;
            self.runtime.block_on(yield_now());
        }
        let _inside = self.runtime.enter();
        let socket = tokio::net::UnixStream::from_std(UnixStream::from(socket))?;
        let uid = socket.peer_cred()?.uid();
        Ok((OwnedFd::from(socket.into_std()?), uid))
    }
}
