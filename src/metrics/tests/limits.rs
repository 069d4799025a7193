//! Tests of caps, overflow and siblings: what the limits bound, and that they lose nothing.

#![allow(clippy::float_cmp)] // counts and the sums chosen here are exact

use super::made::{NOW, closed, counter, label, seen, spec};
use crate::metrics::expose::Encoding;
use crate::metrics::naive::scrape;
use crate::metrics::{
    FamilyKind, FamilySpec, LabelSpec, Limits, OTHER, OVERFLOW_SETS_MAX, Registry,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

proptest! {
    /// Scenario: tight limits, any values, three shards that use them in any order. Guarantees:
    /// nothing added is lost, the limit holds, labels of closed sets stay readable, and the folds
    /// are counted.
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
            let values = [&*route.to_string(), method];
            let series = writers[*shard].series(family, &values, NOW);
            prop_assert_eq!(series, writers[*shard].series(family, &values, NOW));
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
        let folded = read.samples.iter().filter(|((_, labels), _)| labels[1].1 == OTHER);
        let folded: f64 = folded.map(|(_, value)| value).sum();
        let counted: u64 = registry.overflows().iter().map(|(_, _, n)| n).sum();
        // each was looked up twice and added once
        prop_assert_eq!(counted as f64, 2.0 * folded);
    }
}

/// Bug: every shard that used a series counted the characters that its creation had replaced, and
/// each value that was folded into `_other` counted too.
#[test]
fn a_replaced_value_counts_with_its_series() {
    let registry = Registry::new(Limits { label_sets_max: 2, ..Limits::default() });
    let family = registry.declare(counter(&[label("path")])).expect("valid");
    let mut writers = [registry.writer(), registry.writer()];
    for (value, expected) in [("/a\u{1b}", 1), ("/a", 1), ("/b\u{1b}", 1), ("/c\u{61c}", 1)] {
        for writer in &mut writers {
            let series = writer.series(family, &[value], NOW);
            writer.add(series, 1);
            assert_eq!(registry.replaced_count(), expected, "{value:?}");
        }
    }
}

/// Scenario: a million paths that no rule expects, on two shards. (Ten million behave the same:
/// nothing below depends on their number.) Guarantees: the number of series, and the values kept by
/// the table and by each shard, stay at the limit.
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
    let names = registry.admission().entry(0).values[0].names.len();
    assert_eq!(names, 52, "50 paths, _other and _unmatched");
    for writer in &writers {
        assert!(writer.known_values(family) <= 52 + 3, "paths and methods that a shard keeps");
    }
    let (family, label, folded) = registry.overflows().remove(0);
    assert_eq!((&*family, &*label), ("seen_total", "path"));
    assert!(folded > 90_000);
}

/// Guarantees: a rule that declares a request id as a closed set does not break the limit.
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
    let expected = ("seen_total".to_owned(), "path".to_owned(), 5_000 - 10);
    assert_eq!(registry.overflows(), [expected], "the open label is named, not the closed one");
}

#[test]
fn the_process_limit_closes_every_family_and_overflow_still_counts() {
    let registry = Registry::new(Limits { series_max: 3, ..Limits::default() });
    let x = [label("x")];
    let a = registry.declare(spec("a_total", FamilyKind::Counter, &x)).expect("valid");
    let before = registry.declare(spec("before_total", FamilyKind::Counter, &x)).expect("valid");
    let mut writer = registry.writer();
    for n in 0..5 {
        let series = writer.series(a, &[&n.to_string()], NOW);
        writer.add(series, 1);
    }
    let b = registry.declare(spec("b_total", FamilyKind::Counter, &x)).expect("valid");
    let c = registry.declare(spec("c_total", FamilyKind::Counter, &[])).expect("valid");
    for (family, values) in [(b, &["1"][..]), (c, &[]), (before, &["1"])] {
        let series = writer.series(family, values, NOW);
        writer.add(series, 7);
    }
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(read.value("a_total", &[("x", OTHER)]), Some(2.0));
    assert_eq!(read.value("b_total", &[("x", OTHER)]), Some(7.0));
    assert_eq!(read.value("before_total", &[("x", OTHER)]), Some(7.0));
    assert_eq!(read.value("c_total", &[]), Some(7.0), "a family without labels folds nothing");
    let overflows = registry.overflows();
    let expected = [("a_total", "x", 2), ("before_total", "x", 1), ("b_total", "x", 1)];
    assert_eq!(overflows, expected.map(|(f, l, n)| (f.to_owned(), l.to_owned(), n)));
}

