//! Generates pods that nobody would write, and policies.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sidelight_injector::inject::policy::{
    Allow, Entrypoint, ImageVolume, Mesh, Metrics, Mode, Otlp, Platform, Policy, SecretKey,
};
use std::collections::BTreeMap;

/// The value of a header that a Secret replaces.
pub(crate) const TOKEN: &str = "t0psecret";

fn one_of(values: &[Value]) -> BoxedStrategy<Value> {
    proptest::sample::select(values.to_vec()).boxed()
}

/// Generates a map from which each member may be missing.
fn members(parts: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (keys, values): (Vec<_>, Vec<_>) =
        parts.into_iter().map(|(key, value)| (key, option::weighted(0.6, value))).unzip();
    values
        .prop_map(move |values| {
            let pairs = keys.iter().zip(values);
            let pairs = pairs.filter_map(|(key, value)| Some(((*key).to_owned(), value?)));
            Value::Object(pairs.collect::<Map<_, _>>())
        })
        .boxed()
}

fn list(of: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    let list = vec(of, 0..=most).prop_map(Value::Array);
    prop_oneof![12 => list, 1 => Just(Value::Null)].boxed()
}

/// Generates a value that is sometimes of another type.
fn odd(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let odd = one_of(&[json!("text"), json!(7), json!([1, "x"]), json!({"a": {}}), json!(null)]);
    prop_oneof![400 => of, 1 => odd].boxed()
}

fn quantities() -> BoxedStrategy<Value> {
    let cpu = one_of(&[json!("100m"), json!("0.1"), json!(1), json!("lots"), json!("0")]);
    let memory = one_of(&[json!("64Mi"), json!(67_108_864), json!("1Gi")]);
    let disk = one_of(&[json!("1Gi")]);
    let gpu = one_of(&[json!("1")]);
    members(vec![
        ("cpu", cpu),
        ("memory", memory),
        ("ephemeral-storage", disk),
        ("nvidia.com/gpu", gpu),
    ])
}

fn container(names: &[&str]) -> BoxedStrategy<Value> {
    let names: Vec<Value> = names.iter().map(|name| json!(name)).collect();
    let env = one_of(&[
        json!({"name": "A", "value": "1"}),
        json!({"name": "SIDELIGHT_SOCKET", "value": "/run/sidelight/log.sock"}),
        json!({"name": "SIDELIGHT_DATAGRAM_SOCKET", "value": "/run/sidelight/log.dgram.sock"}),
        json!({"name": "SIDELIGHT_SOCKET", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}),
        json!({}),
    ]);
    let mount = one_of(&[
        json!({"name": "data", "mountPath": "/data"}),
        json!({"name": "data", "mountPath": "/run/"}),
        json!({"name": "data", "mountPath": "/var/run", "readOnly": true}),
        json!({"name": "scratch", "mountPath": "/run"}),
        json!({"name": "scratch", "mountPath": "/run/sidelight/x"}),
        json!({"name": "scratch", "mountPath": "/run/sidelight/"}),
        json!({"name": "scratch", "mountPath": "/run/sidelight-image"}),
        json!({"mountPath": 7}),
    ]);
    let port = one_of(&[
        json!({"containerPort": 8080}),
        json!({"containerPort": 19464, "name": "metrics"}),
        json!({"containerPort": 80, "hostPort": 19465}),
        json!({"containerPort": "19464"}),
    ]);
    let image = one_of(&[json!("shop:1"), json!("r.example:5000/x@sha256:0"), json!(""), json!(1)]);
    let command = one_of(&[
        json!(["a", "b"]),
        json!([]),
        json!(["v", "/run/sidelight/bin/sidelight-tee", "--", "a"]),
        json!(["/run/sidelight-image/sidelight-tee", "--in-place=never", "--", "a"]),
    ]);
    let resources = members(vec![("requests", quantities()), ("limits", quantities())]);
    let rest = members(vec![
        ("image", image),
        ("command", odd(command)),
        ("args", one_of(&[json!(["x"]), json!([])])),
        ("env", odd(list(env, 2))),
        ("volumeMounts", odd(list(mount, 2))),
        ("ports", odd(list(port, 2))),
        ("resources", odd(resources)),
        ("restartPolicy", one_of(&[json!("Always"), json!(null)])),
        ("somethingNew", json_of_any_kind()),
    ]);
    let name = proptest::sample::select(names);
    let container = (name, rest).prop_map(|(name, mut rest)| {
        rest["name"] = name;
        rest
    });
    odd(container.boxed())
}

fn json_of_any_kind() -> BoxedStrategy<Value> {
    one_of(&[json!({"deep": [{"er": null}]}), json!([[]]), json!("~/"), json!(1.5)])
}

