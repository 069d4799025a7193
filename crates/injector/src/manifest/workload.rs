//! Where a manifest keeps its pods: the kinds that are known to have a template, every other one whose
//! `spec.template.spec.containers` is a list, and lists of them. Unit: one document.

use serde_json::Value;

/// Lists within lists: kubectl writes one.
const LISTS_MAX: usize = 8;

/// Where most kinds have their template.
const TEMPLATE: &str = "/spec/template";

/// Groups whose controllers take only some fields of a pod in their templates: with a sidecar in it the
/// object would be refused. Their pods get one at admission.
const STRICT_GROUPS: [&str; 1] = ["serving.knative.dev"];

/// Values of a document that are looked through for containers.
const VALUES_MAX: usize = 100_000;

/// A pod, or the template of pods, within a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Where the pod stands, as RFC 6901 writes it; empty for a document that is a pod.
    pub pointer: String,
    /// Where the object with `kind` and `metadata.name` stands.
    pub owner: String,
    /// `Deployment`
    pub kind: String,
    /// Its name, or what the API server makes one of; empty where there is none.
    pub name: String,
    /// Its namespace; empty where the manifest leaves it to kubectl.
    pub namespace: String,
}

impl Workload {
    /// Whether it is a pod itself, which nobody makes of a template.
    pub fn is_pod(&self) -> bool {
        self.kind == "Pod"
    }
}

/// The pods of a document in their order; none for a kind without.
pub fn workloads(document: &Value) -> Vec<Workload> {
    let mut found = Vec::new();
    collect(document, String::new(), LISTS_MAX, &mut found);
    found
}

/// Why a document without workloads has containers all the same; None where it has none.
pub fn passed_over(document: &Value) -> Option<&'static str> {
    if is_strict(document) {
        return Some(
            "its controller refuses templates with a sidecar; its pods get one at admission",
        );
    }
    let mut left = VALUES_MAX;
    let found = holds_containers(document, &mut left);
    found.then_some("sidelight does not know where its pods are; they get a sidecar at admission")
}

fn is_strict(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split('/').next().unwrap_or_default();
    STRICT_GROUPS.contains(&group) && has_containers(object, TEMPLATE)
}

fn has_containers(object: &Value, template: &str) -> bool {
    object.pointer(template).is_some_and(|pod| pod["spec"]["containers"].is_array())
}

/// Whether something with an image is called `container`, or a list of such things `containers`, anywhere in
/// a value.
fn holds_containers(value: &Value, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    let has_image = |value: &Value| value["image"].is_string();
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            let is_found = match key.as_str() {
                "containers" => value.as_array().into_iter().flatten().any(has_image),
                "container" => has_image(value),
                _ => false,
            };
            is_found || holds_containers(value, left)
        }),
        Value::Array(list) => list.iter().any(|value| holds_containers(value, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn collect(object: &Value, at: String, lists: usize, found: &mut Vec<Workload>) {
    let kind = object["kind"].as_str().unwrap_or_default();
    let version = object["apiVersion"].as_str().unwrap_or_default();
    if let Some(items) = object["items"].as_array()
        && kind.ends_with("List")
    {
        for (index, item) in items.iter().enumerate() {
            if lists > 0 {
                collect(item, format!("{at}/items/{index}"), lists - 1, found);
            }
        }
        return;
    }
    if is_strict(object) {
        return;
    }
    let group = version.split('/').next().unwrap_or_default();
    let path = match (group, kind) {
        ("v1", "Pod") => "",
        ("v1", "PodTemplate") => "/template",
        ("v1", "ReplicationController")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        // where these stood until Kubernetes 1.16: old files have it still
        | ("extensions", "Deployment" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => TEMPLATE,
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
        // Argo Rollout, CloneSet, DeploymentConfig and what else is made like a Deployment
        _ if has_containers(object, TEMPLATE) => TEMPLATE,
        _ => return,
    };
    if !object.pointer(path).is_some_and(|pod| pod["spec"].is_object()) {
        return;
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = match text("/metadata/name") {
        "" => text("/metadata/generateName").trim_end_matches('-'),
        name => name,
    };
    found.push(Workload {
        pointer: format!("{at}{path}"),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: text("/metadata/namespace").to_owned(),
        owner: at,
    });
}
