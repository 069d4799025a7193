//! What a plan needs to know about the cluster and a review does not contain: the labels and
//! annotations of namespaces that concern meshes, and whether the cluster is OpenShift. A watch
//! keeps it up to date outside the path of a review. Without the permission to watch, plans are
//! made without it. Unit: one cluster.

use crate::apiserver::client::{Client, METADATA_PAGE_ITEMS, call};
use crate::apiserver::error::Error;
use crate::inject::Namespace;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use sidelight::sync::ignore_poison;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// The API group of OpenShift's security context constraints, which reject user ids outside the
/// namespace's range.
const OPENSHIFT: &str = "security.openshift.io";

/// Maximum number of known namespaces; Kubernetes is tested with ten thousand.
const NAMESPACES_MAX: usize = 20_000;

/// Delay before the next attempt after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Delay before the next attempt after RBAC refused one.
const REFUSED: Duration = Duration::from_mins(5);

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    namespaces: RwLock<BTreeMap<String, Namespace>>,
    openshift: AtomicBool,
}

impl Cluster {
    /// Returns what is known of a namespace.
    pub fn namespace(&self, name: &str) -> Namespace {
        let known = ignore_poison(self.namespaces.read());
        let known = known.get(name).cloned();
        known.unwrap_or_else(|| Namespace { name: name.to_owned(), ..Namespace::default() })
    }

    /// Returns whether the cluster is OpenShift.
    pub fn is_openshift(&self) -> bool {
        self.openshift.load(Ordering::Acquire)
    }

    fn put(&self, namespace: Namespace) {
        let mut known = ignore_poison(self.namespaces.write());
        if known.len() < NAMESPACES_MAX || known.contains_key(&namespace.name) {
            known.insert(namespace.name.clone(), namespace);
        }
    }

    fn remove(&self, name: &str) {
        ignore_poison(self.namespaces.write()).remove(name);
    }

    fn replace(&self, all: BTreeMap<String, Namespace>) {
        *ignore_poison(self.namespaces.write()) = all;
    }
}

/// Detects the platform of the cluster. The injector is not ready before that, because OpenShift
/// rejects a pod with our user id.
pub async fn platform(client: &Client, cluster: &Cluster) {
    loop {
        match call("list the API groups", client.kube().list_api_groups()).await {
            Ok(list) => {
                let found = list.groups.iter().any(|group| group.name == OPENSHIFT);
                cluster.openshift.store(found, Ordering::Release);
                return;
            }
            Err(error) => tracing::warn!(%error, "the kind of cluster is not known yet"),
        }
        sleep(AGAIN).await;
    }
}

/// Watches the namespaces until the task is dropped. The API server ends every watch after a few
/// minutes; the watcher continues it, and reads the list again if it missed something.
pub async fn follow(client: &Client, cluster: &Cluster) {
    let config = watcher::Config::default().page_size(METADATA_PAGE_ITEMS);
    let mut events = pin!(watcher(client.all::<PartialObjectMeta<v1::Namespace>>(), config));
    let mut listed = BTreeMap::new();
    let mut is_logged = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => apply(cluster, &mut listed, event),
            Err(error) => {
                let error = cause(error);
                let wait = if error.is_forbidden() { REFUSED } else { AGAIN };
                if error.is_forbidden() && !is_logged {
                    is_logged = true;
                    tracing::info!(
                        %error,
                        "labels of namespaces are not known: the role has no `list, watch namespaces`"
                    );
                } else {
                    tracing::debug!(%error, "the watch of namespaces starts again");
                }
                sleep(wait).await;
            }
        }
    }
}

/// Converts an error of the watcher, of which the causes are the same as those of a call.
fn cause(error: watcher::Error) -> Error {
    let what = "watch namespaces".to_owned();
    let source = match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => source,
        watcher::Error::WatchError(status) => kube::Error::Api(status),
        other @ watcher::Error::NoResourceVersion => kube::Error::Service(Box::new(other)),
    };
    Error::Call { what, source }
}

/// Applies one event of the watch. A list replaces everything when it is complete, so that a review
/// never sees half of it.
fn apply(
    cluster: &Cluster,
    listed: &mut BTreeMap<String, Namespace>,
    event: Event<PartialObjectMeta<v1::Namespace>>,
) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) if listed.len() < NAMESPACES_MAX => {
            let namespace = relevant(object.metadata);
            listed.insert(namespace.name.clone(), namespace);
        }
        Event::InitApply(_) => {}
        Event::InitDone => cluster.replace(std::mem::take(listed)),
        Event::Apply(object) => cluster.put(relevant(object.metadata)),
        Event::Delete(object) => cluster.remove(&relevant(object.metadata).name),
    }
}

/// Extracts what a plan needs of a namespace.
fn relevant(metadata: ObjectMeta) -> Namespace {
    let select = |map: Option<BTreeMap<String, String>>| {
        let is_relevant = |key: &String| {
            key == "kubernetes.io/metadata.name"
                || ["istio", "linkerd", "sidelight"].iter().any(|word| key.contains(word))
        };
        map.into_iter().flatten().filter(|(key, _)| is_relevant(key)).collect()
    };
    Namespace {
        name: metadata.name.unwrap_or_default(),
        labels: select(metadata.labels),
        annotations: select(metadata.annotations),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, labels: &[(&str, &str)]) -> PartialObjectMeta<v1::Namespace> {
        let map = |pairs: &[(&str, &str)]| {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            Some(pairs.iter().map(owned).collect())
        };
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            labels: map(labels),
            annotations: map(&[("linkerd.io/inject", "enabled"), ("big", "xxxxxxxxxxxxxxxx")]),
            ..ObjectMeta::default()
        };
        PartialObjectMeta { metadata, ..PartialObjectMeta::default() }
    }

    #[test]
    fn only_what_concerns_meshes_is_kept_of_a_namespace() {
        let cluster = Cluster::default();
        assert!(cluster.namespace("shop").labels.is_empty(), "nothing is known");
        let labels = [
            ("kubernetes.io/metadata.name", "shop"),
            ("istio-injection", "enabled"),
            ("team", "a"),
        ];
        let mut listed = BTreeMap::new();
        apply(&cluster, &mut listed, Event::Apply(event("shop", &labels)));
        let found = cluster.namespace("shop");
        assert_eq!(
            found.labels.keys().collect::<Vec<_>>(),
            ["istio-injection", "kubernetes.io/metadata.name"]
        );
        assert_eq!(found.annotations.keys().collect::<Vec<_>>(), ["linkerd.io/inject"]);
        apply(&cluster, &mut listed, Event::Delete(event("shop", &[])));
        assert_eq!(cluster.namespace("shop").name, "shop");
        assert!(cluster.namespace("shop").labels.is_empty());
    }

    /// Guarantees: a list that is read again removes what is gone, and only when it is complete.
    #[test]
    fn a_list_replaces_what_was_known_at_its_end() {
        let (cluster, mut listed) = (Cluster::default(), BTreeMap::new());
        let mut apply = |event| apply(&cluster, &mut listed, event);
        let known = |name: &str| !cluster.namespace(name).labels.is_empty();
        let labels = [("istio-injection", "enabled")];
        apply(Event::Apply(event("old", &labels)));
        apply(Event::Init);
        apply(Event::InitApply(event("new", &labels)));
        assert!(known("old") && !known("new"));
        apply(Event::InitDone);
        assert!(!known("old") && known("new"));
    }
}
