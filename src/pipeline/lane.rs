//! What a decoded record does: counters and buckets first, then the rules that must be asked, then its span.
//! Owns all that one data thread needs for it. The base of every record is its severity; a request, a query
//! or a function that ended is its work.

use super::label::{self, Captured, Scene, Work};
use super::memo::{Key, Memo};
use super::plan::{Group, Plan};
use crate::clock::UnixNanos;
use crate::decode::time::{self, MinuteCache, Zone};
use crate::health::{Counts, Pulse, Signal};
use crate::metrics::{SeriesId, ShardWriter};
use crate::record::number;
use crate::record::severity::Severity;
use crate::record::{Record, field};
use crate::rules::action::{Action, LABELS_MAX, Measure, MeasureKind, Value};
use crate::rules::extract::Captures;
use crate::rules::template;
use crate::rules::{On, Rule, RuleSet};
use crate::spans::assemble::Pairs;
use crate::spans::{Operation, SpanMaker};
use std::sync::Arc;

/// Everything that one data thread needs for the effects of a record.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) writer: ShardWriter,
    pub(super) spans: SpanMaker,
    pub(super) pulse: Arc<Pulse>,
    pub(super) memo: Memo,
    pub(super) key: Key,
    pub(super) zone: Zone,
    pub(super) minute: MinuteCache,
    /// Values of labels while a series is looked up.
    pub(super) values: [String; LABELS_MAX],
    pub(super) template: String,
    /// Functions that started and have not ended.
    pub(super) functions: Pairs,
    /// Requests that started and have not ended, and how many of them the gauge knows of.
    pub(super) requests: Pairs,
    pub(super) requests_told: usize,
    /// The series of a group while they are looked up.
    pub(super) met: Vec<Option<SeriesId>>,
    /// Room for the captures of each rule, by its number.
    pub(super) captures: Vec<Option<Captures>>,
    /// The series that the record's work was counted in, with the value, where an exemplar may follow.
    pub(super) touched: Vec<(SeriesId, f64)>,
    /// A rule asks for a span of this record.
    pub(super) asked: Option<Operation>,
    /// The record has, or will get, a span that an exemplar can point at.
    pub(super) linked: bool,
}

/// What a group's cell remembers beside its series: the severity, and the status code of a request.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) severity: Severity,
    /// 0: the record is no request.
    pub(super) status_code: u16,
}

impl Facts {
    #[inline]
    fn of(word: u32) -> Facts {
        Facts { severity: Severity(word as u8), status_code: (word >> 8) as u16 }
    }

    fn word(self) -> u32 {
        u32::from(self.severity.0) | u32::from(self.status_code) << 8
    }
}

impl Lane {
    pub(super) fn new(
        writer: ShardWriter,
        spans: SpanMaker,
        pulse: Arc<Pulse>,
        zone: Zone,
    ) -> Lane {
        Lane {
            writer,
            spans,
            pulse,
            memo: Memo::new(),
            key: Key::new(),
            zone,
            minute: MinuteCache::default(),
            values: Default::default(),
            template: String::new(),
            functions: Pairs::new(),
            requests: Pairs::new(),
            requests_told: 0,
            met: Vec::new(),
            captures: Vec::new(),
            touched: Vec::new(),
            linked: false,
            asked: None,
        }
    }

    /// The rules changed: what was remembered of the old ones is void.
    pub(super) fn forget(&mut self) {
        self.memo.forget();
        self.captures.clear();
    }

    /// All effects of one record.
    #[inline]
    pub(super) fn record(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        scene: &mut Scene<'_>,
        source: u64,
        counts: &mut Counts,
    ) {
        self.linked = plan.linked || self.spans.enabled();
        let seconds =
            if plan.base.request { self.request_seconds(rules, scene.record) } else { None };
        let Facts { severity, status_code } = self.group(&plan.base, scene, seconds);
        let work = if status_code != 0 {
            let failed = status_code >= 500;
            let operation = Operation::Request;
            let (phrase, asked) = (None, false);
            Some(Work { operation, seconds, status_code, failed, phrase, asked })
        } else {
            self.work(rules, plan, scene, source, severity)
        };
        counts.records += 1;
        counts.errors += u64::from(severity >= Severity::ERROR);
        if severity >= Severity::ERROR || plan.exception {
            self.error(rules, scene, severity);
        }
        for group in &plan.always {
            self.group(group, scene, None);
        }
        if !plan.asked.is_empty()
            || !plan.switches.is_empty()
            || !scene.record.extended().is_empty()
        {
            self.ask(rules, plan, scene);
        }
        if status_code != 0 {
            counts.requests += 1;
            counts.failed_requests += u64::from(status_code >= 500);
        }
        if self.linked {
            let work = match self.asked.take() {
                Some(operation) => Some(Lane::asked(operation, scene, work)),
                None => work,
            };
            if let Some(work) = work {
                self.link(scene, &work, source);
            }
            self.touched.clear();
        }
    }

