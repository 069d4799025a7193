//! Detects the operating system of a pod. A pod for Windows cannot start our image, and there is
//! more than one way to mark a pod as one. Unit: one pod.

use super::pod::list_of;
use serde_json::{Map, Value};

/// Labels of nodes that name the operating system; the second is from clusters before 1.14, and
/// many manifests still use it.
const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];

/// Labels that only Windows nodes have.
const WINDOWS_LABELS: [&str; 1] = ["node.kubernetes.io/windows-build"];

/// Returns whether a pod runs only on nodes without Linux.
pub(super) fn is_windows(spec: &Map<String, Value>) -> bool {
    if let Some(os) = spec.get("os").and_then(|os| os.get("name")?.as_str()) {
        return os != "linux";
    }
    has_windows_options(spec) || selects(spec) || has_affinity(spec)
}

/// Returns whether the pod or a container has `windowsOptions`. The API server refuses them if the
/// pod's system is Linux, and accepts them if the pod names no system.
fn has_windows_options(spec: &Map<String, Value>) -> bool {
    let has = |map: &Map<String, Value>| {
        let options = map.get("securityContext").and_then(|context| context.get("windowsOptions"));
        options.is_some_and(Value::is_object)
    };
    let containers =
        ["initContainers", "containers"].into_iter().flat_map(|key| list_of(spec, key));
    has(spec) || containers.filter_map(Value::as_object).any(has)
}

fn selects(spec: &Map<String, Value>) -> bool {
    let Some(selector) = spec.get("nodeSelector").and_then(Value::as_object) else { return false };
    let text = |key: &str| selector.get(key).and_then(Value::as_str);
    OS_LABELS.into_iter().filter_map(text).any(|os| os != "linux")
        || WINDOWS_LABELS.iter().any(|key| selector.contains_key(*key))
}

/// Returns whether the required affinity excludes Linux. Its terms are alternatives, and so each of
/// them must exclude it.
fn has_affinity(spec: &Map<String, Value>) -> bool {
    let required = spec.get("affinity").and_then(|affinity| {
        affinity.get("nodeAffinity")?.get("requiredDuringSchedulingIgnoredDuringExecution")
    });
    let Some(required) = required.and_then(Value::as_object) else { return false };
    let terms = list_of(required, "nodeSelectorTerms");
    let excludes = |term: &Value| {
        let Some(term) = term.as_object() else { return false };
        list_of(term, "matchExpressions").iter().any(excludes_linux)
    };
    !terms.is_empty() && terms.iter().all(excludes)
}

fn excludes_linux(expression: &Value) -> bool {
    let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
    let Some(expression_map) = expression.as_object() else { return false };
    let values = list_of(expression_map, "values");
    let names_linux = values.iter().any(|value| value == "linux");
    let is_os = OS_LABELS.contains(&text("key"));
    let is_of_windows = WINDOWS_LABELS.contains(&text("key"));
    match text("operator") {
        "In" => (is_os && !values.is_empty() && !names_linux) || is_of_windows,
        "NotIn" => is_os && names_linux,
        "Exists" => is_of_windows,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_ways_to_say_windows() {
        let affinity = |terms: Value| {
            json!({"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
        };
        let term = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let os = "kubernetes.io/os";
        for (spec, expected) in [
            (json!({}), false),
            (json!({"os": {"name": "windows"}}), true),
            (json!({"os": {"name": "linux"}, "nodeSelector": {os: "windows"}}), false),
            (json!({"nodeSelector": {os: "windows"}}), true),
            (json!({"nodeSelector": {os: "linux"}}), false),
            (json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}), true),
            (json!({"nodeSelector": {"node.kubernetes.io/windows-build": "10.0.20348"}}), true),
            (json!({"nodeSelector": {"disk": "ssd"}}), false),
            (json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}), true),
            (json!({"securityContext": {"windowsOptions": null}}), false),
            (
                json!({"containers": [{"securityContext": {"windowsOptions": {"runAsUserName": "u"}}}]}),
                true,
            ),
            (
                json!({"initContainers": [{"securityContext": {"windowsOptions": {"runAsUserName": "u"}}}]}),
                true,
            ),
            (affinity(json!([term(os, "In", &["windows"])])), true),
            (affinity(json!([term("beta.kubernetes.io/os", "In", &["windows"])])), true),
            (affinity(json!([term(os, "NotIn", &["linux"])])), true),
            (affinity(json!([term(os, "In", &["windows", "linux"])])), false),
            (affinity(json!([term(os, "In", &["windows"]), term(os, "In", &["linux"])])), false),
            (affinity(json!([term(os, "In", &["windows"]), term("disk", "In", &["ssd"])])), false),
            (affinity(json!([term("node.kubernetes.io/windows-build", "Exists", &[])])), true),
            (affinity(json!([])), false),
            (affinity(json!("odd")), false),
        ] {
            let map = spec.as_object().expect("a map");
            assert_eq!(is_windows(map), expected, "{spec}");
        }
    }
}
