//! Keeps the events of libraries out of the log: a client of an API server logs answers that it
//! cannot parse, and an answer may be a Secret. Unit: one event.

use sidelight::telemetry::log::Log;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A log of the events of our crates.
#[derive(Debug)]
pub struct OwnEvents(pub Log);

impl OwnEvents {
    /// Installs this as the log of the process. Ignored if one is installed already.
    pub fn install(self) {
        let _ = tracing::subscriber::set_global_default(self);
    }
}

impl Subscriber for OwnEvents {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sidelight") && self.0.enabled(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.new_span(span)
    }
    fn record(&self, span: &Id, values: &Record<'_>) {
        self.0.record(span, values);
    }
    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.record_follows_from(span, follows);
    }
    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }
    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::IntCounter;
    use sidelight::clock::Clock;
    use sidelight::telemetry::log::Sink;
    use std::sync::{Arc, Mutex};
    use tracing::Level;

    /// Guarantees: the text of an answer that a library logs is not written, at any level.
    #[test]
    fn events_of_libraries_are_not_written() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let suppressed = IntCounter::new("a", "b").expect("a counter");
        let sink = Sink::Memory(Arc::clone(&lines));
        let log = Log::new(Level::TRACE, Clock::system(), suppressed, sink);
        tracing::subscriber::with_default(OwnEvents(log), || {
            tracing::warn!(target: "kube_client::client", "tls.key: c2VjcmV0");
            tracing::error!(target: "kube_client::client", "tls.key: c2VjcmV0");
            tracing::info!(target: "sidelight_injector::server::trust", "caBundle written");
        });
        let text = String::from_utf8(lines.lock().expect("not poisoned").clone()).expect("text");
        assert!(text.contains("caBundle written") && !text.contains("c2VjcmV0"), "{text}");
    }
}
