//! Finds completed operations: the request, database query or function that a record reports to have
//! ended.
//! Keeps the starts that wait for their ends. Pure; records no metric. Unit: one record.

use super::label::{self, RecordContext};
use super::plan::Plan;
use super::request::{EndedRequest, RequestLine};
use crate::clock::UnixNanos;
use crate::decode::time::{self, MinuteCache, Zone};
use crate::record::severity::Severity;
use crate::record::{Record, field};
use crate::rules::routes::Routes;
use crate::spans::assemble::{Dropped, Key, Pairs};
use crate::spans::phrase::{Phrase, PhraseKind, phrase};
use crate::spans::{EndedWork, Operation};

/// A completed operation, as metrics and spans need it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct CompletedOperation<'a> {
    pub(super) kind: Operation,
    /// Its duration, if the record or its start record gives one.
    pub(super) seconds: Option<f64>,
    /// The status code; 0 if there is none.
    pub(super) status_code: u16,
    pub(super) failed: bool,
    /// The function that the body names.
    pub(super) phrase: Option<Phrase<'a>>,
    /// True if a user's rule requests its span.
    pub(super) is_requested: bool,
}

impl<'a> CompletedOperation<'a> {
    fn new(kind: Operation, seconds: Option<f64>, failed: bool) -> Self {
        CompletedOperation {
            kind,
            seconds,
            status_code: 0,
            failed,
            phrase: None,
            is_requested: false,
        }
    }

    /// Creates a request that ended with this status code.
    #[inline]
    pub(super) fn request(seconds: Option<f64>, status_code: u16) -> Self {
        let failed = status_code >= 500;
        CompletedOperation {
            status_code,
            ..CompletedOperation::new(Operation::Request, seconds, failed)
        }
    }

    /// Returns the operation for which a user's rule requests a span: the one that was found, with
    /// the kind that the rule names, or any operation with a duration.
    pub(super) fn requested(
        kind: Operation,
        context: &RecordContext<'a>,
        found: Option<CompletedOperation<'a>>,
    ) -> Self {
        let operation = found.unwrap_or_else(|| {
            let record = context.record;
            let failed = record.severity() >= Severity::ERROR;
            CompletedOperation {
                status_code: label::status_code(record).unwrap_or(0),
                phrase: context.phrase,
                ..CompletedOperation::new(kind, record.seconds(field::DURATION), failed)
            }
        });
        CompletedOperation { kind, is_requested: true, ..operation }
    }

    /// Returns the data of its span; `subject` is scratch memory. Returns None without a duration.
    pub(super) fn finished<'s>(
        &self,
        record: &Record<'s>,
        routes: &Routes,
        end: UnixNanos,
        subject: &'s mut String,
    ) -> Option<EndedWork<'s>>
    where
        'a: 's,
    {
        let seconds = self.seconds?;
        subject.clear();
        let verb = match self.kind {
            Operation::Request => {
                label::endpoint(record, routes, subject);
                label::method(record)
            }
            Operation::Query => {
                let query = label::query(record)?;
                subject.push_str(query.table);
                query.operation
            }
            Operation::Internal => {
                let named = self.phrase.map(|p| p.subject).or_else(|| record.text(field::FUNCTION));
                subject.push_str(named.unwrap_or_default());
                ""
            }
        };
        Some(EndedWork {
            operation: self.kind,
            end,
            seconds,
            subject,
            verb,
            status_code: self.status_code,
            failed: self.failed,
            is_requested: self.is_requested,
        })
    }
}

/// Operations that have started but not ended.
#[derive(Debug, Default)]
pub(super) struct OpenOperations {
    functions: Pairs,
    requests: Pairs<RequestLine>,
    /// The number of open requests that the gauge shows.
    published_requests: usize,
    /// Scratch memory for a path.
    path: String,
}

