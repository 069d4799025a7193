//! Turns configurations as they are written into the configuration that is used. Layers,
//! environment and flags override the defaults. All errors are reported at once, with their
//! positions; values without errors are used. No module below knows YAML or the environment. The
//! environment is passed in as a map; only files are read from outside. Unit: one configuration.
//!
//! Every setting is a row of [`table`], from which files, variables, printing, schema and
//! documentation come.
//!
//! Precedence, later ones win: defaults; names that the application shares with us (`LOG_LEVEL`,
//! `METRICS_PORT`, `ENABLE_METRICS`, `ENVIRONMENT`); the layers of the cluster, the namespace and
//! the pod; the file; `SIDELIGHT_*` and `OTEL_*`; flags. Layers are merged key by key, and their
//! rules by name.
//!
//! Decision: a layer with errors does not affect the others. At a reload, its previous contents
//! stay in force. Without previous contents, those of its settings that can be read are used, and
//! its rules are not.

mod collector;
mod configmap;
pub mod document;
pub mod environment;
mod expand;
pub mod fault;
mod file;
mod finals;
mod formats;
mod hints;
pub(crate) mod kind;
pub(crate) mod layer;
mod lint;
pub(crate) mod part;
pub(crate) mod print;
pub mod reader;
mod rules;
pub(crate) mod setting;
pub mod settings;
pub mod table;
pub(crate) mod text;
pub mod tree;
pub mod units;

#[cfg(test)]
mod tests;

use crate::encoding::Fnv1a;
use crate::rules::settings::{RuleError, RulesSettings};
use environment::Environment;
use fault::{Fault, Faults, Level};
use layer::{Layer, Places, Rank};
use part::{LayerState, Part, PartOrigin};
use reader::Reader;
use settings::{Config, LogLevel, Mode};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use text::read as read_file;
use tree::Node;
use units::Refused;

/// Checks a configuration that is a value in another file, such as `defaults` in the injector's
/// configuration. Adds its faults to those of the reader.
pub fn check_value(reader: &mut Reader<'_>, value: &Node) {
    file::apply(reader, value, &mut Config::default());
}

/// Checks the base URL of the OTLP collector for injected sidecars: a URL that `export.endpoint`
/// accepts, which may contain `$(NAME)` for Kubernetes to replace.
///
/// # Errors
/// Fails if spans cannot be sent to the URL.
pub fn otlp_endpoint(text: &str) -> Result<String, Refused> {
    collector::endpoint_template(text)
}

/// Checks a header of OTLP requests, as `export.headers` does; returns its value.
///
/// # Errors
/// Fails if HTTP does not allow the header, or if it is one of those that frame a request.
pub fn otlp_header(name: &str, value: &str) -> Result<String, Refused> {
    collector::header(name, value)
}

/// Checks a prefix of metric names, as `metrics.prefix` does.
///
/// # Errors
/// Fails if the name of a metric cannot start with the prefix.
pub fn metric_prefix(text: &str) -> Result<String, Refused> {
    rules::prefix(text)
}

/// The settings given on the command line.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The path of the stream socket.
    pub socket: Option<PathBuf>,
    /// The path of the datagram socket.
    pub datagram_socket: Option<PathBuf>,
    /// The address of the admin port.
    pub listen: Option<SocketAddr>,
    /// How the process reacts to SIGTERM.
    pub mode: Option<Mode>,
    /// Also reads lines from standard input.
    pub stdin: bool,
    /// The minimum level of our own log lines.
    pub log_level: Option<LogLevel>,
}

/// A configuration with its faults and the positions of its rules.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Contains the previous value wherever a value is wrong, and all rules that could be read,
    /// even incomplete ones, so that `check` can compile them. Use [`Loaded::in_use`] to run it.
    pub config: Config,
    /// The faults, ordered by layer and line, then those of the environment: the first
    /// [`fault::FAULTS_MAX`], and a last one that counts the others.
    pub faults: Vec<Fault>,
    /// The name of the file that was read.
    pub file: Option<PathBuf>,
    /// Shared, because texts and trees may be larger than everything else here.
    request: Arc<Request>,
    parts: Vec<Arc<Part>>,
    /// The origin of each rule.
    origins: Vec<PartOrigin>,
    /// The origin of each format.
    format_origins: Vec<PartOrigin>,
}

/// The beginning of the path of an error in a format.
const FORMATS: &str = "formats[";

/// The texts in force, by the names of their layers. They stay in force if newer texts have errors.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Good(BTreeMap<String, String>);

impl Good {
    /// Returns the files that a directory contained when it could last be read; returns any other
    /// layer unchanged.
    fn stand_in(&self, layer: Layer) -> Vec<Layer> {
        let Err(why) = &layer.text else { return vec![layer] };
        let directory = format!("{}/", layer.name);
        let names = self.0.keys().filter(|name| name.starts_with(&directory));
        let files = names.map(|name| Layer::new(layer.rank, name.clone(), Err(why.clone())));
        let files: Vec<Layer> = files.collect();
        if files.is_empty() { vec![layer] } else { files }
    }
}

