//! Binds Unix sockets with the configured mode and group, and the admin port. Used by `app` only.
//! Unit: one socket.
//!
//! Anybody who can write to a shared volume controls the paths in it. So this module never follows
//! a link at the end of a path, removes nothing but a socket on which nobody listens, sets modes
//! and groups on open handles that it has checked and never on a path, and does not change the
//! umask of the process, which all threads share.

pub(crate) mod error;
pub(crate) mod place;

use error::{BindError, Owner, PATH_BYTES_MAX, Problem};
use place::{group_id, open_directory};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The number of connections that may wait for `accept`; the kernel caps it at
/// `net.core.somaxconn`. Above it, an application blocks in `connect`.
const BACKLOG: i32 = 4096;

/// The same for the admin port. The standard library requests 128: connections that open and close
/// at once fill that within a millisecond, and the next connection, perhaps the kubelet's, waits a
/// second for its second SYN. `serve` accepts 3,200 silent connections a second, so a connection
/// behind this many waits a third of a second.
const BACKLOG_ADMIN: i32 = 1024;

/// How long a lock that another process holds may delay the start.
const LOCK_WAIT_MAX: Duration = Duration::from_millis(50);

/// The interval between two attempts to take the lock.
const LOCK_LOOK: Duration = Duration::from_millis(1);

/// The kind of a Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketKind {
    /// A stream of lines.
    Stream,
    /// One record per datagram.
    Datagram,
}

impl SocketKind {
    fn socket_type(self) -> SocketType {
        match self {
            SocketKind::Stream => SocketType::STREAM,
            SocketKind::Datagram => SocketType::DGRAM,
        }
    }
}

/// The permissions of a socket and its directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// The mode of the socket. A process needs write permission to connect.
    pub mode: u32,
    /// The mode of its directory, if the directory has to be created.
    pub directory_mode: u32,
    /// The group of the socket and of a created directory, by number or by name; our group if None.
    pub group: Option<String>,
    /// The directory must belong to us and nobody else may write there. Used under `/tmp`, where
    /// another user may have created it first.
    pub private_directory: bool,
    /// The directory is one of our default directories, and everybody may pass through it, so that
    /// the group reaches its socket. The modes of the sockets decide who can connect.
    pub open_directory: bool,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            mode: 0o660,
            directory_mode: 0o750,
            group: None,
            private_directory: false,
            open_directory: false,
        }
    }
}

/// A bound socket and its file.
#[derive(Debug)]
pub struct Bound {
    /// The socket: bound, non-blocking, and listening if it is a stream.
    pub socket: OwnedFd,
    /// The file, which is removed at the end.
    pub file: SocketFile,
}

/// The file of a socket that we bound.
#[derive(Debug)]
pub struct SocketFile {
    /// The path of the file.
    pub path: PathBuf,
    directory: OwnedFd,
    /// Device and inode, so that a socket of another process at the same path is not removed.
    identity: (u64, u64),
}

impl SocketFile {
    /// Removes the file if it is still the one that we created.
    pub fn remove(&self) {
        let Some(name) = self.path.file_name() else { return };
        if let Ok(stat) = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
            && identity(&stat) == self.identity
        {
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        }
    }

    /// Returns true while the path leads to the file that we created: false after the file or its
    /// directory was removed or replaced.
    pub fn is_there(&self) -> bool {
        rustix::fs::lstat(&self.path).is_ok_and(|stat| identity(&stat) == self.identity)
    }
}

/// Binds a Unix socket at `path`. Creates its directory if that is missing, but not the parents of
/// the directory. Replaces a socket file on which nobody listens.
///
/// # Errors
/// Returns the cause with the path, the ids of both sides and what to do.
pub fn unix(kind: SocketKind, path: &Path, access: &Access) -> Result<Bound, BindError> {
    bind_unix(kind, path, access).map_err(|problem| BindError { path: path.to_owned(), problem })
}

fn bind_unix(kind: SocketKind, path: &Path, access: &Access) -> Result<Bound, Problem> {
    let length = path.as_os_str().len();
    if length > PATH_BYTES_MAX {
        return Err(Problem::TooLong { bytes: length });
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Problem::NoName);
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let group = access.group.as_deref().map(group_id).transpose()?;
    let mut refused = Vec::new();
    let directory = open_directory(parent, access.directory_mode, group, &mut refused)?;
    if access.private_directory && !place::is_private(&directory) {
        return Err(Problem::Foreign);
    }
    if access.open_directory {
        place::let_through(&directory);
    }
    // Two processes that start at once must not take each other's socket for stale. The lock is
    // held until this function returns.
    let _lock = lock(&directory);
    make_way(kind, &directory, path, name)?;

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind.socket_type(), flags, None)
        .map_err(Problem::Socket)?;
    let mode = Mode::from_raw_mode(access.mode & 0o777);
    // The file gets this mode less the umask of the process, so it is never wider than configured,
    // not even for a moment.
    rustix::fs::fchmod(&socket, mode).map_err(Problem::Socket)?;
    let address = SocketAddrUnix::new(path).map_err(Problem::Socket)?;
    rustix::net::bind(&socket, &address).map_err(|errno| in_the_way(&directory, name, errno))?;
    let stat = grant(&directory, name, mode, group, &mut refused)?;
    for problem in refused {
        tracing::warn!(path = %path.display(), "bound all the same: {problem}");
    }
    if kind == SocketKind::Stream {
        rustix::net::listen(&socket, BACKLOG).map_err(Problem::Socket)?;
    }
    let file = SocketFile { path: path.to_owned(), directory, identity: identity(&stat) };
    Ok(Bound { socket, file })
}

