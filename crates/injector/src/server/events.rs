//! Writes Kubernetes Events about the result of an injection on the controller of the pod, for
//! users who look at their Deployment and not at our metrics. Events leave the path of a review
//! through a bounded queue, and the same Event is written at most once in a period. Events over the
//! limits are counted and dropped. Unit: one Event.
//!
//! Decision: `kube`'s Recorder writes them, and our limits apply before it, because it limits
//! nothing: every Event would be a write to etcd, at the rate at which pods are created. It builds
//! the name of an Event from the name of the object, so that an object with more than 236 characters
//! in its name gets none; the API server refuses it, which is counted as failed.

use super::metrics::Metrics;
use super::review::{Outcome, Subject};
use crate::apiserver::client::{Client, call};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{self as recorder, EventType, Recorder, Reporter};
use sidelight::clock::Clock;
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

/// Bytes of a note; Kubernetes allows 1024 characters.
const NOTE_BYTES_MAX: usize = 1000;

/// The result of an injection, and the object that it concerns.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The controller of the pod.
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
    written: BTreeMap<(Subject, &'static str, &'static str), Duration>,
    allowance: f64,
    at: Duration,
}

impl Limits {
    fn new(now: Duration) -> Limits {
        Limits { written: BTreeMap::new(), allowance: BURST, at: now }
    }

    /// Returns why an Event is not written; `None` if it is written.
    fn refused(&mut self, event: &Event, now: Duration) -> Option<&'static str> {
        let key = (event.subject.clone(), event.outcome.name(), event.reason);
        if self.written.get(&key).is_some_and(|written| now.saturating_sub(*written) < AGAIN) {
            return Some("repeated");
        }
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.allowance = (self.allowance + passed * PER_SECOND).min(BURST);
        if self.allowance < 1.0 {
            return Some("dropped");
        }
        self.allowance -= 1.0;
        if self.written.len() >= REMEMBERED_MAX {
            self.written.retain(|_, written| now.saturating_sub(*written) < AGAIN);
        }
        if self.written.len() < REMEMBERED_MAX {
            self.written.insert(key, now);
        }
        None
    }
}

/// Writes Events until all senders are gone. `instance` names the replica that reports them.
pub async fn write(
    mut queue: mpsc::Receiver<Event>,
    client: Client,
    clock: Clock,
    metrics: Arc<Metrics>,
    instance: String,
) {
    let reporter =
        Reporter { controller: "sidelight.dev/injector".to_owned(), instance: Some(instance) };
    let mut limits = Limits::new(clock.monotonic());
    let mut quiet_until = Duration::ZERO;
    while let Some(event) = queue.recv().await {
        let now = clock.monotonic();
        let refused = if now < quiet_until { Some("dropped") } else { limits.refused(&event, now) };
        if let Some(result) = refused {
            metrics.events.with_label_values(&[result]).inc();
            continue;
        }
        let (content, object) = (content(&event), reference(&event.subject));
        // A recorder that has already written about the object would patch that Event: the role does
        // not allow this, and the note would stay the old one.
        let recorder = Recorder::new(client.kube(), reporter.clone());
        let result = match call("create an Event", recorder.publish(&content, &object)).await {
            Ok(()) => "written",
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

fn reference(subject: &Subject) -> ObjectReference {
    ObjectReference {
        api_version: Some(subject.api_version.clone()),
        kind: Some(subject.kind.clone()),
        namespace: Some(subject.namespace.as_str().to_owned()),
        name: Some(subject.name.as_str().to_owned()),
        uid: Some(subject.uid.clone()),
        ..ObjectReference::default()
    }
}

fn content(event: &Event) -> recorder::Event {
    let (type_, reason, mut note) = match event.outcome {
        Outcome::Injected | Outcome::Unchanged => {
            let done = "sidelight was put into a pod of this object";
            if event.reason.is_empty() {
                (EventType::Normal, "Injected", done.to_owned())
            } else {
                let partly = format!("{done}, but not all of it is wired: {}", event.reason);
                (EventType::Warning, "Injected", partly)
            }
        }
        Outcome::Skipped | Outcome::Error => (
            EventType::Warning,
            "InjectionSkipped",
            format!("sidelight was not put into a pod: {}", event.reason),
        ),
    };
    for warning in &event.warnings {
        note.push_str("; ");
        note.push_str(warning);
    }
    note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX));
    recorder::Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Inject".to_owned(),
        secondary: None,
    }
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
    fn a_repeated_event_is_sent_once_in_a_while_and_a_burst_is_bounded() {
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
            assert!(limits.written.len() <= REMEMBERED_MAX);
        }
    }

    #[test]
    fn the_note_says_what_happened_within_its_limit() {
        let skipped = event("web", Outcome::Skipped, "host_network");
        let written = content(&skipped);
        assert_eq!(
            (written.type_, written.reason.as_str()),
            (EventType::Warning, "InjectionSkipped")
        );
        let note = "sidelight was not put into a pod: host_network; look at it";
        assert_eq!(written.note.as_deref(), Some(note));
        assert_eq!(content(&event("web", Outcome::Injected, "")).type_, EventType::Normal);
        let partly = content(&event("web", Outcome::Injected, "no_command"));
        assert_eq!(partly.type_, EventType::Warning);
        let long = Event { warnings: vec!["\u{e9}".repeat(4000)], ..skipped };
        assert!(content(&long).note.is_some_and(|note| note.len() <= NOTE_BYTES_MAX));
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
