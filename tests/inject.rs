//! Pods and what injection makes of them. A folder of `tests/inject` is one promise, told in its `why.md`:
//!
//! - `pod.yaml`: what the API server would show; `injector.yaml`, `namespace.yaml`: where the defaults do not show it;
//! - `patch.json`: the operations; `injected.yaml`: the pod after them; `told.txt`: what people and machines read.
//!
//! `UPDATE=1` rewrites what is expected; a missing expectation is written and fails once.

use serde_json::{Map, Value, json};
use sidelight::inject::policy::Policy;
use sidelight::inject::{Namespace, Plan, plan, strip};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// RFC 6902's `add` as its text says, for somebody who knows nothing of pods.
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

/// Without what is missing in other words: nulls, empty lists and maps.
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inject");
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
    let (policy, faults) = sidelight::config::injector::parse("injector.yaml", &text);
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

/// Guarantees: the operations, the pod and the words of every folder; the plan of the result is empty; taking away
/// what was added gives the pod back.
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
        if again.patch != [] {
            wrong.push(format!("{name}: not convergent: {:?}", again.patch));
        }
        if made.skipped.is_none() {
            let mut before = after.clone();
            assert!(strip(&mut before), "{name}");
            let status = json!(pod["metadata"]["annotations"]["sidelight.dev/status"]);
            if status.is_null() && normal(&before) != normal(&pod) {
                wrong.push(format!("{name}: stripped it is another pod:\n{before:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(folders.len() >= 30, "only {} folders", folders.len());
}
