//! Compares our output with golden text and with the `prometheus` crate's encoder, and parses it
//! with a naive reader.

use super::*;
use crate::clock::UnixNanos;
use crate::metrics::intern::cut;
use crate::metrics::naive::{key, read};
use crate::metrics::{
    Exemplar, FamilyId, FamilyKind, FamilySpec, LabelSpec, Limits, SeriesId, ShardWriter,
};
use prometheus::proto::{self, MetricFamily};
use prometheus::{Encoder as _, TextEncoder};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: UnixNanos = UnixNanos(1_700_000_000_250_000_000);

fn spec(name: &str, unit: &str, kind: FamilyKind, labels: &[&str]) -> FamilySpec {
    let label = |name: &&str| LabelSpec { name: (*name).into(), closed: false, values_max: None };
    FamilySpec {
        name: name.into(),
        help: format!("What \"{name}\" is,\nand \\ why."),
        unit: unit.into(),
        kind,
        labels: labels.iter().map(label).collect(),
        siblings: Vec::new(),
    }
}

fn text(registry: &Registry, own: &[MetricFamily], encoding: Encoding, created: bool) -> String {
    let mut out = Vec::new();
    encode(registry, own, encoding, Options { created }, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn declared(registry: &Arc<Registry>, spec: FamilySpec) -> FamilyId {
    registry.declare(spec).expect("valid")
}

/// Declares all five kinds, two of sidelight's own metrics, and an exemplar on a counter and on a
/// bucket.
fn everything() -> (Arc<Registry>, Vec<MetricFamily>, ShardWriter, [SeriesId; 2]) {
    let registry = Registry::new(Limits::default());
    let took = FamilyKind::Histogram(vec![0.005, 1.0, 2.5]);
    let seen = spec("seen_total", "", FamilyKind::Counter, &["method", "path"]);
    let ids = [
        declared(&registry, seen),
        declared(&registry, spec("sent_bytes_total", "bytes", FamilyKind::FloatCounter, &[])),
        declared(&registry, spec("empty_total", "", FamilyKind::Counter, &["never"])),
        declared(&registry, spec("active", "", FamilyKind::AddGauge, &["a"])),
        declared(&registry, spec("heat", "kelvin", FamilyKind::SetGauge, &[])),
        declared(&registry, spec("took_seconds", "seconds", took, &["path"])),
    ];
    let mut writer = registry.writer();
    let seen = writer.series(ids[0], &["GET", "/\"a\\b\"\n\u{e9}"], NOW);
    writer.add(seen, 12_345);
    let bytes = writer.series(ids[1], &[], NOW);
    writer.add_f64(bytes, 0.5);
    let active = writer.series(ids[3], &[""], NOW);
    writer.add_f64(active, -2.0);
    let heat = writer.series(ids[4], &[], NOW);
    writer.set(heat, f64::INFINITY, NOW);
    let took = writer.series(ids[5], &["/"], NOW);
    for value in [0.0, 0.005, 0.75, 2.0, 4.0] {
        writer.observe(took, value);
    }
    let own = prometheus::Registry::new();
    let opts = prometheus::Opts::new("sidelight_frames_total", "Frames.");
    let frames = prometheus::IntCounterVec::new(opts, &["input"]).expect("valid");
    frames.with_label_values(&["stream"]).inc_by(3);
    let opts = prometheus::HistogramOpts::new("sidelight_wait_seconds", "Waits.");
    let wait = prometheus::Histogram::with_opts(opts.buckets(vec![1.0])).expect("valid");
    wait.observe(0.25);
    own.register(Box::new(frames)).expect("distinct");
    own.register(Box::new(wait)).expect("distinct");
    (registry, own.gather(), writer, [seen, took])
}

fn exemplar(value: f64) -> Exemplar {
    Exemplar { value, at: NOW, trace_id: [0xab; 16], span_id: [0xcd; 8] }
}

const CLASSIC: &str = include_str!("golden/classic.prom");

const OPEN: &str = include_str!("golden/open.om");

#[test]
fn both_formats_byte_by_byte() {
    let (registry, own, mut writer, [seen, took]) = everything();
    writer.exemplar(seen, exemplar(1.0));
    writer.exemplar(took, exemplar(0.75));
    for _ in 0..2 {
        assert_eq!(text(&registry, &own, Encoding::Classic, true), CLASSIC);
    }
    assert_eq!(text(&registry, &own, Encoding::OpenMetrics, true), OPEN);
}

#[test]
fn created_is_only_written_on_request() {
    let (registry, own, _, _) = everything();
    let lines = |text: &str| text.lines().filter(|l| l.contains("_created")).count();
    assert_eq!(lines(&text(&registry, &own, Encoding::OpenMetrics, false)), 0);
    assert_eq!(lines(&text(&registry, &own, Encoding::OpenMetrics, true)), 3);
}

/// Guarantees: OpenMetrics shows one exemplar per cell, the first between two scrapes; the classic
/// format shows none. As soon as an exemplar is shown, the next one is wanted. The shown one stays
/// until the next replaces it, however many scrapers read.
#[test]
fn an_exemplar_is_shown_until_the_next_replaces_it() {
    let (registry, _, mut writer, [seen, took]) = everything();
    let shown = |registry: &Registry| {
        let text = text(registry, &[], Encoding::OpenMetrics, false);
        read(&text, Encoding::OpenMetrics).exemplars
    };
    for round in 0..3 {
        assert!(writer.wants_exemplar(seen, 1.0) && writer.wants_exemplar(took, 0.7));
        assert!(!writer.wants_exemplar(took, f64::NAN));
        let first = 0.5 + f64::from(round) / 100.0;
        writer.exemplar(took, exemplar(first));
        writer.exemplar(took, exemplar(0.9));
        assert!(!writer.wants_exemplar(took, 0.7), "the bucket has one");
        assert!(writer.wants_exemplar(took, 7.0), "another bucket has none");
        text(&registry, &[], Encoding::Classic, false);
        assert!(!writer.wants_exemplar(took, 0.7), "the classic format shows none");
        let exemplars = shown(&registry);
        assert_eq!(exemplars.len(), 1);
        let bucket = key("took_seconds_bucket", &[("path", "/"), ("le", "1.0")]);
        let ids = key("", &[("trace_id", &"ab".repeat(16)), ("span_id", &"cd".repeat(8))]).1;
        assert_eq!(exemplars[&bucket], (ids, first, 1_700_000_000.25));
        assert_eq!(shown(&registry), exemplars, "a second scraper sees the same");
    }
}

#[test]
fn exemplars_of_two_shards_show_the_newest_and_gauges_have_none() {
    let (registry, _, mut one, [seen, _]) = everything();
    let mut two = registry.writer();
    two.series(seen.family, &["GET", "/"], NOW);
    one.exemplar(seen, Exemplar { at: UnixNanos(2_000_000_000), ..exemplar(1.0) });
    two.exemplar(seen, Exemplar { at: UnixNanos(3_000_000_000), span_id: [0; 8], ..exemplar(9.0) });
    let gauge = one.series(FamilyId(3), &[""], NOW);
    assert!(!one.wants_exemplar(gauge, 1.0));
    one.exemplar(gauge, exemplar(1.0));
    let text = text(&registry, &[], Encoding::OpenMetrics, false);
    assert_eq!(text.matches("trace_id").count(), 1);
    assert!(text.contains("# {trace_id=\"abababababababababababababababab\"} 9 3.000\n"));
}

#[test]
fn more_exemplars_than_slots_wait_for_the_next_scrape() {
    const SLOTS: usize = crate::metrics::EXEMPLARS_MAX;
    let registry = Registry::new(Limits { label_sets_max: 5_000, ..Limits::default() });
    let family = declared(&registry, spec("seen_total", "", FamilyKind::Counter, &["v"]));
    let mut writer = registry.writer();
    let count = SLOTS + 100;
    let series: Vec<SeriesId> =
        (0..count).map(|n| writer.series(family, &[&n.to_string()], NOW)).collect();
    for (from, to, shown) in [(0, count - 1, SLOTS), (1_000, count, count)] {
        assert!(writer.wants_exemplar(series[count - 1], 1.0));
        for series in &series[from..to] {
            writer.exemplar(*series, exemplar(1.0));
        }
        assert!(
            !writer.wants_exemplar(series[count - 1], 1.0),
            "all slots are filled, then it has one"
        );
        let text = text(&registry, &[], Encoding::OpenMetrics, false);
        assert_eq!(text.matches("trace_id").count(), shown);
    }
}

/// Guarantees: the exemplars kept between scrapes are bounded, and the newest ones stay.
#[test]
fn exemplars_kept_are_bounded() {
    let limits = Limits { label_sets_max: 5_000, series_max: 5_000, ..Limits::default() };
    let registry = Registry::new(limits);
    let family = declared(&registry, spec("seen_total", "", FamilyKind::Counter, &["v"]));
    let mut writer = registry.writer();
    let series: Vec<SeriesId> =
        (0..4_500).map(|n| writer.series(family, &[&n.to_string()], NOW)).collect();
    let mut last = String::new();
    for (round, some) in series.chunks(500).enumerate() {
        for series in some {
            let at = UnixNanos(NOW.0 + 1_000_000_000 * round as u64);
            writer.exemplar(*series, Exemplar { at, ..exemplar(1.0) });
        }
        last = text(&registry, &[], Encoding::OpenMetrics, false);
        assert_eq!(last.matches("trace_id").count(), ((round + 1) * 500).min(4_096));
    }
    let newest = last.lines().find(|line| line.contains("v=\"4499\"")).expect("a series");
    assert!(newest.contains("trace_id"), "{newest}");
}

/// Guarantees: in OpenMetrics a sum is a counter, so a histogram that may decrease has no sum and
/// no count.
#[test]
fn a_histogram_below_zero_has_no_sum_in_openmetrics() {
    for (bounds, value, sums) in
        [(vec![-1.0, 1.0], 1.0, 0), (vec![1.0], -1.0, 0), (vec![1.0], 1.0, 1)]
    {
        let registry = Registry::new(Limits::default());
        let family = declared(&registry, spec("h", "", FamilyKind::Histogram(bounds), &[]));
        let mut writer = registry.writer();
        let series = writer.series(family, &[], NOW);
        writer.observe(series, value);
        let open = text(&registry, &[], Encoding::OpenMetrics, false);
        assert_eq!(open.matches("h_sum").count(), sums);
        assert_eq!(open.matches("h_count").count(), sums);
        assert!(text(&registry, &[], Encoding::Classic, false).contains("h_sum"));
    }
}

#[test]
fn a_unit_is_said_only_where_the_name_ends_in_it() {
    for (name, unit, said) in [
        ("wait_seconds", "seconds", true),
        ("wait", "seconds", false),
        ("seconds", "seconds", false),
    ] {
        let registry = Registry::new(Limits::default());
        let family = declared(&registry, spec(name, unit, FamilyKind::SetGauge, &[]));
        registry.writer().series(family, &[], NOW);
        let open = text(&registry, &[], Encoding::OpenMetrics, false);
        assert_eq!(open.contains(&format!("# UNIT {name} {unit}\n")), said, "{name}");
    }
}

#[test]
fn an_empty_registry_is_an_empty_page() {
    let registry = Registry::new(Limits::default());
    declared(&registry, spec("seen_total", "", FamilyKind::Counter, &["v"]));
    assert_eq!(text(&registry, &[], Encoding::Classic, false), "");
    assert_eq!(text(&registry, &[], Encoding::OpenMetrics, false), "# EOF\n");
}

/// Guarantees: an own counter without `_total` gets the suffix in OpenMetrics, which requires it.
#[test]
fn own_counters_get_their_suffix_in_openmetrics() {
    let own = prometheus::Registry::new();
    let hits = prometheus::IntCounter::new("sidelight_hits", "Hits.").expect("valid");
    own.register(Box::new(hits)).expect("distinct");
    let registry = Registry::new(Limits::default());
    let open = text(&registry, &own.gather(), Encoding::OpenMetrics, false);
    assert!(open.contains("# TYPE sidelight_hits counter\nsidelight_hits_total 0\n"), "{open}");
}

fn labels(values: [&str; 2]) -> Vec<proto::LabelPair> {
    let pairs = ["a", "b"].iter().zip(values).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    pairs.collect()
}

fn family(spec: &FamilySpec, kind: proto::MetricType, metrics: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(spec.name.clone());
    family.set_help(spec.help.clone());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn histogram(bounds: &[f64], values: &[f64]) -> proto::Histogram {
    let mut histogram = proto::Histogram::default();
    let below = |bound: f64| values.iter().filter(|value| **value <= bound).count() as u64;
    let buckets = bounds.iter().map(|bound| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below(*bound));
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(values.len() as u64);
    histogram.set_sample_sum(values.iter().fold(0.0, |sum, value| sum + value));
    histogram
}

/// Generates label sets without control characters, which the registry replaces; the second value
/// consists of characters that must be escaped.
fn sets() -> impl Strategy<Value = BTreeSet<(String, String)>> {
    let awkward = "[a\"\\\\\n{},=\u{e9} ]{0,6}";
    let any =
        any::<String>().prop_map(|text| cut(&text, usize::MAX, &mut String::new()).to_owned());
    proptest::collection::btree_set((any, awkward), 0..8)
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 1e-6..1e6f64, (0..5000i32).prop_map(|n| f64::from(n) / 100.0)]
}

proptest! {
    /// Scenario: a counter, a gauge and a histogram with any label values and numbers. Guarantees:
    /// our classic text equals the `prometheus` crate's byte by byte (built from its plain
    /// messages, because its vectors merge label values with equal hashes); so does our text of
    /// that crate's families; and both formats read back as the values and labels that were
    /// written.
    #[test]
    fn property_classic_text_is_the_prometheus_crates(
        sets in sets(),
        values in proptest::collection::vec(value(), 0..20),
        bounds in proptest::collection::btree_set(1..99_999u32, 0..12),
    ) {
        let bounds: Vec<f64> = bounds.into_iter().map(|bound| f64::from(bound) / 1000.0).collect();
        let registry = Registry::new(Limits { label_value_bytes_max: 4096, ..Limits::default() });
        let specs = [
            spec("c_total", "", FamilyKind::Counter, &["a", "b"]),
            spec("g", "", FamilyKind::SetGauge, &["a", "b"]),
            spec("h", "", FamilyKind::Histogram(bounds.clone()), &["a", "b"]),
        ];
        let ids = specs.each_ref().map(|spec| declared(&registry, spec.clone()));
        let mut writer = registry.writer();
        let mut metrics = [Vec::new(), Vec::new(), Vec::new()];
        let mut expected = BTreeSet::new();
        for (n, (a, b)) in sets.iter().enumerate() {
            let values = values.get(n..).unwrap_or_default();
            let [count, level] = [values.len() as f64 * 1e6, values.iter().sum::<f64>() + 0.0];
            let series = ids.map(|id| writer.series(id, &[a, b], NOW));
            writer.add(series[0], count as u64);
            writer.set(series[1], level, NOW);
            for value in values {
                writer.observe(series[2], *value);
            }
            let mut counter = proto::Metric::from_label(labels([a, b]));
            let mut inner = proto::Counter::default();
            inner.set_value(count);
            counter.set_counter(inner);
            let mut gauge = proto::Gauge::default();
            gauge.set_value(level);
            let mut gauge = proto::Metric::from_gauge(gauge);
            gauge.set_label(labels([a, b]));
            let mut took = proto::Metric::from_label(labels([a, b]));
            took.set_histogram(histogram(&bounds, values));
            for (metrics, metric) in metrics.iter_mut().zip([counter, gauge, took]) {
                metrics.push(metric);
            }
            expected.insert((key("c_total", &[("a", a), ("b", b)]), count.to_bits()));
        }
        let ours = text(&registry, &[], Encoding::Classic, false);
        let kinds =
            [proto::MetricType::COUNTER, proto::MetricType::GAUGE, proto::MetricType::HISTOGRAM];
        let theirs: Vec<MetricFamily> = specs.iter().zip(kinds).zip(metrics)
            .filter(|(_, metrics)| !metrics.is_empty())
            .map(|((spec, kind), metrics)| family(spec, kind, metrics))
            .collect();
        let mut oracle = Vec::new();
        TextEncoder::new().encode(&theirs, &mut oracle).expect("valid families");
        let oracle = String::from_utf8(oracle).expect("UTF-8");
        prop_assert_eq!(&ours, &oracle);
        let empty = Registry::new(Limits::default());
        prop_assert_eq!(&text(&empty, &theirs, Encoding::Classic, false), &oracle);
        for encoding in [Encoding::Classic, Encoding::OpenMetrics] {
            let read = read(&text(&registry, &[], encoding, false), encoding);
            let counters = read.samples.into_iter().filter(|((name, _), _)| name == "c_total");
            let counters: BTreeSet<_> = counters.map(|(key, v)| (key, v.to_bits())).collect();
            prop_assert_eq!(&counters, &expected);
        }
    }
}
