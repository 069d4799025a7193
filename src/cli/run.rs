//! `sidelight run`, and `sidelight` without a command: runs the sidecar.

mod complaints;
mod config_watcher;

use crate::app;
use crate::app::compose::{Composed, compose};
use crate::app::reload::{Outcome, level};
use crate::app::signals::Signals;
use crate::cli::install;
use crate::cli::value::log_level;
use crate::clock::Clock;
use crate::config::document::flag_help;
use crate::config::environment::Environment;
use crate::config::settings::{ListenSettings, LogLevel, Mode};
use crate::config::units::{self, Refused};
use crate::config::{Flags, Loaded};
use crate::console;
use crate::telemetry::Telemetry;
use crate::telemetry::log::{Log, Sink, Threshold};
use crate::telemetry::process_status::{ListenerKind, ListenerState};
use complaints::{report, rule_complaints};
use config_watcher::{ConfigWatcher, START_WAIT, START_WAIT_STRICT};
use std::fmt::Write as _;
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
    #[arg(long, value_name = "PATH", help = flag_help("socket"))]
    #[allow(missing_docs)] // the table of settings says it
    pub socket: Option<PathBuf>,
    #[arg(long, value_name = "PATH", help = flag_help("datagram-socket"))]
    #[allow(missing_docs)]
    pub datagram_socket: Option<PathBuf>,
    #[arg(long, value_name = "HOST:PORT", value_parser = listen, help = flag_help("listen"))]
    #[allow(missing_docs)]
    pub listen: Option<SocketAddr>,
    #[arg(long, value_name = "MODE", value_parser = mode, help = flag_help("mode"))]
    #[allow(missing_docs)]
    pub mode: Option<Mode>,
    #[arg(long, help = flag_help("stdin"))]
    #[allow(missing_docs)]
    pub stdin: bool,
    #[arg(long, value_name = "LEVEL", value_parser = log_level, help = flag_help("log-level"))]
    #[allow(missing_docs)]
    pub log_level: Option<LogLevel>,
    /// Do not start with a configuration that has errors
    #[arg(long)]
    pub strict: bool,
}

impl Arguments {
    /// Returns the flags that the arguments set.
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

fn listen(text: &str) -> Result<SocketAddr, Refused> {
    units::listen(text, ListenSettings::default().address)
}

fn mode(text: &str) -> Result<Mode, Refused> {
    units::choice(text, &units::MODES)
}

/// Runs the sidecar until it is stopped.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    // before anything else: an early stop signal must find the handler
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            console::note(&format!("sidelight: cannot install the signal handlers: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let mut watcher = ConfigWatcher::new(arguments.flags(), environment);
    let read = watcher.reader();
    let wait = if arguments.strict { START_WAIT_STRICT } else { START_WAIT };
    let loaded = watcher.load_first(wait, read);
    run_loaded(&loaded, arguments.strict, watcher, &mut signals, welcome)
}

/// Runs the sidecar with the configuration that was loaded for the start.
fn run_loaded(
    loaded: &Loaded,
    strict: bool,
    mut watcher: ConfigWatcher,
    signals: &mut Signals,
    started: impl FnOnce(&[(ListenerKind, ListenerState)]),
) -> ExitCode {
    let complaints = report(loaded, &mut |text| _ = console::note(text));
    if strict && !loaded.is_valid() {
        return ExitCode::from(2);
    }
    let config = &loaded.config;
    let clock = Clock::system();
    let telemetry = Arc::new(Telemetry::new());
    telemetry.watch_process();
    let (threshold, suppressed) =
        (Threshold::new(level(config.log_level)), telemetry.log_suppressed.clone());
    Log::new(threshold.clone(), clock.clone(), suppressed, Sink::Stderr).install();
    // before a socket is bound: a process that sees the sidecar started also finds the binary
    if let Some(directory) = &config.install_directory
        && let Err(error) = install::place(directory)
    {
        tracing::warn!("{error}; containers that wrap their command with it cannot start");
    }
    let Composed { parts, mut reload, rule_errors } =
        compose(config, &clock, &telemetry, &threshold);
    let complaints =
        rule_complaints(loaded, &rule_errors, complaints, &mut |text| _ = console::note(text));
    if strict && !rule_errors.is_empty() {
        return ExitCode::from(2);
    }
    let good = loaded.is_valid() && rule_errors.is_empty();
    let outcome = if good { Outcome::Loaded } else { Outcome::Partial };
    reload.started(complaints, outcome, &loaded.hash());
    watcher.good = loaded.good();
    signals.look = watcher.every();
    let again = move |event| watcher.again(event, &mut reload);
    let code = app::run(parts, signals, started, again).unwrap_or_else(|error| {
        console::note(&format!("sidelight: {error}\n"));
        1
    });
    ExitCode::from(code)
}

/// Writes the first lines: all addresses, and an example command to paste. One write, because
/// standard error is not buffered, and in pieces these lines would take fifty writes.
fn welcome(listeners: &[(ListenerKind, ListenerState)]) {
    let mut text = format!("sidelight {}\n", env!("CARGO_PKG_VERSION"));
    for (kind, state) in listeners {
        let shown = match (kind, state) {
            (ListenerKind::Admin, ListenerState::Open(at)) => {
                format!("http://{at}/metrics  http://{at}/health")
            }
            _ => state.to_string(),
        };
        let _ = writeln!(text, "  {:<16} {shown}", kind.name());
    }
    let datagram = listeners.iter().find(|(kind, _)| *kind == ListenerKind::Datagram);
    if let Some((_, ListenerState::Open(path))) = datagram {
        let line = "method=GET path=/users/17 status=200 duration=12ms";
        let _ =
            writeln!(text, "send a first record:\n  logger --socket {path} --tag shop '{line}'");
    }
    console::note(&text);
}

#[cfg(test)]
mod tests;
