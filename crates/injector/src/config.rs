//! The injector's configuration: reads YAML into `inject::policy::Policy`. All errors are reported
//! at once with their positions, and the policy contains every valid value. The embedded
//! configuration of sidelight, `defaults`, is checked like a separate file. Unit: one file.

mod names;
mod otlp;
#[cfg(test)]
mod tests;
mod write;

use crate::inject::policy::{
    Allow, Entrypoint, FinalScrape, Group, ImageVolume, Mesh, Metrics, Mode, Overrides, Platform,
    Policy, Probe, PullPolicy, Resources,
};
use crate::inject::quantity;
use crate::inject::sidecar::DEFAULTS_BYTES_MAX;
use crate::name::is_label;
use sidelight::config::fault::{Fault, Level};
use sidelight::config::reader::{At, Keys, Reader};
use sidelight::config::tree::{self, Source, Value};
use sidelight::config::units::{self, Refused};
use sidelight::config::{check_value, metric_prefix, read_file};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const MODES: [(&str, Mode); 2] = [("native", Mode::Native), ("classic", Mode::Classic)];
const PLATFORMS: [(&str, Platform); 3] = [
    ("kubernetes", Platform::Kubernetes),
    ("openshift", Platform::OpenShift),
    ("auto", Platform::Auto),
];
const MESHES: [(&str, Mesh); 4] = [
    ("auto", Mesh::Auto),
    ("native", Mesh::Native),
    ("classic", Mesh::Classic),
    ("none", Mesh::Absent),
];
const PULL_POLICIES: [(&str, PullPolicy); 3] = [
    ("Always", PullPolicy::Always),
    ("IfNotPresent", PullPolicy::IfNotPresent),
    ("Never", PullPolicy::Never),
];
const IMAGE_VOLUMES: [(&str, ImageVolume); 2] =
    [("always", ImageVolume::Always), ("never", ImageVolume::Never)];

/// Ports that an unprivileged process may bind.
const PORTS: std::ops::RangeInclusive<usize> = 1024..=65535;
/// Seconds and failures of a probe. kubelet's numbers have 32 bits, but a wait of more than an hour
/// makes no sense.
const PROBES: std::ops::RangeInclusive<usize> = 1..=3600;
/// With a longer wait, deleting a pod would look as if it hangs.
const FINAL_SCRAPE_WAIT_MAX: Duration = Duration::from_mins(10);
/// More replicas of one Prometheus than any installation has.
const SCRAPERS: std::ops::RangeInclusive<usize> = 1..=4;
/// Resources that every node has; any other would prevent pods from being scheduled.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Reads a file. If it cannot be read, returns the default policy and a fault with the reason.
pub fn load(path: &Path) -> (Policy, Vec<Fault>) {
    let name = path.display().to_string();
    let refused = |message: String| Fault {
        level: Level::Error,
        path: name.clone(),
        message: format!("the injector's configuration cannot be read: {message}"),
        hint: None,
        located: None,
    };
    match read_file(path) {
        Ok(text) => parse(&name, &text),
        Err(error) => (Policy::default(), vec![refused(error.to_string())]),
    }
}

/// Reads a text in place of a file; `name` appears in its faults.
pub fn parse(name: &str, text: &str) -> (Policy, Vec<Fault>) {
    let source = Source::new(name, text);
    let mut policy = Policy::default();
    let root = match tree::read(&source) {
        Ok(Some(root)) => root,
        Ok(None) => return (policy, Vec::new()),
        Err(fault) => return (policy, vec![*fault]),
    };
    let mut reader = Reader::new(&source);
    let at = At { node: &root, path: String::new() };
    if let Some(mut keys) = reader.keys(&at) {
        whole(&mut reader, &mut keys, &mut policy);
        reader.finish(&keys);
    }
    let mut faults = reader.faults;
    faults.sort();
    (policy, faults.into_list())
}

