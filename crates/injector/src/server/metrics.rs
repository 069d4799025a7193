//! All metrics of the injector about itself. Label values come from closed sets, except for the
//! namespaces of missing pods, and their number is limited. Unit: one process.

use super::review::Outcome;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use sidelight::metrics::Registry as Derived;
use sidelight::metrics::expose::{self, Encoding, Options};
use sidelight::telemetry::process::Process;

/// Bucket bounds of an admission's duration, around the promise of 2 ms.
const SECONDS: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5];

/// The reasons of [`Metrics::certificate_failures`].
pub const FAILURES: [&str; 3] = ["secret", "webhook_configuration", "files"];

/// The handles of all metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Reviews answered, by `outcome` and `reason`.
    pub admissions: IntCounterVec,
    /// Time from the first byte of a review's head to its answer.
    pub duration: Histogram,
    /// End of the served certificate's validity, seconds since the epoch; 0 before the first
    /// certificate.
    pub cert_not_after: IntGauge,
    /// Number of times the served certificate was replaced, the first included.
    pub cert_swaps: IntCounter,
    /// Number of times certificates or trust could not be read, created or published, by `reason`.
    pub certificate_failures: IntCounterVec,
    /// Number of times the caBundle was written, the first included.
    pub ca_bundle_writes: IntCounter,
    /// 1 while an API server with the caBundle trusts the served certificate.
    pub ca_bundle_matches: IntGauge,
    /// 1 while this replica holds the lease.
    pub leader: IntGauge,
    /// Open connections.
    pub connections: IntGauge,
    /// Connections that ended before a review, by `reason`: failed handshakes, and those that were
    /// closed for others.
    pub connections_refused: IntCounterVec,
    /// Events written, by `result`.
    pub events: IntCounterVec,
    /// Pods that should have the sidecar and do not; registered only while the leader counts them.
    pub pods_missing: IntGaugeVec,
    /// 1, with the hash of the current configuration as `hash` and the revision as `revision`.
    pub config_info: IntGaugeVec,
    /// 1 if the last load of the configuration succeeded.
    pub config_last_load_successful: IntGauge,
    /// Time of the last load, seconds since the epoch.
    pub config_last_load_timestamp: IntGauge,
    /// The injector's log messages that were suppressed because their cause was logged too often.
    pub log_suppressed: IntCounter,
}

impl Metrics {
    /// Creates and registers all metrics. Series of closed sets start at 0, so that `increase()`
    /// shows a first failure.
    ///
    /// # Panics
    /// Never: names are distinct and valid, which a test checks.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let metrics = Metrics {
            admissions: vec(
                &registry,
                "admissions_total",
                "Reviews answered; whatever the outcome, the pod was allowed.",
                &["outcome", "reason"],
            ),
            duration: duration(&registry),
            cert_not_after: gauge(
                &registry,
                "cert_not_after_seconds",
                "Until when the certificate that is served is good, since the epoch.",
            ),
            cert_swaps: one(&registry, "cert_swaps_total", "Certificates taken into service."),
            certificate_failures: vec(
                &registry,
                "certificate_failures_total",
                "Certificates or trust that could not be read, made or published.",
                &["reason"],
            ),
            ca_bundle_writes: one(
                &registry,
                "ca_bundle_writes_total",
                "How often the caBundle of the webhook configuration was written.",
            ),
            ca_bundle_matches: gauge(
                &registry,
                "ca_bundle_matches",
                "1 while the caBundle makes an API server believe the certificate that is served.",
            ),
            leader: gauge(&registry, "leader", "1 while this replica holds the lease."),
            connections: gauge(&registry, "connections", "Connections open now."),
            connections_refused: vec(
                &registry,
                "connections_refused_total",
                "Connections that ended by us or in the handshake.",
                &["reason"],
            ),
            events: vec(&registry, "events_total", "Kubernetes Events, by result.", &["result"]),
            pods_missing: IntGaugeVec::new(
                opts("pods_missing", "Pods that should have the sidecar and have not."),
                &["namespace", "reason"],
            )
            .expect("a valid name"),
            config_info: config_info(&registry),
            config_last_load_successful: gauge(
                &registry,
                "config_last_load_successful",
                "1 when the last load of the configuration succeeded.",
            ),
            config_last_load_timestamp: gauge(
                &registry,
                "config_last_load_success_timestamp_seconds",
                "When the configuration was last loaded with success.",
            ),
            log_suppressed: one(
                &registry,
                "log_messages_suppressed_total",
                "Own log messages not written because their cause was said too often.",
            ),
            registry,
        };
        metrics.create_closed_sets();
        metrics
    }

    /// Creates the series of label values from closed sets.
    fn create_closed_sets(&self) {
        for outcome in [Outcome::Injected, Outcome::Unchanged] {
            self.admissions.with_label_values(&[outcome.name(), ""]);
        }
        for reason in ["malformed", "oversized", "version", "no_object", "patch", "torn"] {
            self.admissions.with_label_values(&[Outcome::Error.name(), reason]);
        }
        for reason in FAILURES {
            self.certificate_failures.with_label_values(&[reason]);
        }
    }

    /// Adds the `process_*` metrics. A second call changes nothing.
    pub fn watch_process(&self) {
        let _ = self.registry.register(Box::new(Process::new()));
    }

    /// Registers or unregisters [`Metrics::pods_missing`]. A replica that does not count must not
    /// report zero.
    pub fn show_missing(&self, shown: bool) {
        let collector = Box::new(self.pods_missing.clone());
        // registering twice changes nothing
        let _ = if shown {
            self.registry.register(collector)
        } else {
            self.pods_missing.reset();
            self.registry.unregister(collector)
        };
    }

    /// Writes all metrics in the exposition format.
    pub fn write(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let none = Derived::new(sidelight::metrics::Limits::default());
        expose::encode(&none, &self.registry.gather(), encoding, Options::default(), out);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

fn duration(registry: &Registry) -> Histogram {
    let name = "sidelight_injector_admission_duration_seconds";
    let of = HistogramOpts::new(name, "From a review's head to its answer.");
    keep(registry, Histogram::with_opts(of.buckets(SECONDS.to_vec())))
}

fn config_info(registry: &Registry) -> IntGaugeVec {
    let of = opts("config_info", "The configuration in use.");
    keep(registry, IntGaugeVec::new(of, &["hash", "revision", "version"]))
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("sidelight_injector_{name}"), help)
}

