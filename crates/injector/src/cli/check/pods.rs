//! Finds pods that should have the sidecar and do not, sidecars without the field that makes them
//! native, and sidecars of another version or revision. Pods of one owner form one finding, because
//! the remedy applies to the owner. Unit: one cluster.

use super::finding::Finding;
use super::selector::selects;
use super::state::{Chooser, Pod, Sidecar, State, is_ours, named, webhooks_of};
use crate::inject::names::REVISION_LABEL;
use serde_json::Value;
use std::collections::BTreeMap;

/// Number of pod names in one finding.
const NAMES_MAX: usize = 5;

/// Number of findings of one kind that are listed individually.
const OWNERS_MAX: usize = 50;

/// Pods grouped by owner and problem.
#[derive(Default)]
struct Groups<'s> {
    names: BTreeMap<(&'s str, &'s str, String), Vec<&'s str>>,
}

impl<'s> Groups<'s> {
    fn push(&mut self, pod: &'s Pod, why: String) {
        self.names.entry((&pod.namespace, &pod.owner, why)).or_default().push(&pod.name);
    }

    /// Adds one finding for each group; `make` gets namespace, owner, problem and the pods' names.
    fn push_findings(
        self,
        findings: &mut Vec<Finding>,
        make: impl Fn(&str, &str, &str, &str) -> Finding,
    ) {
        let more = self.names.len().saturating_sub(OWNERS_MAX);
        let mut last = None;
        for ((namespace, owner, why), names) in self.names.into_iter().take(OWNERS_MAX) {
            let mut shown = names[..names.len().min(NAMES_MAX)].join(", ");
            if names.len() > NAMES_MAX {
                shown = format!("{shown} and {} more", names.len() - NAMES_MAX);
            }
            last = Some(make(namespace, owner, &why, &shown));
            findings.extend(last.clone());
        }
        if let (Some(mut last), true) = (last, more > 0) {
            last.what = format!("the same of {more} more owners of pods");
            findings.push(last);
        }
    }
}

/// Returns all findings about pods.
pub(super) fn findings(state: &State) -> Vec<Finding> {
    let (mut missing, mut lost, mut others) = <(Groups<'_>, Groups<'_>, Groups<'_>)>::default();
    for pod in &state.pods {
        match pod.sidecar {
            Some(Sidecar::Lost) => lost.push(pod, String::new()),
            Some(Sidecar::Native | Sidecar::Classic) => {
                if let Some(why) = another(state, pod) {
                    others.push(pod, why);
                }
            }
            None => {
                if let Some(why) = missed(state, pod) {
                    missing.push(pod, why);
                }
            }
        }
    }
    let mut findings = Vec::new();
    missing.push_findings(&mut findings, |namespace, owner, why, pods| {
        let what = format!("{namespace}: {owner} has no sidecar ({pods}): {why}");
        Finding::error(what, restart(namespace, owner))
    });
    let suspects = suspects(state);
    lost.push_findings(&mut findings, |namespace, owner, _, pods| {
        let what = format!(
            "{namespace}: {owner} cannot start ({pods}): its init container `sidelight` lost `restartPolicy: \
             Always`, as when a webhook decodes a pod without knowing the field; {suspects}"
        );
        let first = "bring the webhook up to date that does it, or keep it from these pods; then";
        Finding::error(what, format!("{first} {}", restart(namespace, owner)))
    });
    others.push_findings(&mut findings, |namespace, owner, why, pods| {
        Finding::warning(format!("{namespace}: {owner} {why} ({pods})"), restart(namespace, owner))
    });
    findings
}

/// Names other webhooks that change pods when they are created.
fn suspects(state: &State) -> String {
    let changes_pods = |webhook: &&Value| {
        let rules = webhook["rules"].as_array();
        let has = |rule: &Value, key: &str, word: &str| {
            let list = rule[key].as_array();
            list.is_some_and(|list| list.iter().any(|one| one == word || one == "*"))
        };
        !is_ours(webhook)
            && rules.is_some_and(|rules| {
                rules
                    .iter()
                    .any(|rule| has(rule, "resources", "pods") && has(rule, "operations", "CREATE"))
            })
    };
    let of = |configuration| {
        webhooks_of(configuration).filter(changes_pods).map(move |_| named(configuration))
    };
    let mut names: Vec<String> = state.webhooks.iter().flat_map(of).collect();
    names.dedup();
    match names.as_slice() {
        [] => "no other webhook changes pods here: was it another that is gone?".to_owned(),
        names => format!("webhooks that change pods here: {}", names.join(", ")),
    }
}

/// Returns the webhook or binding that selects the pod now.
fn chooser<'s>(state: &'s State, pod: &Pod) -> Option<Chooser<'s>> {
    let namespace = state.namespaces.get(&pod.namespace)?;
    state.choosers().find(|chooser| {
        selects(chooser.namespaces, namespace) && selects(chooser.pods, &pod.labels)
    })
}

/// Returns why a selected pod has no sidecar; `None` for one that is not selected, or cannot have
/// one.
fn missed(state: &State, pod: &Pod) -> Option<String> {
    let chooser = chooser(state, pod)?;
    if pod.refused.is_some() {
        return None;
    }
    let since = chooser.object["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    Some(if pod.created.as_str() < since {
        "it is older than the injector".to_owned()
    } else {
        "the injector was not reached when it was made, or its namespace was labelled later"
            .to_owned()
    })
}

/// Describes how the pod differs in version or revision from a new one.
fn another(state: &State, pod: &Pod) -> Option<String> {
    let (revision, version) = pod.status.as_ref()?;
    if let Some(chooser) = chooser(state, pod) {
        let now = revision_of(&chooser);
        if now != revision {
            return Some(format!(
                "has a sidecar of revision {revision}, and would get one of {now}"
            ));
        }
    }
    let ours = env!("CARGO_PKG_VERSION");
    (version != ours).then(|| format!("has sidelight {version}; this is {ours}"))
}

/// Returns the revision of a chooser: the one in its label selector, or else the one of its object.
fn revision_of<'s>(chooser: &Chooser<'s>) -> &'s str {
    let selected = [chooser.pods, chooser.namespaces].into_iter().find_map(|selector| {
        let expressions = selector["matchExpressions"].as_array()?;
        let ours = |one: &&Value| one["key"] == REVISION_LABEL && one["operator"] == "In";
        expressions.iter().find(ours)?["values"][0].as_str()
    });
    let labelled = chooser.object["metadata"]["labels"][REVISION_LABEL].as_str();
    selected.or(labelled).unwrap_or("default")
}

/// Returns the command that recreates the pods of an owner.
fn restart(namespace: &str, owner: &str) -> String {
    let (kind, name) = owner.split_once('/').unwrap_or(("pod", owner));
    match kind {
        "deployment" | "statefulset" | "daemonset" => {
            format!("kubectl -n {namespace} rollout restart {kind}/{name}")
        }
        "job" => format!(
            "it ends by itself; the next one has it, or: kubectl -n {namespace} delete job {name}"
        ),
        "pod" => {
            format!("make it anew: kubectl -n {namespace} delete pod {name}, and apply it again")
        }
        _ => format!("delete the pods of {owner} in {namespace}: their owner makes new ones"),
    }
}
