//! Reads the state that `check --cluster` evaluates. Objects that the user may not read are
//! recorded and are not an error; only namespaces and pods must be readable. Unit: one cluster.

use super::monitor;
use super::state::{Blind, Pod, Sidecar, State};
use super::webhook::service;
use crate::inject::names::{CONTAINER, STATUS};
use crate::inject::policy::Policy;
use crate::inject::{Namespace, plan};
use crate::kube::error::Error;
use crate::kube::{self, Client, Shape, base64, escape};
use serde_json::Value;
use std::collections::BTreeSet;

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const MONITORING: &str = "/apis/monitoring.coreos.com";

/// Excludes pods that have ended.
const FIELDS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Reads the state of a cluster.
///
/// # Errors
/// Fails if the API server does not answer, or does not permit reading namespaces and pods.
pub(super) async fn gather(client: &Client) -> Result<State, Error> {
    let mut state = State::default();
    let each = |namespace: Value| {
        let metadata = &namespace["metadata"];
        let labels = metadata["labels"].as_object().cloned().unwrap_or_default();
        state.namespaces.insert(metadata["name"].as_str().unwrap_or_default().to_owned(), labels);
    };
    client.list("/api/v1/namespaces", "", Shape::Metadata, each).await?;
    let path = format!("{ADMISSION}/mutatingwebhookconfigurations");
    state.webhooks = seen(client, &path, &mut state.blind).await.unwrap_or_default();
    let path = format!("{ADMISSION}/mutatingadmissionpolicybindings");
    // a cluster before 1.36 has no such kind
    let bindings = seen(client, &path, &mut state.blind).await.unwrap_or_default();
    state.bindings = bindings.into_iter().filter(is_our_binding).collect();
    absent(client, &mut state).await;
    let policy = Policy::default();
    let query = format!("fieldSelector={}", escape(FIELDS));
    let each = |pod: Value| state.pods.extend(digest(&pod, &policy));
    client.list("/api/v1/pods", &query, Shape::Whole, each).await?;
    let services: BTreeSet<_> = state.ours().filter_map(|(_, webhook)| service(webhook)).collect();
    for of in services {
        endpoints(client, &mut state, &of).await;
        certificate(client, &mut state, of).await;
    }
    prometheus(client, &mut state).await;
    Ok(state)
}

fn is_our_binding(binding: &Value) -> bool {
    let policy = binding["spec"]["policyName"].as_str().unwrap_or_default();
    policy.starts_with("inject") && policy.ends_with(".sidelight.dev")
}

/// Looks up the objects that bindings refer to, and records those that do not exist.
async fn absent(client: &Client, state: &mut State) {
    let mut paths = BTreeSet::new();
    for binding in &state.bindings {
        let spec = &binding["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        paths.insert(kube::child(
            &format!("{ADMISSION}/mutatingadmissionpolicies"),
            &text(&spec["policyName"]),
        ));
        let (namespace, name) =
            (text(&spec["paramRef"]["namespace"]), text(&spec["paramRef"]["name"]));
        if !name.is_empty() {
            paths.insert(kube::path(&["api", "v1", "namespaces", &namespace, "configmaps", &name]));
        }
    }
    for path in paths {
        match client.get(&path).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                state.absent.push(path.rsplit("/v1/").next().unwrap_or(&path).to_owned());
            }
            Err(error) => note(&mut state.blind, &path, &error),
        }
    }
}

/// Returns a complete list. `None` if the cluster has no such kind, or if reading is forbidden,
/// which is recorded.
async fn seen(client: &Client, path: &str, blind: &mut Vec<Blind>) -> Option<Vec<Value>> {
    let mut items = Vec::new();
    match client.list(path, "", Shape::Whole, |item| items.push(item)).await {
        Ok(_) => Some(items),
        Err(error) if error.is_not_found() => None,
        Err(error) => {
            note(blind, path, &error);
            None
        }
    }
}

fn note(blind: &mut Vec<Blind>, path: &str, error: &Error) {
    let what = path.rsplit("/v1/").next().unwrap_or(path).to_owned();
    blind.push(Blind { what, why: error.to_string() });
}

