//! Opens the doors: Unix sockets with the mode and group that were asked for, and the admin port.
//! For `app` only. Unit: one socket.
//!
//! A path in a shared volume belongs to whoever can write there. So: nothing is followed at the end
//! of the path, nothing is removed but a socket that nobody listens on, modes and groups are set on
//! what was opened and looked at, never on a path, and no process-wide mask is touched (threads
//! run).

pub mod error;
pub mod place;

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

/// Connections that wait to be accepted; the kernel cuts it at `net.core.somaxconn`. When they are
/// full, an application hangs in `connect`.
const BACKLOG: i32 = 4096;

/// The same for the admin port. std asks for 128: connections that come and go at once fill that
/// within a millisecond, and the next, a kubelet's among them, waits a second for its second SYN.
/// `serve` takes in 3,200 a second of those that say nothing, so that who waits behind this many is
/// heard in a third of one.
const BACKLOG_ADMIN: i32 = 1024;

/// How long a lock that somebody holds may delay the start.
const LOCK_WAIT_MAX: Duration = Duration::from_millis(50);

/// Between two attempts to get it.
const LOCK_LOOK: Duration = Duration::from_millis(1);

/// Which kind of Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Lines.
    Stream,
    /// One record a datagram.
    Datagram,
}

impl Kind {
    fn socket_type(self) -> SocketType {
        match self {
            Kind::Stream => SocketType::STREAM,
            Kind::Datagram => SocketType::DGRAM,
        }
    }
}

/// Who may use a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// The mode of the socket: who may write may connect.
    pub mode: u32,
    /// The mode of its directory, where it has to be made.
    pub directory_mode: u32,
    /// The group of socket and made directory, by number or by name; ours when absent.
    pub group: Option<String>,
    /// The directory must be ours and nobody else may write there: for one under `/tmp`, where
    /// anybody may have made it first.
    pub private_directory: bool,
    /// The directory is a default one of ours: everybody may pass through it, so that the group reaches
    /// its socket. The sockets' own modes decide who connects.
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

/// A bound socket and the file that leads to it.
#[derive(Debug)]
pub struct Bound {
    /// Bound, listening if it is a stream, does not block.
    pub socket: OwnedFd,
    /// The file, to be removed at the end.
    pub file: SocketFile,
}

/// The file of a socket that we bound.
#[derive(Debug)]
pub struct SocketFile {
    /// Where it is.
    pub path: PathBuf,
    directory: OwnedFd,
    /// Device and inode, so that another's socket at the same path is left alone.
    identity: (u64, u64),
}

impl SocketFile {
    /// Removes the file, if it is still the one that we made.
    pub fn remove(&self) {
        let Some(name) = self.path.file_name() else { return };
        if let Ok(stat) = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
            && identity(&stat) == self.identity
        {
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        }
    }

    /// True while the path leads to the file that we made: false once it was removed or replaced,
    /// or its directory was.
    pub fn is_there(&self) -> bool {
        rustix::fs::lstat(&self.path).is_ok_and(|stat| identity(&stat) == self.identity)
    }
}

/// Binds a Unix socket at `path`. Its directory is made if it is missing, its parents are not. A
/// socket file on which nobody listens is replaced.
///
/// # Errors
/// Whatever is in the way, with the path, both sides' ids and what to do.
pub fn unix(kind: Kind, path: &Path, access: &Access) -> Result<Bound, BindError> {
    bind_unix(kind, path, access).map_err(|problem| BindError { path: path.to_owned(), problem })
}

fn bind_unix(kind: Kind, path: &Path, access: &Access) -> Result<Bound, Problem> {
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
    // two starting at once must not take each other for dead; held until this function returns
    let _lock = lock(&directory);
    make_way(kind, &directory, path, name)?;

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind.socket_type(), flags, None)
        .map_err(Problem::Socket)?;
    let mode = Mode::from_raw_mode(access.mode & 0o777);
    // the file's mode is this one less the process' mask: narrower at most, never wider, from its
    // first moment
    rustix::fs::fchmod(&socket, mode).map_err(Problem::Socket)?;
    let address = SocketAddrUnix::new(path).map_err(Problem::Socket)?;
    rustix::net::bind(&socket, &address).map_err(|errno| in_the_way(&directory, name, errno))?;
    let stat = grant(&directory, name, mode, group, &mut refused)?;
    for problem in refused {
        tracing::warn!(path = %path.display(), "bound all the same: {problem}");
    }
    if kind == Kind::Stream {
        rustix::net::listen(&socket, BACKLOG).map_err(Problem::Socket)?;
    }
    let file = SocketFile { path: path.to_owned(), directory, identity: identity(&stat) };
    Ok(Bound { socket, file })
}

/// Gives the file that was just bound its group and mode: on an open handle that was looked at, so
/// that whoever puts something else in its place gains nothing. A file system that refuses one of
/// them (virtiofs) or a missing `/proc` leaves the file as it is, with a mode no wider than asked
/// for, and `refused` tells what.
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
        // a handle opened by path only has no fchmod; its entry in /proc leads to the very same
        // file
        let handle = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        if let Err(errno) = rustix::fs::chmod(&handle, mode) {
            refused.push(Problem::Mode(errno));
        }
    }
    Ok(stat)
}

/// Makes sure that nothing is at `name`: removes a socket on which nobody listens, refuses
/// everything else.
fn make_way(kind: Kind, directory: &OwnedFd, path: &Path, name: &OsStr) -> Result<(), Problem> {
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
    match knock(kind, path) {
        Err(Errno::CONNREFUSED) => {}
        // gone meanwhile
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ACCESS | Errno::PERM) => return Err(Problem::Locked(Owner::of(&stat))),
        Ok(()) | Err(_) => return Err(Problem::InUse),
    }
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Problem::Stale { errno, owner: owner(directory) }),
    }
}

/// Whether somebody listens: a wrong type of socket and a full queue say so as well.
fn knock(kind: Kind, path: &Path) -> Result<(), Errno> {
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

/// Locks the directory for the moment of binding. Goes on without the lock after [`LOCK_WAIT_MAX`]:
/// others hold it for microseconds, and whoever holds it longer must not delay the start.
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

/// Binds a TCP port; it does not block. `[::]` takes IPv4 as well, whatever `net.ipv6.bindv6only`
/// says. Where the kernel has no IPv6, `[::]` means `0.0.0.0` and `[::1]` means `127.0.0.1`.
///
/// # Errors
/// The address is in use, or is not one of this machine.
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
    // as std does: a port whose connections are still winding down can be bound again
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