    /// What ages: starts whose end never came. Says whether some still wait.
    pub(super) fn tick(&mut self, rules: &RuleSet, now: UnixNanos) -> bool {
        self.functions.tick(now);
        self.requests.tick(now);
        self.tell_active(rules, now);
        !self.functions.is_empty() || !self.requests.is_empty()
    }

    /// The line's own time, where it tells one that can be read.
    pub(super) fn time(&mut self, record: &Record<'_>) -> Option<UnixNanos> {
        let text = record.text(field::TIMESTAMP)?;
        time::parse(text, &self.zone, record.observed, &mut self.minute)
    }

    /// An error: counted by its type and kind, and a fatal one told to the verdict.
    #[cold]
    fn error(&mut self, rules: &RuleSet, scene: &Scene<'_>, severity: Severity) {
        if severity < Severity::ERROR && !label::has_traceback(scene.record) {
            return;
        }
        self.standard(rules, On::Error, scene, None);
        if severity >= Severity::FATAL {
            self.pulse.fatal(scene.record.observed, label::error_type(scene.record));
        }
    }

    /// The measures of the standard rules for one occasion.
    pub(super) fn standard(
        &mut self,
        rules: &RuleSet,
        on: On,
        scene: &Scene<'_>,
        seconds: Option<f64>,
    ) {
        for rule in rules.standard().filter(|rule| rule.on == on) {
            for measure in rule.measures() {
                self.direct(measure, scene, seconds);
            }
        }
    }

    /// One measure whose series is looked up by the values of its labels.
    pub(super) fn direct(&mut self, measure: &Measure, scene: &Scene<'_>, seconds: Option<f64>) {
        if let Some(series) = self.series(measure, scene) {
            self.apply(measure, series, scene, seconds);
        }
    }

    /// All measures of a group, by one lookup. Returns what its cell remembers.
    #[inline]
    pub(super) fn group(
        &mut self,
        group: &Group,
        scene: &Scene<'_>,
        seconds: Option<f64>,
    ) -> Facts {
        // what a syslog header says is not among the fields that a key is made of
        let keyed = scene.record.is_bare() && self.key.read(group, scene.record);
        if keyed && let Some(facts) = self.remembered(group, scene, seconds) {
            return facts;
        }
        self.meet(group, scene, seconds, keyed)
    }

    /// The measures of a key that the memo knows.
    #[inline]
    fn remembered(
        &mut self,
        group: &Group,
        scene: &Scene<'_>,
        seconds: Option<f64>,
    ) -> Option<Facts> {
        let known = self.memo.find(group, &self.key)?;
        for (measure, series) in known.measured(group) {
            match (measure.kind, &measure.value) {
                // what nearly every measure is, where no exemplar may follow
                (MeasureKind::Count, _) if !self.linked => self.writer.add(series, 1),
                (MeasureKind::Observe, Value::Work) if !self.linked => {
                    if let Some(seconds) = seconds {
                        self.writer.observe(series, seconds);
                    }
                }
                _ => {
                    let touched = touched(self.linked, &mut self.touched);
                    apply(&mut self.writer, touched, measure, series, scene, seconds);
                }
            }
        }
        Some(Facts::of(known.fact))
    }

    /// The measures of a function, by one lookup of its name.
    pub(super) fn told(
        &mut self,
        group: &Group,
        name: &str,
        scene: &Scene<'_>,
        seconds: Option<f64>,
    ) {
        let keyed = self.key.take(group, name);
        if !keyed || self.remembered(group, scene, seconds).is_none() {
            self.count(group, scene, seconds, Facts::of(0), keyed);
        }
    }

    /// A key that is not remembered. Where its path is not its own template (an id, a query), the template
    /// stands in for it: such paths are rarely met twice and would flood the memo.
    #[cold]
    fn meet(
        &mut self,
        group: &Group,
        scene: &Scene<'_>,
        seconds: Option<f64>,
        mut keyed: bool,
    ) -> Facts {
        let record = scene.record;
        if record.is_bare()
            && let Some(path) =
                record.text(field::URL_PATH).filter(|_| group.inputs.contains(&field::URL_PATH))
        {
            self.template.clear();
            template::template(path, &mut self.template);
            if self.template != path {
                keyed = self.key.read_any(group, record, Some(&self.template));
                if keyed && let Some(facts) = self.remembered(group, scene, seconds) {
                    return facts;
                }
            }
        }
        let status_code = if group.request { label::status_code(record).unwrap_or(0) } else { 0 };
        let facts = Facts { severity: record.severity(), status_code };
        self.count(group, scene, seconds, facts, keyed);
        facts
    }

    /// All measures of a group, by the values of their labels, for the memo to know from now on.
    #[cold]
    fn count(
        &mut self,
        group: &Group,
        scene: &Scene<'_>,
        seconds: Option<f64>,
        facts: Facts,
        keyed: bool,
    ) {
        let mut all = std::mem::take(&mut self.met);
        all.clear();
        for (number, measure) in group.measures.iter().enumerate() {
            let waits = group.request && facts.status_code == 0;
            let none = waits && group.of_request.contains(&number);
            all.push(if none { None } else { self.series(measure, scene) });
        }
        for (measure, series) in group.measures.iter().zip(&all) {
            if let Some(series) = *series {
                self.apply(measure, series, scene, seconds);
            }
        }
        if keyed {
            self.memo.insert(group, &self.key, facts.word(), &all);
        }
        self.met = all;
    }

