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
mod origin;
pub mod patch;
mod plan;
mod plan_builder;
mod platform;
mod pod;
pub mod policy;
pub mod quantity;
mod resources;
pub mod sidecar;
mod status;
mod uninject;

pub use origin::{Namespace, Owner};
pub use plan::{LeftOut, Plan};

use names::reason;
use plan_builder::PlanBuilder;
use pod::Pod;
use policy::Policy;
use serde_json::Value;
use status::Status;

/// Maximum number of containers of an injected pod. No real pod has more, and the status
/// annotation, which names containers, must fit into an object.
const CONTAINERS_MAX: usize = 250;

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
            let message = "left alone by sidelight: a volume or container of the pod has a name \
                           that sidelight uses";
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
pub fn uninject(pod: &mut Value) -> bool {
    uninject::uninject(pod)
}

/// Returns why a pod must not get a sidecar.
fn refusal(pod: &Pod<'_>, namespace: &str, policy: &Policy) -> Option<&'static str> {
    let opted = pod.label(names::POD_LABEL).or(pod.annotation(names::POD_LABEL));
    let is_set = |key: &str| pod.spec.get(key).and_then(Value::as_bool).unwrap_or(false);
    let ours = pod.container(names::CONTAINER).is_none_or(|_| is_ours(pod));
    let volumes = names::VOLUMES;
    let taken = pod.status().is_none()
        && (volumes.iter().any(|volume| pod.has_volume(volume))
            || pod.container(names::INSTALL_CONTAINER).is_some());
    [
        (policy.exclude_namespaces.contains(namespace), reason::EXCLUDED_NAMESPACE),
        (opted == Some("false"), reason::OPTED_OUT),
        (pod.annotation(names::MIRROR).is_some(), reason::MIRROR_POD),
        (pod.containers.len() > CONTAINERS_MAX, reason::TOO_MANY_CONTAINERS),
        (is_set("hostNetwork"), reason::HOST_NETWORK),
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
