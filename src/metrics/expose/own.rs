//! Writes sidelight's own families, as the `prometheus` crate gathers them: a few dozen series, by
//! the same rules as the derived families.

use super::number;
use super::page::{Header, Page};
use crate::metrics::rendered::label_text;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// Writes a family and its samples, if it has any and its type is one that sidelight uses.
pub(super) fn write(page: &mut Page<'_>, family: &MetricFamily) {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        // telemetry has neither type
        MetricType::SUMMARY | MetricType::UNTYPED => return,
    };
    if family.get_metric().is_empty() {
        return;
    }
    page.header(Header { name: family.name(), help: family.help(), unit: "", kind });
    for metric in family.get_metric() {
        let labels = metric.get_label();
        let labels =
            label_text(labels.iter().map(LabelPair::name), labels.iter().map(LabelPair::value));
        let series = Own { name: family.name(), labels: &labels };
        match kind {
            "counter" => {
                // OpenMetrics requires `_total` on every counter
                let total = page.open && !series.name.ends_with("_total");
                series.sample(page, if total { "_total" } else { "" });
                value(page, metric.get_counter().get_value());
            }
            "gauge" => {
                series.sample(page, "");
                value(page, metric.get_gauge().get_value());
            }
            _ => series.histogram(page, metric),
        }
    }
}

struct Own<'a> {
    name: &'a str,
    labels: &'a str,
}

impl Own<'_> {
    fn sample(&self, page: &mut Page<'_>, suffix: &str) {
        page.put(self.name);
        page.put(suffix);
        if !self.labels.is_empty() {
            page.put("{");
            page.put(self.labels);
            page.put("}");
        }
        page.put(" ");
    }

    fn bucket(&self, page: &mut Page<'_>, bound: f64, count: u64) {
        page.put(self.name);
        page.put("_bucket{");
        page.put(self.labels);
        page.put(if self.labels.is_empty() { "le=\"" } else { ",le=\"" });
        number::bound(page.out, bound, page.open);
        page.put("\"} ");
        number::integer(page.out, count);
        page.put("\n");
    }

    fn histogram(&self, page: &mut Page<'_>, metric: &Metric) {
        let histogram = metric.get_histogram();
        let mut infinite = false;
        for bucket in histogram.get_bucket() {
            self.bucket(page, bucket.upper_bound(), bucket.cumulative_count());
            infinite |= bucket.upper_bound() == f64::INFINITY;
        }
        if !infinite {
            self.bucket(page, f64::INFINITY, histogram.get_sample_count());
        }
        self.sample(page, "_sum");
        value(page, histogram.get_sample_sum());
        self.sample(page, "_count");
        number::integer(page.out, histogram.get_sample_count());
        page.put("\n");
    }
}

fn value(page: &mut Page<'_>, value: f64) {
    number::double(page.out, value);
    page.put("\n");
}
