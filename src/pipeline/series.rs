//! Finds the series of a record's measures, caches them, and records the values. One lookup serves
//! all measures of a group. Unit: one group of measures and one record.

use super::label::{self, RecordContext};
use super::memo::{Facts, Key, Memo, Pending};
use super::outsider;
use super::plan::Group;
use crate::clock::UnixNanos;
use crate::metrics::{Exemplar, LABELS_MAX, SeriesId, ShardWriter};
use crate::record::field::Unit;
use crate::record::{field, number};
use crate::rules::action::{Measure, MeasureKind, Value};
use crate::rules::set::{On, RuleSet};
use crate::rules::template;
use crate::spans::SpanRef;

/// Records measures into the shard of one data thread.
#[derive(Debug)]
pub(super) struct SeriesRecorder {
    writer: ShardWriter,
    memo: Memo,
    /// The key of the current lookup.
    key: Key,
    /// Label values during the lookup of a series.
    label_values: [String; LABELS_MAX],
    /// True if a label value of the current series was held back.
    is_held_back: bool,
    /// The registry's count of label values when the memo was last cleared as outdated.
    values_count: u32,
    /// The route template during the lookup of a key.
    template: String,
    /// The series of a group during their lookup.
    resolved: Vec<Option<SeriesId>>,
    exemplars: ExemplarCandidates,
}

/// The series in which the current record counted and which accept an exemplar, with the values.
/// Most series already have one until the next scrape, so that the list is nearly always empty.
#[derive(Debug, Default)]
struct ExemplarCandidates {
    /// Exemplars can point at the record's span: it has one, or gets one.
    are_wanted: bool,
    list: Vec<(SeriesId, f64)>,
}

impl ExemplarCandidates {
    #[inline]
    fn add(&mut self, writer: &ShardWriter, series: SeriesId, value: f64) {
        if self.are_wanted && writer.wants_exemplar(series, value) {
            self.list.push((series, value));
        }
    }
}

impl SeriesRecorder {
    pub(super) fn new(writer: ShardWriter) -> SeriesRecorder {
        SeriesRecorder {
            writer,
            memo: Memo::new(),
            key: Key::new(),
            label_values: Default::default(),
            is_held_back: false,
            values_count: 0,
            template: String::new(),
            resolved: Vec::new(),
            exemplars: ExemplarCandidates::default(),
        }
    }

    /// Discards everything that was cached for the old rules.
    pub(super) fn forget(&mut self) {
        self.memo.forget();
    }

    /// Starts a record. `wants_exemplars` says whether exemplars can point at its span.
    #[inline]
    pub(super) fn begin(&mut self, wants_exemplars: bool) {
        self.exemplars.are_wanted = wants_exemplars;
        if !self.exemplars.list.is_empty() {
            self.exemplars.list.clear();
        }
    }

    /// Records all measures of a group with one lookup.
    #[inline]
    pub(super) fn record_group(
        &mut self,
        group: &Group,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
    ) -> Facts {
        // The fields of a syslog header are not part of a key.
        let has_key = context.record.is_bare() && self.key.read(group, context.record);
        if has_key && let Some(facts) = self.record_remembered(group, context, seconds) {
            return facts;
        }
        self.record_unknown(group, context, seconds, has_key)
    }

    /// Records the measures of functions; their only label is the function's name.
    pub(super) fn record_function(
        &mut self,
        group: &Group,
        name: &str,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
    ) {
        let has_key = self.key.take(group, name);
        if !has_key || self.record_remembered(group, context, seconds).is_none() {
            self.resolve_and_record(group, context, seconds, Facts::NONE, has_key);
        }
    }

    /// Records the measures of the standard rules for one kind of event.
    pub(super) fn record_standard(
        &mut self,
        rules: &RuleSet,
        on: On,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
    ) {
        for rule in rules.standard().filter(|rule| rule.on == on) {
            for measure in rule.measures() {
                self.record_measure(measure, context, seconds);
            }
        }
    }

