//! Reads the state that `check --cluster` evaluates. Objects that the user may not read are
//! recorded and are not an error; only namespaces and pods must be readable. Unit: one cluster.

use super::monitor;
use super::state::{Blind, Pod, Sidecar, State};
use super::webhook::service;
use crate::apiserver::client::{Client, call};
use crate::apiserver::error::Error;
use crate::inject::names::{CONTAINER, STATUS};
use crate::inject::policy::Policy;
use crate::inject::{Namespace, plan};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{self, ConfigMap, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource;
use kube::api::{ApiResource, ListParams};
use serde_json::Value;
use std::collections::BTreeSet;

/// Excludes pods that have ended.
const FIELDS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Reads the state of a cluster.
///
/// # Errors
/// Fails if the API server does not answer, or does not permit reading namespaces and pods.
pub(super) async fn gather(client: &Client) -> Result<State, Error> {
    let mut state = State::default();
    let each = |mut namespace: Value| {
        let metadata = namespace["metadata"].take();
        let labels = metadata["labels"].as_object().cloned().unwrap_or_default();
        state.namespaces.insert(metadata["name"].as_str().unwrap_or_default().to_owned(), labels);
    };
    let namespaces = resource::<v1::Namespace>();
    client.each_metadata(&namespaces, None, ListParams::default(), each).await?;
    let webhooks = resource::<MutatingWebhookConfiguration>();
    state.webhooks = list(client, &webhooks, &mut state.blind).await.unwrap_or_default();
    // a cluster before 1.36 has no such kind
    let bindings = resource::<MutatingAdmissionPolicyBinding>();
    let bindings = list(client, &bindings, &mut state.blind).await.unwrap_or_default();
    state.bindings = bindings.into_iter().filter(is_our_binding).collect();
    absent(client, &mut state).await;
    let policy = Policy::default();
    let each = |pod: Value| state.pods.extend(digest(&pod, &policy));
    let params = ListParams::default().fields(FIELDS);
    client.each(&resource::<v1::Pod>(), None, params, each).await?;
    let services: BTreeSet<_> = state.ours().filter_map(|(_, webhook)| service(webhook)).collect();
    for of in services {
        endpoints(client, &mut state, &of).await;
        certificate(client, &mut state, of).await;
    }
    prometheus(client, &mut state).await;
    Ok(state)
}

/// Describes a kind that Kubernetes itself has.
fn resource<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

/// Describes a kind of the Prometheus operator.
fn monitoring(version: &str, kind: &str, plural: &str) -> ApiResource {
    let group = "monitoring.coreos.com";
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Names an object for people, as a path without its API group.
fn shown(resource: &ApiResource, namespace: Option<&str>, name: &str) -> String {
    let namespace = namespace.map(|namespace| format!("namespaces/{namespace}/"));
    format!("{}{}/{name}", namespace.unwrap_or_default(), resource.plural)
}

fn is_our_binding(binding: &Value) -> bool {
    let policy = binding["spec"]["policyName"].as_str().unwrap_or_default();
    policy.starts_with("inject") && policy.ends_with(".sidelight.dev")
}

/// Looks up the objects that bindings refer to, and records those that do not exist.
async fn absent(client: &Client, state: &mut State) {
    let mut objects = BTreeSet::new();
    for binding in &state.bindings {
        let spec = &binding["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        objects.insert((None, text(&spec["policyName"])));
        let parameters = &spec["paramRef"];
        let (namespace, name) = (text(&parameters["namespace"]), text(&parameters["name"]));
        if !name.is_empty() {
            objects.insert((Some(namespace), name));
        }
    }
    for (namespace, name) in objects {
        let of = match namespace {
            Some(_) => resource::<ConfigMap>(),
            None => resource::<MutatingAdmissionPolicy>(),
        };
        let namespace = namespace.as_deref();
        let what = shown(&of, namespace, &name);
        match client.read(&of, namespace, &name).await {
            Ok(Some(_)) => {}
            Ok(None) => state.absent.push(what),
            Err(error) => note(&mut state.blind, what, &error),
        }
    }
}

/// Returns a complete list. `None` if the cluster has no such kind, or if reading is forbidden,
/// which is recorded.
async fn list(client: &Client, of: &ApiResource, blind: &mut Vec<Blind>) -> Option<Vec<Value>> {
    let mut items = Vec::new();
    let read = client.each(of, None, ListParams::default(), |item| items.push(item)).await;
    match read {
        Ok(()) => Some(items),
        Err(error) if error.is_not_found() => None,
        Err(error) => {
            note(blind, of.plural.clone(), &error);
            None
        }
    }
}

fn note(blind: &mut Vec<Blind>, what: String, error: &Error) {
    blind.push(Blind { what, why: error.to_string() });
}

async fn endpoints(client: &Client, state: &mut State, of: &(String, String)) {
    let (namespace, name) = (Some(of.0.as_str()), of.1.as_str());
    let service = resource::<Service>();
    match client.read(&service, namespace, name).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            state.endpoints.insert(of.clone(), None);
            return;
        }
        Err(error) => return note(&mut state.blind, shown(&service, namespace, name), &error),
    }
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let mut ready = 0;
    let each = |slice: Value| {
        let endpoints = slice["endpoints"].as_array();
        // an endpoint without the condition is ready
        let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != false;
        ready += endpoints.map_or(0, |endpoints| endpoints.iter().filter(is_ready).count());
    };
    let slices = resource::<EndpointSlice>();
    match client.each(&slices, namespace, params, each).await {
        Ok(()) => drop(state.endpoints.insert(of.clone(), Some(ready))),
        Err(error) => note(&mut state.blind, shown(&slices, namespace, name), &error),
    }
}

async fn certificate(client: &Client, state: &mut State, of: (String, String)) {
    let (namespace, name) = (of.0.as_str(), format!("{}-tls", of.1));
    let read = async {
        let secrets = client.namespaced::<Secret>(namespace)?;
        call("get the Secret", secrets.get_opt(&name)).await
    };
    match read.await {
        Ok(secret) => {
            let data = secret.and_then(|secret| secret.data);
            let pem = data.and_then(|mut data| String::from_utf8(data.remove("tls.crt")?.0).ok());
            // provided certificates may be stored anywhere
            state.certificates.extend(pem.map(|pem| (of, pem)));
        }
        Err(error) => {
            let what = shown(&resource::<Secret>(), Some(namespace), &name);
            note(&mut state.blind, what, &error);
        }
    }
}

async fn prometheus(client: &Client, state: &mut State) {
    let blind = &mut state.blind;
    let servers = monitoring("v1", "Prometheus", "prometheuses");
    let Some(mut all) = list(client, &servers, blind).await else { return };
    // agents scrape, too
    let agents = monitoring("v1alpha1", "PrometheusAgent", "prometheusagents");
    all.extend(list(client, &agents, blind).await.into_iter().flatten());
    let monitors = list(client, &monitoring("v1", "PodMonitor", "podmonitors"), blind).await;
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
