//! As written -> as used. A file, the environment and flags are laid over the defaults; whatever is
//! wrong is told at once and with its place, and what is right stays in use. Nothing below knows YAML
//! or the environment. The environment comes in as a map; the one thing read from outside are the files.
//! Unit: one configuration.
//!
//! Every setting is a row of [`table`]; files, variables, printing, schema and documentation come from there.
//!
//! Precedence, the later wins: defaults; names that the application shares with us (`LOG_LEVEL`,
//! `METRICS_PORT`, `ENABLE_METRICS`, `ENVIRONMENT`); the layers of the cluster, the namespace and the pod;
//! the file; `SIDELIGHT_*` and `OTEL_*`; flags. Layers are merged key by key, and their rules by name.
//!
//! Decision: a layer with errors never takes the others with it. At a reload what it said before stays; where
//! there is no before, its settings count as far as they can be read and its rules do not.

mod collector;
mod configmap;
pub mod document;
pub mod environment;
mod expand;
pub mod fault;
mod file;
mod finals;
pub mod kind;
pub mod layer;
mod lint;
pub mod part;
pub mod print;
pub mod reader;
mod rules;
pub mod setting;
pub mod settings;
pub mod table;
pub mod tree;
pub mod units;

#[cfg(test)]
mod tests;

use crate::export::endpoint::Endpoint;
use crate::rules::settings::{RuleError, RulesSettings};
use environment::Environment;
use fault::{Fault, Faults, Level};
use layer::{Layer, Places, Rank};
use part::{Origin, Part, State};
use reader::Reader;
use settings::{Config, LogLevel, Mode};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tree::Node;
use units::Refused;

/// The text of a regular file that is no larger than a configuration may be by more than a byte; it is opened
/// without waiting.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_file(path: &Path) -> Result<String, String> {
    layer::read(path)
}

/// Checks a configuration that is a value of another file, such as `defaults` of the injector's: its faults
/// are added to the reader's.
pub fn check_value(reader: &mut Reader<'_>, value: &Node) {
    file::apply(reader, value, &mut Config::default());
}

/// The base URL of an OTLP collector that sidecars are given: as `export.endpoint` accepts it, and with
/// `$(NAME)` for what Kubernetes puts in.
///
/// # Errors
/// It is no URL that spans can be sent to.
pub fn otlp_endpoint(text: &str) -> Result<String, Refused> {
    collector::endpoint_template(text)
}

/// The value of a header of every OTLP request, as `export.headers` accepts it.
///
/// # Errors
/// HTTP does not allow it, or it is one of those that frame a request.
pub fn otlp_header(name: &str, value: &str) -> Result<String, Refused> {
    collector::header(name, value)
}

/// A prefix of metric names, as `metrics.prefix` accepts it.
///
/// # Errors
/// No metric can begin with it.
pub fn metric_prefix(text: &str) -> Result<String, Refused> {
    rules::prefix(text)
}

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
    /// half-read ones among them, so that `check` can compile them; to be used: [`Loaded::in_use`].
    pub config: Config,
    /// What is wrong, in the order of the layers and their lines, then of the environment: the first
    /// [`fault::FAULTS_MAX`], and a last one that counts the others.
    pub faults: Vec<Fault>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Shared, because texts and trees may be as large as all that is beside them.
    request: Arc<Request>,
    parts: Vec<Arc<Part>>,
    /// Where each of the rules comes from.
    origins: Vec<Origin>,
}

/// The texts that were in force, by the names of their layers: what stays where a newer one has errors.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Good(BTreeMap<String, String>);

impl Good {
    /// The files that a directory had when it could still be read; any other layer as it is.
    fn stand_in(&self, layer: Layer) -> Vec<Layer> {
        let Err(why) = &layer.text else { return vec![layer] };
        let directory = format!("{}/", layer.name);
        let names = self.0.keys().filter(|name| name.starts_with(&directory));
        let files = names.map(|name| Layer::new(layer.rank, name.clone(), Err(why.clone())));
        let files: Vec<Layer> = files.collect();
        if files.is_empty() { vec![layer] } else { files }
    }
}

