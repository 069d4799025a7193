//! Describes why a socket could not be bound: what happened, where, the ids of both sides, and what
//! to do. Unit: one attempt.

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use std::fmt;
use std::path::PathBuf;

/// The kernel's `sun_path` holds 108 bytes, a closing NUL included.
pub(crate) const PATH_BYTES_MAX: usize = 107;

/// A failed attempt to bind a Unix socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BindError {
    /// The path of the socket.
    pub path: PathBuf,
    /// The cause.
    pub problem: Problem,
}

/// The cause of a failed attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The path does not fit into the kernel's address.
    TooLong {
        /// The length of the path.
        bytes: usize,
    },
    /// The path has no last part.
    NoName,
    /// The parent of the socket's directory is missing.
    NoParent,
    /// The socket's directory is missing and cannot be created.
    Parent {
        /// The kernel's error.
        errno: Errno,
        /// The owner of the parent directory.
        owner: Option<Owner>,
    },
    /// The socket's directory is a dangling link, or not a directory.
    DirectoryLink,
    /// The socket's directory cannot be used.
    Directory {
        /// The kernel's error.
        errno: Errno,
        /// The owner of the directory.
        owner: Option<Owner>,
    },
    /// The default directory under `/tmp` belongs to another user.
    Foreign,
    /// The path is a symbolic link.
    Link,
    /// The path exists but is not a socket.
    NotASocket(FileType),
    /// Another process listens on the socket.
    InUse,
    /// The path is a socket to which we may not connect, so we cannot find out whether somebody
    /// listens.
    Locked(Owner),
    /// Nobody listens on the existing socket, but it cannot be removed.
    Stale {
        /// The kernel's error.
        errno: Errno,
        /// The owner of the directory.
        owner: Option<Owner>,
    },
    /// No group has this name.
    NoGroup(String),
    /// The group of the file cannot be set.
    Group {
        /// The number of the group.
        group: u32,
        /// The kernel's error.
        errno: Errno,
    },
    /// The mode cannot be set.
    Mode(Errno),
    /// Another process replaced the socket during its setup.
    Swapped(Errno),
    /// The kernel refused to create a socket.
    Socket(Errno),
}

/// The owner of a file, and its permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Owner {
    /// Reads the owner from `stat`.
    pub fn of(stat: &Stat) -> Owner {
        Owner { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, gid {}, mode {:04o}", self.uid, self.gid, self.mode)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Parent { errno, .. }
            | Problem::Directory { errno, .. }
            | Problem::Stale { errno, .. }
            | Problem::Group { errno, .. }
            | Problem::Mode(errno)
            | Problem::Swapped(errno)
            | Problem::Socket(errno) => Some(errno),
            Problem::TooLong { .. }
            | Problem::NoName
            | Problem::NoParent
            | Problem::DirectoryLink
            | Problem::Foreign
            | Problem::Link
            | Problem::NotASocket(_)
            | Problem::InUse
            | Problem::Locked(_)
            | Problem::NoGroup(_) => None,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot bind {}: {}", self.path.display(), self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::TooLong { bytes } => write!(
                f,
                "the path has {bytes} bytes, a socket's may have {PATH_BYTES_MAX}; choose a shorter one"
            ),
            Problem::NoName => f.write_str("the path names no file"),
            Problem::NoParent => f.write_str(
                "the directory above its directory does not exist; make it, or mount a volume there",
            ),
            Problem::Parent { errno, owner } => {
                write!(f, "its directory does not exist and cannot be made ({errno}")?;
                sides(f, "the directory above it", *owner)?;
                f.write_str("); make it writable, or set another --socket")
            }
            Problem::DirectoryLink => f.write_str(
                "its directory is a link to nowhere or no directory; remove it, or set another --socket",
            ),
            Problem::Directory { errno, owner } => {
                write!(f, "its directory cannot be used ({errno}")?;
                sides(f, "the directory", *owner)?;
                f.write_str("); make it writable for us, or set another --socket")
            }
            Problem::Foreign => f.write_str(
                "its directory is writable for others; set --socket to a path of your own",
            ),
            Problem::Link => {
                f.write_str("a symbolic link stands there and is not followed; remove it")
            }
            Problem::NotASocket(kind) => write!(
                f,
                "{} stands there, not a socket; it is left alone: move it, or set another path",
                kind_name(*kind)
            ),
            Problem::InUse => f.write_str(
                "another process listens there (a second sidelight?); stop it, or set another path",
            ),
            Problem::Locked(owner) => write!(
                f,
                "a socket of {owner} stands there that we (uid {}, gid {}) may not connect to, so it \
                 is unknown whether a process listens; remove it if none does",
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw()
            ),
            Problem::Stale { errno, owner } => {
                write!(f, "a socket without a listener stands there and cannot be removed ({errno}")?;
                sides(f, "the directory", *owner)?;
                f.write_str("); remove it")
            }
            Problem::NoGroup(name) => {
                write!(f, "no group is named {name:?} here; give its number instead")
            }
            Problem::Group { group, errno } => write!(
                f,
                "the group {group} cannot be given ({errno}); we must be a member of it (uid {}, gid {})",
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw()
            ),
            Problem::Mode(errno) => write!(f, "its mode cannot be set ({errno})"),
            Problem::Swapped(errno) => write!(
                f,
                "something else was put in its place while it was set up ({errno}); who else writes there?"
            ),
            Problem::Socket(errno) => write!(f, "the kernel refused ({errno})"),
        }
    }
}

/// Writes the ids of both sides.
fn sides(f: &mut fmt::Formatter<'_>, what: &str, owner: Option<Owner>) -> fmt::Result {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    write!(f, "; we are uid {uid}, gid {gid}")?;
    owner.map_or(Ok(()), |owner| write!(f, ", {what} has {owner}"))
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Fifo => "a named pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Symlink => "a symbolic link",
        FileType::Socket => "a socket",
        FileType::Unknown => "something",
    }
}