/// The input of a configuration.
#[derive(Clone, Default, Debug)]
struct Request {
    flags: Flags,
    environment: Environment,
    layers: Vec<Layer>,
    /// Faults found before any layer was read.
    faults: Faults,
    good: Good,
    /// Earlier layers are unknown: they may contain the rules that these layers switch off.
    alone: bool,
    /// Layers with rules that do not compile, and their faults.
    condemned: BTreeMap<String, Faults>,
}

impl Loaded {
    /// Returns the configuration to start with. An error in a file must not keep an application
    /// from starting, so the readable settings of a layer with errors are used, but not its rules.
    pub fn usable(&self) -> Config {
        self.in_use().config
    }

    /// Returns the same configuration with the origins of its rules.
    #[must_use]
    pub fn in_use(&self) -> Loaded {
        let mut used = self.clone();
        (used.config.rules.own, used.origins) = part::merge(&used.parts, false);
        (used.config.rules.formats, used.format_origins) = part::merge_formats(&used.parts, false);
        used
    }

    /// Returns whether there are no errors; there may be warnings.
    pub fn is_valid(&self) -> bool {
        self.faults.iter().all(|fault| fault.level == Level::Warning)
    }

    /// Converts an error from compiling the rules to a fault in the layer that contains the rule.
    pub fn locate(&self, error: &RuleError) -> Fault {
        let (part, error) = match self.origin(error) {
            Some((part, error)) => (part, error),
            // the prefix comes from the last layer that sets one
            None => match self.parts.iter().rev().find(|part| part.find(&error.path).is_some()) {
                Some(part) => (&**part, error.clone()),
                None => {
                    return rules::RulePositions::default().locate(&tree::Source::default(), error);
                }
            },
        };
        part.contents.places.locate(&part.source, &error)
    }

    /// Converts errors from compiling to faults: the first ones, and a count of the others.
    pub fn locate_all(&self, errors: &[RuleError]) -> Vec<Fault> {
        let mut faults = Faults::default();
        for error in errors {
            faults.add(Level::Error, || self.locate(error));
        }
        faults.into_list()
    }

    /// Returns the layer of a rule, and the error with the number of the rule in that layer.
    fn origin(&self, error: &RuleError) -> Option<(&Part, RuleError)> {
        let is_format = error.path.starts_with(FORMATS);
        let (origins, prefix) =
            if is_format { (&self.format_origins, FORMATS) } else { (&self.origins, "[") };
        let (index, rest) = error.path.strip_prefix(prefix)?.split_once(']')?;
        let origin = origins.get(index.parse::<usize>().ok()?)?;
        let path = format!("{prefix}{}]{rest}", origin.rule);
        Some((&self.parts[origin.part], RuleError { path, ..error.clone() }))
    }

    /// Returns the configuration without the rules of the layers that contain these errors; `None`
    /// if an error is in no layer that could be left out.
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

    /// Leaves out the rules of layers in which `refuses` finds errors, as long as there are such
    /// layers. Also returns the errors that are in no layer.
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

    /// Returns the texts that stay in force if later texts have errors.
    pub fn good(&self) -> Good {
        let good = self.parts.iter().filter(|part| part.state != LayerState::LeftOut);
        Good(good.map(|part| (part.source.name.clone(), part.source.text.clone())).collect())
    }

    /// Returns the layers that are not in force as written, and their states.
    pub fn broken(&self) -> impl Iterator<Item = (&str, LayerState)> {
        let broken = self.parts.iter().filter(|part| part.state != LayerState::InForce);
        broken.map(|part| (part.source.name.as_str(), part.state))
    }

    /// Returns the names of the layers, in order of increasing precedence.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.source.name.as_str())
    }

    /// Returns the position of a fault: the number of its layer, its line and its column. Faults
    /// without a position come last.
    pub fn order(&self, fault: &Fault) -> (usize, usize, usize) {
        let Some(located) = &fault.located else { return (usize::MAX, 0, 0) };
        let layer = self.parts.iter().position(|part| part.source.file() == located.file);
        (layer.unwrap_or(usize::MAX), located.line, located.column)
    }

    /// Returns a hash of the texts in force: 64 bits of FNV-1a as hexadecimal digits. It is the
    /// same in every process with the same texts.
    pub fn hash(&self) -> String {
        let mut hash = Fnv1a::new();
        for part in self.parts.iter().filter(|part| part.state != LayerState::LeftOut) {
            hash.write(part.source.text.as_bytes());
            hash.write(&[0]);
        }
        format!("{:016x}", hash.finish())
    }
}

