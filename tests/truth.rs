//! Compares the pipeline with corpora of known counts, and with a pipeline that has no memory of
//! earlier lines.

#[path = "support/corpus.rs"]
#[allow(dead_code)] // the names on the command line are the bench's
mod corpus;
use crate::pipeline;
use corpus::{Shape, corpus};
use proptest::prelude::*;
use sidelight::clock::UnixNanos;
use sidelight::pipeline::Pipeline;
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::rules::settings::RulesSettings;
use std::collections::BTreeMap;

const AT: UnixNanos = UnixNanos(1_795_219_200_000_000_000);

fn feed(pipeline: &mut Pipeline, block: &[u8]) {
    let mut source = Source::with_id(1, Input::Stream);
    pipeline.lines(&mut source, block, AT);
    pipeline.flush(AT);
}

/// Scenario: every corpus, in blocks of very different sizes.
/// Guarantees: every counter and every bucket equals the count of the corpus.
#[test]
fn every_corpus_is_counted_as_it_was_made() {
    for shape in Shape::ALL {
        let corpus = corpus(shape, 4_000, 11);
        let (mut pipeline, registry) = pipeline::standard_pipeline();
        let mut rest = corpus.bytes.as_slice();
        let mut size = 1;
        while !rest.is_empty() {
            let near = rest.len().min(size);
            let end = memchr::memchr(b'\n', &rest[near - 1..]).map_or(rest.len(), |at| near + at);
            feed(&mut pipeline, &rest[..end]);
            rest = &rest[end..];
            size = (size * 7) % 90_001 + 1;
        }
        let difference = corpus.truth.compare(&pipeline::render(&registry), 1.0);
        assert!(difference.samples.is_empty(), "{}: {difference:?}", shape.name());
    }
}

/// Bug: a `#Fields` directive was valid for every connection of the same data thread.
#[test]
fn a_directive_is_valid_for_its_source_only() {
    let (mut pipeline, registry) = pipeline::standard_pipeline();
    let mut sources = [1, 2, 3].map(|id| Source::with_id(id, Input::Stream));
    let mut feed = |source: usize, line: &str| {
        pipeline.lines(&mut sources[source], format!("{line}\n").as_bytes(), AT);
    };
    feed(0, "#Fields: date time cs-method cs-uri-stem sc-status");
    feed(1, "#Fields: date time sc-status cs-method cs-uri-stem");
    feed(0, "2026-11-21 00:00:00 GET /first 200");
    feed(1, "2026-11-21 00:00:00 200 GET /second");
    feed(0, "2026-11-21 00:00:00 GET /first 201");
    feed(2, "2026-11-21 00:00:00 200 GET /third");
    pipeline.flush(AT);
    let text = pipeline::render(&registry);
    for counted in [
        "http_requests_total{method=\"GET\",endpoint=\"/first\",status_code=\"200\"} 1",
        "http_requests_total{method=\"GET\",endpoint=\"/first\",status_code=\"201\"} 1",
        "http_requests_total{method=\"GET\",endpoint=\"/second\",status_code=\"200\"} 1",
    ] {
        assert!(text.contains(counted), "{counted} in\n{text}");
    }
    assert!(!text.contains("/third"), "no directive names its columns:\n{text}");
}

/// Parts of lines: few values each, so that the same keys recur and differ in one field.
fn line() -> impl Strategy<Value = String> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("get"), Just("BREW"), Just("")];
    let path = prop_oneof![
        Just("/"),
        Just("/a"),
        Just("/a/b"),
        Just("/a/17"),
        Just("/a/18?x=1"),
        Just("/a\\u002fb"),
        Just("/abcdefgh"),
        Just("/abcdefgh/abcdefgh/abcdefgh/abcdefgh/abcdefgh/abcdefgh/abcdefgh"),
    ];
    let status =
        prop_oneof![Just("200"), Just("\"500\""), Just("42"), Just("\"ok\""), Just("null")];
    let level = prop_oneof![
        Just(r#","level":"info""#),
        Just(r#","level":"ERROR""#),
        Just(r#","level":30"#),
        Just(r#","levelno":40"#),
        Just(""),
    ];
    let service = prop_oneof![Just(r#","service":"shop""#), Just(r#","service":"""#), Just("")];
    let tail = prop_oneof![
        Just(r#","duration_ms":12.5"#),
        Just(r#","duration":"3ms""#),
        Just(r#","query":"SELECT 1 FROM t","elapsed_ms":2"#),
        Just(r#","msg":"sync executed in 0.125s""#),
        Just(r#","msg":"sync failed - no","error_type":"E""#),
        Just(r#","route":"/r/{x}""#),
        Just(""),
    ];
    (method, path, status, level, service, tail).prop_map(
        |(method, path, status, level, service, tail)| {
            format!(
                r#"{{"method":"{method}","path":"{path}","status":{status}{level}{service}{tail}}}"#
            )
        },
    )
}

/// Samples other than 0, by name and labels.
/// A table counts as `_unmatched` until a query that names it succeeds. Only this depends on the
/// lines before, so `_unmatched` is replaced by the later name.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    for (name, value) in lines.filter_map(|line| line.rsplit_once(' ')) {
        let value: f64 = value.parse().expect("a number");
        if value != 0.0 {
            *all.entry(name.replace("_unmatched", "t")).or_default() += value;
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What a pipeline remembers of earlier lines (shapes, plans, series) never changes the counts:
    /// one pipeline for all lines gives the sum of a new pipeline for each line.
    #[test]
    fn property_memory_changes_nothing(lines in prop::collection::vec(line(), 1..60)) {
        let (mut pipeline, registry) = pipeline::pipeline_with(&RulesSettings::default());
        let mut sum = BTreeMap::<String, f64>::new();
        for line in &lines {
            let line = format!("{line}\n");
            feed(&mut pipeline, line.as_bytes());
            let (mut fresh, alone) = pipeline::pipeline_with(&RulesSettings::default());
            feed(&mut fresh, line.as_bytes());
            for (name, value) in samples(&pipeline::render(&alone)) {
                *sum.entry(name).or_default() += value;
            }
        }
        let together = samples(&pipeline::render(&registry));
        prop_assert_eq!(together.keys().collect::<Vec<_>>(), sum.keys().collect::<Vec<_>>());
        for (name, value) in &sum {
            prop_assert!((together[name] - value).abs() < 1e-9, "{}: {} and {}", name, together[name], value);
        }
    }
}
