//! Applies the keys of a configuration file to a configuration. Settings that the file does not
//! contain keep their values. Unit: one file.

use super::collector;
use super::fault::Level;
use super::finals::Final;
use super::formats;
use super::kind::{LONGER_THAN_ZERO, SettingKind, Span, Type, fold, keep};
use super::reader::{At, Reader};
use super::rules::{self, RulePositions, Written};
use super::setting::Setting;
use super::settings::Config;
use super::table;
use super::tree::{Node, Value};
use super::units::{self, Refused};
use crate::health::settings::Heartbeat;
use crate::rules::routes::{PATTERNS_MAX, Pattern};
use crate::rules::settings::Buckets;
use crate::rules::settings::FormatSettings;
use crate::rules::standard;
use crate::rules::syntax::nearest;
use std::time::Duration;

/// The contents of a file other than its settings.
#[derive(Clone, Debug, Default)]
pub(super) struct FileContents {
    /// The rules.
    pub(super) rules: Vec<Written>,
    /// The formats of lines; one without a name is named by its place in the list.
    pub(super) formats: Vec<FormatSettings>,
    /// The positions of the values of its rules and formats.
    pub(super) places: RulePositions,
    /// Settings that later layers may not raise or change.
    pub(super) finals: Vec<Final>,
}

/// Applies the settings of a file to `config`; returns the rest of its contents.
pub(super) fn apply(reader: &mut Reader<'_>, root: &Node, config: &mut Config) -> FileContents {
    let mut contents = FileContents::default();
    let at = At { node: root, path: String::new() };
    let Some(mut keys) = reader.keys(&at) else { return contents };
    for key in children("") {
        if let Some(at) = keys.take(key) {
            value(reader, &at, key, config, &mut contents.places);
        }
    }
    if let Some(at) = keys.take("rules") {
        contents.rules = rules::read(reader, &at, &mut contents.places);
    }
    if let Some(at) = keys.take("formats") {
        contents.formats = formats::read(reader, &at, &mut contents.places);
    }
    if let Some(at) = keys.take("final") {
        contents.finals = finals(reader, &at);
    }
    reader.finish(&keys);
    contents
}

