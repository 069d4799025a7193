//! One AdmissionReview: bytes in, bytes out, with the pure plan between them. Whatever is wrong the
//! answer is "allowed", with a warning that kubectl prints; only bytes without any uid are refused,
//! for which the API server has its failurePolicy. Raw JSON: what this code has never heard of
//! stays as it was. Unit: one review.

use super::cluster::Cluster;
use super::cost;
use crate::inject::names::reason;
use crate::inject::plan;
use crate::inject::policy::Policy;
use crate::kube::base64;
use crate::name::{Label, Name};
use serde_json::{Map, Value, json};

/// Bytes of a review that are read. An API server takes requests of 3 MiB; as JSON and in its
/// envelope the same pod is somewhat longer.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How far into a damaged review its uid is looked for: it stands before the pod.
const UID_WITHIN: usize = 4096;

/// Longer ones are no uid of Kubernetes'.
const UID_BYTES_MAX: usize = 128;

/// Bytes that a review may take once it is parsed: a pod of a hundred containers with a hundred
/// variables each takes 13 MiB. What takes more is let through.
const PARSED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of the kind and of the API version of an owner.
const KIND_BYTES_MAX: usize = 253;

/// Bytes of one warning; API servers cut at 256 characters.
const WARNING_BYTES_MAX: usize = 256;

/// Warnings of one answer.
const WARNINGS_MAX: usize = 8;

/// What became of a review.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The pod gets the sidecar, or what was missing of it.
    Injected,
    /// It has everything.
    Unchanged,
    /// It is left alone.
    Skipped,
    /// Nobody knows what it is.
    Error,
}

impl Outcome {
    /// As metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Injected => "injected",
            Outcome::Unchanged => "unchanged",
            Outcome::Skipped => "skipped",
            Outcome::Error => "error",
        }
    }
}

/// Whom an Event is about: the pod's controller, or the pod where it has a name and no controller.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Subject {
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// The namespace of both.
    pub namespace: Label,
    /// Its name.
    pub name: Name,
    /// Its uid; empty for a pod, which has none yet.
    pub uid: String,
}

/// An answer and what is to be counted and told of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reviewed {
    /// The AdmissionReview to send; None where there is no uid to answer to.
    pub answer: Option<Vec<u8>>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, for machines; empty where there is nothing to say.
    pub reason: &'static str,
    /// Whom to tell; none for a dry run.
    pub subject: Option<Subject>,
    /// What people should read.
    pub warnings: Vec<String>,
}

/// What was asked.
struct Asked<'a> {
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
    let Some(asked) = asked(&value) else {
        return damaged(body, "malformed", "the review has no request with a uid");
    };
    if asked.api_version != "admission.k8s.io/v1" {
        let said = format!("AdmissionReview of {} is not known, only v1", asked.api_version);
        return error(asked.api_version, asked.uid, "version", &said);
    }
    planned(&asked, policy, cluster)
}

/// Answers a review that is longer than [`BODY_BYTES_MAX`]; `beginning` is what was read of it.
pub fn oversized(beginning: &[u8]) -> Reviewed {
    let said = format!("the review is longer than {BODY_BYTES_MAX} bytes");
    damaged(beginning, "oversized", &said)
}

/// Answers a review that did not arrive in time; `beginning` is what was read of it.
pub fn late(beginning: &[u8]) -> Reviewed {
    damaged(beginning, "late", "the review came too late to be answered in time")
}

fn asked(value: &Value) -> Option<Asked<'_>> {
    let request = value.get("request")?.as_object()?;
    let uid = request.get("uid")?.as_str().filter(|uid| uid.len() <= UID_BYTES_MAX)?;
    let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or("");
    Some(Asked { api_version, uid, request })
}

