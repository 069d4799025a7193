//! Every metric that sidelight keeps about itself, in one place, carried by the `prometheus` crate. Label
//! values come from closed sets. Data threads add once a batch, never once a line.

pub mod faults;
pub mod ledger;
pub mod log;
pub mod outputs;
pub mod process;
pub mod scrapers;
pub mod standing;

use faults::Faults;
use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The handles of all self-metrics.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    /// Losses that a test asks for.
    pub faults: Faults,
    /// 1, with the `version` that runs.
    pub build_info: IntGaugeVec,
    /// Frames received, by `input`.
    pub received: IntCounterVec,
    /// Bytes received, by `input`.
    pub received_bytes: IntCounterVec,
    /// Frames decoded, by `format`.
    pub decoded: IntCounterVec,
    /// Frames refused, by `reason`.
    pub refused: IntCounterVec,
    /// Frames that looked like a format and were not, by `format`; decoded as plain text.
    pub malformed: IntCounterVec,
    /// Frames with invalid UTF-8, which was replaced.
    pub invalid_utf8: IntCounter,
    /// Frames longer than the limit, of which the beginning was kept.
    pub oversized: IntCounter,
    /// Continuation lines joined to the record before them.
    pub joined: IntCounter,
    /// Unfinished lines at the end of connections that sidelight closed; not among the received.
    pub torn: IntCounter,
    /// Connections accepted, by `input`.
    pub connections: IntCounterVec,
    /// Connections open now, by `input`.
    pub connections_open: IntGaugeVec,
    /// Connections refused, by `reason`.
    pub connections_refused: IntCounterVec,
    /// The time of the last sampled line against its arrival; positive when the line's clock is behind.
    pub clock_skew: Gauge,
    /// Items given to an output, by `output`.
    pub offered: IntCounterVec,
    /// Items that an output accepted, by `output`.
    pub sent: IntCounterVec,
    /// Items dropped, by `output` and `reason`.
    pub dropped: IntCounterVec,
    /// Export requests, by `output` and `result`.
    pub export_requests: IntCounterVec,
    /// 1 while an output works, by `output`; 0 while it is degraded or cannot be used.
    pub output_healthy: IntGaugeVec,
    /// Lines that became no span, by `reason`.
    pub spans_skipped: IntCounterVec,
    /// Lines that began an operation and were dropped without its end, by `reason`.
    pub starts_dropped: IntCounterVec,
    /// Derived series alive.
    pub series: IntGauge,
    /// How many there may be.
    pub series_limit: IntGauge,
    /// Label values folded into an overflow series, by `family` and `label`.
    pub label_overflow: IntCounterVec,
    /// Seconds a data thread spent, by `thread` and `state` (busy, sleep, wait).
    pub thread_seconds: CounterVec,
    /// 1 when the last load of the configuration succeeded.
    pub config_last_load_successful: IntGauge,
    /// When that was, seconds since the epoch.
    pub config_last_load_timestamp: IntGauge,
    /// 1, with the `hash` of the configuration in force.
    pub config_info: IntGaugeVec,
    /// Loads of the configuration while the process runs, by `outcome`.
    pub config_reloads: IntCounterVec,
    /// Own log messages not written because their cause was said too often.
    pub log_suppressed: IntCounter,
}

