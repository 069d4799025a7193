//! The table that `demo`, `watch` and `replay` show: requests by route with rates and quantiles,
//! and errors by type. It is made from the text of `/metrics`, so all three show what a scraper
//! gets.
//! Pure. Unit: one table.

use super::scrape::{Buckets, Scrape, quantile};
use super::style::{Look, Style, shortened};
use crate::order;
use crate::rules::standard;
use std::collections::BTreeMap;
use std::time::Duration;

/// The narrowest width for which the table is made.
pub(super) const COLUMNS_MIN: usize = 60;

/// The width if the text does not go to a terminal: wide enough for most routes.
const COLUMNS_DEFAULT: usize = 100;

/// The columns beside the name of a route, with the indentation.
const FIGURES_COLUMNS: usize = 37;

/// From this width on, there is a column for the rate.
const RATE_COLUMNS_MIN: usize = 72;

/// The width of the column for the rate.
const RATE_COLUMNS: usize = 9;

/// The widest name of a route or an error; a wide terminal would separate name and figures.
const NAME_COLUMNS_MAX: usize = 60;

/// The data of a table: two scrapes, and the time between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures<'a> {
    pub(super) before: &'a Scrape,
    pub(super) now: &'a Scrape,
    pub(super) between: Duration,
}

impl Figures<'_> {
    /// Returns how fast the sum of the selected samples grows, per second.
    pub(super) fn rate(
        &self,
        name: &str,
        wanted: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> f64 {
        let grown = self.now.sum(name, &wanted) - self.before.sum(name, &wanted);
        grown.max(0.0) / self.between.as_secs_f64().max(1e-3)
    }

    /// Returns the share of records with level ERROR or FATAL, in percent.
    pub(super) fn errors_percent(&self) -> f64 {
        let name = family(self.now, "log_records_total");
        let records = self.now.total(&name);
        let errors = self.now.sum(&name, |labels| {
            matches!(labels.get("level").map(String::as_str), Some("ERROR" | "FATAL"))
        });
        if records > 0.0 { 100.0 * errors / records } else { 0.0 }
    }
}

/// Returns the name that a built-in family has on the page.
fn family(page: &Scrape, built_in: &str) -> String {
    let families = standard::families();
    let help = families.iter().find(|family| family.name == built_in);
    page.family(built_in, help.map_or("", |family| &family.help))
}

/// Returns the width for which to format.
pub(super) fn columns(style: Style) -> usize {
    style.columns.unwrap_or(COLUMNS_DEFAULT).max(COLUMNS_MIN)
}

/// One row: a route with its figures.
struct Route {
    name: String,
    requests: f64,
    rate: f64,
    failed: f64,
    buckets: Buckets,
}

/// Draws the routes, the busiest first, at most `rows_max` of them. Returns no line if there was no
/// request.
pub(super) fn routes(figures: &Figures<'_>, rows_max: usize, style: Style) -> Vec<String> {
    let all = collected(figures);
    if all.is_empty() {
        return Vec::new();
    }
    let has_rate = columns(style) >= RATE_COLUMNS_MIN && figures.between > Duration::ZERO;
    let taken = FIGURES_COLUMNS + if has_rate { RATE_COLUMNS } else { 0 };
    let width = name_columns(all.iter().map(|route| route.name.as_str()), columns(style) - taken);
    let rate = if has_rate { format!("{:>RATE_COLUMNS$}", "per s") } else { String::new() };
    let head = format!(
        "  {:<width$}{:>8}{rate}{:>6}{:>7}{:>7}{:>7}",
        "route", "reqs", "5xx", "p50", "p95", "p99"
    );
    let mut lines = vec![style.paint(Look::Title, &head)];
    for route in all.iter().take(rows_max) {
        let at = |q: f64| quantile(&route.buckets, q).map_or_else(|| "-".to_owned(), took);
        let rate = if has_rate {
            format!("{:>RATE_COLUMNS$}", per_second(route.rate))
        } else {
            String::new()
        };
        let failed = format!("{:>6}", count(route.failed));
        let failed = if route.failed > 0.0 { style.paint(Look::Bad, &failed) } else { failed };
        lines.push(format!(
            "  {:<width$}{:>8}{rate}{failed}{:>7}{:>7}{:>7}",
            shortened(&route.name, width),
            count(route.requests),
            at(0.5),
            at(0.95),
            at(0.99)
        ));
    }
    lines.extend(further(all.len(), rows_max, "route", style));
    lines
}

