//! The configuration as it is used: plain values with defaults that work untouched. No YAML, no
//! environment.

use crate::metrics::Limits;
use crate::resource::Resource;
use crate::rules::settings::RulesSettings;
use jiff::tz::TimeZone;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The admin port by hand; 9464 is where OpenTelemetry's SDKs put their own exporter.
pub const LISTEN_PORT: u16 = 19464;

/// Everything that can be set.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
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
    pub health: HealthSettings,
    /// What becomes a span.
    pub traces: TracesSettings,
    /// Where spans are sent.
    pub export: ExportSettings,
}

impl Default for Config {
    fn default() -> Self {
        Config {
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
            health: HealthSettings::default(),
            traces: TracesSettings::default(),
            export: ExportSettings::default(),
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

/// When the application counts as ill, from its log.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HealthSettings {
    /// How far back is counted.
    pub window: Duration,
    /// Records of severity ERROR and above, among all records.
    pub errors: RatioSettings,
    /// Answers with a 5xx status, among all finished requests.
    pub http_errors: RatioSettings,
    /// How long a record of severity FATAL makes it ill; zero never does.
    pub fatal: Duration,
    /// A line that must come again and again.
    pub heartbeat: Option<HeartbeatSettings>,
    /// For how long all must be well again before the verdict is.
    pub recover: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        HealthSettings {
            window: Duration::from_mins(1),
            errors: RatioSettings::default(),
            http_errors: RatioSettings::default(),
            fatal: Duration::from_mins(5),
            heartbeat: None,
            recover: Duration::from_secs(30),
        }
    }
}

/// Thresholds of a share of failures, each from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RatioSettings {
    /// From here on it warns.
    pub warn: f64,
    /// From here on it fails.
    pub fail: f64,
    /// With fewer events in the window the share says nothing.
    pub events_min: u64,
}

impl Default for RatioSettings {
    /// Below 20 events, one failure more or less moves the share by over 5 %.
    fn default() -> Self {
        RatioSettings { warn: 0.05, fail: 0.5, events_min: 20 }
    }
}

/// A line that must come again and again; rules with `health: heartbeat` say which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeartbeatSettings {
    /// How often.
    pub every: Duration,
    /// How much later it may come, and how long after the start the first.
    pub grace: Duration,
}

/// What becomes a span, given somewhere to send it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TracesSettings {
    /// Any at all.
    pub enabled: bool,
    /// Functions, jobs and phrases as well, not only requests and queries.
    pub internal_spans: bool,
    /// Message and stack trace of exceptions leave with their type; they may quote what a user typed.
    pub exception_text: bool,
}

impl Default for TracesSettings {
    fn default() -> Self {
        TracesSettings { enabled: true, internal_spans: true, exception_text: false }
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
            protocol: Protocol::HttpProtobuf,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            queue_spans_max: 2048,
            batch_spans_max: 512,
            delay: Duration::from_secs(1),
        }
    }
}

/// How OTLP is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Protobuf in HTTP requests.
    HttpProtobuf,
    /// gRPC.
    Grpc,
}

impl Protocol {
    /// OpenTelemetry's word.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::Grpc => "grpc",
        }
    }
}
