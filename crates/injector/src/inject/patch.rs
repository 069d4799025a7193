//! Operations of RFC 6902, made so that they apply to the pod they were made for: a list that is missing
//! comes with its first elements. `add` alone, which replaces where a member exists. Unit: one
//! operation.

use serde_json::{Map, Value};

/// One operation of RFC 6902.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Operation {
    /// `add`: beside what is there, or in place of a list of ours in an annotation.
    pub op: &'static str,
    /// Where, as RFC 6901 writes it.
    pub path: String,
    /// What.
    pub value: Value,
}

/// Puts a value to a place.
pub(super) fn add(patch: &mut Vec<Operation>, path: impl Into<String>, value: Value) {
    patch.push(Operation { op: "add", path: path.into(), value });
}

/// Puts elements to the end of a list that stands in `holder`, whose path is `path`.
pub(super) fn append(
    patch: &mut Vec<Operation>,
    (holder, path): (&Map<String, Value>, &str),
    list: &str,
    elements: Vec<Value>,
) {
    if elements.is_empty() {
        return;
    }
    if holder.get(list).is_some_and(Value::is_array) {
        for element in elements {
            add(patch, format!("{path}/{list}/-"), element);
        }
    } else {
        add(patch, format!("{path}/{list}"), Value::Array(elements));
    }
}

/// Puts an element to a place of a list that stands in `holder`; what follows moves on.
pub(super) fn insert(
    patch: &mut Vec<Operation>,
    (holder, path): (&Map<String, Value>, &str),
    list: &str,
    index: usize,
    element: Value,
) {
    if holder.get(list).is_some_and(Value::is_array) {
        add(patch, format!("{path}/{list}/{index}"), element);
    } else {
        add(patch, format!("{path}/{list}"), Value::Array(vec![element]));
    }
}

/// Puts members into labels or annotations, where anything above them may be missing.
pub(super) fn members(
    patch: &mut Vec<Operation>,
    metadata: Option<&Map<String, Value>>,
    entries: Vec<(&'static str, Map<String, Value>)>,
) {
    let entries: Vec<_> = entries.into_iter().filter(|(_, members)| !members.is_empty()).collect();
    if entries.is_empty() {
        return;
    }
    let Some(metadata) = metadata else {
        let all =
            entries.into_iter().map(|(key, members)| (key.to_owned(), Value::Object(members)));
        add(patch, "/metadata", Value::Object(all.collect()));
        return;
    };
    for (key, members) in entries {
        if metadata.get(key).is_some_and(Value::is_object) {
            for (name, value) in members {
                add(patch, format!("/metadata/{key}/{}", escaped(&name)), value);
            }
        } else {
            add(patch, format!("/metadata/{key}"), Value::Object(members));
        }
    }
}

/// One step of a path, as RFC 6901 writes it.
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
