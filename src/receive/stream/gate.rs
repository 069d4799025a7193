//! Who comes in: the listening socket, and one spare descriptor, so that nobody hangs before a full house.
//! Unit: one connection.

use super::peer::Peers;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};
use std::io;

/// The next who waited.
#[derive(Debug)]
pub enum Came {
    /// A connection, and the user id behind it.
    Writer(OwnedFd, u32),
    /// A connection in the last descriptor, to be closed before the next is asked for.
    OneTooMany(OwnedFd),
    /// A connection of which the kernel would not say whose it is; it is closed.
    Unknown,
    /// Nobody waits.
    Nobody,
    /// Nobody can be let in for now.
    Stuck(Errno),
}

/// The listening socket.
#[derive(Debug)]
pub struct Gate {
    listener: OwnedFd,
    /// Given up to take in somebody only to refuse: better for them than a hang.
    spare: Option<OwnedFd>,
    peers: Peers,
}

impl Gate {
    /// For a bound and listening socket that does not block.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new(listener: OwnedFd) -> io::Result<Gate> {
        Ok(Gate { listener, spare: spare(), peers: Peers::new()? })
    }

    /// What to watch.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Takes the next who waits.
    pub fn take(&mut self) -> Came {
        if self.spare.is_none() {
            self.spare = spare();
        }
        match self.accept() {
            Ok(socket) => match self.peers.uid(socket) {
                Ok((socket, uid)) => Came::Writer(socket, uid),
                Err(_) => Came::Unknown,
            },
            Err(Errno::AGAIN) => Came::Nobody,
            Err(error) if self.spare.take().is_none() => Came::Stuck(error),
            Err(_) => match self.accept() {
                Ok(socket) => Came::OneTooMany(socket),
                Err(Errno::AGAIN) => Came::Nobody,
                Err(error) => Came::Stuck(error),
            },
        }
    }

    /// Lets nobody wait any more; who waits already can still be taken.
    pub fn shut(&self) {
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Read);
    }

    /// After [`Gate::shut`]: the next of those who waited. To be closed before the next is asked for.
    pub fn last(&mut self) -> Option<OwnedFd> {
        loop {
            match self.accept() {
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

    fn accept(&self) -> Result<OwnedFd, Errno> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(&self.listener, flags) {
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                accepted => return accepted,
            }
        }
    }
}

fn spare() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
