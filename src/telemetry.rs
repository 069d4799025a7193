//! All metrics that sidelight keeps about itself, in one table, stored with the `prometheus` crate.
//! A row has the name, type, unit, labels with their values, and help. Registration,
//! `docs/metrics.md` and the tests of the alerts are derived from it. Data threads add once per
//! batch, never once per line.

pub mod faults;
pub mod ledger;
pub mod log;
pub mod outputs;
pub mod process;
pub mod process_status;
pub(crate) mod scrapers;
pub mod table;

use faults::Faults;
use prometheus::{
    CounterVec, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    core::Collector as _,
};
use table::{Label, Metric, Own, Values, own_metrics};

const INPUT: Label =
    Label { name: "input", values: Values::Closed(&["stream", "datagram", "stdin"]) };
const FORMAT: Label = Label {
    name: "format",
    values: Values::Closed(&[
        "json", "logfmt", "access", "text", "epoch", "plain", "own", "pickle", "journal", "forward",
    ]),
};
/// The inputs that have connections.
const CONNECTED: Label = Label { name: "input", values: Values::Closed(&["stream"]) };
/// The outputs that send requests.
const EXPORTED: Label = Label { name: "output", values: Values::Closed(&["spans"]) };
const OUTPUT: Label = Label { name: "output", values: Values::Closed(&["spans", "stdout"]) };

/// Creates a label `reason` with these values.
const fn reason(values: &'static [&'static str]) -> Label {
    Label { name: "reason", values: Values::Closed(values) }
}

own_metrics! {
    build_info: IntGaugeVec = "build_info", "",
        [Label { name: "version", values: Values::Open("the version") }],
        "1, with the version; a running pod keeps its version until it is re-created.";
    received: IntCounterVec = "frames_received_total", "", [INPUT],
        "Frames received: lines of a stream, datagrams.";
    received_bytes: IntCounterVec = "received_bytes_total", "bytes", [INPUT], "Bytes received.";
    decoded: IntCounterVec = "frames_decoded_total", "", [FORMAT],
        "Frames processed, by the format that was recognised; continuation lines count with their record.";
    refused: IntCounterVec = "frames_refused_total", "",
        [reason(&["disabled", "undecodable"])], "Frames refused.";
    malformed: IntCounterVec = "frames_malformed_total", "",
        [Label { name: "format", values: Values::Closed(&["json"]) }],
        "Frames that start like JSON, but are not valid; what is readable is used.";
    invalid_utf8: IntCounter = "frames_invalid_utf8_total", "", [],
        "Frames with invalid UTF-8, which was replaced.";
    oversized: IntCounter = "frames_oversized_total", "", [],
        "Frames longer than the limit, of which the beginning was kept.";
    joined: IntCounter = "frames_joined_total", "", [],
        "Continuation lines joined to the record before them.";
    records_incomplete: IntCounterVec = "records_incomplete_total", "",
        [Label { name: "missing", values: Values::Closed(&["level", "time"]) }],
        "Records without a level (lines of requests need none), and records without a time; a record without both counts twice.";
    torn: IntCounter = "frames_torn_total", "", [],
        "Unfinished lines on connections that sidelight closed; not counted as received.";
    connections: IntCounterVec = "connections_total", "", [CONNECTED], "Connections accepted.";
    connections_open: IntGaugeVec = "connections_open", "", [CONNECTED], "Connections open now.";
    connections_refused: IntCounterVec = "connections_refused_total", "", [reason(&[
        "limit", "uid_limit", "descriptors", "admin_evicted", "admin_idle", "admin_unread",
    ])], "Connections refused or closed early: of applications, and of the admin port.";
    clock_skew: Gauge = "clock_skew_seconds", "seconds", [],
        "Arrival of a sampled line minus its own time.";
    offered: IntCounterVec = "items_offered_total", "", [OUTPUT],
        "Spans and lines given to a configured output.";
    sent: IntCounterVec = "items_sent_total", "", [OUTPUT],
        "Items that a collector accepted, or that were written to standard output.";
    dropped: IntCounterVec = "items_dropped_total", "", [OUTPUT, reason(&[
        "queue_full", "closed", "deadline", "expired", "rejected", "partial", "oversized",
    ])], "Items dropped.";
    export_requests: IntCounterVec = "export_requests_total", "", [EXPORTED, Label {
        name: "result", values: Values::Closed(&["ok", "partial", "retry", "rejected"]),
    }], "Export requests, by result.";
    output_healthy: IntGaugeVec = "output_healthy", "", [OUTPUT],
        "1 while an output works, 0 while it is degraded or its configuration cannot be used.";
    spans_skipped: IntCounterVec = "spans_skipped_total", "",
        [reason(&["no_id", "already_traced", "unsampled", "bad_duration"])],
        "Lines that did not become a span.";
    starts_dropped: IntCounterVec = "starts_dropped_total", "", [reason(&["evicted", "expired"])],
        "Start lines of a request or function that were dropped before their end arrived: because there were too many (evicted), or after ten minutes (expired).";
    series: IntGauge = "series", "", [], "Number of derived series.";
    series_limit: IntGauge = "series_limit", "", [], "Maximum number of derived series.";
    label_overflow: IntCounterVec = "label_overflow_total", "", [
        Label { name: "family", values: Values::Open("a derived metric") },
        Label { name: "label", values: Values::Open("one of its labels") }
    ], "Label sets folded into an overflow series, by the label that had too many values.";
    label_replaced: IntCounter = "label_values_replaced_total", "", [],
        "Label values in new label sets in which control characters were replaced by U+FFFD.";
    thread_seconds: CounterVec = "data_thread_seconds_total", "seconds", [
        Label { name: "thread", values: Values::Closed(&["stream", "datagram", "stdin"]) },
        Label { name: "state", values: Values::Closed(&["busy", "sleep", "wait"]) }
    ], "Time that the data threads spent in each state.";
    config_last_load_successful: IntGauge = "config_last_load_successful", "", [],
        "1 if the last load of the configuration succeeded.";
    config_last_load_timestamp: IntGauge = "config_last_load_success_timestamp_seconds", "seconds",
        [], "Time of the last successful load of the configuration.";
    config_info: IntGaugeVec = "config_info", "",
        [Label { name: "hash", values: Values::Open("hash of the configuration in force") }],
        "1, with the hash of the configuration in force.";
    config_reloads: IntCounterVec = "config_reloads_total", "", [Label {
        name: "outcome", values: Values::Closed(&["loaded", "partial", "refused"]),
    }],
        "Reloads of the configuration: loaded, partial (layers with errors kept their previous contents) or refused.";
    log_suppressed: IntCounter = "log_messages_suppressed_total", "", [],
        "Own log messages not written because their cause was logged too often.";
}

