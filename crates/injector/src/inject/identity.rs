//! The pod's identity for OpenTelemetry: `service.name` by the precedence that its conventions
//! document for Kubernetes, and the other attributes. Unit: one pod.

use super::mesh;
use super::origin::Owner;
use super::pod::{Container, Pod};
use std::collections::BTreeMap;

/// Prefix of annotations that set attributes.
const PREFIX: &str = "resource.opentelemetry.io/";

/// The minutes since 1970 that a CronJob appends to its name, for 2017 to 2160. No date of eight
/// digits is in this range.
const CRON_MINUTES: std::ops::RangeInclusive<u64> = 25_000_000..=99_999_999;

/// The values of OpenTelemetry's variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    /// The service name, escaped for a variable.
    pub(super) service_name: String,
    /// `key=value,key=value`, escaped for a variable.
    pub(super) attributes: String,
}

/// Returns the chain of owners: the Deployment of a ReplicaSet, the CronJob of a Job, and so on.
pub(super) fn owners(pod: &Pod<'_>, hint: Option<&Owner>) -> Vec<Owner> {
    let of = |kind: &str, name: &str| Owner { kind: kind.to_owned(), name: name.to_owned() };
    let Some((kind, name)) = pod.owner() else { return hint.cloned().into_iter().collect() };
    let above = match kind {
        "ReplicaSet" => {
            [("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")]
                .into_iter()
                .find_map(|(label, kind)| {
                    let hash = format!("-{}", pod.label(label)?);
                    name.strip_suffix(&hash).map(|name| of(kind, name))
                })
        }
        "ReplicationController" => {
            let config = pod.annotation("openshift.io/deployment-config.name");
            config.map(|name| of("DeploymentConfig", name))
        }
        "Job" => name.rsplit_once('-').and_then(|(name, minutes)| {
            let minutes: Option<u64> = minutes.parse().ok();
            let scheduled = minutes.is_some_and(|minutes| CRON_MINUTES.contains(&minutes));
            scheduled.then(|| of("CronJob", name))
        }),
        _ => None,
    };
    above.into_iter().chain([of(kind, name)]).collect()
}

/// Returns the identity of a pod with these owners.
pub(super) fn of(pod: &Pod<'_>, owners: &[Owner]) -> Identity {
    let applications: Vec<_> =
        pod.containers.iter().filter(|c| !c.is_init && !mesh::owns(c.name)).collect();
    let only = match applications.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let mut attributes: BTreeMap<&str, String> = BTreeMap::new();
    attributes.insert("service.namespace", "$(POD_NAMESPACE)".to_owned());
    let mut instance = "$(POD_NAMESPACE).$(POD_NAME)".to_owned();
    if let Some(only) = only {
        attributes.insert("k8s.container.name", encoded(only.name));
        instance = format!("{instance}.{}", encoded(only.name));
    }
    attributes.insert("service.instance.id", instance);
    for owner in owners {
        if let Some(key) = attribute_of(&owner.kind) {
            attributes.insert(key, encoded(&owner.name));
        }
    }
    let version = pod.label("app.kubernetes.io/version").or(only.and_then(tag));
    if let Some(version) = version.filter(|version| !version.is_empty()) {
        attributes.insert("service.version", encoded(version));
    }
    for (key, value) in pod.annotations(PREFIX) {
        if key != "service.name" && is_key(key) {
            attributes.insert(key, encoded(value));
        }
    }
    let pairs: Vec<String> =
        attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Identity { service_name: service_name(pod, owners), attributes: pairs.join(",") }
}

fn service_name(pod: &Pod<'_>, owners: &[Owner]) -> String {
    let names = [
        pod.annotation(&format!("{PREFIX}service.name")),
        pod.label("app.kubernetes.io/instance"),
        pod.label("app.kubernetes.io/name"),
        owners.first().map(|owner| owner.name.as_str()),
    ];
    let named = names.into_iter().flatten().map(str::trim).find(|name| !name.is_empty());
    named.map_or_else(|| "$(POD_NAME)".to_owned(), literal)
}

/// Returns the attribute that names an owner of this kind.
fn attribute_of(kind: &str) -> Option<&'static str> {
    match kind {
        "Deployment" => Some("k8s.deployment.name"),
        "ReplicaSet" => Some("k8s.replicaset.name"),
        "StatefulSet" => Some("k8s.statefulset.name"),
        "DaemonSet" => Some("k8s.daemonset.name"),
        "CronJob" => Some("k8s.cronjob.name"),
        "Job" => Some("k8s.job.name"),
        _ => None,
    }
}

/// Returns the tag of a container's image.
fn tag<'p>(container: &Container<'p>) -> Option<&'p str> {
    let image = container.text("image")?;
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    let (_, tag) = image.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

fn is_key(key: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !key.is_empty() && key.bytes().all(part)
}

/// Escapes a text for the value of a variable, where `$(NAME)` would expand to another variable and
/// `$$` to `$`.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// Percent-encodes a text for a list of attributes, so that it neither separates nor expands.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@+!*".contains(&byte) {
            out.push(byte as char);
        } else {
            let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}
