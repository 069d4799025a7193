//! Applies a JSON patch to a value (RFC 6902): `add` and `replace`, the only operations of a plan.
//! Unit: one operation.

use crate::inject::patch::Operation;
use serde_json::Value;

/// Applies one operation.
///
/// # Errors
/// Fails if the path does not exist, because then the plan was made for another pod.
pub(super) fn apply(target: &mut Value, operation: &Operation) -> Result<(), String> {
    let misfit = || format!("the plan does not fit the pod at {}", operation.path);
    let (parent, last) = operation.path.rsplit_once('/').ok_or_else(misfit)?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let value = operation.value.clone();
    match target.pointer_mut(parent).ok_or_else(misfit)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => {
            let index: usize = last.parse().map_err(|_| misfit())?;
            match operation.op {
                "replace" => *list.get_mut(index).ok_or_else(misfit)? = value,
                _ if index <= list.len() => list.insert(index, value),
                _ => return Err(misfit()),
            }
        }
        _ => return Err(misfit()),
    }
    Ok(())
}