/// What a configuration is made of.
#[derive(Clone, Default, Debug)]
struct Request {
    flags: Flags,
    environment: Environment,
    layers: Vec<Layer>,
    /// What was wrong before any layer could be read.
    faults: Faults,
    good: Good,
    /// Earlier layers are not known: what these switch off may be there.
    alone: bool,
    /// Layers whose rules do not compile, with what is wrong.
    condemned: BTreeMap<String, Faults>,
}

impl Loaded {
    /// The configuration to start with: what is wrong in a file must not keep an application from
    /// starting, and so of a layer with errors the settings count that could be read, and no rule.
    pub fn usable(&self) -> Config {
        self.in_use().config
    }

    /// The same, with where its rules come from.
    #[must_use]
    pub fn in_use(&self) -> Loaded {
        let mut used = self.clone();
        (used.config.rules.own, used.origins) = part::merge(&used.parts, false);
        used
    }

    /// Whether nothing but warnings was found.
    pub fn is_valid(&self) -> bool {
        self.faults.iter().all(|fault| fault.level == Level::Warning)
    }

    /// An error of compiling the rules as a fault of the layer that they stand in.
    pub fn locate(&self, error: &RuleError) -> Fault {
        let (part, error) = match self.origin(error) {
            Some((part, error)) => (part, error),
            // a prefix stands in the last layer that has one
            None => match self.parts.iter().rev().find(|part| part.find(&error.path).is_some()) {
                Some(part) => (&**part, error.clone()),
                None => return rules::Places::default().locate(&tree::Source::default(), error),
            },
        };
        part.said.places.locate(&part.source, &error)
    }

    /// Errors of compiling as faults, the first of them and a count.
    pub fn locate_all(&self, errors: &[RuleError]) -> Vec<Fault> {
        let mut faults = Faults::default();
        for error in errors {
            faults.add(Level::Error, || self.locate(error));
        }
        faults.into_list()
    }

    /// The layer of a rule's error, and the error with the rule's number there.
    fn origin(&self, error: &RuleError) -> Option<(&Part, RuleError)> {
        let (index, rest) = error.path.strip_prefix('[')?.split_once(']')?;
        let origin = self.origins.get(index.parse::<usize>().ok()?)?;
        let path = format!("[{}]{rest}", origin.rule);
        Some((&self.parts[origin.part], RuleError { path, ..error.clone() }))
    }

    /// The same without the rules of the layers in which these errors lie; None where one lies in none that
    /// could be left out.
    #[must_use]
    fn without(&self, errors: &[RuleError]) -> Option<Loaded> {
        let mut request = (*self.request).clone();
        for error in errors {
            let (part, _) = self.origin(error)?;
            let faults = request.condemned.entry(part.source.name.clone()).or_default();
            faults.add(Level::Error, || self.locate(error));
        }
        let fewer = errors.is_empty() || request.condemned.len() == self.request.condemned.len();
        let file = self.file.clone();
        (!fewer).then(|| Loaded { file, ..assemble(request) }.in_use())
    }

    /// Without the rules of layers in which `refuses` finds errors, as long as there are some that could be
    /// left out; and the errors that lie in none.
    #[must_use]
    pub fn settled(
        mut self,
        refuses: impl Fn(&RulesSettings) -> Vec<RuleError>,
    ) -> (Loaded, Vec<RuleError>) {
        loop {
            let errors = refuses(&self.config.rules);
            match self.without(&errors) {
                Some(fewer) => self = fewer,
                None => return (self, errors),
            }
        }
    }

    /// What stays of each layer where a later text of it has errors.
    pub fn good(&self) -> Good {
        let good = self.parts.iter().filter(|part| part.state != State::LeftOut);
        Good(good.map(|part| (part.source.name.clone(), part.source.text.clone())).collect())
    }

    /// Layers that are not in force as they are written, and what counts in their stead.
    pub fn broken(&self) -> impl Iterator<Item = (&str, State)> {
        let broken = self.parts.iter().filter(|part| part.state != State::InForce);
        broken.map(|part| (part.source.name.as_str(), part.state))
    }

