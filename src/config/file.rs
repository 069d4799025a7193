//! The keys of a configuration file, laid over what is there already: what a file does not say stays as it
//! was. Unit: one file.

use super::fault::Level;
use super::reader::{At, Reader};
use super::rules::{self, Places, Written};
use super::setting::{self, Final};
use super::settings::{
    Config, ExportSettings, FinalScrapeSettings, ListenSettings, SocketSettings,
};
use super::tree::{Node, Value};
use super::units;
use crate::export::endpoint::{self, Endpoint, EndpointError, Given, Protocol};
use crate::health::settings::{Heartbeat, Ratio, Settings as HealthSettings, WINDOW_MAX};
use crate::rules::syntax::nearest;
use std::path::PathBuf;
use std::time::Duration;

/// The longest path of a Unix socket: `sun_path` with its closing NUL.
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The longest line that may be kept; every connection may hold one.
const LINE_BYTES: std::ops::RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

/// What a file says beside its settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Its rules.
    pub(super) rules: Vec<Written>,
    /// Where the values of its rules stand.
    pub(super) places: Places,
    /// Settings that no later layer may raise or change.
    pub(super) finals: Vec<Final>,
}

/// Puts the settings of a file over `config`; returns what else it says.
pub(super) fn apply(reader: &mut Reader<'_>, root: &Node, config: &mut Config) -> Said {
    let mut said = Said::default();
    let at = At { node: root, path: String::new() };
    let Some(mut keys) = reader.keys(&at) else { return said };
    if let Some(at) = keys.take("enabled") {
        set(&mut config.enabled, reader.parsed(&at, units::flag));
    }
    if let Some(at) = keys.take("socket")
        && let Some(limits) = socket(reader, &at, &mut config.socket, true)
    {
        config.line_bytes_max = limits.0.unwrap_or(config.line_bytes_max);
        config.connections_max = limits.1.unwrap_or(config.connections_max);
    }
    if let Some(at) = keys.take("datagram_socket") {
        socket(reader, &at, &mut config.datagram_socket, false);
    }
    if let Some(at) = keys.take("listen") {
        let before = config.listen.address;
        if let Some(address) = reader.parsed(&at, |text| units::listen(text, before)) {
            config.listen = ListenSettings { address, fallback: None };
        }
    }
    if let Some(at) = keys.take("mode") {
        set(&mut config.mode, reader.parsed(&at, |text| units::choice(text, &units::MODES)));
    }
    if let Some(at) = keys.take("grace_seconds") {
        set(&mut config.grace, reader.parsed(&at, units::seconds));
    }
    if let Some(at) = keys.take("stdin") {
        set(&mut config.stdin, reader.parsed(&at, units::flag));
    }
    if let Some(at) = keys.take("passthrough") {
        let words = &units::PASSTHROUGHS;
        set(&mut config.passthrough, reader.parsed(&at, |text| units::choice(text, words)));
    }
    if let Some(at) = keys.take("log_level") {
        let words = &units::LOG_LEVELS;
        set(&mut config.log_level, reader.parsed(&at, |text| units::choice(text, words)));
    }
    if let Some(at) = keys.take("time_zone") {
        set(&mut config.time_zone, reader.parsed(&at, units::time_zone));
    }
    if let Some(at) = keys.take("service") {
        set(&mut config.resource.service_name, reader.text(&at).map(str::to_owned));
    }
    if let Some(at) = keys.take("metrics") {
        metrics(reader, &at, config, &mut said.places);
    }
    if let Some(at) = keys.take("rules") {
        said.rules = rules::read(reader, &at, &mut said.places);
    }
    if let Some(at) = keys.take("health") {
        health(reader, &at, &mut config.health);
    }
    if let Some(at) = keys.take("traces") {
        traces(reader, &at, config);
    }
    if let Some(at) = keys.take("export") {
        export(reader, &at, &mut config.export);
    }
    if let Some(at) = keys.take("final_scrape") {
        final_scrape(reader, &at, &mut config.final_scrape);
    }
    if let Some(at) = keys.take("final") {
        said.finals = finals(reader, &at);
    }
    reader.finish(&keys);
    said
}

