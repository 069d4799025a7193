//! Checks the table of sidelight's metrics: its page, the alerts and dashboards that use its rows,
//! and that code changes each metric.

use crate::collector::{FakeCollector, Reply};
use crate::process::{AMPLE, Setup, Sidecar};
use rustix::process::Signal;
use sidelight::clock::{Clock, UnixNanos};
use sidelight::config::{Flags, parse};
use sidelight::export::endpoint::Protocol;
use sidelight::metrics::Limits;
use sidelight::rules::compile::dry_run;
use sidelight::rules::standard::families;
use sidelight::telemetry::log::{Log, Sink};
use sidelight::telemetry::table::{Metric, Values};
use sidelight::telemetry::{TABLE, Telemetry};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Renders the page from the tables.
fn page() -> String {
    let mut page = String::from(include_str!("metrics/head.md"));
    page.push_str("| metric | type | labels | switched off by | |\n|---|---|---|---|---|\n");
    for family in families() {
        let labels = family.labels.iter().map(|label| format!("`{}`", label.name));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let (name, kind, help) = (&family.name, family.kind.word(), &family.help);
        let group = group(&family.name);
        writeln!(page, "| `{name}` | {kind} | {labels} | `{group}: false` | {help} |")
            .expect("a string takes all");
    }
    page.push_str(include_str!("metrics/names.md"));
    page.push_str("| metric | type | unit | labels | |\n|---|---|---|---|---|\n");
    for row in TABLE {
        let labels = row.labels.iter().map(|label| match label.values {
            Values::Closed(values) => format!("`{}`: {}", label.name, values.join(", ")),
            Values::Open(what) => format!("`{}`: {what}", label.name),
        });
        let labels = labels.collect::<Vec<_>>().join("; ");
        let (name, kind, unit) = (row.name, row.kind.name(), row.unit);
        writeln!(page, "| `{name}` | {kind} | {unit} | {labels} | {} |", row.help)
            .expect("a string takes all");
    }
    page.push_str("\nFrom the kernel, under the names that every Prometheus client uses:\n\n| metric | |\n|---|---|\n");
    let telemetry = Telemetry::new();
    telemetry.watch_process();
    for family in telemetry.gather() {
        if family.name().starts_with("process_") {
            writeln!(page, "| `{}` | {} |", family.name(), family.help())
                .expect("a string takes all");
        }
    }
    page
}

/// Returns the setting that switches a built-in family off.
fn group(family: &str) -> &'static str {
    let groups = [
        ("http_", "metrics.groups.http"),
        ("database_", "metrics.groups.database"),
        ("function_", "metrics.groups.functions"),
        ("log_", "metrics.groups.log"),
    ];
    let group = groups.into_iter().find(|(prefix, _)| family.starts_with(prefix));
    group.expect("a group of each family").1
}

/// Guarantees: each built-in family belongs to the group that the page says.
#[test]
fn families_are_switched_off_by_their_group() {
    for family in families() {
        let text = group(&family.name).split('.').skip(2).collect::<String>();
        let text = format!("metrics: {{groups: {{{text}: false}}}}\n");
        let loaded = parse("f.yaml", &text, &Flags::default(), &BTreeMap::new());
        let rules = dry_run(&loaded.config.rules, Limits::default()).expect("built-in rules");
        let is_there = rules.families.iter().any(|other| other.name == family.name);
        assert!(!is_there, "{}", family.name);
    }
}

/// Guarantees: the page agrees with the table.
#[test]
fn the_page_is_the_table() {
    let path = root().join("docs/metrics.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(root().join("docs")).expect("a writable repository");
        fs::write(&path, page()).expect("a writable page");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page(), "UPDATE=1 cargo test --test main metrics writes it");
}

