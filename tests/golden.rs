//! Runs folders of input lines and compares the results with expectations. Each folder tests one
//! behaviour, which its `why.md` describes:
//!
//! - `input.log`: lines for the stream socket; `datagrams.log`: one datagram per line, with `\0`,
//!   `\n` and `\\` as escapes;
//! - `rules.yaml`: the configuration, if the standard rules are not enough;
//! - `metrics.prom`: the derived series in classic text format, then sidelight's counters about the
//!   lines; `metrics.om`, optional: the same in OpenMetrics, with exemplars;
//! - `spans.txt`: the spans as a collector decodes them; there is no file if there are no spans.
//!
//! `UPDATE=1` rewrites the expectations. A missing expectation is written, and the test fails once.

use crate::stand::{Stand, render_as};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sidelight::clock::UnixNanos;
use sidelight::config::settings::Config;
use sidelight::config::{Flags, parse};
use sidelight::export::batch::Encoder;
use sidelight::frame::count;
use sidelight::frame::protocol;
use sidelight::metrics::expose::Encoding;
use sidelight::pipeline::input::{FrameSink, Input, Source};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Arrival time of all lines: 2026-01-02T03:04:05Z.
const ARRIVAL: UnixNanos = UnixNanos(1_767_323_045_000_000_000);

/// sidelight's counters about the lines; its other metrics depend on the process.
const OWN_COUNTERS: [&str; 2] = ["sidelight_frames_", "sidelight_spans_skipped_total"];

#[test]
fn every_folder_gives_what_it_promises() {
    let mut wrong = Vec::new();
    let folders = folders();
    for folder in &folders {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let why = fs::read_to_string(folder.join("why.md")).unwrap_or_default();
        if !why.trim_end().ends_with('.') {
            wrong.push(format!("{name}: why.md has no sentence"));
        }
        let made = made(folder);
        for (file, text) in &made {
            compare(&folder.join(file), text, &mut wrong);
        }
        if !made.contains_key("spans.txt") && folder.join("spans.txt").exists() {
            wrong.push(format!("{name}: spans.txt is expected, and there is no span"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(folders.len() >= 50, "only {} folders", folders.len());
}

/// Guarantees: the result of a line does not depend on the number of lines that arrive together.
#[test]
fn lines_one_by_one_give_the_same_series() {
    for folder in folders() {
        let Ok(input) = fs::read(folder.join("input.log")) else { continue };
        let together = {
            let mut stand = Stand::new(&config(&folder));
            stand.pipeline.lines(&mut source(Input::Stream), &input, ARRIVAL);
            render_as(&stand.registry, Encoding::Classic)
        };
        let mut stand = Stand::new(&config(&folder));
        let mut source = source(Input::Stream);
        for record in records(&input) {
            stand.pipeline.lines(&mut source, record, ARRIVAL);
        }
        assert_eq!(render_as(&stand.registry, Encoding::Classic), together, "{}", folder.display());
    }
}

/// Splits lines into blocks that keep a line and its continuation lines (indented, or part of a
/// traceback) together.
fn records(input: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let end = memchr(&input[at..]).map_or(input.len(), |length| at + length + 1);
        let (end, _) = sidelight::frame::multiline::joined(input, at, end);
        records.push(&input[at..end]);
        at = end;
    }
    records
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(root).expect("the folders");
    let folders = entries.map(|entry| entry.expect("an entry").path());
    // `config` contains wrong configurations for the tests of `check`
    let mut folders: Vec<PathBuf> = folders.filter(|folder| !folder.ends_with("config")).collect();
    folders.sort();
    folders
}

fn config(folder: &Path) -> Config {
    let Ok(text) = fs::read_to_string(folder.join("rules.yaml")) else { return Config::default() };
    let loaded = parse("rules.yaml", &text, &Flags::default(), &BTreeMap::new());
    let faults: String = loaded.faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}: {faults}", folder.display());
    loaded.usable()
}

fn source(input: Input) -> Source {
    Source::with_id(1, input)
}

/// Computes the results of a folder, by the name of the file with the expectation.
fn made(folder: &Path) -> BTreeMap<&'static str, String> {
    let mut stand = Stand::new(&config(folder));
    let received = |input: Input| stand.telemetry.received.with_label_values(&[input.name()]);
    let (lines, datagrams) = (received(Input::Stream), received(Input::Datagram));
    if let Ok(input) = fs::read(folder.join("input.log")) {
        // as `receive` does before it delivers them
        lines.inc_by(count::frames(&input));
        stand.pipeline.lines(&mut source(Input::Stream), &input, ARRIVAL);
    }
    if let Ok(input) = fs::read(folder.join("datagrams.log")) {
        let mut source = source(Input::Datagram);
        for line in input.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            datagrams.inc();
            stand.pipeline.frame(&mut source, protocol::datagram(&unescaped(line)), ARRIVAL);
        }
    }
    let chunk = stand.spans(ARRIVAL);
    let mut made = BTreeMap::new();
    made.insert(
        "metrics.prom",
        render_as(&stand.registry, Encoding::Classic) + &own_counters(&stand),
    );
    if folder.join("metrics.om").exists() {
        made.insert("metrics.om", render_as(&stand.registry, Encoding::OpenMetrics));
    }
    let mut request = Vec::new();
    Encoder::new(stand.resource.clone()).request(&chunk, &mut request);
    let request = ExportTraceServiceRequest::decode(&request[..]).expect("legal protobuf");
    let spans = readable(&request);
    if !spans.is_empty() {
        made.insert("spans.txt", spans);
    }
    made
}

