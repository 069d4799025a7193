//! `sidelight run`, and `sidelight` without a command: runs the sidecar.

use crate::app;
use crate::app::compose::{Composed, compose};
use crate::app::reload::{Looked, Outcome, Reload, level};
use crate::app::signals::{SignalEvent, Signals};
use crate::cli::install;
use crate::cli::value::{log_level, said};
use crate::clock::Clock;
use crate::config::document::flag_help;
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
use crate::telemetry::process_status::{ListenerKind, ListenerState};
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

fn listen(text: &str) -> Result<SocketAddr, String> {
    units::listen(text, ListenSettings::default().address).map_err(said)
}

fn mode(text: &str) -> Result<Mode, String> {
    units::choice(text, &units::MODES).map_err(said)
}

/// Runs the sidecar until it is stopped.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    // before anything else: an early stop signal must find the handler
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            console::note(&format!("sidelight: no signal handler: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let mut keeper = ConfigWatcher::new(arguments.flags(), environment);
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
    // before a socket is bound: a process that sees the sidecar started also finds the binary
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

/// How often the configuration is checked for changes: twice in the time within which a change must
/// take effect.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a change is checked again: a file is read when it has not changed for this long.
const STAND_STILL: Duration = Duration::from_millis(100);
/// After this many checks, a file that keeps changing is read as it is.
const RESTLESS_MAX: u32 = 5;

/// How long the start waits for the configuration: a volume that hangs must not prevent the start
/// of the application, which needs our socket. Reading and compiling 1 MiB takes a tenth of it.
const START_WAIT: Duration = Duration::from_secs(5);

/// The state of the configuration that is kept from one load to the next.
struct ConfigWatcher {
    flags: Flags,
    environment: Environment,
    places: Places,
    /// The state of the files when they were last read.
    read: Trace,
    /// The changed state of the files since then, and the number of checks that found another
    /// change.
    changing: Option<(Trace, u32)>,
    good: Good,
}

impl ConfigWatcher {
    fn new(flags: Flags, environment: &Environment) -> ConfigWatcher {
        let places = config::places(&flags, environment);
        ConfigWatcher {
            flags,
            environment: environment.clone(),
            places,
            read: Trace::default(),
            changing: None,
            good: Good::default(),
        }
    }

    /// Loads the configuration for the start. A configuration that cannot be read in time is left
    /// out; the first check loads it once it can be read.
    fn load_first(&mut self) -> Loaded {
        let (flags, environment, places) =
            (self.flags.clone(), self.environment.clone(), self.places.clone());
        let read = move || {
            // recorded before reading: the first check then notices changes made meanwhile
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

    /// Handles SIGHUP, or a check that is due.
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

    /// Loads the configuration again and applies what can change. Sockets, series and counters are
    /// kept.
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

/// Runs `make` on a separate thread and returns its result, or `None` if it takes longer than
/// `wait`.
fn within<T: Send + 'static>(
    wait: Duration,
    make: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, made) = sync_channel(1);
    let work = move || {
        // the receiver is gone if it took too long
        let _ = done.send(make());
    };
    let thread = std::thread::Builder::new().name("first load".to_owned()).spawn(work);
    if thread.is_err() {
        return None;
    }
    made.recv_timeout(wait).ok()
}

/// Reports what is wrong with the configuration; returns it in short form for `/health`.
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

/// Reports rules that could not be compiled, in the same way.
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

/// Returns location and kind of a fault, without the text that it quotes.
fn short(fault: &Fault) -> String {
    match &fault.located {
        Some(at) => format!("{}:{}:{}: {}", at.file, at.line, at.column, fault.path),
        None => fault.path.clone(),
    }
}

/// Writes the first lines: all addresses, and an example command to paste. One write, because
/// standard error is not buffered, and in pieces these lines would take fifty writes.
fn welcome(listeners: &[(ListenerKind, ListenerState)]) {
    let mut told = format!("sidelight {}\n", env!("CARGO_PKG_VERSION"));
    for (kind, state) in listeners {
        let shown = match (kind, state) {
            (ListenerKind::Admin, ListenerState::Open(at)) => {
                format!("http://{at}/metrics  http://{at}/health")
            }
            _ => state.to_string(),
        };
        let _ = writeln!(told, "  {:<16} {shown}", kind.name());
    }
    let datagram = listeners.iter().find(|(kind, _)| *kind == ListenerKind::Datagram);
    if let Some((_, ListenerState::Open(path))) = datagram {
        let line = "method=GET path=/users/17 status=200 duration=12ms";
        let _ =
            writeln!(told, "send a first record:\n  logger --socket {path} --tag shop '{line}'");
    }
    console::note(&told);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a configuration that hangs does not block the start, and one that does not hang
    /// is used.
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
