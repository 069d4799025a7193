//! The plan for one pod: what is changed, and what people have to know. Unit: one pod.

use super::patch::Operation;

/// The plan for one pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The operations in the order in which they must be applied; empty if the pod is left alone or
    /// complete.
    pub patch: Vec<Operation>,
    /// The reason why the pod is left alone, one of [`super::names::reason`].
    pub skipped: Option<&'static str>,
    /// Containers of an injected pod that are only partly set up.
    pub left_out: Vec<LeftOut>,
    /// Warnings for people, which kubectl prints.
    pub warnings: Vec<String>,
}

/// A container that is only partly set up, and the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// The name of the container.
    pub container: String,
    /// One of [`super::names::reason`]: `no_command` or `starts_earlier` (its output is not copied), or
    /// `conflict` (it has no socket).
    pub reason: &'static str,
}

impl Plan {
    /// Returns the plan that leaves a pod alone.
    pub(super) fn skip(reason: &'static str) -> Plan {
        Plan { skipped: Some(reason), ..Plan::default() }
    }
}
