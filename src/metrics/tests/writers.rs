//! Tests of shards and their writers, of concurrent scrapes, and of what may be declared.

#![allow(clippy::float_cmp)] // counts and the sums chosen here are exact

use super::made::{BOUNDS, NOW, closed, counter, label, seen, spec};
use crate::clock::UnixNanos;
use crate::metrics::expose::Encoding;
use crate::metrics::naive::scrape;
use crate::metrics::{BOUNDS_MAX, FamilyKind, FamilySpec, LABELS_MAX, Limits, Registry};
use std::collections::BTreeMap;

/// Guarantees: no wide histogram has cells in two chunks, although chunks are no multiple of its
/// size.
#[test]
fn a_wide_histogram_has_cells_of_its_own() {
    let registry = Registry::new(Limits::default());
    let bounds: Vec<f64> = (0..BOUNDS_MAX as u32).map(f64::from).collect();
    let took = spec("took", FamilyKind::Histogram(bounds), &[label("v")]);
    let family = registry.declare(took).expect("valid");
    let mut writer = registry.writer();
    let mut late = registry.writer();
    for n in 0..20u32 {
        let series = writer.series(family, &[&n.to_string()], NOW);
        for value in [0.0, 100.0, 1e9] {
            writer.observe(series, value);
        }
        late.observe(series, f64::from(n));
    }
    let read = scrape(&registry, Encoding::Classic);
    for n in 0..20u32 {
        let value = |name, le: &str| {
            let (v, mut labels) = (n.to_string(), Vec::new());
            labels.push(("v", v.as_str()));
            labels.extend((!le.is_empty()).then_some(("le", le)));
            read.value(name, &labels).expect("a sample")
        };
        assert_eq!(value("took_count", ""), 4.0);
        assert_eq!(value("took_sum", ""), 1_000_000_100.0 + f64::from(n));
        assert_eq!(value("took_bucket", "255"), 3.0);
    }
}

#[test]
fn the_newest_set_gauge_wins_over_shards() {
    let registry = Registry::new(Limits::default());
    let family = registry.declare(spec("level", FamilyKind::SetGauge, &[])).expect("valid");
    let mut writers = [registry.writer(), registry.writer()];
    let shown = |registry: &Registry| scrape(registry, Encoding::Classic).value("level", &[]);
    let series = writers.each_mut().map(|writer| writer.series(family, &[], NOW));
    assert_eq!(series[0], series[1]);
    assert_eq!(shown(&registry), Some(0.0));
    writers[0].set(series[0], 3.0, UnixNanos(0));
    assert_eq!(shown(&registry), Some(3.0), "a time of 0 is a time");
    writers[1].set(series[1], 5.0, UnixNanos(20));
    writers[0].set(series[0], 7.0, UnixNanos(10));
    assert_eq!(shown(&registry), Some(5.0));
    writers[0].set(series[0], f64::NEG_INFINITY, UnixNanos(30));
    assert_eq!(shown(&registry), Some(f64::NEG_INFINITY));
}

#[test]
fn a_sum_survives_what_is_not_finite() {
    let registry = Registry::new(Limits::default());
    let sum = registry.declare(spec("sum_total", FamilyKind::FloatCounter, &[])).expect("valid");
    let gauge = registry.declare(spec("active", FamilyKind::AddGauge, &[])).expect("valid");
    let mut writer = registry.writer();
    let (sum, gauge) = (writer.series(sum, &[], NOW), writer.series(gauge, &[], NOW));
    for by in [1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -1.0] {
        writer.add_f64(sum, by);
        writer.add_f64(gauge, by);
    }
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(read.value("sum_total", &[]), Some(1.5));
    assert_eq!(read.value("active", &[]), Some(0.5));
}

#[test]
fn a_shard_without_a_writer_keeps_its_numbers() {
    let registry = Registry::new(Limits::default());
    let family = registry.declare(counter(&[label("v")])).expect("valid");
    for round in 0..100 {
        let mut writer = registry.writer();
        let series = writer.series(family, &["a"], NOW);
        writer.add(series, 1);
        let read = scrape(&registry, Encoding::Classic);
        assert_eq!(read.value("seen_total", &[("v", "a")]), Some(f64::from(round + 1)));
    }
    assert_eq!(registry.shard_count(), 1, "no memory a restart of a thread");
}

#[test]
fn a_series_of_another_shard_may_be_written() {
    let registry = Registry::new(Limits::default());
    let family = registry.declare(counter(&[])).expect("valid");
    let (mut one, mut two) = (registry.writer(), registry.writer());
    let series = one.series(family, &[], NOW);
    one.add(series, 1);
    two.add(series, 2);
    assert_eq!(scrape(&registry, Encoding::Classic).value("seen_total", &[]), Some(3.0));
}

