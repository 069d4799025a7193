//! Tests with the measures of real rules over decoded lines, as `/metrics` shows them.

use super::*;
use crate::decode::{Memory, decode};
use crate::metrics::expose::{self, Encoding, Options};
use crate::metrics::{Limits, Registry};
use crate::pipeline::plan::Plans;
use crate::record::severity::Severity;
use crate::record::{Decoded, Record};
use crate::rules::compile::compile_into;
use crate::rules::settings::RulesSettings;
use std::sync::Arc;

struct Recorded {
    rules: RuleSet,
    plans: Plans,
    registry: Arc<Registry>,
    recorder: SeriesRecorder,
}

impl Recorded {
    fn new() -> Recorded {
        let registry = Registry::new(Limits::default());
        let rules = compile_into(&RulesSettings::default(), &registry).expect("standard rules");
        let recorder = SeriesRecorder::new(registry.writer());
        Recorded { rules, plans: Plans::default(), registry, recorder }
    }

    /// Records the base group of a line and returns its facts.
    fn line(&mut self, line: &str, wants_exemplars: bool) -> Facts {
        let mut decoded = Decoded::new();
        decode(line, &self.rules.fields, &mut Memory::default(), &mut decoded);
        let record = Record::new(line, &decoded, UnixNanos(7), crate::record::Envelope::default());
        let plan = self.plans.of(record.present(), &self.rules);
        let context = RecordContext {
            record: &record,
            service: "own",
            routes: &self.rules.routes,
            phrase: None,
            captured: None,
        };
        self.recorder.begin(wants_exemplars);
        self.recorder.record_group(&plan.base, &context, record.seconds(field::DURATION))
    }

    /// Returns the sample that begins with this text.
    fn sample(&self, begin: &str) -> Option<String> {
        let mut page = Vec::new();
        let options = Options::default();
        expose::encode(&self.registry, &[], Encoding::Classic, options, &mut page);
        let page = String::from_utf8(page).expect("text");
        let found = page.lines().find(|line| line.starts_with(begin))?;
        found.rsplit(' ').next().map(str::to_owned)
    }
}

const REQUEST: &str =
    "{\"level\":\"info\",\"method\":\"GET\",\"path\":\"/a\",\"status\":503,\"duration_ms\":20}";

/// Guarantees: the second line of a label set is found by its bytes alone, and counts in the same
/// series.
#[test]
fn a_group_is_resolved_once_and_then_remembered() {
    let mut all = Recorded::new();
    let pending = Pending::default();
    let facts = Facts { severity: Severity::INFO, status_code: 503, pending };
    for count in ["1", "2", "3"] {
        assert_eq!(all.line(REQUEST, false), facts);
        let requests = "http_requests_total{method=\"GET\",endpoint=\"/a\"";
        assert_eq!(all.sample(requests).as_deref(), Some(count));
        assert_eq!(all.sample("http_request_duration_seconds_count").as_deref(), Some(count));
    }
    all.recorder.forget();
    assert_eq!(all.line(REQUEST, false), facts, "and again after new rules");
    assert_eq!(all.sample("http_request_duration_seconds_count").as_deref(), Some("4"));
}

/// Guarantees: paths that differ in their ids share one series and one cell of the memo.
#[test]
fn a_path_with_an_id_is_remembered_by_its_template() {
    let mut all = Recorded::new();
    for id in 1..=50 {
        all.line(&REQUEST.replace("/a", &format!("/users/{id}000")), false);
    }
    assert_eq!(all.recorder.memo.count(), 1);
    let requests = "http_requests_total{method=\"GET\",endpoint=\"/users/{id}\"";
    assert_eq!(all.sample(requests).as_deref(), Some("50"));
}

/// Guarantees: method and path without a status code are a record, not a request.
#[test]
fn a_status_that_is_no_code_counts_no_request() {
    let mut all = Recorded::new();
    let line = REQUEST.replace("503", "\"ok\"");
    for _ in 0..2 {
        assert_eq!(all.line(&line, false).status_code, 0);
    }
    assert_eq!(all.sample("http_requests_total{"), None);
    assert_eq!(
        all.sample("log_records_total{service=\"own\",level=\"INFO\"").as_deref(),
        Some("2")
    );
}

/// Guarantees: a series takes one exemplar until it is scraped; if exemplars are not wanted,
/// nothing is kept.
#[test]
fn exemplars_are_taken_once() {
    let mut all = Recorded::new();
    all.line(REQUEST, false);
    assert!(!all.recorder.takes_exemplar(), "not wanted");
    all.line(REQUEST, true);
    assert!(all.recorder.takes_exemplar());
    let span = SpanRef { trace_id: [1; 16], span_id: [2; 8] };
    all.recorder.record_exemplars(UnixNanos(7), span);
    all.line(REQUEST, true);
    assert!(!all.recorder.takes_exemplar(), "it has one");
    all.line(&REQUEST.replace("\"GET\"", "\"PUT\""), true);
    assert!(all.recorder.takes_exemplar(), "another series has none");
}
