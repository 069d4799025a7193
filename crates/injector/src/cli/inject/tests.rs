//! Adds sidecars to manifests, as a user runs the command.

use super::*;
use crate::manifest::read::read;
use serde_json::{Value, json};

fn arguments(line: &str) -> Arguments {
    use clap::Parser;
    let words = ["sidelight", "inject"].into_iter().chain(line.split_whitespace());
    let parsed = crate::cli::CommandLine::try_parse_from(words).expect("valid");
    let Some(crate::cli::Command::Inject(arguments)) = parsed.command else { panic!("inject") };
    arguments
}

/// Processes every pod of a text; returns the result for each, and the documents.
fn done(line: &str, text: &str) -> (Vec<Done>, Vec<Value>) {
    let arguments = arguments(line);
    let (documents, _) = read("f.yaml", text).expect("manifests");
    let mut results = Vec::new();
    let mut values = Vec::new();
    for mut document in documents {
        for workload in workloads(&document.value) {
            let policy = effective_policy(&arguments).expect("defaults");
            let one = one(&arguments, &policy, &mut document, &workload, None);
            results.push(one.expect("done").0);
        }
        values.push(document.value);
    }
    (results, values)
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
unknown: {b: 1, a: 2}
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: app, image: x, odd: 012}
";

#[test]
fn a_template_gets_what_its_pods_would_and_loses_it_again() {
    let (results, values) = done("-f x", DEPLOYMENT);
    assert_eq!(results, [Done::Injected]);
    let template = &values[0]["spec"]["template"];
    let keys =
        |value: &Value| value.as_object().expect("a map").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(template), ["metadata", "spec"]);
    assert_eq!(keys(&values[0]), ["apiVersion", "kind", "unknown", "metadata", "spec"]);
    assert_eq!(template["metadata"]["labels"]["sidelight.dev/injected"], "true");
    assert!(template["metadata"].get("ownerReferences").is_none());
    let sidecar = &template["spec"]["initContainers"][0];
    let variables = sidecar["env"].as_array().expect("variables");
    let service =
        variables.iter().find(|one| one["name"] == "OTEL_SERVICE_NAME").expect("a service");
    assert_eq!(service["value"], "web", "the owner is known");
    assert_eq!(template["spec"]["containers"][0]["odd"], 10);

    let written = write::yaml(&values[0]);
    assert_eq!(done("-f x", &written), (vec![Done::Unchanged], values.clone()));
    let (results, without) = done("-f x --uninject", &written);
    let (_, before) = done("-f x --uninject", DEPLOYMENT);
    assert_eq!(results, [Done::Removed]);
    assert_eq!(without[0]["spec"]["template"]["spec"], before[0]["spec"]["template"]["spec"]);
    assert_eq!(done("-f x --uninject", DEPLOYMENT).0, [Done::Unchanged]);
}

#[test]
fn every_pod_of_a_list_and_the_mode() {
    let pod = |name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
               "spec": {"containers": [{"name": "app"}]}})
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        pod("a", json!({})),
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}},
        pod("b", json!({"sidelight.dev/inject": "false"})),
    ]});
    let (results, values) = done("-f x --mode classic", &list.to_string());
    assert_eq!(results, [Done::Injected, Done::Skipped("opted_out")]);
    assert_eq!(values[0]["items"][1], list["items"][1]);
    assert_eq!(values[0]["items"][2], list["items"][2]);
    assert_eq!(values[0]["items"][0]["spec"]["containers"][0]["name"], "sidelight");
    assert!(values[0]["items"][0]["spec"].get("initContainers").is_none());
}

/// Scenario: the kinds are in no list.
/// Guarantees: a template is injected in every kind that has one, and omissions are named.
#[test]
fn kinds_of_others() {
    let template = json!({"template": {"spec": {"containers": [{"name": "app", "image": "x"}]}}});
    for (version, kind, injected) in [
        ("argoproj.io/v1alpha1", "Rollout", true),
        ("apps.kruise.io/v1alpha1", "CloneSet", true),
        ("apps.openshift.io/v1", "DeploymentConfig", true),
        ("serving.knative.dev/v1", "Service", false),
    ] {
        let value = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": template});
        let (results, values) = done("-f x", &value.to_string());
        assert_eq!(results, if injected { vec![Done::Injected] } else { Vec::new() }, "{kind}");
        assert_eq!(values[0] == value, !injected, "{kind}");
        assert_eq!(
            passed_over(&value).is_some_and(|why| why.contains("refuses")),
            !injected,
            "{kind}"
        );
    }
    let workflow = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                          "spec": {"templates": [{"container": {"image": "x"}}]}});
    assert!(passed_over(&workflow).is_some_and(|why| why.contains("does not know")));
    let none =
        json!({"kind": "ConfigMap", "data": {"containers": "x"}, "containers": [{"name": "x"}]});
    assert_eq!((workloads(&none), passed_over(&none)), (Vec::new(), None));
}

