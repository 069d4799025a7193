//! The table of all settings. Parsing, variables, flags, printing, the schema, the reference and
//! `docs/configuration.md` come from its rows; a setting that is not here does not exist. Unit: one
//! row.

use super::kind::{
    BucketsKind, Count, Count64, DURATION_MS_MAX, Directory, FoldKind, Group, Headers,
    HeartbeatKind, KeepKind, LONGER_THAN_ZERO, LevelWord, Listen, ModeWord, PassthroughWord,
    Permissions, Prefix, ProtocolWord, RenameKind, Seconds, SettingKind, Share, Size, SocketPath,
    Span, Switch, Text, Url, Zone,
};
use super::setting::Setting;
use super::settings::Config;
use crate::health::settings::WINDOW_MAX;

/// A row: path, kind, field of the configuration, help, and any other properties.
macro_rules! setting {
    ($path:literal, $kind:ident, $($field:ident).+, $help:literal $(, $key:ident: $value:expr)*) => {
        Setting {
            $($key: $value,)*
            ..Setting {
                path: $path,
                in_file: true,
                variable: None,
                flag: None,
                kind: <$kind as SettingKind>::TYPE,
                bounds: None,
                live: false,
                help: $help,
                parse: |text, bounds, config| {
                    let before = &config.$($field).+;
                    config.$($field).+ = <$kind as SettingKind>::parse(text, bounds, before)?;
                    Ok(())
                },
                shown: |config| <$kind as SettingKind>::show(&config.$($field).+),
                differs: |a, b| {
                    let (a, b) = (&a.$($field).+, &b.$($field).+);
                    <$kind as SettingKind>::exceeds(a, b) || <$kind as SettingKind>::exceeds(b, a)
                },
                hold: |most, config| {
                    let exceeds = <$kind as SettingKind>::exceeds(&config.$($field).+, &most.$($field).+);
                    if exceeds {
                        config.$($field).+.clone_from(&most.$($field).+);
                    }
                    exceeds
                },
            }
        }
    };
}

