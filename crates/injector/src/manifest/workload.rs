//! Finds the pods in a manifest: in the known kinds with a template, in every other kind with a
//! list at `spec.template.spec.containers`, and in lists of them. Unit: one document.

use serde_json::Value;

/// Maximum depth of nested lists; kubectl writes one.
const LISTS_MAX: usize = 8;

/// Path of the template in most kinds.
const TEMPLATE: &str = "/spec/template";

/// Groups with controllers that accept only some fields of a pod in their templates. They would
/// refuse an object with a sidecar; their pods get one at admission.
const STRICT_GROUPS: [&str; 1] = ["serving.knative.dev"];

/// Maximum number of values of a document that are searched for containers.
const VALUES_MAX: usize = 100_000;

/// A pod, or the template of pods, in a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// JSON pointer (RFC 6901) of the pod; empty for a document that is a pod.
    pub pointer: String,
    /// JSON pointer of the object with `kind` and `metadata.name`.
    pub owner: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The name, or the prefix from which the API server generates one; empty if there is neither.
    pub name: String,
    /// The namespace; empty if the manifest leaves it to kubectl.
    pub namespace: String,
}

impl Workload {
    /// Returns whether this is a pod itself, without a template.
    pub fn is_pod(&self) -> bool {
        self.kind == "Pod"
    }
}

/// Returns the pods of a document in their order; empty for a kind without pods.
pub fn workloads(document: &Value) -> Vec<Workload> {
    let mut found = Vec::new();
    collect(document, String::new(), LISTS_MAX, &mut found);
    found
}

/// Returns why a document without workloads contains containers nevertheless; `None` if it contains
/// none.
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

/// Returns whether a value contains, at any depth, a `container` with an image or a list
/// `containers` of such objects.
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
        // the group of these kinds until Kubernetes 1.16, which old files still use
        | ("extensions", "Deployment" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => TEMPLATE,
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
        // Argo Rollout, CloneSet, DeploymentConfig and other kinds with the structure of a
        // Deployment
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