    /// Records one measure; looks its series up by its label values.
    pub(super) fn record_measure(
        &mut self,
        measure: &Measure,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
    ) {
        // A histogram without a value gets no series.
        if is_duration(measure) && seconds.is_none() {
            return;
        }
        if let Some(series) = self.resolve(measure, context) {
            self.record(measure, series, context, seconds);
        }
    }

    /// Adds to a gauge without labels.
    pub(super) fn add_to_gauge(&mut self, measure: &Measure, by: f64, now: UnixNanos) {
        let series = self.writer.series(measure.family, &[], now);
        self.writer.add_f64(series, by);
    }

    /// Returns true if some series of the current record accepts an exemplar.
    #[inline]
    pub(super) fn takes_exemplar(&self) -> bool {
        !self.exemplars.list.is_empty()
    }

    /// Points the exemplars of the current record at a span.
    pub(super) fn record_exemplars(&mut self, at: UnixNanos, span: SpanRef) {
        let SpanRef { trace_id, span_id } = span;
        for &(series, value) in &self.exemplars.list {
            self.writer.exemplar(series, Exemplar { value, at, trace_id, span_id });
        }
    }

    /// Records the measures of a key that the memo contains.
    #[inline]
    fn record_remembered(
        &mut self,
        group: &Group,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
    ) -> Option<Facts> {
        let mut known = self.memo.find(group, &self.key)?;
        if known.is_pending() {
            let pending = known.facts().pending;
            if self.is_outdated(pending, seconds) {
                return None;
            }
            known = self.memo.find(group, &self.key)?;
        }
        for (measure, series) in known.measured(group) {
            match (measure.kind, &measure.value) {
                // The most frequent cases.
                (MeasureKind::Count, _) => {
                    self.writer.add(series, 1);
                    self.exemplars.add(&self.writer, series, 1.0);
                }
                (MeasureKind::Observe, Value::Duration) => {
                    if let Some(seconds) = seconds {
                        self.writer.observe(series, seconds);
                        self.exemplars.add(&self.writer, series, seconds);
                    }
                }
                _ => {
                    let (writer, exemplars) = (&mut self.writer, &mut self.exemplars);
                    record(writer, exemplars, measure, series, context, seconds);
                }
            }
        }
        Some(known.facts())
    }

    /// Returns true if the cached result of a key no longer holds: the value that was held back may
    /// have been admitted since, or the record is the first of its key with a duration. Clears the
    /// memo in the first case, which happens at most once for each label value.
    #[cold]
    fn is_outdated(&mut self, pending: Pending, seconds: Option<f64>) -> bool {
        if pending.is_held_back && self.values_count != self.writer.values_count() {
            self.values_count = self.writer.values_count();
            self.memo.forget();
            return true;
        }
        pending.lacks_duration && seconds.is_some()
    }

    /// Records a key that is not cached. If its path differs from its template (because of an id or
    /// a query), the template replaces the path in the key: such paths rarely recur and would flood
    /// the memo.
    #[cold]
    fn record_unknown(
        &mut self,
        group: &Group,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
        mut has_key: bool,
    ) -> Facts {
        let record = context.record;
        if record.is_bare()
            && let Some(path) =
                record.text(field::URL_PATH).filter(|_| group.inputs.contains(&field::URL_PATH))
        {
            self.template.clear();
            template::template(path, context.routes, &mut self.template);
            if self.template != path {
                has_key = self.key.read_any(group, record, Some(&self.template));
                if has_key && let Some(facts) = self.record_remembered(group, context, seconds) {
                    return facts;
                }
            }
        }
        let status_code =
            if group.is_request { label::status_code(record).unwrap_or(0) } else { 0 };
        let pending = Pending::default();
        let facts = Facts { severity: record.severity(), status_code, pending };
        self.resolve_and_record(group, context, seconds, facts, has_key);
        facts
    }

