//! The registry and its shards against a plain recount, the limits, and scrapes while others write.
#![allow(clippy::float_cmp)] // counts and the sums chosen here are exact

use super::expose::Encoding;
use super::naive::{Key, Read, key, scrape};
use super::*;
use crate::clock::UnixNanos;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NOW: UnixNanos = UnixNanos(1_700_000_000_500_000_000);

fn label(name: &str) -> LabelSpec {
    LabelSpec { name: name.into(), closed: false, values_max: None }
}

fn closed(name: &str) -> LabelSpec {
    LabelSpec { closed: true, ..label(name) }
}

fn spec(name: &str, kind: FamilyKind, labels: &[LabelSpec]) -> FamilySpec {
    FamilySpec {
        name: name.into(),
        help: format!("What {name} is."),
        unit: String::new(),
        kind,
        labels: labels.to_vec(),
        siblings: Vec::new(),
    }
}

fn counter(labels: &[LabelSpec]) -> FamilySpec {
    spec("seen_total", FamilyKind::Counter, labels)
}

fn seen(read: &Read) -> BTreeMap<&[(String, String)], f64> {
    let seen = read.samples.iter().filter(|((name, _), _)| name == "seen_total");
    seen.map(|((_, labels), value)| (labels.as_slice(), *value)).collect()
}

const BOUNDS: [f64; 5] = [0.0, 0.5, 1.0, 2.5, 10.0];

#[derive(Clone, Debug)]
enum Op {
    Add(u64),
    Sum(f64),
    Change(f64),
    Set(f64),
    Observe(f64),
    Scrape,
}

fn op() -> impl Strategy<Value = Op> {
    let number = prop_oneof![
        (-40..200i32).prop_map(|n| f64::from(n) / 8.0),
        Just(0.0),
        Just(f64::NAN),
        proptest::sample::select(&BOUNDS[..]),
    ];
    prop_oneof![
        (0..1000u64).prop_map(Op::Add),
        number.clone().prop_map(Op::Sum),
        number.clone().prop_map(Op::Change),
        (0..100i32).prop_map(|n| Op::Set(f64::from(n))),
        number.prop_map(Op::Observe),
        Just(Op::Scrape),
    ]
}

/// What a reader should see, kept in one map by the rules of the documentation alone.
#[derive(Default)]
struct Recount(BTreeMap<Key, f64>);

impl Recount {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], by: f64) {
        *self.0.entry(key(name, labels)).or_insert(0.0) += by;
    }

    fn apply(&mut self, op: &Op, labels: &[(&str, &str)]) {
        match *op {
            Op::Add(by) => self.add("seen_total", labels, by as f64),
            Op::Sum(by) => self.add("bytes_total", labels, if by > 0.0 { by } else { 0.0 }),
            Op::Change(by) => self.add("active", labels, if by.is_nan() { 0.0 } else { by }),
            Op::Set(value) => {
                self.0.insert(key("level", labels), value);
            }
            Op::Observe(value) => {
                let counts = if value.is_nan() { 0.0 } else { 1.0 };
                for bound in BOUNDS.iter().chain(&[f64::INFINITY]) {
                    let le = match *bound {
                        f64::INFINITY => "+Inf".to_owned(),
                        bound => bound.to_string(),
                    };
                    let labels: Vec<_> = labels.iter().copied().chain([("le", &*le)]).collect();
                    self.add("took_bucket", &labels, if value <= *bound { 1.0 } else { 0.0 });
                }
                self.add("took_sum", labels, if value.is_nan() { 0.0 } else { value });
                self.add("took_count", labels, counts);
            }
            Op::Scrape => {}
        }
    }
}

fn apply(writer: &mut ShardWriter, ids: &[FamilyId], op: &Op, values: &[&str], at: UnixNanos) {
    match *op {
        Op::Add(by) => {
            let series = writer.series(ids[0], values, NOW);
            writer.add(series, by);
        }
        Op::Sum(by) => {
            let series = writer.series(ids[1], values, NOW);
            writer.add_f64(series, by);
        }
        Op::Change(by) => {
            let series = writer.series(ids[2], values, NOW);
            writer.add_f64(series, by);
        }
        Op::Set(value) => {
            let series = writer.series(ids[3], values, NOW);
            writer.set(series, value, at);
        }
        Op::Observe(value) => {
            let series = writer.series(ids[4], values, NOW);
            writer.observe(series, value);
        }
        Op::Scrape => unreachable!("not for a writer"),
    }
}

