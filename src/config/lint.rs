//! Warns about labels that are allowed, but probably a mistake. Unit: one label.

use crate::record::field::{self, FieldTable};
use std::sync::LazyLock;

/// The dictionary of keys; created once, because a thousand rules may have a thousand labels.
static STANDARD: LazyLock<FieldTable> = LazyLock::new(FieldTable::standard);

/// Labels that Prometheus and its operators set on every target. They rename a metric's label of
/// the same name to `exported_...`.
const SCRAPER: [&str; 9] = [
    "job",
    "instance",
    "namespace",
    "pod",
    "container",
    "node",
    "endpoint",
    "cluster",
    "prometheus",
];

/// Returns message and hint for a label that scrapers set themselves.
pub(super) fn scraper_label(name: &str) -> Option<(String, String)> {
    SCRAPER.contains(&name).then(|| {
        (
            format!("scrapers set the label `{name}` themselves"),
            format!("it would be renamed to `exported_{name}`: choose another name"),
        )
    })
}

/// Returns message and hint for a label with an unlimited number of values.
pub(super) fn free_text(name: &str) -> Option<(String, String)> {
    let binding = STANDARD.binding(name)?;
    let what = match binding.field {
        field::BODY
        | field::EXCEPTION_MESSAGE
        | field::EXCEPTION_STACKTRACE
        | field::DB_QUERY
        | field::USER_AGENT => "free text",
        field::TRACE_ID
        | field::SPAN_ID
        | field::PARENT_SPAN_ID
        | field::TRACEPARENT
        | field::REQUEST_ID => "an id that is new with every request",
        field::TIMESTAMP | field::DURATION => "a number that never repeats",
        field::CLIENT_ADDRESS => "an address",
        field::URL_PATH => "a path as it was requested",
        _ => return None,
    };
    let hint = match binding.field {
        field::URL_PATH => "use http.route, where ids are {id}".to_owned(),
        _ => "use a field with few values, or `extract` the part that has".to_owned(),
    };
    Some((format!("`{name}` is {what}: nearly every line would create a new series"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_probably_not_meant() {
        for (label, warned) in [("pod", true), ("endpoint", true), ("shop", false)] {
            assert_eq!(scraper_label(label).is_some(), warned, "{label}");
        }
        for (name, warned) in [
            ("body", true),
            ("msg", true),
            ("trace_id", true),
            ("req.id", true),
            ("url.path", true),
            ("http.route", false),
            ("level", false),
            ("data.shop", false),
        ] {
            assert_eq!(free_text(name).is_some(), warned, "{name}");
        }
    }
}
