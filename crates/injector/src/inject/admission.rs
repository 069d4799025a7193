//! Injection without a webhook: a MutatingAdmissionPolicy with its bindings and parameters, for
//! Kubernetes 1.36 and later, where the API server itself evaluates it. `admission/spec.yaml` does
//! in CEL what the plan does in native mode; everything that an installer decides is a parameter.
//! The output is text; there is no I/O. Unit: one policy.

#[cfg(test)]
mod tests;

use super::names::{NAMESPACE_LABEL, POD_LABEL, REVISION_LABEL};
use super::policy::{Mesh, Mode, Platform, Policy};
use super::sidecar::{DEFAULTS_BYTES_MAX, listed, written};
use crate::manifest::write::yaml;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The specification of the policy, the same for every installation.
pub const SPEC: &str = include_str!("admission/spec.yaml");

/// The limits of the policy.
const HEADER: &str = "\
# Injection without a webhook, for Kubernetes 1.36 and later. Made by `sidelight inject policy`.
#
# The API server does here what the webhook does otherwise, and does it as a whole or not at all: an
# expression that fails leaves the pod as it was. What it cannot do, beside the webhook:
# - classic sidecars (the annotation sidelight.dev/config.mode is not read)
# - resources and image by annotation (sidelight.dev/config.cpu-request, ..., .image are not read)
# - the output of containers without `command` (`entrypoints` and sidelight.dev/config.tee need one)
# - attributes by resource.opentelemetry.io/... whose values would have to be encoded
# - warnings, Events and metrics: who wonders asks `sidelight check --cluster`
# A webhook that runs later may put containers in front; the API server then asks the policy again.
";

/// The location of the parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The namespace of the ConfigMap.
    pub namespace: String,
}

/// Returns all objects to apply, as YAML.
///
/// # Errors
/// Fails if the policy contains a setting that a MutatingAdmissionPolicy cannot implement, because
/// the result would differ.
pub fn text(policy: &Policy, place: &Place) -> Result<String, String> {
    let suffix = match policy.revision.as_str() {
        "default" => String::new(),
        revision => format!("-{revision}"),
    };
    let named = format!("inject{suffix}.sidelight.dev");
    let mut out = HEADER.to_owned();
    let head = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": named, "labels": {REVISION_LABEL: policy.revision}},
    });
    let _ = write!(out, "{}spec:\n{}", yaml(&head), indented(SPEC));
    let overridden: Vec<&String> = policy.namespaces.keys().collect();
    let mut excluded: Vec<&String> = policy.exclude_namespaces.iter().collect();
    if !excluded.contains(&&place.namespace) {
        excluded.push(&place.namespace);
    }
    let mut rest = excluded.clone();
    rest.extend(overridden.iter().filter(|name| !policy.exclude_namespaces.contains(**name)));
    let parts = std::iter::once((None, json!({"operator": "NotIn", "values": rest})));
    let one = |name: &&String| (Some((*name).clone()), json!({"operator": "In", "values": [name]}));
    let parts = parts.chain(overridden.iter().filter(|name| !excluded.contains(name)).map(one));
    for (namespace, selected) in parts {
        let within = policy.within(namespace.as_deref().unwrap_or_default());
        if within.mode == Mode::Classic {
            let whose = namespace
                .map_or_else(|| "`mode`".to_owned(), |name| format!("`namespaces.{name}.mode`"));
            return Err(format!(
                "{whose} is classic: a MutatingAdmissionPolicy makes native sidecars only"
            ));
        }
        let dot = namespace.map(|name| format!(".{name}")).unwrap_or_default();
        let parameters = format!("sidelight-inject{suffix}{dot}");
        for entry in entries(&policy.revision) {
            let binding = binding(&named, &dot, &parameters, place, &selected, entry);
            let _ = write!(out, "---\n{}", yaml(&binding));
        }
        let data = data(&within)?;
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": parameters, "namespace": place.namespace, "labels": {REVISION_LABEL: policy.revision},
            },
            "data": data,
        });
        let _ = write!(out, "---\n{}", yaml(&map));
    }
    Ok(out)
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
        .collect()
}

/// One way to opt in.
struct Entry {
    name: &'static str,
    namespace: Vec<Value>,
    pod: Vec<Value>,
}

/// Returns the ways to opt in to a revision. The pod's revision wins over its namespace's, and a
/// pod without one gets the default; the pod's opt-in label wins over its namespace's. No pod
/// matches two entries, or an entry of another revision.
fn entries(revision: &str) -> Vec<Entry> {
    let absent = json!({"key": REVISION_LABEL, "operator": "DoesNotExist"});
    let ours = json!({"key": REVISION_LABEL, "operator": "In", "values": [revision]});
    let enabled = json!({"key": NAMESPACE_LABEL, "operator": "In", "values": ["enabled"]});
    let not_enabled = json!({"key": NAMESPACE_LABEL, "operator": "NotIn", "values": ["enabled"]});
    let not_out = json!({"key": POD_LABEL, "operator": "NotIn", "values": ["false"]});
    let asked = json!({"key": POD_LABEL, "operator": "In", "values": ["true"]});
    let entry = |name, namespace: &[&Value], pod: &[&Value]| Entry {
        name,
        namespace: namespace.iter().map(|value| (*value).clone()).collect(),
        pod: pod.iter().map(|value| (*value).clone()).collect(),
    };
    let mut entries = Vec::new();
    if revision == "default" {
        entries.push(entry("namespace", &[&enabled, &absent], &[&not_out, &absent]));
        entries.push(entry("object", &[&not_enabled, &absent], &[&asked, &absent]));
    }
    entries.push(entry("rev.namespace", &[&enabled, &ours], &[&not_out, &absent]));
    entries.push(entry("rev.object", &[&not_enabled, &ours], &[&asked, &absent]));
    entries.push(entry("pod-rev.namespace", &[&enabled], &[&not_out, &ours]));
    entries.push(entry("pod-rev.object", &[&not_enabled], &[&asked, &ours]));
    entries
}

