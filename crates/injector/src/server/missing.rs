//! The leader's count of pods that should have the sidecar and do not. The selectors of the webhook
//! configuration decide which pods should have it. Only metadata is read, and only of pods without
//! our label. Without the permission to list, nothing is counted and no series is shown. Unit: one
//! count.

use super::lease::Leader;
use super::metrics::Metrics;
use crate::inject::names;
use crate::kube;
use crate::kube::error::Error;
use crate::kube::{Client, Shape, escape};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Up to this many namespaces are listed one by one; with more, the whole cluster is listed.
const ASKED_MAX: usize = 50;

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
    client: Arc<Client>,
    counting: Counting,
    leader: Arc<Leader>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut told = false;
    loop {
        if leader.leads() {
            match once(&client, &counting.configuration).await {
                Ok(counted) => {
                    show(&metrics, counted);
                    told = false;
                }
                Err(error) => {
                    metrics.show_missing(false);
                    if !told {
                        told = true;
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
    let path = format!(
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{configuration}"
    );
    let configuration = client.get(&path).await?;
    let since = configuration["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    let mut found: BTreeMap<(String, String), &'static str> = BTreeMap::new();
    let mut counted = Counted::new();
    for webhook in configuration["webhooks"].as_array().into_iter().flatten() {
        let namespaces = namespaces(client, &webhook["namespaceSelector"]).await?;
        for namespace in &namespaces {
            // create the series that alerts use before anything is missing
            counted.entry((namespace.clone(), "missed")).or_default();
        }
        let query = query(&webhook["objectSelector"]);
        let mut each = |pod: Value| {
            let Some((namespace, name)) = wanted(&pod) else { return };
            if namespaces.contains(&namespace) && found.len() < PODS_MAX {
                found.insert((namespace, name), reason(&pod, since));
            }
        };
        if namespaces.len() <= ASKED_MAX {
            for namespace in &namespaces {
                let path = kube::path(&["api", "v1", "namespaces", namespace, "pods"]);
                client.list(&path, &query, Shape::Metadata, &mut each).await?;
            }
        } else {
            client.list("/api/v1/pods", &query, Shape::Metadata, &mut each).await?;
        }
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

async fn namespaces(client: &Client, selector: &Value) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    let query = format!("labelSelector={}", escape(&text(selector)));
    let each = |object: Value| {
        found.extend(object["metadata"]["name"].as_str().map(str::to_owned));
    };
    client.list("/api/v1/namespaces", &query, Shape::Metadata, each).await?;
    Ok(found)
}

/// Returns the query for pods that the webhook selects and that do not have our label.
fn query(selector: &Value) -> String {
    let wanted = text(selector);
    let between = if wanted.is_empty() { "" } else { "," };
    let labels = format!("{wanted}{between}{}!=true", names::INJECTED_LABEL);
    format!("labelSelector={}&fieldSelector={}", escape(&labels), escape(FIELDS))
}

/// Returns namespace and name of a pod, unless it is a mirror pod of a node.
fn wanted(pod: &Value) -> Option<(String, String)> {
    let metadata = &pod["metadata"];
    if metadata["annotations"].get(names::MIRROR).is_some() {
        return None;
    }
    Some((metadata["namespace"].as_str()?.to_owned(), metadata["name"].as_str()?.to_owned()))
}

/// Returns why a pod may lack the sidecar. Kubernetes' timestamps sort as text.
fn reason(pod: &Value, since: &str) -> &'static str {
    match pod["metadata"]["creationTimestamp"].as_str() {
        Some(created) if created < since => "before_install",
        _ => "missed",
    }
}

/// Converts a LabelSelector to a query. An unknown expression selects nothing, because a low count
/// is better than an alert about pods that were never selected.
fn text(selector: &Value) -> String {
    let mut parts = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key.to_owned(),
            Some("DoesNotExist") => format!("!{key}"),
            _ => format!("{key},!{key}"),
        });
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_as_queries_have_them() {
        let selector = json!({
            "matchLabels": {"a": "1", "b": "2"},
            "matchExpressions": [
                {"key": "c", "operator": "In", "values": ["x", "y"]},
                {"key": "d", "operator": "NotIn", "values": ["z"]},
                {"key": "e", "operator": "Exists"},
                {"key": "f", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(text(&selector), "a=1,b=2,c in (x,y),d notin (z),e,!f");
        assert_eq!(text(&json!(null)), "");
        let unknown = json!({"matchExpressions": [{"key": "g", "operator": "Like"}]});
        assert_eq!(text(&unknown), "g,!g", "nothing has it and has it not");
        let query = query(&json!({}));
        assert!(
            query.starts_with("labelSelector=sidelight.dev%2Finjected%21%3Dtrue&field"),
            "{query}"
        );
    }

    #[test]
    fn mirrors_are_not_wanted_and_old_pods_are_told_apart() {
        let pod = |created: &str, annotations: Value| {
            json!({"metadata": {"namespace": "n", "name": "p", "creationTimestamp": created,
                                "annotations": annotations}})
        };
        let since = "2026-11-21T12:00:00Z";
        assert_eq!(reason(&pod("2026-11-21T11:59:59Z", json!({})), since), "before_install");
        assert_eq!(reason(&pod("2026-11-21T12:00:00Z", json!({})), since), "missed");
        assert!(wanted(&pod("", json!({}))).is_some());
        assert!(wanted(&pod("", json!({"kubernetes.io/config.mirror": "x"}))).is_none());
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
