//! `sidelight run`, and `sidelight` alone: the sidecar.

use crate::app;
use crate::app::compose::{Composed, Reload, compose};
use crate::app::signals::Signals;
use crate::cli::install;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::fault::Fault;
use crate::config::settings::{ListenSettings, LogLevel, Mode};
use crate::config::{Flags, Loaded, load, units};
use crate::rules::settings::RuleError;
use crate::telemetry::Telemetry;
use crate::telemetry::log::{Log, Sink};
use crate::telemetry::standing::{Door, DoorState};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The sidecar's arguments.
#[derive(Clone, PartialEq, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stream socket for log lines [env: SIDELIGHT_SOCKET] [default: log.sock in /run/sidelight]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Datagram socket for log lines and syslog [env: SIDELIGHT_DATAGRAM_SOCKET]
    #[arg(long, value_name = "PATH")]
    pub datagram_socket: Option<PathBuf>,
    /// Address of /metrics and /health [env: SIDELIGHT_LISTEN] [default: 127.0.0.1:19464]
    #[arg(long, value_name = "HOST:PORT", value_parser = listen)]
    pub listen: Option<SocketAddr>,
    /// How it leaves on SIGTERM: native (the application is gone before) or classic (it leaves at the
    /// same time) [env: SIDELIGHT_MODE] [default: native]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub mode: Option<Mode>,
    /// Read log lines from standard input, too [env: SIDELIGHT_STDIN]
    #[arg(long)]
    pub stdin: bool,
    /// What sidelight says about itself: error, warn, info, debug or trace [env: SIDELIGHT_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub log_level: Option<LogLevel>,
    /// Do not start with a configuration that has errors
    #[arg(long)]
    pub strict: bool,
}

impl Arguments {
    /// What they say about the configuration.
    pub fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            socket: self.socket.clone(),
            datagram_socket: self.datagram_socket.clone(),
            listen: self.listen,
            mode: self.mode,
            stdin: self.stdin,
            log_level: self.log_level,
        }
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    units::listen(text, ListenSettings::default().address).map_err(said)
}

fn mode(text: &str) -> Result<Mode, String> {
    units::choice(text, &units::MODES).map_err(said)
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    units::choice(text, &units::LOG_LEVELS).map_err(said)
}

/// A refusal in one line, as clap wants it.
fn said(refused: units::Refused) -> String {
    match refused.hint {
        Some(hint) => format!("{}; {hint}", refused.message),
        None => refused.message,
    }
}

/// Runs the sidecar until it is told to leave.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    // first of all: a stop that comes early must find the handler
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("sidelight: no signal handler: {error}");
            return ExitCode::FAILURE;
        }
    };
    let flags = arguments.flags();
    let loaded = load(&flags, environment);
    let complaints = report(&loaded);
    if arguments.strict && !loaded.is_valid() {
        return ExitCode::from(2);
    }
    let config = loaded.usable();
    let clock = Clock::system();
    let telemetry = Arc::new(Telemetry::new());
    telemetry.watch_process();
    let suppressed = telemetry.log_suppressed.clone();
    Log::new(level(config.log_level), clock.clone(), suppressed, Sink::Stderr).install();
    // before a socket is bound: whoever finds the sidecar started finds the binary, too
    if let Some(directory) = &config.install_directory
        && let Err(error) = install::place(directory)
    {
        tracing::warn!("{error}; what is to be wrapped with it cannot start");
    }
    let Composed { parts, reload, rule_errors } = compose(&config, &clock, &telemetry);
    let complaints = rule_complaints(&loaded, &rule_errors, complaints);
    if arguments.strict && !rule_errors.is_empty() {
        return ExitCode::from(2);
    }
    reload.told(complaints, loaded.is_valid() && rule_errors.is_empty());
    let again = || again(&flags, environment, &reload);
    let code = app::run(parts, &mut signals, welcome, again).unwrap_or_else(|error| {
        eprintln!("sidelight: {error}");
        1
    });
    ExitCode::from(code)
}

/// Tells on standard error what is wrong with the configuration, and gives it in short for `/health`.
fn report(loaded: &Loaded) -> Vec<String> {
    for fault in &loaded.faults {
        eprint!("{fault}");
    }
    if !loaded.is_valid() {
        eprintln!("sidelight: the configuration has errors; its own rules are not used");
    }
    loaded.faults.iter().map(short).collect()
}

/// The same for rules that could not be compiled.
fn rule_complaints(
    loaded: &Loaded,
    errors: &[RuleError],
    mut complaints: Vec<String>,
) -> Vec<String> {
    for error in errors {
        let fault = loaded.locate(error);
        eprint!("{fault}");
        complaints.push(short(&fault));
    }
    if !errors.is_empty() {
        eprintln!("sidelight: rules have errors; the built-in rules run");
    }
    complaints
}

/// Place and kind of a fault, without the text that it quotes.
fn short(fault: &Fault) -> String {
    match &fault.located {
        Some(at) => format!("{}:{}:{}: {}", at.file, at.line, at.column, fault.path),
        None => fault.path.clone(),
    }
}

/// SIGHUP: the rules are read again. Sockets, series and counters stay as they are.
fn again(flags: &Flags, environment: &Environment, reload: &Reload) {
    let loaded = load(flags, environment);
    let complaints = report(&loaded);
    if !loaded.is_valid() {
        reload.told(complaints, false);
        tracing::warn!("the configuration has errors; the rules stay as they were");
        return;
    }
    match reload.rules(&loaded.config.rules) {
        Ok(()) => {
            reload.told(complaints, true);
            tracing::info!(rules = loaded.config.rules.own.len(), "rules loaded again");
        }
        Err(errors) => {
            reload.told(rule_complaints(&loaded, &errors, complaints), false);
            tracing::warn!("rules have errors; they stay as they were");
        }
    }
}

/// The first lines: where everything is, and a line to paste. In one write: standard error keeps nothing
/// back, and piece by piece these lines are fifty.
fn welcome(doors: &[(Door, DoorState)]) {
    let mut told = format!("sidelight {}\n", env!("CARGO_PKG_VERSION"));
    for (door, state) in doors {
        let shown = match (door, state) {
            (Door::Admin, DoorState::Open(at)) => {
                format!("http://{at}/metrics  http://{at}/health")
            }
            _ => state.to_string(),
        };
        let _ = writeln!(told, "  {:<16} {shown}", door.name());
    }
    let datagram = doors.iter().find(|(door, _)| *door == Door::Datagram);
    if let Some((_, DoorState::Open(path))) = datagram {
        let line = "method=GET path=/users/17 status=200 duration=12ms";
        let _ =
            writeln!(told, "send a first record:\n  logger --socket {path} --tag shop '{line}'");
    }
    // nobody may read standard error
    let _ = std::io::stderr().write_all(told.as_bytes());
}

fn level(level: LogLevel) -> tracing::Level {
    match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    }
}