fn binding(
    policy: &str,
    dot: &str,
    parameters: &str,
    place: &Place,
    selected: &Value,
    entry: Entry,
) -> Value {
    let Entry { name, mut namespace, mut pod } = entry;
    let mut which = json!({"key": "kubernetes.io/metadata.name"});
    if let (Some(which), Some(selected)) = (which.as_object_mut(), selected.as_object()) {
        which.extend(selected.clone());
    }
    namespace.push(which);
    pod.push(json!({"key": "app.kubernetes.io/name", "operator": "NotIn", "values": ["sidelight-injector"]}));
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": format!("{name}{dot}.{policy}")},
        "spec": {
            "policyName": policy,
            // without its parameters the policy does nothing, rather than refusing pods
            "paramRef": {
                "name": parameters,
                "namespace": place.namespace,
                "parameterNotFoundAction": "Allow",
            },
            "matchResources": {
                "namespaceSelector": {"matchExpressions": namespace},
                "objectSelector": {"matchExpressions": pod},
            },
        },
    })
}

/// Returns the parameters: the installer's settings, as text.
fn data(policy: &Policy) -> Result<Map<String, Value>, String> {
    let mut data = Map::new();
    let mut put = |key: &str, value: String| {
        data.insert(key.to_owned(), Value::String(value));
    };
    put("revision", policy.revision.clone());
    put("version", env!("CARGO_PKG_VERSION").to_owned());
    put("config_hash", policy.hash());
    put("image", policy.image.clone());
    put("image_pull_policy", policy.image_pull_policy.word().to_owned());
    if !policy.image_pull_secrets.is_empty() {
        put("image_pull_secrets", policy.image_pull_secrets.join(","));
    }
    put("port", policy.port.to_string());
    put(
        "platform",
        match policy.platform {
            Platform::OpenShift => "openshift",
            Platform::Kubernetes | Platform::Auto => "kubernetes",
        }
        .to_owned(),
    );
    put(
        "mesh",
        match policy.mesh {
            Mesh::Absent => "none",
            Mesh::Auto => "auto",
            Mesh::Native => "native",
            Mesh::Classic => "classic",
        }
        .to_owned(),
    );
    if let Some(endpoint) = &policy.otlp.endpoint {
        put("otlp_endpoint", endpoint.clone());
        if let Some(protocol) = policy.otlp.protocol {
            put("otlp_protocol", protocol.word().to_owned());
        }
        if !policy.otlp.headers.is_empty() {
            let pair = |(name, value): (&String, &String)| format!("{name}={}", listed(value));
            put("otlp_headers", policy.otlp.headers.iter().map(pair).collect::<Vec<_>>().join(","));
        }
    }
    for (kind, quantities) in
        [("requests", &policy.resources.requests), ("limits", &policy.resources.limits)]
    {
        for (name, quantity) in quantities {
            put(&format!("{kind}.{name}"), quantity.clone());
        }
    }
    if let Some(size) = &policy.volume_size_limit {
        put("volume_size_limit", size.clone());
    }
    for (name, probe) in
        [("startup_probe", policy.startup_probe), ("liveness_probe", policy.liveness_probe)]
    {
        put(&format!("{name}.period_seconds"), probe.period_seconds.to_string());
        put(&format!("{name}.timeout_seconds"), probe.timeout_seconds.to_string());
        put(&format!("{name}.failure_threshold"), probe.failure_threshold.to_string());
    }
    put("final_scrape.jobs", written(policy.final_scrape.jobs));
    put("final_scrape.others", written(policy.final_scrape.others));
    put("final_scrape.scrapers", policy.final_scrape.scrapers.to_string());
    if let Some(prefix) = &policy.metrics.prefix {
        put("metrics_prefix", prefix.clone());
    }
    if !policy.metrics.groups_off.is_empty() {
        let groups: Vec<&str> =
            policy.metrics.groups_off.iter().map(|group| group.word()).collect();
        put("metrics_groups_off", groups.join(","));
    }
    if let Some(defaults) = &policy.defaults {
        if defaults.len() > DEFAULTS_BYTES_MAX {
            return Err(format!(
                "`defaults` is larger than a variable can be ({DEFAULTS_BYTES_MAX} bytes)"
            ));
        }
        put("defaults", defaults.clone());
    }
    Ok(data)
}
