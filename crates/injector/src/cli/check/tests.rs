//! Checks findings against objects in the form of an API server.

use super::evaluate;
use super::gather::digest;
use super::state::{Blind, Sidecar, State};
use crate::inject::policy::Policy;
use crate::server::certificate::{authority, leaf};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sidelight::clock::UnixNanos;
use sidelight::config::fault::Level;
use std::time::Duration;

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);
const DAY: Duration = Duration::from_hours(24);

/// Creates certificates that match: the bundle and the served one.
fn trust(lifetime: Duration) -> (String, String) {
    let made = NOW.before(DAY);
    let above = authority(made, 365 * DAY).expect("an authority");
    let names = ["sidelight-injector.sidelight-system.svc".to_owned()];
    let served = leaf(&names, &above, made, lifetime).expect("a certificate");
    (BASE64.encode(above.certificate.as_bytes()), served.certificate)
}

fn webhook(name: &str, bundle: &str, revision: &Value) -> Value {
    json!({
        "metadata": {"name": "00-sidelight-injector", "creationTimestamp": "2026-11-02T00:00:00Z"},
        "webhooks": [{
            "name": name,
            "failurePolicy": "Ignore",
            "clientConfig": {
                "caBundle": bundle,
                "service": {"namespace": "sidelight-system", "name": "sidelight-injector"},
            },
            "namespaceSelector": {"matchExpressions": [
                {"key": "sidelight.dev/injection", "operator": "In", "values": ["enabled"]}, revision,
            ]},
            "objectSelector": {"matchExpressions": [
                {"key": "sidelight.dev/inject", "operator": "NotIn", "values": ["false"]},
            ]},
        }],
    })
}

fn pod(name: &str, change: impl Fn(&mut Value)) -> Value {
    let mut pod = json!({
        "metadata": {
            "namespace": "shop", "name": name, "creationTimestamp": "2026-11-03T00:00:00Z",
            "labels": {"pod-template-hash": "5d4f"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d4f", "controller": true}],
            "annotations": {"sidelight.dev/status":
                format!("{{\"rev\":\"default\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"))},
        },
        "spec": {
            "initContainers": [{"name": "sidelight", "restartPolicy": "Always"}],
            "containers": [{"name": "app"}],
        },
    });
    change(&mut pod);
    pod
}

/// Returns a cluster without problems.
fn well() -> State {
    let (bundle, served) = trust(30 * DAY);
    let service = ("sidelight-system".to_owned(), "sidelight-injector".to_owned());
    let absent = json!({"key": "sidelight.dev/rev", "operator": "DoesNotExist"});
    let labels = |value: Value| value.as_object().cloned().expect("labels");
    State {
        webhooks: vec![webhook("namespace.injector.sidelight.dev", &bundle, &absent)],
        namespaces: [
            ("shop".to_owned(), labels(json!({"sidelight.dev/injection": "enabled"}))),
            ("other".to_owned(), labels(json!({}))),
        ]
        .into(),
        pods: digest(&pod("web-1", |_| ()), &Policy::default()).into_iter().collect(),
        endpoints: [(service.clone(), Some(2))].into(),
        certificates: [(service, served)].into(),
        prometheuses: Some(vec![json!({
            "metadata": {"namespace": "monitoring", "name": "k8s"},
            "spec": {"podMonitorSelector": {"matchLabels": {"release": "x"}}, "podMonitorNamespaceSelector": {}},
        })]),
        monitors: vec![json!({
            "metadata": {"namespace": "sidelight-system", "name": "sidelight", "labels": {"release": "x"}},
            "spec": {"podMetricsEndpoints": [{"port": "sl-metrics"}]},
        })],
        ..State::default()
    }
}

fn put(state: &mut State, pod: &Value) {
    state.pods.extend(digest(pod, &Policy::default()));
}

fn without(pod: &mut Value) {
    pod["spec"]["initContainers"] = json!([]);
    pod["metadata"]["annotations"] = json!({});
}

/// Changes a cluster without problems; the findings must have these levels and contain these words.
fn check(change: impl Fn(&mut State), expected: &[(Level, &[&str])]) {
    let mut state = well();
    state.namespaces.insert("sidelight-system".to_owned(), serde_json::Map::new());
    change(&mut state);
    let findings = evaluate(&state, NOW);
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), expected.len(), "{shown:#?}");
    for ((finding, shown), (level, words)) in findings.iter().zip(&shown).zip(expected) {
        assert_eq!(finding.level, *level, "{shown}");
        for word in *words {
            assert!(shown.contains(word), "`{word}` in {shown}");
        }
    }
}

