//! What a process is made of. Unit: one process.

use super::doors::Place;
use super::drain::{self, Output};
use super::worker::Pipelines;
use crate::clock::Clock;
use crate::receive::limits::Limits;
use crate::telemetry::Telemetry;
use crate::telemetry::standing::Standing;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What the process is to do.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The bounds of what comes in.
    pub limits: Limits,
    /// The stream socket, if wanted.
    pub stream: Option<Place>,
    /// The datagram socket, if wanted.
    pub datagram: Option<Place>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<PathBuf>,
    /// The admin port, if wanted.
    pub listen: Option<SocketAddr>,
    /// Standard input is read; when it ends, the process drains and leaves.
    pub stdin: bool,
    /// In classic mode: the process leaves when the application has.
    pub exit_with_app: bool,
    /// How the process leaves.
    pub drain: drain::Settings,
}

/// Starts the thread that serves the admin port on a bound listener; called again when that thread
/// has ended.
pub struct Admin(pub Box<dyn Fn(TcpListener) -> io::Result<JoinHandle<()>> + Send + Sync>);

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

/// All that an `App` is made of.
#[derive(Debug)]
pub struct Parts {
    /// What to do.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Where everything is counted.
    pub telemetry: Arc<Telemetry>,
    /// Where everybody sees how we stand.
    pub standing: Arc<Standing>,
    /// What deliveries are handed to.
    pub pipelines: Pipelines,
    /// Who serves the admin port.
    pub admin: Option<Admin>,
    /// What has to be sent before the end.
    pub outputs: Vec<Output>,
}
