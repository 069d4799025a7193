//! Reads the injector's file, and checks the policy and the errors.

use super::*;
use crate::inject::policy::{Otlp, Protocol, SecretKey};
use proptest::prelude::*;
use sidelight::config::tree::Node;

fn read(text: &str) -> (Policy, String) {
    let (policy, faults) = parse("injector.yaml", text);
    (policy, faults.iter().map(ToString::to_string).collect())
}

/// Returns `(line, column, path, message)` of every fault.
fn faults(text: &str) -> Vec<(usize, usize, String, String)> {
    let (_, faults) = parse("injector.yaml", text);
    let of = |fault: Fault| {
        let located = fault.located.expect("a place");
        (located.line, located.column, fault.path, fault.message)
    };
    faults.into_iter().map(of).collect()
}

#[test]
fn an_empty_file_gives_the_defaults() {
    for text in ["", "# nothing\n", "defaults:\nnamespaces:\nresources: {}\n"] {
        assert_eq!(read(text), (Policy::default(), String::new()), "{text:?}");
    }
}

/// Guarantees: every key reaches its field.
#[test]
fn every_key_reaches_its_field() {
    let text = "
revision: canary
image: registry.example/sidelight@sha256:00
image_pull_policy: always
image_pull_secrets: [one, two.three]
mode: classic
port: 9300
platform: openshift
mesh: none
otlp: {endpoint: 'http://$(HOST_IP):4317', protocol: grpc, headers: {X-Tenant: shop}}
resources:
  requests: {cpu: 20m, ephemeral-storage: 1Mi}
  limits: {cpu: 1, memory: 96Mi}
tee: {image_volume: always}
volume_size_limit: 12Mi
startup_probe: {period_seconds: 2, timeout_seconds: 3, failure_threshold: 4}
liveness_probe: {failure_threshold: 9}
final_scrape: {jobs: 1m, others: 500ms, scrapers: 2}
metrics: {prefix: shop_, groups: {http: false, log: true}}
allow: [image, resources]
entrypoints:
  nginx: {entrypoint: [/e], cmd: [nginx]}
  app: [/app, -v]
defaults:
  metrics: {prefix: all_}
namespaces:
  shop:
    mode: native
    port: 9400
    otlp: {headers_secret: {name: otlp.shop, key: headers_2}}
    resources: {limits: {memory: 128Mi}}
    final_scrape: {scrapers: 3}
    metrics: {groups: {http: true, database: false}}
    allow: []
exclude_namespaces: [vault]
";
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let pairs = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let requests = pairs(&[("cpu", "20m"), ("ephemeral-storage", "1Mi"), ("memory", "24Mi")]);
    let limits = |memory| pairs(&[("cpu", "1"), ("memory", memory)]);
    let scrape = |scrapers| FinalScrape {
        jobs: Duration::from_mins(1),
        others: Duration::from_millis(500),
        scrapers,
    };
    let metrics = |group| Metrics { prefix: Some("shop_".to_owned()), groups_off: [group].into() };
    let shop = Overrides {
        mode: Some(Mode::Native),
        port: Some(9400),
        resources: Some(Resources { requests: requests.clone(), limits: limits("128Mi") }),
        otlp: Some(Otlp {
            headers_secret: Some(SecretKey {
                name: "otlp.shop".to_owned(),
                key: "headers_2".to_owned(),
            }),
            ..Otlp::default()
        }),
        metrics: Some(metrics(Group::Database)),
        final_scrape: Some(scrape(3)),
        allow: Some(Allow::default()),
    };
    let expected = Policy {
        revision: "canary".to_owned(),
        image: "registry.example/sidelight@sha256:00".to_owned(),
        image_pull_policy: PullPolicy::Always,
        image_pull_secrets: texts(&["one", "two.three"]),
        mode: Mode::Classic,
        port: 9300,
        platform: Platform::OpenShift,
        mesh: Mesh::Absent,
        otlp: Otlp {
            endpoint: Some("http://$(HOST_IP):4317".to_owned()),
            protocol: Some(Protocol::Grpc),
            headers: pairs(&[("x-tenant", "shop")]),
            headers_secret: None,
        },
        resources: Resources { requests, limits: limits("96Mi") },
        image_volume: ImageVolume::Always,
        volume_size_limit: Some("12Mi".to_owned()),
        startup_probe: Probe { period_seconds: 2, timeout_seconds: 3, failure_threshold: 4 },
        liveness_probe: Probe { failure_threshold: 9, ..Policy::default().liveness_probe },
        final_scrape: scrape(2),
        metrics: metrics(Group::Http),
        allow: Allow { image: true, resources: true },
        entrypoints: [
            ("nginx", Entrypoint { command: texts(&["/e"]), args: texts(&["nginx"]) }),
            ("app", Entrypoint { command: texts(&["/app", "-v"]), args: Vec::new() }),
        ]
        .map(|(image, entrypoint)| (image.to_owned(), entrypoint))
        .into(),
        defaults: Some("metrics:\n  prefix: all_\n".to_owned()),
        namespaces: [("shop".to_owned(), shop)].into(),
        exclude_namespaces: ["vault".to_owned()].into(),
    };
    let (policy, faults) = read(text);
    assert!(
        faults.contains("in plain text in every pod") && faults.matches("warning").count() == 1
    );
    assert_eq!(policy, expected);
    let within = policy.within("shop");
    assert_eq!((within.port, within.mode, within.allow), (9400, Mode::Native, Allow::default()));
    assert_ne!(within.hash(), policy.hash());
    assert_eq!(policy.within("elsewhere").hash(), policy.hash());
}