/// The settings that are final, by their paths; a path stands for all below it.
fn finals(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Final> {
    let mut found = Vec::new();
    for at in reader.list(at) {
        let Some(text) = reader.text(&at) else { continue };
        let settings = setting::below(text);
        if settings.is_empty() {
            let known = setting::ALL.iter().map(|setting| setting.path);
            let hint = match nearest(text, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "as in metrics.limits.series, export or socket".to_owned(),
            };
            reader.refuse(&at, format!("`{text}` is no setting"), &hint);
        }
        let Node { start, end, .. } = *at.node;
        for setting in settings {
            // a setting that is named twice is as final as one that is named once
            if !found.iter().any(|one: &Final| one.setting.path == setting.path) {
                found.push(Final { setting, start, end });
            }
        }
    }
    found
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

type LineLimits = (Option<usize>, Option<usize>);

/// A path alone, or a map.
fn socket(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    to: &mut SocketSettings,
    stream: bool,
) -> Option<LineLimits> {
    if let Value::Text(_) = at.node.value {
        set(&mut to.path, reader.parsed(at, socket_path).map(Some));
        return None;
    }
    let mut keys = reader.keys(at)?;
    if let Some(at) = keys.take("path") {
        set(&mut to.path, reader.parsed(&at, socket_path).map(Some));
    }
    if let Some(at) = keys.take("mode") {
        set(&mut to.mode, reader.parsed(&at, units::mode_bits));
        if to.mode & 0o002 != 0 {
            let message = "every user of the machine may write to this socket";
            reader.fault(Level::Warning, &at, message, Some("use a group".to_owned()));
        }
    }
    if let Some(at) = keys.take("group") {
        set(&mut to.group, reader.text(&at).map(|text| Some(text.to_owned())));
    }
    let mut limits = (None, None);
    if stream {
        if let Some(at) = keys.take("line_bytes_max") {
            limits.0 = reader.size(&at, LINE_BYTES);
        }
        if let Some(at) = keys.take("connections_max") {
            limits.1 = reader.integer(&at, 1..=65_536);
        }
    }
    reader.finish(&keys);
    Some(limits)
}

/// A path that a Unix socket can have.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, units::Refused> {
    if text.is_empty() {
        return Err(units::Refused::new("a path is missing", "as in /run/sidelight/log.sock"));
    }
    if text.len() > SOCKET_PATH_BYTES_MAX {
        let message = format!("the path is longer than {SOCKET_PATH_BYTES_MAX} bytes");
        return Err(units::Refused::new(
            message,
            "the kernel's limit for sockets: use a shorter one",
        ));
    }
    Ok(PathBuf::from(text))
}

fn metrics(reader: &mut Reader<'_>, at: &At<'_>, config: &mut Config, places: &mut Places) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("prefix") {
        places.put(at.path.clone(), &at);
        set(&mut config.rules.prefix, reader.parsed(&at, rules::prefix));
    }
    if let Some(at) = keys.take("groups")
        && let Some(mut keys) = reader.keys(&at)
    {
        let groups = &mut config.rules.groups;
        for (name, group) in [
            ("http", &mut groups.http),
            ("database", &mut groups.database),
            ("log", &mut groups.log),
            ("functions", &mut groups.functions),
        ] {
            if let Some(at) = keys.take(name) {
                set(group, reader.parsed(&at, units::flag));
            }
        }
        reader.finish(&keys);
    }
    if let Some(at) = keys.take("limits")
        && let Some(mut keys) = reader.keys(&at)
    {
        if let Some(at) = keys.take("series") {
            set(&mut config.limits.series_max, reader.integer(&at, 1..=1_000_000));
        }
        if let Some(at) = keys.take("label_sets") {
            set(&mut config.limits.label_sets_max, reader.integer(&at, 1..=1_000_000));
        }
        if let Some(at) = keys.take("routes") {
            set(&mut config.rules.routes_max, reader.integer(&at, 1..=10_000).map(Some));
        }
        if let Some(at) = keys.take("label_value_bytes") {
            set(&mut config.limits.label_value_bytes_max, reader.size(&at, 32..=4096));
        }
        reader.finish(&keys);
    }
    if let Some(at) = keys.take("created_timestamps") {
        set(&mut config.created_timestamps, reader.parsed(&at, units::flag));
    }
    reader.finish(&keys);
}

