//! Injection without a webhook: a MutatingAdmissionPolicy with its bindings and parameters, for
//! Kubernetes 1.36 and later, where the API server itself evaluates it. `admission/spec.yaml` does
//! in CEL what the plan does in native mode; everything that an installer decides is a parameter.
//! The output is text; there is no I/O. Unit: one policy.

#[cfg(test)]
mod tests;

use super::names::{NAMESPACE_LABEL, POD_LABEL, REVISION_LABEL};
use super::policy::{ImageVolume, Mesh, Mode, Otlp, Platform, Policy};
use super::sidecar::{DEFAULTS_BYTES_MAX, joined, written};
use crate::manifest::write::yaml;
use serde_json::{Map, Value, json};
use std::fmt::{self, Write};

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
# - attributes by resource.opentelemetry.io/... with values that would have to be encoded
# - warnings, Events and metrics: who wonders asks `sidelight check --cluster`
# A webhook that runs later may put containers in front; the API server then asks the policy again.
";

/// Returns all objects to apply, as YAML; the ConfigMap of the parameters is in `namespace`.
///
/// # Errors
/// Fails if the policy contains a setting that a MutatingAdmissionPolicy cannot implement, because
/// the result would differ.
pub fn text(policy: &Policy, namespace: &str) -> Result<String, SettingRefused> {
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
    let overridden: Vec<&str> = policy.namespaces.keys().map(String::as_str).collect();
    let mut excluded: Vec<&str> = policy.exclude_namespaces.iter().map(String::as_str).collect();
    if !excluded.contains(&namespace) {
        excluded.push(namespace);
    }
    let mut rest = excluded.clone();
    rest.extend(overridden.iter().filter(|name| !policy.exclude_namespaces.contains(**name)));
    let parts = std::iter::once((None, json!({"operator": "NotIn", "values": rest})));
    let one = |name: &&str| (Some((*name).to_owned()), json!({"operator": "In", "values": [name]}));
    let parts = parts.chain(overridden.iter().filter(|name| !excluded.contains(name)).map(one));
    for (part, selected) in parts {
        let within = policy.within(part.as_deref().unwrap_or_default());
        if within.mode == Mode::Classic {
            return Err(SettingRefused::ClassicMode { namespace: part });
        }
        let dot = part.map(|name| format!(".{name}")).unwrap_or_default();
        let parameters = format!("sidelight-inject{suffix}{dot}");
        for entry in entries(&policy.revision) {
            let binding = binding(&named, &dot, &parameters, namespace, &selected, entry);
            let _ = write!(out, "---\n{}", yaml(&binding));
        }
        let data = data(&within)?;
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": parameters, "namespace": namespace, "labels": {REVISION_LABEL: policy.revision},
            },
            "data": data,
        });
        let _ = write!(out, "---\n{}", yaml(&map));
    }
    Ok(out)
}

/// A setting that a MutatingAdmissionPolicy cannot implement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingRefused {
    /// The mode is classic, in one namespace or in all.
    ClassicMode {
        /// The namespace with the override; `None` if it is the mode of all.
        namespace: Option<String>,
    },
    /// `defaults` does not fit into a variable.
    LargeDefaults,
}

impl fmt::Display for SettingRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingRefused::ClassicMode { namespace } => {
                match namespace {
                    None => f.write_str("`mode`")?,
                    Some(name) => write!(f, "`namespaces.{name}.mode`")?,
                }
                f.write_str(" is classic: a MutatingAdmissionPolicy makes native sidecars only")
            }
            SettingRefused::LargeDefaults => write!(
                f,
                "`defaults` is larger than a variable can be ({DEFAULTS_BYTES_MAX} bytes)"
            ),
        }
    }
}

impl std::error::Error for SettingRefused {}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
        .collect()
}

/// One way to opt in.
struct OptIn {
    name: &'static str,
    namespace: Vec<Value>,
    pod: Vec<Value>,
}

