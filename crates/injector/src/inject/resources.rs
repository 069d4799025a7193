//! What the sidecar reserves and may use, so that neither a quota refuses the pod nor its class of
//! service changes. Never asks for a resource that a node may lack. Unit: one pod.

use super::pod::{Container, Pod};
use super::policy::Resources;
use super::quantity::{is_more, is_same};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is said where every application container says something and the policy does not: resource,
/// request, limit. Processor: ten thousand lines a second take a few hundredths of a core, and a burst
/// is not to be throttled. Disk: kubelet counts the container's own log, which it turns over at 5 times
/// 10 MiB.
const ASKED_FOR: [(&str, &str, &str); 3] =
    [("cpu", "10m", "100m"), ("memory", "24Mi", "64Mi"), ("ephemeral-storage", "16Mi", "128Mi")];

/// The sidecar's `resources`.
pub(super) fn of(pod: &Pod<'_>, wanted: &Resources, is_foreign: impl Fn(&str) -> bool) -> Value {
    let Resources { mut requests, mut limits } = wanted.clone();
    let is_application =
        |container: &&Container<'_>| !container.is_init && !is_foreign(container.name);
    let applications: Vec<_> = pod.containers.iter().filter(is_application).collect();
    let everybody = |kind: &str, name: &str| {
        !applications.is_empty() && applications.iter().all(|c| amount(c.map, kind, name).is_some())
    };
    for (name, request, limit) in ASKED_FOR {
        let limited = everybody("limits", name);
        if limited {
            limits.entry(name.to_owned()).or_insert_with(|| limit.to_owned());
        }
        // the API server takes the limit for a request that is not there
        if limited || everybody("requests", name) {
            requests.entry(name.to_owned()).or_insert_with(|| request.to_owned());
        }
    }
    if is_guaranteed(pod) {
        for (name, _, limit) in &ASKED_FOR[..2] {
            let limit = limits.entry((*name).to_owned()).or_insert_with(|| (*limit).to_owned());
            raise(limit, requests.get(*name));
            requests.insert((*name).to_owned(), limit.clone());
        }
    }
    // what is said for the pod as a whole must hold all its containers, and counts for those that say
    // nothing
    let whole = pod.spec.get("resources").and_then(Value::as_object);
    for (name, ..) in ASKED_FOR {
        let said = |kind: &str| whole.is_some_and(|whole| amount_in(whole, kind, name).is_some());
        if said("requests") || said("limits") {
            requests.remove(name);
            limits.remove(name);
        }
    }
    for (name, limit) in &mut limits {
        raise(limit, requests.get(name));
    }
    rendered(&requests, &limits)
}

/// A limit below what is requested would be refused.
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

/// Whether every container reserves all that it may use of processor and memory.
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

/// Written as text or as a number.
fn amount_in(resources: &Map<String, Value>, kind: &str, name: &str) -> Option<String> {
    match resources.get(kind)?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
