//! Writes raw JSON as text that every reader of YAML, 1.1 or 1.2, reads as the same JSON. A string
//! is written without quotes only if no reader can mistake it for another value. Unit: one
//! document.

use super::scalar::plain;
use serde_json::{Map, Number, Value};
use std::fmt::Write;

/// The longest key that is written before its colon; some readers of YAML 1.1 limit it to 128
/// characters.
const KEY_BYTES_MAX: usize = 120;

/// Writes a document as YAML in kubectl's form: a list is not indented deeper than its key.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut out, map, 0, false),
        Value::Array(list) if !list.is_empty() => write_list(&mut out, list, 0, false),
        _ => scalar(&mut out, value, 0),
    }
    out
}

/// Writes a document as JSON.
pub fn json(value: &Value) -> String {
    // a tree of values contains nothing that JSON cannot express
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// Writes a map. With `inside`, the first line continues a line that is indented already.
fn write_map(out: &mut String, map: &Map<String, Value>, indent: usize, inside: bool) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 || !inside {
            spaces(out, indent);
        }
        if key.len() > KEY_BYTES_MAX {
            out.push_str("? ");
        }
        text(out, key);
        if key.len() > KEY_BYTES_MAX {
            out.push('\n');
            spaces(out, indent);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                write_map(out, map, indent + 2, false);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push('\n');
                write_list(out, list, indent, false);
            }
            _ => {
                out.push(' ');
                scalar(out, value, indent + 2);
            }
        }
    }
}

fn write_list(out: &mut String, list: &[Value], indent: usize, inside: bool) {
    for (index, value) in list.iter().enumerate() {
        if index > 0 || !inside {
            spaces(out, indent);
        }
        out.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => write_map(out, map, indent + 2, true),
            Value::Array(list) if !list.is_empty() => write_list(out, list, indent + 2, true),
            _ => scalar(out, value, indent + 2),
        }
    }
}

/// Writes a value on one line, or as a block of lines, with its line end.
fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&written(number)),
        Value::String(text) if block(text) => return lines(out, text, indent),
        Value::String(content) => text(out, content),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
    out.push('\n');
}

/// Formats a number so that every reader reads a number: a float has a point, and its exponent a
/// sign.
fn written(number: &Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn text(out: &mut String, text: &str) {
    if plain(text) {
        out.push_str(text);
    } else if text.contains(['"', '\\']) && text.chars().all(printable) {
        // JSON within YAML stays readable
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        quoted(out, text);
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if printable(character) => out.push(character),
            _ => {
                // all characters that are not printable are below U+10000
                let _ = write!(out, "\\u{:04X}", character as u32);
            }
        }
    }
    out.push('"');
}

/// Returns whether a character can be written as it is: some Unicode characters end a line in YAML
/// 1.1.
fn printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => character >= '\u{a0}',
    }
}

/// Returns whether a string is most readable, and preserved, as a block of lines.
fn block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && !text.ends_with([' ', '\t'])
        && text.lines().all(|line| !line.ends_with([' ', '\t', '\r']))
        && text.chars().all(|character| matches!(character, '\n' | '\t') || printable(character))
}

fn lines(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in body.split('\n') {
        if !line.is_empty() {
            spaces(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
    for _ in 1..text.len() - body.len() {
        out.push('\n');
    }
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}
