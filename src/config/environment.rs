//! Applies environment variables, which are passed in as a map. There are three kinds: our own
//! (`SIDELIGHT_*`), OpenTelemetry's (`OTEL_*`), and names that the application shares with us
//! (`LOG_LEVEL`, `METRICS_PORT`, ...). A file overrides the shared names, because they were set for
//! the application. Only a wrong value of one of our own variables is an error; an empty value
//! counts as unset. Unit: one variable.

use super::collector::{endpoint, header};
use super::fault::{Fault, Level};
use super::settings::Config;
use super::table;
use super::units::{self, Refused};
use crate::encoding::percent_decoded;
use crate::export::endpoint::Given;
use crate::rules::settings::Groups;
use crate::rules::syntax::nearest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The environment variables of the process.
pub type Environment = BTreeMap<String, String>;

/// The configuration file, if no flag names one.
pub(super) const CONFIG: &str = "SIDELIGHT_CONFIG";

/// The layer of the cluster: the text itself, because a pod cannot mount a volume of another
/// namespace.
pub(super) const DEFAULTS: &str = "SIDELIGHT_DEFAULTS";

/// The layers of namespace and pod: directories or files, separated by colons.
pub(super) const LAYERS: &str = "SIDELIGHT_CONFIG_LAYERS";

/// The default address of the admin port, which an image sets; a user's file overrides it.
const LISTEN_DEFAULT: &str = "SIDELIGHT_LISTEN_DEFAULT";

/// Groups of standard metrics that are off: names, separated by commas.
const GROUPS_OFF: &str = "SIDELIGHT_METRICS_GROUPS_OFF";

/// A variable that is not in the table of settings.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The path of the setting that it affects, if there is one.
    pub setting: Option<&'static str>,
    /// A description in one sentence.
    pub help: &'static str,
}

const fn variable(
    name: &'static str,
    setting: Option<&'static str>,
    help: &'static str,
) -> Variable {
    Variable { name, setting, help }
}

/// Our own variables that are not settings: the sources of configurations, and the defaults of an
/// image.
pub const SOURCES: &[Variable] = &[
    variable(CONFIG, None, "The configuration file. The flag --config overrides it."),
    variable(DEFAULTS, None, "The platform's layer: the text of a configuration."),
    variable(LAYERS, None, "Directories or files of further layers, separated by colons."),
    variable(
        LISTEN_DEFAULT,
        Some("listen"),
        "The default address in an image. A file overrides it.",
    ),
    variable(GROUPS_OFF, Some("metrics.groups"), "Groups that are off, separated by commas."),
];

/// Variables that the application may share with us. A file overrides them; the case of values does
/// not matter.
pub const SHARED: &[Variable] = &[
    variable("LOG_LEVEL", Some("log_level"), "As log_level; also accepts Python's names."),
    variable("METRICS_PORT", Some("listen"), "The port of `listen`, if it is free."),
    variable("ENABLE_METRICS", Some("metrics.groups"), "False switches off all groups."),
    variable("ENVIRONMENT", None, "The resource attribute deployment.environment.name."),
];

/// Variables of OpenTelemetry. They override files. A wrong value is a warning, because the
/// variables are set for SDKs, too.
pub const OPENTELEMETRY: &[Variable] = &[
    variable("OTEL_RESOURCE_ATTRIBUTES", None, "Resource attributes, as key1=value1,key2=value2."),
    variable("OTEL_SDK_DISABLED", Some("traces.enabled"), "True: no spans are created."),
    variable("OTEL_TRACES_EXPORTER", Some("traces.enabled"), "none: no spans are created."),
    variable("OTEL_EXPORTER_OTLP_ENDPOINT", Some("export.endpoint"), "A base URL."),
    variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Some("export.endpoint"), "A whole URL."),
    variable("OTEL_EXPORTER_OTLP_PROTOCOL", Some("export.protocol"), "http/protobuf or grpc."),
    variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", Some("export.protocol"), "The same."),
    variable("OTEL_EXPORTER_OTLP_HEADERS", Some("export.headers"), "As key1=value1,key2=value2."),
    variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", Some("export.headers"), "The same."),
    variable("OTEL_EXPORTER_OTLP_TIMEOUT", Some("export.timeout"), "Milliseconds."),
    variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", Some("export.timeout"), "Milliseconds."),
    variable("OTEL_BSP_SCHEDULE_DELAY", Some("export.delay"), "Milliseconds."),
    variable("OTEL_BSP_MAX_QUEUE_SIZE", Some("export.queue_spans_max"), "A number."),
    variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", Some("export.batch_spans_max"), "A number."),
];

/// Returns the names of all variables of our own.
fn own_names() -> Vec<&'static str> {
    let settings = table::ALL.iter().filter_map(|setting| setting.variable);
    let own = settings.filter(|name| name.starts_with("SIDELIGHT_"));
    let mut names: Vec<&str> = SOURCES.iter().map(|source| source.name).chain(own).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Reads variables and records their faults.
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

