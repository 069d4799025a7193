//! What injection does to a pod: raw JSON in, JSON-patch operations out. Pure: no I/O, no clock, no typed pod,
//! so that what this code has never heard of stays as it was. Three front ends share it: the webhook
//! (`injector`), `sidelight inject`, and the generated admission policy. Unit: one pod.

pub mod policy;

use policy::Policy;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is known of the pod's namespace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Namespace {
    /// Its name; empty where nobody knows it, as in a file.
    pub name: String,
    /// Its labels, where somebody watches them.
    pub labels: BTreeMap<String, String>,
}

/// One operation of RFC 6902.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Operation {
    /// `add`, or `replace` for a list of ours in an annotation.
    pub op: &'static str,
    /// Where, as RFC 6901 writes it.
    pub path: String,
    /// What.
    pub value: Value,
}

/// What became of a pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// In the order in which they must be done; none where the pod is left alone or has everything.
    pub patch: Vec<Operation>,
    /// Why the pod is left alone, a word for machines: `host_network`, `opted_out`, `no_command`, ...
    pub skipped: Option<&'static str>,
    /// What people should read: kubectl prints it.
    pub warnings: Vec<String>,
}

/// What is to be done to a pod so that the sidecar stands in it. Convergent: the plan of a patched pod is empty.
pub fn plan(_pod: &Value, _namespace: &Namespace, _policy: &Policy) -> Plan {
    Plan::default()
}