fn health(reader: &mut Reader<'_>, at: &At<'_>, to: &mut HealthSettings) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("window") {
        let window = reader.parsed(&at, units::duration);
        match window {
            Some(window) if window < Duration::from_secs(5) || window > WINDOW_MAX => {
                reader.refuse(&at, "the window is out of bounds", "from 5s to 10m");
            }
            window => set(&mut to.window, window),
        }
    }
    if let Some(at) = keys.take("error_ratio") {
        ratio(reader, &at, &mut to.errors);
    }
    if let Some(at) = keys.take("http_error_ratio") {
        ratio(reader, &at, &mut to.http_errors);
    }
    if let Some(at) = keys.take("fatal") {
        set(&mut to.fatal_for, reader.parsed(&at, units::duration));
    }
    if let Some(at) = keys.take("recover") {
        set(&mut to.recover_after, reader.parsed(&at, units::duration));
    }
    if let Some(at) = keys.take("heartbeat") {
        set(&mut to.heartbeat, heartbeat(reader, &at).map(Some));
    }
    reader.finish(&keys);
}

fn ratio(reader: &mut Reader<'_>, at: &At<'_>, to: &mut Ratio) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("warn") {
        set(&mut to.warn, reader.ratio(&at));
    }
    if let Some(at) = keys.take("fail") {
        set(&mut to.fail, reader.ratio(&at));
    }
    if let Some(at) = keys.take("events_min") {
        let least = reader.integer(&at, 1..=1_000_000);
        set(&mut to.events_min, least.map(|least| least as u64));
    }
    reader.finish(&keys);
    if to.warn > to.fail {
        reader.refuse(at, "it fails before it warns", "`warn` must not be above `fail`");
    }
}

/// A duration alone, or a map; it may be late by half of it where no grace is given.
fn heartbeat(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Heartbeat> {
    if let Value::Text(_) = at.node.value {
        let every = positive(reader, at)?;
        return Some(Heartbeat { every, grace: every / 2 });
    }
    let mut keys = reader.keys(at)?;
    let every = keys.take("every");
    let grace = keys.take("grace").and_then(|at| reader.parsed(&at, units::duration));
    reader.finish(&keys);
    let Some(every) = every else {
        reader.refuse(at, "`every` is missing", "how often the line must come, as in `every: 30s`");
        return None;
    };
    let every = positive(reader, &every)?;
    Some(Heartbeat { every, grace: grace.unwrap_or(every / 2) })
}

fn positive(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Duration> {
    let duration = reader.parsed(at, units::duration)?;
    if duration.is_zero() {
        reader.refuse(at, "it must be longer than 0", "");
        return None;
    }
    Some(duration)
}

fn traces(reader: &mut Reader<'_>, at: &At<'_>, config: &mut Config) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("enabled") {
        set(&mut config.traces.enabled, reader.parsed(&at, units::flag));
    }
    if let Some(at) = keys.take("internal_spans") {
        set(&mut config.traces.spans.internal, reader.parsed(&at, units::flag));
    }
    if let Some(at) = keys.take("exception_text") {
        set(&mut config.traces.spans.exception_text, reader.parsed(&at, units::flag));
    }
    reader.finish(&keys);
}

/// Headers of a request: a token, a tenant, and what a proxy wants.
const HEADERS_MAX: usize = 64;

/// The words for [`Protocol`].
pub(super) const PROTOCOLS: [(&str, Protocol); 2] =
    [("http/protobuf", Protocol::Http), ("grpc", Protocol::Grpc)];

fn export(reader: &mut Reader<'_>, at: &At<'_>, to: &mut ExportSettings) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("endpoint") {
        let parsed = reader.parsed(&at, |text| endpoint(text, Given::Setting));
        set(&mut to.endpoint, parsed.map(Some));
    }
    if let Some(at) = keys.take("protocol") {
        set(&mut to.protocol, reader.parsed(&at, |text| units::choice(text, &PROTOCOLS)));
    }
    if let Some(at) = keys.take("headers")
        && let Some(headers) = reader.keys(&at)
    {
        let all = headers.all();
        if all.len() > HEADERS_MAX {
            reader.refuse(&at, format!("more than {HEADERS_MAX} headers"), "");
        }
        for (name, value) in all.into_iter().take(HEADERS_MAX) {
            let name = name.key().to_ascii_lowercase();
            if let Some(text) = reader.parsed(&value, |text| header(&name, text)) {
                to.headers.retain(|(known, _)| *known != name);
                to.headers.push((name, text));
            }
        }
    }
    if let Some(at) = keys.take("timeout") {
        set(&mut to.timeout, positive(reader, &at));
    }
    if let Some(at) = keys.take("queue_spans_max") {
        set(&mut to.queue_spans_max, reader.integer(&at, 1..=1_000_000));
    }
    if let Some(at) = keys.take("batch_spans_max") {
        set(&mut to.batch_spans_max, reader.integer(&at, 1..=65_536));
    }
    if let Some(at) = keys.take("delay") {
        set(&mut to.delay, positive(reader, &at));
    }
    reader.finish(&keys);
}

