//! Tests the dictionary of structured formats: every example is decoded correctly, with and without
//! shapes learned from other lines, and `docs/formats.md` agrees with the table. `UPDATE=1`
//! rewrites the document.

use sidelight::clock::{Clock, UnixNanos};
use sidelight::decode::{Memory, decode, text, time};
use sidelight::record::dictionary::{DICTIONARY, Framework, WRAPPERS};
use sidelight::record::field::{self, FieldId, FieldTable, STANDARD};
use sidelight::record::{Decoded, Envelope, Record};
use std::fmt::Write as _;
use std::fs;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats.md");

/// What decides whether a line is a request or a call.
const CALLS: &str = "\
## Requests and calls

A line with a method, a path or route, and a status is a request that the service answered, except
when it describes a call to another service. Evidence of a call is, in this order:

- `span.kind`, `kind` or `direction` is `client` (`SPAN_KIND_CLIENT`), `outbound`, `outgoing` or
  `egress`. `server` and `inbound` mean a request, whatever else the line says.
- The logger is an HTTP client (httpx, urllib3, botocore, OkHttp, Feign, axios, resty, reqwest,
  .NET's HttpClient, ...) or a class whose name ends with `Client` or `RestTemplate`.
- The message begins with `HTTP Request: `, `outgoing`, `outbound`, `calling`, `sent request` or
  `external call`, and the URL names a host.

A URL with a host alone is none: load balancers, chi and ASP.NET Core write one for the requests
that they answer. Calls count in no standard metric, make no span and do not change the verdict on
the service's own requests; `explain` shows the evidence as the field `client_call`.

";

/// Fields in the order of the table's `reads`, with their names there.
const SHOWN: [(&str, FieldId); 13] = [
    ("trace_id", field::TRACE_ID),
    ("span_id", field::SPAN_ID),
    ("request_id", field::REQUEST_ID),
    ("service.name", field::SERVICE),
    ("logger.name", field::LOGGER),
    ("thread.name", field::THREAD),
    ("http.request.method", field::HTTP_METHOD),
    ("http.route", field::HTTP_ROUTE),
    ("url.path", field::URL_PATH),
    ("status", field::HTTP_STATUS),
    ("db.query.text", field::DB_QUERY),
    ("exception.message", field::EXCEPTION_MESSAGE),
    ("body", field::BODY),
];

/// Formats the decoded fields of a line as the table writes them.
fn reads(line: &str, wanted: &FieldTable, memory: &mut Memory) -> String {
    let mut decoded = Decoded::new();
    decode(line, wanted, memory, &mut decoded);
    let record = Record::new(line, &decoded, Clock::system().now(), Envelope::default());
    let mut parts = Vec::new();
    if record.severity().0 != 0 {
        parts.push(format!("level={}", record.severity().short_name()));
    }
    if let Some(stamp) = record.text(field::TIMESTAMP) {
        let now = UnixNanos(1_767_323_044_000_000_000);
        let cache = &mut time::MinuteCache::default();
        match time::parse(stamp, &time::Zone::Utc, now, cache) {
            Some(at) => parts.push(format!("time={}", rfc3339(at))),
            None => parts.push(format!("time=?{stamp}")),
        }
    }
    for (name, field) in SHOWN {
        if name == "exception.message" {
            parts.extend(record.seconds(field::DURATION).map(|value| format!("seconds={value}")));
            let named = record.text(field::EXCEPTION_TYPE).or(record.text(field::ERROR_TYPE));
            let stack = record.text(field::EXCEPTION_STACKTRACE);
            let traced = stack.and_then(text::exception_of).map(|(class, _)| class);
            let traced = stack.zip(traced).and_then(|(stack, class)| stack.get(class));
            let traced =
                traced.filter(|class| class.ends_with("Error") || class.ends_with("Exception"));
            parts.extend(named.or(traced).map(|name| format!("error={name}")));
        }
        if name == "body" && record.text(field::EXCEPTION_STACKTRACE).is_some() {
            parts.push("exception=yes".to_owned());
        }
        parts.extend(
            record.text(field).map(|value| format!("{name}={}", value.replace('\n', "\\n"))),
        );
    }
    parts.join(" | ")
}

/// Formats a time as the table writes it: with no more groups of three decimals than needed.
fn rfc3339(at: UnixNanos) -> String {
    match at.0 % 1_000_000_000 {
        0 => at.to_string(),
        nanos if nanos % 1_000_000 == 0 => format!("{at:.3}"),
        nanos if nanos % 1_000 == 0 => format!("{at:.6}"),
        _ => format!("{at:.9}"),
    }
}

/// Scenario: every example of the table, decoded by a reader without learned shapes, by one that
/// has read the example before, and by one that has read all other examples.
/// Guarantees: each time, the decoded fields are exactly those of the table.
#[test]
fn every_example_is_read_as_the_table_says() {
    let wanted = FieldTable::standard();
    let mut trained = Memory::default();
    let mut wrong = String::new();
    for _ in 0..2 {
        for framework in DICTIONARY.iter() {
            assert!(!framework.examples.is_empty(), "{}: no example", framework.name);
            for example in &framework.examples {
                for memory in [&mut Memory::default(), &mut trained] {
                    let found = reads(example.line, &wanted, memory);
                    if found != example.reads && !wrong.contains(&found) {
                        let name = framework.name;
                        let _ = write!(
                            wrong,
                            "{name}\n  found    {found}\n  expected {}\n",
                            example.reads
                        );
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Scenario: the rows of the table.
/// Guarantees: every field exists, a key that counts in one framework only has a mark that
/// identifies the framework, and no key has two meanings.
#[test]
fn rows_are_sound() {
    for framework in DICTIONARY.iter() {
        let Framework { name, marks, keys, level, .. } = framework;
        for key in keys {
            assert!(STANDARD.iter().any(|(known, _)| *known == key.field), "{name}: {}", key.field);
            assert!(!key.is_private || !marks.is_empty(), "{name}: `{}` needs a mark", key.path);
            let elsewhere = DICTIONARY.iter().flat_map(|f| &f.keys).chain(keys).find(|other| {
                other.path == key.path
                    && other.field != key.field
                    && !other.is_private
                    && !key.is_private
            });
            assert!(
                elsewhere.is_none() || !key.unit.is_empty() && !marks.is_empty(),
                "{name}: `{}` means something else in another row",
                key.path
            );
        }
        assert!(level.is_none() || !marks.is_empty(), "{name}: a level needs a mark");
    }
}

/// Scenario: the document in the repository.
/// Guarantees: it agrees with the table and with the fields that are decoded now.
#[test]
fn the_document_is_what_the_table_says() {
    let document = document();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(DOCUMENT, &document).expect("docs/formats.md is writable");
    }
    let written = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(written == document, "docs/formats.md is old: UPDATE=1 cargo test formats");
}

fn document() -> String {
    let wanted = FieldTable::standard();
    let mut out = String::from(
        "# Structured formats\n\nWritten by `UPDATE=1 cargo test formats` from `src/record/dictionary.txt`; \
         to add a format, add a block there.\n\nKeys of every row are looked for in every JSON and \
         `key=value` line. Where a line has several keys of one field, the first that can be read counts, in \
         the order of the list at the end.\n\n",
    );
    for framework in DICTIONARY.iter() {
        let _ = writeln!(out, "## {}\n", framework.name);
        if !framework.marks.is_empty() {
            let marks: Vec<_> = framework.marks.iter().map(|mark| format!("`{mark}`")).collect();
            let _ = writeln!(out, "Known by {}.\n", marks.join(" or "));
        }
        if let Some(level) = framework.level {
            let _ = writeln!(out, "A record without a level is {level}.\n");
        }
        if !framework.keys.is_empty() {
            out.push_str("| field | key |\n|---|---|\n");
            for key in &framework.keys {
                let unit =
                    if key.unit.is_empty() { String::new() } else { format!(" in {}", key.unit) };
                let only = if key.is_private { ", here only" } else { "" };
                let _ = writeln!(out, "| {} | `{}`{unit}{only} |", key.field, key.path);
            }
            out.push('\n');
        }
        for example in &framework.examples {
            let _ = writeln!(out, "```\n{}\n```\n", example.line);
            let found = reads(example.line, &wanted, &mut Memory::default());
            for part in found.split(" | ") {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let _ = writeln!(out, "- {name}: `{value}`");
            }
            out.push('\n');
        }
    }
    out.push_str(CALLS);
    out.push_str("## Keys that every line may use\n\n| field | keys, best first |\n|---|---|\n");
    for (name, keys) in STANDARD.iter().filter(|(_, keys)| !keys.is_empty()) {
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(out, "| {name} | {} |", keys.join(" "));
    }
    let wrappers: Vec<_> = WRAPPERS.iter().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(
        out,
        "\nThe same keys count inside these objects, behind those at the top: {}.",
        wrappers.join(" ")
    );
    out
}