/// Scenario: a manifest names no namespace.
/// Guarantees: the given namespace applies, and never overrides the manifest's.
#[test]
fn the_namespace_of_a_manifest() {
    let mut policy = Policy::default();
    policy.exclude_namespaces.insert("shop".to_owned());
    for (line, namespace, expected) in [
        ("-f x -n shop", None, Done::Skipped("excluded_namespace")),
        ("-f x -n shop", Some("other"), Done::Injected),
        ("-f x", Some("shop"), Done::Skipped("excluded_namespace")),
        ("-f x", None, Done::Injected),
    ] {
        let metadata = namespace.map_or(json!({}), |name| json!({"namespace": name}));
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
                           "spec": {"containers": [{"name": "app"}]}});
        let mut document = Document { value, line: 1 };
        let workload = workloads(&document.value).remove(0);
        let (done, _) =
            one(&arguments(line), &policy, &mut document, &workload, None).expect("done");
        assert_eq!(done, expected, "{line} {namespace:?}");
    }
}

/// Guarantees: a plan's path (RFC 6901) that does not exist is reported, never skipped.
#[test]
fn operations_are_done_where_they_say() {
    use crate::inject::patch::Operation;
    let pod = json!({"a": {"b/c": [1, 2]}, "l": []});
    for (path, value, expected) in [
        ("/a/x", json!(1), Some(json!({"a": {"b/c": [1, 2], "x": 1}, "l": []}))),
        ("/a/b~1c/-", json!(3), Some(json!({"a": {"b/c": [1, 2, 3]}, "l": []}))),
        ("/a/b~1c/0", json!(0), Some(json!({"a": {"b/c": [0, 1, 2]}, "l": []}))),
        ("/a/b~1c/2", json!(3), Some(json!({"a": {"b/c": [1, 2, 3]}, "l": []}))),
        ("/a/b~1c/3", json!(3), None),
        ("/a/b~1c/x", json!(3), None),
        ("/a~0", json!(3), Some(json!({"a": {"b/c": [1, 2]}, "l": [], "a~": 3}))),
        ("/none/x", json!(3), None),
        ("", json!(3), None),
    ] {
        let mut target = pod.clone();
        let done =
            apply::apply(&mut target, &Operation { op: "add", path: path.to_owned(), value });
        assert_eq!(done.is_ok().then_some(target), expected, "{path}");
    }
}

#[test]
fn files_directories_and_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for (name, text) in
        [("b.yaml", "a: 1"), ("a.json", "{}"), ("c.txt", "["), ("d.yml", "\u{feff}a: 2")]
    {
        std::fs::write(path(name), text).expect("written");
    }
    let read = files::read(&[folder.path().to_owned(), path("b.yaml")]).expect("readable");
    let names: Vec<_> =
        read.iter().map(|(name, _)| name.rsplit('/').next().unwrap_or_default()).collect();
    assert_eq!(names, ["a.json", "b.yaml", "d.yml", "b.yaml"]);
    assert_eq!(read[2].1[0].value, json!({"a": 2}));
    std::fs::write(path("b.yaml"), b"a: 1\nb: \xff\n").expect("written");
    let wrong = files::read(&[path("c.txt"), path("none"), path("b.yaml")]).expect_err("refused");
    for words in ["c.txt:1:", "none: No such file", "b.yaml:2: not UTF-8"] {
        assert!(wrong.contains(words), "{wrong}");
    }
}

#[test]
fn arguments_that_do_not_go_together() {
    use clap::Parser;
    for line in [
        "inject",
        "inject --uninject --resolve-entrypoints -f x",
        "inject -f x --mode odd",
        "inject -f x policy",
    ] {
        let words = std::iter::once("sidelight").chain(line.split_whitespace());
        assert!(crate::cli::CommandLine::try_parse_from(words).is_err(), "{line}");
    }
    assert!(arguments("policy --config x").instead.is_some());
}

/// Guarantees: with `--image-volume always` a manifest mounts the image, and loses it again.
#[test]
fn an_option_turns_image_volumes_on() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: web, annotations: \
               {sidelight.dev/config.tee: \"true\"}}, \
               spec: {containers: [{name: app, image: x, command: [run]}]}}";
    for (line, copier) in [
        ("-f x", "/run/sidelight/bin/sidelight-tee"),
        ("-f x --image-volume never", "/run/sidelight/bin/sidelight-tee"),
        ("-f x --image-volume always", "/run/sidelight-image/sidelight-tee"),
    ] {
        let (_, values) = done(line, pod);
        let spec = &values[0]["spec"];
        assert_eq!(spec["containers"][0]["command"], json!([copier, "--", "run"]), "{line}");
        let volumes = spec["volumes"].as_array().expect("volumes");
        let image = volumes.iter().find(|volume| volume["name"] == "sidelight-image");
        assert_eq!(image.is_some(), line.ends_with("always"), "{line}");
        let (_, without) = done("-f x --uninject", &values[0].to_string());
        assert_eq!(without[0]["spec"], read("pod.yaml", pod).expect("YAML").0[0].value["spec"]);
    }
}
