//! Applies the annotations of a pod to the policy. Everyone who may create pods controls them, and
//! so they may contain only numbers, words of closed sets and names, but never an image, a quantity
//! or a command without the installer's consent. An invalid annotation causes a warning, and the
//! policy's value stays. Unit: one pod.

use super::names::{CONFIG, RULES};
use super::pod::Pod;
use super::policy::{FinalScrape, Group, Metrics, Mode, Policy, Resources};
use super::quantity;
use crate::name::{is_label, is_name};
use std::collections::BTreeSet;
use std::time::Duration;

/// All keys of `sidelight.dev/config.KEY`.
const KEYS: [&str; 16] = [
    "mode",
    "port",
    "log-level",
    "containers",
    "tee",
    "tee-in-place",
    "metrics-prefix",
    "metrics-groups-off",
    "readiness-probe",
    "final-scrape-wait",
    "scrapers",
    "cpu-request",
    "cpu-limit",
    "memory-request",
    "memory-limit",
    "image",
];

const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Ports that an unprivileged process may bind.
const PORTS: std::ops::RangeInclusive<u16> = 1024..=65535;

/// With a longer wait, deleting a pod would look as if it hangs.
const FINAL_SCRAPE_WAIT_MAX: Duration = Duration::from_mins(10);

/// More replicas of one Prometheus than any installation has.
const SCRAPERS_MAX: u8 = 4;

/// Maximum bytes of a prefix of metric names.
const PREFIX_BYTES_MAX: usize = 64;

/// Maximum bytes of an image name: the longest repository, tag and digest that a registry accepts.
const IMAGE_BYTES_MAX: usize = 512;

/// The settings for one pod.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct PodOptions {
    pub(super) mode: Mode,
    pub(super) port: u16,
    pub(super) log_level: Option<&'static str>,
    /// The containers that get the socket; `None` for all.
    pub(super) containers: Option<BTreeSet<String>>,
    pub(super) tee: Tee,
    pub(super) in_place: InPlace,
    pub(super) metrics: Metrics,
    pub(super) readiness_probe: bool,
    pub(super) final_scrape: FinalScrape,
    /// The wait that the pod itself sets.
    pub(super) final_scrape_wait: Option<Duration>,
    pub(super) rules: Option<String>,
    pub(super) resources: Resources,
    pub(super) image: String,
}

/// The containers with copied output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Tee {
    Nobody,
    Everybody,
    Named(BTreeSet<String>),
}

/// Whether the command of a container replaces the copier, because it must be process 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InPlace {
    /// The copier decides by the command.
    Auto,
    Always,
    Never,
}

impl InPlace {
    /// Returns the value of the copier's option.
    pub(super) fn word(self) -> &'static str {
        match self {
            InPlace::Auto => "auto",
            InPlace::Always => "always",
            InPlace::Never => "never",
        }
    }
}

/// Reads annotations, and records which of them are invalid.
struct AnnotationReader<'p> {
    pod: &'p Pod<'p>,
    warnings: Vec<String>,
}

impl<'p> AnnotationReader<'p> {
    fn text(&self, key: &str) -> Option<&'p str> {
        self.pod.annotation(&format!("{CONFIG}{key}")).map(str::trim)
    }

    fn value<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(text);
        if value.is_none() {
            self.warn(&format!("{CONFIG}{key}"), text, expected);
        }
        value
    }

    fn warn(&mut self, key: &str, text: &str, expected: &str) {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
        self.warnings
            .push(format!("annotation {key}: `{shown}` is ignored, {expected} is expected"));
    }

    /// Returns whether the installer lets pods decide this; adds a warning if not.
    fn may(&mut self, key: &str, allowed: bool, consent: &str) -> bool {
        if self.text(key).is_some() && !allowed {
            let message = "ignored: the installer has not allowed it (injector configuration,";
            self.warnings
                .push(format!("annotation {CONFIG}{key}: {message} `allow: [{consent}]`)"));
        }
        allowed
    }
}

