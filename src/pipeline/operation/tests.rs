//! Tests with lines and the operations that they complete.

use super::*;
use crate::decode::time::Zone;
use crate::decode::{Memory, decode};
use crate::metrics::{Limits, Registry};
use crate::pipeline::plan::Plans;
use crate::record::{Decoded, Envelope};
use crate::rules::compile::compile_into;
use crate::rules::set::RuleSet;
use crate::rules::settings::RulesSettings;

struct Lines {
    rules: RuleSet,
    plans: Plans,
    times: RecordTimes,
    open: OpenOperations,
}

impl Lines {
    fn new() -> Lines {
        let registry = Registry::new(Limits::default());
        let rules = compile_into(&RulesSettings::default(), &registry).expect("standard rules");
        let times = RecordTimes::new(Zone::Utc);
        Lines { rules, plans: Plans::default(), times, open: OpenOperations::default() }
    }

    /// Returns the operation that a line completes: kind, name, milliseconds, failed.
    fn complete(&mut self, line: &str) -> Option<(Operation, String, Option<u64>, bool)> {
        let mut decoded = Decoded::new();
        decode(line, &self.rules.fields, &mut Memory::default(), &mut decoded);
        let record = Record::new(line, &decoded, UnixNanos(7), Envelope::default());
        let plan = self.plans.of(record.present(), &self.rules);
        let mut context = RecordContext {
            record: &record,
            service: "",
            routes: &self.rules.routes,
            phrase: None,
            captured: None,
        };
        let (severity, times) = (record.severity(), &mut self.times);
        let found = self.open.complete(plan, true, &mut context, 1, severity, times)?;
        let millis = found.seconds.map(|seconds| (seconds * 1e3).round() as u64);
        let mut subject = String::new();
        if let Some(finished) =
            found.finished(&record, &self.rules.routes, UnixNanos(9), &mut subject)
        {
            assert_eq!(finished.end, UnixNanos(9));
        }
        Some((found.kind, subject, millis, found.failed))
    }

    /// Returns the milliseconds of the request that a line ends.
    fn request_millis(&mut self, line: &str) -> Option<u128> {
        let mut decoded = Decoded::new();
        decode(line, &self.rules.fields, &mut Memory::default(), &mut decoded);
        let record = Record::new(line, &decoded, UnixNanos(7), Envelope::default());
        let ended = self.open.end_request(&record, &self.rules.routes, &mut self.times)?;
        Some(ended.took.as_millis())
    }
}

#[test]
fn what_a_line_completes() {
    let mut lines = Lines::new();
    let named = |kind, name: &str, millis, failed| Some((kind, name.to_owned(), millis, failed));
    for (line, expected) in [
        ("{\"level\":\"info\",\"message\":\"hello\"}", None),
        (
            "{\"level\":\"info\",\"query\":\"SELECT 1 FROM users\",\"duration_ms\":5}",
            named(Operation::Query, "users", Some(5), false),
        ),
        (
            "{\"level\":\"error\",\"query\":\"DELETE FROM users\",\"duration_ms\":5}",
            named(Operation::Query, "users", Some(5), true),
        ),
        (
            "{\"level\":\"info\",\"message\":\"Function load_user completed in 0.25s\"}",
            named(Operation::Internal, "load_user", Some(250), false),
        ),
        (
            "{\"level\":\"info\",\"message\":\"hello\",\"function\":\"f\",\"duration_ms\":3}",
            named(Operation::Internal, "f", Some(3), false),
        ),
    ] {
        assert_eq!(lines.complete(line), expected, "{line}");
    }
}

/// Guarantees: the times of two lines give the duration of a function that reports none; without
/// its start line there is no duration.
#[test]
fn a_start_and_its_end_give_a_duration() {
    let mut lines = Lines::new();
    let at = |second: u32, message: &str| {
        format!(
            "{{\"timestamp\":\"2026-11-21T09:00:0{second}Z\",\"level\":\"info\",\
             \"message\":\"Function load_user {message}\"}}"
        )
    };
    let end = |millis| Some((Operation::Internal, "load_user".to_owned(), millis, false));
    assert_eq!(lines.complete(&at(1, "started")), None);
    assert_eq!(lines.complete(&at(4, "completed")), end(Some(3_000)));
    let (_, _, millis, _) = lines.complete(&at(5, "completed")).expect("it ended");
    assert_eq!(millis, None, "its start is taken already");
}

/// Guarantees: the gauge changes by the starts and ends since the last call, and a request without
/// a duration gets that of its pair.
#[test]
fn open_requests_are_counted() {
    let mut lines = Lines::new();
    let start = "{\"timestamp\":\"2026-11-21T09:00:01Z\",\"message\":\"Request started\",\
                 \"method\":\"GET\",\"path\":\"/a\",\"request_id\":\"r-1\"}";
    assert_eq!(lines.open.take_request_change(), None);
    assert_eq!(lines.complete(start), None);
    assert_eq!(lines.open.take_request_change(), Some(1.0));
    assert_eq!(lines.open.take_request_change(), None);
    let end = "{\"timestamp\":\"2026-11-21T09:00:03Z\",\"message\":\"done\",\"method\":\"GET\",\
               \"path\":\"/a\",\"status\":200,\"request_id\":\"r-1\"}";
    assert_eq!(lines.request_millis(end), Some(2_000));
    assert_eq!(lines.open.take_request_change(), Some(-1.0));
    assert_eq!(lines.request_millis(end), None, "only once");
    assert_eq!(lines.complete(start), None);
    assert!(lines.open.tick(UnixNanos(8)), "one waits");
    assert!(!lines.open.tick(UnixNanos(3_600_000_000_000)), "it has waited too long");
    assert_eq!(lines.open.take_request_change(), None, "came and went");
}