#[test]
fn where_all_is_well_nothing_is_said() {
    check(|_| (), &[]);
}

#[test]
fn pods_without_their_sidecar() {
    check(
        |state| {
            put(state, &pod("web-2", without));
            put(state, &pod("web-3", without));
        },
        &[(
            Level::Error,
            &[
                "shop: deployment/web has no sidecar (web-2, web-3): the injector was not reached",
                "kubectl -n shop rollout restart deployment/web",
            ],
        )],
    );
    let old = |pod: &mut Value| {
        without(pod);
        pod["metadata"]["creationTimestamp"] = json!("2026-11-01T23:59:59Z");
    };
    check(
        |state| put(state, &pod("web-2", old)),
        &[(Level::Error, &["it is older than the injector"])],
    );
}

#[test]
fn pods_that_need_none() {
    let cases: [&dyn Fn(&mut Value); 5] = [
        &|pod| pod["metadata"]["namespace"] = json!("other"),
        &|pod| pod["metadata"]["labels"]["sidelight.dev/inject"] = json!("false"),
        &|pod| pod["spec"]["hostNetwork"] = json!(true),
        &|pod| pod["metadata"]["deletionTimestamp"] = json!("2026-11-03T00:00:00Z"),
        &|pod| pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!("x"),
    ];
    for case in cases {
        let change = |pod: &mut Value| {
            without(pod);
            case(pod);
        };
        check(|state| put(state, &pod("web-2", change)), &[]);
    }
}

#[test]
fn many_pods_and_owners_are_summed_up() {
    let all = |state: &mut State| {
        for owner in 0..60 {
            for number in 0..8 {
                let change = |pod: &mut Value| {
                    without(pod);
                    pod["metadata"]["ownerReferences"][0] = json!({"kind": "StatefulSet", "name": format!("db-{owner:02}"), "controller": true});
                };
                put(state, &pod(&format!("db-{owner:02}-{number}"), change));
            }
        }
    };
    let one: (Level, &[&str]) = (Level::Error, &["statefulset/db-", "-4 and 3 more)"]);
    let mut expected = vec![one; 50];
    expected.push((Level::Error, &["the same of 10 more owners"]));
    check(all, &expected);
}

#[test]
fn a_sidecar_that_lost_its_restart_policy() {
    let lost = pod("web-2", |pod| pod["spec"]["initContainers"] = json!([{"name": "sidelight"}]));
    let other = json!({
        "metadata": {"name": "identity"},
        "webhooks": [{"name": "x", "rules": [{"resources": ["pods"], "operations": ["CREATE"]}]}],
    });
    let nodes = json!({
        "metadata": {"name": "nodes"},
        "webhooks": [{"name": "x", "rules": [{"resources": ["nodes"], "operations": ["*"]}]}],
    });
    check(
        |state| {
            put(state, &lost);
            state.webhooks.extend([other.clone(), nodes.clone()]);
        },
        &[(
            Level::Error,
            &["deployment/web cannot start (web-2)", "webhooks that change pods here: identity\n"],
        )],
    );
    check(|state| put(state, &lost), &[(Level::Error, &["no other webhook changes pods here"])]);
}

#[test]
fn classic_sidecars_are_sidecars() {
    let change = |pod: &mut Value| {
        pod["spec"] = json!({"containers": [{"name": "app"}, {"name": "sidelight"}]});
    };
    let classic = digest(&pod("web-2", change), &Policy::default()).expect("a pod");
    assert_eq!((classic.sidecar, classic.refused), (Some(Sidecar::Classic), None));
    check(|state| state.pods.push(classic.clone()), &[]);
}

#[test]
fn another_version_and_another_revision() {
    let status = |text: &'static str| {
        move |pod: &mut Value| pod["metadata"]["annotations"]["sidelight.dev/status"] = json!(text)
    };
    let old = status("{\"rev\":\"default\",\"version\":\"0.0.1\"}");
    let canary = status("{\"rev\":\"canary\",\"version\":\"0.1.0\"}");
    check(
        |state| put(state, &pod("web-2", old)),
        &[(Level::Warning, &["deployment/web has sidelight 0.0.1; this is", "(web-2)"])],
    );
    check(
        |state| put(state, &pod("web-2", canary)),
        &[(Level::Warning, &["a sidecar of revision canary, and would get one of default"])],
    );
    check(|state| put(state, &pod("web-2", status("no JSON"))), &[]);
}