/// All settings, in the order of a file.
pub const ALL: &[Setting] = &[
    setting!(
        "enabled",
        Switch,
        enabled,
        "If false, lines are read, counted and refused, and have no other effect.",
        live: true
    ),
    setting!(
        "socket.path",
        SocketPath,
        socket.path,
        "The path of the stream socket for log lines. Default: log.sock in /run/sidelight, in \
         $XDG_RUNTIME_DIR, or in a private directory below /tmp.",
        variable: Some("SIDELIGHT_SOCKET"),
        flag: Some("socket")
    ),
    setting!(
        "socket.mode",
        Permissions,
        socket.mode,
        "The permission bits of the stream socket: who may write to it.",
        variable: Some("SIDELIGHT_SOCKET_MODE")
    ),
    setting!(
        "socket.group",
        Group,
        socket.group,
        "The group of the stream socket, by name or number. Default: the group of the process."
    ),
    setting!(
        "socket.line_bytes_max",
        Size,
        line_bytes_max,
        "The maximum length of a line. The beginning of a longer line is kept. Each connection \
         may keep one unfinished line in memory.",
        bounds: Some((1024, 16 << 20))
    ),
    setting!(
        "socket.connections_max",
        Count,
        connections_max,
        "The maximum number of simultaneous connections. A further one is accepted, closed and \
         counted as refused.",
        bounds: Some((1, 65_536))
    ),
    setting!(
        "datagram_socket.path",
        SocketPath,
        datagram_socket.path,
        "The path of the datagram socket for log lines and syslog. Default: log.dgram.sock in \
         the default directory of the stream socket.",
        variable: Some("SIDELIGHT_DATAGRAM_SOCKET"),
        flag: Some("datagram-socket")
    ),
    setting!(
        "datagram_socket.mode",
        Permissions,
        datagram_socket.mode,
        "The permission bits of the datagram socket: who may write to it.",
        variable: Some("SIDELIGHT_SOCKET_MODE")
    ),
    setting!(
        "datagram_socket.group",
        Group,
        datagram_socket.group,
        "The group of the datagram socket, by name or number. Default: the group of the \
         process."
    ),
    setting!(
        "listen",
        Listen,
        listen,
        "The address of /metrics, /health and the probes. :PORT listens on every address; PORT \
         keeps the host.",
        variable: Some("SIDELIGHT_LISTEN"),
        flag: Some("listen")
    ),
    setting!(
        "mode",
        ModeWord,
        mode,
        "How sidelight ends on SIGTERM: native if the application has ended before (a native \
         sidecar); classic if the application gets the signal at the same time, so that \
         sidelight waits for its last lines.",
        variable: Some("SIDELIGHT_MODE"),
        flag: Some("mode")
    ),
    setting!(
        "grace_seconds",
        Seconds,
        grace,
        "The time between SIGTERM and SIGKILL: terminationGracePeriodSeconds of the pod.",
        bounds: Some((0, DURATION_MS_MAX)),
        variable: Some("SIDELIGHT_GRACE_SECONDS")
    ),
    setting!(
        "stdin",
        Switch,
        stdin,
        "Also read lines from standard input.",
        variable: Some("SIDELIGHT_STDIN"),
        flag: Some("stdin")
    ),
    setting!(
        "passthrough",
        PassthroughWord,
        passthrough,
        "The destination of unchanged copies of received lines. With stdout, kubectl logs shows \
         them.",
        variable: Some("SIDELIGHT_PASSTHROUGH")
    ),
    setting!(
        "log_level",
        LevelWord,
        log_level,
        "The minimum level of sidelight's own log lines on standard error; in a release, trace is debug.",
        live: true,
        variable: Some("SIDELIGHT_LOG_LEVEL"),
        flag: Some("log-level")
    ),
    setting!("time_zone", Zone, time_zone, "The time zone of times in log lines without a zone."),
    setting!(
        "service",
        Text,
        resource.service_name,
        "The name of the application in exported telemetry. Default: service.name in \
         OTEL_RESOURCE_ATTRIBUTES.",
        variable: Some("OTEL_SERVICE_NAME")
    ),
    setting!(
        "metrics.prefix",
        Prefix,
        rules.prefix,
        "The prefix of the names of all metrics that are derived from log lines.",
        live: true,
        variable: Some("SIDELIGHT_METRICS_PREFIX")
    ),
    setting!(
        "metrics.rename",
        RenameKind,
        rules.rename,
        "Your own names for metrics that are derived without a rule, as in \
         {http_requests_total: requests_total}. The prefix precedes them, too; the name of a \
         counter ends in _total. Later layers add to the map.",
        live: true
    ),
    setting!(
        "metrics.groups.http",
        Switch,
        rules.groups.http,
        "The standard metrics of requests: http_*.",
        live: true
    ),
    setting!(
        "metrics.groups.database",
        Switch,
        rules.groups.database,
        "The standard metrics of queries: database_*.",
        live: true
    ),
    setting!(
        "metrics.groups.log",
        Switch,
        rules.groups.log,
        "The standard metrics of records: log_*.",
        live: true
    ),
    setting!(
        "metrics.groups.functions",
        Switch,
        rules.groups.functions,
        "The standard metrics of function calls: function_*.",
        live: true
    ),
    setting!(
        "metrics.limits.series",
        Count,
        limits.series_max,
        "The maximum number of series of all families. An overflow series counts the rest.",
        bounds: Some((1, 1_000_000))
    ),
    setting!(
        "metrics.limits.label_sets",
        Count,
        limits.label_sets_max,
        "The maximum number of label sets of a family. An overflow series counts the rest.",
        bounds: Some((1, 1_000_000))
    ),
    setting!(
        "metrics.limits.routes",
        Count,
        rules.limits.routes,
        "The maximum number of route templates, of tables of a database, and of functions, each. \
         Further ones count as _other.",
        bounds: Some((1, 10_000))
    ),
    setting!(
        "metrics.limits.services",
        Count,
        rules.limits.services,
        "The maximum number of services. Further ones count as _other.",
        bounds: Some((1, 10_000))
    ),
    setting!(
        "metrics.limits.error_types",
        Count,
        rules.limits.error_types,
        "The maximum number of error types. Further ones count as _other.",
        bounds: Some((1, 10_000))
    ),
    setting!(
        "metrics.limits.label_value_bytes",
        Size,
        limits.label_value_bytes_max,
        "The maximum length of a label value. A longer value is cut, and a hash of the whole \
         value is appended.",
        bounds: Some((32, 4096))
    ),
    setting!(
        "metrics.routes.keep",
        KeepKind,
        rules.routes.keep,
        "Patterns of segments that stay in a route, although they look like an id: \
         ['/v1.2.3', 'how-to-*', '/docs/**'].",
        live: true
    ),
    setting!(
        "metrics.routes.fold",
        FoldKind,
        rules.routes.fold,
        "Patterns of segments that are replaced in a route, although they look like a word: \
         ['/blog/{slug}', 'sku-*', '/files/**'].",
        live: true
    ),
    setting!(
        "metrics.buckets",
        BucketsKind,
        rules.buckets,
        "The upper bounds in seconds of the standard histograms: of requests, queries and functions. \
         A rule without buckets keeps 0.005 to 5."
    ),
    setting!(
        "metrics.created_timestamps",
        Switch,
        created_timestamps,
        "Expose creation times as _created series on every scrape."
    ),
    setting!(
        "health.window",
        Span,
        health.window,
        "The window over which the shares of failures are computed.",
        bounds: Some((5_000, WINDOW_MAX.as_millis() as u64)),
        live: true
    ),
    setting!(
        "health.error_ratio.warn",
        Share,
        health.errors.warn,
        "The application is degraded from this share of records at ERROR and above.",
        live: true
    ),
    setting!(
        "health.error_ratio.fail",
        Share,
        health.errors.fail,
        "The application is unhealthy from this share of records at ERROR and above.",
        live: true
    ),
    setting!(
        "health.error_ratio.events_min",
        Count64,
        health.errors.events_min,
        "With fewer records in the window, the share has no effect.",
        bounds: Some((1, 1_000_000)),
        live: true
    ),
    setting!(
        "health.http_error_ratio.warn",
        Share,
        health.http_errors.warn,
        "The application is degraded from this share of 5xx responses.",
        live: true
    ),
    setting!(
        "health.http_error_ratio.fail",
        Share,
        health.http_errors.fail,
        "The application is unhealthy from this share of 5xx responses.",
        live: true
    ),
    setting!(
        "health.http_error_ratio.events_min",
        Count64,
        health.http_errors.events_min,
        "With fewer requests in the window, the share has no effect.",
        bounds: Some((1, 1_000_000)),
        live: true
    ),
    setting!(
        "health.fatal",
        Span,
        health.fatal_for,
        "How long a FATAL record makes the application unhealthy. With 0, it does not.",
        bounds: Some((0, DURATION_MS_MAX)),
        live: true
    ),
    setting!(
        "health.recover",
        Span,
        health.recover_after,
        "How long a share must stay below half of its threshold before it has recovered.",
        bounds: Some((0, DURATION_MS_MAX)),
        live: true
    ),
    setting!(
        "health.heartbeat",
        HeartbeatKind,
        health.heartbeat,
        "How often a line of a rule with `health: heartbeat` must arrive, and how late it may \
         be (`grace`, by default half of `every`). Default: no heartbeat is expected.",
        live: true
    ),
    setting!(
        "traces.enabled",
        Switch,
        traces.enabled,
        "If false, no spans are created, even with an endpoint."
    ),
    setting!(
        "traces.internal_spans",
        Switch,
        traces.spans.internal,
        "Also create spans for function calls."
    ),
    setting!(
        "traces.exception_text",
        Switch,
        traces.spans.exception_text,
        "Export messages and stack traces of exceptions with the spans. They may contain \
         personal data."
    ),
    setting!(
        "export.endpoint",
        Url,
        export.endpoint,
        "The destination of spans: for HTTP the complete URL, with /v1/traces. Default: no \
         spans are created."
    ),
    setting!(
        "export.protocol",
        ProtocolWord,
        export.protocol,
        "The protocol of the destination of spans."
    ),
    setting!(
        "export.headers",
        Headers,
        export.headers,
        "The headers (for gRPC: metadata) of every request. Later layers add to them. Their \
         values are never displayed."
    ),
    setting!(
        "export.timeout",
        Span,
        export.timeout,
        "The timeout of a request.",
        bounds: Some(LONGER_THAN_ZERO)
    ),
    setting!(
        "export.queue_spans_max",
        Count,
        export.queue_spans_max,
        "The maximum number of spans that wait for the collector. Further ones are dropped and \
         counted.",
        bounds: Some((1, 1_000_000))
    ),
    setting!(
        "export.batch_spans_max",
        Count,
        export.batch_spans_max,
        "The maximum number of spans in a request; at most the length of the queue.",
        bounds: Some((1, 65_536))
    ),
    setting!(
        "export.delay",
        Span,
        export.delay,
        "The maximum time that a span waits for others.",
        bounds: Some(LONGER_THAN_ZERO)
    ),
    setting!(
        "final_scrape.wait",
        Span,
        final_scrape.wait,
        "How long sidelight waits for a final scrape before it ends. A scrape interval plus 5 s \
         is enough; with 0, it does not wait.",
        bounds: Some((0, 600_000)),
        variable: Some("SIDELIGHT_FINAL_SCRAPE_WAIT")
    ),
    setting!(
        "final_scrape.scrapers",
        Count,
        final_scrape.scrapers,
        "The number of scrapers that must fetch the last values: 2 for a pair of Prometheus \
         servers.",
        bounds: Some((1, 4)),
        variable: Some("SIDELIGHT_SCRAPERS")
    ),
    setting!(
        "install_directory",
        Directory,
        install_directory,
        "The directory that sidelight-tee is copied to before the socket is bound, for \
         containers that wrap their command with it.",
        variable: Some("SIDELIGHT_INSTALL_DIR"),
        in_file: false
    ),
    setting!(
        "exit_with_app",
        Switch,
        exit_with_app,
        "In classic mode, end when all connections of the application are closed, so that a \
         Job completes.",
        variable: Some("SIDELIGHT_EXIT_WITH_APP"),
        in_file: false
    ),
];

