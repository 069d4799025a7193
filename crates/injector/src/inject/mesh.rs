//! Service meshes: which containers precede ours, which redirection would catch probes and scrapes,
//! and which proxy ends before the last spans are sent. It detects Istio and Linkerd by their
//! containers, labels and annotations. Unit: one pod.

use super::names::{PORT, SAFE_TO_EVICT};
use super::origin::Namespace;
use super::pod::Pod;
use super::policy::{Mesh, Policy};

/// Containers of a mesh, in the order in which its webhook inserts them.
const CONTAINERS: [&str; 6] = [
    "istio-validation",
    "istio-init",
    "istio-proxy",
    "linkerd-network-validator",
    "linkerd-init",
    "linkerd-proxy",
];

/// The annotations of one mesh.
struct Keys {
    proxy: &'static str,
    inbound: &'static str,
    outbound: &'static str,
    /// What the mesh excludes by default, which our list would replace.
    before: &'static str,
    /// Whether the lists may contain `PORT-PORT`.
    ranges: bool,
}

const ISTIO: Keys = Keys {
    proxy: "istio-proxy",
    inbound: "traffic.sidecar.istio.io/excludeInboundPorts",
    outbound: "traffic.sidecar.istio.io/excludeOutboundPorts",
    before: "",
    ranges: false,
};

const LINKERD: Keys = Keys {
    proxy: "linkerd-proxy",
    inbound: "config.linkerd.io/skip-inbound-ports",
    outbound: "config.linkerd.io/skip-outbound-ports",
    before: "4567,4568",
    ranges: true,
};

impl Keys {
    /// Returns whether a container of this mesh is in the pod.
    fn stands(&self, pod: &Pod<'_>) -> bool {
        let prefix = self.proxy.trim_end_matches("proxy");
        pod.containers.iter().any(|c| owns(c.name) && c.name.starts_with(prefix))
    }
}

/// Returns whether a container belongs to a mesh.
pub(super) fn owns(container: &str) -> bool {
    CONTAINERS.contains(&container)
}

/// An entry that a list in an annotation needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ListEntry {
    pub(super) key: &'static str,
    /// The part that is added to an existing list, or the whole new list.
    pub(super) added: String,
    /// The whole list.
    pub(super) list: String,
}

/// Returns whether the redirection is in the pod already and does not exclude the port, so that the
/// mesh would intercept kubelet's requests.
pub(super) fn catches(pod: &Pod<'_>, port: u16) -> bool {
    [ISTIO, LINKERD].iter().any(|keys| {
        keys.stands(pod)
            && !pod.annotation(keys.inbound).is_some_and(|list| holds(list, port, keys.ranges))
    })
}

/// Returns the entries that the meshes' lists need, so that the port is reached directly, and also
/// the collector if the proxy ends with the application.
pub(super) fn entries(
    pod: &Pod<'_>,
    namespace: &Namespace,
    policy: &Policy,
    port: u16,
    collector: Option<u16>,
) -> Vec<ListEntry> {
    let mut entries = Vec::new();
    if policy.mesh == Mesh::Absent {
        return entries;
    }
    for (keys, expected) in [(ISTIO, istio(pod, namespace)), (LINKERD, linkerd(pod, namespace))] {
        if !expected && !keys.stands(pod) {
            continue;
        }
        let mut add = |key, port| {
            if let Some((list, added)) = merged(pod, namespace, &keys, key, port) {
                entries.push(ListEntry { key, added, list });
            }
        };
        add(keys.inbound, port);
        let classic = match (policy.mesh, pod.container(keys.proxy)) {
            (Mesh::Native | Mesh::Absent, _) => false,
            (Mesh::Classic, _) => true,
            (Mesh::Auto, Some(proxy)) => !proxy.is_native_sidecar(),
            (Mesh::Auto, None) => says_classic(pod, namespace),
        };
        if let Some(collector) = collector.filter(|_| classic) {
            add(keys.outbound, collector);
        }
    }
    entries
}

