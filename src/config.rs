//! As written -> as used. A file, the environment and flags are laid over the defaults; whatever is
//! wrong is told at once and with its place, and what is right stays in use. Nothing below knows YAML
//! or the environment. The environment comes in as a map; the one thing read from outside is the file.
//! Unit: one configuration.
//!
//! Precedence, the later wins: defaults; names that the application shares with us (`LOG_LEVEL`,
//! `METRICS_PORT`, `ENABLE_METRICS`, `ENVIRONMENT`); the file; `SIDELIGHT_*` and `OTEL_*`; flags.

pub mod environment;
pub mod fault;
mod file;
pub mod injector;
mod lint;
pub mod print;
mod reader;
mod rules;
pub mod settings;
mod tree;
pub mod units;

#[cfg(test)]
mod tests;

use crate::rules::settings::RuleError;
use environment::Environment;
use fault::{Fault, Level};
use rules::Places;
use settings::{Config, LogLevel, Mode};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tree::Source;

/// What the command line says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The stream socket's file.
    pub socket: Option<PathBuf>,
    /// The datagram socket's file.
    pub datagram_socket: Option<PathBuf>,
    /// Where the admin port listens.
    pub listen: Option<SocketAddr>,
    /// How it leaves.
    pub mode: Option<Mode>,
    /// Lines are read from standard input, too.
    pub stdin: bool,
    /// From which level our own log lines are written.
    pub log_level: Option<LogLevel>,
}

/// A configuration, what is wrong with it, and where its rules stand.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Where a value is wrong, what was there before stays. Its rules are all that could be read,
    /// half-read ones among them, so that `check` can compile them; to be used: [`Loaded::usable`].
    pub config: Config,
    /// All that is wrong, in the order of the file, then of the environment.
    pub faults: Vec<Fault>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    source: Source,
    places: Places,
}

impl Loaded {
    /// The configuration to start with: what is wrong in the file must not keep an application from
    /// starting, and so of a file with errors the settings count that could be read, and no rule of its
    /// own.
    pub fn usable(&self) -> Config {
        let mut config = self.config.clone();
        if !self.is_valid() {
            config.rules.own.clear();
        }
        config
    }

    /// Whether nothing but warnings was found.
    pub fn is_valid(&self) -> bool {
        self.faults.iter().all(|fault| fault.level == Level::Warning)
    }

    /// An error of compiling the rules as a fault of the file that they stand in.
    pub fn locate(&self, error: &RuleError) -> Fault {
        self.places.locate(&self.source, error)
    }
}

/// Loads the file that the flags or the environment name, and lays all over the defaults.
pub fn load(flags: &Flags, environment: &Environment) -> Loaded {
    let named = environment.get(environment::CONFIG).filter(|path| !path.is_empty());
    let path = flags.config.clone().or_else(|| named.map(PathBuf::from));
    let Some(path) = path else { return overlay(None, flags, environment) };
    let name = path.display().to_string();
    let mut loaded = match read(&path) {
        Ok(text) => overlay(Some(Source { name, text }), flags, environment),
        Err(message) => {
            let mut loaded = overlay(None, flags, environment);
            loaded.faults.insert(
                0,
                Fault {
                    level: Level::Error,
                    path: name,
                    message: format!("the configuration cannot be read: {message}"),
                    hint: Some("the built-in rules and the defaults need no file".to_owned()),
                    located: None,
                },
            );
            loaded
        }
    };
    loaded.file = Some(path);
    loaded
}

/// The same with a text in place of a file; `name` stands in its faults.
pub fn parse(name: &str, text: &str, flags: &Flags, environment: &Environment) -> Loaded {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    overlay(Some(source), flags, environment)
}

/// The text of a file, at most one byte more than the limit, which `tree` then refuses.
fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(tree::FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is no UTF-8", error.utf8_error().valid_up_to()))
}

fn overlay(source: Option<Source>, flags: &Flags, environment: &Environment) -> Loaded {
    let mut config = Config::default();
    let shared = environment::apply_shared(environment, &mut config);
    let source = source.unwrap_or_default();
    let (mut faults, places) = written(&source, &mut config);
    faults.extend(shared);
    faults.extend(environment::apply(environment, &mut config));
    set_flags(flags, &mut config);
    Loaded { config, faults, file: None, source, places }
}

/// Lays the file over `config`.
fn written(source: &Source, config: &mut Config) -> (Vec<Fault>, Places) {
    let root = match tree::read(source) {
        Ok(Some(root)) => root,
        Ok(None) => return (Vec::new(), Places::default()),
        Err(fault) => return (vec![*fault], Places::default()),
    };
    let mut reader = reader::Reader::new(source);
    let places = file::apply(&mut reader, &root, config);
    let mut faults = reader.faults;
    let place = |fault: &Fault| fault.located.as_ref().map_or((0, 0), |l| (l.line, l.column));
    faults.sort_by_key(place);
    (faults, places)
}

fn set_flags(flags: &Flags, config: &mut Config) {
    if flags.socket.is_some() {
        config.socket.path.clone_from(&flags.socket);
    }
    if flags.datagram_socket.is_some() {
        config.datagram_socket.path.clone_from(&flags.datagram_socket);
    }
    if let Some(address) = flags.listen {
        config.listen.address = address;
        config.listen.fallback = None;
    }
    config.mode = flags.mode.unwrap_or(config.mode);
    config.stdin |= flags.stdin;
    config.log_level = flags.log_level.unwrap_or(config.log_level);
}