/// Collects the routes from the counters, because a request may have no duration.
fn collected(figures: &Figures<'_>) -> Vec<Route> {
    let counter = family(figures.now, "http_requests_total");
    let histogram = family(figures.now, "http_request_duration_seconds");
    let by = ["method", "endpoint"];
    let mut buckets: BTreeMap<[String; 2], Buckets> =
        figures.now.histograms(&histogram, by).into_iter().collect();
    let mut names: Vec<[String; 2]> = figures.now.label_sets(&counter, by);
    names.dedup();
    let mut all: Vec<Route> = names
        .into_iter()
        .map(|labels| {
            let [method, endpoint] = &labels;
            let is_route = |labels: &BTreeMap<String, String>| {
                labels.get("method") == Some(method) && labels.get("endpoint") == Some(endpoint)
            };
            let is_failed = |labels: &BTreeMap<String, String>| {
                let code = labels.get("status_code");
                is_route(labels) && code.is_some_and(|code| code.starts_with('5'))
            };
            Route {
                name: format!("{method} {endpoint}"),
                requests: figures.now.sum(&counter, is_route),
                rate: figures.rate(&counter, is_route),
                failed: figures.now.sum(&counter, is_failed),
                buckets: buckets.remove(&labels).unwrap_or_default(),
            }
        })
        .filter(|route| route.requests > 0.0)
        .collect();
    order::sort_by(&mut all, |a, b| {
        b.requests.total_cmp(&a.requests).then_with(|| a.name.cmp(&b.name))
    });
    all
}

/// Draws the errors by type, the most frequent first. Returns no line if there was no error.
pub(super) fn errors(now: &Scrape, rows_max: usize, style: Style) -> Vec<String> {
    let counter = family(now, "log_errors_total");
    let mut names = now.label_sets(&counter, ["error_type"]);
    names.dedup();
    let mut all: Vec<(f64, f64, String)> = names
        .into_iter()
        .map(|[name]| {
            let is_type =
                |labels: &BTreeMap<String, String>| labels.get("error_type") == Some(&name);
            let unexpected = now.sum(&counter, |labels| {
                is_type(labels) && labels.get("kind").is_some_and(|kind| kind == "unexpected")
            });
            (now.sum(&counter, is_type), unexpected, name)
        })
        .filter(|(errors, ..)| *errors > 0.0)
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    order::sort_by(&mut all, |a, b| b.0.total_cmp(&a.0).then_with(|| a.2.cmp(&b.2)));
    let width = name_columns(all.iter().map(|(.., name)| name.as_str()), columns(style) - 30);
    let head = format!("  {:<width$}{:>8}{:>17}", "error", "count", "with stack trace");
    let mut lines = vec![style.paint(Look::Title, &head)];
    for (errors, unexpected, name) in all.iter().take(rows_max) {
        let name = shortened(name, width);
        lines.push(format!("  {name:<width$}{:>8}{:>17}", count(*errors), count(*unexpected)));
    }
    lines.extend(further(all.len(), rows_max, "type", style));
    lines
}

/// Returns the line that says how many of them are not shown; `what` is one of them.
pub(super) fn further(all: usize, shown: usize, what: &str, style: Style) -> Option<String> {
    let more = all.checked_sub(shown).filter(|more| *more > 0)?;
    let plural = if more == 1 { "" } else { "s" };
    Some(style.paint(Look::Aside, &format!("  {more} further {what}{plural}")))
}

/// Returns the width of the column of names: that of the longest one, within limits.
fn name_columns<'a>(names: impl Iterator<Item = &'a str>, free: usize) -> usize {
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
    longest.clamp(20, NAME_COLUMNS_MAX).min(free)
}

/// Formats a count with at most seven characters.
pub(super) fn count(value: f64) -> String {
    match value {
        value if value < 1e7 => format!("{value:.0}"),
        value if value < 1e10 => format!("{:.0}M", value / 1e6),
        _ => format!("{:.0}G", value / 1e9),
    }
}

/// Formats a rate with at most eight characters.
pub(super) fn per_second(value: f64) -> String {
    match value {
        value if value >= 100.0 => count(value),
        value if value >= 1.0 || value <= 0.0 => format!("{value:.1}"),
        value if value >= 0.01 => format!("{value:.2}"),
        _ => "<0.01".to_owned(),
    }
}