/// Returns the ways to opt in to a revision. The pod's revision wins over its namespace's, and a
/// pod without one gets the default; the pod's opt-in label wins over its namespace's. No pod
/// matches two entries, or an entry of another revision.
fn entries(revision: &str) -> Vec<OptIn> {
    let absent = json!({"key": REVISION_LABEL, "operator": "DoesNotExist"});
    let ours = json!({"key": REVISION_LABEL, "operator": "In", "values": [revision]});
    let enabled = json!({"key": NAMESPACE_LABEL, "operator": "In", "values": ["enabled"]});
    let not_enabled = json!({"key": NAMESPACE_LABEL, "operator": "NotIn", "values": ["enabled"]});
    let not_out = json!({"key": POD_LABEL, "operator": "NotIn", "values": ["false"]});
    let opted_in = json!({"key": POD_LABEL, "operator": "In", "values": ["true"]});
    let entry = |name, namespace: &[&Value], pod: &[&Value]| OptIn {
        name,
        namespace: namespace.iter().map(|value| (*value).clone()).collect(),
        pod: pod.iter().map(|value| (*value).clone()).collect(),
    };
    let mut entries = Vec::new();
    if revision == "default" {
        entries.push(entry("namespace", &[&enabled, &absent], &[&not_out, &absent]));
        entries.push(entry("object", &[&not_enabled, &absent], &[&opted_in, &absent]));
    }
    entries.push(entry("rev.namespace", &[&enabled, &ours], &[&not_out, &absent]));
    entries.push(entry("rev.object", &[&not_enabled, &ours], &[&opted_in, &absent]));
    entries.push(entry("pod-rev.namespace", &[&enabled], &[&not_out, &ours]));
    entries.push(entry("pod-rev.object", &[&not_enabled], &[&opted_in, &ours]));
    entries
}

fn binding(
    policy: &str,
    dot: &str,
    parameters: &str,
    namespace: &str,
    selected: &Value,
    entry: OptIn,
) -> Value {
    let OptIn { name, namespace: mut namespaces, mut pod } = entry;
    let mut by_name = json!({"key": "kubernetes.io/metadata.name"});
    if let (Some(by_name), Some(selected)) = (by_name.as_object_mut(), selected.as_object()) {
        by_name.extend(selected.clone());
    }
    namespaces.push(by_name);
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
                "namespace": namespace,
                "parameterNotFoundAction": "Allow",
            },
            "matchResources": {
                "namespaceSelector": {"matchExpressions": namespaces},
                "objectSelector": {"matchExpressions": pod},
            },
        },
    })
}

/// Returns the parameters: the installer's settings, as text.
fn data(policy: &Policy) -> Result<Map<String, Value>, SettingRefused> {
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
    put("platform", platform(policy.platform).to_owned());
    put("mesh", mesh(policy.mesh).to_owned());
    for (key, value) in exporter(&policy.otlp) {
        put(key, value);
    }
    for (kind, quantities) in
        [("requests", &policy.resources.requests), ("limits", &policy.resources.limits)]
    {
        for (name, quantity) in quantities {
            put(&format!("{kind}.{name}"), quantity.clone());
        }
    }
    if policy.image_volume == ImageVolume::Always {
        put("image_volume", policy.image_volume.word().to_owned());
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
            return Err(SettingRefused::LargeDefaults);
        }
        put("defaults", defaults.clone());
    }
    Ok(data)
}

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::OpenShift => "openshift",
        Platform::Kubernetes | Platform::Auto => "kubernetes",
    }
}

fn mesh(mesh: Mesh) -> &'static str {
    match mesh {
        Mesh::Absent => "none",
        Mesh::Auto => "auto",
        Mesh::Native => "native",
        Mesh::Classic => "classic",
    }
}

/// Returns the parameters of the exporter of spans.
fn exporter(otlp: &Otlp) -> Vec<(&'static str, String)> {
    let Some(endpoint) = &otlp.endpoint else { return Vec::new() };
    let mut data = vec![("otlp_endpoint", endpoint.clone())];
    data.extend(otlp.protocol.map(|protocol| ("otlp_protocol", protocol.word().to_owned())));
    if let Some(secret) = &otlp.headers_secret {
        data.push(("otlp_headers_secret.name", secret.name.clone()));
        data.push(("otlp_headers_secret.key", secret.key.clone()));
    } else if !otlp.headers.is_empty() {
        data.push(("otlp_headers", joined(&otlp.headers)));
    }
    data
}
