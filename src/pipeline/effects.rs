//! Applies the effects of a decoded record, in order: its counters and buckets, its operation, its
//! error, the user's rules, its span and exemplars. Owns the state that one data thread needs for
//! this. Unit: one record.

use super::label::{self, RecordContext};
use super::memo::Facts;
use super::operation::{CompletedOperation, OpenOperations, RecordTimes};
use super::plan::Plan;
use super::recognition::Missing;
use super::request::EndedRequest;
use super::series::SeriesRecorder;
use crate::clock::UnixNanos;
use crate::decode::time::Zone;
use crate::health::{Counts, HealthCounters, Signal};
use crate::metrics::ShardWriter;
use crate::record::severity::Severity;
use crate::record::{Record, field};
use crate::rules::action::Action;
use crate::rules::evaluate::Evaluation;
use crate::rules::extract::Captures;
use crate::rules::routes::Routes;
use crate::rules::set::{On, Rule, RuleSet};
use crate::spans::assemble::Dropped;
use crate::spans::{Operation, SpanMaker, SpanRef, own_ids};
use std::sync::Arc;

/// Applies the effects of records to metrics, spans and health.
#[derive(Debug)]
pub(super) struct RecordEffects {
    series: SeriesRecorder,
    operations: OpenOperations,
    times: RecordTimes,
    spans: SpanMaker,
    health: Arc<HealthCounters>,
    /// Capture memory of each rule, indexed by rule number.
    captures: Vec<Option<Captures>>,
    /// A span that a user's rule requests for the current record.
    requested_span: Option<Operation>,
    /// Scratch memory for the subject of a span.
    subject: String,
}

impl RecordEffects {
    pub(super) fn new(
        writer: ShardWriter,
        spans: SpanMaker,
        health: Arc<HealthCounters>,
        zone: Zone,
    ) -> RecordEffects {
        RecordEffects {
            series: SeriesRecorder::new(writer),
            operations: OpenOperations::default(),
            times: RecordTimes::new(zone),
            spans,
            health,
            captures: Vec::new(),
            requested_span: None,
            subject: String::new(),
        }
    }

    /// Discards everything that was cached for the old rules.
    pub(super) fn forget(&mut self) {
        self.series.forget();
        self.captures.clear();
    }

    /// Returns the counters of the health verdict.
    pub(super) fn health(&self) -> &HealthCounters {
        &self.health
    }

    /// Applies all effects of one record. Returns what it lacks.
    #[inline]
    pub(super) fn apply(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        context: &mut RecordContext<'_>,
        source: u64,
        counts: &mut Counts,
    ) -> Missing {
        self.series.begin(plan.has_span_id || self.spans.enabled());
        let is_request = plan.base.is_request;
        let seconds = if is_request { context.record.seconds(field::DURATION) } else { None };
        let Facts { severity, status_code, .. } =
            self.series.record_group(&plan.base, context, seconds);
        let operation = if status_code == 0 {
            self.complete_operation(rules, plan, context, source, severity)
        } else {
            Some(CompletedOperation::request(seconds, status_code))
        };
        self.update_active_requests(rules, context.record.observed);
        let has_time = context.record.present() & field::TIMESTAMP.bit() != 0;
        let missing = Missing::of(severity, status_code, has_time);
        count_health(counts, severity, status_code, missing);
        if severity >= Severity::ERROR || plan.has_exception {
            self.record_error(rules, context, severity);
        }
        for group in &plan.always {
            self.series.record_group(group, context, None);
        }
        if plan.evaluates_rules() || !context.record.extended().is_empty() {
            self.apply_rules(rules, plan, context);
        }
        let requested = self.requested_span.take();
        let operation = match requested {
            Some(kind) => Some(CompletedOperation::requested(kind, context, operation)),
            None => operation,
        };
        if let Some(operation) = operation
            && (self.spans.enabled() || self.series.takes_exemplar())
        {
            self.link_span(context, &operation, source);
        }
        missing
    }

    /// Publishes a batch: the health counts and the spans. Returns how many starts were dropped
    /// without an end.
    pub(super) fn flush(&mut self, now: UnixNanos, counts: Counts) -> Dropped {
        // A flush without a record (at a reload or a tick) does not show that the application logs.
        if counts.records > 0 {
            self.health.add(now, counts);
        }
        self.spans.flush();
        self.operations.take_dropped()
    }

    /// Expires starts without an end. Returns true if some are still open.
    pub(super) fn tick(&mut self, rules: &RuleSet, now: UnixNanos) -> bool {
        let some_wait = self.operations.tick(now);
        self.update_active_requests(rules, now);
        some_wait
    }

    /// Returns the record's own timestamp, if it has a readable one.
    pub(super) fn own_time(&mut self, record: &Record<'_>) -> Option<UnixNanos> {
        self.times.own(record)
    }

    /// Returns whether a request has started and not ended.
    #[inline]
    pub(super) fn has_open_requests(&self) -> bool {
        self.operations.has_requests()
    }

    /// Closes the open request that the record ends, if it ends one.
    pub(super) fn end_request(
        &mut self,
        record: &Record<'_>,
        routes: &Routes,
    ) -> Option<EndedRequest> {
        self.operations.end_request(record, routes, &mut self.times)
    }