fn whole(reader: &mut Reader<'_>, keys: &mut Keys<'_>, to: &mut Policy) {
    if let Some(at) = keys.take("revision") {
        set(&mut to.revision, reader.parsed(&at, names::label));
    }
    if let Some(at) = keys.take("image") {
        set(&mut to.image, reader.parsed(&at, image));
    }
    if let Some(at) = keys.take("image_pull_policy") {
        let policy = reader.parsed(&at, |text| units::choice(text, &PULL_POLICIES));
        set(&mut to.image_pull_policy, policy);
    }
    if let Some(at) = keys.take("image_pull_secrets") {
        to.image_pull_secrets = texts(reader, &at, names::name);
    }
    if let Some(at) = keys.take("mode") {
        set(&mut to.mode, reader.parsed(&at, |text| units::choice(text, &MODES)));
    }
    if let Some(at) = keys.take("port") {
        set(&mut to.port, reader.integer(&at, PORTS).map(|port| port as u16));
    }
    if let Some(at) = keys.take("platform") {
        set(&mut to.platform, reader.parsed(&at, |text| units::choice(text, &PLATFORMS)));
    }
    if let Some(at) = keys.take("mesh") {
        set(&mut to.mesh, reader.parsed(&at, |text| units::choice(text, &MESHES)));
    }
    if let Some(at) = keys.take("otlp") {
        set(&mut to.otlp, otlp::read(reader, &at));
    }
    if let Some(at) = keys.take("resources") {
        resources(reader, &at, &mut to.resources);
    }
    if let Some(at) = keys.take("tee") {
        tee(reader, &at, to);
    }
    if let Some(at) = keys.take("volume_size_limit") {
        set(
            &mut to.volume_size_limit,
            reader.parsed(&at, |text| amount("memory", text, true)).map(Some),
        );
    }
    for (key, probe) in
        [("startup_probe", &mut to.startup_probe), ("liveness_probe", &mut to.liveness_probe)]
    {
        if let Some(at) = keys.take(key) {
            read_probe(reader, &at, probe);
        }
    }
    if let Some(at) = keys.take("final_scrape") {
        final_scrape(reader, &at, &mut to.final_scrape);
    }
    if let Some(at) = keys.take("metrics") {
        metrics(reader, &at, &mut to.metrics);
    }
    if let Some(at) = keys.take("allow") {
        to.allow = allow(reader, &at);
    }
    if let Some(at) = keys.take("entrypoints") {
        to.entrypoints = entrypoints(reader, &at);
    }
    if let Some(at) = keys.take("defaults") {
        to.defaults = defaults(reader, &at);
    }
    if let Some(at) = keys.take("namespaces") {
        to.namespaces = namespaces(reader, &at, to);
    }
    if let Some(at) = keys.take("exclude_namespaces") {
        to.exclude_namespaces = texts(reader, &at, names::label).into_iter().collect();
    }
}

fn tee(reader: &mut Reader<'_>, at: &At<'_>, to: &mut Policy) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("image_volume") {
        let found = reader.parsed(&at, |text| units::choice(text, &IMAGE_VOLUMES));
        set(&mut to.image_volume, found);
    }
    reader.finish(&keys);
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

fn texts(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    parse: impl Fn(&str) -> Result<String, Refused>,
) -> Vec<String> {
    reader.list(at).iter().filter_map(|at| reader.parsed(at, &parse)).collect()
}

/// Parses the name of an image.
///
/// # Errors
/// Fails if the name has white space or control characters, or is empty.
pub fn image(text: &str) -> Result<String, Refused> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let hint = "as in registry.example/sidelight:1.2.3, or better with @sha256:...";
        return Err(Refused::new(format!("`{text}` is no name of an image"), hint));
    }
    Ok(text.to_owned())
}