/// Returns whether a value is one that Kubernetes sets for a Service.
fn is_service_value(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Applies the names that the application shares with us to the defaults. The case of values does
/// not matter.
pub(super) fn apply_shared(environment: &Environment, config: &mut Config) -> Vec<Fault> {
    let folded: Environment = environment
        .iter()
        .map(|(name, value)| (name.to_ascii_uppercase(), value.clone()))
        .filter(|(name, _)| SHARED.iter().any(|shared| shared.name == name))
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
        let message = "it switches off all standard metrics";
        let hint =
            "the application may use this variable, too; metrics.groups in a file overrides it";
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

/// Applies our own variables and those of OpenTelemetry, which override files.
pub(super) fn apply(environment: &Environment, config: &mut Config) -> Vec<Fault> {
    let mut reader = Reader { environment, faults: Vec::new() };
    own(&mut reader, config);
    unknown(&mut reader);
    resource(&mut reader, config);
    export(&mut reader, config);
    reader.faults
}

fn own(reader: &mut Reader<'_>, config: &mut Config) {
    for setting in table::ALL {
        // variables of OpenTelemetry are read together below
        let Some(name) = setting.variable.filter(|name| name.starts_with("SIDELIGHT_")) else {
            continue;
        };
        // one variable may affect two settings, but is reported once
        if reader.faults.iter().all(|fault| fault.path != name) {
            reader.parsed(Level::Error, name, |text| setting.read(text, config));
        }
    }
    groups_off(reader, &mut config.rules.groups);
}

/// Applies the list of groups of standard metrics that are off.
fn groups_off(reader: &mut Reader<'_>, groups: &mut Groups) {
    let Some(value) = reader.get(GROUPS_OFF) else { return };
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
                let message = format!("`{name}` is not a group of standard metrics");
                reader.fault(Level::Error, GROUPS_OFF, Refused::new(message, hint));
            }
        }
    }
}

/// Warns about unknown `SIDELIGHT_*` variables; about those of a Service named sidelight once.
fn unknown(reader: &mut Reader<'_>) {
    let (own, mut of_service) = (own_names(), Vec::new());
    for (name, value) in reader.environment {
        if !name.starts_with("SIDELIGHT_") || own.contains(&name.as_str()) {
            continue;
        }
        if is_service_name(name) || is_service_value(value) {
            of_service.push(name.as_str());
            continue;
        }
        let hint = match nearest(name, own.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", own.join(", ")),
        };
        reader.fault(Level::Warning, name, Refused::new("unknown variable, ignored", hint));
    }
    if let Some(first) = of_service.first() {
        let message = format!("{} variables of a Kubernetes Service are ignored", of_service.len());
        let hint = "set enableServiceLinks: false in the pod to remove them";
        reader.fault(Level::Warning, first, Refused::new(message, hint));
    }
}

fn is_service_name(name: &str) -> bool {
    name == "SIDELIGHT_PORT"
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|end| name.contains("_PORT_") && name.contains(end))
}

/// Applies `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`; the latter overrides the former.
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

/// Keeps the attributes sorted by key, with each key once.
fn put(attributes: &mut Vec<(String, String)>, key: &str, value: &str) {
    match attributes.binary_search_by(|(known, _)| known.as_str().cmp(key)) {
        Ok(at) => value.clone_into(&mut attributes[at].1),
        Err(at) => attributes.insert(at, (key.to_owned(), value.to_owned())),
    }
}

/// The variables that name a collector; later ones win.
const ENDPOINTS: [(&str, Given); 2] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Given::Base),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Given::Traces),
];

/// Returns the variable that the endpoint in use comes from, if there is one.
pub(super) fn endpoint_variable(environment: &Environment) -> Option<&'static str> {
    let reader = Reader { environment, faults: Vec::new() };
    let mut given = ENDPOINTS.iter().rev().filter(|(name, given)| {
        reader.get(name).is_some_and(|text| endpoint(text, *given).is_ok())
    });
    given.next().map(|(name, _)| *name)
}

/// Applies OpenTelemetry's exporter variables; those for traces override the general ones.
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
        "http/json" => Err(Refused::new("http/json is not supported", "http/protobuf is used")),
        _ => units::choice(text, &units::PROTOCOLS),
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
            let message = format!("compression `{value}` is not supported");
            reader.fault(
                Level::Warning,
                name,
                Refused::new(message, "spans are sent uncompressed"),
            );
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
        _ => Err(Refused::new(
            format!("`{text}` is not a number of milliseconds"),
            "write a number without a unit",
        )),
    }
}

fn count(text: &str) -> Result<usize, Refused> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(number as usize),
        _ => Err(Refused::new(format!("`{text}` is not a number"), "write a number above 0")),
    }
}

/// Parses `key=value,key=value` with percent-encoded values.
fn pairs(text: &str, example: &str) -> Result<Vec<(String, String)>, Refused> {
    let mut found = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let pair = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        // the value may be a secret, so the error does not contain it
        let Some((key, value)) = pair else {
            return Err(Refused::new(
                "the value is not a list of key=value pairs",
                format!("as in {example}"),
            ));
        };
        found.push((decoded(key.trim()), decoded(value.trim())));
    }
    Ok(found)
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(text.as_bytes())).into_owned()
}
