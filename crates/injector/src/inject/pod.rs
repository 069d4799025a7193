//! A view of a pod's JSON without decoding it: unknown fields are ignored and preserved. It refuses
//! a pod if a field that may have to be changed has another type than the API server accepts. Unit:
//! one pod.

use super::names;
use crate::name::is_label;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A pod with the right types wherever injection reads or writes.
#[derive(Clone, Debug)]
pub(super) struct Pod<'p> {
    pub(super) root: &'p Map<String, Value>,
    pub(super) spec: &'p Map<String, Value>,
    /// Init containers first, then containers, each in their order.
    pub(super) containers: Vec<Container<'p>>,
    /// Index into `containers` by name.
    by_name: BTreeMap<&'p str, usize>,
    volumes: BTreeMap<&'p str, &'p Value>,
}

/// One container of a pod.
#[derive(Clone, Debug)]
pub(super) struct Container<'p> {
    pub(super) name: &'p str,
    pub(super) is_init: bool,
    /// The index in its list.
    pub(super) index: usize,
    pub(super) map: &'p Map<String, Value>,
}

impl<'p> Pod<'p> {
    /// Parses a pod. Returns `None` if the API server would reject it, and a patch might not apply.
    pub(super) fn read(value: &'p Value) -> Option<Pod<'p>> {
        let root = value.as_object()?;
        let metadata = map_in(root, "metadata").ok()?;
        for key in ["labels", "annotations"] {
            metadata.map_or(Ok(None), |metadata| map_in(metadata, key)).ok()?;
        }
        if let Some(metadata) = metadata {
            list_in(metadata, "ownerReferences")?;
        }
        let spec = map_in(root, "spec").ok()??;
        let mut volumes = BTreeMap::new();
        for volume in list_in(spec, "volumes")? {
            if let Some(name) = volume.get("name").and_then(Value::as_str) {
                volumes.insert(name, volume).is_none().then_some(())?;
            }
        }
        list_in(spec, "imagePullSecrets")?;
        let mut containers = Vec::new();
        let mut names = BTreeSet::new();
        for (key, is_init) in [("initContainers", true), ("containers", false)] {
            for (index, container) in list_in(spec, key)?.iter().enumerate() {
                let map = container.as_object()?;
                let name = map.get("name").and_then(Value::as_str).filter(|name| is_label(name))?;
                names.insert(name).then_some(())?;
                for key in ["env", "volumeMounts", "ports"] {
                    list_in(map, key)?;
                }
                for key in ["command", "args"] {
                    texts_in(map, key)?;
                }
                containers.push(Container { name, is_init, index, map });
            }
        }
        containers.iter().any(|container| !container.is_init).then_some(())?;
        let by_name = containers.iter().enumerate().map(|(at, container)| (container.name, at));
        let by_name = by_name.collect();
        Some(Pod { root, spec, containers, by_name, volumes })
    }

    pub(super) fn metadata(&self) -> Option<&'p Map<String, Value>> {
        self.root.get("metadata")?.as_object()
    }

