//! Compares any operations on any shards with one plain map.

#![allow(clippy::float_cmp)] // counts and the sums chosen here are exact

use super::made::{BOUNDS, NOW, label, spec};
use crate::clock::UnixNanos;
use crate::metrics::expose::Encoding;
use crate::metrics::naive::{Key, key, scrape};
use crate::metrics::{FamilyId, FamilyKind, Limits, Registry, ShardWriter};
use proptest::prelude::*;
use std::collections::BTreeMap;

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

/// The samples that a reader should see, kept in one map by the documented rules alone.
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
    /// Scenario: one to three shards, any operations on any series of all five kinds, with scrapes
    /// between them. Guarantees: every scrape shows exactly what a recount in one map shows.
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
        let seen = recount.0.keys().any(|(name, _)| name == "seen_total");
        prop_assert_eq!(open.types.contains_key("seen"), seen);
    }
}