/// Returns the policy with the pod's settings applied, and the warnings for people.
pub(super) fn read(pod: &Pod<'_>, policy: &Policy) -> (PodOptions, Vec<String>) {
    let mut reader = AnnotationReader { pod, warnings: Vec::new() };
    for (key, _) in pod.annotations(CONFIG) {
        if !KEYS.contains(&key) {
            let known = KEYS.join(", ");
            reader.warnings.push(format!("annotation {CONFIG}{key} is unknown; known are {known}"));
        }
    }
    let mode = reader.value("mode", "native or classic", |text| {
        [Mode::Native, Mode::Classic].into_iter().find(|mode| mode.word() == text)
    });
    let port = reader.value("port", "a port from 1024 to 65535", |text| {
        text.parse().ok().filter(|port| PORTS.contains(port))
    });
    let log_level = reader.value("log-level", "error, warn, info, debug or trace", |text| {
        LOG_LEVELS.into_iter().find(|level| *level == text)
    });
    let options = PodOptions {
        mode: mode.unwrap_or(policy.mode),
        port: port.unwrap_or(policy.port),
        log_level,
        containers: containers(&mut reader),
        tee: tee(&mut reader),
        in_place: reader
            .value("tee-in-place", "auto, always or never", in_place)
            .unwrap_or(InPlace::Auto),
        metrics: metrics(&mut reader, &policy.metrics),
        readiness_probe: reader.value("readiness-probe", "true or false", flag).unwrap_or(false),
        final_scrape_wait: reader.value("final-scrape-wait", "a duration up to 10m, as 35s,", wait),
        final_scrape: FinalScrape {
            scrapers: reader
                .value("scrapers", "a number from 1 to 4", |text| {
                    text.parse().ok().filter(|scrapers| (1..=SCRAPERS_MAX).contains(scrapers))
                })
                .unwrap_or(policy.final_scrape.scrapers),
            ..policy.final_scrape
        },
        rules: rules(&mut reader),
        resources: resources(&mut reader, policy),
        image: image(&mut reader, policy),
    };
    (options, reader.warnings)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Parses names of containers that the pod has or may still get.
fn names(text: &str) -> Option<BTreeSet<String>> {
    let names: BTreeSet<String> = list(text).map(str::to_owned).collect();
    (!names.is_empty() && names.iter().all(|name| is_label(name))).then_some(names)
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Returns the containers that get the socket. If no container has one of the names, all of them
/// get it, because a typing error must not lose all lines.
fn containers(reader: &mut AnnotationReader<'_>) -> Option<BTreeSet<String>> {
    let expected = "a list of names of containers";
    let wanted = reader.value("containers", expected, names)?;
    let there = |name: &&String| reader.pod.container(name).is_some();
    let missing: Vec<&str> =
        wanted.iter().filter(|name| !there(name)).map(String::as_str).collect();
    let nobody = missing.len() == wanted.len();
    for name in missing {
        let end = if nobody { "; all get it" } else { "" };
        let message = format!("annotation {CONFIG}containers: there is no container `{name}`{end}");
        reader.warnings.push(message);
    }
    (!nobody).then_some(wanted)
}

fn tee(reader: &mut AnnotationReader<'_>) -> Tee {
    let parse = |text: &str| match flag(text) {
        Some(true) => Some(Tee::Everybody),
        Some(false) => Some(Tee::Nobody),
        None => names(text).map(Tee::Named),
    };
    reader.value("tee", "true or a list of names of containers", parse).unwrap_or(Tee::Nobody)
}

fn in_place(text: &str) -> Option<InPlace> {
    [InPlace::Auto, InPlace::Always, InPlace::Never].into_iter().find(|when| when.word() == text)
}

fn metrics(reader: &mut AnnotationReader<'_>, policy: &Metrics) -> Metrics {
    let prefix = reader.value("metrics-prefix", "the beginning of a metric's name", |text| {
        is_prefix(text).then(|| text.to_owned())
    });
    let groups =
        reader.value("metrics-groups-off", "a list of http, database, log, functions", |text| {
            let of = |word: &str| Group::ALL.into_iter().find(|group| group.word() == word);
            list(text).map(of).collect::<Option<BTreeSet<Group>>>()
        });
    Metrics {
        prefix: prefix.or_else(|| policy.prefix.clone()),
        groups_off: groups.unwrap_or_else(|| policy.groups_off.clone()),
    }
}

/// Returns whether a text has only letters, digits and underscores, and does not begin with a
/// digit.
fn is_prefix(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && text.len() <= PREFIX_BYTES_MAX
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

fn wait(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let wait = match unit {
        "s" => Duration::from_secs(number),
        "ms" => Duration::from_millis(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "" if number == 0 => Duration::ZERO,
        _ => return None,
    };
    (wait <= FINAL_SCRAPE_WAIT_MAX).then_some(wait)
}

/// Returns the name of a ConfigMap: DNS labels with dots between them.
fn rules(reader: &mut AnnotationReader<'_>) -> Option<String> {
    let name = reader.pod.annotation(RULES)?.trim();
    if is_name(name) {
        return Some(name.to_owned());
    }
    reader.warn(RULES, name, "the name of a ConfigMap of the same namespace");
    None
}

fn resources(reader: &mut AnnotationReader<'_>, policy: &Policy) -> Resources {
    let mut resources = policy.resources.clone();
    for (key, name, is_limit) in [
        ("cpu-request", "cpu", false),
        ("cpu-limit", "cpu", true),
        ("memory-request", "memory", false),
        ("memory-limit", "memory", true),
    ] {
        if !reader.may(key, policy.allow.resources, "resources") {
            continue;
        }
        let quantity = reader.value(key, "a quantity, as 50m or 64Mi,", |text| {
            quantity::is_usable(name, text, is_limit).then(|| text.to_owned())
        });
        let to = if is_limit { &mut resources.limits } else { &mut resources.requests };
        to.extend(quantity.map(|quantity| (name.to_owned(), quantity)));
    }
    resources
}

fn image(reader: &mut AnnotationReader<'_>, policy: &Policy) -> String {
    if !reader.may("image", policy.allow.image, "image") {
        return policy.image.clone();
    }
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let image = reader.value("image", "the name of an image", |text| {
        let fits = (1..=IMAGE_BYTES_MAX).contains(&text.len()) && text.bytes().all(part);
        fits.then(|| text.to_owned())
    });
    image.unwrap_or_else(|| policy.image.clone())
}

#[cfg(test)]
mod tests {
    use super::{CONFIG, KEYS};
    use std::collections::BTreeSet;

    /// Guarantees: the table of annotations in `docs/kubernetes.md` has exactly the keys that are
    /// read.
    #[test]
    fn the_page_has_all_annotations() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kubernetes.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let rows = page.split("\n## Annotations of a pod\n").nth(1).expect("the section");
        let rows = rows.split("\n## ").next().expect("a part").lines();
        let mut documented = BTreeSet::new();
        for row in rows.filter(|line| line.starts_with("| `")) {
            // `sidelight.dev/config.cpu-request`, `cpu-limit`
            let names = row.split('|').nth(1).expect("a cell").split('`').skip(1).step_by(2);
            let names = names.map(|name| name.strip_prefix(CONFIG).unwrap_or(name));
            documented.extend(names.filter(|name| !name.contains('/')));
        }
        assert_eq!(documented, BTreeSet::from(KEYS));
    }
}
