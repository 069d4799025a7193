//! Reads where spans are sent. Headers may be credentials: they are accepted as plain text with a
//! warning, and no message shows them. Unit: one destination.

use super::names;
use crate::inject::policy::{Otlp, Protocol, SecretKey};
use sidelight::config::fault::{Level, Located};
use sidelight::config::reader::{At, Reader};
use sidelight::config::tree::{Node, Value};
use sidelight::config::units::{self, Refused};
use sidelight::config::{otlp_endpoint, otlp_header};

const PROTOCOLS: [(&str, Protocol); 2] =
    [("http/protobuf", Protocol::Http), ("grpc", Protocol::Grpc)];

/// The warning of headers that a Secret should hold.
const PLAIN_HEADERS: &str = "these headers are in plain text in every pod with a sidecar";
const HEADERS_HINT: &str =
    "`otlp.headers_secret: {name, key}` names a Secret of the pod's namespace instead";

/// Reads a destination.
pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Otlp> {
    let mut keys = reader.keys(at)?;
    let mut otlp = Otlp::default();
    if let Some(at) = keys.take("endpoint") {
        otlp.endpoint = reader.parsed(&at, endpoint);
    }
    if let Some(at) = keys.take("protocol") {
        otlp.protocol = reader.parsed(&at, |text| units::choice(text, &PROTOCOLS));
    }
    if let Some(at) = keys.take("headers_secret") {
        otlp.headers_secret = secret(reader, &at);
    }
    if let Some(at) = keys.take("headers")
        && let Some(headers) = reader.keys(&at)
    {
        let is_replaced = otlp.headers_secret.is_some();
        for (name, value) in headers.all() {
            let name = name.key().to_ascii_lowercase();
            if let Some(text) = reader.parsed(&value, |text| otlp_header(&name, text)) {
                otlp.headers.insert(name, text);
            }
        }
        if !otlp.headers.is_empty() {
            let (message, hint) = if is_replaced {
                ("these headers are not sent: `headers_secret` replaces them", "remove them")
            } else {
                (PLAIN_HEADERS, HEADERS_HINT)
            };
            warn_of_headers(reader, &at, message, hint);
        }
    }
    reader.finish(&keys);
    Some(otlp)
}

/// Warns of headers in sidelight's own configuration, which is in plain text in every pod, too.
pub(super) fn check_defaults(reader: &mut Reader<'_>, defaults: &Node) {
    let headers = member(defaults, "export").and_then(|export| member(export, "headers"));
    if let Some(node) = headers
        && matches!(&node.value, Value::Map(headers) if !headers.is_empty())
    {
        let path = "defaults.export.headers".to_owned();
        warn_of_headers(reader, &At { node, path }, PLAIN_HEADERS, HEADERS_HINT);
    }
}

/// Returns the value of a key, if the node is a map that has it.
fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Map(map) = &node.value else { return None };
    map.iter().find_map(|(key, value)| (key.key() == name).then_some(value))
}

/// Adds a warning that shows the place of headers, but not the line, which may have a token.
fn warn_of_headers(reader: &mut Reader<'_>, at: &At<'_>, message: &str, hint: &str) {
    let before = reader.faults.listed_mut().len();
    reader.fault(Level::Warning, at, message, Some(hint.to_owned()));
    for fault in &mut reader.faults.listed_mut()[before..] {
        if let Some(Located { file, line, column, .. }) = fault.located.take() {
            fault.path = format!("{file}:{line}:{column} ({})", fault.path);
        }
    }
}

/// Reads the reference to one key of a Secret; both parts are required.
fn secret(reader: &mut Reader<'_>, at: &At<'_>) -> Option<SecretKey> {
    let mut keys = reader.keys(at)?;
    let secret = keys.take("name").map(|at| reader.parsed(&at, names::name));
    let key = keys.take("key").map(|at| reader.parsed(&at, names::secret_key));
    reader.finish(&keys);
    if secret.is_none() || key.is_none() {
        let hint = "as in {name: otlp-headers, key: headers}";
        reader.refuse(at, "name and key of a Secret are required", hint);
    }
    Some(SecretKey { name: secret??, key: key?? })
}

/// Parses what OpenTelemetry calls a base URL: the exporter appends the path.
fn endpoint(text: &str) -> Result<String, Refused> {
    let hint =
        "as in http://$(HOST_IP):4318, or http://collector.telemetry:4317 with protocol grpc";
    otlp_endpoint(text).map_err(|refused| Refused::new(refused.message, hint))
}
