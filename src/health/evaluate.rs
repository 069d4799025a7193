//! Evaluates a snapshot of the counters into a verdict. Pure; [`Evaluator`] keeps the state for
//! hysteresis. The caller evaluates about once per second. The wall clock only appears in the
//! verdict; all ages are monotonic.

use crate::clock::UnixNanos;
use crate::health::counters::{ExceptionType, Snapshot};
use crate::health::settings::{Heartbeat, Ratio, Settings, WINDOW_MAX};
use crate::health::unrecognised::RECORDS_MIN;
use crate::health::verdict::{Check, Status, Verdict};
use crate::health::window::{LastRecords, Totals, Window};
use std::time::Duration;

/// The time of an evaluation, on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    /// For display.
    pub wall: UnixNanos,
    /// For ages: time since any fixed point; never steps back.
    pub monotonic: Duration,
}

/// The evaluator and the state that it keeps between evaluations.
#[derive(Debug)]
pub(crate) struct Evaluator {
    settings: Settings,
    window: Window,
    last_records: LastRecords,
    errors: Latch,
    http_errors: Latch,
    fatal: Seen,
    heartbeat: Seen,
    started: Option<Duration>,
}

impl Evaluator {
    /// Creates an evaluator without any history.
    pub(crate) fn new(settings: Settings) -> Evaluator {
        Evaluator {
            window: Window::new(settings.window.clamp(Duration::from_secs(1), WINDOW_MAX)),
            last_records: LastRecords::new(),
            settings,
            errors: Latch::default(),
            http_errors: Latch::default(),
            fatal: Seen::default(),
            heartbeat: Seen::default(),
            started: None,
        }
    }

    /// Uses other settings from now on. Keeps the history but clears the raised statuses: below a
    /// higher new threshold, a status that the old one raised might never clear.
    pub(crate) fn adopt(&mut self, settings: Settings) {
        (self.errors, self.http_errors) = (Latch::default(), Latch::default());
        self.window.stretch(settings.window.clamp(Duration::from_secs(1), WINDOW_MAX));
        self.settings = settings;
    }

    /// Returns the settings in use.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Records that time has passed without evaluation: a heartbeat is due only after its end.
    pub(crate) fn rest(&mut self, seen: &Snapshot, now: Moment) {
        self.evaluate(seen, now);
        self.started = Some(now.monotonic);
        self.heartbeat.at = Some(now.monotonic);
    }

    /// Returns the verdict on the history up to `now`.
    pub(crate) fn evaluate(&mut self, seen: &Snapshot, now: Moment) -> Verdict {
        let recent = self.window.slide(now.monotonic, seen.totals);
        let started = *self.started.get_or_insert(now.monotonic);
        let settings = &self.settings;
        let errors = Share { failed: recent.errors, of: recent.records };
        let failures = Share { failed: recent.failed_requests, of: recent.requests };
        let span = settings.window.as_secs();
        let mut checks = vec![
            self.errors.check("errors", errors, settings.errors, settings, now.monotonic, span),
            self.http_errors.check(
                "http_errors",
                failures,
                settings.http_errors,
                settings,
                now.monotonic,
                span,
            ),
            fatal(self.fatal.age(seen.fatals, now.monotonic), seen, settings.fatal_for),
        ];
        let beat = self.heartbeat.age(seen.heartbeats, now.monotonic);
        if let Some(expected) = settings.heartbeat {
            let age = beat.unwrap_or(now.monotonic.saturating_sub(started));
            checks.push(heartbeat(age, expected));
        }
        checks.push(lines(seen, recent.records, span));
        checks.push(levels(self.last_records.slide(seen.totals)));
        Verdict { at: now.wall, checks }
    }
}

/// A share of failures.
#[derive(Clone, Copy)]
struct Share {
    failed: u64,
    of: u64,
}

/// A status that rises at once and falls only after it has stayed for a while below half of the
/// threshold that raised it.
#[derive(Debug)]
struct Latch {
    held: Status,
    below_since: Option<Duration>,
}

impl Default for Latch {
    fn default() -> Self {
        Latch { held: Status::Pass, below_since: None }
    }
}

impl Latch {
    fn check(
        &mut self,
        name: &'static str,
        share: Share,
        thresholds: Ratio,
        settings: &Settings,
        now: Duration,
        span: u64,
    ) -> Check {
        let judged = share.of >= thresholds.events_min.max(1);
        let ratio = if share.of == 0 { 0.0 } else { share.failed as f64 / share.of as f64 };
        let status = self.hold(judged.then_some(ratio), thresholds, settings.recover_after, now);
        let found = format!("{} of {} in {span} s", share.failed, share.of);
        let reason = match status {
            Status::Pass => String::new(),
            Status::Warn | Status::Fail if self.below_since.is_some() => {
                format!("{found}, recovering")
            }
            Status::Warn | Status::Fail => found,
        };
        Check::new(name, status, reason).observing(ratio, "ratio")
    }