proptest! {
    /// Scenario: one to three shards, any operations on any series of all five kinds, scrapes between.
    /// Guarantees: every scrape shows exactly what a recount in one map shows.
    #[test]
    fn property_shards_agree_with_a_recount(
        shards in 1..4usize,
        ops in proptest::collection::vec((op(), 0..3usize, 0..4usize, 0..3usize), 1..120),
    ) {
        let registry = Registry::new(Limits::default());
        let labels = [label("a"), label("b")];
        let ids: Vec<FamilyId> = [
            spec("seen_total", FamilyKind::Counter, &labels),
            spec("bytes_total", FamilyKind::FloatCounter, &labels),
            spec("active", FamilyKind::AddGauge, &labels),
            spec("level", FamilyKind::SetGauge, &labels),
            spec("took", FamilyKind::Histogram(BOUNDS.to_vec()), &labels),
        ].into_iter().map(|spec| registry.declare(spec).expect("valid")).collect();
        let mut writers: Vec<ShardWriter> = (0..shards).map(|_| registry.writer()).collect();
        let mut recount = Recount::default();
        for (time, (op, shard, a, b)) in ops.iter().enumerate() {
            let (a, b) = (["x", "xy", "", "\u{e9}\n"][*a], ["yz", "z", "\"\\"][*b]);
            if matches!(op, Op::Scrape) {
                prop_assert_eq!(&scrape(&registry, Encoding::Classic).samples, &recount.0);
                continue;
            }
            let at = UnixNanos(NOW.0 + time as u64);
            apply(&mut writers[shard % shards], &ids, op, &[a, b], at);
            recount.apply(op, &[("a", a), ("b", b)]);
        }
        prop_assert_eq!(&scrape(&registry, Encoding::Classic).samples, &recount.0);
        drop(writers);
        prop_assert_eq!(&scrape(&registry, Encoding::Classic).samples, &recount.0);
        let open = scrape(&registry, Encoding::OpenMetrics);
        prop_assert_eq!(open.samples.get(&key("seen_total", &[])), None);
        prop_assert_eq!(open.types.contains_key("seen"), recount.0.keys().any(|k| k.0 == "seen_total"));
    }

    /// Scenario: tight limits, any values, three shards that meet them in any order.
    /// Guarantees: nothing added is lost, the bound holds, labels of closed sets stay readable, and
    /// the folds are counted.
    #[test]
    fn property_limits_fold_and_lose_nothing(
        met in proptest::collection::vec((0..3usize, 0..30u32, 0..4usize), 1..300),
        label_sets_max in 0..12usize, series_max in 0..20usize, values_max in 0..8usize,
    ) {
        let registry = Registry::new(Limits { series_max, label_sets_max, ..Limits::default() });
        let route = LabelSpec { values_max: Some(values_max), ..label("route") };
        let family = registry.declare(counter(&[route, closed("method")])).expect("valid");
        let mut writers = [registry.writer(), registry.writer(), registry.writer()];
        let mut by_method: BTreeMap<&str, f64> = BTreeMap::new();
        for (shard, route, method) in &met {
            let method = ["GET", "PUT", "POST", "DELETE"][*method];
            let series = writers[*shard].series(family, &[&route.to_string(), method], NOW);
            prop_assert_eq!(series, writers[*shard].series(family, &[&route.to_string(), method], NOW));
            writers[*shard].add(series, 1);
            *by_method.entry(method).or_default() += 1.0;
        }
        let read = scrape(&registry, Encoding::Classic);
        let mut shown: BTreeMap<&str, f64> = BTreeMap::new();
        let mut routes = BTreeSet::new();
        for ((_, labels), value) in &read.samples {
            *shown.entry(&labels[0].1).or_default() += value;
            routes.insert(&labels[1].1);
        }
        prop_assert_eq!(shown, by_method);
        prop_assert!(routes.len() <= values_max + 1);
        prop_assert!(read.samples.len() <= label_sets_max.min(series_max) + 4);
        prop_assert_eq!(read.samples.len(), registry.series_count());
        let folded: f64 = read.samples.iter().filter(|((_, l), _)| l[1].1 == OTHER).map(|(_, v)| v).sum();
        let counted: u64 = registry.overflows().iter().map(|(_, _, n)| n).sum();
        // each was asked for twice and added once
        prop_assert_eq!(counted as f64, 2.0 * folded);
    }
}

/// Scenario: a million paths no rule foresaw (ten million behave the same: nothing below depends on how
/// many there were), on two shards.
/// Guarantees: series, values kept by the table and by each shard stay at the limit.
#[test]
fn distinct_values_cost_a_fixed_memory() {
    let registry = Registry::new(Limits { label_sets_max: 50, ..Limits::default() });
    let family = registry.declare(counter(&[label("path"), closed("method")])).expect("valid");
    let mut writers = [registry.writer(), registry.writer()];
    for n in 0..1_000_000 / if cfg!(debug_assertions) { 10 } else { 1 } {
        let writer = &mut writers[n % 2];
        let series = writer.series(family, &[&format!("/{n}"), "GET"], NOW);
        writer.add(series, 1);
    }
    assert_eq!(registry.series_count(), 51);
    assert_eq!(registry.admission().entry(0).values[0].names.len(), 51, "50 paths and _other");
    for writer in &writers {
        assert!(writer.known_values(family) <= 51 + 2, "paths and methods that a shard keeps");
    }
    let (family, label, folded) = registry.overflows().remove(0);
    assert_eq!((&*family, &*label), ("seen_total", "path"));
    assert!(folded > 90_000);
}