impl Telemetry {
    /// Creates and registers all metrics.
    ///
    /// # Panics
    /// Never: names are distinct and valid, which a test checks.
    pub fn new() -> Telemetry {
        let telemetry = Telemetry::registered();
        telemetry.config_last_load_successful.set(1);
        telemetry
    }

    /// Adds the `process_*` metrics and the version. Meant for a running process and not for a
    /// replay, the output of which must not vary. A second call changes nothing.
    pub fn watch_process(&self) {
        let _ = self.registry.register(Box::new(process::Process::new()));
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }

    /// Returns all self-metrics as the `prometheus` crate gathers them.
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new()
    }
}

/// Returns the sum of a counter over all its label sets.
pub fn sum(counters: &IntCounterVec) -> u64 {
    counters
        .collect()
        .iter()
        .flat_map(prometheus::proto::MetricFamily::get_metric)
        .map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Guarantees: a counter ends in `_total`, a gauge does not, and the unit is at the end of the
    /// name. In OpenMetrics, the family of a counter has the name without `_total`, and two
    /// families must not have the same name: a gauge `x` beside a counter `x_total` makes a page
    /// that no scraper can read.
    #[test]
    fn names_follow_the_rules() {
        let telemetry = Telemetry::new();
        telemetry.watch_process();
        let mut names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
        let gathered = telemetry.gather();
        names.extend(
            gathered
                .iter()
                .map(prometheus::proto::MetricFamily::name)
                .filter(|name| name.starts_with("process_")),
        );
        let stems: BTreeSet<&str> =
            names.iter().map(|name| name.trim_end_matches("_total")).collect();
        assert_eq!(names.len(), stems.len(), "{names:?}");
        for row in TABLE {
            let is_counter = row.kind == table::MetricType::Counter;
            assert_eq!(row.name.ends_with("_total"), is_counter, "{}", row.name);
            let stem = row.name.trim_end_matches("_total");
            assert!(row.unit.is_empty() || stem.ends_with(row.unit), "{}", row.name);
            assert!(row.help.ends_with('.'), "{}", row.name);
        }
    }
}