/// Sets group and mode of the file that was just bound. Uses an open handle that it has checked, so
/// that an attacker who replaces the file gains nothing. If the file system refuses a change
/// (virtiofs) or `/proc` is missing, the file stays as it is, with a mode no wider than configured,
/// and the problem is added to `refused`.
fn grant(
    directory: &OwnedFd,
    name: &OsStr,
    mode: Mode,
    group: Option<u32>,
    refused: &mut Vec<Problem>,
) -> Result<Stat, Problem> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(Problem::Swapped)?;
    let stat = rustix::fs::fstat(&file).map_err(Problem::Swapped)?;
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket || !ours {
        return Err(Problem::Swapped(Errno::STALE));
    }
    if let Some(group) = group
        && stat.st_gid != group
    {
        let gid = Some(rustix::fs::Gid::from_raw(group));
        if let Err(errno) = rustix::fs::chownat(&file, "", None, gid, AtFlags::EMPTY_PATH) {
            refused.push(Problem::Group { group, errno });
        }
    }
    if stat.st_mode & 0o777 != mode.as_raw_mode() {
        // A handle that was opened with O_PATH has no fchmod; its entry in /proc leads to the same
        // file.
        let handle = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        if let Err(errno) = rustix::fs::chmod(&handle, mode) {
            refused.push(Problem::Mode(errno));
        }
    }
    Ok(stat)
}

/// Makes sure that nothing exists at `name`: removes a socket on which nobody listens and refuses
/// everything else.
fn make_way(
    kind: SocketKind,
    directory: &OwnedFd,
    path: &Path,
    name: &OsStr,
) -> Result<(), Problem> {
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(Problem::Directory { errno, owner: owner(directory) }),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => {}
        FileType::Symlink => return Err(Problem::Link),
        other => return Err(Problem::NotASocket(other)),
    }
    match probe_listener(kind, path) {
        Err(Errno::CONNREFUSED) => {}
        // The file disappeared in the meantime.
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ACCESS | Errno::PERM) => return Err(Problem::Locked(Owner::of(&stat))),
        Ok(()) | Err(_) => return Err(Problem::InUse),
    }
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Problem::Stale { errno, owner: owner(directory) }),
    }
}

/// Probes whether somebody listens. A socket of another type and a full backlog also count as yes.
fn probe_listener(kind: SocketKind, path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind.socket_type(), flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn in_the_way(directory: &OwnedFd, name: &OsStr, errno: Errno) -> Problem {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            Problem::Directory { errno, owner: owner(directory) }
        }
        Errno::ADDRINUSE => match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Problem::Link,
            _ => Problem::InUse,
        },
        errno => Problem::Socket(errno),
    }
}

/// Locks the directory while a socket is bound. Continues without the lock after [`LOCK_WAIT_MAX`]:
/// well-behaved processes hold it for microseconds, and a process that holds it longer must not
/// delay the start.
fn lock(directory: &OwnedFd) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(directory, ".", flags, Mode::empty()).ok()?;
    let mut waited = Duration::ZERO;
    loop {
        match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(handle),
            Err(Errno::WOULDBLOCK | Errno::INTR) if waited < LOCK_WAIT_MAX => {
                std::thread::sleep(LOCK_LOOK);
                waited += LOCK_LOOK;
            }
            Err(_) => return None,
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn owner(directory: &impl AsFd) -> Option<Owner> {
    rustix::fs::fstat(directory).ok().map(|stat| Owner::of(&stat))
}

/// Binds a non-blocking TCP socket. `[::]` also accepts IPv4, whatever the value of
/// `net.ipv6.bindv6only`. If the kernel has no IPv6, `[::]` means `0.0.0.0` and `[::1]` means
/// `127.0.0.1`.
///
/// # Errors
/// Returns an error if the address is in use or does not belong to this machine.
pub fn tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let bound = bind_tcp(address).or_else(|error| {
        let fallback = match address.ip() {
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST,
            IpAddr::V4(_) | IpAddr::V6(_) => return Err(error),
        };
        if error == Errno::ADDRINUSE {
            return Err(error);
        }
        bind_tcp((fallback, address.port()).into())
    })?;
    rustix::net::listen(&bound, BACKLOG_ADMIN)?;
    Ok(TcpListener::from(bound))
}

fn bind_tcp(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Like the standard library: a port with connections in TIME_WAIT can be bound again.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
