//! Who is at the other end of a connection. Unit: one connection, asked once.

use rustix::fd::OwnedFd;
use std::io;
use std::os::unix::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// Asks the kernel for the user id behind a connection (`SO_PEERCRED`).
///
/// Through tokio, not rustix: rustix reads the process id as a number that is never zero, and between two
/// pid namespaces, which is what two containers of a pod are, it is zero: its answer is then an error of
/// code 0 (tried with `unshare --pid`).
#[derive(Debug)]
pub struct Peers {
    runtime: Runtime,
}

impl Peers {
    /// Opens what tokio needs.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Peers> {
        Ok(Peers { runtime: Builder::new_current_thread().enable_io().build()? })
    }

    /// The user id of the peer, and the connection back.
    ///
    /// # Errors
    /// When the kernel refuses to say or to watch; the connection is closed then.
    pub fn uid(&self, socket: OwnedFd) -> io::Result<(OwnedFd, u32)> {
        let _inside = self.runtime.enter();
        let socket = tokio::net::UnixStream::from_std(UnixStream::from(socket))?;
        let uid = socket.peer_cred()?.uid();
        Ok((OwnedFd::from(socket.into_std()?), uid))
    }
}
