//! The leader's count of pods that should have the sidecar and do not. The selectors of the webhook
//! configuration decide which pods should have it. Only metadata is read, and only of pods without
//! our label. Without the permission to list, nothing is counted and no series is shown. Unit: one
//! count.

use super::lease::Leader;
use super::metrics::Metrics;
use crate::apiserver::client::{Client, call};
use crate::apiserver::error::Error;
use crate::inject::names;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::Api;
use kube::api::{ApiResource, ListParams, ObjectMeta, PartialObjectMeta};
use kube::core::{Expression, Selector};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Up to this many namespaces are listed one by one; with more, the whole cluster is listed.
const LISTED_MAX: usize = 50;

/// Maximum number of pods that are counted; a higher count would not change what the user has to
/// do.
const PODS_MAX: usize = 100_000;

/// Number of namespaces with a separate series; the others are summed up as `_other`.
const SERIES_MAX: usize = 200;

/// Selects pods that run or are about to run, and that do not use the host network.
const FIELDS: &str = "status.phase!=Succeeded,status.phase!=Failed,spec.hostNetwork=false";

/// Number of pods by namespace and reason.
type Counted = BTreeMap<(String, &'static str), i64>;

/// What is counted, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counting {
    /// The MutatingWebhookConfiguration with the selectors.
    pub configuration: String,
    /// The interval between two counts.
    pub every: Duration,
}

