//! Variables of the environment, handed in as a map. Three kinds: our own (`SIDELIGHT_*`),
//! OpenTelemetry's (`OTEL_*`), and names that the application shares with us (`LOG_LEVEL`,
//! `METRICS_PORT`, ...), which are weaker than the file because they were set for somebody else.
//! Nothing here is an error except a wrong value of our own; an empty value is none. Unit: one
//! variable.

use super::fault::{Fault, Level};
use super::file::{self, PROTOCOLS, endpoint, final_scrape_wait, header, socket_path};
use super::rules;
use super::settings::Config;
use super::units::{self, Refused};
use crate::export::endpoint::Given;
use crate::rules::settings::Groups;
use crate::rules::syntax::nearest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The variables of the process.
pub type Environment = BTreeMap<String, String>;

/// The file, for those who start us without flags.
pub(super) const CONFIG: &str = "SIDELIGHT_CONFIG";

/// The layer of the cluster: the text itself, because no volume of another namespace can be mounted.
pub(super) const DEFAULTS: &str = "SIDELIGHT_DEFAULTS";

/// The layers of the namespace and of the pod: directories or files, separated by colons.
pub(super) const LAYERS: &str = "SIDELIGHT_CONFIG_LAYERS";

/// The address of the admin port where nothing else names one: an image sets it, and a user's file is
/// stronger.
const LISTEN_DEFAULT: &str = "SIDELIGHT_LISTEN_DEFAULT";

const OWN: [&str; 19] = [
    CONFIG,
    LISTEN_DEFAULT,
    "SIDELIGHT_SOCKET",
    "SIDELIGHT_DATAGRAM_SOCKET",
    "SIDELIGHT_LISTEN",
    "SIDELIGHT_MODE",
    "SIDELIGHT_GRACE_SECONDS",
    "SIDELIGHT_STDIN",
    "SIDELIGHT_PASSTHROUGH",
    "SIDELIGHT_LOG_LEVEL",
    DEFAULTS,
    LAYERS,
    "SIDELIGHT_SOCKET_MODE",
    "SIDELIGHT_METRICS_PREFIX",
    "SIDELIGHT_METRICS_GROUPS_OFF",
    "SIDELIGHT_FINAL_SCRAPE_WAIT",
    "SIDELIGHT_SCRAPERS",
    "SIDELIGHT_INSTALL_DIR",
    "SIDELIGHT_EXIT_WITH_APP",
];

/// Reads variables and notes what is wrong with them.
struct Reader<'e> {
    environment: &'e Environment,
    faults: Vec<Fault>,
}

impl<'e> Reader<'e> {
    fn get(&self, name: &str) -> Option<&'e str> {
        let value = self.environment.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn fault(&mut self, level: Level, name: &str, refused: Refused) {
        let Refused { message, hint } = refused;
        self.faults.push(Fault { level, path: name.to_owned(), message, hint, located: None });
    }

    fn parsed<T>(
        &mut self,
        level: Level,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Refused>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let service = is_service_value(value);
        match parse(value) {
            Ok(value) => Some(value),
            Err(refused) => {
                let level = if service { Level::Warning } else { level };
                self.fault(level, name, refused);
                None
            }
        }
    }

    fn own<T>(&mut self, to: &mut T, name: &str, parse: impl FnOnce(&str) -> Result<T, Refused>) {
        if let Some(value) = self.parsed(Level::Error, name, parse) {
            *to = value;
        }
    }

    fn foreign<T>(
        &mut self,
        to: &mut T,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Refused>,
    ) {
        if let Some(value) = self.parsed(Level::Warning, name, parse) {
            *to = value;
        }
    }
}

/// What Kubernetes puts into variables for a Service.
fn is_service_value(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Puts the names that the application shares with us over the defaults. Case does not matter in them.
pub(super) fn apply_shared(environment: &Environment, config: &mut Config) -> Vec<Fault> {
    let shared = ["LOG_LEVEL", "METRICS_PORT", "ENABLE_METRICS", "ENVIRONMENT"];
    let folded: Environment = environment
        .iter()
        .map(|(name, value)| (name.to_ascii_uppercase(), value.clone()))
        .filter(|(name, _)| shared.contains(&name.as_str()))
        .collect();
    let mut reader = Reader { environment: &folded, faults: Vec::new() };
    reader.foreign(&mut config.log_level, "LOG_LEVEL", |text| {
        units::choice(text, &units::LOG_LEVELS)
    });
    let image = Reader { environment, faults: Vec::new() };
    let before = config.listen.address;
    if let Some(text) = image.get(LISTEN_DEFAULT) {
        match units::listen(text, before) {
            Ok(address) => config.listen.address = address,
            Err(refused) => reader.fault(Level::Error, LISTEN_DEFAULT, refused),
        }
    }
    let before = config.listen;
    reader.foreign(&mut config.listen, "METRICS_PORT", |text| units::metrics_port(text, before));
    if reader.parsed(Level::Warning, "ENABLE_METRICS", units::flag) == Some(false) {
        config.rules.groups = Groups { http: false, database: false, log: false, functions: false };
        let message = "it switches all standard metrics off";
        let hint =
            "it is the application's own variable, too: metrics.groups in a file is stronger";
        reader.fault(Level::Warning, "ENABLE_METRICS", Refused::new(message, hint));
    }
    let attributes = &mut config.resource.attributes;
    if let Some(name) = reader.get("ENVIRONMENT") {
        put(attributes, "deployment.environment.name", name);
    }
    for (variable, attribute) in [
        ("POD_NAME", "k8s.pod.name"),
        ("POD_NAMESPACE", "k8s.namespace.name"),
        ("POD_UID", "k8s.pod.uid"),
        ("NODE_NAME", "k8s.node.name"),
    ] {
        if let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) {
            put(attributes, attribute, value);
        }
    }
    if let Some(directory) = environment.get("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        config.runtime_directory = Some(PathBuf::from(directory));
    }
    reader.faults
}

