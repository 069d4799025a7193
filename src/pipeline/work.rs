//! The work that a record tells of: a request, a query or a function that ended, and the starts that wait
//! for their ends. It is counted, and it is what a span is made of.

use super::label::{self, Scene, Work};
use super::lane::Lane;
use super::plan::Plan;
use crate::clock::UnixNanos;
use crate::metrics::Exemplar;
use crate::record::severity::Severity;
use crate::record::{Record, field};
use crate::rules::{On, RuleSet};
use crate::spans::assemble;
use crate::spans::phrase::{PhraseKind, phrase};
use crate::spans::{Finished, Operation, SpanRef, own_ids};

impl Lane {
    /// The work other than a request that the record tells of, counted.
    pub(super) fn work<'a>(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        scene: &mut Scene<'a>,
        source: u64,
        severity: Severity,
    ) -> Option<Work<'a>> {
        let record = scene.record;
        if plan.begins && tells_start(record.body()) {
            self.begin_request(rules, record);
            return None;
        }
        if plan.query && label::query(record).is_some() {
            let seconds = record.seconds(field::DURATION);
            self.standard(rules, On::Query, scene, seconds);
            let failed = severity >= Severity::ERROR;
            return Some(Work::of(Operation::Query, seconds, failed));
        }
        if !rules.functions && !self.spans.enabled() {
            return None;
        }
        self.function(rules, plan, scene, source, severity)
    }

    /// A function that started, completed or failed, as the body or a duration field says.
    fn function<'a>(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        scene: &mut Scene<'a>,
        source: u64,
        severity: Severity,
    ) -> Option<Work<'a>> {
        let record = scene.record;
        scene.phrase = phrase(record.body(), severity >= Severity::WARN);
        let said = scene.phrase.and_then(|p| p.seconds).or_else(|| record.seconds(field::DURATION));
        let Some(found) = scene.phrase else {
            // no function is named, but the line has a duration: work for a span all the same
            let failed = severity >= Severity::ERROR;
            let seconds = Some(said?);
            return Some(Work::of(Operation::Internal, seconds, failed));
        };
        let key = || {
            let logger = record.text(field::LOGGER).unwrap_or_default();
            assemble::Key::new(source, logger, found.subject)
        };
        if found.kind == PhraseKind::Started {
            let at = self.time(record).unwrap_or(record.observed);
            self.functions.started(key(), at, record.observed);
            return None;
        }
        let mut seconds = said;
        if !self.functions.is_empty()
            && let Some(started) = self.functions.ended(key())
            && seconds.is_none()
        {
            let end = self.time(record).unwrap_or(record.observed);
            seconds = Some(end.since(started.at).as_secs_f64());
        }
        let failed = found.kind == PhraseKind::Failed;
        let (on, group) =
            if failed { (On::Failed, &plan.failed) } else { (On::Completed, &plan.completed) };
        match group {
            Some(group) => self.told(group, found.subject, scene, seconds),
            None => self.standard(rules, on, scene, seconds),
        }
        let operation = Operation::Internal;
        Some(Work {
            operation,
            seconds,
            status_code: 0,
            failed,
            phrase: scene.phrase,
            asked: false,
        })
    }

    /// A line that says that a request began, with an id that its end will have too.
    #[cold]
    fn begin_request(&mut self, rules: &RuleSet, record: &Record<'_>) {
        if let Some(key) = request_key(record) {
            let at = self.time(record).unwrap_or(record.observed);
            self.requests.started(key, at, record.observed);
            self.tell_active(rules, record.observed);
        }
    }

    /// The end of a request whose start was told: how long it took, by the two lines' times.
    #[cold]
    fn end_request(&mut self, rules: &RuleSet, record: &Record<'_>) -> Option<f64> {
        let started = self.requests.ended(request_key(record)?)?;
        self.tell_active(rules, record.observed);
        let end = self.time(record).unwrap_or(record.observed);
        Some(end.since(started.at).as_secs_f64())
    }

    /// How long a request took: its own duration, else the time since the line that told its start.
    #[inline]
    pub(super) fn request_seconds(&mut self, rules: &RuleSet, record: &Record<'_>) -> Option<f64> {
        let told = record.seconds(field::DURATION);
        if self.requests.is_empty() {
            return told;
        }
        let paired = self.end_request(rules, record);
        told.or(paired)
    }

    /// Brings the gauge of active requests to what waits now.
    pub(super) fn tell_active(&mut self, rules: &RuleSet, now: UnixNanos) {
        let (open, told) = (self.requests.len(), self.requests_told);
        if open != told
            && let Some(measure) = &rules.active_requests
        {
            let series = self.writer.series(measure.family, &[], now);
            self.writer.add_f64(series, open as f64 - told as f64);
            self.requests_told = open;
        }
    }

    /// The work of which a rule wants a span: what the record tells by itself, or any that has a duration.
    #[cold]
    pub(super) fn asked<'a>(
        operation: Operation,
        scene: &Scene<'a>,
        told: Option<Work<'a>>,
    ) -> Work<'a> {
        let phrase = scene.phrase;
        let untold = || Work {
            operation,
            seconds: scene.record.seconds(field::DURATION),
            status_code: label::status_code(scene.record).unwrap_or(0),
            failed: scene.record.severity() >= Severity::ERROR,
            phrase,
            asked: true,
        };
        Work { operation, asked: true, ..told.unwrap_or_else(untold) }
    }

    /// The span of the work, and with it the exemplars of what was counted.
    pub(super) fn link(&mut self, scene: &Scene<'_>, work: &Work<'_>, source: u64) {
        let made = if self.spans.enabled() { self.span(scene, work, source) } else { None };
        let Some(SpanRef { trace_id, span_id }) = made.or_else(|| own_ids(scene.record)) else {
            return;
        };
        let at = scene.record.observed;
        for &(series, value) in &self.touched {
            if self.writer.wants_exemplar(series, value) {
                self.writer.exemplar(series, Exemplar { value, at, trace_id, span_id });
            }
        }
    }

    fn span(&mut self, scene: &Scene<'_>, work: &Work<'_>, source: u64) -> Option<SpanRef> {
        let record = scene.record;
        let seconds = work.seconds?;
        let end = self.time(record).unwrap_or(record.observed);
        let mut subject = std::mem::take(&mut self.template);
        subject.clear();
        let verb = match work.operation {
            Operation::Request => {
                label::endpoint(record, &mut subject);
                label::method(record)
            }
            Operation::Query => {
                let query = label::query(record)?;
                subject.push_str(query.table);
                query.operation
            }
            Operation::Internal => {
                let named = work.phrase.map(|p| p.subject).or_else(|| record.text(field::FUNCTION));
                subject.push_str(named.unwrap_or_default());
                ""
            }
        };
        let finished = Finished {
            operation: work.operation,
            end,
            seconds,
            subject: &subject,
            verb,
            status_code: work.status_code,
            failed: work.failed,
            asked: work.asked,
        };
        let made = self.spans.finished(record, source, &finished);
        self.template = subject;
        made
    }
}

/// What the lines of one request have in common, whatever thread or logger wrote them.
fn request_key(record: &Record<'_>) -> Option<assemble::Key> {
    let id = record.text(field::REQUEST_ID).or_else(|| record.text(field::TRACE_ID))?;
    let service = record.text(field::SERVICE).unwrap_or_default();
    Some(assemble::Key::new(0, service, id))
}

/// Whether a message says that something begins: `Request started`, `Started GET "/"`, `request.start`.
fn tells_start(body: &str) -> bool {
    const WORDS: [&str; 4] = ["started", "starting", "start", "begin"];
    let first = body.split([' ', ':']).next().unwrap_or_default();
    let last = body.rsplit([' ', '.', '_']).next().unwrap_or_default();
    WORDS.iter().any(|word| first.eq_ignore_ascii_case(word) || last.eq_ignore_ascii_case(word))
}
