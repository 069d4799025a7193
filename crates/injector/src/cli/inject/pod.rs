//! Converts a template into the pod that is created from it, as far as a plan looks at it, and
//! back. Unit: one workload.

use crate::inject::Owner;
use crate::manifest::workload::Workload;
use serde_json::{Map, Value, json};

/// Returns the pod of a workload: metadata and spec of its template.
pub(super) fn pod_of(document: &Value, workload: &Workload) -> Value {
    let template = document.pointer(&workload.pointer).unwrap_or(&Value::Null);
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
    for key in ["metadata", "spec"] {
        if let Some(value) = template.get(key) {
            pod[key] = value.clone();
        }
    }
    pod
}

/// Returns the owner of a workload's pods; `None` if the workload is a pod.
pub(super) fn owner(workload: &Workload) -> Option<Owner> {
    let is_known =
        !matches!(workload.kind.as_str(), "Pod" | "PodTemplate") && !workload.name.is_empty();
    is_known.then(|| Owner { kind: workload.kind.clone(), name: workload.name.clone() })
}

/// Writes metadata and spec of the pod back into its template, and changes nothing else.
///
/// # Errors
/// Fails if the template does not exist.
pub(super) fn put_back(
    document: &mut Value,
    workload: &Workload,
    mut pod: Value,
) -> Result<(), String> {
    let template = document.pointer_mut(&workload.pointer).and_then(Value::as_object_mut);
    let template = template.ok_or("it has no template of pods")?;
    for key in ["metadata", "spec"] {
        if let Some(value) = pod.get_mut(key) {
            set(template, key, value.take());
        }
    }
    Ok(())
}

/// Sets a member at its position; new metadata is inserted before the spec, as usual.
fn set(template: &mut Map<String, Value>, key: &str, value: Value) {
    match template.get_mut(key) {
        Some(place) => *place = value,
        None => {
            let at = template.keys().position(|key| key == "spec").unwrap_or(template.len());
            template.shift_insert(at, key.to_owned(), value);
        }
    }
}