    fn meta(&self, of: &str, key: &str) -> Option<&'p str> {
        self.metadata()?.get(of)?.get(key)?.as_str()
    }

    pub(super) fn label(&self, key: &str) -> Option<&'p str> {
        self.meta("labels", key)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'p str> {
        self.meta("annotations", key)
    }

    /// Returns the annotations with this prefix, without the prefix, in their order.
    pub(super) fn annotations(&self, prefix: &str) -> Vec<(&'p str, &'p str)> {
        let all = self.metadata().and_then(|metadata| metadata.get("annotations")?.as_object());
        let of = |(key, value): (&'p String, &'p Value)| {
            Some((key.strip_prefix(prefix)?, value.as_str()?))
        };
        all.into_iter().flatten().filter_map(of).collect()
    }

    pub(super) fn container(&self, name: &str) -> Option<&Container<'p>> {
        self.by_name.get(name).map(|at| &self.containers[*at])
    }

    pub(super) fn volume(&self, name: &str) -> Option<&'p Value> {
        self.volumes.get(name).copied()
    }

    pub(super) fn has_volume(&self, name: &str) -> bool {
        self.volumes.contains_key(name)
    }

    /// Returns the bytes of all annotations as the API server counts them, keys and values.
    pub(super) fn annotation_bytes(&self) -> usize {
        let all = self.metadata().and_then(|metadata| metadata.get("annotations")?.as_object());
        let bytes =
            |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
        all.into_iter().flatten().map(bytes).sum()
    }

    /// Returns the additions that the annotation `status` records, if there is one.
    pub(super) fn status(&self) -> Option<Map<String, Value>> {
        match serde_json::from_str(self.annotation(names::STATUS)?) {
            Ok(Value::Object(status)) => Some(status),
            _ => None,
        }
    }

    /// Returns kind and name of the controlling owner.
    pub(super) fn owner(&self) -> Option<(&'p str, &'p str)> {
        let owners = self.metadata()?.get("ownerReferences")?.as_array()?;
        let acts = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
        let owner = owners.iter().find(acts).or(owners.first())?;
        Some((owner.get("kind")?.as_str()?, owner.get("name")?.as_str()?))
    }
}

impl<'p> Container<'p> {
    /// Returns the JSON pointer (RFC 6901) of the container.
    pub(super) fn path(&self) -> String {
        let list = if self.is_init { "initContainers" } else { "containers" };
        format!("/spec/{list}/{}", self.index)
    }

    pub(super) fn list(&self, key: &str) -> &'p [Value] {
        list_of(self.map, key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'p str> {
        self.map.get(key)?.as_str()
    }

    /// Returns the variable, if its value is given directly.
    pub(super) fn variable(&self, name: &str) -> Option<&'p Value> {
        self.list("env").iter().find(|variable| is_named(variable, name))
    }

    /// Returns the strings of a list; empty if there is no list.
    pub(super) fn texts(&self, key: &str) -> Vec<&'p str> {
        self.list(key).iter().filter_map(Value::as_str).collect()
    }

    /// Returns whether this is an init container that keeps running while the next one starts.
    pub(super) fn is_native_sidecar(&self) -> bool {
        self.is_init && self.text("restartPolicy") == Some("Always")
    }
}

/// Returns whether a list of named objects contains this name.
pub(super) fn has_named(map: &Map<String, Value>, list: &str, name: &str) -> bool {
    list_of(map, list).iter().any(|element| is_named(element, name))
}

pub(super) fn is_named(element: &Value, name: &str) -> bool {
    element.get("name").and_then(Value::as_str) == Some(name)
}

/// Returns the elements of a list; empty for any other value.
pub(super) fn list_of<'p>(map: &'p Map<String, Value>, key: &str) -> &'p [Value] {
    map.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value of another type than the API server accepts.
struct Malformed;

/// Returns a map, or `None` if the member is missing.
fn map_in<'p>(
    map: &'p Map<String, Value>,
    key: &str,
) -> Result<Option<&'p Map<String, Value>>, Malformed> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(Malformed),
    }
}

/// Returns a list of maps, empty if it is missing; `None` for any other value.
fn list_in<'p>(map: &'p Map<String, Value>, key: &str) -> Option<&'p [Value]> {
    match map.get(key) {
        None | Some(Value::Null) => Some(&[]),
        Some(Value::Array(list)) => list.iter().all(Value::is_object).then_some(list.as_slice()),
        Some(_) => None,
    }
}

/// Checks for a list of strings, which may be missing; `None` for any other value.
fn texts_in(map: &Map<String, Value>, key: &str) -> Option<()> {
    match map.get(key) {
        None | Some(Value::Null) => Some(()),
        Some(Value::Array(list)) => list.iter().all(Value::is_string).then_some(()),
        Some(_) => None,
    }
}
