//! Draws the screen of `demo` and `watch` from two scrapes and a health report. Pure. Unit: one
//! screen.

use super::style::{Look, Style, shortened};
use super::table::{self, COLUMNS_MIN, Figures};
use std::time::Duration;

/// How many routes are shown at most, the busiest first.
const ROUTES_MAX: usize = 10;

/// How many routes are shown at least, however low the terminal is.
const ROUTES_MIN: usize = 3;

/// How many types of errors are shown.
const ERRORS_MAX: usize = 3;

/// How many complaints are shown.
const COMPLAINTS_MAX: usize = 3;

/// The data of one screen.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// What the screen shows.
    pub(super) title: &'a str,
    /// A line of the log, and what it became; lines that fit.
    pub(super) example: &'a [String],
    pub(super) figures: Figures<'a>,
    /// The time since the screen was first drawn.
    pub(super) elapsed: Duration,
    pub(super) health: &'a Health,
    /// `host:port` of the admin port.
    pub(super) admin: &'a str,
    /// What ends the screen.
    pub(super) footer: &'a str,
    pub(super) style: Style,
    /// The height of the terminal; `None` without one.
    pub(super) rows: Option<usize>,
}

/// What `/health` says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Health {
    pub(super) status: String,
    /// The checks that are not healthy, one line each.
    pub(super) complaints: Vec<String>,
}

impl Health {
    /// Reads the JSON of `/health`; the status is `unknown` if it is something else.
    pub(super) fn parse(body: &str) -> Health {
        let report: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let status = report["status"].as_str().unwrap_or("unknown").to_owned();
        let checks = report["checks"].as_object().into_iter().flatten();
        let complaints = checks.filter_map(|(name, check)| {
            let error = check["error"].as_str().or_else(|| check["warning"].as_str())?;
            Some(format!("{name}: {error}"))
        });
        Health { status, complaints: complaints.collect() }
    }
}

/// Draws the screen.
pub(super) fn draw(view: &View<'_>) -> String {
    let style = view.style;
    let columns = table::columns(style);
    let title = shortened(view.title, columns.saturating_sub(8));
    let seconds = style.paint(Look::Aside, &format!("{} s", view.elapsed.as_secs()));
    let mut lines = vec![format!("{}  {seconds}", style.paint(Look::Title, &title)), String::new()];
    lines.extend_from_slice(view.example);
    lines.extend(totals(view));
    let errors = table::errors(view.figures.now, ERRORS_MAX, style);
    let below = 5 + if errors.is_empty() { 0 } else { errors.len() + 1 };
    let free = view.rows.map_or(ROUTES_MAX, |rows| rows.saturating_sub(lines.len() + below + 2));
    let routes = table::routes(&view.figures, free.clamp(ROUTES_MIN, ROUTES_MAX), style);
    for section in [routes, errors] {
        if !section.is_empty() {
            lines.push(String::new());
            lines.extend(section);
        }
    }
    lines.push(String::new());
    let open = style.paint(Look::Aside, "open");
    lines.push(format!("  {open}  http://{}/metrics", view.admin));
    lines.push(format!("        http://{}/health", view.admin));
    lines.push(format!("  {}", style.paint(Look::Aside, view.footer)));
    lines.join("\n") + "\n"
}

/// Draws lines, spans, series, health and the cost of sidelight.
fn totals(view: &View<'_>) -> Vec<String> {
    let Figures { now, .. } = view.figures;
    let (style, figures) = (view.style, &view.figures);
    let is_spans = |labels: &std::collections::BTreeMap<String, String>| {
        labels.get("output").is_some_and(|output| output == "spans")
    };
    let rate = |name: &str| table::per_second(figures.rate(name, |_| true));
    let spans = table::per_second(figures.rate("sidelight_items_sent_total", is_spans));
    let row = |name: &str, rate: String, sum: f64, word: &str, rest: String| {
        format!("  {name:<8}{rate:>8}/s{:>9} {word:<9}{rest}", table::count(sum))
    };
    let received = "sidelight_frames_received_total";
    let series = format!(
        "series {:.0} of {:.0}",
        now.total("sidelight_series"),
        now.total("sidelight_series_limit")
    );
    let errors = format!("errors {:.2} %", figures.errors_percent());
    let sent = now.sum("sidelight_items_sent_total", is_spans);
    let mut lines = vec![
        row("lines", rate(received), now.total(received), "in all", errors),
        row("spans", spans, sent, "exported", series),
    ];
    let cpu = 100.0 * figures.rate("process_cpu_seconds_total", |_| true);
    let memory = now.total("process_resident_memory_bytes") / 1_048_576.0;
    let look = match view.health.status.as_str() {
        "healthy" => Look::Good,
        "degraded" => Look::Warn,
        _ => Look::Bad,
    };
    let cost = format!("(sidelight: {cpu:.1} % of a core, {memory:.1} MiB)");
    let (health, cost) = (style.paint(look, &view.health.status), style.paint(Look::Aside, &cost));
    lines.push(format!("  health  {health}   {cost}"));
    let space = table::columns(style) - 10;
    let complaints = view.health.complaints.iter().take(COMPLAINTS_MAX);
    lines.extend(complaints.map(|text| format!("          {}", shortened(text, space))));
    lines
}

/// How far from the end of a line a place to break is searched for.
const BREAK_COLUMNS_MAX: usize = 30;

