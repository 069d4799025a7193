//! THE TABLE OF ALL SETTINGS. A setting that is not here does not exist: parsing, variables, flags, printing,
//! the schema, the reference and `docs/configuration.md` come from these rows. Unit: one row.

use super::kind::{
    Count, Count64, DURATION_MS_MAX, Directory, Group, Headers, HeartbeatKind, Kind,
    LONGER_THAN_ZERO, LevelWord, Listen, ModeWord, PassthroughWord, Permissions, Prefix,
    ProtocolWord, Routes, Seconds, Share, Size, SocketPath, Span, Switch, Text, Url, Zone,
};
use super::setting::Setting;
use super::settings::Config;
use crate::health::settings::WINDOW_MAX;

/// A row: path, kind, field of the configuration, help, and what else is not as usual.
macro_rules! setting {
    ($path:literal, $kind:ident, $($field:ident).+, $help:literal $(, $key:ident: $value:expr)*) => {
        Setting {
            $($key: $value,)*
            ..Setting {
                path: $path,
                in_file: true,
                variable: None,
                flag: None,
                kind: <$kind as Kind>::TYPE,
                bounds: None,
                live: false,
                help: $help,
                parse: |text, bounds, config| {
                    let before = &config.$($field).+;
                    config.$($field).+ = <$kind as Kind>::parse(text, bounds, before)?;
                    Ok(())
                },
                shown: |config| <$kind as Kind>::show(&config.$($field).+),
                differs: |a, b| {
                    let (a, b) = (&a.$($field).+, &b.$($field).+);
                    <$kind as Kind>::exceeds(a, b) || <$kind as Kind>::exceeds(b, a)
                },
                hold: |most, config| {
                    let exceeds = <$kind as Kind>::exceeds(&config.$($field).+, &most.$($field).+);
                    if exceeds {
                        config.$($field).+.clone_from(&most.$($field).+);
                    }
                    exceeds
                },
            }
        }
    };
}