    /// The series of a measure, by the values of its labels.
    fn series(&mut self, measure: &Measure, scene: &Scene<'_>) -> Option<SeriesId> {
        let count = measure.labels.len();
        for (label, value) in measure.labels.iter().zip(&mut self.values) {
            if !scene.write(label, value) {
                return None;
            }
        }
        let mut values = [""; LABELS_MAX];
        for (slot, value) in values.iter_mut().zip(&self.values[..count]) {
            *slot = value;
        }
        Some(self.writer.series(measure.family, &values[..count], scene.record.observed))
    }

    #[inline]
    fn apply(
        &mut self,
        measure: &Measure,
        series: SeriesId,
        scene: &Scene<'_>,
        seconds: Option<f64>,
    ) {
        apply(
            &mut self.writer,
            touched(self.linked, &mut self.touched),
            measure,
            series,
            scene,
            seconds,
        );
    }

    /// The rules that must be asked.
    fn ask(&mut self, rules: &RuleSet, plan: &Plan, scene: &Scene<'_>) {
        for switch in &plan.switches {
            let Some(value) = scene.record.text(switch.field) else { continue };
            for &number in switch.cases.get(value).map_or(&[][..], Vec::as_slice) {
                self.rule(number, &rules.rules[number], scene);
            }
        }
        for (field, _) in scene.record.extended() {
            for &number in rules.by_extended.get(field).map_or(&[][..], Vec::as_slice) {
                self.rule(number, &rules.rules[number], scene);
            }
        }
        for &number in &plan.asked {
            self.rule(number, &rules.rules[number], scene);
        }
    }

    fn rule(&mut self, number: usize, rule: &Rule, scene: &Scene<'_>) {
        let record = scene.record;
        if rule.required_extended.iter().any(|field| record.entry(*field).is_none())
            || rule.condition.as_ref().is_some_and(|condition| !condition.holds(record))
        {
            return;
        }
        let Some((of, pattern)) = &rule.extract else {
            return self.act(rule, scene);
        };
        if self.captures.len() <= number {
            self.captures.resize(number + 1, None);
        }
        let mut groups = self.captures[number].take().unwrap_or_else(|| pattern.captures());
        let haystack = if *of == field::BODY { Some(record.body()) } else { record.text(*of) };
        if let Some(haystack) = haystack
            && pattern.read(haystack, &mut groups)
        {
            let captured = Some(Captured { pattern, groups: &groups, haystack });
            self.act(rule, &Scene { captured, ..*scene });
        }
        self.captures[number] = Some(groups);
    }

    fn act(&mut self, rule: &Rule, scene: &Scene<'_>) {
        for action in &rule.actions {
            match action {
                Action::Measure(measure) => {
                    self.direct(measure, scene, scene.record.seconds(field::DURATION));
                }
                Action::Health(Signal::Heartbeat) => self.pulse.heartbeat(scene.record.observed),
                Action::Span(rule) => self.asked = Some(rule.operation),
            }
        }
    }
}

/// Where series are noted, if an exemplar may follow.
#[inline]
fn touched(linked: bool, list: &mut Vec<(SeriesId, f64)>) -> Option<&mut Vec<(SeriesId, f64)>> {
    if linked { Some(list) } else { None }
}

/// Puts the value of a measure where it belongs.
fn apply(
    writer: &mut ShardWriter,
    touched: Option<&mut Vec<(SeriesId, f64)>>,
    measure: &Measure,
    series: SeriesId,
    scene: &Scene<'_>,
    seconds: Option<f64>,
) {
    if measure.kind == MeasureKind::Count {
        writer.add(series, 1);
        if let Some(touched) = touched {
            touched.push((series, 1.0));
        }
        return;
    }
    let Some(value) = value(&measure.value, scene, seconds) else { return };
    match measure.kind {
        MeasureKind::Count => {}
        MeasureKind::Observe => {
            writer.observe(series, value);
            if let Some(touched) = touched {
                touched.push((series, value));
            }
        }
        MeasureKind::Sum | MeasureKind::Add => writer.add_f64(series, value),
        MeasureKind::Set => writer.set(series, value, scene.record.observed),
    }
}

/// The value of a measure; None where the record has none.
#[inline]
fn value(value: &Value, scene: &Scene<'_>, seconds: Option<f64>) -> Option<f64> {
    let capture = |number: &usize| scene.captured.as_ref().and_then(|c| c.group(*number));
    match value {
        Value::Work => seconds,
        Value::One => Some(1.0),
        Value::Constant(constant) => Some(*constant),
        Value::Number(field) => scene.record.number(*field),
        Value::Seconds(field) => scene.record.seconds(*field),
        Value::Capture(number) => number::decimal(capture(number)?),
        Value::CaptureSeconds(number) => {
            number::seconds(capture(number)?, crate::record::field::Unit::Seconds)
        }
    }
}
