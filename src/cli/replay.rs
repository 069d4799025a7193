//! `sidelight replay`: passes a log file through the rules and prints the metrics, spans and health
//! that it would have given. The metrics go to standard output in Prometheus' text format;
//! everything else is printed as comments, so that promtool can read the whole output.

use super::lines;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::{Flags, load};
use crate::console;
use crate::health::verdict::{Check, Status};
use crate::replay::{Outcome, Replay};
use clap::ValueEnum;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `replay`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The log file; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Validate every line in full, and fail if a line is damaged: invalid UTF-8 or invalid JSON
    #[arg(long)]
    pub strict: bool,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Format of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Metrics in Prometheus' text format, with spans and verdict as comments
    Text,
    /// One JSON object
    Json,
}

/// Replays a file.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let flags = Flags { config: arguments.config.clone(), ..Flags::default() };
    let loaded = load(&flags, environment);
    for fault in &loaded.faults {
        console::diagnostic(&fault.to_string());
    }
    if !loaded.is_valid() {
        return ExitCode::from(2);
    }
    let mut replay = match Replay::new(&loaded.config, arguments.strict, Clock::system().now()) {
        Ok(replay) => replay,
        Err(errors) => {
            for fault in loaded.locate_all(&errors) {
                console::diagnostic(&fault.to_string());
            }
            return ExitCode::from(2);
        }
    };
    let mut number = 1;
    let read = lines::read(&arguments.file, |block| number = replay.feed(block, number));
    if let Err(error) = read {
        console::diagnostic_line(format_args!("replay: {}: {error}", arguments.file.display()));
        return ExitCode::from(2);
    }
    let outcome = replay.finish();
    let written = match arguments.format {
        Format::Text => text(&outcome),
        Format::Json => format!("{}\n", json(&outcome)),
    };
    // a reader that closes early, such as head, is not an error
    let _ = console::print(&written);
    for (line, why) in &outcome.damaged {
        console::diagnostic_line(format_args!("line {line}: {why}"));
    }
    if outcome.damaged_count > 0 {
        console::diagnostic_line(format_args!(
            "replay: {} lines are damaged",
            outcome.damaged_count
        ));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn text(outcome: &Outcome) -> String {
    let mut out = outcome.metrics.clone();
    let mut comment = |line: String| {
        out.push_str("# ");
        out.push_str(&line);
        out.push('\n');
    };
    comment(String::new());
    let ledger = &outcome.ledger;
    comment(format!("lines   {} read, {} refused", ledger.received, ledger.refused));
    if let Some((first, last)) = outcome.between {
        let seconds = last.since(first).as_secs_f64();
        comment(format!("time    {first:.0} to {last:.0} ({seconds:.0} s)"));
    }
    comment(format!("spans   {}", outcome.spans.count));
    for ((kind, name), (count, failed, took)) in &outcome.spans.by_name {
        let mean = took.as_secs_f64() * 1e3 / *count as f64;
        comment(format!("        {count} {kind} {name}, {failed} failed, {mean:.1} ms on average"));
    }
    comment(format!("health  {}", word(outcome.verdict.status())));
    let is_shown = |check: &&Check| {
        check.status != Status::Pass || (check.name == "levels" && !check.reason.is_empty())
    };
    for check in outcome.verdict.checks.iter().filter(is_shown) {
        comment(format!("        {}: {}", check.name, check.reason));
    }
    out
}

fn json(outcome: &Outcome) -> serde_json::Value {
    let spans = outcome.spans.by_name.iter().map(|((kind, name), (count, failed, took))| {
        serde_json::json!({
            "kind": kind, "name": name, "count": count, "failed": failed,
            "seconds": took.as_secs_f64(),
        })
    });
    let checks = outcome.verdict.checks.iter().map(|check| {
        serde_json::json!({
            "name": check.name, "status": word(check.status), "reason": check.reason,
        })
    });
    serde_json::json!({
        "metrics": outcome.metrics,
        "lines": outcome.ledger.received,
        "spans": spans.collect::<Vec<_>>(),
        "health": {"status": word(outcome.verdict.status()), "checks": checks.collect::<Vec<_>>()},
        "damaged": outcome.damaged_count,
    })
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "healthy",
        Status::Warn => "healthy, with warnings",
        Status::Fail => "unhealthy",
    }
}