impl OpenOperations {
    /// Finds the operation, other than a request, that the record completes. If `functions` is set,
    /// searches the body for names of functions.
    pub(super) fn complete<'a>(
        &mut self,
        plan: &Plan,
        functions: bool,
        context: &mut RecordContext<'a>,
        source: u64,
        severity: Severity,
        times: &mut RecordTimes,
    ) -> Option<CompletedOperation<'a>> {
        let record = context.record;
        if plan.may_start_request && says_start(record.body()) {
            self.start_request(record, context.routes, times);
            return None;
        }
        let failed = severity >= Severity::ERROR;
        if plan.may_be_query && label::query(record).is_some() {
            let seconds = record.seconds(field::DURATION);
            return Some(CompletedOperation::new(Operation::Query, seconds, failed));
        }
        if !functions {
            return None;
        }
        context.phrase = phrase(record.body(), severity >= Severity::WARN);
        let own_seconds = || record.seconds(field::DURATION);
        let Some(found) = context.phrase else {
            // The line names no function but has a duration, which is enough for a span.
            let seconds = Some(own_seconds()?);
            return Some(CompletedOperation::new(Operation::Internal, seconds, failed));
        };
        let seconds = found.seconds.or_else(own_seconds);
        self.end_function(record, found, seconds, source, times)
    }

    /// Handles a phrase about a function that started, completed or failed.
    fn end_function<'a>(
        &mut self,
        record: &Record<'a>,
        found: Phrase<'a>,
        mut seconds: Option<f64>,
        source: u64,
        times: &mut RecordTimes,
    ) -> Option<CompletedOperation<'a>> {
        let key = || {
            let logger = record.text(field::LOGGER).unwrap_or_default();
            Key::new(source, logger, found.subject)
        };
        if found.kind == PhraseKind::Started {
            self.functions.started(key(), times.of(record), record.observed, ());
            return None;
        }
        if !self.functions.is_empty()
            && let Some(started) = self.functions.ended(key())
            && seconds.is_none()
        {
            seconds = Some(times.of(record).since(started.at).as_secs_f64());
        }
        let failed = found.kind == PhraseKind::Failed;
        let operation = CompletedOperation::new(Operation::Internal, seconds, failed);
        Some(CompletedOperation { phrase: Some(found), ..operation })
    }

    /// Registers the start of a request, if the record reports one with an id that its end also
    /// has.
    #[cold]
    fn start_request(&mut self, record: &Record<'_>, routes: &Routes, times: &mut RecordTimes) {
        if let Some(key) = request_key(record) {
            let line = RequestLine::of(record, routes, &mut self.path);
            self.requests.started(key, times.of(record), record.observed, line);
        }
    }

    /// Returns whether a request has started and not ended.
    #[inline]
    pub(super) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Closes the open request that the record ends, if it ends one.
    #[cold]
    pub(super) fn end_request(
        &mut self,
        record: &Record<'_>,
        routes: &Routes,
        times: &mut RecordTimes,
    ) -> Option<EndedRequest> {
        let key = request_key(record)?;
        if !self.requests.newest(key)?.is_ended_by(record, routes, &mut self.path) {
            return None;
        }
        let started = self.requests.ended(key)?;
        Some(EndedRequest { line: started.work, took: times.of(record).since(started.at) })
    }

    /// Returns by how much the number of open requests changed since the last call, if it did.
    #[inline]
    pub(super) fn take_request_change(&mut self) -> Option<f64> {
        let (open, published) = (self.requests.len(), self.published_requests);
        if open == published {
            return None;
        }
        self.published_requests = open;
        Some(open as f64 - published as f64)
    }

    /// Returns how many starts were dropped without an end since the last call.
    pub(super) fn take_dropped(&mut self) -> Dropped {
        let (functions, requests) = (self.functions.take_dropped(), self.requests.take_dropped());
        Dropped {
            evicted: functions.evicted + requests.evicted,
            expired: functions.expired + requests.expired,
        }
    }

    /// Expires starts that waited too long. Returns true if some are still open.
    pub(super) fn tick(&mut self, now: UnixNanos) -> bool {
        self.functions.tick(now);
        self.requests.tick(now);
        !self.functions.is_empty() || !self.requests.is_empty()
    }
}

/// Reads the timestamps of the records of one data thread.
#[derive(Debug)]
pub(super) struct RecordTimes {
    zone: Zone,
    minute: MinuteCache,
}

impl RecordTimes {
    /// Creates a reader; `zone` is the time zone of timestamps that name none.
    pub(super) fn new(zone: Zone) -> RecordTimes {
        RecordTimes { zone, minute: MinuteCache::default() }
    }

    /// Returns the record's timestamp, if it has a readable one.
    pub(super) fn own(&mut self, record: &Record<'_>) -> Option<UnixNanos> {
        let text = record.text(field::TIMESTAMP)?;
        time::parse(text, &self.zone, record.observed, &mut self.minute)
    }

    /// Returns the record's timestamp, or else its arrival time.
    pub(super) fn of(&mut self, record: &Record<'_>) -> UnixNanos {
        self.own(record).unwrap_or(record.observed)
    }
}

/// Returns the key that all lines of one request share, whatever thread or logger wrote them.
fn request_key(record: &Record<'_>) -> Option<Key> {
    let id = record.text(field::REQUEST_ID).or_else(|| record.text(field::TRACE_ID))?;
    let service = record.text(field::SERVICE).unwrap_or_default();
    Some(Key::new(0, service, id))
}

/// Returns true if a message reports a start: `Request started`, `Started GET "/"`,
/// `request.start`, `incoming request`.
fn says_start(body: &str) -> bool {
    const WORDS: [&str; 5] = ["started", "starting", "start", "begin", "incoming"];
    let first = body.split([' ', ':']).next().unwrap_or_default();
    let last = body.rsplit([' ', '.', '_']).next().unwrap_or_default();
    WORDS.iter().any(|word| first.eq_ignore_ascii_case(word) || last.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
