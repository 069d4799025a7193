//! A line of the demo and what it became: metric, span, verdict; for the top of the screen. Unit:
//! one line.

use crate::cli::effects::effects;
use crate::cli::screen::wrapped;
use crate::cli::style::{Look, Style, printable};
use crate::cli::table;
use crate::clock::UnixNanos;
use crate::config::settings::Config;
use crate::health::verdict::Status;
use crate::replay::seen::Seen;

/// The indentation of the values behind their names.
const INDENT: usize = 10;

/// How many rows of the screen the line may have.
const LINE_ROWS_MAX: usize = 4;

/// How many rows a metric or a span may have.
const EFFECT_ROWS_MAX: usize = 2;

/// A line and its effects, before they are formatted for the width of a terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Example {
    line: String,
    metric: String,
    span: String,
    verdict: String,
}

impl Example {
    /// Runs a line through the rules. Returns `None` for a line that becomes no metric and span.
    pub(super) fn of(line: &str, config: &Config, now: UnixNanos) -> Option<Example> {
        let effects = effects(line, config, now);
        let requests = config.rules.own_name("http_requests_total");
        let requests = format!("{}{requests}{{", config.rules.prefix);
        let is_request = |sample: &&String| sample.starts_with(&requests);
        let metric = effects.samples.iter().find(is_request)?;
        let (series, value) = metric.rsplit_once(' ')?;
        let verdict = match effects.verdict.status() {
            Status::Pass => "healthy",
            Status::Warn => "degraded",
            Status::Fail => "unhealthy",
        };
        Some(Example {
            line: line.to_owned(),
            metric: format!("{series} +{value}"),
            span: span_text(&effects.span.ok()?),
            verdict: format!("{verdict}, counted in the error ratio"),
        })
    }

    /// Formats the example.
    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let columns = table::columns(style);
        let mut lines = Vec::new();
        let mut say = |name: &str, text: &str, rows: usize, look: Option<Look>| {
            for (row, piece) in wrapped(&printable(text), INDENT, rows, columns).iter().enumerate()
            {
                let name = if row == 0 { name } else { "" };
                let name = style.paint(Look::Aside, &format!("  {name:<8}"));
                let text = &piece[INDENT..];
                let text = look.map_or(text.to_owned(), |look| style.paint(look, text));
                lines.push(format!("{name}{text}"));
            }
        };
        say("a line", &self.line, LINE_ROWS_MAX, None);
        say("metric", &self.metric, EFFECT_ROWS_MAX, Some(Look::Title));
        say("span", &self.span, EFFECT_ROWS_MAX, Some(Look::Title));
        say("verdict", &self.verdict, 1, Some(Look::Title));
        lines.push(String::new());
        lines
    }
}

fn span_text(span: &Seen) -> String {
    let failed = if span.failed { " ERROR" } else { "" };
    let took = table::took(span.took.as_secs_f64());
    format!("{} {} {took}{failed}, trace {}", span.kind, span.name, span.trace_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_795_000_000_000_000_000);

    /// Guarantees: the top of the screen shows the metric and the span that sidelight makes of the
    /// line, within the width of the terminal; a line without a span is no example.
    #[test]
    fn a_line_and_what_it_became() {
        let line = "ts=2026-11-30T07:00:00.123456Z level=info service=payments msg=charged \
                    method=POST path=/v1/charges/17 status=200 duration=0.1234s \
                    trace_id=0af7651916cd43dd8448eb211c80319c";
        let example = Example::of(line, &Config::default(), NOW).expect("a request with a trace");
        for columns in [60, 80, 140] {
            let lines = example.lines(Style { colour: false, columns: Some(columns) });
            let joined: String =
                lines.iter().map(|line| line.get(INDENT..).unwrap_or_default()).collect();
            for part in [
                line,
                "http_requests_total{method=\"POST\",endpoint=\"/v1/charges/{id}\",status_code=\"200\"} +1",
                "SERVER POST /v1/charges/{id} 123 ms, trace 0af7651916cd43dd8448eb211c80319c",
                "healthy",
            ] {
                assert!(joined.contains(part), "no {part:?} in {joined}");
            }
            for line in lines {
                assert!(line.chars().count() <= columns, "{columns}: {line:?}");
            }
        }
        assert_eq!(Example::of("level=info msg=x", &Config::default(), NOW), None);
    }
}