async fn endpoints(client: &Client, state: &mut State, of: &(String, String)) {
    let (namespace, name) = of;
    let path = kube::path(&["api", "v1", "namespaces", namespace, "services", name]);
    match client.get(&path).await {
        Ok(_) => {}
        Err(error) if error.is_not_found() => {
            state.endpoints.insert(of.clone(), None);
            return;
        }
        Err(error) => return note(&mut state.blind, &path, &error),
    }
    let path =
        kube::path(&["apis", "discovery.k8s.io", "v1", "namespaces", namespace, "endpointslices"]);
    let query = format!("labelSelector={}", escape(&format!("kubernetes.io/service-name={name}")));
    let mut ready = 0;
    let each = |slice: Value| {
        let endpoints = slice["endpoints"].as_array();
        // an endpoint without the condition is ready
        let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != false;
        ready += endpoints.map_or(0, |endpoints| endpoints.iter().filter(is_ready).count());
    };
    match client.list(&path, &query, Shape::Whole, each).await {
        Ok(_) => drop(state.endpoints.insert(of.clone(), Some(ready))),
        Err(error) => note(&mut state.blind, &path, &error),
    }
}

async fn certificate(client: &Client, state: &mut State, of: (String, String)) {
    let (namespace, name) = &of;
    let path =
        kube::path(&["api", "v1", "namespaces", namespace, "secrets", &format!("{name}-tls")]);
    match client.get(&path).await {
        Ok(secret) => {
            let pem = secret["data"]["tls.crt"].as_str().and_then(base64::decode);
            let pem = pem.and_then(|pem| String::from_utf8(pem).ok());
            state.certificates.extend(pem.map(|pem| (of, pem)));
        }
        // provided certificates may be stored anywhere
        Err(error) if error.is_not_found() => {}
        Err(error) => note(&mut state.blind, &path, &error),
    }
}

async fn prometheus(client: &Client, state: &mut State) {
    let blind = &mut state.blind;
    let Some(mut all) = seen(client, &format!("{MONITORING}/v1/prometheuses"), blind).await else {
        return;
    };
    // agents scrape, too
    let agents = seen(client, &format!("{MONITORING}/v1alpha1/prometheusagents"), blind).await;
    all.extend(agents.into_iter().flatten());
    let monitors = seen(client, &format!("{MONITORING}/v1/podmonitors"), blind).await;
    state.monitors = monitors.into_iter().flatten().filter(monitor::is_ours).collect();
    state.prometheuses = Some(all);
}

/// Extracts what the check needs of a pod; `None` for one that is being deleted or is a static pod.
pub(super) fn digest(pod: &Value, policy: &Policy) -> Option<Pod> {
    let metadata = &pod["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    if metadata["deletionTimestamp"].is_string() {
        return None;
    }
    let named = |list: &str| {
        let list = pod["spec"][list].as_array();
        list.and_then(|list| list.iter().find(|container| container["name"] == CONTAINER))
    };
    let sidecar = match (named("initContainers"), named("containers")) {
        (Some(container), _) if container["restartPolicy"] == "Always" => Some(Sidecar::Native),
        (Some(_), _) => Some(Sidecar::Lost),
        (None, Some(_)) => Some(Sidecar::Classic),
        (None, None) => None,
    };
    let namespace = Namespace { name: text("namespace"), ..Namespace::default() };
    let refused = if sidecar.is_some() { None } else { plan(pod, &namespace, policy).skipped };
    let status = metadata["annotations"][STATUS].as_str();
    let status =
        status.and_then(|text| serde_json::from_str::<Value>(text).ok()).and_then(|status| {
            Some((status["rev"].as_str()?.to_owned(), status["version"].as_str()?.to_owned()))
        });
    Some(Pod {
        namespace: text("namespace"),
        name: text("name"),
        labels: metadata["labels"].as_object().cloned().unwrap_or_default(),
        created: text("creationTimestamp"),
        owner: owner(metadata),
        sidecar,
        refused,
        status,
    })
}

/// Returns the owner as kubectl names it: for a ReplicaSet its Deployment.
fn owner(metadata: &Value) -> String {
    let owners = metadata["ownerReferences"].as_array();
    let owner = owners.and_then(|owners| owners.iter().find(|owner| owner["controller"] == true));
    let Some((kind, name)) =
        owner.and_then(|owner| owner["kind"].as_str().zip(owner["name"].as_str()))
    else {
        return format!("pod/{}", metadata["name"].as_str().unwrap_or_default());
    };
    let hash = metadata["labels"]["pod-template-hash"].as_str().map(|hash| format!("-{hash}"));
    match hash.and_then(|hash| name.strip_suffix(&hash).map(str::to_owned)) {
        Some(name) if kind == "ReplicaSet" => format!("deployment/{name}"),
        _ => format!("{}/{name}", kind.to_lowercase()),
    }
}
