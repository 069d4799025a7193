//! Answers one AdmissionReview: bytes in, bytes out, with the pure plan between them. The answer is
//! "allowed" whatever fails, with a warning that kubectl prints. Only bytes without a uid are
//! refused, and the failurePolicy of the API server decides about those. The pod stays raw JSON, so
//! that fields unknown to this code are preserved. Unit: one review.

use super::cluster::Cluster;
use super::cost;
use crate::inject::names::reason;
use crate::inject::plan;
use crate::inject::policy::Policy;
use crate::name::{Label, Name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

/// Maximum bytes of a review. An API server accepts requests of 3 MiB; the same pod is somewhat
/// longer as JSON and inside a review.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How far into a damaged review the uid is searched; API servers write it before the pod.
const UID_WITHIN: usize = 4096;

/// Maximum length of a uid; Kubernetes' are shorter.
const UID_BYTES_MAX: usize = 128;

/// Bytes that a parsed review may take: a pod of a hundred containers with a hundred variables each
/// takes 13 MiB. A pod that takes more is admitted without the sidecar.
const PARSED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of the kind and of the API version of an owner.
const KIND_BYTES_MAX: usize = 253;

/// Bytes of one warning; API servers truncate at 256 characters.
const WARNING_BYTES_MAX: usize = 256;

/// Number of warnings in one answer.
const WARNINGS_MAX: usize = 8;

/// The outcome of a review.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The pod gets the sidecar, or the missing parts of it.
    Injected,
    /// The pod has everything already.
    Unchanged,
    /// The pod is left alone.
    Skipped,
    /// The review or its pod cannot be read.
    Error,
}

impl Outcome {
    /// Returns the value of the label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Injected => "injected",
            Outcome::Unchanged => "unchanged",
            Outcome::Skipped => "skipped",
            Outcome::Error => "error",
        }
    }
}

/// The object of an Event: the pod's controller. A pod without one gets no Event, because it does
/// not exist yet; the warnings of its review reach the user who creates it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Subject {
    /// The API version of the object.
    pub api_version: String,
    /// The kind of the object.
    pub kind: String,
    /// The namespace of the pod and of the object.
    pub namespace: Label,
    /// The name of the object.
    pub name: Name,
    /// The uid of the object.
    pub uid: String,
}

/// An answer, and what is counted and reported about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reviewed {
    /// The AdmissionReview to send; `None` if the request has no uid to answer to.
    pub answer: Option<Vec<u8>>,
    /// The outcome of the review.
    pub outcome: Outcome,
    /// The reason, for machines; empty if there is nothing to report.
    pub reason: &'static str,
    /// The object of an Event; `None` for a dry run.
    pub subject: Option<Subject>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// The request of a review.
struct AdmissionRequest<'a> {
    api_version: &'a str,
    uid: &'a str,
    request: &'a Map<String, Value>,
}

/// Answers a review.
pub fn review(body: &[u8], policy: &Policy, cluster: &Cluster) -> Reviewed {
    if cost::parsed_bytes(body, PARSED_BYTES_MAX).is_none() {
        return damaged(body, "too_complex", "the pod has more values than any pod needs");
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => {
            return damaged(body, "malformed", &format!("the review is no JSON: {error}"));
        }
    };
    let Some(admission) = admission_request(&value) else {
        return damaged(body, "malformed", "the review has no request with a uid");
    };
    if admission.api_version != "admission.k8s.io/v1" {
        let said = format!("AdmissionReview of {} is not known, only v1", admission.api_version);
        return error(admission.api_version, admission.uid, "version", &said);
    }
    answer_request(&admission, policy, cluster)
}

/// Answers a review that is longer than [`BODY_BYTES_MAX`]; `beginning` holds the bytes that were
/// read.
pub fn oversized(beginning: &[u8]) -> Reviewed {
    let said = format!("the review is longer than {BODY_BYTES_MAX} bytes");
    damaged(beginning, "oversized", &said)
}

/// Answers a review that did not arrive in time; `beginning` holds the bytes that were read.
pub fn late(beginning: &[u8]) -> Reviewed {
    damaged(beginning, "late", "the review came too late to be answered in time")
}

fn admission_request(value: &Value) -> Option<AdmissionRequest<'_>> {
    let request = value.get("request")?.as_object()?;
    let uid = request.get("uid")?.as_str().filter(|uid| uid.len() <= UID_BYTES_MAX)?;
    let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or("");
    Some(AdmissionRequest { api_version, uid, request })
}

