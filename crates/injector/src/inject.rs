//! Plans the injection into a pod: raw JSON in, JSON-patch operations out. The planning is pure: no
//! I/O, no clock, and no typed pod, so that fields unknown to this code are preserved. Three front
//! ends share it: the webhook (`injector`), `sidelight inject`, and the generated admission policy.
//! Whatever a pod or its annotations contain, the patch applies, and the patched pod can be
//! admitted if the original could be. Unit: one pod.

pub mod admission;
mod identity;
mod mesh;
mod mounts;
pub mod names;
mod options;
pub mod patch;
mod plan_builder;
mod platform;
mod pod;
pub mod policy;
pub mod quantity;
mod resources;
pub mod sidecar;
mod status;
mod uninject;

use names::reason;
use patch::Operation;
use plan_builder::PlanBuilder;
use pod::Pod;
use policy::Policy;
use serde_json::Value;
use status::Status;
use std::collections::BTreeMap;

/// Maximum number of containers of an injected pod. No real pod has more, and the status
/// annotation, which names containers, must fit into an object.
const CONTAINERS_MAX: usize = 250;

/// What is known of the pod's namespace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Namespace {
    /// The name; empty if it is unknown, as in a file.
    pub name: String,
    /// The labels, if they are watched; a namespace of a cluster always has at least one.
    pub labels: BTreeMap<String, String>,
    /// The annotations, if they are watched.
    pub annotations: BTreeMap<String, String>,
}

/// The owner of pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The kind, such as `Deployment` or `Job`.
    pub kind: String,
    /// The name of the owner.
    pub name: String,
}

/// The plan for one pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The operations in the order in which they must be applied; empty if the pod is left alone or
    /// complete.
    pub patch: Vec<Operation>,
    /// The reason why the pod is left alone, one of [`names::reason`].
    pub skipped: Option<&'static str>,
    /// Containers of an injected pod that are only partly set up.
    pub left_out: Vec<LeftOut>,
    /// Warnings for people, which kubectl prints.
    pub warnings: Vec<String>,
}

/// A container that is only partly set up, and the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// The name of the container.
    pub container: String,
    /// One of [`names::reason`]: `no_command` or `starts_earlier` (its output is not copied), or
    /// `conflict` (it has no socket).
    pub reason: &'static str,
}

impl Plan {
    fn skip(reason: &'static str) -> Plan {
        Plan { skipped: Some(reason), ..Plan::default() }
    }
}

/// Returns the operations that add the sidecar to a pod. The plan of a patched pod is empty.
pub fn plan(pod: &Value, namespace: &Namespace, policy: &Policy) -> Plan {
    plan_for(pod, namespace, policy, None)
}

/// Plans like [`plan`] for a pod that does not name its owner, as in the template of a Deployment.
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
    let (options, warnings) = options::read(&pod, &policy);
    let plan = Plan { warnings, ..Plan::default() };
    let status = pod.status().map_or_else(Status::of_policy, Status::of);
    let builder = PlanBuilder { pod: &pod, namespace, policy: &policy, options, plan, status };
    match pod.container(names::CONTAINER) {
        None => builder.first(owner),
        Some(sidecar) => builder.again(sidecar),
    }
}

/// Removes what injection added to a pod, and nothing else. Returns whether it removed anything.
pub fn strip(pod: &mut Value) -> bool {
    uninject::strip(pod)
}

/// Returns why a pod must not get a sidecar.
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

/// Returns whether injection added the container with our name: either this code, or the admission
/// policy, which sets the label.
fn is_ours(pod: &Pod<'_>) -> bool {
    pod.container(names::CONTAINER).is_some()
        && (pod.status().is_some() || pod.label(names::INJECTED_LABEL) == Some("true"))
}
