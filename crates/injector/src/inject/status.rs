//! The status annotation: it records what was added to a pod, for people, for `check`, for the next
//! call and for the removal. Unit: one pod.

use super::mesh::ListEntry;
use super::names::{
    CONTAINER, DATAGRAM_SOCKET_PATH, DATAGRAM_SOCKET_VARIABLE, SOCKET_PATH, SOCKET_VARIABLE,
    VOLUMES,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The additions so far.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Status {
    map: Map<String, Value>,
    /// The names in the lists of `map`.
    known: BTreeSet<(&'static str, String)>,
}

/// A list of names in the annotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Names {
    InitContainers,
    Containers,
    Volumes,
    ImagePullSecrets,
    /// Containers that had the variable of the stream socket before.
    KeptEnv,
    /// Containers that had the variable of the datagram socket before.
    KeptDatagramEnv,
    /// Containers with a `command` that begins with the copier.
    Tee,
    /// Those of them that had no `command` before.
    Entrypoints,
    Notes,
}

impl Names {
    const ALL: [Names; 9] = [
        Names::InitContainers,
        Names::Containers,
        Names::Volumes,
        Names::ImagePullSecrets,
        Names::KeptEnv,
        Names::KeptDatagramEnv,
        Names::Tee,
        Names::Entrypoints,
        Names::Notes,
    ];

    fn key(self) -> &'static str {
        match self {
            Names::InitContainers => "initContainers",
            Names::Containers => "containers",
            Names::Volumes => "volumes",
            Names::ImagePullSecrets => "imagePullSecrets",
            Names::KeptEnv => "keptEnv",
            Names::KeptDatagramEnv => "keptDatagramEnv",
            Names::Tee => "tee",
            Names::Entrypoints => "entrypoints",
            Names::Notes => "notes",
        }
    }
}

/// The variables of an application's container: name, value, and the list of containers that had
/// the variable before.
pub(super) const VARIABLES: [(&str, &str, Names); 2] = [
    (SOCKET_VARIABLE, SOCKET_PATH, Names::KeptEnv),
    (DATAGRAM_SOCKET_VARIABLE, DATAGRAM_SOCKET_PATH, Names::KeptDatagramEnv),
];

impl Status {
    /// Reads the contents of the annotation.
    pub(super) fn of(map: Map<String, Value>) -> Status {
        let mut status = Status { map, known: BTreeSet::new() };
        for list in Names::ALL {
            let names: Vec<String> = status.names(list).into_iter().map(str::to_owned).collect();
            status.known.extend(names.into_iter().map(|name| (list.key(), name)));
        }
        status
    }

    /// Returns the additions of the admission policy, which writes no annotation.
    pub(super) fn of_policy() -> Status {
        let mut status = Status::default();
        status.set("mode", "native");
        status.name(Names::InitContainers, CONTAINER);
        for volume in VOLUMES {
            status.name(Names::Volumes, volume);
        }
        status
    }

    /// Sets a value.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }

    /// Adds a name, unless the list contains it.
    pub(super) fn name(&mut self, list: Names, name: &str) {
        if !self.known.insert((list.key(), name.to_owned())) {
            return;
        }
        match self.map.entry(list.key()).or_insert_with(|| json!([])) {
            Value::Array(names) => names.push(json!(name)),
            other => *other = json!([name]),
        }
    }

    /// Returns the names of a list.
    pub(super) fn names(&self, list: Names) -> Vec<&str> {
        let names = self.map.get(list.key()).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Records an addition to an annotation.
    pub(super) fn entry(&mut self, entry: &ListEntry) {
        let annotations = self.map.entry("annotations").or_insert_with(|| json!({}));
        let Value::Object(annotations) = annotations else { return };
        let before = annotations.get(entry.key).and_then(Value::as_str);
        let added = match before {
            Some(before) => format!("{before},{}", entry.added),
            None => entry.added.clone(),
        };
        annotations.insert(entry.key.to_owned(), json!(added));
    }

    /// Returns the additions to annotations.
    pub(super) fn entries(&self) -> Vec<(&str, &str)> {
        let annotations = self.map.get("annotations").and_then(Value::as_object);
        annotations
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
            .collect()
    }

    /// Returns the text of the annotation.
    pub(super) fn text(&self) -> String {
        Value::Object(self.map.clone()).to_string()
    }
}
