//! Writes Kubernetes Events about the result of an injection on the controller of the pod, for
//! users who look at their Deployment and not at our metrics. Events leave the path of a review
//! through a bounded queue, and the same Event is written at most once in a period. Events over the
//! limits are counted and dropped. Unit: one Event.

use super::metrics::Metrics;
use super::review::{Outcome, Subject};
use crate::kube::{self, Client};
use serde_json::{Value, json};
use sidelight::clock::{Clock, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Capacity of the queue; a burst of admissions concerns a few hundred controllers.
const QUEUE_MAX: usize = 256;

/// Period in which the same Event about the same object is written once.
const AGAIN: Duration = Duration::from_mins(30);

/// Number of Events that are remembered for this.
const REMEMBERED_MAX: usize = 4096;

/// Sustained rate of Events per second; an API server allows a client about 20.
const PER_SECOND: f64 = 5.0;

/// Number of Events that may be written at once after a quiet time.
const BURST: f64 = 50.0;

/// How long no Event is tried after RBAC refused one.
const REFUSED_PAUSE: Duration = Duration::from_mins(10);

/// Bytes of a message; Kubernetes allows 1024 characters.
const MESSAGE_BYTES_MAX: usize = 1000;

/// The result of an injection, and the object that it concerns.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The controller, or the pod.
    pub subject: Subject,
    /// The outcome of the review.
    pub outcome: Outcome,
    /// The reason, for machines.
    pub reason: &'static str,
    /// The reason, for people.
    pub warnings: Vec<String>,
}

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Creates a queue. [`write`] empties its receiving end.
    pub fn queue(metrics: &Arc<Metrics>) -> (Events, mpsc::Receiver<Event>) {
        let (queue, end) = mpsc::channel(QUEUE_MAX);
        for result in ["written", "dropped", "failed", "repeated"] {
            metrics.events.with_label_values(&[result]);
        }
        (Events { queue, metrics: Arc::clone(metrics) }, end)
    }

    /// Puts an Event into the queue; never blocks.
    pub fn offer(&self, event: Event) {
        if event.outcome != Outcome::Unchanged && self.queue.try_send(event).is_err() {
            self.metrics.events.with_label_values(&["dropped"]).inc();
        }
    }
}

/// Limits how often the same Event and how many Events are written.
#[derive(Debug)]
struct Limits {
    /// When an Event was last written, monotonic.
    told: BTreeMap<(Subject, &'static str, &'static str), Duration>,
    allowance: f64,
    at: Duration,
}

impl Limits {
    fn new(now: Duration) -> Limits {
        Limits { told: BTreeMap::new(), allowance: BURST, at: now }
    }

    /// Returns why an Event is not written; `None` if it is written.
    fn refused(&mut self, event: &Event, now: Duration) -> Option<&'static str> {
        let key = (event.subject.clone(), event.outcome.name(), event.reason);
        if self.told.get(&key).is_some_and(|told| now.saturating_sub(*told) < AGAIN) {
            return Some("repeated");
        }
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.allowance = (self.allowance + passed * PER_SECOND).min(BURST);
        if self.allowance < 1.0 {
            return Some("dropped");
        }
        self.allowance -= 1.0;
        if self.told.len() >= REMEMBERED_MAX {
            self.told.retain(|_, told| now.saturating_sub(*told) < AGAIN);
        }
        if self.told.len() < REMEMBERED_MAX {
            self.told.insert(key, now);
        }
        None
    }
}

/// Writes Events until all senders are gone. `instance` names the replica that reports them.
pub async fn write(
    mut queue: mpsc::Receiver<Event>,
    client: Arc<Client>,
    clock: Clock,
    metrics: Arc<Metrics>,
    instance: String,
) {
    let mut limits = Limits::new(clock.monotonic());
    let mut quiet_until = Duration::ZERO;
    while let Some(event) = queue.recv().await {
        let now = clock.monotonic();
        let refused = if now < quiet_until { Some("dropped") } else { limits.refused(&event, now) };
        if let Some(result) = refused {
            metrics.events.with_label_values(&[result]).inc();
            continue;
        }
        let path =
            kube::path(&["api", "v1", "namespaces", event.subject.namespace.as_str(), "events"]);
        let result = match client.create(&path, &body(&event, clock.now(), &instance)).await {
            Ok(_) => "written",
            Err(error) => {
                if error.is_forbidden() {
                    quiet_until = now + REFUSED_PAUSE;
                    tracing::info!(%error, "no Events: the role has no `create events`");
                } else {
                    tracing::debug!(%error, "an Event was not written");
                }
                "failed"
            }
        };
        metrics.events.with_label_values(&[result]).inc();
    }
}

