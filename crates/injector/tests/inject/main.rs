//! Pods and the results of their injection.

mod calls;
mod generate;
mod golden;
mod property;

use serde_json::{Map, Value};
use sidelight_injector::inject::Plan;

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
