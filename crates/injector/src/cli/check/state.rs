//! The state of a cluster: the objects that injection depends on, and what the check needs of every
//! pod. Unit: one cluster.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A cluster, as far as it could be read.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct State {
    /// All webhook configurations, complete; those of other programs may explain a missing sidecar.
    pub(super) webhooks: Vec<Value>,
    /// Bindings of our admission policies.
    pub(super) bindings: Vec<Value>,
    /// Missing objects that those bindings refer to: a policy, or parameters.
    pub(super) absent: Vec<String>,
    /// Labels of each namespace by its name.
    pub(super) namespaces: BTreeMap<String, Map<String, Value>>,
    /// Pods that run or are about to run.
    pub(super) pods: Vec<Pod>,
    /// Ready endpoints by namespace and name of our Services; `None` if the Service does not exist.
    pub(super) endpoints: BTreeMap<(String, String), Option<usize>>,
    /// Our serving certificates, PEM, by namespace and name of the Service.
    pub(super) certificates: BTreeMap<(String, String), String>,
    /// Prometheus objects of the operator; `None` if the cluster has no operator.
    pub(super) prometheuses: Option<Vec<Value>>,
    /// PodMonitors that select our pods.
    pub(super) monitors: Vec<Value>,
    /// Objects that could not be read.
    pub(super) blind: Vec<Blind>,
}

/// A list that could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Blind {
    pub(super) what: String,
    pub(super) why: String,
}

/// The parts of a pod that the check uses.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: Map<String, Value>,
    /// In Kubernetes' format for times, which sorts as text.
    pub(super) created: String,
    /// The owner, such as `deployment/web`; the pod itself if it has no owner.
    pub(super) owner: String,
    /// The container with our name.
    pub(super) sidecar: Option<Sidecar>,
    /// The reason why the plan leaves the pod alone, if it does.
    pub(super) refused: Option<&'static str>,
    /// The revision and version in its status annotation.
    pub(super) status: Option<(String, String)>,
}

/// How the container with our name is placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sidecar {
    /// An init container with the `restartPolicy` that keeps it running.
    Native,
    /// An init container without it: the pod waits for its end.
    Lost,
    /// A regular container.
    Classic,
}

/// A webhook or a binding that selects pods for one revision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chooser<'s> {
    /// The object that contains it.
    pub(super) object: &'s Value,
    pub(super) namespaces: &'s Value,
    pub(super) pods: &'s Value,
}

impl State {
    /// Returns the webhooks of our injectors, each with its configuration.
    pub(super) fn ours(&self) -> impl Iterator<Item = (&Value, &Value)> {
        let of =
            |configuration| webhooks_of(configuration).map(move |webhook| (configuration, webhook));
        self.webhooks.iter().flat_map(of).filter(|(_, webhook)| is_ours(webhook))
    }

    /// Returns everything that selects pods for a sidecar.
    pub(super) fn choosers(&self) -> impl Iterator<Item = Chooser<'_>> {
        let webhooks = self.ours().map(|(object, webhook)| Chooser {
            object,
            namespaces: &webhook["namespaceSelector"],
            pods: &webhook["objectSelector"],
        });
        let bindings = self.bindings.iter().map(|object| {
            let matched = &object["spec"]["matchResources"];
            let (namespaces, pods) = (&matched["namespaceSelector"], &matched["objectSelector"]);
            Chooser { object, namespaces, pods }
        });
        webhooks.chain(bindings)
    }
}

/// Returns the webhooks of a configuration.
pub(super) fn webhooks_of(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

/// Returns whether a webhook belongs to an injector.
pub(super) fn is_ours(webhook: &Value) -> bool {
    webhook["name"].as_str().is_some_and(|name| name.ends_with(".injector.sidelight.dev"))
}

/// Returns namespace and name of an object, for people.
pub(super) fn named(object: &Value) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}
