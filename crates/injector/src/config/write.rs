//! Writes a tree as YAML in the plainest form; reading it gives the same tree. Unit: one tree.

use sidelight::config::tree::{Node, Value};

/// Returns the text of a tree.
pub(super) fn yaml(node: &Node) -> String {
    let mut text = String::new();
    value(&mut text, node, 0);
    text.trim_start().to_owned()
}

/// Writes the value after a key or a dash: on the same line, or on the following lines.
fn value(text: &mut String, node: &Node, depth: usize) {
    match &node.value {
        Value::Null => text.push('\n'),
        Value::Text(scalar) => {
            text.push(' ');
            push_scalar(text, scalar);
            text.push('\n');
        }
        Value::List(list) if list.is_empty() => text.push_str(" []\n"),
        Value::Map(map) if map.is_empty() => text.push_str(" {}\n"),
        Value::List(list) => {
            text.push('\n');
            for element in list {
                text.extend(std::iter::repeat_n("  ", depth));
                text.push('-');
                value(text, element, depth + 1);
            }
        }
        Value::Map(map) => {
            text.push('\n');
            for (key, element) in map {
                text.extend(std::iter::repeat_n("  ", depth));
                push_scalar(text, key.key());
                text.push(':');
                value(text, element, depth + 1);
            }
        }
    }
}

/// Writes a scalar without quotes if no reader can mistake it, and otherwise quoted like JSON,
/// which YAML reads.
fn push_scalar(text: &mut String, scalar: &str) {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    let bare = scalar.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && scalar.bytes().all(inner)
        && !scalar.eq_ignore_ascii_case("null");
    if bare {
        text.push_str(scalar);
    } else {
        text.push_str(&serde_json::Value::from(scalar).to_string());
    }
}