    /// The names of the layers that were read, the later wins.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.source.name.as_str())
    }

    /// Where a fault stands: the number of its layer, line and column; those without a place behind all.
    pub fn order(&self, fault: &Fault) -> (usize, usize, usize) {
        let Some(located) = &fault.located else { return (usize::MAX, 0, 0) };
        let layer = self.parts.iter().position(|part| part.source.file() == located.file);
        (layer.unwrap_or(usize::MAX), located.line, located.column)
    }

    /// A number for the texts in force, the same wherever the same texts are: 64 bits of FNV-1a in hexadecimal
    /// digits.
    pub fn hash(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        for part in self.parts.iter().filter(|part| part.state != State::LeftOut) {
            part.source.text.bytes().for_each(&mut take);
            take(0);
        }
        format!("{hash:016x}")
    }
}

/// Where the flags and the environment say that there are layers.
pub fn places(flags: &Flags, environment: &Environment) -> Places {
    Places::of(flags.config.as_deref(), environment)
}

/// Loads the layers that the flags and the environment name, and lays all over the defaults.
pub fn load(flags: &Flags, environment: &Environment) -> Loaded {
    load_again(flags, environment, &Good::default())
}

/// The same in a process that runs: where a layer has errors, what it said before stays.
pub fn load_again(flags: &Flags, environment: &Environment, good: &Good) -> Loaded {
    let places = places(flags, environment);
    let (layers, faults) = places.read();
    let layers = layers.into_iter().flat_map(|layer| good.stand_in(layer)).collect();
    let loaded = assemble(Request {
        flags: flags.clone(),
        environment: environment.clone(),
        layers,
        faults,
        good: good.clone(),
        ..Request::default()
    });
    Loaded { file: places.file().map(Into::into), ..loaded }
}

/// The configuration without its files, for a start that could not wait for them any longer.
pub fn without_layers(flags: &Flags, environment: &Environment, waited: Duration) -> Loaded {
    let waited = waited.as_secs();
    let fault = Fault {
        level: Level::Error,
        path: String::new(),
        message: format!("the configuration could not be read within {waited} s"),
        hint: Some("it is taken over when it can be read, but for what needs a restart".to_owned()),
        located: None,
    };
    let (flags, environment) = (flags.clone(), environment.clone());
    assemble(Request { flags, environment, faults: vec![fault].into(), ..Request::default() })
}

/// The same with a text in place of a file; `name` stands in its faults.
pub fn parse(name: &str, text: &str, flags: &Flags, environment: &Environment) -> Loaded {
    let layers = vec![Layer::new(Rank::File, name.to_owned(), Ok(text.to_owned()))];
    let (flags, environment) = (flags.clone(), environment.clone());
    assemble(Request { flags, environment, layers, ..Request::default() })
}

/// Several texts to be checked, each as it would be used by itself, or as layers over each other.
pub fn check(texts: &[PathBuf], as_layers: bool, environment: &Environment) -> Vec<Checked> {
    let request = |layers| Request {
        environment: variables(environment),
        layers,
        alone: false,
        ..Request::default()
    };
    let mut units: Vec<configmap::Unit> =
        texts.iter().flat_map(|path| configmap::units(path)).collect();
    if as_layers {
        for (number, layer) in units.iter_mut().flat_map(|unit| &mut unit.layers).enumerate() {
            if number > 0 {
                layer.rank = Rank::Mounted;
            } else {
                // the first is the platform's
                layer.has_variables = false;
            }
        }
        let names: Vec<String> = units.iter().map(|unit| unit.name.clone()).collect();
        let mut faults = Faults::default();
        for unit in &mut units {
            faults.append(std::mem::take(&mut unit.faults));
        }
        let layers = units.into_iter().flat_map(|unit| unit.layers).collect();
        let loaded = assemble(Request { faults, ..request(layers) });
        return vec![Checked { name: names.join(" + "), loaded }];
    }
    let alone = |unit: configmap::Unit| {
        let mounted = unit.layers.iter().any(|layer| layer.rank == Rank::Mounted);
        let (name, faults) = (unit.name, unit.faults);
        let loaded = assemble(Request { faults, alone: mounted, ..request(unit.layers) });
        Checked { name, loaded }
    };
    units.into_iter().map(alone).collect()
}

