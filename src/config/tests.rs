//! Layers over each other, and the environment. Files in every shape of wrong are golden cases.

mod layers;
#[path = "../../tests/support/volume.rs"]
pub(super) mod volume;

use super::environment::Environment;
use super::fault::{Fault, Level};
use super::print::print;
use super::settings::{Config, LogLevel, Mode};
use super::{Flags, Loaded, load, parse};
use crate::export::endpoint::Protocol;
use crate::health::settings::Ratio;
use crate::rules::settings::{Groups, MetricKind, RuleError, ValueSettings};
use proptest::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn of(text: &str, pairs: &[(&str, &str)]) -> Loaded {
    parse("f.yaml", text, &Flags::default(), &environment(pairs))
}

fn summary(faults: &[Fault]) -> Vec<(Level, &str)> {
    faults.iter().map(|fault| (fault.level, fault.path.as_str())).collect()
}

#[test]
fn nothing_said_is_the_defaults() {
    let loaded = load(&Flags::default(), &Environment::new());
    assert_eq!((loaded.config, loaded.faults, loaded.file), (Config::default(), Vec::new(), None));
}

/// Each layer wins over the ones before it.
#[test]
fn flags_over_environment_over_file_over_defaults() {
    let file = "socket: /file\nlisten: 127.0.0.1:2\nmode: classic\nlog_level: error\n";
    let own =
        [("SIDELIGHT_SOCKET", "/env"), ("SIDELIGHT_LISTEN", ":3"), ("SIDELIGHT_MODE", "native")];
    let flags = Flags {
        socket: Some("/flag".into()),
        listen: "127.0.0.1:4".parse().ok(),
        mode: Some(Mode::Classic),
        ..Flags::default()
    };
    let seen = |loaded: Loaded| {
        assert_eq!(loaded.faults, []);
        let Config { socket, listen, mode, .. } = loaded.config;
        (socket.path, listen.address.to_string(), mode)
    };
    let path = |path: &str| Some(PathBuf::from(path));
    assert_eq!(seen(of("", &[])), (None, "127.0.0.1:19464".to_owned(), Mode::Native));
    assert_eq!(seen(of(file, &[])), (path("/file"), "127.0.0.1:2".to_owned(), Mode::Classic));
    assert_eq!(seen(of(file, &own)), (path("/env"), "[::]:3".to_owned(), Mode::Native));
    let all = parse("f.yaml", file, &flags, &environment(&own));
    assert_eq!(seen(all), (path("/flag"), "127.0.0.1:4".to_owned(), Mode::Classic));
}

/// What was set for the application counts for us only where nobody speaks to us.
#[test]
fn shared_names_are_weaker_than_the_file() {
    let shared = [
        ("metrics_port", "9090"),
        ("Log_Level", "DEBUG"),
        ("ENABLE_METRICS", "false"),
        ("ENVIRONMENT", "production"),
        ("LOG_FORMAT", "json"),
    ];
    let loaded = of("", &shared);
    assert_eq!(summary(&loaded.faults), [(Level::Warning, "ENABLE_METRICS")], "it is reported");
    let config = loaded.config;
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:9090");
    assert_eq!(config.listen.fallback.map(|a| a.to_string()).as_deref(), Some("127.0.0.1:19464"));
    assert_eq!(config.log_level, LogLevel::Debug);
    assert!(!config.rules.groups.http && !config.rules.groups.log);
    let attribute = ("deployment.environment.name".to_owned(), "production".to_owned());
    assert_eq!(config.resource.attributes, [attribute]);
    let file = "listen: 127.0.0.1:2\nlog_level: warn\n\
                metrics: {groups: {http: true, database: true, log: true, functions: true}}\n";
    let config = of(file, &shared).config;
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:2");
    assert_eq!((config.listen.fallback, config.log_level), (None, LogLevel::Warn));
    assert_eq!(config.rules.groups, Groups::default());
    let config = of("", &[("METRICS_PORT", "9090"), ("SIDELIGHT_LISTEN", "127.0.0.1:5")]).config;
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:5");
    assert_eq!(config.listen.fallback, None);
    // what an image says is weaker than all of it
    let image = ("SIDELIGHT_LISTEN_DEFAULT", "[::]:19464");
    let listen = |text: &str, pairs: &[(&str, &str)]| {
        let loaded = of(text, pairs);
        assert_eq!(loaded.faults, []);
        loaded.config.listen.address.to_string()
    };
    assert_eq!(listen("", &[image]), "[::]:19464");
    assert_eq!(listen("", &[image, ("METRICS_PORT", "9090")]), "[::]:9090");
    assert_eq!(listen("listen: 127.0.0.1:2\n", &[image]), "127.0.0.1:2");
    assert_eq!(listen("", &[image, ("SIDELIGHT_LISTEN", "127.0.0.1:5")]), "127.0.0.1:5");
    let wrong = of("", &[("SIDELIGHT_LISTEN_DEFAULT", "nowhere")]);
    assert_eq!(summary(&wrong.faults), [(Level::Error, "SIDELIGHT_LISTEN_DEFAULT")]);
}