/// Guarantees: the table contains every metric of sidelight that the README, an alert, a dashboard
/// or one of their tests names, with the labels and values that they select.
#[test]
fn alerts_and_dashboards_ask_for_what_is_there() {
    let mut files = vec![root().join("README.md")];
    for folder in ["helm/sidelight/rules", "helm/sidelight/dashboards", "tests/chart/rules"] {
        let entries = fs::read_dir(root().join(folder)).expect("a folder");
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    let mut named = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("text").replace("\\\"", "\"");
        for (at, _) in text.match_indices("sidelight_") {
            // prose names a metric as code; the name of a Python module is not a metric
            let before = text[..at].chars().next_back();
            let is_start = match before {
                _ if file.ends_with("README.md") => before == Some('`'),
                _ => before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_'),
            };
            let rest = &text[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
            // metrics of the injector, and prefixes of names (`sidelight_.*`, `sidelight_frames_*`)
            let is_file = behind.starts_with(".py");
            let is_other = name.starts_with("sidelight_injector") || name.ends_with('_') || is_file;
            if !is_start || is_other {
                continue;
            }
            named.insert(name.to_owned());
            match Metric::find(TABLE, name) {
                None => wrong.push(format!("{}: {name}", file.display())),
                Some(row) => wrong.extend(unknown_values(row, behind, &file)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named.len() >= 15, "{named:?}");
}

/// Guarantees: every metric that a page or a file of the chart names exists: in the table, among the
/// injector's, or among the families of the built-in rules.
#[test]
fn every_metric_that_a_page_names_exists() {
    let families: BTreeSet<String> = families().into_iter().map(|family| family.name).collect();
    let injector = fs::read_to_string(root().join("crates/injector/src/server/metrics.rs"));
    let injector = injector.expect("the injector's metrics");
    let is_known = |name: &str| {
        let parts = ["_bucket", "_sum", "_count", "_created"];
        let family = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        match name.strip_prefix("sidelight_injector_") {
            Some(rest) => {
                let short = family.trim_start_matches("sidelight_injector_");
                [name, family, rest, short].iter().any(|n| injector.contains(&format!("\"{n}\"")))
            }
            None if name.starts_with("sidelight_") => Metric::find(TABLE, name).is_some(),
            None => families.contains(family),
        }
    };
    let mut named = BTreeSet::new();
    let mut unknown = Vec::new();
    for file in files_that_name_metrics() {
        let text = fs::read_to_string(&file).expect("text");
        for name in metric_names(&text) {
            if !is_known(name) {
                unknown.push(format!("{}: {name}", file.display()));
            }
            named.insert(name.to_owned());
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    for name in ["sidelight_injector_leader", "sidelight_series", "http_requests_total"] {
        assert!(named.contains(name), "{name} was found: {named:?}");
    }
    assert!(named.len() >= 45, "{named:?}");
}

/// Returns the pages, and the files of the chart that are text.
fn files_that_name_metrics() -> Vec<PathBuf> {
    let mut files = vec![root().join("README.md"), root().join("SECURITY.md")];
    let mut folders = vec![root().join("docs"), root().join("helm"), root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if matches!(extension, Some("md" | "yaml" | "json" | "txt" | "tpl")) {
                files.push(path);
            }
        }
    }
    files
}

/// Returns the names in a text that can only be those of our metrics: with our prefix, or with the
/// prefix of a built-in family and the end of a metric's name.
fn metric_names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| {
        // the module of the client for Python, prefixes (`sidelight_.*`) and the chart's own names
        let is_other = ["sidelight_handler", "sidelight_"].contains(word) || word.ends_with('_');
        let is_family = ["http_", "database_", "function_", "log_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
            && ["_total", "_seconds", "_bucket", "_sum", "_count"]
                .iter()
                .any(|end| word.ends_with(end));
        !is_other && (word.starts_with("sidelight_") || is_family)
    })
}

/// Returns the values that the selector after a name requires by `=` and that the row's labels
/// cannot have.
fn unknown_values(row: Metric, behind: &str, file: &Path) -> Vec<String> {
    let Some(selector) = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    for label in row.labels {
        let Values::Closed(values) = label.values else { continue };
        let Some((_, rest)) = selector.0.split_once(&format!("{}=\"", label.name)) else {
            continue;
        };
        let value = rest.split('"').next().unwrap_or_default();
        if !values.contains(&value) {
            wrong.push(format!("{}: {}{{{}={value:?}}}", file.display(), row.name, label.name));
        }
    }
    wrong
}

/// Series of sidelight's metrics with a value other than 0, by name, and violations of the table.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Seen {
    fn take(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let Some(row) = Metric::find(TABLE, name) else { return };
        if !row.allows(labels) {
            self.wrong.push(format!("{name} {labels:?}"));
        }
        if value != 0.0 {
            self.names.insert(name.to_owned());
        }
    }

    fn scrape(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split("\",").filter_map(|pair| {
                let (name, value) = pair.split_once("=\"")?;
                Some((name, value.trim_end_matches('"')))
            });
            let labels: Vec<(&str, &str)> = labels.collect();
            self.take(name, &labels, value.parse().unwrap_or(0.0));
        }
    }
}

/// Waits until scrapes of a sidecar have shown a value for all of these.
fn watch(sidecar: &Sidecar, seen: &mut Seen, names: &[&str]) {
    let begin = Instant::now();
    while !names.iter().all(|name| seen.names.contains(*name)) {
        seen.scrape(&sidecar.metrics());
        assert!(begin.elapsed() < AMPLE, "{names:?} of {:?}", seen.names);
        std::thread::yield_now();
    }
}

/// Lines that increase each of the counters about lines.
fn lines() -> Vec<u8> {
    let mut lines = Vec::new();
    let mut say = |line: &str| lines.extend_from_slice(format!("{line}\n").as_bytes());
    say(
        r#"{"time":"2026-01-02T03:04:05Z","level":"info","method":"GET","path":"/a","status":200,"duration_ms":5,"request_id":"request-1"}"#,
    );
    say(r#"{"level":"info","method":"GET","path":"/a","status":200,"duration_ms":5}"#);
    say(r#"{"level":"info","method":"GET","path":"/bell\u0007","status":200,"duration_ms":5}"#);
    say("{\"level\":\"error\",\"message\":\"cut");
    say("Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nValueError: no");
    say(&"x".repeat(70_000));
    for first in 'a'..='j' {
        for second in 'a'..='j' {
            say(&format!(r#"{{"method":"GET","path":"/{first}{second}","status":200}}"#));
        }
    }
    // one more start than may wait for their ends
    for number in 0..=sidelight::spans::assemble::STARTS_MAX {
        say(&format!(
            r#"{{"message":"request started","method":"GET","request_id":"request-{number}"}}"#
        ));
    }
    lines.extend_from_slice(b"caf\xe9\n");
    lines
}

/// Guarantees: every row of the table is used: lines, a collector, a reload and a stop change each
/// metric. No label has a value that is not in the table.
#[test]
fn every_own_metric_moves() {
    let mut seen = Seen::default();
    let collector = FakeCollector::start(Protocol::Http, &[Reply::Status(400, None)]);
    let environment = BTreeMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.replace("/v1/traces", "")),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1".to_owned()),
    ]);
    let config = Some("log_level: info\n");
    let sidecar = Sidecar::start(Setup { environment, config, ..Setup::default() });
    let mut open = UnixStream::connect(&sidecar.stream).expect("it listens");
    open.write_all(&lines()).expect("it reads");
    sidecar.signal(Signal::HUP);
    let elsewhere = [
        "sidelight_frames_refused_total",
        "sidelight_frames_torn_total",
        "sidelight_connections_refused_total",
        "sidelight_log_messages_suppressed_total",
        "sidelight_items_sent_total",
        "sidelight_output_healthy",
    ];
    let here: Vec<&str> =
        TABLE.iter().map(|row| row.name).filter(|name| !elsewhere.contains(name)).collect();
    watch(&sidecar, &mut seen, &here);
    // the collector rejected the first span and accepts the next
    let line =
        r#"{"method":"GET","path":"/a","status":200,"duration_ms":5,"request_id":"request-2"}"#;
    open.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    watch(&sidecar, &mut seen, &["sidelight_items_sent_total", "sidelight_output_healthy"]);
    assert_eq!(sidecar.stop().code, Some(0));

    let config = Some("enabled: false\nsocket: {connections_max: 1}\nfinal_scrape: {wait: 20s}\n");
    let sidecar = Sidecar::start(Setup { config, ..Setup::default() });
    let mut open = UnixStream::connect(&sidecar.stream).expect("it listens");
    open.write_all(b"a\nhalf").expect("it reads");
    watch(&sidecar, &mut seen, &["sidelight_connections_open", "sidelight_frames_refused_total"]);
    let _refused = UnixStream::connect(&sidecar.stream).expect("it listens");
    watch(&sidecar, &mut seen, &["sidelight_connections_refused_total"]);
    sidecar.signal(Signal::TERM);
    watch(&sidecar, &mut seen, &["sidelight_frames_torn_total"]);
    drop(sidecar);

    let telemetry = Telemetry::new();
    let sink = Sink::Memory(Arc::new(Mutex::new(Vec::new())));
    let clock = Clock::wound(UnixNanos(1)).0;
    let log = Log::new(tracing::Level::INFO, clock, telemetry.log_suppressed.clone(), sink);
    tracing::subscriber::with_default(log, || {
        for _ in 0..10 {
            tracing::warn!("again");
        }
    });
    seen.take(
        "sidelight_log_messages_suppressed_total",
        &[],
        telemetry.log_suppressed.get() as f64,
    );
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    let names: BTreeSet<String> = TABLE.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(seen.names, names);
}
