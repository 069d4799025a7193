//! All settings by their paths: which may stay final in the cluster's layer, and which a running process
//! takes over. Unit: one setting.
//!
//! Decision: a final number, size, share or duration cannot be raised, but lowered; a final word, text, flag
//! or list cannot be changed at all. A limit is there to bound what a pod costs, and whoever wants less of it
//! may have less; of a word nobody knows which way is up.

use super::fault::{Fault, Level, Located};
use super::settings::Config;
use super::tree::Source;
use crate::rules::standard;
use std::cmp::Ordering;
use std::fmt;

/// One setting.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The way to it in a file.
    pub path: &'static str,
    /// A running process takes it over; the others wait for a restart.
    pub live: bool,
    /// Whether it differs between two configurations.
    differs: fn(&Config, &Config) -> bool,
    /// Puts the first configuration's value into the second where that one goes too far; says whether it did.
    hold: fn(&Config, &mut Config) -> bool,
    /// The value, for messages; of a list that may hold secrets nothing.
    shown: fn(&Config) -> String,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

/// A setting that is final, and where that is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Final {
    pub(super) setting: &'static Setting,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Number-like: what is above goes too far.
macro_rules! bound {
    ($live:literal, $path:literal, $($field:ident).+) => {
        Setting {
            path: $path,
            live: $live,
            differs: |a, b| a.$($field).+.partial_cmp(&b.$($field).+) != Some(Ordering::Equal),
            hold: |most, config| {
                let above = config.$($field).+ > most.$($field).+;
                if above {
                    config.$($field).+ = most.$($field).+;
                }
                above
            },
            shown: |config| format!("{:?}", config.$($field).+),
        }
    };
}

/// Whatever differs goes too far.
macro_rules! fixed {
    ($live:literal, $path:literal, $($field:ident).+) => {
        Setting {
            path: $path,
            live: $live,
            differs: |a, b| a.$($field).+ != b.$($field).+,
            hold: |fixed, config| {
                let differs = config.$($field).+ != fixed.$($field).+;
                if differs {
                    config.$($field).+.clone_from(&fixed.$($field).+);
                }
                differs
            },
            shown: |_| String::new(),
        }
    };
}

/// All of them, in the order of the file.
pub const ALL: &[Setting] = &[
    fixed!(true, "enabled", enabled),
    fixed!(false, "socket.path", socket.path),
    fixed!(false, "socket.mode", socket.mode),
    fixed!(false, "socket.group", socket.group),
    bound!(false, "socket.line_bytes_max", line_bytes_max),
    bound!(false, "socket.connections_max", connections_max),
    fixed!(false, "datagram_socket.path", datagram_socket.path),
    fixed!(false, "datagram_socket.mode", datagram_socket.mode),
    fixed!(false, "datagram_socket.group", datagram_socket.group),
    fixed!(false, "listen", listen),
    fixed!(false, "mode", mode),
    bound!(false, "grace_seconds", grace),
    fixed!(false, "stdin", stdin),
    fixed!(false, "passthrough", passthrough),
    fixed!(true, "log_level", log_level),
    fixed!(false, "time_zone", time_zone),
    fixed!(false, "service", resource.service_name),
    fixed!(true, "metrics.prefix", rules.prefix),
    fixed!(true, "metrics.groups.http", rules.groups.http),
    fixed!(true, "metrics.groups.database", rules.groups.database),
    fixed!(true, "metrics.groups.log", rules.groups.log),
    fixed!(true, "metrics.groups.functions", rules.groups.functions),
    bound!(false, "metrics.limits.series", limits.series_max),
    bound!(false, "metrics.limits.label_sets", limits.label_sets_max),
    Setting {
        path: "metrics.limits.routes",
        live: false,
        differs: |a, b| routes(a) != routes(b),
        hold: |most, config| {
            let above = routes(config) > routes(most);
            if above {
                config.rules.routes_max = most.rules.routes_max;
            }
            above
        },
        shown: |config| routes(config).to_string(),
    },
    bound!(false, "metrics.limits.label_value_bytes", limits.label_value_bytes_max),
    fixed!(false, "metrics.created_timestamps", created_timestamps),
    bound!(true, "health.window", health.window),
    bound!(true, "health.error_ratio.warn", health.errors.warn),
    bound!(true, "health.error_ratio.fail", health.errors.fail),
    bound!(true, "health.error_ratio.events_min", health.errors.events_min),
    bound!(true, "health.http_error_ratio.warn", health.http_errors.warn),
    bound!(true, "health.http_error_ratio.fail", health.http_errors.fail),
    bound!(true, "health.http_error_ratio.events_min", health.http_errors.events_min),
    bound!(true, "health.fatal", health.fatal_for),
    bound!(true, "health.recover", health.recover_after),
    fixed!(true, "health.heartbeat", health.heartbeat),
    fixed!(false, "traces.enabled", traces.enabled),
    fixed!(false, "traces.internal_spans", traces.spans.internal),
    fixed!(false, "traces.exception_text", traces.spans.exception_text),
    fixed!(false, "export.endpoint", export.endpoint),
    fixed!(false, "export.protocol", export.protocol),
    fixed!(false, "export.headers", export.headers),
    bound!(false, "export.timeout", export.timeout),
    bound!(false, "export.queue_spans_max", export.queue_spans_max),
    bound!(false, "export.batch_spans_max", export.batch_spans_max),
    bound!(false, "export.delay", export.delay),
    bound!(false, "final_scrape.wait", final_scrape.wait),
    bound!(false, "final_scrape.scrapers", final_scrape.scrapers),
];

