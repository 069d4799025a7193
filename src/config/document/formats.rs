//! The chapter on the user's formats: the keys of a format, and an example of each notation that a
//! test reads. Unit: one chapter.

use crate::rules::settings::Notation;
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// A format with a line of it and what is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// The configuration.
    pub config: &'static str,
    /// A line in the format.
    pub line: &'static str,
    /// The fields of the line, by name.
    pub fields: Vec<(&'static str, &'static str)>,
}

/// The examples of all notations.
const EXAMPLES: &str = include_str!("formats.txt");

/// Returns one example of each notation.
pub fn examples() -> Vec<Example> {
    let blocks = EXAMPLES.split("\n== ").skip(1);
    blocks.filter_map(example).collect()
}

fn example(block: &'static str) -> Option<Example> {
    let (title, rest) = block.split_once('\n')?;
    let (config, rest) = rest.split_once("---\n")?;
    let mut lines = rest.lines();
    let line = lines.next()?;
    let fields = lines.filter_map(|line| line.trim_start().split_once(" = ")).collect();
    Some(Example { title, config, line, fields })
}

/// A key of a format: its name, what it takes, and what it does.
const KEYS: &[(&str, &str, &str)] = &[
    (
        "name",
        "text",
        "Its name in `explain` and `check`; a later layer's format of that name replaces it.",
    ),
    ("python", "format string", "The format of Python's `logging`."),
    ("loguru", "format string", "The format of loguru."),
    ("nginx", "string or directive", "nginx `log_format`."),
    ("apache", "string or directive", "Apache `LogFormat`."),
    ("logback", "pattern", "A layout of logback."),
    ("log4j2", "pattern", "A layout of log4j 2."),
    (
        "regex",
        "regular expression",
        "Its named groups are fields; it is searched in the line, so that ^ and $ bind it.",
    ),
    ("grok", "grok pattern", "The same with names: `%{NAME:field}`."),
    ("datefmt", "strftime", "The form of times, beside `python`, `regex` and `grok`."),
    ("style", "%, { or $", "The style of `python`; guessed if left out."),
    (
        "escape",
        "default, json or none",
        "How nginx escapes values; the directive may say it itself.",
    ),
    (
        "time_zone",
        "zone",
        "The zone of times that name none; `time_zone` of all lines if left out. Beside `regex` and \
         `grok` it needs `datefmt`.",
    ),
    (
        "fields",
        "map of names and fields",
        "What a name in the pattern means: a field, or a key of structured lines, as in `{lvl: level}`.",
    ),
    (
        "levels",
        "map of words and levels",
        "The levels of words that are no usual names, as in `{AUDIT: notice}`.",
    ),
    ("patterns", "map of names and expressions", "More names for `grok`."),
];

/// Writes the chapter.
pub(super) fn write_chapter(out: &mut String) -> std::fmt::Result {
    out.push_str(include_str!("formats.md"));
    out.push_str("\n| key | takes | what it does |\n|---|---|---|\n");
    for (name, takes, help) in KEYS {
        writeln!(out, "| `{name}` | {takes} | {help} |")?;
    }
    for Example { title, config, line, fields } in examples() {
        writeln!(out, "\n{title}:\n\n```yaml\n{config}```\n\n```\n{line}")?;
        for (name, value) in fields {
            writeln!(out, "  {name} = {value}")?;
        }
        writeln!(out, "```")?;
    }
    Ok(())
}

/// The JSON Schema of a format.
pub(super) fn schema() -> Json {
    let text = json!({"type": "string"});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut properties = json!({});
    for (name, _, help) in KEYS {
        properties[*name] = match *name {
            "fields" | "levels" | "patterns" => map.clone(),
            "style" => json!({"enum": ["%", "{", "$"]}),
            "escape" => json!({"enum": ["default", "json", "none"]}),
            _ => text.clone(),
        };
        properties[*name]["description"] = (*help).into();
    }
    let kinds = Notation::ALL.iter().map(|notation| json!({"required": [notation.name()]}));
    json!({"type": "object", "properties": properties, "additionalProperties": false,
        "oneOf": kinds.collect::<Vec<_>>()})
}
