//! The configuration as it is used: plain values, with defaults that work unchanged. Knows neither
//! YAML nor the environment.

use crate::export::endpoint::Protocol;
use crate::health;
use crate::metrics::Limits;
use crate::receive::limits::{CONNECTIONS_DEFAULT, LINE_BYTES_DEFAULT};
use crate::resource::Resource;
use crate::rules::settings::RulesSettings;
use crate::spans;
use jiff::tz::TimeZone;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The default admin port; 9464 is where OpenTelemetry's SDKs put their own exporter.
pub const LISTEN_PORT: u16 = 19464;

/// All settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// If false, lines are read, counted and refused, and have no other effect.
    pub enabled: bool,
    /// The stream socket.
    pub socket: SocketSettings,
    /// The datagram socket.
    pub datagram_socket: SocketSettings,
    /// The directory of a logged-in user (`XDG_RUNTIME_DIR`), for sockets without a path that
    /// cannot be in `/run/sidelight`.
    pub runtime_directory: Option<PathBuf>,
    /// The maximum length of a line in bytes; the beginning of a longer line is kept.
    pub line_bytes_max: usize,
    /// The maximum number of simultaneous connections.
    pub connections_max: usize,
    /// The address of the admin port.
    pub listen: ListenSettings,
    /// How the process reacts to SIGTERM.
    pub mode: Mode,
    /// The time between SIGTERM and SIGKILL: `terminationGracePeriodSeconds` of the pod.
    pub grace: Duration,
    /// Also reads lines from standard input.
    pub stdin: bool,
    /// The destination of copies of received lines.
    pub passthrough: Passthrough,
    /// The minimum level of our own log lines.
    pub log_level: LogLevel,
    /// The time zone of times without a zone.
    pub time_zone: TimeZone,
    /// The service that the telemetry describes.
    pub resource: Resource,
    /// The limits of series.
    pub limits: Limits,
    /// Exposes creation times as `_created` series on every scrape.
    pub created_timestamps: bool,
    /// The rules.
    pub rules: RulesSettings,
    /// The policy of the health verdict.
    pub health: health::settings::Settings,
    /// The spans to create.
    pub traces: TracesSettings,
    /// The destination of spans.
    pub export: ExportSettings,
    /// The wait for a final scrape.
    pub final_scrape: FinalScrapeSettings,
    /// The directory that sidelight-tee is copied to before the socket is bound, for containers
    /// that wrap their command with it.
    pub install_directory: Option<PathBuf>,
    /// Ends the process when all connections of the application are closed: an ordinary container
    /// that keeps running prevents a Job from completing.
    pub exit_with_app: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            socket: SocketSettings::default(),
            datagram_socket: SocketSettings::default(),
            runtime_directory: None,
            line_bytes_max: LINE_BYTES_DEFAULT,
            connections_max: CONNECTIONS_DEFAULT,
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

/// A Unix socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketSettings {
    /// The path; if unset, it is in the default directory.
    pub path: Option<PathBuf>,
    /// Permission bits of the file.
    pub mode: u32,
    /// The group, by name or number.
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
    /// The address.
    pub address: SocketAddr,
    /// The address if that port is taken: the one that `METRICS_PORT` replaced. The variable may
    /// also mean a port of the application.
    pub fallback: Option<SocketAddr>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, LISTEN_PORT));
        ListenSettings { address, fallback: None }
    }
}

/// How the process reacts to SIGTERM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A native sidecar: SIGTERM arrives after the application has ended, so the process ends at
    /// once.
    Native,
    /// An ordinary container: SIGTERM arrives at the same time as the application's, so the process
    /// waits for the last lines.
    Classic,
}

impl Mode {
    /// Returns the name in flags, files and the environment.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Classic => "classic",
        }
    }
}

/// The destination of unchanged copies of received lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passthrough {
    /// No copies.
    Off,
    /// Our standard output; if its pipe is full, the copy is dropped.
    Stdout,
}

impl Passthrough {
    /// Returns the name in flags, files and the environment.
    pub fn name(self) -> &'static str {
        match self {
            Passthrough::Off => "off",
            Passthrough::Stdout => "stdout",
        }
    }
}

/// The level of sidelight's own log lines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Data was lost.
    Error,
    /// Something is wrong, but no data was lost.
    Warn,
    /// Steps of the start and the end of the process.
    Info,
    /// Reasons for decisions.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// Returns the name in flags, files and the environment.
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

/// The spans to create, if there is a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TracesSettings {
    /// Creates spans.
    pub enabled: bool,
    /// The kinds of spans, and their attributes.
    pub spans: spans::Settings,
}

impl Default for TracesSettings {
    fn default() -> Self {
        TracesSettings { enabled: true, spans: spans::Settings::default() }
    }
}

/// The destination of spans and the batches to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportSettings {
    /// The complete URL: with `/v1/traces` for HTTP. If unset, there is no exporter, and no spans
    /// are created.
    pub endpoint: Option<String>,
    /// The transport.
    pub protocol: Protocol,
    /// The headers (metadata) of every request.
    pub headers: Vec<(String, String)>,
    /// The timeout of one request.
    pub timeout: Duration,
    /// The maximum number of queued spans.
    pub queue_spans_max: usize,
    /// The maximum number of spans in one request.
    pub batch_spans_max: usize,
    /// The maximum time that a span waits for others.
    pub delay: Duration,
}

impl Default for ExportSettings {
    /// OpenTelemetry's defaults (SDK environment variables, OTLP exporter configuration), except
    /// that a span waits one second instead of five, because a crash then loses less.
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

/// The wait for a final scrape, which fetches the last values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalScrapeSettings {
    /// The maximum wait; zero does not wait.
    pub wait: Duration,
    /// The number of different scrapers to wait for: two for a pair of Prometheus servers.
    pub scrapers: usize,
}

impl Default for FinalScrapeSettings {
    fn default() -> Self {
        FinalScrapeSettings { wait: Duration::ZERO, scrapers: 1 }
    }
}
