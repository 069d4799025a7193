//! The rules for declaring a family and for declaring it again. Every rule is checked before a
//! series exists; no later code checks a name again.

use super::buckets::Bounds;
use super::family::{FamilyConflict, FamilyId, FamilyKind, FamilySpec};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Maximum number of labels of a family. A lookup keeps a label set as an array of numbers on the
/// stack, and each label has a bit that says that its values are complete. The widest known
/// exporters have 12.
pub const LABELS_MAX: usize = 16;

/// Maximum number of buckets of a histogram, not counting +Inf: the cells of a series are in one
/// chunk of 1,024. Prometheus recommends a few dozen at most.
pub const BOUNDS_MAX: usize = 256;

/// Maximum number of families of the process: a thousand rules with four families each. A family
/// adds at most [`OVERFLOW_SETS_MAX`] series beyond the limits.
pub const FAMILIES_MAX: usize = 4096;

/// Maximum number of overflow series of a family beyond its limits: nine methods by 28 status
/// codes. With more combinations the labels are not closed sets, whatever the rule says; these
/// combinations share the series with `_other` in every label.
pub const OVERFLOW_SETS_MAX: usize = 256;

/// Maximum number of series of the process, whatever the settings say. Even with the widest
/// overflow series of every family, all cells fit into 32-bit numbers. A Prometheus server refuses
/// far fewer series from one target.
pub const SERIES_MAX: usize = 1_000_000;

const _: () = {
    let all = SERIES_MAX + FAMILIES_MAX * (OVERFLOW_SETS_MAX + 1);
    // a chunk holds three series of the widest histograms
    assert!(all / 3 * super::cells::CHUNK_CELLS <= u32::MAX as usize);
};
const _: () = assert!(BOUNDS_MAX + 2 <= super::cells::CHUNK_CELLS);
const _: () = assert!(FAMILIES_MAX <= u16::MAX as usize && LABELS_MAX <= 16);

/// [`Family::full_flags`]: the family takes no further ordinary series.
pub(super) const FULL: u32 = 1 << 16;
/// [`Family::full_flags`]: the family takes no further overflow series either.
pub(super) const OVERFLOW_FULL: u32 = 1 << 17;

/// [`Family::full_flags`]: this label takes no further values.
pub(super) fn label_full(label: usize) -> u32 {
    1 << label
}

/// A declared family: the constant part, and the part that is read without a lock.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) id: FamilyId,
    pub(super) spec: FamilySpec,
    pub(super) bounds: Bounds,
    /// Bits that are set under the admission's lock and never cleared. After a bit is set, no
    /// series or value of that kind is created, so a shard that has copied all of them no longer
    /// needs the lock.
    pub(super) full_flags: AtomicU32,
    /// Number of values folded into an overflow series, by label.
    pub(super) folded: Box<[AtomicU64]>,
    /// The label that is reported for overflow of the whole family; chosen when the family becomes
    /// full.
    pub(super) overflow_label: AtomicU32,
}

impl Family {
    pub(super) fn new(id: FamilyId, spec: FamilySpec) -> Family {
        let bounds = match &spec.kind {
            FamilyKind::Histogram(bounds) => bounds.as_slice(),
            FamilyKind::Counter
            | FamilyKind::FloatCounter
            | FamilyKind::SetGauge
            | FamilyKind::AddGauge => &[],
        };
        Family {
            id,
            bounds: Bounds::new(bounds),
            full_flags: AtomicU32::new(0),
            folded: spec.labels.iter().map(|_| AtomicU64::new(0)).collect(),
            overflow_label: AtomicU32::new(0),
            spec,
        }
    }