fn answer_request(
    admission: &AdmissionRequest<'_>,
    policy: &Policy,
    cluster: &Cluster,
) -> Reviewed {
    let request = admission.request;
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let resource = request.get("resource").and_then(|r| r.get("resource")).and_then(Value::as_str);
    let is_pod = resource == Some("pods") && text("subResource").is_empty();
    if !is_pod || text("operation") != "CREATE" {
        return reviewed(admission, Outcome::Skipped, "not_a_new_pod", &[], None);
    }
    let Some(pod) = request.get("object").filter(|object| object.is_object()) else {
        return error(
            admission.api_version,
            admission.uid,
            "no_object",
            "the review contains no pod",
        );
    };
    let Some(label) = Label::parse(text("namespace")) else {
        return error(
            admission.api_version,
            admission.uid,
            "namespace",
            "the review names no namespace",
        );
    };
    let namespace = cluster.namespace(label.as_str());
    let plan = plan(pod, &namespace, policy);
    let dry_run = request.get("dryRun") == Some(&Value::Bool(true));
    let subject = if dry_run { None } else { subject(pod, label) };
    // a container without a command is no reason to leave the pod alone, but it is counted and
    // reported
    let left_out = plan.left_out.first().map_or("", |left| left.reason);
    let (outcome, reason) = match plan.skipped {
        Some(reason::ALREADY_CONVERGED) => (Outcome::Unchanged, left_out),
        Some(reason) => (Outcome::Skipped, reason),
        None if plan.patch.is_empty() => (Outcome::Unchanged, left_out),
        None => (Outcome::Injected, left_out),
    };
    let patch = (!plan.patch.is_empty()).then(|| serde_json::to_vec(&plan.patch)).transpose();
    match patch {
        Ok(patch) => {
            let mut reviewed =
                reviewed(admission, outcome, reason, &plan.warnings, patch.as_deref());
            reviewed.subject = subject;
            reviewed
        }
        Err(failed) => error(admission.api_version, admission.uid, "patch", &failed.to_string()),
    }
}

fn reviewed(
    admission: &AdmissionRequest<'_>,
    outcome: Outcome,
    reason: &'static str,
    warnings: &[String],
    patch: Option<&[u8]>,
) -> Reviewed {
    // an Event and a log line keep them as well, and a pod can provoke any number of them
    let warnings = warnings.iter().take(WARNINGS_MAX).map(|warning| readable(warning));
    let warnings: Vec<String> = warnings.collect();
    let answer = Some(answer(admission.api_version, admission.uid, &warnings, patch));
    Reviewed { answer, outcome, reason, subject: None, warnings }
}

/// Answers "allowed", with the failure as a warning.
fn error(api_version: &str, uid: &str, reason: &'static str, said: &str) -> Reviewed {
    let warnings = vec![format!("sidelight did not look at this pod: {said}")];
    let answer = Some(answer(api_version, uid, &warnings, None));
    Reviewed { answer, outcome: Outcome::Error, reason, subject: None, warnings }
}

/// Answers bytes that cannot be parsed, if a uid can be found in them.
fn damaged(body: &[u8], reason: &'static str, said: &str) -> Reviewed {
    match uid_in(body) {
        Some(uid) => error("admission.k8s.io/v1", uid, reason, said),
        None => Reviewed {
            answer: None,
            outcome: Outcome::Error,
            reason,
            subject: None,
            warnings: vec![said.to_owned()],
        },
    }
}

/// Finds the uid that an API server writes directly after `"request":`.
fn uid_in(body: &[u8]) -> Option<&str> {
    let head = &body[..body.len().min(UID_WITHIN)];
    let mut at = memchr::memmem::find(head, b"\"request\"")? + b"\"request\"".len();
    for word in [&b":"[..], b"{", b"\"uid\"", b":", b"\""] {
        at += head[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        at = head[at..].starts_with(word).then_some(at + word.len())?;
    }
    let length = memchr::memchr(b'"', &head[at..])?;
    let uid = std::str::from_utf8(&head[at..at + length]).ok()?;
    let plain = uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !uid.is_empty() && uid.len() <= UID_BYTES_MAX).then_some(uid)
}

fn answer(api_version: &str, uid: &str, warnings: &[String], patch: Option<&[u8]>) -> Vec<u8> {
    let mut response = json!({"uid": uid, "allowed": true});
    let warnings: Vec<String> =
        warnings.iter().take(WARNINGS_MAX).map(|warning| readable(warning)).collect();
    if !warnings.is_empty() {
        response["warnings"] = json!(warnings);
    }
    if let Some(patch) = patch {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = Value::String(BASE64.encode(patch));
    }
    // an API server accepts only the version that it sent
    let known = api_version.starts_with("admission.k8s.io/");
    let api_version = if known { api_version } else { "admission.k8s.io/v1" };
    let whole = json!({"apiVersion": api_version, "kind": "AdmissionReview", "response": response});
    whole.to_string().into_bytes()
}

/// Makes a warning fit for an API server: no control characters, and not longer than the server
/// shows.
fn readable(warning: &str) -> String {
    let mut text: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > WARNING_BYTES_MAX {
        text.truncate(text.floor_char_boundary(WARNING_BYTES_MAX - "...".len()));
        text.push_str("...");
    }
    text
}

/// Returns the object of an Event; `None` if the pod has no controller, or one with a name that
/// Kubernetes would not give. An API server has validated the names in its reviews, but any client
/// that reaches the port can send a review.
fn subject(pod: &Value, namespace: Label) -> Option<Subject> {
    let owners = pod.get("metadata")?.get("ownerReferences")?.as_array()?;
    let is_controller = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
    let controller = owners.iter().find(is_controller)?;
    let text = |name: &str| {
        let text = controller.get(name).and_then(Value::as_str)?;
        let fits = (1..=KIND_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        fits.then(|| text.to_owned())
    };
    Some(Subject {
        api_version: text("apiVersion")?,
        kind: text("kind")?,
        namespace,
        name: Name::parse(controller.get("name")?.as_str()?)?,
        uid: text("uid")?,
    })
}

/// Returns whether a byte may be part of a kind, an API version or a uid.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-./".contains(&byte)
}

#[cfg(test)]
mod tests;
