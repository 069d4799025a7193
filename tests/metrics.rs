//! Checks the table of sidelight's metrics: its page, and the alerts and dashboards that use its
//! rows. `moves` checks that code changes each metric.

use sidelight::config::{Flags, parse};
use sidelight::metrics::Limits;
use sidelight::rules::compile::dry_run;
use sidelight::rules::standard::families;
use sidelight::telemetry::table::{Metric, Values};
use sidelight::telemetry::{TABLE, Telemetry};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

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