/// A rule that calls a request id a closed set must not break the bound.
#[test]
fn a_closed_label_with_absurd_values_is_bounded() {
    let registry = Registry::new(Limits { label_sets_max: 10, ..Limits::default() });
    let family = registry.declare(counter(&[closed("id"), label("path")])).expect("valid");
    let mut writers = [registry.writer(), registry.writer()];
    for n in 0..5_000 {
        let series = writers[n % 2].series(family, &[&n.to_string(), "/"], NOW);
        writers[n % 2].add(series, 1);
    }
    assert_eq!(registry.series_count(), 10 + OVERFLOW_SETS_MAX + 1);
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(read.samples.values().sum::<f64>(), 5_000.0);
    let all = 5_000 - 10 - OVERFLOW_SETS_MAX;
    let folded = read.value("seen_total", &[("id", OTHER), ("path", OTHER)]);
    assert_eq!(folded, Some(all as f64));
}

#[test]
fn the_process_limit_closes_every_family_and_overflow_still_counts() {
    let registry = Registry::new(Limits { series_max: 3, ..Limits::default() });
    let a = registry.declare(spec("a_total", FamilyKind::Counter, &[label("x")])).expect("valid");
    let mut writer = registry.writer();
    for n in 0..5 {
        let series = writer.series(a, &[&n.to_string()], NOW);
        writer.add(series, 1);
    }
    let b = registry.declare(spec("b_total", FamilyKind::Counter, &[label("x")])).expect("valid");
    let c = registry.declare(spec("c_total", FamilyKind::Counter, &[])).expect("valid");
    for (family, values) in [(b, &["1"][..]), (c, &[])] {
        let series = writer.series(family, values, NOW);
        writer.add(series, 7);
    }
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(read.value("a_total", &[("x", OTHER)]), Some(2.0));
    assert_eq!(read.value("b_total", &[("x", OTHER)]), Some(7.0));
    assert_eq!(read.value("c_total", &[]), Some(7.0), "a family without labels folds nothing");
    let overflows = registry.overflows();
    let expected = [("a_total", "x", 2), ("b_total", "x", 1)];
    assert_eq!(overflows, expected.map(|(f, l, n)| (f.to_owned(), l.to_owned(), n)));
}

#[test]
fn a_capped_label_is_named_and_the_others_stay() {
    let registry = Registry::new(Limits::default());
    let capped = LabelSpec { values_max: Some(2), ..label("endpoint") };
    let family = registry.declare(counter(&[label("method"), capped])).expect("valid");
    let mut writer = registry.writer();
    for endpoint in ["/a", "/b", "/c", "/d", "/a"] {
        let series = writer.series(family, &["GET", endpoint], NOW);
        writer.add(series, 1);
    }
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(read.value("seen_total", &[("method", "GET"), ("endpoint", OTHER)]), Some(2.0));
    assert_eq!(read.value("seen_total", &[("method", "GET"), ("endpoint", "/a")]), Some(2.0));
    assert_eq!(registry.overflows(), [("seen_total".into(), "endpoint".into(), 2)]);
}

#[test]
fn siblings_are_born_at_zero_and_never_block() {
    let registry = Registry::new(Limits { label_sets_max: 3, ..Limits::default() });
    let siblings = vec![(1, vec!["expected".to_owned(), "unexpected".to_owned()])];
    let declared = FamilySpec { siblings, ..counter(&[label("type"), closed("kind")]) };
    let family = registry.declare(declared).expect("valid");
    let mut writer = registry.writer();
    for class in ["A", "B", "C"] {
        let series = writer.series(family, &[class, "expected"], NOW);
        writer.add(series, 1);
    }
    let read = scrape(&registry, Encoding::Classic);
    let expected = [
        (("A", "expected"), 1.0),
        (("A", "unexpected"), 0.0),
        (("B", "expected"), 1.0),
        // B's sibling found no room; C is the overflow series, with its own
        ((OTHER, "expected"), 1.0),
        ((OTHER, "unexpected"), 0.0),
    ];
    assert_eq!(read.samples.len(), expected.len());
    for ((class, kind), value) in expected {
        assert_eq!(read.value("seen_total", &[("type", class), ("kind", kind)]), Some(value));
    }
}

#[test]
fn long_values_are_cut_in_the_series_and_stay_apart() {
    let registry = Registry::new(Limits { label_value_bytes_max: 32, ..Limits::default() });
    let family = registry.declare(counter(&[label("v")])).expect("valid");
    let mut writer = registry.writer();
    let long = "v".repeat(100);
    for value in [&*long, &format!("{long}w"), &long] {
        let series = writer.series(family, &[value], NOW);
        writer.add(series, 1);
    }
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(seen(&read).values().sum::<f64>(), 3.0);
    assert_eq!(read.samples.len(), 2);
    assert!(read.samples.keys().all(|(_, labels)| labels[0].1.len() == 32));
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
fn a_shard_whose_writer_left_keeps_its_numbers() {
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
    two.series(family, &[], NOW);
    one.add(series, 1);
    two.add(series, 2);
    assert_eq!(scrape(&registry, Encoding::Classic).value("seen_total", &[]), Some(3.0));
}

/// Scenario: two threads count and observe, meeting new series, while a third scrapes.
/// Guarantees: no sample ever decreases, buckets ascend, +Inf is the count, nothing is lost.
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