/// Scenario: two threads count and observe, creating new series, while a third scrapes. Guarantees:
/// no sample ever decreases, buckets ascend, +Inf equals the count, nothing is lost.
#[test]
fn a_scrape_while_writing_never_sees_a_counter_decrease() {
    const ROUNDS: u32 = 30_000;
    let registry = Registry::new(Limits { label_sets_max: 20, ..Limits::default() });
    let labels = [label("v")];
    let count = registry.declare(counter(&labels)).expect("valid");
    let took = FamilyKind::Histogram(BOUNDS.to_vec());
    let took = registry.declare(spec("took", took, &labels)).expect("valid");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let mut writer = registry.writer();
                scope.spawn(move || {
                    for n in 0..ROUNDS {
                        let value = (n / 1000).to_string();
                        let series = writer.series(count, &[&value], NOW);
                        writer.add(series, 1);
                        let series = writer.series(took, &[&value], NOW);
                        writer.observe(series, f64::from(n % 12));
                    }
                })
            })
            .collect();
        let mut last = BTreeMap::new();
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let read = scrape(&registry, Encoding::Classic);
            for (key, value) in &last {
                assert!(read.samples[key] >= *value, "{key:?} decreased");
            }
            last = read.samples;
        }
    });
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(seen(&read).values().sum::<f64>(), f64::from(2 * ROUNDS));
    let counts = read.samples.iter().filter(|((name, _), _)| name == "took_count");
    assert_eq!(counts.map(|(_, value)| value).sum::<f64>(), f64::from(2 * ROUNDS));
}

#[test]
fn what_may_not_be_declared_is_refused_in_words() {
    let ok = || counter(&[label("a")]);
    let took = |bounds: &[f64]| spec("took", FamilyKind::Histogram(bounds.to_vec()), &[]);
    let cases: Vec<(FamilySpec, &str)> = vec![
        (FamilySpec { name: "1x".into(), ..ok() }, "`1x_total` is no metric name"),
        (FamilySpec { name: "_total".into(), ..ok() }, "no metric name"),
        (FamilySpec { name: "a-b".into(), ..ok() }, "no metric name"),
        (FamilySpec { name: "sidelight_x_total".into(), ..ok() }, "sidelight's own"),
        (FamilySpec { name: "process_cpu_seconds".into(), ..ok() }, "sidelight's own"),
        (counter(&[label("a:b")]), "no label name"),
        (counter(&[label("")]), "no label name"),
        (counter(&[label("__name__")]), "Prometheus' own prefix"),
        (counter(&[label("a"), label("a")]), "label `a` twice"),
        (counter(&vec![label("a"); LABELS_MAX + 1]), "17 labels; at most 16"),
        (spec("took", FamilyKind::Histogram(vec![1.0]), &[label("le")]), "belongs to the"),
        (took(&[1.0, 1.0]), "ascending"),
        (took(&[f64::NAN]), "finite"),
        (took(&[f64::NEG_INFINITY, 1.0]), "finite"),
        (FamilySpec { siblings: vec![(1, vec![])], ..ok() }, "siblings of label 1"),
        (spec("old", FamilyKind::SetGauge, &[]), "names of `old_total`"),
        (FamilySpec { kind: FamilyKind::FloatCounter, ..old() }, "a counter, not a counter of a"),
        (FamilySpec { unit: "bytes".into(), ..old() }, "unit ``, not `bytes`"),
        (FamilySpec { labels: vec![closed("a")], ..old() }, "labels [a], not [a (closed)]"),
    ];
    let registry = Registry::new(Limits::default());
    registry.declare(old()).expect("valid");
    for (spec, message) in cases {
        let conflict = registry.declare(spec.clone()).expect_err("refused");
        assert!(conflict.message.contains(message), "{spec:?}: {conflict}");
    }
    let id = registry.declare(took(&[1.0, f64::INFINITY])).expect("+Inf is understood");
    assert_eq!(registry.declare(took(&[1.0])), Ok(id));
    assert!(registry.declare(took(&[2.0])).is_err_and(|e| e.message.contains("[1.0], not [2.0]")));
}

fn old() -> FamilySpec {
    FamilySpec { name: "old_total".into(), ..counter(&[label("a")]) }
}

#[test]
fn a_family_declared_again_keeps_its_number_and_takes_new_words() {
    let registry = Registry::new(Limits::default());
    let id = registry.declare(old()).expect("valid");
    let mut writer = registry.writer();
    writer.series(id, &["1"], NOW);
    assert_eq!(scrape(&registry, Encoding::Classic).help["old_total"], "What seen_total is.");
    let siblings = vec![(0, vec!["3".to_owned()])];
    let again = FamilySpec { name: "old".into(), help: "New.".into(), siblings, ..old() };
    assert_eq!(registry.declare(again), Ok(id), "_total is completed");
    writer.series(id, &["2"], NOW);
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(read.help["old_total"], "New.");
    assert_eq!(read.value("old_total", &[("a", "3")]), Some(0.0));
    assert_eq!(registry.series_count(), 3);
}

#[test]
#[should_panic(expected = "a value for each label")]
fn a_missing_value_is_a_mistake_of_the_caller() {
    let registry = Registry::new(Limits::default());
    let family = registry.declare(counter(&[label("a")])).expect("valid");
    registry.writer().series(family, &[], NOW);
}