    /// Finds and counts the query or function that the record completes.
    fn complete_operation<'a>(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        context: &mut RecordContext<'a>,
        source: u64,
        severity: Severity,
    ) -> Option<CompletedOperation<'a>> {
        let functions = rules.functions || self.spans.enabled();
        let (open, times) = (&mut self.operations, &mut self.times);
        let operation = open.complete(plan, functions, context, source, severity, times)?;
        match (operation.kind, operation.phrase) {
            (Operation::Query, _) => {
                self.series.record_standard(rules, On::Query, context, operation.seconds);
            }
            (Operation::Internal, Some(phrase)) => {
                let (on, group) = if operation.failed {
                    (On::Failed, &plan.failed)
                } else {
                    (On::Completed, &plan.completed)
                };
                let (name, seconds) = (phrase.subject, operation.seconds);
                match group {
                    Some(group) => self.series.record_function(group, name, context, seconds),
                    None => self.series.record_standard(rules, on, context, seconds),
                }
            }
            (Operation::Internal, None) | (Operation::Request, _) => {}
        }
        Some(operation)
    }

    /// Updates the gauge of active requests.
    #[inline]
    fn update_active_requests(&mut self, rules: &RuleSet, now: UnixNanos) {
        if let Some(measure) = &rules.active_requests
            && let Some(change) = self.operations.take_request_change()
        {
            self.series.add_to_gauge(measure, change, now);
        }
    }

    /// Counts an error by type and kind, and reports a fatal one to the health verdict.
    #[cold]
    fn record_error(&mut self, rules: &RuleSet, context: &RecordContext<'_>, severity: Severity) {
        if severity < Severity::ERROR && !label::has_traceback(context.record) {
            return;
        }
        self.series.record_standard(rules, On::Error, context, None);
        if severity >= Severity::FATAL {
            self.health.fatal(context.record.observed, label::error_type(context.record));
        }
    }

    /// Applies the rules that have to be evaluated for each record.
    fn apply_rules(&mut self, rules: &RuleSet, plan: &Plan, context: &RecordContext<'_>) {
        for switch in &plan.switches {
            let Some(value) = context.record.text(switch.field) else { continue };
            for &number in switch.cases.get(value).map_or(&[][..], Vec::as_slice) {
                self.apply_rule(number, &rules.rules[number], context);
            }
        }
        for (field, _) in context.record.extended() {
            for &number in rules.by_extended.get(field).map_or(&[][..], Vec::as_slice) {
                self.apply_rule(number, &rules.rules[number], context);
            }
        }
        for &number in &plan.evaluated {
            self.apply_rule(number, &rules.rules[number], context);
        }
    }

    fn apply_rule(&mut self, number: usize, rule: &Rule, context: &RecordContext<'_>) {
        if rule.criteria.extract.is_some() && self.captures.len() <= number {
            self.captures.resize(number + 1, None);
        }
        // Moved out during the evaluation, so that the rule's actions can borrow the rest of
        // `self`.
        let mut captures = self.captures.get_mut(number).and_then(Option::take);
        if let Evaluation::Applies(captured) = rule.criteria.evaluate(context.record, &mut captures)
        {
            self.act(rule, &RecordContext { captured, ..*context });
        }
        if let Some(place) = self.captures.get_mut(number) {
            *place = captures;
        }
    }

    fn act(&mut self, rule: &Rule, context: &RecordContext<'_>) {
        for action in &rule.actions {
            match action {
                Action::Measure(measure) => {
                    let seconds = context.record.seconds(field::DURATION);
                    self.series.record_measure(measure, context, seconds);
                }
                Action::Health(Signal::Heartbeat) => {
                    self.health.heartbeat(context.record.observed);
                }
                Action::Span(rule) => self.requested_span = Some(rule.operation),
            }
        }
    }

    /// Creates the span of the operation, and points the record's exemplars at it or at the span
    /// that the record names.
    fn link_span(
        &mut self,
        context: &RecordContext<'_>,
        operation: &CompletedOperation<'_>,
        source: u64,
    ) {
        let made = if self.spans.enabled() { self.span(context, operation, source) } else { None };
        if self.series.takes_exemplar()
            && let Some(span) = made.or_else(|| own_ids(context.record))
        {
            self.series.record_exemplars(context.record.observed, span);
        }
    }

    fn span(
        &mut self,
        context: &RecordContext<'_>,
        operation: &CompletedOperation<'_>,
        source: u64,
    ) -> Option<SpanRef> {
        let RecordContext { record, routes, .. } = *context;
        let end = self.times.of(record);
        let finished = operation.finished(record, routes, end, &mut self.subject)?;
        self.spans.finished(record, source, &finished)
    }
}

/// Counts the records, errors and requests on which the health verdict is based.
#[inline]
fn count_health(counts: &mut Counts, severity: Severity, status_code: u16, missing: Missing) {
    counts.records += 1;
    counts.without_level += u64::from(missing.level);
    counts.without_time += u64::from(missing.time);
    counts.errors += u64::from(severity >= Severity::ERROR);
    if status_code != 0 {
        counts.requests += 1;
        counts.failed_requests += u64::from(status_code >= 500);
    }
}
