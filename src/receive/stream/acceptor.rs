//! Accepts connections. Keeps one spare descriptor: if the process has no other left, it accepts a
//! connection with the spare one and closes it, so that clients get an answer instead of blocking
//! in `connect`. Unit: one connection.

use super::peer::Peers;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};
use std::io;

/// The result of one call of [`Acceptor::accept`].
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A connection, and the user id of its peer.
    Connection(OwnedFd, u32),
    /// A connection that uses the last descriptor; close it before accepting the next.
    LastDescriptor(OwnedFd),
    /// The kernel did not give the peer's credentials; the connection is closed.
    NoCredentials,
    /// No connection is waiting.
    Empty,
    /// No connection can be accepted for now.
    Failed(Errno),
}

/// The listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: OwnedFd,
    /// A spare descriptor, closed to accept a connection that is then refused.
    spare: Option<OwnedFd>,
    peers: Peers,
}

impl Acceptor {
    /// Creates an acceptor for a bound, listening, non-blocking socket.
    ///
    /// # Errors
    /// Returns an error if the kernel has no descriptor left.
    pub(crate) fn new(listener: OwnedFd) -> io::Result<Acceptor> {
        Ok(Acceptor { listener, spare: open_spare(), peers: Peers::new()? })
    }

    /// Accepts from another bound and listening socket from now on.
    pub(crate) fn replace(&mut self, listener: OwnedFd) {
        self.listener = listener;
    }

    /// Returns the descriptor to poll.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Accepts the next waiting connection.
    pub(crate) fn accept(&mut self) -> Accepted {
        if self.spare.is_none() {
            self.spare = open_spare();
        }
        match self.accept_socket() {
            Ok(socket) => match self.peers.uid(socket) {
                Ok((socket, uid)) => Accepted::Connection(socket, uid),
                Err(_) => Accepted::NoCredentials,
            },
            // INVAL follows after `shut`.
            Err(Errno::AGAIN | Errno::INVAL) => Accepted::Empty,
            Err(error) if self.spare.take().is_none() => Accepted::Failed(error),
            Err(_) => match self.accept_socket() {
                Ok(socket) => Accepted::LastDescriptor(socket),
                Err(Errno::AGAIN | Errno::INVAL) => Accepted::Empty,
                Err(error) => Accepted::Failed(error),
            },
        }
    }

    /// Refuses new connections; connections that already wait can still be accepted.
    pub(crate) fn shut(&self) {
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Read);
    }

    /// Returns the next connection that waited before [`Acceptor::shut`]. Close it before the next
    /// call.
    pub(crate) fn accept_last(&mut self) -> Option<OwnedFd> {
        loop {
            match self.accept_socket() {
                Ok(socket) => return Some(socket),
                Err(Errno::AGAIN | Errno::INVAL) => return None,
                Err(error) => {
                    if self.spare.take().is_none() {
                        tracing::error!(%error, "connections that waited could not be read");
                        return None;
                    }
                }
            }
        }
    }

    fn accept_socket(&self) -> Result<OwnedFd, Errno> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(&self.listener, flags) {
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                accepted => return accepted,
            }
        }
    }
}

fn open_spare() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
