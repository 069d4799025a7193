//! Where a pod comes from: its namespace, and the object that created it. Unit: one pod.

use std::collections::BTreeMap;

/// What is known of the pod's namespace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Namespace {
    /// The name; empty if it is unknown, as in a file.
    pub name: String,
    /// The labels, if they are watched; a namespace of a cluster always has at least one.
    pub labels: BTreeMap<String, String>,
    /// The annotations, if they are watched.
    pub annotations: BTreeMap<String, String>,
}

/// The owner of pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The kind, such as `Deployment` or `Job`.
    pub kind: String,
    /// The name of the owner.
    pub name: String,
}
