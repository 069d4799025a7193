//! `sidelight run`, and `sidelight` alone: the sidecar.

use crate::config::environment::Environment;
use crate::config::settings::{ListenSettings, LogLevel, Mode};
use crate::config::{Flags, Loaded, load, units};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

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
    let loaded = load(&arguments.flags(), environment);
    report(&loaded);
    if arguments.strict && !loaded.is_valid() {
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

/// Tells on standard error what is wrong with the configuration.
fn report(loaded: &Loaded) {
    for fault in &loaded.faults {
        eprint!("{fault}");
    }
    if !loaded.is_valid() {
        eprintln!("sidelight: the configuration has errors; its own rules are not used");
    }
}
