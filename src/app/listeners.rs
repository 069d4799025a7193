//! Opens the listeners that the configuration asks for, and retries them as often as necessary. A
//! listener that cannot be opened never ends the process: the application must start whatever is
//! wrong with the sidecar, and `/readyz` reports the problem. Unit: one listener.
//!
//! Decision: if a configured path cannot be bound, no other path replaces it, because no
//! application would look there. The path is retried every second instead, since the cause (a
//! process that is exiting, a volume that is mounted late) often disappears.

use crate::receive::bind::error::Problem;
use crate::receive::bind::place::{RUN_DIRECTORY, default_directory};
use crate::receive::bind::{self, Access, Bound, SocketKind};
use crate::telemetry::process_status::{ListenerKind, ListenerState, ProcessStatus};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// File name of the stream socket if no path is configured.
pub const STREAM_NAME: &str = "log.sock";

/// File name of the datagram socket if no path is configured.
pub const DATAGRAM_NAME: &str = "log.dgram.sock";

/// A configured Unix socket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SocketLocation {
    /// The configured path; if None, the socket is created in the default directory.
    pub path: Option<PathBuf>,
    /// Mode, group and directory of the socket.
    pub access: Access,
}

impl SocketLocation {
    /// Returns the path and its access. Without a configured path, uses `name` in the default
    /// directory.
    pub fn resolve(&self, name: &str, runtime: Option<&Path>) -> (PathBuf, Access) {
        let mut access = self.access.clone();
        if let Some(path) = &self.path {
            let is_default = path.parent() == Some(Path::new(RUN_DIRECTORY));
            access.open_directory = access.group.is_some() && is_default;
            return (path.clone(), access);
        }
        let (directory, private) = default_directory(runtime);
        if private {
            access.private_directory = true;
            access.directory_mode = 0o700;
        }
        // The user's runtime directory also holds files of other programs, so its mode is not
        // changed.
        access.open_directory = access.group.is_some() && Some(directory.as_path()) != runtime;
        (directory.join(name), access)
    }
}

/// A configured listener that is not open yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The stream socket.
    Stream(PathBuf, Access),
    /// The datagram socket.
    Datagram(PathBuf, Access),
    /// The admin port.
    Admin(SocketAddr),
}

/// An open listener.
#[derive(Debug)]
pub enum Opened {
    /// The stream socket.
    Stream(Bound),
    /// The datagram socket.
    Datagram(Bound),
    /// The admin port.
    Admin(TcpListener),
}

impl Wanted {
    /// Returns the kind of the listener.
    pub fn kind(&self) -> ListenerKind {
        match self {
            Wanted::Stream(..) => ListenerKind::Stream,
            Wanted::Datagram(..) => ListenerKind::Datagram,
            Wanted::Admin(_) => ListenerKind::Admin,
        }
    }

    /// Returns the path of a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Wanted::Stream(path, _) | Wanted::Datagram(path, _) => Some(path),
            Wanted::Admin(_) => None,
        }
    }

    /// Tries once to open the listener and publishes the result in `process_status`. Logs a problem only
    /// if it differs from the published one.
    ///
    /// # Errors
    /// Returns an error if the listener cannot be opened now.
    pub fn open(&self, process_status: &ProcessStatus) -> Result<Opened, NotOpen> {
        let unix = |kind, path: &Path, access| {
            bind::unix(kind, path, access).map_err(|error| {
                let is_in_use = error.problem == Problem::InUse;
                (error.to_string(), if is_in_use { NotOpen::InUse } else { NotOpen::Failed })
            })
        };
        let tried = match self {
            Wanted::Stream(path, access) => unix(SocketKind::Stream, path, access)
                .map(|bound| (Opened::Stream(bound), path.display().to_string())),
            Wanted::Datagram(path, access) => unix(SocketKind::Datagram, path, access)
                .map(|bound| (Opened::Datagram(bound), path.display().to_string())),
            Wanted::Admin(address) => bind::tcp(*address)
                .and_then(|listener| {
                    let at = listener.local_addr()?.to_string();
                    Ok((Opened::Admin(listener), at))
                })
                .map_err(|error| (format!("cannot listen on {address}: {error}"), NotOpen::Failed)),
        };
        match tried {
            Ok((opened, at)) => {
                process_status.set_listener(self.kind(), ListenerState::Open(at));
                Ok(opened)
            }
            Err((why, not_open)) => {
                let stuck = ListenerState::Stuck(why);
                let known = process_status.listeners().contains(&(self.kind(), stuck.clone()));
                if !known {
                    tracing::warn!(
                        listener = self.kind().name(),
                        "{stuck}; trying again every second"
                    );
                }
                process_status.set_listener(self.kind(), stuck);
                Err(not_open)
            }
        }
    }
}

/// Why a listener is not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotOpen {
    /// Another process listens on the path of the socket.
    InUse,
    /// Any other reason.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_cannot_be_opened_says_why_and_is_opened_later() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log.sock");
        std::fs::write(&path, "precious").expect("a file in the way");
        let process_status = ProcessStatus::new();
        let wanted = Wanted::Stream(path.clone(), Access::default());
        assert_eq!(wanted.open(&process_status).err(), Some(NotOpen::Failed));
        let listeners = process_status.listeners();
        let (ListenerKind::Stream, ListenerState::Stuck(why)) = &listeners[0] else {
            panic!("{listeners:?}")
        };
        assert!(why.contains("a file stands there"), "{why}");
        assert!(!process_status.is_started());
        std::fs::remove_file(&path).expect("the way is free");
        let opened = wanted.open(&process_status);
        assert!(matches!(opened, Ok(Opened::Stream(_))) && process_status.is_started());
    }

    /// A worker of nginx got "permission denied" in the default directory, although the socket
    /// belonged to its group.
    #[test]
    fn a_group_passes_through_the_default_directory_only() {
        let runtime = tempfile::tempdir().expect("a temporary directory");
        let with = |group: Option<&str>, path: Option<PathBuf>| {
            let group = group.map(str::to_owned);
            let place = SocketLocation { path, access: Access { group, ..Access::default() } };
            let (path, access) = place.resolve(DATAGRAM_NAME, Some(runtime.path()));
            (path.starts_with(runtime.path()), access.open_directory)
        };
        let (in_runtime, is_open) = with(Some("www-data"), None);
        assert_eq!(is_open, !in_runtime, "never the user's runtime directory");
        assert!(!with(None, None).1, "nobody was let in");
        assert!(with(Some("www-data"), Some("/run/sidelight/log.sock".into())).1);
        assert!(!with(Some("www-data"), Some("/srv/log.sock".into())).1, "not ours to change");
    }

    #[test]
    fn a_taken_admin_port_is_no_end() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("its address");
        let process_status = ProcessStatus::new();
        assert!(Wanted::Admin(address).open(&process_status).is_err());
        drop(taken);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log.sock");
        let other = std::os::unix::net::UnixListener::bind(&path).expect("the way is free");
        let wanted = Wanted::Stream(path, Access::default());
        assert_eq!(wanted.open(&ProcessStatus::new()).err(), Some(NotOpen::InUse));
        drop(other);
        assert!(Wanted::Admin(address).open(&process_status).is_ok());
        assert!(process_status.is_ready(std::time::Duration::ZERO));
    }
}