/// Returns the body of an Event of core/v1.
fn body(event: &Event, now: UnixNanos, instance: &str) -> Value {
    let (kind, reason, mut message) = match event.outcome {
        Outcome::Injected | Outcome::Unchanged => {
            let whole = event.reason.is_empty();
            let said = "sidelight was put into a pod of this object";
            let partly = format!("{said}, but not all of it is wired: {}", event.reason);
            let (kind, said) =
                if whole { ("Normal", said.to_owned()) } else { ("Warning", partly) };
            (kind, "Injected", said)
        }
        Outcome::Skipped | Outcome::Error => (
            "Warning",
            "InjectionSkipped",
            format!("sidelight was not put into a pod: {}", event.reason),
        ),
    };
    for warning in &event.warnings {
        message.push_str("; ");
        message.push_str(warning);
    }
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    let time = super::lease::micro_time(now);
    let subject = &event.subject;
    let mut object = json!({
        "apiVersion": subject.api_version,
        "kind": subject.kind,
        "namespace": subject.namespace.as_str(),
        "name": subject.name.as_str(),
    });
    if !subject.uid.is_empty() {
        object["uid"] = json!(subject.uid);
    }
    let seconds = format!("{}Z", time.split('.').next().unwrap_or_default());
    // the name of an object has up to 253 characters, and a number follows it here
    let name: String = subject.name.as_str().chars().take(220).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": format!("{name}.{:x}", now.0), "namespace": subject.namespace.as_str()},
        "involvedObject": object,
        "type": kind,
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": seconds,
        "lastTimestamp": seconds,
        "source": {"component": "sidelight-injector"},
        "reportingComponent": "sidelight.dev/injector",
        "reportingInstance": instance,
        "action": "Inject",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Label, Name};

    fn event(name: &str, outcome: Outcome, reason: &'static str) -> Event {
        let subject = Subject {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            namespace: Label::parse("shop").expect("a label"),
            name: Name::parse(name).expect("a name"),
            uid: "u".to_owned(),
        };
        Event { subject, outcome, reason, warnings: vec!["look at it".to_owned()] }
    }

    #[test]
    fn the_same_is_told_once_in_a_while_and_not_too_much_at_once() {
        let mut limits = Limits::new(Duration::ZERO);
        let now = Duration::from_secs(1);
        let skipped = event("a", Outcome::Skipped, "host_network");
        assert_eq!(limits.refused(&skipped, now), None);
        assert_eq!(limits.refused(&skipped, now), Some("repeated"));
        assert_eq!(limits.refused(&event("a", Outcome::Injected, ""), now), None, "another thing");
        assert_eq!(limits.refused(&skipped, now + AGAIN), None);
        let later = now + AGAIN;
        let written = (0..200)
            .filter(|n| {
                limits.refused(&event(&n.to_string(), Outcome::Injected, ""), later).is_none()
            })
            .count();
        assert_eq!(written, BURST as usize - 1);
        let second = later + Duration::from_secs(1);
        let written = (200..400)
            .filter(|n| {
                limits.refused(&event(&n.to_string(), Outcome::Injected, ""), second).is_none()
            })
            .count();
        assert_eq!(written, PER_SECOND as usize);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut limits = Limits::new(Duration::ZERO);
        for n in 0..REMEMBERED_MAX as u64 + 100 {
            let now = Duration::from_secs(n);
            assert_eq!(limits.refused(&event(&n.to_string(), Outcome::Injected, ""), now), None);
            assert!(limits.told.len() <= REMEMBERED_MAX);
        }
    }

    #[test]
    fn an_event_as_the_api_has_it() {
        let at = UnixNanos(1_790_000_000_123_456_789);
        let written = body(&event("web", Outcome::Skipped, "host_network"), at, "pod-1");
        assert_eq!(written["metadata"]["name"], "web.18d75b842b4ecd15");
        assert_eq!(written["involvedObject"]["uid"], "u");
        assert_eq!(
            (&written["type"], &written["reason"]),
            (&json!("Warning"), &json!("InjectionSkipped"))
        );
        let said = "sidelight was not put into a pod: host_network; look at it";
        assert_eq!(written["message"], said);
        assert_eq!(written["firstTimestamp"], "2026-09-21T14:13:20Z");
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts() {
        let metrics = Arc::new(Metrics::new());
        let (events, mut end) = Events::queue(&metrics);
        for n in 0..QUEUE_MAX + 3 {
            events.offer(event(&n.to_string(), Outcome::Injected, ""));
            events.offer(event(&n.to_string(), Outcome::Unchanged, ""));
        }
        assert_eq!(metrics.events.with_label_values(&["dropped"]).get(), 3);
        assert_eq!(end.recv().await.expect("one").subject.name.as_str(), "0");
    }
}