/// Formats a duration with at most six characters.
pub(super) fn took(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_995.0 => format!("{seconds:.2} s"),
        ms if ms < 99_950.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
        shop_http_requests_total{method=\"GET\",endpoint=\"/a\",status_code=\"200\"} 9\n\
        shop_http_requests_total{method=\"GET\",endpoint=\"/a\",status_code=\"500\"} 1\n\
        shop_http_requests_total{method=\"GET\",endpoint=\"/no_duration\",status_code=\"200\"} 3\n\
        shop_http_request_duration_seconds_bucket{method=\"GET\",endpoint=\"/a\",le=\"0.1\"} 10\n\
        shop_http_request_duration_seconds_bucket{method=\"GET\",endpoint=\"/a\",le=\"+Inf\"} 10\n\
        shop_log_errors_total{error_type=\"KeyError\",kind=\"unexpected\"} 2\n\
        shop_log_errors_total{error_type=\"KeyError\",kind=\"expected\"} 5\n";

    fn table_of(page: &str, columns: usize) -> Vec<String> {
        let (before, now) = (Scrape::default(), Scrape::parse(page));
        let figures = Figures { before: &before, now: &now, between: Duration::from_secs(4) };
        let style = Style { columns: Some(columns), ..Style::PLAIN };
        let mut lines = routes(&figures, 1, style);
        lines.extend(errors(&now, 9, style));
        lines
    }

    /// Guarantees: names with a prefix are found, routes without durations count, and what is not
    /// shown is counted.
    #[test]
    fn the_table_has_routes_and_errors() {
        assert_eq!(
            table_of(PAGE, 80),
            [
                "  route                   reqs    per s   5xx    p50    p95    p99",
                "  GET /a                    10      2.5     1  50 ms  95 ms  99 ms",
                "  1 further route",
                "  error                  count with stack trace",
                "  KeyError                   7                2",
            ]
        );
    }

    /// Guarantees: built-in families are found under the names that the user gives them.
    #[test]
    fn renamed_families_are_found() {
        let renamed = PAGE.replace("shop_http_requests", "served");
        let renamed = renamed.replace("shop_http_request_duration_seconds", "latency");
        let renamed = renamed.replace("shop_log_errors", "failures");
        let page = format!(
            "# HELP served_total HTTP requests.\n# HELP latency Duration of HTTP requests.\n\
             # HELP failures_total {}\n{renamed}",
            "Log records of level ERROR and above or with an exception; unexpected ones carry a traceback."
        );
        assert_eq!(table_of(&page, 80), table_of(PAGE, 80));
        assert_ne!(table_of(&renamed, 80), table_of(PAGE, 80));
        let page = format!("{page}# HELP other_total HTTP requests.\nother_total 5\n");
        assert_eq!(table_of(&page, 80), table_of(PAGE, 80), "a rule with the same help");
    }

    /// Guarantees: the table fits every width from 60 columns on, whatever the names and figures.
    #[test]
    fn the_table_fits() {
        let long = PAGE.replace("/a", &"/segment".repeat(20)).replace("KeyError", &"E".repeat(200));
        let long = long.replace("} 9\n", "} 99999999999\n");
        let (before, now) = (Scrape::default(), Scrape::parse(&long));
        let figures = Figures { before: &before, now: &now, between: Duration::from_secs(4) };
        for width in [1, 60, 71, 72, 80, 140, 1000] {
            let style = Style { columns: Some(width), ..Style::PLAIN };
            let lines = [routes(&figures, 9, style), errors(&now, 9, style)].concat();
            assert!(lines.len() >= 4);
            for line in lines {
                assert!(line.chars().count() <= width.max(COLUMNS_MIN), "{width}: {line}");
            }
        }
    }

    /// Guarantees: figures of every size fit into their columns.
    #[test]
    fn figures_are_short() {
        for seconds in [0.0, 1e-4, 0.00995, 0.9996, 1.0, 9.996, 99.96, 1e4] {
            assert!(took(seconds).len() <= 7, "{}", took(seconds));
        }
        assert_eq!((took(0.0071).as_str(), took(0.9996).as_str()), ("7.1 ms", "1.00 s"));
        for (value, expected) in [(0.0, "0.0"), (0.001, "<0.01"), (0.05, "0.05"), (2.5, "2.5")] {
            assert_eq!(per_second(value), expected);
        }
        assert_eq!((count(9_999_999.0), count(2.5e8)), ("9999999".to_owned(), "250M".to_owned()));
    }
}
