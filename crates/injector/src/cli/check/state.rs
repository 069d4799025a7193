//! What is known of a cluster: the objects that injection hangs on, and of every pod as much as is needed
//! to judge it. Unit: one cluster.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A cluster, as far as it could be read.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct State {
    /// All of them, whole: those of others are suspects.
    pub(super) webhooks: Vec<Value>,
    /// Bindings of our admission policies.
    pub(super) bindings: Vec<Value>,
    /// What those bindings lean on and is not there: a policy, or parameters.
    pub(super) absent: Vec<String>,
    /// Labels by name.
    pub(super) namespaces: BTreeMap<String, Map<String, Value>>,
    /// Those that run, or shall.
    pub(super) pods: Vec<Pod>,
    /// Ready endpoints by namespace and name of a Service of ours; `None`: no such Service.
    pub(super) endpoints: BTreeMap<(String, String), Option<usize>>,
    /// Serving certificates of ours, PEM, by namespace and name of the Service.
    pub(super) certificates: BTreeMap<(String, String), String>,
    /// Prometheus objects of the operator; `None`: the cluster has no operator.
    pub(super) prometheuses: Option<Vec<Value>>,
    /// PodMonitors that select our pods.
    pub(super) monitors: Vec<Value>,
    /// What nobody let us see.
    pub(super) blind: Vec<Blind>,
}

/// Something that could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Blind {
    pub(super) what: String,
    pub(super) why: String,
}

/// A pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: Map<String, Value>,
    /// As Kubernetes writes times, which sort as text.
    pub(super) created: String,
    /// As in `deployment/web`; itself where nobody owns it.
    pub(super) owner: String,
    /// The container of our name.
    pub(super) sidecar: Option<Sidecar>,
    /// Why the plan leaves it alone, where it does.
    pub(super) refused: Option<&'static str>,
    /// The revision and version that its status tells.
    pub(super) status: Option<(String, String)>,
}

/// The container of our name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sidecar {
    /// Among the init containers, with what keeps it running.
    Native,
    /// Among the init containers, without: the pod waits for its end.
    Lost,
    /// Among the containers.
    Classic,
}

/// A revision's way of choosing pods: a webhook or a binding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chooser<'s> {
    /// The object that it is part of.
    pub(super) object: &'s Value,
    pub(super) namespaces: &'s Value,
    pub(super) pods: &'s Value,
}

impl State {
    /// Webhooks of our injectors, each with the configuration that it stands in.
    pub(super) fn ours(&self) -> impl Iterator<Item = (&Value, &Value)> {
        let of =
            |configuration| webhooks_of(configuration).map(move |webhook| (configuration, webhook));
        self.webhooks.iter().flat_map(of).filter(|(_, webhook)| is_ours(webhook))
    }

    /// Everything that chooses pods for a sidecar.
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

/// The webhooks of a configuration.
pub(super) fn webhooks_of(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

/// Whether a webhook is an injector's.
pub(super) fn is_ours(webhook: &Value) -> bool {
    webhook["name"].as_str().is_some_and(|name| name.ends_with(".injector.sidelight.dev"))
}

/// Namespace and name of an object, for people.
pub(super) fn named(object: &Value) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}