/// Guarantees: variables in values are put in before they are read as what they mean, an unset one is one error
/// with its place, and the platform's layer is taken as it is.
#[test]
fn variables_in_values() {
    let pairs = [("SERIES", "700"), ("TEAM", "shop"), ("TOKEN", "x y")];
    let text = "service: ${TEAM}-${STAGE:-dev}\nmetrics: {limits: {series: \"${SERIES}\"}}\n\
                export: {headers: {authorization: \"Bearer ${TOKEN}\"}}\n\
                rules: [{counter: {name: n, labels: {team: {value: \"${TEAM}\"}, raw: {value: \"$${X}\"}}}}]\n";
    let loaded = of(text, &pairs);
    assert_eq!(loaded.faults, []);
    let config = loaded.config;
    assert_eq!(config.resource.service_name, "shop-dev");
    assert_eq!(config.limits.series_max, 700);
    assert_eq!(config.export.headers[0].1, "Bearer x y");
    let labels = config.rules.own[0].metrics[0].labels.iter().map(|(_, value)| value.clone());
    let expected = ["shop", "${X}"].map(|text| ValueSettings::Constant(text.to_owned()));
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    for (text, line, column) in [
        ("mode: native\nmetrics: {limits: {series: \"${NONE}\"}}\n", 2, 28),
        ("rules:\n- counter: {name: n, help: \"of ${NONE\"}\n", 2, 28),
    ] {
        let loaded = of(text, &pairs);
        assert_eq!(loaded.faults.len(), 1, "{:?}", loaded.faults);
        assert!(!loaded.is_valid());
        let located = loaded.faults[0].located.as_ref().expect("a place");
        assert_eq!((located.line, located.column), (line, column), "{}", loaded.faults[0]);
    }
    let platform = [("SIDELIGHT_DEFAULTS", "service: ${TEAM}\n"), ("TEAM", "shop")];
    let loaded = load(&Flags::default(), &environment(&platform));
    assert_eq!(loaded.faults, []);
    assert_eq!(loaded.config.resource.service_name, "${TEAM}");
}

/// A Service named metrics or sidelight must not keep the application from starting.
#[test]
fn what_kubernetes_sets_for_services_is_ignored() {
    let loaded = of(
        "",
        &[
            ("METRICS_PORT", "tcp://10.0.0.1:9090"),
            ("SIDELIGHT_LISTEN", "tcp://10.0.0.2:80"),
            ("SIDELIGHT_PORT", "tcp://10.0.0.2:80"),
            ("SIDELIGHT_PORT_80_TCP_ADDR", "10.0.0.2"),
            ("SIDELIGHT_SERVICE_HOST", "10.0.0.2"),
            ("SIDELIGHT_SERVICE_PORT_HTTP", "80"),
            ("SIDELIGHT_SOKCET", "/x"),
        ],
    );
    assert!(loaded.is_valid());
    assert_eq!(loaded.config, Config::default());
    let expected = ["METRICS_PORT", "SIDELIGHT_LISTEN", "SIDELIGHT_SOKCET", "SIDELIGHT_PORT"];
    assert_eq!(summary(&loaded.faults), expected.map(|name| (Level::Warning, name)));
    assert_eq!(loaded.faults[2].hint.as_deref(), Some("did you mean `SIDELIGHT_SOCKET`?"));
    assert!(loaded.faults[3].message.starts_with("4 variables"));
}

#[test]
fn a_wrong_value_of_our_own_is_an_error_and_the_rest_stays() {
    let loaded = of("", &[("SIDELIGHT_MODE", "clasic"), ("SIDELIGHT_GRACE_SECONDS", "60")]);
    assert_eq!(summary(&loaded.faults), [(Level::Error, "SIDELIGHT_MODE")]);
    assert_eq!(loaded.config.grace, Duration::from_mins(1));
    assert_eq!(loaded.config.mode, Mode::Native);
}