impl Telemetry {
    /// All of them, registered.
    ///
    /// # Panics
    /// Never: names are distinct and valid, which a test sees.
    pub fn new() -> Telemetry {
        let registry = Registry::new();
        let of =
            opts("build_info", "1, with the version; pods keep theirs until they are re-created.");
        let build_info = IntGaugeVec::new(of, &["version"]).expect("a valid name");
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let telemetry = Telemetry {
            build_info,
            received: vec(
                &registry,
                "frames_received_total",
                "Frames received: lines of a stream, datagrams.",
                &["input"],
            ),
            received_bytes: vec(&registry, "received_bytes_total", "Bytes received.", &["input"]),
            decoded: vec(
                &registry,
                "frames_decoded_total",
                "Frames decoded, by the format that was recognised; continuation lines count with their record.",
                &["format"],
            ),
            refused: vec(&registry, "frames_refused_total", "Frames refused.", &["reason"]),
            malformed: vec(
                &registry,
                "frames_malformed_total",
                "Frames that began like a format and were not; decoded as plain text.",
                &["format"],
            ),
            invalid_utf8: one(
                &registry,
                "frames_invalid_utf8_total",
                "Frames whose invalid UTF-8 was replaced.",
            ),
            oversized: one(
                &registry,
                "frames_oversized_total",
                "Frames longer than the limit, of which the beginning was kept.",
            ),
            joined: one(
                &registry,
                "frames_joined_total",
                "Continuation lines joined to the record before them.",
            ),
            torn: one(
                &registry,
                "frames_torn_total",
                "Unfinished lines on connections that sidelight closed; not among the received.",
            ),
            connections: vec(&registry, "connections_total", "Connections accepted.", &["input"]),
            connections_open: {
                let gauge =
                    IntGaugeVec::new(opts("connections_open", "Connections open now."), &["input"]);
                keep(&registry, gauge)
            },
            connections_refused: vec(
                &registry,
                "connections_refused_total",
                "Connections refused.",
                &["reason"],
            ),
            clock_skew: keep(
                &registry,
                Gauge::with_opts(opts(
                    "clock_skew_seconds",
                    "Arrival of a sampled line minus its own time.",
                )),
            ),
            offered: vec(
                &registry,
                "items_offered_total",
                "Spans and records given to a configured output.",
                &["output"],
            ),
            sent: vec(&registry, "items_sent_total", "Items that an output accepted.", &["output"]),
            dropped: vec(&registry, "items_dropped_total", "Items dropped.", &["output", "reason"]),
            export_requests: vec(
                &registry,
                "export_requests_total",
                "Export requests, by result.",
                &["output", "result"],
            ),
            output_healthy: {
                let of = opts(
                    "output_healthy",
                    "1 while an output works, 0 while it is degraded or its configuration cannot be used.",
                );
                keep(&registry, IntGaugeVec::new(of, &["output"]))
            },
            spans_skipped: vec(
                &registry,
                "spans_skipped_total",
                "Lines that became no span.",
                &["reason"],
            ),
            starts_dropped: vec(
                &registry,
                "starts_dropped_total",
                "Lines that began a request or function and were dropped before its end came: too many waited (evicted), or for ten minutes (expired).",
                &["reason"],
            ),
            series: keep(&registry, IntGauge::with_opts(opts("series", "Derived series alive."))),
            series_limit: keep(
                &registry,
                IntGauge::with_opts(opts("series_limit", "Derived series there may be.")),
            ),
            label_overflow: vec(
                &registry,
                "label_overflow_total",
                "Label sets folded into an overflow series, by the label that had too many values.",
                &["family", "label"],
            ),
            thread_seconds: {
                let of = opts(
                    "data_thread_seconds_total",
                    "Time of the data threads, by what they did.",
                );
                keep(&registry, CounterVec::new(of, &["thread", "state"]))
            },
            config_last_load_successful: keep(
                &registry,
                IntGauge::with_opts(opts(
                    "config_last_load_successful",
                    "1 when the last load of the configuration succeeded.",
                )),
            ),
            config_last_load_timestamp: keep(
                &registry,
                IntGauge::with_opts(opts(
                    "config_last_load_success_timestamp_seconds",
                    "When the configuration was last loaded with success.",
                )),
            ),
            config_info: {
                let of = opts("config_info", "1, with the hash of the configuration in force.");
                keep(&registry, IntGaugeVec::new(of, &["hash"]))
            },
            config_reloads: vec(
                &registry,
                "config_reloads_total",
                "Loads of the configuration while it ran: loaded, partial (layers with errors stayed as they were) or refused.",
                &["outcome"],
            ),
            log_suppressed: one(
                &registry,
                "log_messages_suppressed_total",
                "Own log messages not written because their cause was said too often.",
            ),
            registry,
            faults: Faults::default(),
        };
        telemetry.config_last_load_successful.set(1);
        telemetry
    }

    /// Adds the `process_*` metrics and the version: for a process that runs, not for a replay, whose output
    /// must not vary. A second call changes nothing.
    pub fn watch_process(&self) {
        let _ = self.registry.register(Box::new(process::Process::new()));
        let _ = self.registry.register(Box::new(self.build_info.clone()));
    }

    /// All self-metrics as the `prometheus` crate gathers them.
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new()
    }
}

/// The sum over all label sets of a counter.
pub fn sum(counters: &IntCounterVec) -> u64 {
    counters
        .collect()
        .iter()
        .flat_map(prometheus::proto::MetricFamily::get_metric)
        .map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("sidelight_{name}"), help)
}

/// Registers what was made and gives it back.
///
/// # Panics
/// When the name is wrong or taken: both are constants.
pub fn keep<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.expect("a valid name");
    registry.register(Box::new(made.clone())).expect("a name of its own");
    made
}

fn vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    keep(registry, IntCounterVec::new(opts(name, help), labels))
}

fn one(registry: &Registry, name: &str, help: &str) -> IntCounter {
    keep(registry, IntCounter::with_opts(opts(name, help)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_self_metric_registers() {
        let telemetry = Telemetry::new();
        telemetry.received.with_label_values(&["stream"]).inc();
        assert!(telemetry.gather().iter().any(|f| f.name() == "sidelight_frames_received_total"));
    }

    /// Guarantees: in OpenMetrics a counter's family is its name without `_total`, and no family may have
    /// the name of another: a gauge `x` beside a counter `x_total` makes a page that nobody reads.
    #[test]
    fn no_family_has_the_name_of_another() {
        let telemetry = Telemetry::new();
        telemetry.watch_process();
        let t = &telemetry;
        for one in [&t.received, &t.received_bytes, &t.decoded, &t.refused, &t.malformed] {
            one.with_label_values(&["x"]);
        }
        for one in [
            &t.connections,
            &t.connections_refused,
            &t.offered,
            &t.sent,
            &t.spans_skipped,
            &t.starts_dropped,
        ] {
            one.with_label_values(&["x"]);
        }
        for two in [&t.dropped, &t.export_requests, &t.label_overflow] {
            two.with_label_values(&["x", "y"]);
        }
        t.connections_open.with_label_values(&["x"]);
        t.output_healthy.with_label_values(&["x"]);
        t.config_info.with_label_values(&["x"]);
        t.config_reloads.with_label_values(&["x"]);
        t.thread_seconds.with_label_values(&["x", "y"]);
        let gathered = t.gather();
        let names: Vec<&str> =
            gathered.iter().map(|f| f.name().trim_end_matches("_total")).collect();
        let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len(), "{names:?}");
        assert!(names.len() >= 35, "only {} families were looked at", names.len());
    }
}
