//! `sidelight replay`: passes a log file through the rules and prints what a sidecar would have
//! made of it: routes, rates, quantiles, errors by type, formats, spans, health. What is no terminal
//! gets the series as well, because a program that reads the output searches for them. `--metrics`
//! prints the series first, in Prometheus' text format, and the rest as comments, so that promtool
//! can read the whole output.

use super::lines;
use super::scrape::Scrape;
use super::style::{self, Look, Style, printable, shortened, wrapped};
use super::table::{self, Figures};
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::{Flags, load};
use crate::console;
use crate::health::verdict::{Check, Status};
use crate::order;
use crate::replay::{Outcome, Replay};
use clap::ValueEnum;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How many routes, errors and names of spans are shown, the most frequent first.
const ROWS_MAX: usize = 25;

/// The indentation of what the checks say.
const REASON_INDENT: usize = 8;

/// Arguments of `replay`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The log file, also compressed by gzip or zstd; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the series, too, in Prometheus' text format; the summary follows as comments
    #[arg(long, conflicts_with = "format")]
    pub metrics: bool,
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
    /// A summary for people
    Text,
    /// One JSON object
    Json,
}

/// Replays a file.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let flags = Flags { config: arguments.config.clone(), ..Flags::default() };
    let loaded = load(&flags, environment);
    for fault in &loaded.faults {
        style::diagnose(&fault.to_string(), environment);
    }
    if !loaded.is_valid() {
        return ExitCode::from(2);
    }
    let mut replay = match Replay::new(&loaded.config, arguments.strict, Clock::system().now()) {
        Ok(replay) => replay,
        Err(errors) => {
            for fault in loaded.locate_all(&errors) {
                style::diagnose(&fault.to_string(), environment);
            }
            return ExitCode::from(2);
        }
    };
    let mut number = 1;
    let style = Style::of(io::stderr(), environment);
    let read = lines::read(&arguments.file, style, |block| number = replay.feed(block, number));
    let outcome = replay.finish();
    let written = match arguments.format {
        Format::Text if arguments.metrics => with_metrics(&outcome),
        Format::Text => page(&outcome, environment),
        Format::Json => format!("{}\n", json(&outcome)),
    };
    if let Err(error) = read {
        // what came before the damage of a compressed file is worth seeing
        if outcome.ledger.received > 0 {
            let _ = console::print(&written);
        }
        style::fail(format_args!("{}: {error}", arguments.file.display()), environment);
        return ExitCode::from(2);
    }
    // a reader that closes early, such as head, is not an error
    let _ = console::print(&written);
    for (line, why) in &outcome.damaged {
        console::diagnostic_line(format_args!("line {line}: {why}"));
    }
    if outcome.damaged_count > 0 {
        style::fail(format_args!("{} lines are damaged", outcome.damaged_count), environment);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Returns the summary and, for a program or a file that reads it, the series.
fn page(outcome: &Outcome, environment: &Environment) -> String {
    let lines = summary(outcome, Style::of(io::stdout(), environment));
    let mut page = lines.join("\n") + "\n";
    if !io::stdout().is_terminal() {
        page.push('\n');
        page.push_str(&outcome.metrics);
    }
    page
}

/// Returns the series, with the summary as comments.
fn with_metrics(outcome: &Outcome) -> String {
    let mut out = format!("{}#\n", outcome.metrics);
    for line in summary(outcome, Style::PLAIN) {
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
    out
}

/// Returns the lines of the summary.
fn summary(outcome: &Outcome, style: Style) -> Vec<String> {
    let (before, now) = (Scrape::default(), Scrape::parse(&outcome.metrics));
    let between = outcome.between.map_or(Duration::ZERO, |(first, last)| last.since(first));
    // a rate of less than a second says nothing
    let between = if between < Duration::from_secs(1) { Duration::ZERO } else { between };
    let figures = Figures { before: &before, now: &now, between };
    let mut lines = head(outcome, &figures, style);
    for section in [
        table::routes(&figures, ROWS_MAX, style),
        table::errors(&now, ROWS_MAX, style),
        formats(outcome, style),
        spans(outcome, style),
    ] {
        if !section.is_empty() {
            lines.push(String::new());
            lines.extend(section);
        }
    }
    lines.extend(not_understood(outcome, style));
    lines
}

/// Returns what the file is, and how healthy.
fn head(outcome: &Outcome, figures: &Figures<'_>, style: Style) -> Vec<String> {
    let ledger = &outcome.ledger;
    let mut lines = vec![format!("lines   {} read, {} refused", ledger.received, ledger.refused)];
    if let Some((first, last)) = outcome.between {
        let seconds = last.since(first).as_secs_f64();
        lines.push(format!("time    {first:.0} to {last:.0}"));
        if figures.between > Duration::ZERO {
            let rate = table::per_second(ledger.received as f64 / seconds);
            lines.push(format!("        {seconds:.0} s, {rate} lines/s"));
        }
    }
    lines.push(format!("errors  {:.2} % of records", figures.errors_percent()));
    lines.push(format!("spans   {}", outcome.spans.count));
    let status = outcome.verdict.status();
    lines.push(format!("health  {}", style.paint(look(status), word(status))));
    let is_shown = |check: &&Check| {
        check.status != Status::Pass || (check.name == "levels" && !check.reason.is_empty())
    };
    for check in outcome.verdict.checks.iter().filter(is_shown) {
        let reason = format!("{}: {}", check.name, check.reason);
        let wrapped = style.columns.map(|columns| wrapped(&reason, REASON_INDENT, columns));
        let reason = wrapped.unwrap_or(reason);
        lines.extend(format!("{:REASON_INDENT$}{reason}", "").lines().map(str::to_owned));
    }
    lines
}

/// Returns the formats that were recognised.
fn formats(outcome: &Outcome, style: Style) -> Vec<String> {
    let all: u64 = outcome.formats.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return Vec::new();
    }
    let mut lines = vec![
        style.paint(Look::Title, &format!("  {:<20}{:>10}{:>10}", "format", "lines", "share")),
    ];
    lines.extend(outcome.formats.iter().map(|(name, count)| {
        let share = *count as f64 * 100.0 / all as f64;
        format!("  {name:<20}{count:>10}{share:>8.1} %")
    }));
    lines
}

/// Returns the spans by kind and name, the most frequent first.
fn spans(outcome: &Outcome, style: Style) -> Vec<String> {
    let mut all: Vec<_> = outcome.spans.by_name.iter().collect();
    if all.is_empty() {
        return Vec::new();
    }
    order::sort_by_key(&mut all, |(_, (count, ..))| std::cmp::Reverse(*count));
    let names = all.iter().map(|((kind, name), _)| kind.len() + 1 + name.chars().count());
    let width = names.max().unwrap_or(0).clamp(20, table::columns(style) - 30);
    let head = format!("  {:<width$}{:>8}{:>8}{:>10}", "span", "count", "failed", "mean");
    let mut lines = vec![style.paint(Look::Title, &head)];
    lines.extend(all.iter().take(ROWS_MAX).map(|((kind, name), (count, failed, took))| {
        let name = shortened(&format!("{kind} {name}"), width);
        let mean = table::took(took.as_secs_f64() / *count as f64);
        format!("  {name:<width$}{count:>8}{failed:>8}{mean:>10}")
    }));
    lines.extend(table::further(all.len(), ROWS_MAX, "name", style));
    lines
}

/// Says how many records are not understood, and which is the first.
fn not_understood(outcome: &Outcome, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let (level, time) = outcome.incomplete;
    if level + time > 0 {
        lines.push(format!("not understood: {level} records without level, {time} without time"));
    }
    if outcome.malformed > 0 {
        lines.push(format!("                {} begin like JSON and are not", outcome.malformed));
    }
    if let Some((number, text)) = &outcome.first_incomplete {
        let shown = printable(text.lines().next().unwrap_or_default());
        let space = table::columns(style).saturating_sub(8);
        lines.push(format!("  line {number}:"));
        lines.push(format!("    {}", shortened(&shown, space)));
        lines.push("  `sidelight explain --file FILE` shows one of each kind".to_owned());
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
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
    let formats = outcome.formats.iter().map(|(name, count)| (name.clone(), (*count).into()));
    serde_json::json!({
        "metrics": outcome.metrics,
        "lines": outcome.ledger.received,
        "formats": formats.collect::<serde_json::Map<String, serde_json::Value>>(),
        "without_level": outcome.incomplete.0,
        "without_time": outcome.incomplete.1,
        "malformed": outcome.malformed,
        "spans": spans.collect::<Vec<_>>(),
        "health": {"status": word(outcome.verdict.status()), "checks": checks.collect::<Vec<_>>()},
        "damaged": outcome.damaged_count,
    })
}

fn look(status: Status) -> Look {
    match status {
        Status::Pass => Look::Good,
        Status::Warn => Look::Warn,
        Status::Fail => Look::Bad,
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "healthy",
        Status::Warn => "healthy, with warnings",
        Status::Fail => "unhealthy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::config::settings::Config;

    fn replayed(text: &str) -> Outcome {
        let mut replay =
            Replay::new(&Config::default(), false, UnixNanos(1_767_323_045_000_000_000))
                .expect("the built-in rules");
        replay.feed(text.as_bytes(), 1);
        replay.finish()
    }

    const LOG: &str = "\
        {\"time\":\"2026-01-02T03:04:05Z\",\"level\":\"info\",\"method\":\"GET\",\"path\":\"/a/1\",\"status\":200,\"duration_ms\":12}\n\
        {\"time\":\"2026-01-02T03:04:09Z\",\"level\":\"error\",\"method\":\"GET\",\"path\":\"/a/2\",\"status\":500,\"duration_ms\":12}\n\
        {\"time\":\"2026-01-02T03:04:15Z\",\"level\":\"error\",\"error_type\":\"KeyError\",\"request_id\":\"1\"}\n\
        ~~ starting \x07 up ~~\n\
        {not JSON\n";

    /// Guarantees: the summary has routes with rates and quantiles, errors, formats and what is
    /// not understood; nothing in it controls a terminal.
    #[test]
    fn the_summary_answers_what_a_file_contains() {
        let lines = summary(&replayed(LOG), Style::PLAIN);
        let text = lines.join("\n");
        for expected in [
            "lines   5 read, 0 refused",
            "10 s, 0.50 lines/s",
            "errors  40.00 % of records",
            "  route                   reqs    per s   5xx    p50    p95    p99\n  \
             GET /a/{id}                2     0.20     1",
            "  KeyError                   1",
            "  json                         3    60.0 %\n  plain                        2    40.0 %",
            "not understood: 2 records without level, 2 without time",
            "1 begin like JSON and are not",
            "  line 4:\n    ~~ starting \\u{7} up ~~",
        ] {
            assert!(text.contains(expected), "no {expected:?} in\n{text}");
        }
        assert!(!text.contains('\x1b') && !text.contains('\x07'));
        let empty = summary(&replayed(""), Style::PLAIN);
        assert!(empty.iter().any(|line| line == "lines   0 read, 0 refused"), "{empty:?}");
    }

    /// Guarantees: with `--metrics` every line is a series or a comment.
    #[test]
    fn metrics_and_summary_are_one_page() {
        let page = with_metrics(&replayed(LOG));
        assert!(
            page.contains("\nhttp_requests_total{method=\"GET\",endpoint=\"/a/{id}\""),
            "{page}"
        );
        assert!(page.contains("\n# lines   5 read"), "{page}");
        for line in page.lines() {
            let is_sample = crate::cli::scrape::sample(line).is_some();
            assert!(line.starts_with('#') || is_sample, "{line:?}");
        }
    }

    /// Guarantees: the summary fits a terminal of 60 columns.
    #[test]
    fn the_summary_fits() {
        let style = Style { columns: Some(60), ..Style::PLAIN };
        // records without a level have a long explanation
        for log in [LOG.to_owned(), "some words\n".repeat(300)] {
            let lines = summary(&replayed(&log), style);
            assert!(log == LOG || lines.iter().any(|line| line.contains("levels: ")), "{lines:?}");
            for line in lines {
                assert!(line.chars().count() <= 60, "{line:?}");
            }
        }
    }
}
