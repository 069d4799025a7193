//! Creates operations of RFC 6902 that apply to the pod for which they were created: a missing list
//! is added together with its first elements. Only `add` is used; it replaces a member that exists.
//! Unit: one operation.

use serde_json::{Map, Value};

/// One operation of RFC 6902.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Operation {
    /// `add`: inserts a value, or replaces a list of ours in an annotation.
    pub op: &'static str,
    /// The path, as a JSON pointer (RFC 6901).
    pub path: String,
    /// The value to add.
    pub value: Value,
}

/// Adds a value at a path.
pub(super) fn add(patch: &mut Vec<Operation>, path: impl Into<String>, value: Value) {
    patch.push(Operation { op: "add", path: path.into(), value });
}

/// Appends elements to a list in `holder`, the value at `path`.
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

/// Inserts an element into a list in `holder`; the elements after it move up.
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

/// Adds members to labels or annotations, and creates missing parents.
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

/// Escapes one segment of a JSON pointer (RFC 6901).
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
