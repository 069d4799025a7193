//! Reads ConfigMaps from manifests, to check configurations before they are mounted. Every YAML key
//! of a ConfigMap is a configuration, and its faults get their positions in the manifest.
//! Everything else in a manifest is ignored. Unit: one file.

use super::fault::{Fault, Faults};
use super::layer::{self, Layer, Rank, is_key};
use super::text;
use super::tree::{self, Inside, Node, Source, Value};
use crate::order;
use std::path::Path;
use std::sync::Arc;

/// Maximum number of documents in a file; a rendered chart has a few dozen.
const DOCUMENTS_MAX: usize = 1_000;

/// The configurations that are mounted together: one file, or the keys of one ConfigMap.
#[derive(Clone, Debug)]
pub(super) struct CheckUnit {
    pub(super) name: String,
    pub(super) layers: Vec<Layer>,
    pub(super) faults: Faults,
}

/// Returns the configurations of a file: the file itself, or the ConfigMaps in it.
pub(super) fn units(path: &Path) -> Vec<CheckUnit> {
    let stdin = path == Path::new("-");
    let text = if stdin { text::standard_input() } else { text::read(path) };
    let name = if stdin { "standard input".to_owned() } else { path.display().to_string() };
    match text.as_ref().ok().and_then(|text| manifest(&name, text)) {
        Some(units) => units,
        None => {
            // the file may be meant for any layer, so final settings and variables are both allowed
            let layer = Layer::new(Rank::Cluster, name.clone(), text);
            let layers = vec![Layer { has_variables: true, ..layer }];
            vec![CheckUnit { name, layers, faults: Faults::default() }]
        }
    }
}

/// Returns the ConfigMaps in a text; `None` if none of its documents is a manifest.
pub(super) fn manifest(name: &str, text: &str) -> Option<Vec<CheckUnit>> {
    let mut units = Vec::new();
    let mut faults = Faults::default();
    let mut is_manifest = false;
    let starts = beginnings(text);
    for (number, start) in starts.iter().enumerate().take(DOCUMENTS_MAX) {
        let end = starts.get(number + 1).map_or(text.len(), |end| *end);
        let file = document(name, text, *start, end);
        match tree::read(&file) {
            Ok(Some(root)) => {
                is_manifest |= is_object(&root);
                objects(&file, &root, &mut units);
            }
            Ok(None) => {}
            Err(fault) => faults.push(*fault),
        }
    }
    if !is_manifest {
        return None;
    }
    if units.is_empty() || !faults.is_empty() {
        let name = format!("{name} (manifest)");
        units.insert(0, CheckUnit { name, layers: Vec::new(), faults });
    }
    Some(units)
}

/// Returns the byte offsets at which the documents of a text begin.
fn beginnings(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---");
        // three dashes at the start of a line always begin a document, even within a block of text
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])) {
            starts.push(at);
        }
        at += line.len();
    }
    starts
}

/// Returns one document with everything before it replaced by spaces, so that byte offsets stay the
/// same.
fn document(name: &str, text: &str, start: usize, end: usize) -> Source {
    let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    let mut alone: String = text[..start].bytes().map(blank).collect();
    alone.push_str(&text[start..end]);
    Source::new(name, &alone)
}

/// Adds the ConfigMaps of an object, or of a list of objects.
fn objects(file: &Source, root: &Node, units: &mut Vec<CheckUnit>) {
    match key(root, "kind").map(Node::key) {
        Some("ConfigMap") => units.extend(config_map(file, root)),
        Some(kind) if kind.ends_with("List") => {
            if let Some(Node { value: Value::List(items), .. }) = key(root, "items") {
                for item in items.iter().filter(|item| is_object(item)) {
                    objects(file, item, units);
                }
            }
        }
        Some(_) | None => {}
    }
}

fn is_object(node: &Node) -> bool {
    key(node, "kind").is_some() && key(node, "apiVersion").is_some()
}

/// Returns the keys of a ConfigMap that are configurations, in order of precedence; `None` if there
/// are none.
fn config_map(file: &Source, object: &Node) -> Option<CheckUnit> {
    let Value::Map(data) = &key(object, "data")?.value else { return None };
    let (mut keys, others): (Vec<_>, Vec<_>) =
        data.iter().partition(|(name, _)| is_key(name.key()));
    order::sort_by(&mut keys, |(one, _), (other, _)| one.key().cmp(other.key()));
    let name = key(object, "metadata").and_then(|metadata| key(metadata, "name"));
    let name = name.map(Node::key).unwrap_or_default();
    let mut faults = Faults::default();
    // a ConfigMap for another program has none of our keys and another name
    let is_ours = !keys.is_empty() || name.starts_with("sidelight");
    if let Some((other, _)) = others.first().filter(|_| is_ours) {
        let located = Some(file.find(other.start, other.end));
        let path = format!("data.{}", other.key());
        faults.push(Fault { path, located, ..layer::not_read(other.key()) });
    }
    let layer = |(of, value): &(Node, Node)| Layer {
        inside: Some(Arc::new(Inside { file: file.clone(), node: value.clone() })),
        ..Layer::new(Rank::Mounted, format!("{name}/{}", of.key()), Ok(value.key().to_owned()))
    };
    let layers: Vec<Layer> = keys.into_iter().map(layer).collect();
    let name = format!("{} (ConfigMap {name})", file.name);
    (!layers.is_empty() || !faults.is_empty()).then_some(CheckUnit { name, layers, faults })
}

/// Returns the value of a key in a map.
fn key<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Map(map) = &node.value else { return None };
    map.iter().find(|(known, _)| known.key() == name).map(|(_, value)| value)
}
