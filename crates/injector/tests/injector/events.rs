//! Events that the injector writes to the API server of the tests.

use crate::api::Api;
use crate::replica::until;
use sidelight::clock::Clock;
use sidelight_injector::name::{Label, Name};
use sidelight_injector::server::events::{self, Event, Events};
use sidelight_injector::server::metrics::Metrics;
use sidelight_injector::server::review::{Outcome, Subject};
use std::sync::Arc;

/// Scenario: two pods of one controller are skipped for different reasons, one after the other.
/// Guarantees: both Events are created. The second used to be a patch of the first, which the
/// injector's role does not allow, so that it paused all Events for ten minutes.
#[tokio::test]
async fn each_reason_is_an_event_of_its_controller() {
    let api = Api::start();
    let metrics = Arc::new(Metrics::new());
    let (events, queue) = Events::queue(&metrics);
    let client = api.access().client().expect("a client");
    let instance = "one".to_owned();
    tokio::spawn(events::write(queue, client, Clock::system(), Arc::clone(&metrics), instance));
    for reason in ["host_network", "conflict"] {
        let subject = Subject {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            namespace: Label::parse("shop").expect("a label"),
            name: Name::parse("web").expect("a name"),
            uid: "u".to_owned(),
        };
        events.offer(Event { subject, outcome: Outcome::Skipped, reason, warnings: Vec::new() });
    }
    let count = |result: &str| metrics.events.with_label_values(&[result]).get();
    until("both were tried", async || count("written") + count("failed") == 2).await;
    assert_eq!(count("written"), 2);
    let state = api.state.lock().expect("not poisoned");
    assert!(state.writes.iter().all(|write| write.starts_with("POST ")), "{:?}", state.writes);
}
