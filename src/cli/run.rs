//! `sidelight run`, and `sidelight` alone: the sidecar.

use crate::app;
use crate::app::compose::{Composed, compose};
use crate::app::reload::{Looked, Outcome, Reload, level};
use crate::app::signals::{SignalEvent, Signals};
use crate::cli::install;
use crate::cli::value::{log_level, said};
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::fault::Fault;
use crate::config::layer::{Places, Trace};
use crate::config::part::State;
use crate::config::settings::{ListenSettings, LogLevel, Mode};
use crate::config::{self, Flags, Good, Loaded, load, load_again, units};
use crate::rules::compile::dry_run;
use crate::rules::settings::RuleError;
use crate::telemetry::Telemetry;
use crate::telemetry::log::{Log, Sink, Threshold, tell};
use crate::telemetry::standing::{Door, DoorState};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

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
    let mut keeper = Keeper::new(arguments.flags(), environment);
    let loaded = load(&keeper.flags, environment).in_use();
    let limits = loaded.config.limits;
    let (loaded, _) = loaded.settled(|rules| dry_run(rules, limits).err().unwrap_or_default());
    let complaints = report(&loaded, &mut |text| eprint!("{text}"));
    if arguments.strict && !loaded.is_valid() {
        return ExitCode::from(2);
    }
    let config = &loaded.config;
    let clock = Clock::system();
    let telemetry = Arc::new(Telemetry::new());
    telemetry.watch_process();
    let (threshold, suppressed) =
        (Threshold::new(level(config.log_level)), telemetry.log_suppressed.clone());
    Log::new(threshold.clone(), clock.clone(), suppressed, Sink::Stderr).install();
    // before a socket is bound: whoever finds the sidecar started finds the binary, too
    if let Some(directory) = &config.install_directory
        && let Err(error) = install::place(directory)
    {
        tracing::warn!("{error}; what is to be wrapped with it cannot start");
    }
    let Composed { parts, reload, rule_errors } = compose(config, &clock, &telemetry, &threshold);
    let complaints =
        rule_complaints(&loaded, &rule_errors, complaints, &mut |text| eprint!("{text}"));
    if arguments.strict && !rule_errors.is_empty() {
        return ExitCode::from(2);
    }
    let good = loaded.is_valid() && rule_errors.is_empty();
    let outcome = if good { Outcome::Loaded } else { Outcome::Partial };
    reload.started(complaints, outcome, &loaded.hash());
    keeper.good = loaded.good();
    signals.look = keeper.every();
    let again = |event| keeper.again(event, environment, &reload);
    let code = app::run(parts, &mut signals, welcome, again).unwrap_or_else(|error| {
        eprintln!("sidelight: {error}");
        1
    });
    ExitCode::from(code)
}

/// How often it is looked whether the configuration changed: twice in the time in which a change is to be
/// in force.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a change is looked at again: a file is read when it has stood still for this long.
const STAND_STILL: Duration = Duration::from_millis(100);
/// After so many looks at a file that is written and written it is read as it is.
const RESTLESS_MAX: u32 = 5;

/// What is remembered of the configuration from one load to the next.
struct Keeper {
    flags: Flags,
    places: Places,
    /// How everything looked when it was read last.
    read: Trace,
    /// How it looks since, and for how many looks it has not stood still.
    changing: Option<(Trace, u32)>,
    good: Good,
}

impl Keeper {
    /// Before the first load: what changes during it is seen by the first look.
    fn new(flags: Flags, environment: &Environment) -> Keeper {
        let places = config::places(&flags, environment);
        let read = places.look();
        Keeper { flags, places, read, changing: None, good: Good::default() }
    }

    fn every(&self) -> Option<Duration> {
        self.places.can_change().then_some(LOOK)
    }

    /// SIGHUP, or a look that is due.
    fn again(&mut self, event: SignalEvent, environment: &Environment, reload: &Reload) -> Looked {
        let seen = self.places.look();
        if event == SignalEvent::Look {
            let looks = match &self.changing {
                _ if seen == self.read => {
                    self.changing = None;
                    return Looked { changed: false, again: self.every() };
                }
                Some((before, _)) if *before == seen => RESTLESS_MAX,
                Some((_, looks)) => looks + 1,
                None => 0,
            };
            if looks < RESTLESS_MAX {
                self.changing = Some((seen, looks));
                return Looked { changed: false, again: Some(STAND_STILL) };
            }
        }
        (self.read, self.changing) = (seen, None);
        let changed = self.load(environment, reload);
        Looked { changed, again: self.every() }
    }

    /// Reads everything again and takes over what can be. Sockets, series and counters stay as they are.
    fn load(&mut self, environment: &Environment, reload: &Reload) -> bool {
        let loaded = load_again(&self.flags, environment, &self.good).in_use();
        let (loaded, _) = loaded.settled(|rules| reload.refuses(rules));
        // a log that nobody reads must not hold this thread up, which hears SIGTERM
        let mut tell = |text: &str| {
            if !tell(text) {
                reload.unsaid();
            }
        };
        let mut complaints = report(&loaded, &mut tell);
        let hash = loaded.hash();
        match reload.apply(&loaded.config) {
            Ok(waiting) => {
                self.good = loaded.good();
                if !waiting.is_empty() {
                    let settings = waiting.join(", ");
                    tracing::warn!(settings, "changed settings that take effect at a restart");
                    complaints.push(format!("take effect at a restart: {settings}"));
                }
                let valid = loaded.is_valid();
                let outcome = if valid { Outcome::Loaded } else { Outcome::Partial };
                reload.loaded(complaints, outcome, &hash);
                tracing::info!(rules = loaded.config.rules.own.len(), hash, "rules loaded again");
                true
            }
            Err(errors) => {
                let complaints = rule_complaints(&loaded, &errors, complaints, &mut tell);
                reload.loaded(complaints, Outcome::Refused, &hash);
                tracing::warn!("rules have errors; everything stays as it was");
                false
            }
        }
    }
}

/// Tells what is wrong with the configuration, and gives it in short for `/health`.
fn report(loaded: &Loaded, tell: &mut dyn FnMut(&str)) -> Vec<String> {
    let mut complaints = Vec::new();
    for fault in &loaded.faults {
        tell(&fault.to_string());
        complaints.push(short(fault));
    }
    for (layer, state) in loaded.broken() {
        let stead = match state {
            State::Kept => "what it said before stays",
            State::InForce | State::LeftOut => "its rules are not used",
        };
        tell(&format!("sidelight: {layer} has errors; {stead}\n"));
        complaints.push(format!("{layer} has errors; {stead}"));
    }
    complaints
}

/// The same for rules that could not be compiled.
fn rule_complaints(
    loaded: &Loaded,
    errors: &[RuleError],
    mut complaints: Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Vec<String> {
    for error in errors {
        let fault = loaded.locate(error);
        tell(&fault.to_string());
        complaints.push(short(&fault));
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
