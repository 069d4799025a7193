//! Families that the tests declare.

use crate::clock::UnixNanos;
use crate::metrics::naive::Read;
use crate::metrics::{FamilyKind, FamilySpec, LabelSpec};
use std::collections::BTreeMap;

pub(super) const NOW: UnixNanos = UnixNanos(1_700_000_000_500_000_000);

pub(super) fn label(name: &str) -> LabelSpec {
    LabelSpec { name: name.into(), closed: false, values_max: None }
}

pub(super) fn closed(name: &str) -> LabelSpec {
    LabelSpec { closed: true, ..label(name) }
}

pub(super) fn spec(name: &str, kind: FamilyKind, labels: &[LabelSpec]) -> FamilySpec {
    FamilySpec {
        name: name.into(),
        help: format!("What {name} is."),
        unit: String::new(),
        kind,
        labels: labels.to_vec(),
        siblings: Vec::new(),
    }
}

pub(super) fn counter(labels: &[LabelSpec]) -> FamilySpec {
    spec("seen_total", FamilyKind::Counter, labels)
}

pub(super) fn seen(read: &Read) -> BTreeMap<&[(String, String)], f64> {
    let seen = read.samples.iter().filter(|((name, _), _)| name == "seen_total");
    seen.map(|((_, labels), value)| (labels.as_slice(), *value)).collect()
}

pub(super) const BOUNDS: [f64; 5] = [0.0, 0.5, 1.0, 2.5, 10.0];