/// Returns the locations of the layers that flags and environment name.
pub fn places(flags: &Flags, environment: &Environment) -> Places {
    Places::of(flags.config.as_deref(), environment)
}

/// Loads the layers that flags and environment name, and applies them to the defaults.
pub fn load(flags: &Flags, environment: &Environment) -> Loaded {
    load_again(flags, environment, &Good::default())
}

/// Loads the layers again in a running process: the previous contents of a layer with errors stay
/// in force.
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

/// Returns the configuration without its layers, for a start that could not wait any longer for
/// them.
pub fn without_layers(flags: &Flags, environment: &Environment, waited: Duration) -> Loaded {
    let waited = waited.as_secs();
    let fault = Fault {
        level: Level::Error,
        path: String::new(),
        message: format!("the configuration could not be read within {waited} s"),
        hint: Some(
            "it is loaded as soon as it can be read; some settings then need a restart".to_owned(),
        ),
        located: None,
    };
    let (flags, environment) = (flags.clone(), environment.clone());
    assemble(Request { flags, environment, faults: vec![fault].into(), ..Request::default() })
}

/// Loads a text in place of a file; `name` appears in its faults.
pub fn parse(name: &str, text: &str, flags: &Flags, environment: &Environment) -> Loaded {
    let layers = vec![Layer::new(Rank::File, name.to_owned(), Ok(text.to_owned()))];
    let (flags, environment) = (flags.clone(), environment.clone());
    assemble(Request { flags, environment, layers, ..Request::default() })
}

/// Checks several files, each as if it were used alone, or as layers of one configuration.
pub fn check(texts: &[PathBuf], as_layers: bool, environment: &Environment) -> Vec<Checked> {
    let request = |layers| Request {
        environment: variables(environment),
        layers,
        alone: false,
        ..Request::default()
    };
    let mut units: Vec<configmap::CheckUnit> =
        texts.iter().flat_map(|path| configmap::units(path)).collect();
    if as_layers {
        for (number, layer) in units.iter_mut().flat_map(|unit| &mut unit.layers).enumerate() {
            if number > 0 {
                layer.rank = Rank::Mounted;
            } else {
                // the first layer is that of the platform
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
    let alone = |unit: configmap::CheckUnit| {
        let mounted = unit.layers.iter().any(|layer| layer.rank == Rank::Mounted);
        let (name, faults) = (unit.name, unit.faults);
        let loaded = assemble(Request { faults, alone: mounted, ..request(unit.layers) });
        Checked { name, loaded }
    };
    units.into_iter().map(alone).collect()
}

/// Returns the environment without the layers that it names, because other texts are checked
/// instead.
fn variables(environment: &Environment) -> Environment {
    let mut variables = environment.clone();
    for name in [environment::DEFAULTS, environment::LAYERS, environment::CONFIG] {
        variables.remove(name);
    }
    variables
}

/// The result of checking one configuration.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The name of the file, and of the ConfigMap in it.
    pub name: String,
    /// The configuration and its faults.
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
    let format_origins;
    (config.rules.formats, format_origins) = part::merge_formats(&parts, true);
    let mut faults = request.faults.clone();
    for part in &parts {
        faults.append(part.faults.clone());
    }
    let unusable = part::unusable_output(&config, &parts, &request.environment);
    for fault in shared.into_iter().chain(environment).chain(beyond).chain(unusable) {
        faults.push(fault);
    }
    let faults = faults.into_list();
    Loaded {
        config,
        faults,
        file: None,
        request: Arc::new(request),
        parts,
        origins,
        format_origins,
    }
}

/// Applies a layer to `config`, or its previous contents if it has errors.
fn lay(layer: &Layer, request: &Request, config: &mut Config) -> Part {
    let before = config.clone();
    let mut part = Part::read(layer, &request.environment, config);
    let good = request.good.0.get(&layer.name);
    if let (Ok(text), Some(good)) = (&layer.text, good)
        && let Some(fault) = part::truncated(&layer.name, text, good)
    {
        part.faults.push(fault);
        part.state = LayerState::LeftOut;
    }
    if let Some(faults) = request.condemned.get(&layer.name) {
        part.faults.append(faults.clone());
        part.state = LayerState::LeftOut;
    }
    match good {
        Some(good) if part.state == LayerState::LeftOut => {
            *config = before;
            let good = Layer { text: Ok(good.clone()), ..layer.clone() };
            Part::read(&good, &request.environment, config).keeping(part.faults)
        }
        _ => part,
    }
}

/// Reverts values that exceed the final settings of the cluster.
fn held(
    cluster: &Part,
    most: &Config,
    config: &mut Config,
    place: impl Fn(&str) -> Option<fault::Located>,
) -> Vec<Fault> {
    finals::hold(&cluster.contents.finals, (&cluster.source, most), config, place)
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
