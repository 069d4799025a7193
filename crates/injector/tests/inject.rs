//! Pods and the results of their injection. Each folder of `tests/golden` is one promise, which its
//! `why.md` describes:
//!
//! - `pod.yaml`: the pod of the API server; `injector.yaml`, `namespace.yaml`: present if the
//!   defaults do not show the case;
//! - `patch.json`: the operations; `injected.yaml`: the pod after them; `told.txt`: warnings and
//!   reasons.
//!
//! `UPDATE=1` rewrites the expected files; a missing one is written and fails once.

use serde_json::{Map, Value, json};
use sidelight_injector::inject::policy::Policy;
use sidelight_injector::inject::{Namespace, Owner, Plan, plan, plan_for, strip};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Implements `add` from the text of RFC 6902, without any knowledge of pods.
fn apply(document: &mut Value, operations: &Value) {
    for operation in operations.as_array().expect("a list of operations") {
        assert_eq!(operation["op"], "add", "{operation}");
        let members = operation.as_object().expect("an operation");
        assert_eq!(members.len(), 3, "{operation}");
        let path = operation["path"].as_str().expect("a path");
        let value = operation["value"].clone();
        let mut steps: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
        assert!(path.starts_with('/'), "{path}");
        let last = steps.pop().expect("a step");
        let mut target = &mut *document;
        for step in &steps {
            target = match target {
                Value::Object(map) => map.get_mut(step),
                Value::Array(list) => list.get_mut(step.parse::<usize>().expect("an index")),
                _ => None,
            }
            .unwrap_or_else(|| panic!("{path}: nothing at {step}"));
        }
        match target {
            Value::Object(map) => {
                map.insert(last, value);
            }
            Value::Array(list) if last == "-" => list.push(value),
            Value::Array(list) => {
                let index: usize = last.parse().expect("an index");
                assert!(index <= list.len(), "{path}");
                list.insert(index, value);
            }
            _ => panic!("{path}: no place for a member"),
        }
    }
}

fn patched(pod: &Value, plan: &Plan) -> Value {
    let operations = serde_json::to_value(&plan.patch).expect("operations are JSON");
    let mut pod = pod.clone();
    apply(&mut pod, &operations);
    pod
}