/// Puts our own variables and OpenTelemetry's over what the file says.
pub(super) fn apply(environment: &Environment, config: &mut Config) -> Vec<Fault> {
    let mut reader = Reader { environment, faults: Vec::new() };
    own(&mut reader, config);
    unknown(&mut reader);
    resource(&mut reader, config);
    export(&mut reader, config);
    reader.faults
}

fn own(reader: &mut Reader<'_>, config: &mut Config) {
    reader.own(&mut config.socket.path, "SIDELIGHT_SOCKET", |text| socket_path(text).map(Some));
    reader.own(&mut config.datagram_socket.path, "SIDELIGHT_DATAGRAM_SOCKET", |text| {
        socket_path(text).map(Some)
    });
    let before = config.listen.address;
    let listen =
        reader.parsed(Level::Error, "SIDELIGHT_LISTEN", |text| units::listen(text, before));
    if let Some(address) = listen {
        config.listen.address = address;
        config.listen.fallback = None;
    }
    reader.own(&mut config.mode, "SIDELIGHT_MODE", |text| units::choice(text, &units::MODES));
    reader.own(&mut config.grace, "SIDELIGHT_GRACE_SECONDS", units::seconds);
    reader.own(&mut config.stdin, "SIDELIGHT_STDIN", units::flag);
    reader.own(&mut config.passthrough, "SIDELIGHT_PASSTHROUGH", |text| {
        units::choice(text, &units::PASSTHROUGHS)
    });
    reader.own(&mut config.log_level, "SIDELIGHT_LOG_LEVEL", |text| {
        units::choice(text, &units::LOG_LEVELS)
    });
    let mode = reader.parsed(Level::Error, "SIDELIGHT_SOCKET_MODE", units::mode_bits);
    if let Some(mode) = mode {
        // who sets the variable wires the pod: both sockets lie on its volume
        (config.socket.mode, config.datagram_socket.mode) = (mode, mode);
    }
    let (wait, scrapers) = ("SIDELIGHT_FINAL_SCRAPE_WAIT", "SIDELIGHT_SCRAPERS");
    reader.own(&mut config.final_scrape.wait, wait, final_scrape_wait);
    reader.own(&mut config.final_scrape.scrapers, scrapers, file::scrapers);
    reader.own(&mut config.install_directory, "SIDELIGHT_INSTALL_DIR", |text| {
        Ok(Some(PathBuf::from(text)))
    });
    reader.own(&mut config.exit_with_app, "SIDELIGHT_EXIT_WITH_APP", units::flag);
    reader.own(&mut config.rules.prefix, "SIDELIGHT_METRICS_PREFIX", rules::prefix);
    groups_off(reader, &mut config.rules.groups);
}

/// Which groups of the standard metrics are off: names, separated by commas.
fn groups_off(reader: &mut Reader<'_>, groups: &mut Groups) {
    let variable = "SIDELIGHT_METRICS_GROUPS_OFF";
    let Some(value) = reader.get(variable) else { return };
    for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "http" => groups.http = false,
            "database" => groups.database = false,
            "log" => groups.log = false,
            "functions" => groups.functions = false,
            _ => {
                let known = ["http", "database", "log", "functions"];
                let hint = match nearest(name, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("known are {}", known.join(", ")),
                };
                let message = format!("`{name}` is no group of the standard metrics");
                reader.fault(Level::Error, variable, Refused::new(message, hint));
            }
        }
    }
}

/// Warns of every `SIDELIGHT_*` that is none of ours; those of a Service named sidelight in one breath.
fn unknown(reader: &mut Reader<'_>) {
    let mut of_service = Vec::new();
    for (name, value) in reader.environment {
        if !name.starts_with("SIDELIGHT_") || OWN.contains(&name.as_str()) {
            continue;
        }
        if is_service_name(name) || is_service_value(value) {
            of_service.push(name.as_str());
            continue;
        }
        let hint = match nearest(name, OWN) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", OWN.join(", ")),
        };
        reader.fault(Level::Warning, name, Refused::new("unknown variable, ignored", hint));
    }
    if let Some(first) = of_service.first() {
        let message = format!("{} variables of a Kubernetes Service are ignored", of_service.len());
        let hint = "set enableServiceLinks: false in the pod to be rid of them";
        reader.fault(Level::Warning, first, Refused::new(message, hint));
    }
}