/// The environment without the layers that it names: another text is checked in their stead.
fn variables(environment: &Environment) -> Environment {
    let mut variables = environment.clone();
    for name in [environment::DEFAULTS, environment::LAYERS, environment::CONFIG] {
        variables.remove(name);
    }
    variables
}

/// One configuration that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The file, and the ConfigMap in it.
    pub name: String,
    /// What is right and wrong with it.
    pub loaded: Loaded,
}

fn assemble(request: Request) -> Loaded {
    let mut config = Config::default();
    let shared = environment::apply_shared(&request.environment, &mut config);
    let mut parts: Vec<Arc<Part>> = Vec::new();
    let mut cluster: Option<(usize, Config)> = None;
    for layer in &request.layers {
        let mut part = lay(layer, &request, &mut config);
        if let Some((number, most)) = &cluster {
            let held = held(&parts[*number], most, &mut config, |path| part.find(path));
            for fault in held {
                part.faults.push(fault);
            }
        } else if part.rank == Rank::Cluster {
            cluster = Some((parts.len(), config.clone()));
        }
        parts.push(Arc::new(part));
    }
    let environment = environment::apply(&request.environment, &mut config);
    set_flags(&request.flags, &mut config);
    let beyond = match &cluster {
        Some((number, most)) => held(&parts[*number], most, &mut config, |_| None),
        None => Vec::new(),
    };
    if !request.alone {
        part::idle_switches(&mut parts);
    }
    let (own, origins) = part::merge(&parts, true);
    config.rules.own = own;
    let mut faults = request.faults.clone();
    for part in &parts {
        faults.append(part.faults.clone());
    }
    let unusable = unusable(&config, &parts, &request.environment);
    for fault in shared.into_iter().chain(environment).chain(beyond).chain(unusable) {
        faults.push(fault);
    }
    let faults = faults.into_list();
    Loaded { config, faults, file: None, request: Arc::new(request), parts, origins }
}

/// What leaves an output without use although every value of it can be read. It is an error where it stands in
/// a file, and does not take its layer with it: the rules beside it count.
fn unusable(config: &Config, parts: &[Arc<Part>], environment: &Environment) -> Option<Fault> {
    let export = &config.export;
    let endpoint = export.endpoint.as_deref().filter(|_| config.traces.enabled)?;
    let error = Endpoint::new(endpoint, export.protocol, &export.headers).err()?;
    let variable = environment::endpoint_variable(environment);
    let path = "export.endpoint";
    let located = parts.iter().rev().find_map(|part| part.find(path));
    Some(Fault {
        // a variable was set for somebody else, who may be able to use it
        level: if variable.is_some() { Level::Warning } else { Level::Error },
        path: variable.unwrap_or(path).to_owned(),
        message: format!("{error}: no span is built"),
        hint: Some(error.hint().to_owned()),
        located: located.filter(|_| variable.is_none()),
    })
}

/// Lays a layer over `config`, or what it said before where it has errors.
fn lay(layer: &Layer, request: &Request, config: &mut Config) -> Part {
    let before = config.clone();
    let mut part = Part::read(layer, &request.environment, config);
    let good = request.good.0.get(&layer.name);
    if let (Ok(text), Some(good)) = (&layer.text, good)
        && let Some(fault) = part::truncated(&layer.name, text, good)
    {
        part.faults.push(fault);
        part.state = State::LeftOut;
    }
    if let Some(faults) = request.condemned.get(&layer.name) {
        part.faults.append(faults.clone());
        part.state = State::LeftOut;
    }
    match good {
        Some(good) if part.state == State::LeftOut => {
            *config = before;
            let good = Layer { text: Ok(good.clone()), ..layer.clone() };
            Part::read(&good, &request.environment, config).keeping(part.faults)
        }
        _ => part,
    }
}

/// Takes back what goes beyond the cluster's final settings.
fn held(
    cluster: &Part,
    most: &Config,
    config: &mut Config,
    place: impl Fn(&str) -> Option<fault::Located>,
) -> Vec<Fault> {
    finals::hold(&cluster.said.finals, (&cluster.source, most), config, place)
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