/// Wraps a text with an indentation: after a space or a comma, or anywhere if there is none near the
/// end of the line. The last line that fits ends in dots if more follows.
pub(super) fn wrapped(text: &str, indent: usize, lines_max: usize, columns: usize) -> Vec<String> {
    let width = columns.max(COLUMNS_MIN).saturating_sub(indent);
    let characters: Vec<char> = text.chars().collect();
    let mut rest = &characters[..];
    let mut lines = Vec::new();
    while !rest.is_empty() && lines.len() < lines_max {
        let is_break = |&at: &usize| matches!(rest[at - 1], ' ' | ',');
        let least = width.saturating_sub(BREAK_COLUMNS_MAX).max(1);
        let end = if rest.len() > width {
            (least..=width).rev().find(is_break).unwrap_or(width)
        } else {
            rest.len()
        };
        let mut line: String = rest[..end].iter().collect();
        rest = &rest[end..];
        if lines.len() + 1 == lines_max && !rest.is_empty() {
            line = format!("{}...", line.chars().take(width - 3).collect::<String>());
        }
        lines.push(format!("{}{line}", " ".repeat(indent)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::scrape::Scrape;

    fn scrape(lines: u32) -> Scrape {
        Scrape::parse(&format!(
            "sidelight_frames_received_total{{input=\"stream\"}} {lines}\n\
             sidelight_items_sent_total{{output=\"spans\"}} 7\n\
             log_records_total{{service=\"shop\",level=\"INFO\"}} 95\n\
             log_records_total{{service=\"shop\",level=\"ERROR\"}} 5\n\
             log_errors_total{{error_type=\"KeyError\",kind=\"unexpected\"}} 5\n\
             http_requests_total{{method=\"GET\",endpoint=\"/a\",status_code=\"200\"}} 9\n\
             http_requests_total{{method=\"GET\",endpoint=\"/a\",status_code=\"500\"}} 1\n\
             http_request_duration_seconds_bucket{{method=\"GET\",endpoint=\"/a\",le=\"0.1\"}} 10\n\
             http_request_duration_seconds_bucket{{method=\"GET\",endpoint=\"/a\",le=\"+Inf\"}} 10\n",
        ))
    }

    fn drawn(columns: usize, colour: bool, rows: Option<usize>) -> String {
        let (before, now) = (scrape(100), scrape(180));
        let body = r#"{"status":"degraded","checks":{"errors":{"status":"degraded","warning":"5 of 100 in 60 s"},"lines":{"status":"healthy","message":"all is well"}}}"#;
        let view = View {
            title: "sidelight demo  a web shop logs to a socket",
            example: &wrapped(&"x".repeat(150), 4, 2, columns),
            figures: Figures { before: &before, now: &now, between: Duration::from_secs(2) },
            elapsed: Duration::from_secs(9),
            health: &Health::parse(body),
            admin: "127.0.0.1:19464",
            footer: "Ctrl-C ends",
            style: Style { colour, columns: Some(columns) },
            rows,
        };
        draw(&view)
    }

    /// Guarantees: the screen has rates, ratios, quantiles, errors and complaints, and fits the
    /// terminal at 60, 80 and 140 columns.
    #[test]
    fn the_screen_says_rates_ratios_and_quantiles_in_60_columns() {
        for columns in [60, 80, 140] {
            let screen = drawn(columns, false, None);
            for part in [
                "40.0/s",
                "180 in all",
                "errors 5.00 %",
                "degraded",
                "errors: 5 of 100 in 60 s",
                "GET /a",
                "50 ms",
                "KeyError",
                "http://127.0.0.1:19464/health",
            ] {
                assert!(screen.contains(part), "{part:?} is not in\n{screen}");
            }
            for line in screen.lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line:?}");
            }
            assert!(!screen.contains('\x1b'));
        }
        assert!(drawn(80, true, None).contains("\x1b[33mdegraded\x1b[0m"));
    }

    /// Guarantees: a low terminal shows fewer routes, so that the top stays visible.
    #[test]
    fn the_screen_fits_24_rows() {
        let route = |letter: u8| {
            let path = char::from(letter);
            format!(
                "http_requests_total{{method=\"GET\",endpoint=\"/{path}\",status_code=\"200\"}} 9\n"
            )
        };
        let many = (b'a'..=b'z').map(route).collect::<Vec<_>>().concat();
        let (before, now) = (Scrape::default(), Scrape::parse(&many));
        let health = Health::default();
        let view = |rows| View {
            title: "t",
            example: &[],
            figures: Figures { before: &before, now: &now, between: Duration::from_secs(2) },
            elapsed: Duration::ZERO,
            health: &health,
            admin: "a:1",
            footer: "",
            style: Style { colour: false, columns: Some(60) },
            rows: Some(rows),
        };
        let height = |rows| draw(&view(rows)).lines().count();
        assert!(height(24) <= 24, "{}", height(24));
        assert!(height(16) <= 16, "{}", height(16));
        assert!(height(60) > height(16));
    }

    /// Guarantees: text is wrapped by characters, and dots say that more follows.
    #[test]
    fn long_lines_are_wrapped() {
        assert_eq!(wrapped("abc", 2, 3, 60), ["  abc"]);
        let text = format!("a=1 {}b=\"x\" c={}", "w=1 ".repeat(12), "y".repeat(40));
        let lines = wrapped(&text, 4, 3, 60);
        assert_eq!(lines.iter().map(|line| &line[4..]).collect::<String>(), text);
        assert!(lines[0].ends_with("w=1 ") && lines[1].ends_with('y'), "{lines:?}");
        let long = "\u{e4}".repeat(130);
        let lines = wrapped(&long, 4, 2, 60);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with("..."), "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 60));
    }
}