#[test]
fn where_spans_go() {
    for (pairs, endpoint, protocol) in [
        (&[][..], None, Protocol::Http),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")],
            Some("http://c:4318/v1/traces"),
            Protocol::Http,
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/otlp/")],
            Some("http://c:4318/otlp/v1/traces"),
            Protocol::Http,
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            Some("http://c:4317/v1/traces"),
            Protocol::Grpc,
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/as/it/is"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ],
            Some("http://t/as/it/is"),
            Protocol::Http,
        ),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None, Protocol::Http),
    ] {
        let loaded = of("", pairs);
        assert_eq!(loaded.faults, [], "{pairs:?}");
        assert_eq!(loaded.config.export.endpoint.as_deref(), endpoint, "{pairs:?}");
        assert_eq!(loaded.config.export.protocol, protocol, "{pairs:?}");
    }
    let bare = of("export: {endpoint: \"http://file:4318\"}\n", &[]).config.export;
    assert_eq!(bare.endpoint.as_deref(), Some("http://file:4318/v1/traces"));
    let file = "export: {endpoint: \"http://file/v1/traces\", headers: {A: b}}\n";
    let from_file = of(file, &[]).config.export;
    assert_eq!(from_file.endpoint.as_deref(), Some("http://file/v1/traces"));
    assert_eq!(from_file.headers, [("a".to_owned(), "b".to_owned())]);
}

/// Guarantees: what no exporter can use is an error with its place in a file and a warning in a variable, its
/// secret is not repeated, and the rest of the file counts.
#[test]
fn an_endpoint_that_cannot_be_used_is_reported() {
    let variable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (endpoint, headers, path) in [
        ("https://c:4318", "", "export.endpoint"),
        ("https://u:hunter2@c:4318", "", "export.endpoint"),
        ("http://u:hunter2@c:4318", "", "export.endpoint"),
        ("http://c:99999", "", "export.endpoint"),
        ("ftp://c", "", "export.endpoint"),
        ("http://c", "a b", "export.headers.a b"),
        ("http://c", "content-length", "export.headers.content-length"),
    ] {
        let headers = match headers {
            "" => String::new(),
            name => format!(", headers: {{\"{name}\": hunter2}}"),
        };
        let file = format!("log_level: debug\nexport: {{endpoint: \"{endpoint}\"{headers}}}\n");
        let loaded = of(&file, &[]);
        assert_eq!(summary(&loaded.faults), [(Level::Error, path)], "{file}");
        let located = loaded.faults[0].located.as_ref().expect("a position in the file");
        assert_eq!(located.line, 2, "{file}");
        assert_eq!(loaded.config.log_level, LogLevel::Debug, "{file}");
        let broken = loaded.broken().count();
        assert_eq!(broken, usize::from(!endpoint.starts_with("https://c")), "{file}");
        if headers.is_empty() {
            let loaded = of("", &[(variable, endpoint)]);
            assert_eq!(summary(&loaded.faults), [(Level::Warning, variable)], "{endpoint}");
            assert!(!loaded.faults[0].to_string().contains("hunter2"));
        }
    }
    let loaded = of("", &[("OTEL_EXPORTER_OTLP_HEADERS", "te=x")]);
    assert_eq!(summary(&loaded.faults), [(Level::Warning, "OTEL_EXPORTER_OTLP_HEADERS")]);
    let loaded = of("export: {endpoint: \"https://c\"}\n", &[(variable, "http://c")]);
    assert_eq!(loaded.faults, [], "the variable is stronger, and can be used");
}

