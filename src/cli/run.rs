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
use crate::console;
use crate::rules::compile::dry_run;
use crate::rules::settings::RuleError;
use crate::telemetry::Telemetry;
use crate::telemetry::log::{Log, Sink, Threshold};
use crate::telemetry::standing::{Door, DoorState};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
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
            console::note(&format!("sidelight: no signal handler: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let mut keeper = Keeper::new(arguments.flags(), environment);
    let loaded = keeper.load_first();
    let complaints = report(&loaded, &mut |text| _ = console::note(text));
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
        rule_complaints(&loaded, &rule_errors, complaints, &mut |text| _ = console::note(text));
    if arguments.strict && !rule_errors.is_empty() {
        return ExitCode::from(2);
    }
    let good = loaded.is_valid() && rule_errors.is_empty();
    let outcome = if good { Outcome::Loaded } else { Outcome::Partial };
    reload.started(complaints, outcome, &loaded.hash());
    keeper.good = loaded.good();
    signals.look = keeper.every();
    let again = move |event| keeper.again(event, &reload);
    let code = app::run(parts, &mut signals, welcome, again).unwrap_or_else(|error| {
        console::note(&format!("sidelight: {error}\n"));
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

/// How long the start waits for the configuration: a volume that hangs must not keep the application,
/// which needs our socket, from starting. Reading and compiling 1 MiB takes a tenth of it.
const START_WAIT: Duration = Duration::from_secs(5);

/// What is remembered of the configuration from one load to the next.
struct Keeper {
    flags: Flags,
    environment: Environment,
    places: Places,
    /// How everything looked when it was read last.
    read: Trace,
    /// How it looks since, and for how many looks it has not stood still.
    changing: Option<(Trace, u32)>,
    good: Good,
}

impl Keeper {
    fn new(flags: Flags, environment: &Environment) -> Keeper {
        let places = config::places(&flags, environment);
        Keeper {
            flags,
            environment: environment.clone(),
            places,
            read: Trace::default(),
            changing: None,
            good: Good::default(),
        }
    }

    /// Loads the configuration for the start. One that cannot be read in time is left out; the first look
    /// takes it over when it can be read.
    fn load_first(&mut self) -> Loaded {
        let (flags, environment, places) =
            (self.flags.clone(), self.environment.clone(), self.places.clone());
        let read = move || {
            // looked at before it is read: what changes meanwhile is seen by the first look
            let trace = places.look();
            let loaded = load(&flags, &environment).in_use();
            let limits = loaded.config.limits;
            let (loaded, _) =
                loaded.settled(|rules| dry_run(rules, limits).err().unwrap_or_default());
            (trace, loaded)
        };
        match within(START_WAIT, read) {
            Some((trace, loaded)) => {
                self.read = trace;
                loaded
            }
            None => config::without_layers(&self.flags, &self.environment, START_WAIT),
        }
    }

    fn every(&self) -> Option<Duration> {
        self.places.can_change().then_some(LOOK)
    }

    /// SIGHUP, or a look that is due.
    fn again(&mut self, event: SignalEvent, reload: &Reload) -> Looked {
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
        let changed = self.load(reload);
        Looked { changed, again: self.every() }
    }

    /// Reads everything again and takes over what can be. Sockets, series and counters stay as they are.
    fn load(&mut self, reload: &Reload) -> bool {
        let loaded = load_again(&self.flags, &self.environment, &self.good).in_use();
        let (loaded, _) = loaded.settled(|rules| reload.refuses(rules));
        let mut tell = |text: &str| {
            if !console::note(text) {
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
                let rules = loaded.config.rules.own.len();
                if valid {
                    tracing::info!(rules, hash, "configuration loaded again");
                } else {
                    tracing::warn!(
                        rules,
                        hash,
                        "configuration loaded again without the files that have errors"
                    );
                }
                true
            }
            Err(errors) => {
                let complaints = rule_complaints(&loaded, &errors, complaints, &mut tell);
                reload.loaded(complaints, Outcome::Refused, &hash);
                tracing::warn!(
                    "configuration not loaded: its rules have errors, all stays as it was"
                );
                false
            }
        }
    }
}

/// What `make` makes on a thread of its own, unless that takes longer.
fn within<T: Send + 'static>(
    wait: Duration,
    make: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, made) = sync_channel(1);
    let work = move || {
        // nobody waits for it any more where it took too long
        let _ = done.send(make());
    };
    let thread = std::thread::Builder::new().name("first load".to_owned()).spawn(work);
    if thread.is_err() {
        return None;
    }
    made.recv_timeout(wait).ok()
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
    for fault in loaded.locate_all(errors) {
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
    console::note(&told);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a configuration that hangs keeps nobody waiting, and one that does not is used.
    #[test]
    fn a_load_that_hangs_is_left_behind() {
        let (release, hangs) = sync_channel::<()>(0);
        let hung = within(Duration::from_millis(1), move || hangs.recv());
        assert!(hung.is_none());
        drop(release);
        assert_eq!(within(Duration::from_mins(1), || 7), Some(7));
        let wait = Duration::from_secs(5);
        let loaded = config::without_layers(&Flags::default(), &Environment::new(), wait);
        assert!(!loaded.is_valid());
        assert!(loaded.faults[0].message.contains("5 s"), "{:?}", loaded.faults);
    }
}
