//! The configuration as it is used: plain values with defaults that work untouched. No YAML, no
//! environment.

use crate::export::endpoint::Protocol;
use crate::health;
use crate::metrics::Limits;
use crate::resource::Resource;
use crate::rules::settings::RulesSettings;
use crate::spans;
use jiff::tz::TimeZone;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The admin port by hand; 9464 is where OpenTelemetry's SDKs put their own exporter.
pub const LISTEN_PORT: u16 = 19464;

/// Everything that can be set.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// False: lines are read, counted and refused, and nothing else is done with them.
    pub enabled: bool,
    /// The stream socket.
    pub socket: SocketSettings,
    /// The datagram socket.
    pub datagram_socket: SocketSettings,
    /// The directory of a logged-in user (`XDG_RUNTIME_DIR`): where sockets go that have no path and
    /// cannot be in `/run/sidelight`.
    pub runtime_directory: Option<PathBuf>,
    /// The longest line in bytes; of a longer one the beginning is kept.
    pub line_bytes_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Where the admin port listens.
    pub listen: ListenSettings,
    /// How it leaves.
    pub mode: Mode,
    /// Between SIGTERM and SIGKILL: `terminationGracePeriodSeconds` of the pod.
    pub grace: Duration,
    /// Lines are read from standard input, too.
    pub stdin: bool,
    /// Where received lines are copied to.
    pub passthrough: Passthrough,
    /// From which level our own log lines are written.
    pub log_level: LogLevel,
    /// The zone of times that name none.
    pub time_zone: TimeZone,
    /// Who we speak for.
    pub resource: Resource,
    /// What series may cost.
    pub limits: Limits,
    /// Creation times are exposed as `_created` series without being asked for.
    pub created_timestamps: bool,
    /// The rules.
    pub rules: RulesSettings,
    /// The verdict on the application.
    pub health: health::settings::Settings,
    /// What becomes a span.
    pub traces: TracesSettings,
    /// Where spans are sent.
    pub export: ExportSettings,
    /// What the end waits for.
    pub final_scrape: FinalScrapeSettings,
    /// Where the binary is copied to before the socket is bound, for containers that wrap their command
    /// with `tee`.
    pub install_directory: Option<PathBuf>,
    /// Leave when every connection of the application is gone: in a Job an ordinary container that stays
    /// keeps the pod from completing.
    pub exit_with_app: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            socket: SocketSettings::default(),
            datagram_socket: SocketSettings::default(),
            runtime_directory: None,
            line_bytes_max: 64 * 1024,
            connections_max: 2048,
            listen: ListenSettings::default(),
            mode: Mode::Native,
            grace: Duration::from_secs(30), // the default of a pod
            stdin: false,
            passthrough: Passthrough::Off,
            log_level: LogLevel::Info,
            time_zone: TimeZone::UTC,
            resource: Resource::default(),
            limits: Limits::default(),
            created_timestamps: false,
            rules: RulesSettings::default(),
            health: health::settings::Settings::default(),
            traces: TracesSettings::default(),
            export: ExportSettings::default(),
            final_scrape: FinalScrapeSettings::default(),
            install_directory: None,
            exit_with_app: false,
        }
    }
}

/// One Unix socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketSettings {
    /// Its file; unset: in the default directory.
    pub path: Option<PathBuf>,
    /// Permission bits of the file.
    pub mode: u32,
    /// Its group, by name or number.
    pub group: Option<String>,
}

impl Default for SocketSettings {
    fn default() -> Self {
        SocketSettings { path: None, mode: 0o660, group: None }
    }
}

/// The admin port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Where to listen instead if that port is taken: the address that `METRICS_PORT` replaced. The
    /// variable is the application's too, and the application may mean a port of its own by it.
    pub fallback: Option<SocketAddr>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, LISTEN_PORT));
        ListenSettings { address, fallback: None }
    }
}

/// How it leaves on SIGTERM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A native sidecar: SIGTERM comes after the application is gone, so it leaves at once.
    Native,
    /// An ordinary container: SIGTERM comes together with the application's, so it stays for its last
    /// lines.
    Classic,
}

impl Mode {
    /// The word in flags, files and the environment.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Classic => "classic",
        }
    }
}

/// Where received lines are copied to, unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passthrough {
    /// Nowhere.
    Off,
    /// To our standard output; a full pipe drops the copy.
    Stdout,
}

impl Passthrough {
    /// The word in flags, files and the environment.
    pub fn name(self) -> &'static str {
        match self {
            Passthrough::Off => "off",
            Passthrough::Stdout => "stdout",
        }
    }
}

/// How much sidelight says about itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Data was lost.
    Error,
    /// Something is wrong, nothing is lost.
    Warn,
    /// What it does when it starts and leaves.
    Info,
    /// Why.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// The word in flags, files and the environment.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// What becomes a span, given somewhere to send it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TracesSettings {
    /// Any at all.
    pub enabled: bool,
    /// Which, and what leaves with them.
    pub spans: spans::Settings,
}

impl Default for TracesSettings {
    fn default() -> Self {
        TracesSettings { enabled: true, spans: spans::Settings::default() }
    }
}

/// Where spans are sent, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportSettings {
    /// The URL to send spans to, complete: with `/v1/traces` for HTTP. Unset: no exporter, no span.
    pub endpoint: Option<String>,
    /// The transport.
    pub protocol: Protocol,
    /// Headers (metadata) of every request.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Spans that may wait.
    pub queue_spans_max: usize,
    /// Spans of one request.
    pub batch_spans_max: usize,
    /// How long a span waits for others at most.
    pub delay: Duration,
}

impl Default for ExportSettings {
    /// OpenTelemetry's defaults (SDK environment variables, OTLP exporter configuration), except that a
    /// span waits one second and not five: what a crash takes with it is less.
    fn default() -> Self {
        ExportSettings {
            endpoint: None,
            protocol: Protocol::Http,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            queue_spans_max: 2048,
            batch_spans_max: 512,
            delay: Duration::from_secs(1),
        }
    }
}

/// The last scrape: the values of the end are held until they were fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalScrapeSettings {
    /// How long they are held at most; zero holds nothing up.
    pub wait: Duration,
    /// How many different scrapers fetch them: two for a pair of Prometheus servers.
    pub scrapers: usize,
}

impl Default for FinalScrapeSettings {
    fn default() -> Self {
        FinalScrapeSettings { wait: Duration::ZERO, scrapers: 1 }
    }
}