/// Returns the setting at this path, or all settings below it. A setting that cannot be in a file
/// cannot be final.
pub(super) fn below(path: &str) -> Vec<&'static Setting> {
    let under = |of: &str| of.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    let meant = |one: &&Setting| one.in_file && (one.path == path || under(one.path));
    ALL.iter().filter(meant).collect()
}

/// Returns the settings in which `wanted` differs from the running configuration and that need a
/// restart.
pub fn waiting(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let waits = |one: &&Setting| !one.live && (one.differs)(running, wanted);
    ALL.iter().filter(waits).map(|one| one.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_setting_or_all_below_it() {
        let paths = |path: &str| -> Vec<&str> { below(path).iter().map(|one| one.path).collect() };
        assert_eq!(paths("metrics.limits.series"), ["metrics.limits.series"]);
        assert_eq!(paths("metrics.groups").len(), 4);
        assert_eq!(paths("metrics").len(), 16);
        assert_eq!(paths("metr"), [""; 0]);
        assert_eq!(paths("install_directory"), [""; 0], "no file can say it");
    }

    /// Every setting is reported as changed when it is the only one that has changed.
    #[test]
    fn what_waits_for_a_restart() {
        let running = Config::default();
        assert_eq!(waiting(&running, &running), [""; 0]);
        let mut wanted = running.clone();
        wanted.rules.prefix = "x_".to_owned();
        wanted.health.fatal_for *= 2;
        assert_eq!(waiting(&running, &wanted), [""; 0], "taken over while it runs");
        wanted.line_bytes_max += 1;
        wanted.rules.limits.routes = 41;
        assert_eq!(waiting(&running, &wanted), ["socket.line_bytes_max", "metrics.limits.routes"]);
        wanted.rules.limits.routes = running.rules.limits.routes;
        assert_eq!(
            waiting(&running, &wanted),
            ["socket.line_bytes_max"],
            "a default that is written is no change"
        );
    }
}