fn amount(resource: &str, text: &str, is_limit: bool) -> Result<String, Refused> {
    if quantity::is_usable(resource, text, is_limit) {
        return Ok(text.to_owned());
    }
    let hint = if resource == "cpu" { "as in 50m or 0.5" } else { "as in 64Mi" };
    Err(Refused::new(format!("`{text}` is no quantity of {resource}"), hint))
}

/// Reads individual quantities, and keeps the others.
fn resources(reader: &mut Reader<'_>, at: &At<'_>, to: &mut Resources) {
    let Some(mut keys) = reader.keys(at) else { return };
    for (key, quantities, is_limit) in
        [("requests", &mut to.requests, false), ("limits", &mut to.limits, true)]
    {
        let Some(at) = keys.take(key) else { continue };
        let Some(mut names) = reader.keys(&at) else { continue };
        for resource in RESOURCES {
            let Some(at) = names.take(resource) else { continue };
            if at.node.value == Value::Null {
                quantities.remove(resource);
                continue;
            }
            let quantity = reader.parsed(&at, |text| amount(resource, text, is_limit));
            quantities.extend(quantity.map(|quantity| (resource.to_owned(), quantity)));
        }
        reader.finish(&names);
    }
    reader.finish(&keys);
    for (resource, request) in &to.requests {
        let limit = to.limits.get(resource);
        if limit.is_some_and(|limit| quantity::is_more(request, limit)) {
            let message = format!("more {resource} is requested than the limit gives");
            reader.refuse(at, message, "a container like this is refused: raise the limit");
        }
    }
}

fn read_probe(reader: &mut Reader<'_>, at: &At<'_>, to: &mut Probe) {
    let Some(mut keys) = reader.keys(at) else { return };
    for (key, number) in [
        ("period_seconds", &mut to.period_seconds),
        ("timeout_seconds", &mut to.timeout_seconds),
        ("failure_threshold", &mut to.failure_threshold),
    ] {
        if let Some(at) = keys.take(key) {
            set(number, reader.integer(&at, PROBES).map(|value| value as u32));
        }
    }
    reader.finish(&keys);
}

fn final_scrape(reader: &mut Reader<'_>, at: &At<'_>, to: &mut FinalScrape) {
    let Some(mut keys) = reader.keys(at) else { return };
    for (key, wait) in [("jobs", &mut to.jobs), ("others", &mut to.others)] {
        let Some(at) = keys.take(key) else { continue };
        let Some(value) = reader.parsed(&at, units::duration) else { continue };
        if value > FINAL_SCRAPE_WAIT_MAX {
            reader.refuse(
                &at,
                "the wait is too long",
                "at most 10m: the pod stays until it is over",
            );
        } else {
            *wait = value;
        }
    }
    if let Some(at) = keys.take("scrapers") {
        set(&mut to.scrapers, reader.integer(&at, SCRAPERS).map(|scrapers| scrapers as u8));
    }
    reader.finish(&keys);
}

fn metrics(reader: &mut Reader<'_>, at: &At<'_>, to: &mut Metrics) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("prefix") {
        let prefix = reader.parsed(&at, metric_prefix);
        set(&mut to.prefix, prefix.map(|prefix| (!prefix.is_empty()).then_some(prefix)));
    }
    if let Some(at) = keys.take("groups")
        && let Some(mut keys) = reader.keys(&at)
    {
        for group in Group::ALL {
            let Some(at) = keys.take(group.word()) else { continue };
            match reader.parsed(&at, units::flag) {
                Some(true) => _ = to.groups_off.remove(&group),
                Some(false) => _ = to.groups_off.insert(group),
                None => {}
            }
        }
        reader.finish(&keys);
    }
    reader.finish(&keys);
}

fn allow(reader: &mut Reader<'_>, at: &At<'_>) -> Allow {
    let words = [("image", 0), ("resources", 1)];
    let mut allow = Allow::default();
    for at in reader.list(at) {
        match reader.parsed(&at, |text| units::choice(text, &words)) {
            Some(0) => allow.image = true,
            Some(_) => allow.resources = true,
            None => {}
        }
    }
    allow
}