/// Returns the entry that adds the volume of the sockets to those that do not prevent the eviction
/// of the pod.
pub(super) fn evictable(pod: &Pod<'_>, volume: &str) -> Option<ListEntry> {
    let before = pod.annotation(SAFE_TO_EVICT).unwrap_or_default();
    let there = before.split(',').any(|name| name.trim() == volume);
    let list = joined(before, volume);
    (!there).then(|| ListEntry { key: SAFE_TO_EVICT, added: volume.to_owned(), list })
}

/// Returns whether to expect Istio. Its webhook runs after ours, and other components ignore its
/// annotation; Istio is therefore expected if the labels of the namespace are unknown.
fn istio(pod: &Pod<'_>, namespace: &Namespace) -> bool {
    let value = pod.label("sidecar.istio.io/inject").or(pod.annotation("sidecar.istio.io/inject"));
    match value {
        Some("false") => return false,
        Some("true") => return true,
        _ => {}
    }
    let labels = &namespace.labels;
    pod.label("istio.io/rev").is_some()
        || labels.get("istio-injection").is_some_and(|value| value == "enabled")
        || labels.contains_key("istio.io/rev")
        || (labels.is_empty() && !namespace.name.is_empty())
}

/// Returns whether Linkerd is enabled by annotation. If the annotations of the namespace are
/// unknown, nothing is added: a list in the pod would replace the namespace's, and Linkerd lets
/// probes through by itself.
fn linkerd(pod: &Pod<'_>, namespace: &Namespace) -> bool {
    let key = "linkerd.io/inject";
    let value = pod.annotation(key).or(namespace.annotations.get(key).map(String::as_str));
    matches!(value, Some("enabled" | "ingress"))
}

/// Returns whether an annotation of the mesh says that its proxy is not a native sidecar.
fn says_classic(pod: &Pod<'_>, namespace: &Namespace) -> bool {
    [
        "sidecar.istio.io/nativeSidecar",
        "config.linkerd.io/proxy-enable-native-sidecar",
        "config.beta.linkerd.io/proxy-enable-native-sidecar",
        "config.alpha.linkerd.io/proxy-enable-native-sidecar",
    ]
    .iter()
    .any(|key| {
        let of_namespace = || namespace.annotations.get(*key).map(String::as_str);
        pod.annotation(key).or_else(of_namespace) == Some("false")
    })
}

/// Returns the list with the port, and the part that is new; `None` if the list contains the port.
fn merged(
    pod: &Pod<'_>,
    namespace: &Namespace,
    keys: &Keys,
    key: &str,
    port: u16,
) -> Option<(String, String)> {
    if let Some(list) = pod.annotation(key) {
        let added = port.to_string();
        return (!holds(list, port, keys.ranges)).then(|| (joined(list, &added), added));
    }
    let of_namespace = namespace.annotations.get(key).map(String::as_str);
    let before = of_namespace.unwrap_or(keys.before);
    let list = if holds(before, port, keys.ranges) {
        before.to_owned()
    } else {
        joined(before, &port.to_string())
    };
    Some((list.clone(), list))
}

fn joined(list: &str, entry: &str) -> String {
    if list.trim().is_empty() { entry.to_owned() } else { format!("{list},{entry}") }
}

fn holds(list: &str, port: u16, ranges: bool) -> bool {
    list.split(',').map(str::trim).any(|entry| match entry.split_once('-') {
        Some((low, high)) if ranges => {
            let bounds = low.trim().parse::<u16>().ok().zip(high.trim().parse::<u16>().ok());
            bounds.is_some_and(|(low, high)| (low..=high).contains(&port))
        }
        _ => entry.parse() == Ok(port),
    })
}

/// Returns the collector's port if it can be excluded from a mesh: `None` if the URL names no port,
/// or one of the web, because the application's requests use those, too.
pub(super) fn collector_port(endpoint: &str) -> Option<u16> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let port = authority.rsplit_once(':')?.1.parse().ok()?;
    (![80, 443].contains(&port)).then_some(port)
}

/// Returns the port of the sidecar in the pod.
pub(super) fn port_of(sidecar: &super::pod::Container<'_>) -> Option<u16> {
    let ours = sidecar.list("ports").iter().find(|port| super::pod::is_named(port, PORT))?;
    ours.get("containerPort")?.as_u64()?.try_into().ok()
}