fn metadata() -> BoxedStrategy<Value> {
    let text = |values: &[&str]| one_of(&values.iter().map(|v| json!(v)).collect::<Vec<_>>());
    let labels = members(vec![
        ("app.kubernetes.io/name", text(&["shop", "", "a$(B)$$"])),
        ("pod-template-hash", text(&["5d9f"])),
        ("sidelight.dev/injected", text(&["true", "no"])),
        ("sidecar.istio.io/inject", text(&["true", "false"])),
    ]);
    let annotations = members(vec![
        ("linkerd.io/inject", text(&["enabled", "disabled"])),
        ("traffic.sidecar.istio.io/excludeInboundPorts", text(&["", "1,2", " 19464 ", "x"])),
        ("config.linkerd.io/skip-inbound-ports", text(&["19000-20000", "1"])),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes", text(&["data", ""])),
        ("sidelight.dev/rules", text(&["shop-rules", "../x", ""])),
        ("sidelight.dev/config.tee", text(&["true", "app", "none,app", "1 2"])),
        ("sidelight.dev/config.tee-in-place", text(&["always", "auto", "x"])),
        ("sidelight.dev/config.containers", text(&["app", "setup", "nobody", ","])),
        ("sidelight.dev/config.port", text(&["8080", "80", "x"])),
        ("sidelight.dev/config.mode", text(&["classic", "native", "wild"])),
        ("sidelight.dev/config.cpu-limit", text(&["1m", "x", "2"])),
        ("sidelight.dev/config.nonsense", text(&["\u{7}"])),
        ("resource.opentelemetry.io/a,b", text(&["x"])),
        ("resource.opentelemetry.io/team", text(&["a=b,c $(D) \u{fc}"])),
        ("sidelight.dev/status", text(&["{}", "[]", "{\"volumes\": 7}", "nonsense"])),
    ]);
    let owner = one_of(&[
        json!([{"kind": "ReplicaSet", "name": "shop-5d9f", "controller": true}]),
        json!([{"kind": "Job", "name": "night-29800000"}, {}]),
        json!([]),
        json!([{"kind": 1}]),
    ]);
    odd(members(vec![
        ("name", text(&["demo"])),
        ("labels", odd(labels)),
        ("annotations", odd(annotations)),
        ("ownerReferences", odd(owner)),
    ]))
}

pub(crate) fn pod() -> BoxedStrategy<Value> {
    let volume = one_of(&[
        json!({"name": "data", "hostPath": {"path": "/x"}}),
        json!({"name": "scratch", "emptyDir": {}}),
        json!({"name": "other"}),
    ]);
    let ours = one_of(&[json!({"name": "sidelight-run", "emptyDir": {}})]);
    let volumes = list(prop_oneof![20 => volume, 1 => ours].boxed(), 3);
    let init = ["setup", "istio-init", "linkerd-proxy", "migrate", "setup", "migrate", "sidelight"];
    let applications = ["app", "web", "istio-proxy", "app", "worker", "sidelight-install"];
    let spec = members(vec![
        ("initContainers", odd(list(container(&init), 3))),
        ("volumes", odd(volumes)),
        ("imagePullSecrets", odd(list(one_of(&[json!({"name": "pull"}), json!({})]), 2))),
        ("hostNetwork", one_of(&[json!(false), json!(false), json!(false), json!(true)])),
        ("restartPolicy", one_of(&[json!("Always"), json!("Never")])),
        ("terminationGracePeriodSeconds", one_of(&[json!(5), json!(-1), json!("x")])),
        ("resources", members(vec![("limits", quantities())])),
        ("nodeSelector", one_of(&[json!({"kubernetes.io/os": "linux"}), json!([])])),
    ]);
    let whole = (
        spec,
        odd(vec(container(&applications), 1..4).prop_map(Value::Array).boxed()),
        option::weighted(0.9, metadata()),
    );
    let pod = whole.prop_map(|(mut spec, containers, metadata)| {
        spec["containers"] = containers;
        // the API server has no two objects with one name
        let mut known: Vec<Value> = Vec::new();
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    let name = container.get("name").cloned().unwrap_or_default();
                    if known.contains(&name) {
                        container.insert("name".to_owned(), json!(format!("c{}", known.len())));
                    }
                    known.push(name);
                }
            }
        }
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
        if let Some(metadata) = metadata {
            pod["metadata"] = metadata;
        }
        pod["spec"] = spec;
        pod
    });
    odd(pod.boxed())
}

pub(crate) fn policy() -> BoxedStrategy<Policy> {
    let flags = vec(any::<bool>(), 10);
    flags
        .prop_map(|flags| {
            let mut policy = Policy::default();
            if flags[0] {
                policy.mode = Mode::Classic;
            }
            if flags[1] {
                let entrypoint = Entrypoint { command: vec!["s".into()], args: vec!["a".into()] };
                policy.entrypoints = BTreeMap::from([("shop".to_owned(), entrypoint)]);
            }
            if flags[2] {
                let endpoint = Some("http://$(HOST_IP):4318".to_owned());
                policy.otlp = Otlp { endpoint, ..Otlp::default() };
                if flags[8] {
                    let (name, key) = ("otlp".to_owned(), "headers".to_owned());
                    policy.otlp.headers_secret = Some(SecretKey { name, key });
                    policy.otlp.headers =
                        BTreeMap::from([("api-key".to_owned(), TOKEN.to_owned())]);
                }
            }
            if flags[9] {
                policy.image_volume = ImageVolume::Always;
            }
            if flags[3] {
                policy.mesh = Mesh::Classic;
            }
            if flags[4] {
                policy.platform = Platform::OpenShift;
            }
            if flags[5] {
                policy.image_pull_secrets = vec!["pull".to_owned(), "more".to_owned()];
            }
            policy.allow = Allow { image: flags[6], resources: flags[6] };
            if flags[7] {
                policy.defaults = Some("metrics:\n  prefix: $(A)\n".to_owned());
                policy.metrics = Metrics { prefix: Some("shop".to_owned()), ..Metrics::default() };
            }
            policy
        })
        .boxed()
}