/// Reads for each image a list, or a map of ENTRYPOINT and CMD.
fn entrypoints(reader: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, Entrypoint> {
    let mut entrypoints = BTreeMap::new();
    let Some(images) = reader.keys(at) else { return entrypoints };
    for (image, at) in images.all() {
        let text = |text: &str| Ok(text.to_owned());
        let entrypoint = if let Value::Map(_) = at.node.value {
            let Some(mut keys) = reader.keys(&at) else { continue };
            let mut list =
                |key| keys.take(key).map(|at| texts(reader, &at, text)).unwrap_or_default();
            let entrypoint = Entrypoint { command: list("entrypoint"), args: list("cmd") };
            reader.finish(&keys);
            entrypoint
        } else {
            Entrypoint { command: texts(reader, &at, text), args: Vec::new() }
        };
        if entrypoint.command.is_empty() {
            let hint = "as in [nginx, -g, daemon off;], or a map of `entrypoint` and `cmd`";
            reader.refuse(&at, "the command is missing", hint);
        } else {
            entrypoints.insert(image.key().to_owned(), entrypoint);
        }
    }
    entrypoints
}

/// Validates sidelight's configuration, and returns it as text for a variable.
fn defaults(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    if at.node.value == Value::Null {
        return None;
    }
    let before = reader.faults.listed_mut().len();
    check_value(reader, at.node);
    for fault in &mut reader.faults.listed_mut()[before..] {
        fault.path = match fault.path.as_str() {
            "" => "defaults".to_owned(),
            path => format!("defaults.{path}"),
        };
    }
    otlp::check_defaults(reader, at.node);
    let text = write::yaml(at.node);
    if text.len() > DEFAULTS_BYTES_MAX {
        let message = format!("{} bytes are more than a variable can hold", text.len());
        let hint =
            format!("at most {DEFAULTS_BYTES_MAX}: move rules to the ConfigMaps of the namespaces");
        reader.refuse(at, message, &hint);
        return None;
    }
    Some(text)
}

fn namespaces(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    policy: &Policy,
) -> BTreeMap<String, Overrides> {
    let mut namespaces = BTreeMap::new();
    let Some(names) = reader.keys(at) else { return namespaces };
    for (name, at) in names.all() {
        if !is_label(name.key()) {
            reader.refuse(&at, format!("`{}` is no name of a namespace", name.key()), "");
        }
        let Some(mut keys) = reader.keys(&at) else { continue };
        let overrides = overrides(reader, &mut keys, policy);
        reader.finish(&keys);
        namespaces.insert(name.key().to_owned(), overrides);
    }
    namespaces
}

fn overrides(reader: &mut Reader<'_>, keys: &mut Keys<'_>, policy: &Policy) -> Overrides {
    let mut to = Overrides::default();
    if let Some(at) = keys.take("mode") {
        to.mode = reader.parsed(&at, |text| units::choice(text, &MODES));
    }
    if let Some(at) = keys.take("port") {
        to.port = reader.integer(&at, PORTS).map(|port| port as u16);
    }
    if let Some(at) = keys.take("otlp") {
        to.otlp = otlp::read(reader, &at);
    }
    if let Some(at) = keys.take("resources") {
        let mut whole = policy.resources.clone();
        resources(reader, &at, &mut whole);
        to.resources = Some(whole);
    }
    if let Some(at) = keys.take("final_scrape") {
        let mut whole = policy.final_scrape;
        final_scrape(reader, &at, &mut whole);
        to.final_scrape = Some(whole);
    }
    if let Some(at) = keys.take("metrics") {
        let mut whole = policy.metrics.clone();
        metrics(reader, &at, &mut whole);
        to.metrics = Some(whole);
    }
    if let Some(at) = keys.take("allow") {
        to.allow = Some(allow(reader, &at));
    }
    to
}
