//! The parts that a process is built from. Unit: one process.

use super::drain::{self, Output};
use super::listeners::SocketLocation;
use super::worker::Pipelines;
use crate::clock::Clock;
use crate::config::settings::{Config, SocketSettings};
use crate::receive::bind::Access;
use crate::receive::limits::Limits;
use crate::telemetry::Telemetry;
use crate::telemetry::process_status::ProcessStatus;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What the process does.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Limits of what applications can send.
    pub limits: Limits,
    /// The Unix sockets.
    pub sockets: Sockets,
    /// The address of the admin port, if it is enabled.
    pub listen: Option<SocketAddr>,
    /// Reads standard input; at its end, the process drains and exits.
    pub stdin: bool,
    /// In classic mode, the process exits after the application has.
    pub exit_with_app: bool,
    /// How the process drains.
    pub drain: drain::Settings,
}

/// The Unix sockets that the process listens on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sockets {
    /// The stream socket, if it is enabled.
    pub stream: Option<SocketLocation>,
    /// The datagram socket, if it is enabled.
    pub datagram: Option<SocketLocation>,
    /// The value of `$XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<PathBuf>,
}

impl Sockets {
    /// Returns the sockets that a configuration asks for.
    pub fn new(config: &Config) -> Sockets {
        let place = |of: &SocketSettings| {
            let (path, group) = (of.path.clone(), of.group.clone());
            Some(SocketLocation {
                path,
                access: Access { mode: of.mode, group, ..Access::default() },
            })
        };
        Sockets {
            stream: place(&config.socket),
            datagram: place(&config.datagram_socket),
            runtime_directory: config.runtime_directory.clone(),
        }
    }
}

/// Starts the thread that serves the admin port on a bound listener. Called again if that thread
/// has ended.
pub struct Admin(pub Box<dyn Fn(TcpListener) -> io::Result<JoinHandle<()>> + Send + Sync>);

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

/// Everything that an `App` is built from.
#[derive(Debug)]
pub struct AppSetup {
    /// What the process does.
    pub settings: Settings,
    /// The clock of the process.
    pub clock: Clock,
    /// The metrics that sidelight keeps about itself.
    pub telemetry: Arc<Telemetry>,
    /// The status of the process, which the admin port reports.
    pub process_status: Arc<ProcessStatus>,
    /// Creates the pipelines that process the lines.
    pub pipelines: Pipelines,
    /// Starts the server of the admin port.
    pub admin: Option<Admin>,
    /// Outputs that must send their items before the process exits.
    pub outputs: Vec<Output>,
}
