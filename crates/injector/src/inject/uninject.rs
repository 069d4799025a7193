//! Removes what injection added, as the status annotation records it, and preserves everything
//! else. Lists that become empty are removed, too. Unit: one pod.

use super::names::{
    CONTAINER, IMAGE_VOLUME, INJECTED_LABEL, INSTALL_CONTAINER, RUN_VOLUME, STATUS, TEE_INSTALLED,
    TEE_MOUNTED,
};
use super::pod::{Pod, has_named, is_named};
use super::status::{Names, Status, VARIABLES};
use serde_json::{Map, Value};

/// Removes the additions from a pod. Returns whether there were any.
pub(super) fn uninject(value: &mut Value) -> bool {
    let Some(pod) = Pod::read(value) else { return false };
    let recorded = pod.status();
    let by_policy = pod.label(INJECTED_LABEL) == Some("true");
    if recorded.is_none() && !by_policy {
        return false;
    }
    let status = recorded.map_or_else(Status::of_policy, Status::of);
    let root = value.as_object_mut();
    let Some(root) = root else { return false };
    if let Some(spec) = root.get_mut("spec").and_then(Value::as_object_mut) {
        containers(spec, &status);
        for (list, names) in [
            ("initContainers", Names::InitContainers),
            ("containers", Names::Containers),
            ("volumes", Names::Volumes),
            ("imagePullSecrets", Names::ImagePullSecrets),
        ] {
            for name in status.names(names) {
                remove_named(spec, list, name);
            }
        }
    }
    metadata(root, &status);
    true
}

fn containers(spec: &mut Map<String, Value>, status: &Status) {
    let kept = VARIABLES.map(|(.., kept)| status.names(kept));
    let wrapped = status.names(Names::Tee);
    let made = status.names(Names::Entrypoints);
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if [CONTAINER, INSTALL_CONTAINER].contains(&name.as_str()) {
                continue;
            }
            // the mount shows which containers got the variables
            let has_mount = has_named(container, "volumeMounts", RUN_VOLUME);
            for ((variable, path, _), kept) in VARIABLES.iter().zip(&kept) {
                if !has_mount || kept.contains(&name.as_str()) {
                    continue;
                }
                let is_ours = |element: &Value| {
                    is_named(element, variable)
                        && element.get("value").and_then(Value::as_str) == Some(path)
                };
                remove(container, "env", is_ours);
            }
            for volume in [RUN_VOLUME, IMAGE_VOLUME] {
                remove(container, "volumeMounts", |mount| is_named(mount, volume));
            }
            if wrapped.contains(&name.as_str()) {
                unwrap_command(container, made.contains(&name.as_str()));
            }
        }
    }
}

/// Removes the copier from the beginning of a command, or a whole command that injection added.
fn unwrap_command(container: &mut Map<String, Value>, made: bool) {
    let Some(Value::Array(command)) = container.get_mut("command") else { return };
    let is_copier = |part: &Value| part == TEE_INSTALLED || part == TEE_MOUNTED;
    let Some(start) = command.iter().position(is_copier) else { return };
    // its options end with `--`
    let Some(options) = command[start..].iter().position(|part| part == "--") else { return };
    if made {
        container.shift_remove("command");
    } else {
        command.drain(start..=start + options);
    }
}

fn metadata(root: &mut Map<String, Value>, status: &Status) {
    let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.shift_remove(INJECTED_LABEL);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(STATUS);
        for (key, added) in status.entries() {
            let Some(list) = annotations.get(key).and_then(Value::as_str) else { continue };
            let mut rest: Vec<&str> = list.split(',').collect();
            // our entries come after those that existed before
            for entry in added.split(',') {
                if let Some(at) = rest.iter().rposition(|known| *known == entry) {
                    rest.remove(at);
                }
            }
            let rest = rest.join(",");
            if rest.is_empty() {
                annotations.shift_remove(key);
            } else {
                annotations.insert(key.to_owned(), Value::String(rest));
            }
        }
    }
    for key in ["labels", "annotations"] {
        remove_empty(metadata, key);
    }
    remove_empty(root, "metadata");
}

fn remove_named(map: &mut Map<String, Value>, list: &str, name: &str) {
    remove(map, list, |element| is_named(element, name));
}

/// Removes elements of a list, and the list itself if it becomes empty.
fn remove(map: &mut Map<String, Value>, list: &str, is_ours: impl Fn(&Value) -> bool) {
    let Some(Value::Array(elements)) = map.get_mut(list) else { return };
    let before = elements.len();
    elements.retain(|element| !is_ours(element));
    if elements.is_empty() && before > 0 {
        map.shift_remove(list);
    }
}

fn remove_empty(map: &mut Map<String, Value>, key: &str) {
    if map.get(key).and_then(Value::as_object).is_some_and(Map::is_empty) {
        map.shift_remove(key);
    }
}