/// Counts while this replica is the leader, until `stop` is set.
pub async fn count(
    client: Client,
    counting: Counting,
    leader: Arc<Leader>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut is_logged = false;
    loop {
        if leader.leads() {
            match once(&client, &counting.configuration).await {
                Ok(counted) => {
                    show(&metrics, counted);
                    is_logged = false;
                }
                Err(error) => {
                    metrics.show_missing(false);
                    if !is_logged {
                        is_logged = true;
                        tracing::warn!(%error, "pods without the sidecar are not counted");
                    }
                }
            }
        } else {
            metrics.show_missing(false);
        }
        // a new leader counts soon
        let wait = if leader.leads() {
            counting.every
        } else {
            counting.every.min(Duration::from_secs(2))
        };
        tokio::select! {
            () = sleep(wait) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

fn show(metrics: &Metrics, counted: Counted) {
    metrics.pods_missing.reset();
    let mut series = BTreeSet::new();
    for ((namespace, reason), count) in counted {
        if series.len() < SERIES_MAX {
            series.insert(namespace.clone());
        }
        let shown = if series.contains(&namespace) { namespace.as_str() } else { "_other" };
        metrics.pods_missing.with_label_values(&[shown, reason]).add(count);
    }
    metrics.show_missing(true);
}

async fn once(client: &Client, configuration: &str) -> Result<Counted, Error> {
    let configurations: Api<MutatingWebhookConfiguration> = client.all();
    let read = configurations.get(configuration);
    let configuration = call("get the webhook configuration", read).await?;
    let since = configuration.metadata.creation_timestamp;
    let mut found: BTreeMap<(String, String), &'static str> = BTreeMap::new();
    let mut counted = Counted::new();
    for webhook in configuration.webhooks.into_iter().flatten() {
        // an unknown expression selects nothing here, because a low count is better than an alert
        // about pods that were never selected
        let (Some(wanted), Some(pods)) =
            (selector(webhook.namespace_selector), selector(webhook.object_selector))
        else {
            continue;
        };
        let namespaces = namespaces(client, &wanted).await?;
        for namespace in &namespaces {
            // create the series that alerts use before anything is missing
            counted.entry((namespace.clone(), "missed")).or_default();
        }
        let each = |pod: PartialObjectMeta<Pod>| {
            let Some((namespace, name)) = concerned(&pod.metadata) else { return };
            if namespaces.contains(&namespace) && found.len() < PODS_MAX {
                found.insert((namespace, name), reason(&pod.metadata, since.as_ref()));
            }
        };
        list_pods(client, &namespaces, pods, each).await?;
    }
    for ((namespace, _), reason) in found {
        *counted.entry((namespace, reason)).or_default() += 1;
    }
    // namespaces where nothing is missing are shown only if there are few
    if counted.len() > SERIES_MAX {
        counted.retain(|_, count| *count > 0);
    }
    Ok(counted)
}

/// Lists the pods of these namespaces that a webhook selects and that do not have our label.
async fn list_pods(
    client: &Client,
    namespaces: &BTreeSet<String>,
    mut selector: Selector,
    mut each: impl FnMut(PartialObjectMeta<Pod>),
) -> Result<(), Error> {
    let label = Expression::NotEqual(names::INJECTED_LABEL.to_owned(), "true".to_owned());
    selector.extend([label]);
    let params = ListParams::default().labels_from(&selector).fields(FIELDS);
    let pods = ApiResource::erase::<Pod>(&());
    if namespaces.len() > LISTED_MAX {
        return client.each_metadata(&pods, None, params, each).await;
    }
    for namespace in namespaces {
        client.each_metadata(&pods, Some(namespace), params.clone(), &mut each).await?;
    }
    Ok(())
}

async fn namespaces(client: &Client, selector: &Selector) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    let params = ListParams::default().labels_from(selector);
    let each = |object: PartialObjectMeta<Namespace>| found.extend(object.metadata.name);
    client.each_metadata(&ApiResource::erase::<Namespace>(&()), None, params, each).await?;
    Ok(found)
}

/// Converts a selector of a webhook; `None` if it has an unknown expression. A missing selector
/// selects everything.
fn selector(selector: Option<LabelSelector>) -> Option<Selector> {
    Selector::try_from(selector.unwrap_or_default()).ok()
}

/// Returns namespace and name of a pod, unless it is a mirror pod of a node.
fn concerned(pod: &ObjectMeta) -> Option<(String, String)> {
    if pod.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(names::MIRROR)) {
        return None;
    }
    Some((pod.namespace.clone()?, pod.name.clone()?))
}

/// Returns why a pod may lack the sidecar: it is older than the webhook, or the webhook missed it.
fn reason(pod: &ObjectMeta, since: Option<&Time>) -> &'static str {
    match (&pod.creation_timestamp, since) {
        (Some(created), Some(since)) if created < since => "before_install",
        _ => "missed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_unknown_expression_selects_nothing() {
        let read = |value| serde_json::from_value::<LabelSelector>(value).expect("a selector");
        let known = read(json!({
            "matchLabels": {"a": "1"},
            "matchExpressions": [{"key": "c", "operator": "In", "values": ["x", "y"]}],
        }));
        assert_eq!(selector(Some(known)).expect("known").to_string(), "a=1,c in (x,y)");
        assert_eq!(selector(None).expect("everything").to_string(), "");
        let unknown = read(json!({"matchExpressions": [{"key": "g", "operator": "Like"}]}));
        assert!(selector(Some(unknown)).is_none());
    }

    #[test]
    fn mirror_pods_are_not_counted_and_old_pods_have_another_reason() {
        let pod = |created: &str, annotations: Value| -> ObjectMeta {
            let metadata = json!({"namespace": "n", "name": "p", "creationTimestamp": created,
                                  "annotations": annotations});
            serde_json::from_value(metadata).expect("metadata")
        };
        let since = pod("2026-11-21T12:00:00Z", json!({})).creation_timestamp;
        let reason = |created: &str| reason(&pod(created, json!({})), since.as_ref());
        assert_eq!(reason("2026-11-21T11:59:59Z"), "before_install");
        assert_eq!(reason("2026-11-21T12:00:00Z"), "missed");
        assert!(concerned(&pod("2026-11-21T12:00:00Z", json!({}))).is_some());
        let mirror = json!({"kubernetes.io/config.mirror": "x"});
        assert!(concerned(&pod("2026-11-21T12:00:00Z", mirror)).is_none());
    }

    #[test]
    fn many_namespaces_share_a_series() {
        let metrics = Metrics::new();
        let counted = (0..500).map(|n| ((format!("n{n:03}"), "missed"), 2)).collect();
        show(&metrics, counted);
        let value = |name: &str| metrics.pods_missing.with_label_values(&[name, "missed"]).get();
        assert_eq!((value("n000"), value("n199"), value("_other")), (2, 2, 600));
    }
}
