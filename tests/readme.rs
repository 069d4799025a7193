//! The README says what is: its list of own metrics is generated, its example of a configuration passes `check`.

use sidelight::cli::check::faults;
use sidelight::config::{Flags, parse};
use sidelight::telemetry::Telemetry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// Marks around the generated list.
const FROM: &str = "<!-- own metrics: written by UPDATE=1 cargo test readme -->\n";
const TO: &str = "<!-- end of own metrics -->\n";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn readme() -> String {
    fs::read_to_string(path()).expect("a README")
}

/// All that can be gathered: a vector shows only where it has a child.
fn gathered() -> Vec<(String, String, String)> {
    let telemetry = Telemetry::new();
    telemetry.watch_process();
    let t = &telemetry;
    for one in [
        &t.received,
        &t.received_bytes,
        &t.decoded,
        &t.refused,
        &t.malformed,
        &t.connections,
        &t.connections_refused,
        &t.offered,
        &t.sent,
        &t.spans_skipped,
        &t.starts_dropped,
        &t.config_reloads,
    ] {
        one.with_label_values(&["x"]);
    }
    for two in [&t.dropped, &t.export_requests, &t.label_overflow] {
        two.with_label_values(&["x", "y"]);
    }
    t.connections_open.with_label_values(&["x"]);
    t.output_healthy.with_label_values(&["x"]);
    t.config_info.with_label_values(&["x"]);
    t.thread_seconds.with_label_values(&["x", "y"]);
    let families = telemetry.gather();
    let told = families.iter().map(|family| {
        let labels = family.get_metric().first().map(prometheus::proto::Metric::get_label);
        let labels: Vec<&str> =
            labels.unwrap_or_default().iter().map(prometheus::proto::LabelPair::name).collect();
        (family.name().to_owned(), labels.join(", "), family.help().to_owned())
    });
    told.collect()
}

/// Guarantees: every metric that sidelight keeps about itself is in the README, with its labels and its help.
#[test]
fn every_own_metric_is_documented() {
    let mut list = String::from("| metric | labels | |\n|---|---|---|\n");
    for (name, labels, help) in gathered() {
        writeln!(list, "| `{name}` | {labels} | {help} |").expect("a string takes all");
    }
    let text = readme();
    let (before, rest) = text.split_once(FROM).expect("the list's begin");
    let (written, after) = rest.split_once(TO).expect("the list's end");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path(), format!("{before}{FROM}{list}{TO}{after}")).expect("a writable README");
        return;
    }
    assert_eq!(written, list, "UPDATE=1 cargo test readme writes it");
}

/// Guarantees: no family of `telemetry.rs` is left out above, because nothing touched it.
#[test]
fn every_own_metric_is_gathered() {
    let source = include_str!("../src/telemetry.rs");
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let names: BTreeSet<String> = gathered().into_iter().map(|(name, ..)| name).collect();
    // a field of the struct is a family
    let fields = source.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("pub ")
            && line.ends_with(',')
            && line.contains(": ")
            && !line.contains("Faults")
    });
    let own = names.iter().filter(|name| name.starts_with("sidelight_")).count();
    assert_eq!(fields.count(), own, "{names:?}");
}

/// Guarantees: what a reader pastes from the README is right, warnings included.
#[test]
fn the_configuration_in_the_readme_passes_check() {
    let text = readme();
    let mut examples = 0;
    for example in text.split("```yaml\n").skip(1) {
        let example = example.split("```").next().unwrap_or_default();
        let loaded = parse("README.md", example, &Flags::default(), &BTreeMap::new());
        let faults: Vec<String> = faults(&loaded).iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.concat());
        examples += 1;
    }
    assert!(examples > 0, "there is an example");
}