    /// Counts a value that is folded because the values of its label are complete.
    pub(super) fn count_folded(&self, label: usize) {
        self.folded[label].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a label set that is folded because the family is full.
    pub(super) fn count_overflow(&self) {
        if let Some(folded) = self.folded.get(self.overflow_label.load(Ordering::Relaxed) as usize)
        {
            folded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns the spec with its complete name (`_total` for counters), or an error that says what is
/// wrong.
pub(super) fn checked(mut spec: FamilySpec) -> Result<FamilySpec, FamilyConflict> {
    let counter = matches!(spec.kind, FamilyKind::Counter | FamilyKind::FloatCounter);
    if counter && !spec.name.ends_with("_total") {
        spec.name.push_str("_total");
    }
    let name = &spec.name;
    if !is_metric_name(name) || name == "_total" {
        return refuse(format!(
            "`{name}` is no metric name: letters, digits, `_` and `:`, no digit first"
        ));
    }
    if name.starts_with("sidelight_") || PROCESS_NAMES.contains(&name.as_str()) {
        return refuse(format!("`{name}` is the name of one of sidelight's own metrics"));
    }
    if let FamilyKind::Histogram(bounds) = &mut spec.kind {
        if bounds.last() == Some(&f64::INFINITY) {
            bounds.pop();
        }
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if bounds.len() > BOUNDS_MAX || !ascending || !bounds.iter().all(|b| b.is_finite()) {
            return refuse(format!(
                "`{name}`: buckets must be at most {BOUNDS_MAX} finite numbers in ascending order"
            ));
        }
    }
    check_labels(&spec)?;
    Ok(spec)
}

fn check_labels(spec: &FamilySpec) -> Result<(), FamilyConflict> {
    let (name, labels) = (&spec.name, &spec.labels);
    if labels.len() > LABELS_MAX {
        return refuse(format!("`{name}` has {} labels; at most {LABELS_MAX}", labels.len()));
    }
    for (n, label) in labels.iter().map(|label| label.name.as_str()).enumerate() {
        if !is_label_name(label) {
            return refuse(format!(
                "`{name}`: `{label}` is no label name: letters, digits and `_`, no digit first"
            ));
        }
        if label.starts_with("__") {
            return refuse(format!("`{name}`: label `{label}`: `__` is Prometheus' own prefix"));
        }
        if label == "le" && matches!(spec.kind, FamilyKind::Histogram(_)) {
            return refuse(format!("`{name}`: label `le` belongs to the histogram's buckets"));
        }
        if labels[..n].iter().any(|before| before.name == label) {
            return refuse(format!("`{name}` has label `{label}` twice"));
        }
    }
    match spec.siblings.iter().find(|(label, _)| *label >= labels.len()) {
        Some((label, _)) => refuse(format!("`{name}`: siblings of label {label}, which is none")),
        None => Ok(()),
    }
}

/// Checks whether a name may be declared again with this spec. Help and siblings may change; a
/// change of anything else would change the meaning of a stored series.
pub(super) fn compatible(old: &FamilySpec, new: &FamilySpec) -> Result<(), FamilyConflict> {
    let name = &old.name;
    if old.kind != new.kind {
        let message = match (&old.kind, &new.kind) {
            (FamilyKind::Histogram(a), FamilyKind::Histogram(b)) => {
                format!("`{name}` has buckets {a:?}, not {b:?}")
            }
            (a, b) => format!("`{name}` is a {}, not a {}", describe(a), describe(b)),
        };
        return refuse(message + AFTER_RESTART);
    }
    if old.unit != new.unit {
        let message = format!("`{name}` has unit `{}`, not `{}`", old.unit, new.unit);
        return refuse(message + AFTER_RESTART);
    }
    if old.labels != new.labels {
        let words = |spec: &FamilySpec| -> String {
            let labels = spec.labels.iter().map(|label| {
                let closed = if label.closed { " (closed)" } else { "" };
                let max = label.values_max.map_or(String::new(), |max| format!(" (at most {max})"));
                format!("{}{closed}{max}", label.name)
            });
            labels.collect::<Vec<_>>().join(", ")
        };
        let message = format!("`{name}` has labels [{}], not [{}]", words(old), words(new));
        return refuse(message + AFTER_RESTART);
    }
    Ok(())
}

const AFTER_RESTART: &str = "; restart to change it, or choose another name";

fn describe(kind: &FamilyKind) -> &'static str {
    match kind {
        FamilyKind::Counter => "counter",
        FamilyKind::FloatCounter => "counter of a field's sum",
        FamilyKind::SetGauge => "gauge that is set",
        FamilyKind::AddGauge => "gauge that is added to",
        FamilyKind::Histogram(_) => "histogram",
    }
}

/// Returns whether two families of different names would write a sample or a type line of the same
/// name.
pub(super) fn collide(a: &FamilySpec, b: &FamilySpec) -> bool {
    let (a, b) = (written_names(a), written_names(b));
    a.iter().any(|name| b.contains(name))
}

fn written_names(spec: &FamilySpec) -> Vec<String> {
    let (base, suffixes): (&str, &[&str]) = match &spec.kind {
        FamilyKind::Counter | FamilyKind::FloatCounter => {
            (spec.name.strip_suffix("_total").unwrap_or(&spec.name), &["", "_total", "_created"])
        }
        FamilyKind::SetGauge | FamilyKind::AddGauge => (&spec.name, &[""]),
        FamilyKind::Histogram(_) => (&spec.name, &["", "_bucket", "_sum", "_count", "_created"]),
    };
    suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
}

/// The process metrics that Prometheus' client libraries define and sidelight writes about itself.
const PROCESS_NAMES: [&str; 9] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_network_receive_bytes_total",
    "process_network_transmit_bytes_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

fn is_metric_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    name.bytes().all(legal) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

pub(super) fn refuse<T>(message: String) -> Result<T, FamilyConflict> {
    Err(FamilyConflict { message })
}