/// Returns the keys directly below a path of the table, each once, in its order.
fn children(path: &str) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = Vec::new();
    for setting in table::ALL.iter().filter(|setting| setting.in_file) {
        let below = match path {
            "" => Some(setting.path),
            _ => setting.path.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')),
        };
        let Some(key) = below.and_then(|below| below.split('.').next()) else { continue };
        if keys.last() != Some(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Reads the value at a path of the table: a setting, or a map of settings. `path` is the path in
/// the table, which is only the end of the path to the value if the configuration is part of
/// another file.
fn value(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    path: &str,
    config: &mut Config,
    places: &mut RulePositions,
) {
    let is_text = matches!(at.node.value, Value::Text(_));
    let path = match path {
        // written as a path only
        "socket" if is_text => "socket.path",
        "datagram_socket" if is_text => "datagram_socket.path",
        path => path,
    };
    if let Some(setting) = table::ALL.iter().find(|setting| setting.path == path) {
        return one(reader, at, setting, config, places);
    }
    let Some(mut keys) = reader.keys(at) else { return };
    for key in children(path) {
        if let Some(at) = keys.take(key) {
            value(reader, &at, &format!("{path}.{key}"), config, places);
        }
    }
    reader.finish(&keys);
    let ratio = match path {
        "health.error_ratio" => config.health.errors,
        "health.http_error_ratio" => config.health.http_errors,
        _ => return,
    };
    if ratio.warn > ratio.fail {
        reader.refuse(at, "`warn` is above `fail`", "`warn` must not be larger than `fail`");
    }
}

/// Reads one setting.
fn one(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    setting: &Setting,
    config: &mut Config,
    places: &mut RulePositions,
) {
    match setting.kind {
        Type::Headers => return headers(reader, at, &mut config.export.headers),
        Type::Names if !matches!(at.node.value, Value::Text(_)) => {
            return rename(reader, at, &mut config.rules.rename, places);
        }
        Type::Heartbeat if !matches!(at.node.value, Value::Text(_)) => {
            return set(&mut config.health.heartbeat, heartbeat(reader, at).map(Some));
        }
        Type::Buckets if matches!(at.node.value, Value::List(_)) => {
            let before = reader.faults.len();
            let bounds = rules::buckets(reader, at);
            if reader.faults.len() == before {
                config.rules.buckets = Buckets(bounds);
            }
            return;
        }
        Type::Patterns if !matches!(at.node.value, Value::Text(_)) => {
            let routes = &mut config.rules.routes;
            return match setting.path {
                "metrics.routes.keep" => set(&mut routes.keep, patterns(reader, at, keep)),
                _ => set(&mut routes.fold, patterns(reader, at, fold)),
            };
        }
        Type::Prefix => places.put(at.path.clone(), at),
        _ => {}
    }
    if reader.parsed(at, |text| setting.read(text, config)).is_none() {
        return;
    }
    let mode = match setting.path {
        "socket.mode" => config.socket.mode,
        "datagram_socket.mode" => config.datagram_socket.mode,
        _ => return,
    };
    if mode & 0o002 != 0 {
        let message = "every user of the machine may write to this socket";
        reader.fault(Level::Warning, at, message, Some("use a group".to_owned()));
    }
}

/// Adds names of built-in families to the existing ones; replaces that of the same family.
fn rename(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    to: &mut Vec<(String, String)>,
    places: &mut RulePositions,
) {
    places.put(at.path.clone(), at);
    let Some(names) = reader.keys(at) else { return };
    let families = standard::families();
    for (key, value) in names.all() {
        let Some(family) = families.iter().find(|family| family.name == key.key()) else {
            let known: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
            let hint = match nearest(key.key(), known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the built-in metrics are {}", known.join(", ")),
            };
            let at = At { node: key, path: value.path.clone() };
            reader.refuse(&at, format!("there is no built-in metric `{}`", key.key()), &hint);
            continue;
        };
        places.put(value.path.clone(), &value);
        if let Some(name) = reader.parsed(&value, |text| rules::name_of(&family.kind, text)) {
            to.retain(|(known, _)| *known != family.name);
            to.push((family.name.clone(), name));
        }
    }
}

/// Reads a list of patterns; returns `None` if one of them is wrong.
fn patterns(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    parse: impl Fn(&str) -> Result<Pattern, Refused>,
) -> Option<Vec<Pattern>> {
    let before = reader.faults.len();
    let list = reader.list(at);
    if list.len() > PATTERNS_MAX {
        let hint = "* and {name} make one pattern of several";
        reader.refuse(at, format!("more than {PATTERNS_MAX} patterns"), hint);
        return None;
    }
    let read = list.iter().filter_map(|at| reader.parsed(at, &parse)).collect();
    (reader.faults.len() == before).then_some(read)
}

/// Reads the list of final settings, by path; a path includes everything below it.
fn finals(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Final> {
    let mut found = Vec::new();
    for at in reader.list(at) {
        let Some(text) = reader.text(&at) else { continue };
        let settings = table::below(text);
        if settings.is_empty() {
            let known = table::ALL.iter().filter(|one| one.in_file).map(|one| one.path);
            let hint = match nearest(text, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "as in metrics.limits.series, export or socket".to_owned(),
            };
            reader.refuse(&at, format!("there is no setting `{text}`"), &hint);
        }
        let Node { start, end, .. } = *at.node;
        for setting in settings {
            // a setting may be listed twice
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

/// Reads how often the line must come, and how late it may be: by default half of that time.
fn heartbeat(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Heartbeat> {
    let mut keys = reader.keys(at)?;
    let every = keys.take("every");
    let grace = keys.take("grace").and_then(|at| reader.parsed(&at, units::duration));
    reader.finish(&keys);
    let Some(every) = every else {
        reader.refuse(at, "`every` is missing", "how often the line must come, as in `every: 30s`");
        return None;
    };
    let parse = |text: &str| Span::parse(text, Some(LONGER_THAN_ZERO), &Duration::ZERO);
    let every = reader.parsed(&every, parse)?;
    Some(Heartbeat { every, grace: grace.unwrap_or(every / 2) })
}

/// Maximum number of headers of a request: a token, a tenant, and what a proxy needs.
const HEADERS_MAX: usize = 64;

/// Adds headers to the existing ones; replaces a header of the same name, ignoring case.
fn headers(reader: &mut Reader<'_>, at: &At<'_>, to: &mut Vec<(String, String)>) {
    let Some(headers) = reader.keys(at) else { return };
    let all = headers.all();
    if all.len() > HEADERS_MAX {
        reader.refuse(at, format!("more than {HEADERS_MAX} headers"), "");
    }
    for (name, value) in all.into_iter().take(HEADERS_MAX) {
        let name = name.key().to_ascii_lowercase();
        if let Some(text) = reader.parsed(&value, |text| collector::header(&name, text)) {
            to.retain(|(known, _)| *known != name);
            to.push((name, text));
        }
    }
}
