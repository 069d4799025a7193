//! Draws the screen of the demo from two scrapes and a health report. Pure.

use crate::cli::scrape::{Scrape, quantile};
use std::fmt::Write as _;
use std::time::Duration;

/// How many routes are shown, the busiest first.
const ROUTES_SHOWN: usize = 10;

/// The data of one screen.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) before: &'a Scrape,
    pub(super) now: &'a Scrape,
    /// The time between the two scrapes.
    pub(super) between: Duration,
    /// The time since the demo began.
    pub(super) elapsed: Duration,
    /// The status of `/health`.
    pub(super) health: &'a str,
    /// The checks that are not healthy, one line each.
    pub(super) complaints: &'a [String],
    pub(super) admin: &'a str,
    pub(super) socket: &'a str,
    /// Enables colours and bold.
    pub(super) colour: bool,
}

/// Draws the screen.
pub(super) fn draw(view: &View<'_>) -> String {
    let mut out = String::new();
    let (bold, dim, plain) =
        if view.colour { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let rate = |name: &str| {
        (view.now.total(name) - view.before.total(name)) / view.between.as_secs_f64().max(1e-3)
    };
    let records = view.now.total("log_records_total");
    let errors = view.now.sum("log_records_total", |labels| {
        matches!(labels.get("level").map(String::as_str), Some("ERROR" | "FATAL"))
    });
    let ratio = if records > 0.0 { 100.0 * errors / records } else { 0.0 };
    let spans = |name: &str| view.now.sum(name, |l| l.get("output").is_some_and(|o| o == "spans"));
    let _ = writeln!(
        out,
        "{bold}sidelight demo{plain}  a web shop logs to {}  {dim}{} s{plain}\n",
        view.socket,
        view.elapsed.as_secs()
    );
    let _ = writeln!(
        out,
        "  lines    {:>8.0}/s   {:>9.0} in all      errors   {ratio:>6.2} %",
        rate("sidelight_frames_received_total"),
        view.now.total("sidelight_frames_received_total"),
    );
    let _ = writeln!(
        out,
        "  spans    {:>8.0}/s   {:>9.0} exported    series   {:>6.0} of {:.0}",
        rate("sidelight_items_sent_total"),
        spans("sidelight_items_sent_total"),
        view.now.total("sidelight_series"),
        view.now.total("sidelight_series_limit"),
    );
    let cpu = 100.0 * rate("process_cpu_seconds_total");
    let memory = view.now.total("process_resident_memory_bytes") / 1_048_576.0;
    let _ = writeln!(
        out,
        "  health   {}   {dim}(sidelight itself: {cpu:.1} % of a core, {memory:.1} MiB){plain}",
        health(view)
    );
    for complaint in view.complaints.iter().take(3) {
        let _ = writeln!(out, "           {complaint}");
    }
    let _ = writeln!(
        out,
        "\n  {bold}{:<34}{:>9}{:>8}{:>9}{:>9}{:>9}{plain}",
        "route", "requests", "5xx", "p50", "p95", "p99"
    );
    for row in routes(view.now).into_iter().take(ROUTES_SHOWN) {
        let _ = writeln!(out, "  {row}");
    }
    let _ =
        writeln!(out, "\n  {dim}open{plain}  http://{0}/metrics   http://{0}/health", view.admin);
    let _ = writeln!(out, "  {dim}Ctrl-C drains and prints the closing ledger{plain}");
    out
}

fn health(view: &View<'_>) -> String {
    let colour = match view.health {
        _ if !view.colour => return view.health.to_owned(),
        "healthy" => "\x1b[32m",
        "degraded" => "\x1b[33m",
        _ => "\x1b[31m",
    };
    format!("{colour}{}\x1b[0m", view.health)
}

/// Draws one line per route, the busiest first.
fn routes(scrape: &Scrape) -> Vec<String> {
    let histograms = scrape.histograms("http_request_duration_seconds", ["method", "endpoint"]);
    let mut rows: Vec<(f64, String)> = histograms
        .into_iter()
        .map(|([method, endpoint], buckets)| {
            let of_route = |labels: &std::collections::BTreeMap<String, String>| {
                labels.get("method") == Some(&method) && labels.get("endpoint") == Some(&endpoint)
            };
            let requests = scrape.sum("http_requests_total", of_route);
            let failed = scrape.sum("http_requests_total", |labels| {
                of_route(labels)
                    && labels.get("status_code").is_some_and(|code| code.starts_with('5'))
            });
            let at = |q: f64| quantile(&buckets, q).map_or_else(|| "-".to_owned(), milliseconds);
            let name = format!("{method} {endpoint}");
            let row = format!(
                "{name:<34.34}{requests:>9.0}{failed:>8.0}{:>9}{:>9}{:>9}",
                at(0.5),
                at(0.95),
                at(0.99)
            );
            (requests, row)
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn milliseconds(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_rates_ratios_and_quantiles() {
        let before = Scrape::parse("sidelight_frames_received_total{input=\"stream\"} 100\n");
        let now = Scrape::parse(
            "sidelight_frames_received_total{input=\"stream\"} 180\n\
             log_records_total{service=\"shop\",level=\"INFO\"} 95\n\
             log_records_total{service=\"shop\",level=\"ERROR\"} 5\n\
             http_requests_total{method=\"GET\",endpoint=\"/a\",status_code=\"200\"} 9\n\
             http_requests_total{method=\"GET\",endpoint=\"/a\",status_code=\"500\"} 1\n\
             http_request_duration_seconds_bucket{method=\"GET\",endpoint=\"/a\",le=\"0.1\"} 10\n\
             http_request_duration_seconds_bucket{method=\"GET\",endpoint=\"/a\",le=\"+Inf\"} 10\n",
        );
        let view = View {
            before: &before,
            now: &now,
            between: Duration::from_secs(2),
            elapsed: Duration::from_secs(9),
            health: "healthy",
            complaints: &[],
            admin: "127.0.0.1:19464",
            socket: "/tmp/log.sock",
            colour: false,
        };
        let picture = draw(&view);
        for part in [
            "40/s",
            "180 in all",
            "5.00 %",
            "healthy",
            "GET /a",
            "50 ms",
            "http://127.0.0.1:19464/health",
        ] {
            assert!(picture.contains(part), "{part:?} is not in\n{picture}");
        }
        assert!(!picture.contains('\x1b'));
    }
}
