//! What a plan needs to know about the cluster and a review does not contain: the labels and
//! annotations of namespaces that concern meshes, and whether the cluster is OpenShift. A watch
//! keeps it up to date outside the path of a review. Without the permission to watch, plans are
//! made without it. Unit: one cluster.

use crate::inject::Namespace;
use crate::kube::error::Error;
use crate::kube::{Client, Shape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::sleep;

const NAMESPACES: &str = "/api/v1/namespaces";

/// The API group of OpenShift's security context constraints, which reject user ids outside the
/// namespace's range.
const OPENSHIFT: &str = "security.openshift.io";

/// Maximum number of known namespaces; Kubernetes is tested with ten thousand.
const NAMESPACES_MAX: usize = 20_000;

/// Delay before the next attempt after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Delay before the next attempt after RBAC refused one.
const REFUSED: Duration = Duration::from_mins(5);

/// Delay before the next watch after one ended normally.
const ENDED: Duration = Duration::from_secs(1);

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    namespaces: RwLock<BTreeMap<String, Namespace>>,
    openshift: AtomicBool,
}

impl Cluster {
    /// Returns what is known of a namespace.
    pub fn namespace(&self, name: &str) -> Namespace {
        let known = self.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(name).cloned();
        known.unwrap_or_else(|| Namespace { name: name.to_owned(), ..Namespace::default() })
    }

    /// Returns whether the cluster is OpenShift.
    pub fn is_openshift(&self) -> bool {
        self.openshift.load(Ordering::Acquire)
    }

    fn put(&self, namespace: Namespace) {
        let mut known = self.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < NAMESPACES_MAX || known.contains_key(&namespace.name) {
            known.insert(namespace.name.clone(), namespace);
        }
    }

    fn remove(&self, name: &str) {
        self.namespaces.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn replace(&self, all: BTreeMap<String, Namespace>) {
        *self.namespaces.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Detects the platform of the cluster. The injector is not ready before that, because OpenShift
/// rejects a pod with our user id.
pub async fn platform(client: &Client, cluster: &Cluster) {
    loop {
        match client.get("/apis").await {
            Ok(groups) => {
                let groups = groups["groups"].as_array().cloned().unwrap_or_default();
                let found = groups.iter().any(|group| group["name"] == OPENSHIFT);
                cluster.openshift.store(found, Ordering::Release);
                return;
            }
            Err(error) => tracing::warn!(%error, "the kind of cluster is not known yet"),
        }
        sleep(AGAIN).await;
    }
}

/// Watches the namespaces until the task is dropped.
pub async fn follow(client: &Client, cluster: &Cluster) {
    let mut told = false;
    loop {
        let wait = match once(client, cluster).await {
            // the API server ends every watch after a while; the delay keeps us from looping if it
            // ends them at once
            Ok(()) => ENDED,
            Err(error) if error.is_forbidden() => {
                if !told {
                    told = true;
                    tracing::info!(
                        %error,
                        "labels of namespaces are not known: the role has no `list, watch namespaces`"
                    );
                }
                REFUSED
            }
            Err(error) => {
                tracing::debug!(%error, "namespaces are followed again");
                AGAIN
            }
        };
        sleep(wait).await;
    }
}

async fn once(client: &Client, cluster: &Cluster) -> Result<(), Error> {
    let mut all = BTreeMap::new();
    let version = client
        .list(NAMESPACES, "", Shape::Metadata, |object| {
            if all.len() < NAMESPACES_MAX {
                let namespace = known(&object);
                all.insert(namespace.name.clone(), namespace);
            }
        })
        .await?;
    cluster.replace(all);
    let each = |kind: &str, object: Value| match kind {
        "ADDED" | "MODIFIED" => cluster.put(known(&object)),
        "DELETED" => cluster.remove(&known(&object).name),
        _ => {}
    };
    client.watch(NAMESPACES, &version, each).await
}

/// Extracts what a plan needs of a namespace.
fn known(object: &Value) -> Namespace {
    let metadata = &object["metadata"];
    let map = |name: &str| {
        let concerns = |(key, value): (&String, &Value)| {
            let ours = key == "kubernetes.io/metadata.name"
                || ["istio", "linkerd", "sidelight"].iter().any(|word| key.contains(word));
            ours.then(|| Some((key.clone(), value.as_str()?.to_owned()))).flatten()
        };
        metadata[name].as_object().into_iter().flatten().filter_map(concerns).collect()
    };
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    Namespace { name, labels: map("labels"), annotations: map("annotations") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_namespace_is_kept_what_concerns_meshes() {
        let object = json!({"metadata": {
            "name": "shop",
            "labels": {"kubernetes.io/metadata.name": "shop", "istio-injection": "enabled", "team": "a"},
            "annotations": {"linkerd.io/inject": "enabled", "big": "x".repeat(1000)},
        }});
        let cluster = Cluster::default();
        assert!(cluster.namespace("shop").labels.is_empty(), "nobody knows");
        cluster.put(known(&object));
        let found = cluster.namespace("shop");
        assert_eq!(
            found.labels.keys().collect::<Vec<_>>(),
            ["istio-injection", "kubernetes.io/metadata.name"]
        );
        assert_eq!(found.annotations.keys().collect::<Vec<_>>(), ["linkerd.io/inject"]);
        cluster.remove("shop");
        assert_eq!(cluster.namespace("shop").name, "shop");
        assert!(cluster.namespace("shop").labels.is_empty());
    }
}