/// Guarantees: all errors are reported at once, in the order of the file, and the valid values are
/// used.
#[test]
fn all_errors_at_once() {
    let text = "\
revision: Canary_1
port: 80
mod: classic
image: 'a b'
image_pull_policy: sometimes
platform: openshit
otlp: {endpoint: 'ftp://collector:4317', protocol: http}
resources:
  requests: {cpu: lots, memory: 100m}
  limits: {memory: 8Mi, nvidia.com/gpu: 1}
startup_probe: {period_seconds: 0, initial_delay_seconds: 1}
final_scrape: {jobs: 1h, scrapers: 9}
allow: [images]
entrypoints: {nginx: []}
defaults:
  metrics: {prefx: shop_}
  rules: [{name: 'x', counter: {name: 'no name'}}]
namespaces:
  Shop: {port: x, revision: y}
mesh: classic
";
    let expected = [
        (1, 11, "revision", "`Canary_1` is not a valid name"),
        (2, 7, "port", "`80` is out of bounds"),
        (3, 1, "mod", "unknown key `mod`"),
        (4, 8, "image", "`a b` is no name of an image"),
        (5, 20, "image_pull_policy", "`sometimes` is not a known value"),
        (6, 11, "platform", "`openshit` is not a known value"),
        (7, 18, "otlp.endpoint", "the endpoint `ftp://collector:4317` is not http"),
        (7, 52, "otlp.protocol", "`http` is not a known value"),
        (9, 3, "resources", "more memory is requested than the limit gives"),
        (9, 19, "resources.requests.cpu", "`lots` is no quantity of cpu"),
        (9, 33, "resources.requests.memory", "`100m` is no quantity of memory"),
        (10, 25, "resources.limits.nvidia.com/gpu", "unknown key `nvidia.com/gpu`"),
        (11, 33, "startup_probe.period_seconds", "`0` is out of bounds"),
        (11, 36, "startup_probe.initial_delay_seconds", "unknown key `initial_delay_seconds`"),
        (12, 22, "final_scrape.jobs", "the wait is too long"),
        (12, 36, "final_scrape.scrapers", "`9` is out of bounds"),
        (13, 9, "allow[0]", "`images` is not a known value"),
        (14, 22, "entrypoints.nginx", "the command is missing"),
        (16, 13, "defaults.metrics.prefx", "unknown key `prefx`"),
        (17, 39, "defaults.rules[0].counter.name", "`no name` is not a valid metric name"),
        (19, 9, "namespaces.Shop", "`Shop` is no name of a namespace"),
        (19, 16, "namespaces.Shop.port", "`x` is not a whole number"),
        (19, 19, "namespaces.Shop.revision", "unknown key `revision`"),
    ];
    let expected = expected
        .map(|(line, column, path, message)| (line, column, path.to_owned(), message.to_owned()));
    assert_eq!(faults(text), expected);
    let (policy, faults) = read(text);
    assert_eq!((policy.mesh, policy.port), (Mesh::Classic, 19464));
    assert!(faults.contains("= hint: did you mean `mode`?"), "{faults}");
    assert!(faults.contains("= hint: did you mean `openshift`?"), "{faults}");
}

