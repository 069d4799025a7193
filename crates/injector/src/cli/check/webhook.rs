//! Checks that something injects, that it is complete, that it answers, and that the API server
//! would trust its certificate. Unit: one cluster.

use super::finding::Finding;
use super::state::{State, named};
use crate::server::certificate::{certificates, first, validity, verify};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::CertificateDer;
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
                "the admission policy refers to {name}, which does not exist: pods get no sidecar"
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

/// Returns the findings about one webhook: its Service, its bundle and its certificate.
fn one(state: &State, configuration: &Value, webhook: &Value, now: UnixNanos) -> Vec<Finding> {
    let Some((namespace, name)) = service(webhook) else { return Vec::new() };
    let of = Concerned {
        configuration: named(configuration),
        consequence: match webhook["failurePolicy"].as_str() {
            Some("Fail") => "pods that it concerns are refused until then",
            _ => "pods are made without the sidecar until then",
        },
        namespace: &namespace,
        name: &name,
    };
    let key = (namespace.clone(), name.clone());
    let mut findings: Vec<Finding> =
        state.endpoints.get(&key).and_then(|ready| endpoints(&of, *ready)).into_iter().collect();
    let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
    let bundle = BASE64.decode(bundle).map(|pem| String::from_utf8_lossy(&pem).into_owned());
    let bundle = bundle.map(|pem| certificates(&pem)).unwrap_or_default();
    if bundle.is_empty() {
        let Concerned { configuration, consequence, .. } = &of;
        findings.push(Finding::error(
            format!(
                "{configuration}: it has no caBundle, so that the API server trusts no certificate: \
                 {consequence}"
            ),
            "the injector writes it, or cert-manager: see its log, and the annotation \
             cert-manager.io/inject-ca-from",
        ));
        return findings;
    }
    if let Some(pem) = state.certificates.get(&key) {
        findings.extend(certificate(&of, pem, &bundle, now));
    }
    findings
}

/// The names that the findings about one webhook share.
struct Concerned<'a> {
    configuration: String,
    /// What happens to pods until the problem is solved.
    consequence: &'static str,
    /// Namespace and name of the Service.
    namespace: &'a str,
    name: &'a str,
}

/// Returns the finding about the ready endpoints of a Service; `None` if it does not exist.
fn endpoints(of: &Concerned<'_>, ready: Option<usize>) -> Option<Finding> {
    let Concerned { configuration, consequence, namespace, name } = of;
    match ready {
        None => Some(Finding::error(
            format!(
                "{configuration}: its Service {namespace}/{name} does not exist: {consequence}"
            ),
            "install the chart again, or delete the configuration if the injector is gone for good",
        )),
        Some(0) => Some(Finding::error(
            format!(
                "{configuration}: its Service {namespace}/{name} has no ready endpoint: {consequence}"
            ),
            format!(
                "see why: kubectl -n {namespace} get pods \
                 -l app.kubernetes.io/name=sidelight-injector -o wide"
            ),
        )),
        Some(_) => None,
    }
}

/// Returns the findings about the serving certificate: its end, and whether the bundle verifies it.
fn certificate(
    of: &Concerned<'_>,
    pem: &str,
    bundle: &[CertificateDer<'static>],
    now: UnixNanos,
) -> Vec<Finding> {
    let Concerned { configuration, consequence, namespace, name } = of;
    let left = first(pem).and_then(|der| validity(&der)).map(|validity| validity.left(now));
    let secret = format!("{namespace}/{name}-tls");
    let log = format!("see why it is not renewed: kubectl -n {namespace} logs deployment/{name}");
    let mut findings = Vec::new();
    match left {
        Some(left) if left.is_zero() => {
            let what =
                format!("{configuration}: the certificate in {secret} has expired: {consequence}");
            findings.push(Finding::error(what, log));
        }
        Some(left) if left < ENDS_SOON => {
            let hours = left.as_secs() / 3600;
            let what = format!("{configuration}: the certificate in {secret} expires in {hours} h");
            findings.push(Finding::warning(what, log));
        }
        _ => {}
    }
    let host = format!("{name}.{namespace}.svc");
    if left.is_some_and(|left| !left.is_zero())
        && let Err(why) = verify(&certificates(pem), bundle, &host, now)
    {
        findings.push(Finding::error(
            format!(
                "{configuration}: its caBundle does not fit the certificate in {secret} ({why}): \
                 {consequence}"
            ),
            format!(
                "an injector that runs repairs it: kubectl -n {namespace} rollout restart \
                 deployment/{name}; with cert-manager see its cainjector"
            ),
        ));
    }
    findings
}
