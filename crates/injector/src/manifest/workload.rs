//! Where a manifest keeps its pods: the kinds that have a template, and lists of them. Unit: one document.

use serde_json::Value;

/// Lists within lists: kubectl writes one.
const LISTS_MAX: usize = 8;

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
    let group = version.split('/').next().unwrap_or_default();
    let path = match (group, kind) {
        ("v1", "Pod") => "",
        ("v1", "PodTemplate") => "/template",
        ("v1", "ReplicationController")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        // where these stood until Kubernetes 1.16: old files have it still
        | ("extensions", "Deployment" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => "/spec/template",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
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
