//! Accepts connections. Keeps one spare descriptor: when the process has no other left, a
//! connection is accepted with it and closed, so that clients get an answer instead of blocking in
//! `connect`. Unit: one connection.

use super::peer::Peers;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};
use std::io;

/// What one call of [`Acceptor::accept`] gives.
#[derive(Debug)]
pub enum Accepted {
    /// A connection, and the user id of its peer.
    Connection(OwnedFd, u32),
    /// A connection in the last descriptor, to be closed before the next is accepted.
    LastDescriptor(OwnedFd),
    /// The kernel did not give the peer's credentials; the connection is closed.
    NoCredentials,
    /// No connection waits.
    Empty,
    /// No connection can be accepted for now.
    Failed(Errno),
}

/// The listening socket.
#[derive(Debug)]
pub struct Acceptor {
    listener: OwnedFd,
    /// Closed to accept a connection that is only refused.
    spare: Option<OwnedFd>,
    peers: Peers,
}

impl Acceptor {
    /// For a bound and listening socket that does not block.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new(listener: OwnedFd) -> io::Result<Acceptor> {
        Ok(Acceptor { listener, spare: open_spare(), peers: Peers::new()? })
    }

    /// Accepts from another bound and listening socket from now on.
    pub fn replace(&mut self, listener: OwnedFd) {
        self.listener = listener;
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Accepts the next connection that waits.
    pub fn accept(&mut self) -> Accepted {
        if self.spare.is_none() {
            self.spare = open_spare();
        }
        match self.accept_socket() {
            Ok(socket) => match self.peers.uid(socket) {
                Ok((socket, uid)) => Accepted::Connection(socket, uid),
                Err(_) => Accepted::NoCredentials,
            },
            // the latter after `shut`
            Err(Errno::AGAIN | Errno::INVAL) => Accepted::Empty,
            Err(error) if self.spare.take().is_none() => Accepted::Failed(error),
            Err(_) => match self.accept_socket() {
                Ok(socket) => Accepted::LastDescriptor(socket),
                Err(Errno::AGAIN | Errno::INVAL) => Accepted::Empty,
                Err(error) => Accepted::Failed(error),
            },
        }
    }

    /// Refuses further connections; those that wait already can still be accepted.
    pub fn shut(&self) {
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Read);
    }

    /// After [`Acceptor::shut`]: the next connection that waited. To be closed before the next
    /// call.
    pub fn accept_last(&mut self) -> Option<OwnedFd> {
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
