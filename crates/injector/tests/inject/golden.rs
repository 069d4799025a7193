//! Pods and the results of their injection. Each folder of `tests/golden` is one promise, which its
//! `why.md` describes:
//!
//! - `pod.yaml`: the pod of the API server; `injector.yaml`, `namespace.yaml`: present if the
//!   defaults do not show the case;
//! - `patch.json`: the operations; `injected.yaml`: the pod after them; `messages.txt`: warnings and
//!   reasons.
//!
//! `UPDATE=1` rewrites the expected files; a missing one is written and fails once.

use super::{normal, patched};
use serde_json::Value;
use sidelight::config::fault::Level;
use sidelight_injector::inject::policy::Policy;
use sidelight_injector::inject::{Namespace, Plan, plan, uninject};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns reasons and warnings as text.
fn messages(plan: &Plan) -> String {
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
    let errors: Vec<_> = faults.iter().filter(|fault| fault.level == Level::Error).collect();
    assert!(errors.is_empty(), "{}: {errors:?}", folder.display());
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
        compare(&folder.join("messages.txt"), &messages(&made), &mut wrong);
        let again = plan(&after, &namespace, &policy);
        if !again.patch.is_empty() {
            wrong.push(format!("{name}: not convergent: {:?}", again.patch));
        }
        if made.skipped.is_none() {
            let mut before = after.clone();
            assert!(uninject(&mut before), "{name}");
            let injected = pod["metadata"]["labels"]["sidelight.dev/injected"] == "true";
            if !injected && normal(&before) != normal(&pod) {
                wrong.push(format!("{name}: without the additions it is another pod:\n{before:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(folders.len() >= 30, "only {} folders", folders.len());
}
