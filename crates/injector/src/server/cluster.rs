//! What a plan needs to know of the cluster and a review does not bring: labels and annotations of
//! namespaces, as far as they concern meshes, and whether this is OpenShift. Followed by a watch, off the
//! path of a review; without the right to it, plans go without. Unit: one cluster.

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

/// The group of OpenShift's security context constraints, which refuse the uids of others.
const OPENSHIFT: &str = "security.openshift.io";

/// Namespaces that are known; Kubernetes is tested with ten thousand.
const NAMESPACES_MAX: usize = 20_000;

/// After a failure it is tried again so much later.
const AGAIN: Duration = Duration::from_secs(5);

/// And where RBAC refused it, so much.
const REFUSED: Duration = Duration::from_mins(5);

/// After a watch ended in order.
const ENDED: Duration = Duration::from_secs(1);

/// What is known.
#[derive(Debug, Default)]
pub struct Cluster {
    namespaces: RwLock<BTreeMap<String, Namespace>>,
    openshift: AtomicBool,
}

impl Cluster {
    /// A namespace as far as it is known.
    pub fn namespace(&self, name: &str) -> Namespace {
        let known = self.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(name).cloned();
        known.unwrap_or_else(|| Namespace { name: name.to_owned(), ..Namespace::default() })
    }

    /// Whether it is OpenShift.
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

/// Finds out what kind of cluster it is; nobody is ready before that: a pod with our uid is refused on
/// OpenShift.
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

/// Follows the namespaces for ever.
pub async fn follow(client: &Client, cluster: &Cluster) {
    let mut told = false;
    loop {
        let wait = match once(client, cluster).await {
            // the API server ends every watch after a while; one that does so at once is not asked at once
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

/// What a plan wants to know of a namespace.
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