fn unescaped(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match (byte, if byte == b'\\' { bytes.next() } else { None }) {
            (b'\\', Some(b'0')) => 0,
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(&other)) => other,
            (other, _) => other,
        });
    }
    out
}

/// Formats the counters of [`OWN_COUNTERS`] that are not zero, and the series folded into overflow series.
fn own_counters(stand: &Stand) -> String {
    let mut text = String::new();
    // a scrape adds these to the counter
    for (family, label, count) in stand.registry.overflows() {
        let labels = format!("family={family:?},label={label:?}");
        writeln!(text, "sidelight_label_overflow_total{{{labels}}} {count}")
            .expect("a string takes all");
    }
    for family in stand.telemetry.gather() {
        if !OWN_COUNTERS.iter().any(|start| family.name().starts_with(start)) {
            continue;
        }
        for metric in family.get_metric() {
            let value = metric.get_counter().get_value();
            let labels = metric.get_label();
            let labels: Vec<String> =
                labels.iter().map(|pair| format!("{}={:?}", pair.name(), pair.value())).collect();
            if value != 0.0 {
                writeln!(text, "{}{{{}}} {value}", family.name(), labels.join(","))
                    .expect("a string takes all");
            }
        }
    }
    text
}

/// Formats spans for people.
fn readable(request: &ExportTraceServiceRequest) -> String {
    let mut out = String::new();
    for group in &request.resource_spans {
        let resource = group.resource.as_ref().expect("a resource");
        let service = resource.attributes.iter().find(|pair| pair.key == "service.name");
        let service = service.map(text).unwrap_or_default();
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            out.push_str(&span_text(span, &service));
        }
    }
    out
}

fn span_text(span: &Span, service: &str) -> String {
    let mut out = format!("{} {:?} of {service}\n", span.kind().as_str_name(), span.name);
    let mut say = |what: &str| writeln!(out, "    {what}").expect("a string takes all");
    say(&format!("trace {} span {}", hex(&span.trace_id), hex(&span.span_id)));
    if !span.parent_span_id.is_empty() {
        say(&format!("parent {}", hex(&span.parent_span_id)));
    }
    let nanos = span.end_time_unix_nano - span.start_time_unix_nano;
    let end = jiff::Timestamp::from_nanosecond(i128::from(span.end_time_unix_nano));
    say(&format!("until {} for {} s", end.expect("a time"), nanos as f64 / 1e9));
    for pair in &span.attributes {
        say(&format!("{} = {}", pair.key, text(pair)));
    }
    for event in &span.events {
        let pairs: Vec<String> =
            event.attributes.iter().map(|pair| format!("{} = {}", pair.key, text(pair))).collect();
        say(&format!("event {}: {}", event.name, pairs.join(", ")));
    }
    if let Some(status) = &span.status {
        say(&format!("{} {}", status.code().as_str_name(), status.message));
    }
    out
}

fn text(pair: &KeyValue) -> String {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Compares `text` with the expectation in the file.
fn compare(file: &Path, text: &str, wrong: &mut Vec<String>) {
    let expected = fs::read_to_string(file).ok();
    if expected.as_deref() == Some(text) {
        return;
    }
    let update = std::env::var_os("UPDATE").is_some();
    if update || expected.is_none() {
        fs::write(file, text).expect("a writable folder");
    }
    if update {
        return;
    }
    let Some(expected) = expected else {
        wrong.push(format!("{}: written for the first time; look at it", file.display()));
        return;
    };
    let mut said = format!("{}:\n", file.display());
    for line in expected.lines().filter(|line| !text.lines().any(|other| other == *line)) {
        writeln!(said, "  expected {line}").expect("a string takes all");
    }
    for line in text.lines().filter(|line| !expected.lines().any(|other| other == *line)) {
        writeln!(said, "  found    {line}").expect("a string takes all");
    }
    wrong.push(said);
}