    /// Returns the status to show; `ratio` is None if there were too few events to judge.
    fn hold(
        &mut self,
        ratio: Option<f64>,
        thresholds: Ratio,
        recover_after: Duration,
        now: Duration,
    ) -> Status {
        let Ratio { warn, fail, events_min: _ } = thresholds;
        let ratio = ratio.unwrap_or(0.0);
        let raised = match ratio {
            ratio if ratio >= fail => Status::Fail,
            ratio if ratio >= warn => Status::Warn,
            _ => Status::Pass,
        };
        if raised >= self.held {
            self.held = raised;
            self.below_since = None;
            return raised;
        }
        let threshold = match self.held {
            Status::Fail => fail,
            Status::Warn | Status::Pass => warn,
        };
        if ratio >= threshold / 2.0 {
            self.below_since = None;
            return self.held;
        }
        let since = *self.below_since.get_or_insert(now);
        if now.saturating_sub(since) >= recover_after {
            self.held = raised;
            self.below_since = None;
        }
        self.held
    }
}

/// The last value of a count and the time of its last increase.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    at: Option<Duration>,
}

impl Seen {
    /// Returns the time since the count last rose; None if it never did.
    fn age(&mut self, count: u64, now: Duration) -> Option<Duration> {
        if count > self.count {
            self.count = count;
            self.at = Some(now);
        }
        self.at.map(|at| now.saturating_sub(at))
    }
}

fn fatal(age: Option<Duration>, seen: &Snapshot, fatal_for: Duration) -> Check {
    let Some(age) = age else { return Check::new("fatal", Status::Pass, "") };
    let recent = age < fatal_for;
    let status = if recent { Status::Fail } else { Status::Pass };
    let kind = seen.fatal_kind.as_ref().map_or("no exception type", ExceptionType::as_str);
    let reason = if recent {
        format!("a FATAL record {} s ago ({kind})", age.as_secs())
    } else {
        String::new()
    };
    let mut check = Check::new("fatal", status, reason).observing(seen.fatals as f64, "records");
    check.time = Some(seen.last_fatal);
    check
}

fn heartbeat(age: Duration, expected: Heartbeat) -> Check {
    let late = age > expected.every.saturating_add(expected.grace);
    let (age, every) = (age.as_secs(), expected.every.as_secs());
    let status = if late { Status::Fail } else { Status::Pass };
    let reason = if late {
        format!("no heartbeat for {age} s, expected every {every} s")
    } else {
        String::new()
    };
    Check::new("heartbeat", status, reason).observing(age as f64, "s")
}

/// Reports when the last line arrived. This is never a reason to be unhealthy, because a quiet
/// application is not a failed one.
fn lines(seen: &Snapshot, recent: u64, span: u64) -> Check {
    if seen.totals.records == 0 {
        return Check::new("lines", Status::Pass, "no line yet");
    }
    let reason = format!("{recent} records in {span} s");
    let mut check = Check::new("lines", Status::Pass, reason).observing(recent as f64, "records");
    check.time = Some(seen.last_line);
    check
}

/// Reports that most of the last records have no level or no time. Never a reason to be unhealthy:
/// a line that is not understood says nothing about the application.
fn levels(last: Totals) -> Check {
    let is_most = |count: u64| {
        last.records >= u64::from(RECORDS_MIN) && count.saturating_mul(2) > last.records
    };
    let mut found = Vec::new();
    if is_most(last.without_level) {
        found.push(format!("{} have no level", last.without_level));
    }
    if is_most(last.without_time) {
        found.push(format!("{} have no time (their arrival counts)", last.without_time));
    }
    let reason = if found.is_empty() {
        String::new()
    } else {
        let found = found.join(" and ");
        format!(
            "of the last {} records, {found}: `sidelight explain -f FILE` shows why for a file of \
             the application's lines",
            last.records
        )
    };
    let share =
        |count: u64| if last.records == 0 { 0.0 } else { count as f64 / last.records as f64 };
    let worst = last.without_level.max(last.without_time);
    Check::new("levels", Status::Pass, reason).observing(share(worst), "ratio")
}

#[cfg(test)]
mod tests;