#[test]
fn a_webhook_that_nobody_answers() {
    let key = || ("sidelight-system".to_owned(), "sidelight-injector".to_owned());
    check(
        |state| _ = state.endpoints.insert(key(), Some(0)),
        &[(
            Level::Error,
            &["has no ready endpoint: pods are made without the sidecar", "get pods -l"],
        )],
    );
    check(
        |state| {
            state.endpoints.insert(key(), None);
            state.webhooks[0]["webhooks"][0]["failurePolicy"] = json!("Fail");
        },
        &[(Level::Error, &["does not exist: pods that it concerns are refused"])],
    );
    check(
        |state| state.webhooks[0]["webhooks"][0]["clientConfig"]["caBundle"] = json!(null),
        &[(Level::Error, &["it has no caBundle"])],
    );
    check(
        |state| {
            let (other, _) = trust(30 * DAY);
            state.webhooks[0]["webhooks"][0]["clientConfig"]["caBundle"] = json!(other);
        },
        &[(
            Level::Error,
            &[
                "its caBundle does not fit the certificate in sidelight-system/sidelight-injector-tls",
            ],
        )],
    );
    for (lifetime, level, words) in [
        (Duration::from_hours(12), Level::Error, "has expired"),
        (3 * DAY, Level::Warning, "expires in 48 h"),
    ] {
        let (bundle, served) = trust(lifetime);
        let change = |state: &mut State| {
            state.webhooks[0]["webhooks"][0]["clientConfig"]["caBundle"] = json!(bundle);
            state.certificates.insert(key(), served.clone());
        };
        check(change, &[(level, &[words])]);
    }
}

#[test]
fn no_injector_at_all() {
    check(
        |state| state.webhooks.clear(),
        &[(Level::Error, &["no injector is installed", "install the chart"])],
    );
    // a policy injects as well, and selects pods
    let binding = json!({
        "metadata": {"name": "namespace.inject.sidelight.dev", "creationTimestamp": "2026-11-02T00:00:00Z"},
        "spec": {"policyName": "inject.sidelight.dev", "matchResources": {"namespaceSelector":
            {"matchLabels": {"sidelight.dev/injection": "enabled"}}}},
    });
    check(
        |state| {
            state.webhooks.clear();
            state.bindings.push(binding.clone());
            put(state, &pod("web-2", without));
        },
        &[(Level::Error, &["deployment/web has no sidecar (web-2)"])],
    );
}

#[test]
fn a_policy_without_what_it_leans_on() {
    check(
        |state| state.absent.push("configmaps/x".to_owned()),
        &[(
            Level::Error,
            &["refers to configmaps/x, which does not exist", "sidelight inject policy"],
        )],
    );
}

#[test]
fn a_monitor_that_nobody_selects() {
    check(
        |state| state.monitors[0]["metadata"]["labels"] = json!({}),
        &[(
            Level::Error,
            &[
                "no Prometheus selects the PodMonitor sidelight-system/sidelight",
                "{\"matchLabels\":{\"release\":\"x\"}}",
            ],
        )],
    );
    let own = |state: &mut State| {
        let prometheuses = state.prometheuses.as_mut().expect("some");
        prometheuses[0]["spec"]["podMonitorNamespaceSelector"] = json!(null);
    };
    check(own, &[(Level::Error, &["in namespaces (its own)"])]);
    check(
        |state| {
            state.prometheuses.as_mut().expect("some")[0]["spec"]["podMonitorSelector"] =
                json!(null);
        },
        &[(Level::Error, &["it selects nothing"])],
    );
    check(|state| state.monitors.clear(), &[(Level::Warning, &["no PodMonitor for the port"])]);
    check(
        |state| state.prometheuses = Some(vec![]),
        &[(Level::Warning, &["no Prometheus is there"])],
    );
    check(
        |state| {
            state.monitors.clear();
            state.prometheuses = None;
        },
        &[],
    );
}

#[test]
fn what_cannot_be_seen_is_said() {
    let blind = Blind { what: "prometheuses".to_owned(), why: "forbidden".to_owned() };
    check(
        |state| state.blind.push(blind.clone()),
        &[(Level::Warning, &["prometheuses cannot be read: forbidden"])],
    );
}