/// Removes null, empty lists and empty maps, which mean the same as a missing value.
fn normal(value: &Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(list) => Value::Array(list.iter().map(normal).collect()),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| (key.clone(), normal(value)));
            Value::Object(members.filter(|(_, value)| !empty(value)).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn told(plan: &Plan) -> String {
    let mut text = String::new();
    let reason = plan.skipped.unwrap_or("injected");
    writeln!(text, "{reason}").expect("a String takes all");
    for left_out in &plan.left_out {
        writeln!(text, "left out: {} {}", left_out.container, left_out.reason).expect("the same");
    }
    for warning in &plan.warnings {
        writeln!(text, "warning: {warning}").expect("the same");
    }
    text
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(root).expect("the folders");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    folders
}

fn yaml(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn namespace(folder: &Path) -> Namespace {
    let Some(value) = yaml(&folder.join("namespace.yaml")) else { return Namespace::default() };
    let of = |key: &str| {
        let map = value["metadata"][key].as_object().cloned().unwrap_or_default();
        let text = |value: Value| value.as_str().expect("a text").to_owned();
        map.into_iter().map(|(key, value)| (key, text(value))).collect()
    };
    let name = value["metadata"]["name"].as_str().expect("a name").to_owned();
    Namespace { name, labels: of("labels"), annotations: of("annotations") }
}

fn policy(folder: &Path) -> Policy {
    let path = folder.join("injector.yaml");
    let Ok(text) = fs::read_to_string(&path) else { return Policy::default() };
    let (policy, faults) = sidelight_injector::config::parse("injector.yaml", &text);
    let faults: String = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}: {faults}", folder.display());
    policy
}

fn compare(path: &Path, made: &str, wrong: &mut Vec<String>) {
    let expected = fs::read_to_string(path).ok();
    if expected.as_deref() == Some(made) {
        return;
    }
    let update = std::env::var_os("UPDATE").is_some();
    if update || expected.is_none() {
        fs::write(path, made).expect("a writable folder");
    }
    if !update {
        wrong.push(format!("{}:\n{made}", path.display()));
    }
}

/// Guarantees: the operations, the pod and the texts of every folder are as expected; the plan of
/// the result is empty; removing the additions restores the pod.
#[test]
fn every_folder_gives_what_it_promises() {
    let mut wrong = Vec::new();
    let folders = folders();
    for folder in &folders {
        let name = folder.display();
        let why = fs::read_to_string(folder.join("why.md")).unwrap_or_default();
        if !why.trim_end().ends_with('.') {
            wrong.push(format!("{name}: why.md has no sentence"));
        }
        let pod = yaml(&folder.join("pod.yaml")).expect("a pod");
        let (namespace, policy) = (namespace(folder), policy(folder));
        let made = plan(&pod, &namespace, &policy);
        let patch = serde_json::to_string_pretty(&made.patch).expect("JSON") + "\n";
        compare(&folder.join("patch.json"), &patch, &mut wrong);
        let after = patched(&pod, &made);
        let text = serde_yaml::to_string(&after).expect("YAML");
        compare(&folder.join("injected.yaml"), &text, &mut wrong);
        compare(&folder.join("told.txt"), &told(&made), &mut wrong);
        let again = plan(&after, &namespace, &policy);
        if !again.patch.is_empty() {
            wrong.push(format!("{name}: not convergent: {:?}", again.patch));
        }
        if made.skipped.is_none() {
            let mut before = after.clone();
            assert!(strip(&mut before), "{name}");
            let injected = pod["metadata"]["labels"]["sidelight.dev/injected"] == "true";
            if !injected && normal(&before) != normal(&pod) {
                wrong.push(format!("{name}: stripped it is another pod:\n{before:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(folders.len() >= 30, "only {} folders", folders.len());
}

fn step(pod: &mut Value, policy: &Policy) -> Plan {
    let made = plan(pod, &Namespace::default(), policy);
    *pod = patched(pod, &made);
    made
}

/// Scenario: a mesh with a classic proxy is added after our first call.
/// Guarantees: on the second call its lists get both ports, and the status records them, so that
/// both can be removed again.
#[test]
fn a_mesh_that_comes_later_is_told() {
    let endpoint = Some("http://collector:4318".to_owned());
    let otlp = sidelight_injector::inject::policy::Otlp { endpoint, ..Default::default() };
    let policy = Policy { otlp, ..Policy::default() };
    let mut pod = json!({"metadata": {"name": "demo"}, "spec": {"containers": [{"name": "app"}]}});
    let before = pod.clone();
    step(&mut pod, &policy);
    let proxy = json!({"name": "istio-proxy", "somethingNew": 1});
    pod["spec"]["containers"].as_array_mut().expect("containers").push(proxy.clone());
    step(&mut pod, &policy);
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(annotations["traffic.sidecar.istio.io/excludeInboundPorts"], "19464");
    assert_eq!(annotations["traffic.sidecar.istio.io/excludeOutboundPorts"], "4318");
    assert_eq!(pod["spec"]["containers"][1], proxy, "it is the mesh's own");
    let init = pod["spec"]["initContainers"].as_array().expect("init containers");
    assert!(init[0]["livenessProbe"].is_object(), "the port was left out before");
    assert!(strip(&mut pod));
    pod["spec"]["containers"].as_array_mut().expect("containers").pop();
    assert_eq!(normal(&pod), before);
}

/// Scenario: another webhook adds containers after the sidecar got the binary; one of them runs
/// before it.
/// Guarantees: the output of every container that can have the binary is copied.
#[test]
fn a_container_that_comes_later_is_copied_too() {
    let annotations = json!({"sidelight.dev/config.tee": "app,late,early"});
    let container = |name: &str| json!({"name": name, "command": [name]});
    let spec = json!({"containers": [container("app")]});
    let mut pod = json!({"metadata": {"annotations": annotations}, "spec": spec});
    step(&mut pod, &Policy::default());
    pod["spec"]["containers"].as_array_mut().expect("containers").push(container("late"));
    pod["spec"]["initContainers"].as_array_mut().expect("ours").insert(0, container("early"));
    let again = step(&mut pod, &Policy::default());
    let tee = json!(["/run/sidelight/bin/sidelight-tee", "--", "late"]);
    assert_eq!(pod["spec"]["containers"][1]["command"], tee);
    assert_eq!(pod["spec"]["initContainers"][0]["command"], json!(["early"]));
    let left_out: Vec<_> =
        again.left_out.iter().map(|left| (left.container.as_str(), left.reason)).collect();
    assert_eq!(left_out, [("early", "starts_earlier")]);
    assert!(strip(&mut pod));
    assert_eq!(pod["spec"]["containers"][1]["command"], json!(["late"]));
}

/// Guarantees: a template takes its name from the owner of the pods; a pod that names its owner
/// does not.
#[test]
fn the_owner_of_a_template() {
    let variable = |pod: &Value, name: &str| {
        let env = pod["spec"]["initContainers"][0]["env"].as_array().expect("variables");
        let found = env.iter().find(|variable| variable["name"] == name);
        found.map(|variable| variable["value"].as_str().unwrap_or_default().to_owned())
    };
    let owner = |kind: &str| Owner { kind: kind.to_owned(), name: "shop".to_owned() };
    let template = json!({"spec": {"containers": [{"name": "app"}]}});
    let owned = json!({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "name": "node"}]},
        "spec": {"containers": [{"name": "app"}]}});
    for (pod, kind, name, attribute, wait) in [
        (&template, "Deployment", "shop", "k8s.deployment.name=shop", None),
        (&template, "CronJob", "shop", "k8s.cronjob.name=shop", Some("35s")),
        (&owned, "Deployment", "node", "k8s.daemonset.name=node", None),
    ] {
        let (namespace, policy) = (Namespace::default(), Policy::default());
        let made = plan_for(pod, &namespace, &policy, Some(&owner(kind)));
        let pod = patched(pod, &made);
        assert_eq!(variable(&pod, "OTEL_SERVICE_NAME").as_deref(), Some(name));
        let attributes = variable(&pod, "OTEL_RESOURCE_ATTRIBUTES").expect("attributes");
        assert!(attributes.split(',').any(|pair| pair == attribute), "{attributes}");
        assert_eq!(variable(&pod, "SIDELIGHT_FINAL_SCRAPE_WAIT").as_deref(), wait);
    }
}

/// Guarantees: problems that would appear later are reported at once.
#[test]
fn people_are_warned() {
    let pod = json!({"spec": {"containers": [{"name": "app"}]}});
    let policy = Policy {
        defaults: Some("#".repeat(200_000)),
        image_pull_secrets: vec!["registry".to_owned()],
        ..Policy::default()
    };
    let owner = Owner { kind: "Deployment".to_owned(), name: "shop".to_owned() };
    let namespace = Namespace::default();
    let of = |owner| plan_for(&pod, &namespace, &policy, owner).warnings.join("\n");
    assert!(of(None).contains("larger than a variable can be"), "{}", of(None));
    assert!(!of(None).contains("service account"), "the API server added those to a pod before");
    assert!(of(Some(&owner)).contains("imagePullSecrets of the service account"));
    assert!(!patched(&pod, &plan(&pod, &namespace, &policy)).to_string().contains("_DEFAULTS"));
}

/// Guarantees: a pod that was not injected is not changed.
#[test]
fn nothing_to_take_away() {
    for pod in [
        json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SIDELIGHT_SOCKET"}]}]}}),
        json!({"spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "sidelight"}]}}),
        json!({"spec": "nonsense", "metadata": {"labels": {"sidelight.dev/injected": "true"}}}),
        json!(null),
    ] {
        let mut after = pod.clone();
        assert!(!strip(&mut after), "{pod}");
        assert_eq!(after, pod);
    }
}

mod property {
    //! Generates pods that nobody would write, and checks what must hold for each of them.

    use super::{apply, normal, patched};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use sidelight_injector::inject::policy::{
        Allow, Entrypoint, Mesh, Metrics, Mode, Otlp, Platform, Policy,
    };
    use sidelight_injector::inject::{Namespace, Owner, plan, plan_for, strip};
    use std::collections::BTreeMap;

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
        let odd =
            one_of(&[json!("text"), json!(7), json!([1, "x"]), json!({"a": {}}), json!(null)]);
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
            json!({"mountPath": 7}),
        ]);
        let port = one_of(&[
            json!({"containerPort": 8080}),
            json!({"containerPort": 19464, "name": "metrics"}),
            json!({"containerPort": 80, "hostPort": 19465}),
            json!({"containerPort": "19464"}),
        ]);
        let image =
            one_of(&[json!("shop:1"), json!("r.example:5000/x@sha256:0"), json!(""), json!(1)]);
        let command = one_of(&[
            json!(["a", "b"]),
            json!([]),
            json!(["v", "/run/sidelight/bin/sidelight-tee", "--", "a"]),
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

    fn pod() -> BoxedStrategy<Value> {
        let volume = one_of(&[
            json!({"name": "data", "hostPath": {"path": "/x"}}),
            json!({"name": "scratch", "emptyDir": {}}),
            json!({"name": "other"}),
        ]);
        let ours = one_of(&[json!({"name": "sidelight-run", "emptyDir": {}})]);
        let volumes = list(prop_oneof![20 => volume, 1 => ours].boxed(), 3);
        let init =
            ["setup", "istio-init", "linkerd-proxy", "migrate", "setup", "migrate", "sidelight"];
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

    fn policy() -> BoxedStrategy<Policy> {
        let flags = vec(any::<bool>(), 8);
        flags
            .prop_map(|flags| {
                let mut policy = Policy::default();
                if flags[0] {
                    policy.mode = Mode::Classic;
                }
                if flags[1] {
                    let entrypoint =
                        Entrypoint { command: vec!["s".into()], args: vec!["a".into()] };
                    policy.entrypoints = BTreeMap::from([("shop".to_owned(), entrypoint)]);
                }
                if flags[2] {
                    let endpoint = Some("http://$(HOST_IP):4318".to_owned());
                    policy.otlp = Otlp { endpoint, ..Otlp::default() };
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
                    policy.metrics =
                        Metrics { prefix: Some("shop".to_owned()), ..Metrics::default() };
                }
                policy
            })
            .boxed()
    }

    fn containers(pod: &Value) -> impl Iterator<Item = (&Value, bool)> {
        let of = |key: &str| pod["spec"][key].as_array().map(Vec::as_slice).unwrap_or_default();
        let init = of("initContainers").iter().map(|container| (container, true));
        init.chain(of("containers").iter().map(|container| (container, false)))
    }

    fn is_ours(container: &Value) -> bool {
        ["sidelight", "sidelight-install"].iter().any(|name| container["name"] == *name)
    }

    /// Checks that every container of a pod is unchanged, except for the parts that injection may
    /// change.
    fn untouched(before: &Value, after: &Value) -> Result<(), TestCaseError> {
        let others = containers(after).filter(|(container, _)| !is_ours(container));
        let own = containers(before).filter(|(container, _)| !is_ours(container));
        let bare = |(container, is_init): (&Value, bool)| {
            let mut container = container.clone();
            for key in ["env", "volumeMounts", "command"] {
                container.as_object_mut().expect("a container").shift_remove(key);
            }
            (container, is_init)
        };
        prop_assert!(own.map(bare).eq(others.map(bare)));
        for key in before["spec"].as_object().expect("a spec").keys() {
            if !["initContainers", "containers", "volumes", "imagePullSecrets"]
                .contains(&key.as_str())
            {
                prop_assert_eq!(&before["spec"][key], &after["spec"][key]);
            }
        }
        Ok(())
    }

    /// Checks the requirements of the API server and of Pod Security for the resulting pod.
    fn admissible(before: &Value, after: &Value) -> Result<(), TestCaseError> {
        let ours: Vec<&Value> = containers(after).map(|(c, _)| c).filter(|c| is_ours(c)).collect();
        prop_assert!((1..=2).contains(&ours.len()));
        for sidecar in ours {
            let security = &sidecar["securityContext"];
            prop_assert_eq!(&security["runAsNonRoot"], &json!(true));
            prop_assert_eq!(&security["allowPrivilegeEscalation"], &json!(false));
            prop_assert_eq!(&security["capabilities"], &json!({"drop": ["ALL"]}));
            prop_assert_eq!(&security["seccompProfile"]["type"], &json!("RuntimeDefault"));
            for port in sidecar["ports"].as_array().into_iter().flatten() {
                let port = &port["containerPort"];
                let taken = containers(before).any(|(container, _)| {
                    let ports = container["ports"].as_array().into_iter().flatten();
                    ports.into_iter().any(|p| &p["containerPort"] == port || &p["hostPort"] == port)
                });
                prop_assert!(!taken, "{}", port);
            }
        }
        let volumes = after["spec"]["volumes"].as_array().expect("volumes");
        for (container, _) in containers(after) {
            let mut paths: Vec<&str> = Vec::new();
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let path = mount["mountPath"].as_str().unwrap_or_default();
                if mount["name"].as_str().is_some_and(|name| name.starts_with("sidelight-")) {
                    prop_assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]));
                    prop_assert!(!paths.iter().any(|known| known.trim_end_matches('/') == path));
                    prop_assert!(is_ours(container) || mount["readOnly"] == true);
                }
                paths.push(path);
            }
        }
        let named = volumes.iter().filter(|volume| volume["name"] == "sidelight-run");
        prop_assert_eq!(named.count(), 1);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        /// Guarantees: for any pod the patch applies, is the same every time, leaves the
        /// application's containers as they were, gives a pod that can be admitted, and is empty
        /// the second time. Removing the additions restores the pod.
        #[test]
        fn property_of_any_pod(pod in pod(), policy in policy(), known in any::<bool>()) {
            let mut namespace = Namespace { name: "shop".to_owned(), ..Namespace::default() };
            if known {
                namespace.labels.insert("kubernetes.io/metadata.name".to_owned(), "shop".to_owned());
            }
            let owner = known.then(|| Owner { kind: "Job".to_owned(), name: "j".to_owned() });
            let first = plan_for(&pod, &namespace, &policy, owner.as_ref());
            prop_assert_eq!(&first, &plan_for(&pod, &namespace, &policy, owner.as_ref()));
            let after = patched(&pod, &first);
            if first.skipped.is_some() {
                prop_assert!(first.patch.is_empty());
            } else {
                untouched(&pod, &after)?;
            }
            let second = plan(&after, &namespace, &policy);
            prop_assert!(second.patch.is_empty(), "{:?}", second.patch);
            let has_status = pod["metadata"]["annotations"]["sidelight.dev/status"].is_string();
            let had = containers(&pod).any(|(container, _)| is_ours(container));
            if first.skipped.is_none() && !had {
                prop_assert_eq!(second.skipped, Some("already_converged"));
                admissible(&pod, &after)?;
            }
            if first.skipped.is_none() && !had && !has_status {
                let mut before = after.clone();
                prop_assert!(strip(&mut before));
                let mut expected = pod.clone();
                if let Some(labels) = expected["metadata"]["labels"].as_object_mut() {
                    labels.shift_remove("sidelight.dev/injected");
                }
                // an empty list means the same as a missing one
                for pod in [&mut before, &mut expected] {
                    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
                        annotations.retain(|_, value| *value != "");
                    }
                }
                prop_assert_eq!(normal(&before), normal(&expected));
            }
        }
    }

    /// Scenario: another webhook decodes and encodes the pod and adds a container between our
    /// calls.
    /// Guarantees: the new container is wired, our container gets back what was lost, nothing else
    /// changes.
    #[test]
    fn what_others_do_between_two_calls_is_mended() {
        let pod = json!({"metadata": {"name": "demo"}, "spec": {"containers": [{"name": "app"}]}});
        let (namespace, policy) = (Namespace::default(), Policy::default());
        let mut after = patched(&pod, &plan(&pod, &namespace, &policy));
        let init = after["spec"]["initContainers"].as_array_mut().expect("init containers");
        init[0].as_object_mut().expect("ours").shift_remove("restartPolicy");
        init.insert(0, json!({"name": "secrets"}));
        after["spec"]["containers"]
            .as_array_mut()
            .expect("containers")
            .push(json!({"name": "late"}));
        let again = plan(&after, &namespace, &policy);
        let paths: Vec<&str> =
            again.patch.iter().map(|operation| operation.path.as_str()).collect();
        let expected = [
            "/spec/initContainers/0/env",
            "/spec/initContainers/0/volumeMounts",
            "/spec/containers/1/env",
            "/spec/containers/1/volumeMounts",
            "/spec/initContainers/1/restartPolicy",
            "/metadata/annotations/sidelight.dev~1status",
        ];
        assert_eq!(paths, expected);
        let operations = serde_json::to_value(&again.patch).expect("JSON");
        apply(&mut after, &operations);
        assert_eq!(after["spec"]["initContainers"][1]["restartPolicy"], "Always");
        assert_eq!(plan(&after, &namespace, &policy).skipped, Some("already_converged"));
    }
}