    /// Finds the series of a group by their label values, records the measures, and caches the
    /// series if the record has a key.
    #[cold]
    fn resolve_and_record(
        &mut self,
        group: &Group,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
        mut facts: Facts,
        has_key: bool,
    ) {
        let mut resolved = std::mem::take(&mut self.resolved);
        resolved.clear();
        self.is_held_back = false;
        for (number, measure) in group.measures.iter().enumerate() {
            let counts_requests = group.is_request && group.request_measures.contains(&number);
            let is_excluded = counts_requests && facts.status_code == 0;
            // A histogram is created with its first value, not with the first request that has
            // none.
            let lacks_duration = !is_excluded && is_duration(measure) && seconds.is_none();
            facts.pending.lacks_duration |= lacks_duration;
            let is_resolved = !is_excluded && !lacks_duration;
            resolved.push(if is_resolved { self.resolve(measure, context) } else { None });
        }
        facts.pending.is_held_back = self.is_held_back;
        for (measure, series) in group.measures.iter().zip(&resolved) {
            if let Some(series) = *series {
                self.record(measure, series, context, seconds);
            }
        }
        if has_key {
            self.memo.insert(group, &self.key, facts, &resolved);
        }
        self.resolved = resolved;
    }

    /// Finds the series of a measure by its label values. Returns None if the record does not count
    /// in the family.
    fn resolve(&mut self, measure: &Measure, context: &RecordContext<'_>) -> Option<SeriesId> {
        let count = measure.labels.len();
        for (label, value) in measure.labels.iter().zip(&mut self.label_values) {
            if !context.write(label, value) {
                return None;
            }
        }
        let held = &mut self.label_values[..count];
        self.is_held_back |= outsider::hold_back(&mut self.writer, measure, context.record, held);
        let mut values = [""; LABELS_MAX];
        for (slot, value) in values.iter_mut().zip(&self.label_values[..count]) {
            *slot = value;
        }
        Some(self.writer.series(measure.family, &values[..count], context.record.observed))
    }

    #[inline]
    fn record(
        &mut self,
        measure: &Measure,
        series: SeriesId,
        context: &RecordContext<'_>,
        seconds: Option<f64>,
    ) {
        record(&mut self.writer, &mut self.exemplars, measure, series, context, seconds);
    }
}

/// Returns true if the value of a measure is the duration of the work.
pub(super) fn is_duration(measure: &Measure) -> bool {
    measure.kind == MeasureKind::Observe && measure.value == Value::Duration
}

/// Records the value of a measure.
fn record(
    writer: &mut ShardWriter,
    exemplars: &mut ExemplarCandidates,
    measure: &Measure,
    series: SeriesId,
    context: &RecordContext<'_>,
    seconds: Option<f64>,
) {
    if measure.kind == MeasureKind::Count {
        writer.add(series, 1);
        exemplars.add(writer, series, 1.0);
        return;
    }
    let Some(value) = value(&measure.value, context, seconds) else { return };
    match measure.kind {
        MeasureKind::Count => {}
        MeasureKind::Observe => {
            writer.observe(series, value);
            exemplars.add(writer, series, value);
        }
        MeasureKind::Sum | MeasureKind::Add => writer.add_f64(series, value),
        MeasureKind::Set => writer.set(series, value, context.record.observed),
    }
}

/// Returns the value of a measure; None if the record has none.
#[inline]
pub(super) fn value(
    value: &Value,
    context: &RecordContext<'_>,
    seconds: Option<f64>,
) -> Option<f64> {
    let capture = |number: &usize| context.captured.as_ref().and_then(|c| c.group(*number));
    match value {
        Value::Duration => seconds,
        Value::One => Some(1.0),
        Value::Constant(constant) => Some(*constant),
        Value::Number(field) => context.record.number(*field),
        Value::Seconds(field) => context.record.seconds(*field),
        Value::Capture(number) => number::decimal(capture(number)?),
        Value::CaptureSeconds(number) => number::seconds(capture(number)?, Unit::Seconds),
    }
}

#[cfg(test)]
mod tests;