#[test]
fn what_is_no_configuration() {
    for (text, message) in [
        ("[1]\n", "expected a map, found a list"),
        ("a: [\n", "error"),
        ("namespaces: 7\n", "expected a map"),
        ("image:\n", "the value is missing"),
        ("image: a\nimage: b\n", "the key `image` is given twice"),
    ] {
        let (_, faults) = read(text);
        assert!(faults.contains(message), "{text:?}: {faults}");
        assert!(faults.contains("injector.yaml:"), "{text:?}: {faults}");
    }
    let (policy, faults) = load(Path::new("/nowhere/injector.yaml"));
    assert_eq!(policy, Policy::default());
    assert!(faults[0].message.contains("cannot be read"), "{faults:?}");
}

/// Guarantees: `defaults` fit into a variable of a process, which ends at 128 KiB. With more
/// neither the sidecar nor the application would start.
#[test]
fn defaults_that_no_variable_can_hold() {
    let rule =
        |number: usize| format!("  - {{name: rule{number}, counter: {{name: c{number}}}}}\n");
    let rules: String = (0..3000).map(rule).collect();
    let (policy, faults) = read(&format!("defaults:\n  rules:\n{rules}"));
    assert_eq!(policy.defaults, None);
    assert!(faults.contains("bytes are more than a variable can hold"), "{faults}");
}

fn bare(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::String(text.clone()),
        Value::List(list) => Json::Array(list.iter().map(bare).collect()),
        Value::Map(map) => {
            Json::Object(map.iter().map(|(key, node)| (key.key().to_owned(), bare(node))).collect())
        }
    }
}

fn trees() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Json;
    let text = prop_oneof![
        any::<String>().prop_map(Json::String),
        "[a-z0-9: #'\"\\\\{}\\[\\]&*!|>%@`~.,-]{0,8}".prop_map(Json::String),
        Just(Json::Null),
        Just(Json::String("null".to_owned())),
        Just(Json::String("0660".to_owned())),
    ];
    text.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::vec(("[a-zA-Z_ :.-]{1,6}", inner), 0..4)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Guarantees: a tree that is written and read again is the same tree.
    #[test]
    fn property_a_tree_survives_being_written(tree in trees()) {
        let text = serde_json::json!({ "defaults": tree }).to_string();
        let source = |text: String| Source::new("f", &text);
        let read = |text: String| tree::read(&source(text)).expect("YAML").expect("not empty");
        let first = read(text);
        let written = write::yaml(&first);
        prop_assert_eq!(bare(&first), bare(&read(written.clone())), "{}", written);
    }
}

/// Guarantees: plain headers are accepted with a warning, wherever they end in a pod, and the value
/// of a header is in no message; a reference to a Secret is complete and possible.
#[test]
fn headers_of_the_exporter() {
    let plain = "these headers are in plain text in every pod with a sidecar";
    let replaced = "these headers are not sent: `headers_secret` replaces them";
    let incomplete = "name and key of a Secret are required";
    for (text, path, message) in [
        ("otlp: {headers: {a: t0psecret}}", "otlp.headers", plain),
        ("namespaces: {a: {otlp: {headers: {a: t0psecret}}}}", "namespaces.a.otlp.headers", plain),
        ("defaults: {export: {headers: {a: t0psecret}}}", "defaults.export.headers", plain),
        (
            "otlp: {headers_secret: {name: a, key: b}, headers: {a: t0psecret}}",
            "otlp.headers",
            replaced,
        ),
        ("otlp: {headers_secret: {name: a}}", "otlp.headers_secret", incomplete),
        ("otlp: {headers_secret: {}}", "otlp.headers_secret", incomplete),
        (
            "otlp: {headers_secret: {name: a, key: b/c}}",
            "otlp.headers_secret.key",
            "`b/c` is not a valid key of a Secret",
        ),
        (
            "otlp: {headers_secret: {name: A, key: b}}",
            "otlp.headers_secret.name",
            "`A` is not a valid name",
        ),
    ] {
        let (_, found) = parse("injector.yaml", text);
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].path.contains(path) && found[0].message == message, "{found:?}");
        let is_error = ![plain, replaced].contains(&message);
        assert_eq!(found[0].level == Level::Error, is_error, "{text}");
        assert!(!found[0].to_string().contains("t0psecret"), "{}", found[0]);
    }
    let (_, none) =
        parse("injector.yaml", "otlp: {headers_secret: {name: a, key: b}, headers: {}}");
    assert!(none.is_empty(), "{none:?}");
}
