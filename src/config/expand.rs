//! Replaces `${NAME}` and `${NAME:-default}` in the values of a file by environment variables,
//! before values get their types. `$${` becomes `${`. Keys are not changed, and neither is the
//! platform's layer, because its variables would be those of every pod. Unit: one file.

use super::environment::Environment;
use super::fault::Level;
use super::reader::{At, Reader};
use super::tree::{FILE_BYTES_MAX, Node, Value};
use crate::rules::settings::Notation;

/// Expands the variables in every value below `node`; records faults with their positions.
pub(super) fn expand(reader: &mut Reader<'_>, node: &mut Node, environment: &Environment) {
    let mut bytes_left = FILE_BYTES_MAX;
    walk(reader, node, String::new(), environment, &mut bytes_left);
}

fn walk(
    reader: &mut Reader<'_>,
    node: &mut Node,
    path: String,
    environment: &Environment,
    bytes_left: &mut usize,
) {
    match &mut node.value {
        Value::Null => {}
        Value::Text(text) if text.contains("${") && !is_pattern(&path) => {
            let expanded = text_of(text, environment).and_then(|text| {
                *bytes_left =
                    bytes_left.checked_sub(text.len()).ok_or_else(|| too_long(bytes_left))?;
                Ok(text)
            });
            match expanded {
                Ok(expanded) => *text = expanded,
                Err((message, hint)) => {
                    reader.fault(Level::Error, &At { node, path }, message, Some(hint));
                    reader.refused_before.insert(node.start);
                }
            }
        }
        Value::Text(_) => {}
        Value::List(list) => {
            for (index, node) in list.iter_mut().enumerate() {
                walk(reader, node, format!("{path}[{index}]"), environment, bytes_left);
            }
        }
        Value::Map(map) => {
            for (key, node) in map {
                let path = match path.as_str() {
                    "" => key.key().to_owned(),
                    path => format!("{path}.{}", key.key()),
                };
                walk(reader, node, path, environment, bytes_left);
            }
        }
    }
}

/// Returns whether the value at a path is the pattern of a format, which is written as in the
/// application: a `${` in it belongs to the application.
fn is_pattern(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("formats[") else { return false };
    let key = rest.split_once("].").map_or("", |(_, key)| key);
    key.starts_with("patterns.") || Notation::ALL.iter().any(|notation| notation.name() == key)
}

/// The message and the hint of a fault.
type Wrong = (String, String);

fn too_long(bytes_left: &mut usize) -> Wrong {
    *bytes_left = 0;
    let message = format!("the variables make the file longer than {FILE_BYTES_MAX} bytes");
    (message, "use shorter values, or fewer of them".to_owned())
}

/// Returns the text with its variables expanded.
fn text_of(text: &str, environment: &Environment) -> Result<String, Wrong> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let (inside, tail) =
            rest[at + 2..].split_once('}').ok_or_else(|| malformed("no } follows"))?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(malformed(&format!("`{name}` is not the name of a variable")));
        }
        let value = environment.get(name).map(String::as_str);
        match (value, default) {
            (None | Some(""), Some(default)) => out.push_str(default),
            (Some(value), _) => out.push_str(value),
            (None, None) => {
                let message = format!("the variable `{name}` is not set");
                return Err((message, format!("set it, or write ${{{name}:-default}}")));
            }
        }
        if out.len() > FILE_BYTES_MAX {
            return Err(too_long(&mut 0));
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn malformed(what: &str) -> Wrong {
    let hint = "write ${NAME} or ${NAME:-default}; $${ is the text ${ itself";
    (format!("a variable cannot be expanded: {what}"), hint.to_owned())
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(inner) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_a_text() {
        let pairs = [("A", "1"), ("EMPTY", ""), ("LONG_2", "x y")];
        let environment: Environment =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (text, expected) in [
            ("${A}", Some("1")),
            ("a ${A}-${LONG_2} b", Some("a 1-x y b")),
            ("${EMPTY}", Some("")),
            ("${EMPTY:-d}", Some("d")),
            ("${NONE:-d:-e}", Some("d:-e")),
            ("${NONE:-}", Some("")),
            ("${A:-d}", Some("1")),
            ("$${A} $A $ {A}", Some("${A} $A $ {A}")),
            ("^[0-9]+$", Some("^[0-9]+$")),
            ("${NONE}", None),
            ("${A", None),
            ("${}", None),
            ("${1}", None),
            ("${a b}", None),
        ] {
            assert_eq!(text_of(text, &environment).ok().as_deref(), expected, "{text}");
        }
    }
}
