//! Compares the user's formats with independent writers and readers: lines that CPython's
//! `logging` and loguru wrote for a format string are read back, and grok patterns capture what
//! pygrok captures. `tests/oracles/own_formats.py` writes the lines.

use serde_json::Value;
use sidelight::clock::UnixNanos;
use sidelight::decode::time::{MinuteCache, Zone, parse};
use sidelight::decode::{Memory, decode};
use sidelight::metrics::Limits;
use sidelight::record::field::{BODY, FieldId, FieldTable, LOGGER, REQUEST_ID, TIMESTAMP};
use sidelight::record::severity::Severity;
use sidelight::record::{Decoded, Envelope, Format, Record};
use sidelight::rules::compile::dry_run;
use sidelight::rules::set::RuleSet;
use sidelight::rules::settings::{FormatSettings, Notation, RulesSettings};

const ROWS: &str = include_str!("oracles/own_formats.jsonl");

fn rows(notation: &str) -> Vec<Value> {
    let all = ROWS.lines().map(|row| serde_json::from_str::<Value>(row).expect("JSON"));
    all.filter(|row| row["notation"] == notation).collect()
}

fn rules(row: &Value) -> RuleSet {
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    let notation =
        Notation::ALL.into_iter().find(|one| Some(one.name()) == row["notation"].as_str());
    let format = FormatSettings {
        notation: notation.expect("a notation"),
        pattern: text("pattern").expect("a pattern"),
        datefmt: text("datefmt"),
        style: text("style").and_then(|style| style.chars().next()),
        ..FormatSettings::default()
    };
    let settings = RulesSettings { formats: vec![format], ..RulesSettings::default() };
    dry_run(&settings, Limits::default()).expect("it compiles")
}

/// Scenario: lines that `logging.Formatter` and loguru wrote for a format string.
/// Guarantees: level, logger, message, request id and time are those of the record.
#[test]
fn what_python_writes_is_read_back() {
    let rows = [rows("python"), rows("loguru")].concat();
    assert!(rows.len() > 150, "{}", rows.len());
    for row in &rows {
        let rules = rules(row);
        let (pattern, line) = (&row["pattern"], row["line"].as_str().expect("a line"));
        let seconds = row["seconds"].as_i64().expect("a time");
        let now = UnixNanos(seconds as u64 * 1_000_000_000);
        let mut decoded = Decoded::new();
        decode(line, &rules.fields, &mut Memory::new(&rules.formats), &mut decoded);
        assert_eq!(decoded.format, Format::Own, "{pattern}: {line}");
        let record = Record::new(line, &decoded, now, Envelope::default());
        let level = Severity::from_text(row["level"].as_str().expect("a level"));
        assert_eq!(record.severity(), level, "{pattern}: {line}");
        assert_eq!(record.text(BODY), row["message"].as_str(), "{pattern}: {line}");
        let named = |field: FieldId, key: &str, name: &str| {
            let value = row[key].as_str().filter(|value| *value != "-");
            if pattern.as_str().is_some_and(|pattern| pattern.contains(name)) && value.is_some() {
                assert_eq!(record.text(field), value, "{pattern}: {line}");
            }
        };
        if row["notation"] == "python" {
            named(LOGGER, "logger", "(name)");
            named(LOGGER, "logger", "{name");
            named(REQUEST_ID, "request_id", "request_id");
        }
        let text = record.text(TIMESTAMP);
        let has_time = ["time", "created"].iter().any(|word| pattern.to_string().contains(word));
        assert_eq!(text.is_some(), has_time, "{pattern}: {line}");
        if let Some(text) = text {
            let time = parse(text, &Zone::Utc, now, &mut MinuteCache::default());
            let time = time.expect("a time").seconds() as i64;
            let tolerance = row["tolerance"].as_i64().unwrap_or(0);
            assert!((time - seconds).abs() <= tolerance, "{pattern}: {line}: {text}");
        }
    }
}

/// Scenario: patterns and lines that pygrok matched.
/// Guarantees: the fields that mean something here have the text that pygrok captured.
#[test]
fn grok_captures_what_pygrok_captures() {
    let known = FieldTable::standard();
    let mut compared = 0;
    for row in rows("grok") {
        let rules = rules(&row);
        let line = row["line"].as_str().expect("a line");
        let mut decoded = Decoded::new();
        decode(line, &rules.fields, &mut Memory::new(&rules.formats), &mut decoded);
        assert_eq!(decoded.format, Format::Own, "{}", row["pattern"]);
        let record = Record::new(line, &decoded, UnixNanos(0), Envelope::default());
        for (name, value) in row["captures"].as_object().expect("captures") {
            let Some(value) = value.as_str().filter(|value| *value != "-") else { continue };
            let key = match name.as_str() {
                "clientip" | "client" => "client.address",
                "request" => "url.path",
                "response" => "http.response.status_code",
                // the quotes belong to the capture of logstash's first version
                "agent" => "user_agent.original",
                other => other,
            };
            let Some(binding) = known.binding(key) else { continue };
            compared += 1;
            let value = if name == "agent" { value.trim_matches('"') } else { value };
            assert_eq!(record.text(binding.field), Some(value), "{}: {name}", row["pattern"]);
        }
    }
    assert!(compared >= 25, "only {compared} captures compared");
}
