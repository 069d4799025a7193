//! Checks the scraping: if no Prometheus selects a PodMonitor, its metrics are not collected. Unit:
//! one cluster.

use super::finding::Finding;
use super::selector::selects;
use super::state::{State, named};
use crate::inject::names::{INJECTED_LABEL, PORT};
use serde_json::{Map, Value, json};

/// Returns whether a PodMonitor selects our pods.
pub(super) fn is_ours(monitor: &Value) -> bool {
    let endpoints = monitor["spec"]["podMetricsEndpoints"].as_array();
    let labels = json!({INJECTED_LABEL: "true"});
    endpoints.is_some_and(|endpoints| endpoints.iter().any(|endpoint| endpoint["port"] == PORT))
        || monitor["spec"]["selector"]["matchLabels"]
            .as_object()
            .is_some_and(|wanted| !wanted.is_empty() && Some(wanted) == labels.as_object())
}

/// Returns all findings about scraping.
pub(super) fn findings(state: &State) -> Vec<Finding> {
    let Some(prometheuses) = &state.prometheuses else { return Vec::new() };
    if state.monitors.is_empty() {
        return vec![Finding::warning(
            "the cluster has Prometheus' operator, and no PodMonitor for the port sl-metrics",
            "install the chart with podMonitor.enabled, unless pods are scraped in another way",
        )];
    }
    let unseen = |monitor: &&Value| !prometheuses.iter().any(|one| sees(state, one, monitor));
    let finding = |monitor: &Value| {
        let name = named(monitor);
        if prometheuses.is_empty() {
            let what = format!("no Prometheus is there to select the PodMonitor {name}");
            return Finding::warning(what, "make one, or scrape the pods in another way");
        }
        let wanted: Vec<String> = prometheuses.iter().map(wanted).collect();
        Finding::error(
            format!("no Prometheus selects the PodMonitor {name}: {}", wanted.join("; ")),
            "give it the labels that it selects: podMonitor.labels in the chart's values",
        )
    };
    state.monitors.iter().filter(unseen).map(finding).collect()
}

/// Returns whether a Prometheus of the operator selects a PodMonitor. A missing selector selects
/// nothing, and a missing namespace selector selects its namespace.
fn sees(state: &State, prometheus: &Value, monitor: &Value) -> bool {
    let spec = &prometheus["spec"];
    let nothing = Map::new();
    let labels = monitor["metadata"]["labels"].as_object().unwrap_or(&nothing);
    let namespace = monitor["metadata"]["namespace"].as_str().unwrap_or_default();
    let of_namespaces = &spec["podMonitorNamespaceSelector"];
    let in_reach = if of_namespaces.is_null() {
        prometheus["metadata"]["namespace"] == namespace
    } else {
        selects(of_namespaces, state.namespaces.get(namespace).unwrap_or(&nothing))
    };
    in_reach
        && !spec["podMonitorSelector"].is_null()
        && selects(&spec["podMonitorSelector"], labels)
}

/// Describes the selectors of a Prometheus for people.
fn wanted(prometheus: &Value) -> String {
    let spec = &prometheus["spec"];
    let shown = |selector: &Value, none: &str| match selector {
        Value::Null => none.to_owned(),
        selector => selector.to_string(),
    };
    format!(
        "{} asks for labels {} in namespaces {}",
        named(prometheus),
        shown(&spec["podMonitorSelector"], "(none: it selects nothing)"),
        shown(&spec["podMonitorNamespaceSelector"], "(its own)")
    )
}