fn final_scrape(reader: &mut Reader<'_>, at: &At<'_>, to: &mut FinalScrapeSettings) {
    let Some(mut keys) = reader.keys(at) else { return };
    if let Some(at) = keys.take("wait") {
        set(&mut to.wait, reader.parsed(&at, final_scrape_wait));
    }
    if let Some(at) = keys.take("scrapers") {
        set(&mut to.scrapers, reader.parsed(&at, scrapers));
    }
    reader.finish(&keys);
}

/// How long the last scrape may be waited for: two scrapes at the longest interval in use.
const FINAL_SCRAPE_WAIT_MAX: Duration = Duration::from_mins(10);
/// How many scrapers may be waited for: a pair for two installations each.
const SCRAPERS_MAX: usize = 4;

/// A time to hold the last values.
pub(super) fn final_scrape_wait(text: &str) -> Result<Duration, units::Refused> {
    match units::duration(text)? {
        wait if wait <= FINAL_SCRAPE_WAIT_MAX => Ok(wait),
        _ => Err(units::Refused::new(
            format!("`{text}` is too long to keep a pod for a scrape"),
            "10m is the longest; a scrape interval and 5 s are enough",
        )),
    }
}

/// How many scrapers fetch the last values.
pub(super) fn scrapers(text: &str) -> Result<usize, units::Refused> {
    match text.parse() {
        Ok(count) if (1..=SCRAPERS_MAX).contains(&count) => Ok(count),
        _ => Err(units::Refused::new(
            format!("`{text}` are no scrapers to wait for"),
            format!("from 1 to {SCRAPERS_MAX}: 2 for a pair of Prometheus servers"),
        )),
    }
}

/// Where spans can be sent to, with the path that it means. TLS is refused once all layers are known.
pub(super) fn endpoint(text: &str, given: Given) -> Result<String, units::Refused> {
    endpoint::normalized(text, given).map_err(|error| refused(&error))
}

/// An endpoint that is given to sidecars in a variable: `$(HOST_IP)` in it is replaced in the pod.
pub(super) fn endpoint_template(text: &str) -> Result<String, units::Refused> {
    let example = endpoint::without_variables(text);
    match Endpoint::new(&example, Protocol::Http, &[]) {
        Ok(_) => Ok(text.to_owned()),
        // as it is written: the example stands nowhere
        Err(EndpointError::Tls(_)) => Err(refused(&EndpointError::Tls(text.to_owned()))),
        Err(error) => Err(refused(&error)),
    }
}

/// A header that may stand in a request.
pub(super) fn header(name: &str, value: &str) -> Result<String, units::Refused> {
    match endpoint::header(name, value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &EndpointError) -> units::Refused {
    units::Refused::new(error.to_string(), error.hint())
}