fn planned(asked: &Asked<'_>, policy: &Policy, cluster: &Cluster) -> Reviewed {
    let request = asked.request;
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let resource = request.get("resource").and_then(|r| r.get("resource")).and_then(Value::as_str);
    let is_pod = resource == Some("pods") && text("subResource").is_empty();
    if !is_pod || text("operation") != "CREATE" {
        return reviewed(asked, Outcome::Skipped, "not_a_new_pod", &[], None);
    }
    let Some(pod) = request.get("object").filter(|object| object.is_object()) else {
        return error(asked.api_version, asked.uid, "no_object", "the review brings no pod");
    };
    let Some(label) = Label::parse(text("namespace")) else {
        return error(asked.api_version, asked.uid, "namespace", "the review names no namespace");
    };
    let namespace = cluster.namespace(label.as_str());
    let plan = plan(pod, &namespace, policy);
    let dry_run = request.get("dryRun") == Some(&Value::Bool(true));
    let subject = if dry_run { None } else { subject(pod, label) };
    // a container without a command is no reason to leave the pod alone, but one to be counted and
    // told
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
            let mut reviewed = reviewed(asked, outcome, reason, &plan.warnings, patch.as_deref());
            reviewed.subject = subject;
            reviewed
        }
        Err(failed) => error(asked.api_version, asked.uid, "patch", &failed.to_string()),
    }
}

fn reviewed(
    asked: &Asked<'_>,
    outcome: Outcome,
    reason: &'static str,
    warnings: &[String],
    patch: Option<&[u8]>,
) -> Reviewed {
    // they are kept for an Event and a log line as well, and a pod can provoke as many as it likes
    let warnings = warnings.iter().take(WARNINGS_MAX).map(|warning| readable(warning));
    let warnings: Vec<String> = warnings.collect();
    let answer = Some(answer(asked.api_version, asked.uid, &warnings, patch));
    Reviewed { answer, outcome, reason, subject: None, warnings }
}

/// "Allowed", with what went wrong as a warning.
fn error(api_version: &str, uid: &str, reason: &'static str, said: &str) -> Reviewed {
    let warnings = vec![format!("sidelight did not look at this pod: {said}")];
    let answer = Some(answer(api_version, uid, &warnings, None));
    Reviewed { answer, outcome: Outcome::Error, reason, subject: None, warnings }
}

/// The same for bytes that do not read, as long as a uid can be found in them.
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

/// The uid that an API server writes right behind `"request":`.
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
        response["patch"] = Value::String(base64::encode(patch));
    }
    // an API server takes only the version that it sent
    let known = api_version.starts_with("admission.k8s.io/");
    let api_version = if known { api_version } else { "admission.k8s.io/v1" };
    let whole = json!({"apiVersion": api_version, "kind": "AdmissionReview", "response": response});
    whole.to_string().into_bytes()
}

/// A warning as an API server passes it on: no control characters, and not longer than it shows.
fn readable(warning: &str) -> String {
    let mut text: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > WARNING_BYTES_MAX {
        text.truncate(text.floor_char_boundary(WARNING_BYTES_MAX - "...".len()));
        text.push_str("...");
    }
    text
}

/// Whom an Event is about. What has no name that Kubernetes would give gets none: only the API
/// server's own reviews lead to Events, and what they name has passed its validation, but anybody
/// who reaches the port can send one.
fn subject(pod: &Value, namespace: Label) -> Option<Subject> {
    let metadata = pod.get("metadata")?;
    let text = |of: &Value, name: &str| {
        let text = of.get(name).and_then(Value::as_str)?;
        let fits = (1..=KIND_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        fits.then(|| text.to_owned())
    };
    let named = |of: &Value| Name::parse(of.get("name").and_then(Value::as_str)?);
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let controller = owners.and_then(|owners| {
        owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
    });
    if let Some(owner) = controller {
        return Some(Subject {
            api_version: text(owner, "apiVersion")?,
            kind: text(owner, "kind")?,
            namespace,
            name: named(owner)?,
            uid: text(owner, "uid")?,
        });
    }
    Some(Subject {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace,
        name: named(metadata)?,
        uid: String::new(),
    })
}

/// A character of a kind, an API version or a uid.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-./".contains(&byte)
}

#[cfg(test)]
mod tests;