fn is_service_name(name: &str) -> bool {
    name == "SIDELIGHT_PORT"
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|end| name.contains("_PORT_") && name.contains(end))
}

/// `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`, the latter stronger.
fn resource(reader: &mut Reader<'_>, config: &mut Config) {
    let name = "OTEL_RESOURCE_ATTRIBUTES";
    let pairs = reader.parsed(Level::Warning, name, |text| pairs(text, "key1=value1,key2=value2"));
    for (key, value) in pairs.unwrap_or_default() {
        if key != "service.name" {
            put(&mut config.resource.attributes, &key, &value);
        } else if !value.is_empty() {
            config.resource.service_name = value;
        }
    }
    if let Some(name) = reader.get("OTEL_SERVICE_NAME") {
        name.clone_into(&mut config.resource.service_name);
    }
}

/// Sorted by key, each key once.
fn put(attributes: &mut Vec<(String, String)>, key: &str, value: &str) {
    match attributes.binary_search_by(|(known, _)| known.as_str().cmp(key)) {
        Ok(at) => value.clone_into(&mut attributes[at].1),
        Err(at) => attributes.insert(at, (key.to_owned(), value.to_owned())),
    }
}

/// The variables that name a collector, the later wins.
const ENDPOINTS: [(&str, Given); 2] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Given::Base),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Given::Traces),
];

/// The variable that the endpoint in use comes from, if it comes from one.
pub(super) fn endpoint_variable(environment: &Environment) -> Option<&'static str> {
    let reader = Reader { environment, faults: Vec::new() };
    let mut given = ENDPOINTS.iter().rev().filter(|(name, given)| {
        reader.get(name).is_some_and(|text| endpoint(text, *given).is_ok())
    });
    given.next().map(|(name, _)| *name)
}

/// Where spans go: OpenTelemetry's exporter variables, the form for traces stronger than the general one.
fn export(reader: &mut Reader<'_>, config: &mut Config) {
    let disabled = reader.parsed(Level::Warning, "OTEL_SDK_DISABLED", units::flag);
    let exporter = reader.parsed(Level::Warning, "OTEL_TRACES_EXPORTER", |text| {
        units::choice(text, &[("otlp", true), ("none", false)])
    });
    if disabled == Some(true) || exporter == Some(false) {
        config.traces.enabled = false;
    }
    let to = &mut config.export;
    let protocol = |text: &str| match text {
        "http/json" => Err(Refused::new("http/json is not spoken here", "http/protobuf is used")),
        _ => units::choice(text, &PROTOCOLS),
    };
    for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
        reader.foreign(&mut to.protocol, name, protocol);
    }
    for (name, given) in ENDPOINTS {
        reader.foreign(&mut to.endpoint, name, |text| endpoint(text, given).map(Some));
    }
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        reader.foreign(&mut to.headers, name, |text| {
            let headers = pairs(text, "key1=value1,key2=value2")?;
            let mut found: Vec<(String, String)> = Vec::new();
            for (key, value) in headers {
                let key = key.to_ascii_lowercase();
                let value = header(&key, &value)?;
                found.retain(|(known, _)| *known != key);
                found.push((key, value));
            }
            Ok(found)
        });
    }
    for name in ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] {
        reader.foreign(&mut to.timeout, name, milliseconds);
    }
    for name in ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"] {
        let compression = reader.get(name).filter(|value| *value != "none");
        if let Some(value) = compression {
            let message = format!("compression `{value}` is not spoken here");
            reader.fault(Level::Warning, name, Refused::new(message, "spans are sent as they are"));
        }
    }
    reader.foreign(&mut to.delay, "OTEL_BSP_SCHEDULE_DELAY", milliseconds);
    reader.foreign(&mut to.queue_spans_max, "OTEL_BSP_MAX_QUEUE_SIZE", count);
    reader.foreign(&mut to.batch_spans_max, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", count);
    to.batch_spans_max = to.batch_spans_max.min(to.queue_spans_max);
}

fn milliseconds(text: &str) -> Result<Duration, Refused> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(Duration::from_millis(u64::from(number))),
        _ => Err(Refused::new(format!("`{text}` are no milliseconds"), "a number without a unit")),
    }
}

fn count(text: &str) -> Result<usize, Refused> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(number as usize),
        _ => Err(Refused::new(format!("`{text}` is no number"), "a number above 0")),
    }
}

/// `key=value,key=value`, values percent-encoded.
fn pairs(text: &str, example: &str) -> Result<Vec<(String, String)>, Refused> {
    let mut found = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let pair = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        // the value may be a secret: it is not repeated
        let Some((key, value)) = pair else {
            return Err(Refused::new("no list of keys and values", format!("as in {example}")));
        };
        found.push((decoded(key.trim()), decoded(value.trim())));
    }
    Ok(found)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}
