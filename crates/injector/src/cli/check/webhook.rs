//! Checks that something injects, that it is complete, that it answers, and that the API server
//! would trust its certificate. Unit: one cluster.

use super::Finding;
use super::state::{State, named};
use crate::kube::base64;
use crate::server::certificate::{believed, certificates, first, validity};
use serde_json::Value;
use sidelight::clock::UnixNanos;
use std::collections::BTreeSet;
use std::time::Duration;

/// A certificate that expires within this time was not renewed when it was due: ours are renewed
/// with a third of 30 days left, others mostly earlier.
const ENDS_SOON: Duration = Duration::from_hours(7 * 24);

/// Returns namespace and name of a webhook's Service; `None` for one with a URL.
pub(super) fn service(webhook: &Value) -> Option<(String, String)> {
    let service = &webhook["clientConfig"]["service"];
    let text = |key: &str| service[key].as_str().map(str::to_owned);
    Some((text("namespace")?, text("name")?))
}

/// Returns all findings about webhooks; equal findings of one configuration appear once.
pub(super) fn findings(state: &State, now: UnixNanos) -> Vec<Finding> {
    let mut findings = Vec::new();
    if state.ours().next().is_none() && state.bindings.is_empty() {
        findings.push(Finding::error(
            "no injector is installed: there is neither a MutatingWebhookConfiguration with webhooks named \
             *.injector.sidelight.dev, nor a binding of a policy inject*.sidelight.dev",
            "install the chart, or: sidelight inject policy | kubectl apply -f -",
        ));
    }
    findings.extend(state.absent.iter().map(|name| {
        Finding::error(
            format!(
                "the admission policy leans on {name}, which does not exist: pods get no sidecar"
            ),
            "apply what `sidelight inject policy` prints again, or upgrade the chart's release",
        )
    }));
    let mut seen = BTreeSet::new();
    for (configuration, webhook) in state.ours() {
        let client = &webhook["clientConfig"];
        if seen.insert((named(configuration), client.to_string())) {
            findings.extend(one(state, configuration, webhook, now));
        }
    }
    findings
}

fn one(state: &State, configuration: &Value, webhook: &Value, now: UnixNanos) -> Vec<Finding> {
    let whose = named(configuration);
    let refused = match webhook["failurePolicy"].as_str() {
        Some("Fail") => "pods that it concerns are refused until then",
        _ => "pods are made without the sidecar until then",
    };
    let Some((namespace, name)) = service(webhook) else { return Vec::new() };
    let key = (namespace.clone(), name.clone());
    let look = format!(
        "kubectl -n {namespace} get pods -l app.kubernetes.io/name=sidelight-injector -o wide"
    );
    let mut findings = Vec::new();
    match state.endpoints.get(&key) {
        Some(None) => findings.push(Finding::error(
            format!("{whose}: its Service {namespace}/{name} does not exist: {refused}"),
            "install the chart again, or delete the configuration if the injector is gone for good",
        )),
        Some(Some(0)) => findings.push(Finding::error(
            format!("{whose}: its Service {namespace}/{name} has no ready endpoint: {refused}"),
            format!("see why: {look}"),
        )),
        Some(Some(_)) | None => {}
    }
    let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
    let bundle = base64::decode(bundle).map(|pem| String::from_utf8_lossy(&pem).into_owned());
    let bundle = bundle.map(|pem| certificates(&pem)).unwrap_or_default();
    if bundle.is_empty() {
        findings.push(Finding::error(
            format!("{whose}: it has no caBundle, so that the API server believes nobody: {refused}"),
            "the injector writes it, or cert-manager: see the log of whoever does, and the annotation \
             cert-manager.io/inject-ca-from",
        ));
        return findings;
    }
    let Some(pem) = state.certificates.get(&key) else { return findings };
    let left = first(pem).and_then(|der| validity(&der)).map(|validity| validity.left(now));
    let secret = format!("{namespace}/{name}-tls");
    match left {
        Some(left) if left.is_zero() => findings.push(Finding::error(
            format!("{whose}: the certificate in {secret} has expired: {refused}"),
            format!("see why nobody renews it: kubectl -n {namespace} logs deployment/{name}"),
        )),
        Some(left) if left < ENDS_SOON => findings.push(Finding::warning(
            format!("{whose}: the certificate in {secret} expires in {} h", left.as_secs() / 3600),
            format!("see why nobody renews it: kubectl -n {namespace} logs deployment/{name}"),
        )),
        _ => {}
    }
    let host = format!("{name}.{namespace}.svc");
    if left.is_some_and(|left| !left.is_zero())
        && let Err(why) = believed(&certificates(pem), &bundle, &host, now)
    {
        findings.push(Finding::error(
            format!("{whose}: its caBundle does not fit the certificate in {secret} ({why}): {refused}"),
            format!(
                "an injector that runs repairs it: kubectl -n {namespace} rollout restart deployment/{name}; \
                 with cert-manager see its cainjector"
            ),
        ));
    }
    findings
}
