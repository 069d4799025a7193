//! Chooses the sidecar's requests and limits so that no quota refuses the pod and its
//! quality-of-service class does not change. It never requests a resource that a node may lack.
//! Unit: one pod.

use super::pod::{Container, Pod};
use super::policy::Resources;
use super::quantity::{is_more, is_same};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Defaults if every application container sets a resource and the policy does not: resource,
/// request, limit. Processor: ten thousand lines a second take a few hundredths of a core, and a
/// burst must not be throttled. Disk: kubelet counts the container's log, which it rotates at 5
/// times 10 MiB.
const REQUESTED: [(&str, &str, &str); 3] =
    [("cpu", "10m", "100m"), ("memory", "24Mi", "64Mi"), ("ephemeral-storage", "16Mi", "128Mi")];

/// Returns the sidecar's `resources`.
pub(super) fn of(pod: &Pod<'_>, wanted: &Resources, is_foreign: impl Fn(&str) -> bool) -> Value {
    let Resources { mut requests, mut limits } = wanted.clone();
    let is_application =
        |container: &&Container<'_>| !container.is_init && !is_foreign(container.name);
    let applications: Vec<_> = pod.containers.iter().filter(is_application).collect();
    let everybody = |kind: &str, name: &str| {
        !applications.is_empty() && applications.iter().all(|c| amount(c.map, kind, name).is_some())
    };
    for (name, request, limit) in REQUESTED {
        let limited = everybody("limits", name);
        if limited {
            limits.entry(name.to_owned()).or_insert_with(|| limit.to_owned());
        }
        // the API server uses the limit as the request if there is none
        if limited || everybody("requests", name) {
            requests.entry(name.to_owned()).or_insert_with(|| request.to_owned());
        }
    }
    if is_guaranteed(pod) {
        for (name, _, limit) in &REQUESTED[..2] {
            let limit = limits.entry((*name).to_owned()).or_insert_with(|| (*limit).to_owned());
            raise(limit, requests.get(*name));
            requests.insert((*name).to_owned(), limit.clone());
        }
    }
    // resources of the pod as a whole must cover all its containers, and apply to containers
    // without any
    let whole = pod.spec.get("resources").and_then(Value::as_object);
    for (name, ..) in REQUESTED {
        let is_set = |kind: &str| whole.is_some_and(|whole| amount_in(whole, kind, name).is_some());
        if is_set("requests") || is_set("limits") {
            requests.remove(name);
            limits.remove(name);
        }
    }
    for (name, limit) in &mut limits {
        raise(limit, requests.get(name));
    }
    rendered(&requests, &limits)
}

/// Raises a limit below the request, which the API server would refuse.
fn raise(limit: &mut String, request: Option<&String>) {
    if let Some(request) = request
        && is_more(request, limit)
    {
        limit.clone_from(request);
    }
}

fn rendered(requests: &BTreeMap<String, String>, limits: &BTreeMap<String, String>) -> Value {
    let mut resources = Map::new();
    for (key, quantities) in [("requests", requests), ("limits", limits)] {
        if !quantities.is_empty() {
            resources.insert(key.to_owned(), json!(quantities));
        }
    }
    Value::Object(resources)
}

/// Returns whether every container requests its limits of processor and memory (class Guaranteed).
fn is_guaranteed(pod: &Pod<'_>) -> bool {
    let guaranteed = |container: &Container<'_>, name: &str| {
        let limit = amount(container.map, "limits", name);
        let request = amount(container.map, "requests", name);
        limit.is_some_and(|limit| request.is_none_or(|request| is_same(&limit, &request)))
    };
    pod.containers.iter().all(|c| guaranteed(c, "cpu") && guaranteed(c, "memory"))
}

fn amount(container: &Map<String, Value>, kind: &str, name: &str) -> Option<String> {
    amount_in(container.get("resources")?.as_object()?, kind, name)
}

/// Returns a quantity that is written as a string or as a number.
fn amount_in(resources: &Map<String, Value>, kind: &str, name: &str) -> Option<String> {
    match resources.get(kind)?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
