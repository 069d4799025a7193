//! The connection to the sidecar. It connects without blocking, tries again after a delay, and
//! gives a connection up at its first error. The caller passes the time. Unit: one connection.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use std::path::Path;
use std::time::Duration;

/// Delay before the second attempt; it doubles with each attempt.
const WAIT_MIN: Duration = Duration::from_millis(50);

/// Longest delay between attempts. A sidecar that was restarted is found again within this time.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A connection that lasted less than this counts as a failed attempt, because the listener closes
/// connections on purpose.
const LIFE_MIN: Duration = Duration::from_secs(5);

/// The connection to one sidecar.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where the sidecar may listen, tried in this order; without paths that no socket can have.
    addresses: Vec<SocketAddrUnix>,
    socket: Option<OwnedFd>,
    since: Duration,
    wait: Duration,
    next: Duration,
}

impl Link {
    /// Creates a link without a connection.
    pub(crate) fn new<P: AsRef<Path>>(paths: &[P]) -> Link {
        let addresses = paths.iter().filter_map(|path| SocketAddrUnix::new(path.as_ref()).ok());
        let addresses = addresses.collect();
        Link {
            addresses,
            socket: None,
            since: Duration::ZERO,
            wait: WAIT_MIN,
            next: Duration::ZERO,
        }
    }

    /// Returns the socket, while there is a connection.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Returns when the next attempt is due, while there is no connection.
    pub(crate) fn due(&self) -> Option<Duration> {
        (self.socket.is_none() && !self.addresses.is_empty()).then_some(self.next)
    }

    /// Connects if there is no connection and an attempt is due.
    pub(crate) fn attempt(&mut self, now: Duration) {
        if self.socket.is_some() || self.addresses.is_empty() || now < self.next {
            return;
        }
        match self.addresses.iter().find_map(|address| connected(address).ok()) {
            Some(socket) => (self.socket, self.since) = (Some(socket), now),
            None => self.put_off(now),
        }
    }

    /// Connects now without waiting for the delay, because the process is about to end.
    pub(crate) fn attempt_at_last(&mut self, now: Duration) {
        self.next = now;
        self.attempt(now);
    }

    /// Sends as many bytes as the socket takes; zero if there is no connection.
    ///
    /// # Errors
    /// Returns an error if the connection is gone.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(socket) = &self.socket else { return Ok(0) };
        match send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            other => other,
        }
    }

    /// Closes the connection.
    pub(crate) fn drop_connection(&mut self, now: Duration) {
        self.socket = None;
        if now.saturating_sub(self.since) >= LIFE_MIN {
            (self.wait, self.next) = (WAIT_MIN, now);
        } else {
            self.put_off(now);
        }
    }

    fn put_off(&mut self, now: Duration) {
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }
}

/// Connects to one address without blocking. A full backlog of a sidecar that hangs counts as a
/// failure.
fn connected(address: &SocketAddrUnix) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, address).map(|()| socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn attempts_come_apart_and_a_sidecar_is_found_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log.sock");
        // nobody listens at the first path; the second is that of the sidecar
        let mut link = Link::new(&[directory.path().join("other.sock"), path.clone()]);
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..8 {
            link.attempt(now);
            let due = link.due().expect("no connection");
            waits.push(due.saturating_sub(now).as_millis());
            link.attempt(due.saturating_sub(MS));
            assert_eq!(link.due(), Some(due), "an attempt before its time");
            now = due;
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(link.send(b"x"), Ok(0), "nothing is sent to nobody");
        let listener = UnixListener::bind(&path).expect("a free path");
        link.attempt(now);
        assert_eq!((link.due(), link.send(b"line\n")), (None, Ok(5)));
        let (mut peer, _) = listener.accept().expect("a connection");
        let mut got = [0; 5];
        peer.read_exact(&mut got).expect("five bytes");
        drop(peer);
        assert_eq!(link.send(b"line\n"), Err(Errno::PIPE));
        // a peer that closes at once is not tried again at once; a peer that stayed is
        link.drop_connection(now + MS);
        assert_eq!(link.due(), Some(now + MS + WAIT_MAX));
        link.attempt_at_last(now + MS);
        assert_eq!(link.due(), None);
        link.drop_connection(now + MS + LIFE_MIN);
        assert_eq!(link.due(), Some(now + MS + LIFE_MIN));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_never_tried() {
        let mut link = Link::new(&["x".repeat(200)]);
        link.attempt(Duration::ZERO);
        assert_eq!((link.due(), link.socket().is_none()), (None, true));
    }
}