/// Guarantees: a family with only closed labels folds only after even its overflow series are too
/// many.
#[test]
fn a_family_of_closed_labels_folds_last() {
    let registry = Registry::new(Limits { label_sets_max: 10, ..Limits::default() });
    let family = registry.declare(counter(&[closed("a"), closed("b")])).expect("valid");
    let mut writers = [registry.writer(), registry.writer()];
    for n in 0..1_000 {
        writers[n % 2].series(family, &[&(n % 3).to_string(), &n.to_string()], NOW);
    }
    let folded = 1_000 - 10 - OVERFLOW_SETS_MAX as u64;
    assert_eq!(registry.overflows(), [("seen_total".into(), "b".into(), folded)]);
}

#[test]
fn the_open_label_with_most_values_is_named() {
    let registry = Registry::new(Limits { label_sets_max: 9, ..Limits::default() });
    let labels = [closed("c"), label("few"), label("many"), label("one")];
    let family = registry.declare(counter(&labels)).expect("valid");
    let mut writer = registry.writer();
    for n in 0..20 {
        let (few, many) = ((n % 2).to_string(), (n % 5).to_string());
        writer.series(family, &[&n.to_string(), &few, &many, ""], NOW);
    }
    assert_eq!(registry.overflows(), [("seen_total".into(), "many".into(), 11)]);
}

/// Scenario: a full family with a full label, used by an existing shard and by a new one.
/// Guarantees: after a shard has seen each full flag once, no lookup takes the lock, whatever the
/// values.
#[test]
fn a_full_family_is_answered_without_the_lock() {
    let registry = Registry::new(Limits { label_sets_max: 20, ..Limits::default() });
    let capped = LabelSpec { values_max: Some(5), ..label("capped") };
    let labels = [label("path"), capped, closed("method")];
    let family = registry.declare(counter(&labels)).expect("valid");
    let mut writers = [registry.writer(), registry.writer()];
    let mut meet = |from: u32, writer: usize| {
        for n in from..from + 400 {
            let (path, capped) = ((n % 40).to_string(), (n / 7).to_string());
            writers[writer].series(family, &[&path, &capped, ["GET", "PUT"][n as usize % 2]], NOW);
        }
        registry.admission().calls
    };
    let first = meet(0, 0);
    assert!((22..60).contains(&first), "20 series, 2 overflow series, those that closed a flag");
    assert_eq!(meet(1_000, 0), first);
    let second = meet(0, 1);
    assert!(second <= first + 2, "the other shard copied all, and called for overflow at most");
    assert_eq!(meet(5_000, 1), second);
}

/// Scenario: another shard looks up an existing series again and again. Guarantees: a shard asks
/// the admission once per series.
#[test]
fn a_shard_asks_once_for_a_series() {
    let registry = Registry::new(Limits::default());
    let family = registry.declare(counter(&[label("a"), label("b")])).expect("valid");
    for shards in 1..4 {
        let mut writer = registry.writer();
        for _ in 0..10 {
            for (a, b) in [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")] {
                writer.series(family, &[a, b], NOW);
            }
        }
        assert_eq!(registry.admission().calls, 4 * shards);
    }
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
fn siblings_are_created_at_zero_and_never_block() {
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
        // there was no capacity for B's sibling; C is the overflow series, with its own sibling
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
    let long = "v".repeat(100);
    let siblings = vec![(0, vec![long.clone()])];
    let family =
        registry.declare(FamilySpec { siblings, ..counter(&[label("v")]) }).expect("valid");
    let mut writer = registry.writer();
    for value in [&*long, &format!("{long}w"), &long] {
        let series = writer.series(family, &[value], NOW);
        writer.add(series, 1);
    }
    let read = scrape(&registry, Encoding::Classic);
    assert_eq!(seen(&read).values().sum::<f64>(), 3.0);
    assert_eq!(read.samples.len(), 2);
    assert!(read.samples.keys().all(|(_, labels)| labels[0].1.len() == 32));
}