/// All of them, in the order of a file.
pub const ALL: &[Setting] = &[
    setting!(
        "enabled",
        Switch,
        enabled,
        "False: lines are read, counted and refused, and nothing else is done with them.",
        live: true
    ),
    setting!(
        "socket.path",
        SocketPath,
        socket.path,
        "The stream socket for log lines; unset: log.sock in /run/sidelight, in \
         $XDG_RUNTIME_DIR/sidelight, or in a private directory below /tmp.",
        variable: Some("SIDELIGHT_SOCKET"),
        flag: Some("socket")
    ),
    setting!(
        "socket.mode",
        Permissions,
        socket.mode,
        "Who may write to the stream socket.",
        variable: Some("SIDELIGHT_SOCKET_MODE")
    ),
    setting!(
        "socket.group",
        Group,
        socket.group,
        "The group of the stream socket's file, by name or number; unset: our own."
    ),
    setting!(
        "socket.line_bytes_max",
        Size,
        line_bytes_max,
        "The longest line; of a longer one the beginning is kept. Every connection may hold \
         one.",
        bounds: Some((1024, 16 << 20))
    ),
    setting!(
        "socket.connections_max",
        Count,
        connections_max,
        "Connections at once; one more is accepted and closed, and counted as refused.",
        bounds: Some((1, 65_536))
    ),
    setting!(
        "datagram_socket.path",
        SocketPath,
        datagram_socket.path,
        "The datagram socket for log lines and syslog; unset: log.dgram.sock beside the \
         stream socket's default.",
        variable: Some("SIDELIGHT_DATAGRAM_SOCKET"),
        flag: Some("datagram-socket")
    ),
    setting!(
        "datagram_socket.mode",
        Permissions,
        datagram_socket.mode,
        "Who may write to the datagram socket.",
        variable: Some("SIDELIGHT_SOCKET_MODE")
    ),
    setting!(
        "datagram_socket.group",
        Group,
        datagram_socket.group,
        "The group of the datagram socket's file, by name or number; unset: our own."
    ),
    setting!(
        "listen",
        Listen,
        listen,
        "The address of /metrics, /health and the probes; :PORT is every address, PORT alone \
         keeps the host.",
        variable: Some("SIDELIGHT_LISTEN"),
        flag: Some("listen")
    ),
    setting!(
        "mode",
        ModeWord,
        mode,
        "How it leaves on SIGTERM: native, when the application is gone before (a native \
         sidecar); classic, when the application gets the signal at the same time, so that \
         its last lines are waited for.",
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
        "Lines are read from standard input, too.",
        variable: Some("SIDELIGHT_STDIN"),
        flag: Some("stdin")
    ),
    setting!(
        "passthrough",
        PassthroughWord,
        passthrough,
        "Where received lines are copied to, unchanged; stdout, so that kubectl logs shows \
         them.",
        variable: Some("SIDELIGHT_PASSTHROUGH")
    ),
    setting!(
        "log_level",
        LevelWord,
        log_level,
        "From which level sidelight's own log lines are written to standard error.",
        live: true,
        variable: Some("SIDELIGHT_LOG_LEVEL"),
        flag: Some("log-level")
    ),
    setting!("time_zone", Zone, time_zone, "The zone of times in log lines that name none."),
    setting!(
        "service",
        Text,
        resource.service_name,
        "The name of the application in what is exported; where it is unset, \
         OTEL_RESOURCE_ATTRIBUTES may give it.",
        variable: Some("OTEL_SERVICE_NAME")
    ),
    setting!(
        "metrics.prefix",
        Prefix,
        rules.prefix,
        "Put before the name of every metric made of log lines.",
        live: true,
        variable: Some("SIDELIGHT_METRICS_PREFIX")
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
        "Series of all families together; beyond it an overflow series counts.",
        bounds: Some((1, 1_000_000))
    ),
    setting!(
        "metrics.limits.label_sets",
        Count,
        limits.label_sets_max,
        "Label sets of one family; beyond it an overflow series counts.",
        bounds: Some((1, 1_000_000))
    ),
    setting!(
        "metrics.limits.routes",
        Routes,
        rules.routes_max,
        "Route templates, and operations and tables of a database; beyond it they count as \
         _other.",
        bounds: Some((1, 10_000))
    ),
    setting!(
        "metrics.limits.label_value_bytes",
        Size,
        limits.label_value_bytes_max,
        "The longest value of a label; a longer one is cut, and a hash of the whole is \
         appended.",
        bounds: Some((32, 4096))
    ),
    setting!(
        "metrics.created_timestamps",
        Switch,
        created_timestamps,
        "Creation times are exposed as _created series without being asked for."
    ),
    setting!(
        "health.window",
        Span,
        health.window,
        "How far the shares of failures look back.",
        bounds: Some((5_000, WINDOW_MAX.as_millis() as u64)),
        live: true
    ),
    setting!(
        "health.error_ratio.warn",
        Share,
        health.errors.warn,
        "From this share of records at ERROR and above on, the application is degraded.",
        live: true
    ),
    setting!(
        "health.error_ratio.fail",
        Share,
        health.errors.fail,
        "From this share of records at ERROR and above on, the application is unhealthy.",
        live: true
    ),
    setting!(
        "health.error_ratio.events_min",
        Count64,
        health.errors.events_min,
        "With fewer records in the window nothing is judged.",
        bounds: Some((1, 1_000_000)),
        live: true
    ),
    setting!(
        "health.http_error_ratio.warn",
        Share,
        health.http_errors.warn,
        "From this share of 5xx answers on, the application is degraded.",
        live: true
    ),
    setting!(
        "health.http_error_ratio.fail",
        Share,
        health.http_errors.fail,
        "From this share of 5xx answers on, the application is unhealthy.",
        live: true
    ),
    setting!(
        "health.http_error_ratio.events_min",
        Count64,
        health.http_errors.events_min,
        "With fewer requests in the window nothing is judged.",
        bounds: Some((1, 1_000_000)),
        live: true
    ),
    setting!(
        "health.fatal",
        Span,
        health.fatal_for,
        "How long a FATAL record makes the application unhealthy; 0: never.",
        bounds: Some((0, DURATION_MS_MAX)),
        live: true
    ),
    setting!(
        "health.recover",
        Span,
        health.recover_after,
        "How long a share must stay below half of its threshold until it counts as recovered.",
        bounds: Some((0, DURATION_MS_MAX)),
        live: true
    ),
    setting!(
        "health.heartbeat",
        HeartbeatKind,
        health.heartbeat,
        "How often a line of a rule with `health: heartbeat` must come, and how late it may \
         be (half of that where `grace` is left out); unset: none is expected.",
        live: true
    ),
    setting!(
        "traces.enabled",
        Switch,
        traces.enabled,
        "False: no span is made, with an endpoint neither."
    ),
    setting!(
        "traces.internal_spans",
        Switch,
        traces.spans.internal,
        "Calls of functions become spans, too."
    ),
    setting!(
        "traces.exception_text",
        Switch,
        traces.spans.exception_text,
        "Messages and stack traces of exceptions leave with the spans; they may hold what is \
         private."
    ),
    setting!(
        "export.endpoint",
        Url,
        export.endpoint,
        "Where spans are sent: for HTTP the whole URL, with /v1/traces; unset: no span is \
         made."
    ),
    setting!("export.protocol", ProtocolWord, export.protocol, "How spans are sent."),
    setting!(
        "export.headers",
        Headers,
        export.headers,
        "Headers (for gRPC: metadata) of every request; later layers add to them. Values are \
         never shown."
    ),
    setting!(
        "export.timeout",
        Span,
        export.timeout,
        "How long one request may take.",
        bounds: Some(LONGER_THAN_ZERO)
    ),
    setting!(
        "export.queue_spans_max",
        Count,
        export.queue_spans_max,
        "Spans that wait for the collector; one more is dropped and counted.",
        bounds: Some((1, 1_000_000))
    ),
    setting!(
        "export.batch_spans_max",
        Count,
        export.batch_spans_max,
        "Spans of one request; never more than the queue has.",
        bounds: Some((1, 65_536))
    ),
    setting!(
        "export.delay",
        Span,
        export.delay,
        "How long a span waits for others at most.",
        bounds: Some(LONGER_THAN_ZERO)
    ),
    setting!(
        "final_scrape.wait",
        Span,
        final_scrape.wait,
        "How long the end waits for a last scrape; a scrape interval and 5 s are enough, 0 \
         waits for none.",
        bounds: Some((0, 600_000)),
        variable: Some("SIDELIGHT_FINAL_SCRAPE_WAIT")
    ),
    setting!(
        "final_scrape.scrapers",
        Count,
        final_scrape.scrapers,
        "How many different scrapers fetch the last values; 2 for a pair of Prometheus \
         servers.",
        bounds: Some((1, 4)),
        variable: Some("SIDELIGHT_SCRAPERS")
    ),
    setting!(
        "install_directory",
        Directory,
        install_directory,
        "Where the binary is copied to before the socket is bound, for containers that wrap \
         their command with tee.",
        variable: Some("SIDELIGHT_INSTALL_DIR"),
        in_file: false
    ),
    setting!(
        "exit_with_app",
        Switch,
        exit_with_app,
        "In classic mode: leave when every connection of the application is gone, so that a \
         Job completes.",
        variable: Some("SIDELIGHT_EXIT_WITH_APP"),
        in_file: false
    ),
];

/// The setting of this path, or all below it; what no file can say cannot be final.
pub(super) fn below(path: &str) -> Vec<&'static Setting> {
    let under = |of: &str| of.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    let meant = |one: &&Setting| one.in_file && (one.path == path || under(one.path));
    ALL.iter().filter(meant).collect()
}

/// The settings in which `wanted` differs from what runs, and that wait for a restart.
pub fn waiting(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let waits = |one: &&Setting| !one.live && (one.differs)(running, wanted);
    ALL.iter().filter(waits).map(|one| one.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::standard;

    #[test]
    fn a_path_names_a_setting_or_all_below_it() {
        let paths = |path: &str| -> Vec<&str> { below(path).iter().map(|one| one.path).collect() };
        assert_eq!(paths("metrics.limits.series"), ["metrics.limits.series"]);
        assert_eq!(paths("metrics.groups").len(), 4);
        assert_eq!(paths("metrics").len(), 10);
        assert_eq!(paths("metr"), [""; 0]);
        assert_eq!(paths("install_directory"), [""; 0], "no file can say it");
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