#[test]
fn the_rest_of_opentelemetrys_variables() {
    let loaded = of(
        "service: file\n",
        &[
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,team=a%20b,k8s.pod.name=y"),
            ("POD_NAME", "shop-1"),
            ("POD_NAMESPACE", "prod"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, b=c"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "2000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
        ],
    );
    assert_eq!(loaded.faults, []);
    let config = loaded.config;
    assert_eq!(config.resource.service_name, "shop");
    let pairs = [("k8s.namespace.name", "prod"), ("k8s.pod.name", "y"), ("team", "a b")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(config.resource.attributes, pairs);
    let headers = [("authorization", "Bearer x"), ("b", "c")];
    assert_eq!(config.export.headers, headers.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(config.export.timeout, Duration::from_secs(3));
    assert_eq!(config.export.delay, Duration::from_secs(2));
    assert_eq!((config.export.queue_spans_max, config.export.batch_spans_max), (100, 100));
    assert!(!config.traces.enabled);
    assert_eq!(config.runtime_directory, Some(PathBuf::from("/run/user/1")));
    let loaded = of("", &[("OTEL_RESOURCE_ATTRIBUTES", "service.name=x")]);
    assert_eq!(loaded.config.resource.service_name, "x");
}

/// What the injector sets in a pod, beside the sockets.
#[test]
fn what_a_pod_sets() {
    let loaded = of(
        "metrics: {prefix: file_, groups: {log: false}}\nfinal_scrape: {wait: 1s, scrapers: 3}\n",
        &[
            ("SIDELIGHT_SOCKET_MODE", "0666"),
            ("SIDELIGHT_METRICS_PREFIX", "shop_"),
            ("SIDELIGHT_METRICS_GROUPS_OFF", "http, functions"),
            ("SIDELIGHT_FINAL_SCRAPE_WAIT", "35s"),
            ("SIDELIGHT_SCRAPERS", "2"),
            ("SIDELIGHT_INSTALL_DIR", "/run/sidelight/bin"),
            ("SIDELIGHT_EXIT_WITH_APP", "1"),
        ],
    );
    assert_eq!(loaded.faults, []);
    let config = loaded.config;
    assert_eq!((config.socket.mode, config.datagram_socket.mode), (0o666, 0o666));
    assert_eq!(config.rules.prefix, "shop_");
    let groups = Groups { http: false, database: true, log: false, functions: false };
    assert_eq!(config.rules.groups, groups);
    let last = (config.final_scrape.wait, config.final_scrape.scrapers);
    assert_eq!(last, (Duration::from_secs(35), 2));
    assert_eq!(config.install_directory, Some(PathBuf::from("/run/sidelight/bin")));
    assert!(config.exit_with_app);
    for (name, value) in [
        ("SIDELIGHT_SOCKET_MODE", "rw"),
        ("SIDELIGHT_METRICS_PREFIX", "9"),
        ("SIDELIGHT_METRICS_GROUPS_OFF", "htpt"),
        ("SIDELIGHT_FINAL_SCRAPE_WAIT", "1h"),
        ("SIDELIGHT_SCRAPERS", "9"),
        ("SIDELIGHT_EXIT_WITH_APP", "perhaps"),
    ] {
        let loaded = of("", &[(name, value)]);
        assert_eq!(summary(&loaded.faults), [(Level::Error, name)]);
        assert_eq!(loaded.config, Config::default(), "{name}");
    }
}

/// Wrong values that were not meant for us are warnings, and a secret in them is not repeated.
#[test]
fn foreign_variables_only_warn() {
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("LOG_LEVEL", "chatty"),
        ("METRICS_PORT", "99999"),
        ("ENABLE_METRICS", "2"),
    ];
    let loaded = of("", &pairs);
    assert!(loaded.is_valid());
    assert_eq!(loaded.faults.len(), pairs.len(), "{:?}", loaded.faults);
    assert!(loaded.faults.iter().all(|fault| !fault.to_string().contains("secret")));
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn rules_as_they_are_used() {
    let text = include_str!("../../tests/golden/config/everything.yaml");
    let loaded = of(text, &[]);
    assert_eq!(loaded.faults, []);
    let config = loaded.config;
    assert_eq!(config.rules.prefix, "shop_");
    let [orders, payments, queue, alive, span] = &config.rules.own[..] else { panic!("five") };
    assert_eq!(orders.when.as_deref(), Some("event == \"order_placed\" && amount > 0"));
    let expected = [
        ("shop".to_owned(), ValueSettings::Field("data.shop".to_owned())),
        ("env".to_owned(), ValueSettings::Constant("prod".to_owned())),
    ];
    assert_eq!(orders.metrics[0].labels, expected);
    assert_eq!(orders.metrics[0].kind, MetricKind::Counter { by: None });
    let ms = ValueSettings::Capture("ms".to_owned());
    let kind = MetricKind::Histogram { value: ms, buckets: vec![0.1, 1.0, 10.0] };
    assert_eq!((&payments.metrics[0].kind, payments.metrics.len()), (&kind, 2));
    assert_eq!(queue.extract.as_ref().and_then(|e| e.field.as_deref()), Some("data.queue"));
    assert_eq!((alive.name.as_str(), alive.health.is_some()), ("rule 4", true));
    assert!(span.span.is_some());
    let ratios = (config.health.errors, config.health.http_errors);
    assert_eq!(ratios.0, Ratio::default());
    assert_eq!(ratios.1, Ratio { warn: 0.01, fail: 0.1, events_min: 20 });
    assert_eq!(config.health.heartbeat.map(|h| h.grace), Some(Duration::from_secs(10)));
}

/// Errors of a file take its rules out of use, and nothing else.
#[test]
fn a_file_with_errors_gives_its_settings_and_no_rule() {
    let text = "socket: /a\nmode: clasic\nrules: [{counter: {name: x}}]\n";
    let loaded = of(text, &[]);
    assert!(!loaded.is_valid());
    assert_eq!(loaded.config.rules.own.len(), 1);
    let usable = loaded.usable();
    assert_eq!((usable.rules.own.len(), usable.mode), (0, Mode::Native));
    assert_eq!(usable.socket.path, Some(PathBuf::from("/a")));
    assert_eq!(of("rules: [{counter: {name: x}}]\n", &[]).usable().rules.own.len(), 1);
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.yaml");
    let load =
        || load(&Flags { config: Some(path.clone()), ..Flags::default() }, &Environment::new());
    let loaded = load();
    assert_eq!((loaded.faults.len(), loaded.is_valid()), (1, false));
    assert_eq!(loaded.config, Config::default());
    std::fs::write(&path, b"service: \xff").expect("written");
    assert!(load().faults[0].message.contains("UTF-8"));
    std::fs::write(&path, format!("# {}", "x".repeat(2 << 20))).expect("written");
    assert!(load().faults[0].message.contains("larger"));
    std::fs::write(&path, "service: shop\n").expect("written");
    assert_eq!(load().config.resource.service_name, "shop");
    let named = environment(&[("SIDELIGHT_CONFIG", &path.to_string_lossy())]);
    let loaded = super::load(&Flags::default(), &named);
    assert_eq!(loaded.config.resource.service_name, "shop");
    assert_eq!(loaded.file, Some(path));
}

/// Errors of compiling stand where the rule stands, also when only a part around them is known.
#[test]
fn errors_of_compiling_are_located() {
    let text = "rules:\n- name: a\n  when: x == 1\n  counter:\n    name: n\n    \
                labels:\n      shop: data.shop\n";
    let loaded = of(text, &[]);
    for (path, offset, written, line, column) in [
        ("[0].when", 5, "rules[0].when", 3, 14),
        ("[0].when", 500, "rules[0].when", 3, 15),
        ("[0].metrics[0].labels.shop", 0, "rules[0].counter.labels.shop", 7, 13),
        ("[0].metrics[0].name", 0, "rules[0].counter.name", 5, 11),
        ("[0].metrics[0].buckets[3]", 0, "rules[0].metrics[0].buckets[3]", 5, 5),
        ("[0].span", 0, "rules[0].span", 2, 3),
    ] {
        let error = RuleError {
            path: path.to_owned(),
            offset,
            message: "m".to_owned(),
            hint: Some("h".to_owned()),
        };
        let fault = loaded.locate(&error);
        let located = fault.located.expect("a place");
        assert_eq!(fault.path, written);
        assert_eq!((located.line, located.column), (line, column), "{path}");
    }
    let nowhere =
        RuleError { path: "[9]".to_owned(), offset: 0, message: "m".to_owned(), hint: None };
    assert_eq!(loaded.locate(&nowhere).located, None);
}

/// What is printed, read again, is the same; but no secret is printed.
#[test]
fn printed_and_read_again_is_the_same() {
    let everything = include_str!("../../tests/golden/config/everything.yaml");
    let odd = "time_zone: \"-05:30\"\nrules:\n- name: \"a \\\"b\\\"\\n- c: #d\"\n  \
               counter: {name: x, by: 2.5, unit: bytes, help: \"it's: {x}\"}\n";
    for text in ["", everything, odd] {
        let loaded = of(text, &[]);
        assert_eq!(loaded.faults, []);
        let mut config = loaded.config;
        let printed = print(&config);
        assert!(!printed.contains("Bearer"), "{printed}");
        let again = of(&printed, &[]);
        assert_eq!(again.faults, [], "{printed}");
        for (_, value) in &mut config.export.headers {
            "***".clone_into(value);
        }
        assert_eq!(again.config, config, "{printed}");
    }
}

proptest! {
    /// Whatever is done to a file, it is read or refused with places inside it, and rules stay in their
    /// order.
    #[test]
    fn property_any_damage_to_a_file_is_reported(
        cut in 0usize..1_900,
        length in 0usize..30,
        put in "[a-z0-9:{}\\[\\]\"'|>&*#, \n\t-]{0,6}",
    ) {
        let mut text = include_str!("../../tests/golden/config/everything.yaml").to_owned();
        let start = cut.min(text.len());
        text.replace_range(start..(start + length).min(text.len()), &put);
        let loaded = of(&text, &[]);
        for fault in &loaded.faults {
            let located = fault.located.as_ref().expect("a file's faults have places");
            prop_assert!(located.line <= text.lines().count() + 1);
            prop_assert!(fault.to_string().contains(&fault.message));
        }
        prop_assert!(loaded.is_valid() || loaded.usable().rules.own.is_empty());
    }
}