/// How many route templates there may be.
fn routes(config: &Config) -> usize {
    config.rules.routes_max.unwrap_or(standard::ROUTES_MAX)
}

/// The setting of this path, or all below it.
pub(super) fn below(path: &str) -> Vec<&'static Setting> {
    let under = |of: &str| of.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    ALL.iter().filter(|setting| setting.path == path || under(setting.path)).collect()
}

/// The settings in which `wanted` differs from what runs, and that wait for a restart.
pub fn waiting(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let waits = |one: &&Setting| !one.live && (one.differs)(running, wanted);
    ALL.iter().filter(waits).map(|one| one.path).collect()
}

/// Takes back what goes beyond the final settings of `cluster`; `place` finds where it was said.
pub(super) fn hold(
    finals: &[Final],
    cluster: (&Source, &Config),
    config: &mut Config,
    place: impl Fn(&str) -> Option<Located>,
) -> Vec<Fault> {
    let (source, most) = cluster;
    let mut faults: Vec<Fault> = Vec::new();
    for Final { setting, start, end } in finals {
        let wanted = (setting.shown)(config);
        if !(setting.hold)(most, config) {
            continue;
        }
        let Located { file, line, column, .. } = source.find(*start, *end);
        let stays = match (setting.shown)(most) {
            shown if shown.is_empty() => "it cannot be changed".to_owned(),
            shown => format!("{wanted} is more than {shown}"),
        };
        faults.push(Fault {
            level: Level::Warning,
            path: setting.path.to_owned(),
            message: format!("the platform made this final ({file}:{line}:{column}): {stays}"),
            hint: Some("the platform's value stays; ask who keeps it".to_owned()),
            located: place(setting.path),
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_setting_or_all_below_it() {
        let paths = |path: &str| -> Vec<&str> { below(path).iter().map(|one| one.path).collect() };
        assert_eq!(paths("metrics.limits.series"), ["metrics.limits.series"]);
        assert_eq!(paths("metrics.groups").len(), 4);
        assert_eq!(paths("metrics").len(), 10);
        assert_eq!(paths("metr"), [""; 0]);
    }

    /// Every setting is found to differ when it does, by itself alone.
    #[test]
    fn what_waits_for_a_restart() {
        let running = Config::default();
        assert_eq!(waiting(&running, &running), [""; 0]);
        let mut wanted = running.clone();
        wanted.rules.prefix = "x_".to_owned();
        wanted.health.fatal_for *= 2;
        assert_eq!(waiting(&running, &wanted), [""; 0], "taken over while it runs");
        wanted.line_bytes_max += 1;
        wanted.rules.routes_max = Some(41);
        assert_eq!(waiting(&running, &wanted), ["socket.line_bytes_max", "metrics.limits.routes"]);
        wanted.rules.routes_max = Some(standard::ROUTES_MAX);
        assert_eq!(waiting(&running, &wanted), ["socket.line_bytes_max"], "said is not changed");
    }
}