/// Registers a metric and returns it.
///
/// # Panics
/// Never: names are valid and distinct constants.
fn keep<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.expect("a valid name");
    registry.register(Box::new(made.clone())).expect("a distinct name");
    made
}

fn vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    keep(registry, IntCounterVec::new(opts(name, help), labels))
}

fn one(registry: &Registry, name: &str, help: &str) -> IntCounter {
    keep(registry, IntCounter::with_opts(opts(name, help)))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    keep(registry, IntGauge::with_opts(opts(name, help)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(metrics: &Metrics, encoding: Encoding) -> String {
        let mut out = Vec::new();
        metrics.write(encoding, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_page_has_the_names_that_alerts_lean_on() {
        let metrics = Metrics::new();
        metrics.watch_process();
        metrics.config_info.with_label_values(&["h", "default", "0"]).set(1);
        let classic = page(&metrics, Encoding::Classic);
        for name in [
            "sidelight_injector_admissions_total{outcome=\"injected\",reason=\"\"} 0",
            "sidelight_injector_admissions_total{outcome=\"error\",reason=\"malformed\"} 0",
            "sidelight_injector_admission_duration_seconds_bucket{le=\"0.002\"} 0",
            "sidelight_injector_cert_not_after_seconds 0",
            "sidelight_injector_leader 0",
            "sidelight_injector_ca_bundle_matches 0",
            "sidelight_injector_config_info{",
            "sidelight_injector_config_last_load_successful 0",
        ] {
            assert!(classic.contains(name), "{name}\n{classic}");
        }
        assert!(page(&metrics, Encoding::OpenMetrics).ends_with("# EOF\n"));
    }

    /// Guarantees: a replica that does not count reports no series, rather than 0.
    #[test]
    fn missing_pods_are_shown_only_by_who_counts_them() {
        let metrics = Metrics::new();
        metrics.pods_missing.with_label_values(&["shop", "missed"]).set(3);
        let shown = |metrics: &Metrics| page(metrics, Encoding::Classic).contains("pods_missing{");
        assert!(!shown(&metrics));
        metrics.show_missing(true);
        metrics.show_missing(true);
        assert!(shown(&metrics));
        metrics.show_missing(false);
        assert!(!shown(&metrics));
        metrics.show_missing(true);
        assert!(!shown(&metrics), "what was counted long ago is not shown again");
    }
}
