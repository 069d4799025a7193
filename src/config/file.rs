//! The keys of a configuration file, laid over what is there already: what a file does not say stays as it
//! was. Unit: one file.

use super::collector;
use super::fault::Level;
use super::finals::Final;
use super::kind::{Kind, LONGER_THAN_ZERO, Span, Type};
use super::reader::{At, Reader};
use super::rules::{self, Places, Written};
use super::setting::Setting;
use super::settings::Config;
use super::table;
use super::tree::{Node, Value};
use super::units;
use crate::health::settings::Heartbeat;
use crate::rules::syntax::nearest;
use std::time::Duration;

/// What a file says beside its settings.
#[derive(Clone, Debug, Default)]
pub(super) struct FileContents {
    /// Its rules.
    pub(super) rules: Vec<Written>,
    /// Where the values of its rules stand.
    pub(super) places: Places,
    /// Settings that no later layer may raise or change.
    pub(super) finals: Vec<Final>,
}

/// Puts the settings of a file over `config`; returns what else it says.
pub(super) fn apply(reader: &mut Reader<'_>, root: &Node, config: &mut Config) -> FileContents {
    let mut said = FileContents::default();
    let at = At { node: root, path: String::new() };
    let Some(mut keys) = reader.keys(&at) else { return said };
    for key in children("") {
        if let Some(at) = keys.take(key) {
            value(reader, &at, key, config, &mut said.places);
        }
    }
    if let Some(at) = keys.take("rules") {
        said.rules = rules::read(reader, &at, &mut said.places);
    }
    if let Some(at) = keys.take("final") {
        said.finals = finals(reader, &at);
    }
    reader.finish(&keys);
    said
}

/// The keys of the table right below a path, each once, in its order.
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

/// Reads what stands at a path of the table: a setting, or a map of some. `path` is the table's, which in the
/// configuration of another file is not the whole way to the value.
fn value(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    path: &str,
    config: &mut Config,
    places: &mut Places,
) {
    let is_text = matches!(at.node.value, Value::Text(_));
    let path = match path {
        // a path alone
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
        reader.refuse(at, "it fails before it warns", "`warn` must not be above `fail`");
    }
}

/// Reads one setting.
fn one(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    setting: &Setting,
    config: &mut Config,
    places: &mut Places,
) {
    match setting.kind {
        Type::Headers => return headers(reader, at, &mut config.export.headers),
        Type::Heartbeat if !matches!(at.node.value, Value::Text(_)) => {
            return set(&mut config.health.heartbeat, heartbeat(reader, at).map(Some));
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

/// The settings that are final, by their paths; a path stands for all below it.
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

/// How often the line must come, and how late it may be: half of it where no grace is given.
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

/// Headers of a request: a token, a tenant, and what a proxy wants.
const HEADERS_MAX: usize = 64;

/// Adds headers to those that are there; a name counts once, whatever its case.
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
