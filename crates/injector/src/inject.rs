//! What injection does to a pod: raw JSON in, JSON-patch operations out. Pure: no I/O, no clock, no
//! typed pod, so that what this code has never heard of stays as it was. Three front ends share it:
//! the webhook (`injector`), `sidelight inject`, and the generated admission policy. Whatever a pod
//! or its annotations say, what comes out can be applied, and the pod can be admitted if it could
//! before. Unit: one pod.

pub mod admission;
mod draft;
mod identity;
mod mesh;
pub mod names;
pub mod patch;
mod platform;
mod pod;
pub mod policy;
pub mod quantity;
mod resources;
pub mod sidecar;
mod status;
mod strip;
mod wire;
mod wish;

use draft::Draft;
use names::reason;
use patch::Operation;
use pod::Pod;
use policy::Policy;
use serde_json::Value;
use status::Status;
use std::collections::BTreeMap;

/// Containers of a pod that is injected. What has more is no pod that anybody runs, and the status
/// annotation, which names containers, has to fit into what an object may have.
const CONTAINERS_MAX: usize = 250;

/// What is known of the pod's namespace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Namespace {
    /// Its name; empty where nobody knows it, as in a file.
    pub name: String,
    /// Its labels, where somebody watches them; no namespace of a cluster is without one.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, where somebody watches them.
    pub annotations: BTreeMap<String, String>,
}

/// Who makes pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// `Deployment`, `Job`, ...
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What became of a pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// In the order in which they must be done; none where the pod is left alone or has everything.
    pub patch: Vec<Operation>,
    /// Why the pod is left alone, one of [`names::reason`].
    pub skipped: Option<&'static str>,
    /// Containers of an injected pod that miss something.
    pub left_out: Vec<LeftOut>,
    /// What people should read: kubectl prints it.
    pub warnings: Vec<String>,
}

/// A container that misses something, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// The container.
    pub container: String,
    /// One of [`names::reason`]: `no_command`, `starts_earlier` (its output is not copied),
    /// `conflict` (it has no socket).
    pub reason: &'static str,
}

impl Plan {
    fn skip(reason: &'static str) -> Plan {
        Plan { skipped: Some(reason), ..Plan::default() }
    }
}

/// What is to be done to a pod so that the sidecar stands in it. Convergent: the plan of a patched
/// pod is empty.
pub fn plan(pod: &Value, namespace: &Namespace, policy: &Policy) -> Plan {
    plan_for(pod, namespace, policy, None)
}

/// The same for a pod that does not say whose it is, as in the template of a Deployment.
pub fn plan_for(
    pod: &Value,
    namespace: &Namespace,
    policy: &Policy,
    owner: Option<&Owner>,
) -> Plan {
    let Some(pod) = Pod::read(pod) else { return Plan::skip(reason::MALFORMED) };
    let own = pod.metadata().and_then(|metadata| metadata.get("namespace")?.as_str());
    let name = if namespace.name.is_empty() { own.unwrap_or_default() } else { &namespace.name };
    let policy = policy.within(name);
    if let Some(reason) = refusal(&pod, name, &policy) {
        let mut plan = Plan::skip(reason);
        if reason == reason::CONFLICT {
            let message =
                "left alone by sidelight: a volume or container of its own has a name of ours";
            plan.warnings.push(message.to_owned());
        }
        return plan;
    }
    let (wish, warnings) = wish::read(&pod, &policy);
    let plan = Plan { warnings, ..Plan::default() };
    let status = pod.status().map_or_else(Status::of_policy, Status::of);
    let draft = Draft { pod: &pod, namespace, policy: &policy, wish, plan, status };
    match pod.container(names::CONTAINER) {
        None => draft.first(owner),
        Some(sidecar) => draft.again(sidecar),
    }
}

/// Takes away what was added to a pod, and nothing else; whether there was something.
pub fn strip(pod: &mut Value) -> bool {
    strip::strip(pod)
}

/// Why a pod is none for a sidecar.
fn refusal(pod: &Pod<'_>, namespace: &str, policy: &Policy) -> Option<&'static str> {
    let said = pod.label(names::POD_LABEL).or(pod.annotation(names::POD_LABEL));
    let truth = |key: &str| pod.spec.get(key).and_then(Value::as_bool).unwrap_or(false);
    let ours = pod.container(names::CONTAINER).is_none_or(|_| is_ours(pod));
    let volumes = [names::RUN_VOLUME, names::NAMESPACE_VOLUME, names::RULES_VOLUME];
    let taken = pod.status().is_none()
        && (volumes.iter().any(|volume| pod.has_volume(volume))
            || pod.container(names::INSTALL_CONTAINER).is_some());
    [
        (policy.exclude_namespaces.contains(namespace), reason::EXCLUDED_NAMESPACE),
        (said == Some("false"), reason::OPTED_OUT),
        (pod.annotation(names::MIRROR).is_some(), reason::MIRROR_POD),
        (pod.containers.len() > CONTAINERS_MAX, reason::TOO_MANY_CONTAINERS),
        (truth("hostNetwork"), reason::HOST_NETWORK),
        (platform::is_windows(pod.spec), reason::UNSUPPORTED_OS),
        (!ours, reason::BY_HAND),
        (taken && !is_ours(pod), reason::CONFLICT),
    ]
    .into_iter()
    .find_map(|(applies, reason)| applies.then_some(reason))
}

/// Whether the container of our name came from injection: by us, or by the admission policy, which
/// leaves the label.
fn is_ours(pod: &Pod<'_>) -> bool {
    pod.container(names::CONTAINER).is_some()
        && (pod.status().is_some() || pod.label(names::INJECTED_LABEL) == Some("true"))
}
