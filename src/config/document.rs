//! Renders the table of settings as documents: a page, an entry of the reference, and a JSON Schema
//! for editors. Also describes the keys of a rule, which are not settings. Unit: one document.

pub mod formats;

use super::environment::{OPENTELEMETRY, SHARED, SOURCES, Variable};
use super::kind::Type;
use super::setting::Setting;
use super::table;
use super::units::Refused;
use crate::rules::syntax::nearest;
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// An operator of the rule language, with a line that matches its example condition and one that
/// does not.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// The operator.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// A condition.
    pub when: &'static str,
    /// A line that matches the condition.
    pub holds: &'static str,
    /// A line that does not match it.
    pub fails: &'static str,
}

const fn operator(
    name: &'static str,
    help: &'static str,
    when: &'static str,
    holds: &'static str,
    fails: &'static str,
) -> Operator {
    Operator { name, help, when, holds, fails }
}

/// All operators.
pub const OPERATORS: &[Operator] = &[
    operator(
        "==",
        "Equal. A number is compared with numeric text, a string byte by byte.",
        "event == \"order_placed\"",
        "{\"event\":\"order_placed\"}",
        "{\"event\":\"order_cancelled\"}",
    ),
    operator(
        "!=",
        "Not equal. If the field is absent, the result is unknown, which is no match.",
        "status != 200",
        "{\"status\":404}",
        "{\"msg\":\"no status\"}",
    ),
    operator("<", "Below.", "size < 10", "{\"size\":9.5}", "{\"size\":10}"),
    operator("<=", "Below or equal.", "size <= 10", "{\"size\":10}", "{\"size\":11}"),
    operator(
        ">",
        "Greater. Durations are compared in seconds; a duration without a known unit does not match.",
        "duration_ms > 250ms",
        "{\"duration_ms\":300}",
        "{\"duration_ms\":200}",
    ),
    operator(
        ">=",
        "Greater or equal. Levels are compared by their severities.",
        "level >= WARN",
        "{\"level\":\"error\"}",
        "{\"level\":\"info\"}",
    ),
    operator(
        "in",
        "One of a list.",
        "method in [\"PUT\", \"POST\"]",
        "{\"method\":\"POST\"}",
        "{\"method\":\"GET\"}",
    ),
    operator(
        "has",
        "The field is present. The result is never unknown.",
        "has(data.shop)",
        "{\"data\":{\"shop\":\"berlin\"}}",
        "{\"data\":{}}",
    ),
    operator(
        "contains",
        "The text contains another one.",
        "msg.contains(\"timeout\")",
        "{\"msg\":\"a timeout after 3 s\"}",
        "{\"msg\":\"done\"}",
    ),
    operator(
        "startsWith",
        "The text starts with another one.",
        "job.startsWith(\"nightly-\")",
        "{\"job\":\"nightly-report\"}",
        "{\"job\":\"hourly-report\"}",
    ),
    operator(
        "endsWith",
        "The text ends with another one.",
        "file.endsWith(\".csv\")",
        "{\"file\":\"a.csv\"}",
        "{\"file\":\"a.csv.gz\"}",
    ),
    operator(
        "matches",
        "The text contains a match of a regular expression (syntax of the regex crate, no Unicode classes).",
        "job.matches(\"^run-[0-9]+$\")",
        "{\"job\":\"run-17\"}",
        "{\"job\":\"run-x\"}",
    ),
    operator(
        "&&",
        "Both conditions hold. If one is unknown and the other is false, the result is false.",
        "event == \"paid\" && amount > 0",
        "{\"event\":\"paid\",\"amount\":5}",
        "{\"event\":\"paid\",\"amount\":0}",
    ),
    operator(
        "||",
        "One of the two, or both.",
        "code == 1 || code == 2",
        "{\"code\":2}",
        "{\"code\":3}",
    ),
    operator(
        "!",
        "The condition does not hold. The negation of unknown is unknown.",
        "!(kind == \"ping\")",
        "{\"kind\":\"pong\"}",
        "{\"msg\":\"no kind\"}",
    ),
];

/// The keys of a rule: name, type and effect.
const RULE_KEYS: &[(&str, &str, &str)] = &[
    (
        "name",
        "text",
        "The name of the rule. A rule with the same name in a later layer replaces it. Default: \
         the name of its first metric.",
    ),
    (
        "enabled",
        "true or false",
        "If false, switches off the rule with this name in an earlier layer.",
    ),
    ("when", "condition", "The records that the rule applies to. Default: all."),
    (
        "extract",
        "pattern, or {field, pattern}",
        "Named groups become values. Without a match, the rule has no effect.",
    ),
    ("counter", "metric", "Counts records, or adds `by`."),
    ("gauge", "metric", "The newest `value`, or the sum of all with `add: true`."),
    ("histogram", "metric", "The distribution of `value` over `buckets`."),
    ("metrics", "list of the three above", "Several metrics of one rule."),
    ("span", "request, query or internal", "The record becomes a span of this kind."),
    ("health", "heartbeat", "The record is the line that health.heartbeat waits for."),
];

/// Renders `docs/configuration.md`.
pub fn page() -> String {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = write_page(&mut out);
    out
}

fn write_page(out: &mut String) -> std::fmt::Result {
    out.push_str(include_str!("document/head.md"));
    let mut group = "";
    for setting in table::ALL {
        let of = setting.path.split_once('.').map_or("", |(group, _)| group);
        if of != group && !of.is_empty() {
            writeln!(out, "\n### {of}\n")?;
        } else if of != group {
            writeln!(out)?;
        }
        group = of;
        writeln!(out, "- **`{}`**: {}", setting.path, setting.help)?;
        writeln!(out, "  {}.", facts(setting).join("; "))?;
    }
    out.push_str("\n## Variables\n\nAn empty variable is none.\n");
    for (title, variables) in [
        ("Variables of sidelight that are not settings, or affect several", SOURCES),
        ("Shared with the application: weaker than a file, a wrong value is a warning", SHARED),
        ("OpenTelemetry's: stronger than a file, a wrong value is a warning", OPENTELEMETRY),
    ] {
        writeln!(out, "\n{title}:\n")?;
        for Variable { name, setting, help } in variables {
            let says = setting.map(|path| format!(" (`{path}`)")).unwrap_or_default();
            writeln!(out, "- `{name}`{says}: {help}")?;
        }
    }
    formats::write_chapter(out)?;
    out.push_str(include_str!("document/rules.md"));
    out.push_str("\n| key | takes | what it does |\n|---|---|---|\n");
    for (name, takes, help) in RULE_KEYS {
        writeln!(out, "| `{name}` | {takes} | {help} |")?;
    }
    out.push_str(
        "\n### Operators\n\nEach example has a line that matches and one that does not.\n",
    );
    for Operator { name, help, when, holds, fails } in OPERATORS {
        writeln!(out, "\n`{name}`: {help}\n")?;
        writeln!(out, "```\nwhen: {when}\nholds: {holds}\ndoes not: {fails}\n```")?;
    }
    Ok(())
}

/// Returns type, default, bounds, sources, and whether a change needs a restart.
fn facts(setting: &Setting) -> Vec<String> {
    let code = |text: &str| format!("`{text}`");
    let mut facts = vec![setting.kind.name()];
    let default = setting.default_shown();
    facts
        .push(default.map_or("no default".to_owned(), |value| format!("default {}", code(&value))));
    facts.extend(setting.bounds_shown());
    facts.extend(setting.variable.map(code));
    facts.extend(setting.flag.map(|flag| code(&format!("--{flag}"))));
    if !setting.in_file {
        facts.push("not in a file".to_owned());
    }
    facts.push(if setting.live { "live" } else { "at a restart" }.to_owned());
    facts
}

/// Returns the entries of the reference for a path and everything below it, for a variable or for a
/// flag; returns all entries if there is no key.
///
/// # Errors
/// Fails if no setting has this path, variable or flag; the hint suggests the nearest name.
pub fn reference(key: Option<&str>) -> Result<String, Refused> {
    let is_meant = |setting: &&Setting| {
        let Some(key) = key else { return true };
        let below = setting.path.strip_prefix(key);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || setting.variable == Some(key)
            || setting.flag.is_some_and(|flag| key.trim_start_matches('-') == flag)
    };
    let entries: Vec<String> = table::ALL.iter().filter(is_meant).map(entry).collect();
    if entries.is_empty() {
        let key = key.unwrap_or_default();
        // a group is a key, too
        let groups = |path: &'static str| path.match_indices('.').map(move |(at, _)| &path[..at]);
        let paths = table::ALL.iter().map(|setting| setting.path);
        let known = paths.clone().flat_map(groups).chain(paths);
        let hint = match nearest(key, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`sidelight reference` lists all".to_owned(),
        };
        return Err(Refused::new(format!("there is no setting `{key}`"), hint));
    }
    Ok(entries.join("\n"))
}

fn entry(setting: &Setting) -> String {
    let mut out = format!("{}\n  {}\n", setting.path, setting.help);
    let mut row = |name: &str, value: Option<String>| {
        let _ = value.map(|value| writeln!(out, "  {name:<9} {value}"));
    };
    row("type", Some(setting.kind.name()));
    row("default", Some(setting.default_shown().unwrap_or_else(|| "unset".to_owned())));
    row("bounds", setting.bounds_shown());
    row("variable", setting.variable.map(str::to_owned));
    row("flag", setting.flag.map(|flag| format!("--{flag}")));
    row("file", (!setting.in_file).then(|| "no file can say it".to_owned()));
    let change = if setting.live { "while it runs" } else { "at a restart" };
    row("change", Some(format!("takes effect {change}")));
    let last = match (setting.in_file, setting.kind.is_bound()) {
        (false, _) => None,
        (true, true) => Some("bounds later layers: they can lower it"),
        (true, false) => Some("cannot be changed by later layers"),
    };
    row("final", last.map(str::to_owned));
    out
}

/// Returns the JSON Schema of a configuration file.
pub fn schema() -> Json {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sidelight configuration",
        "type": ["object", "null"],
        "properties": {},
        "additionalProperties": false,
    });
    for setting in table::ALL.iter().filter(|setting| setting.in_file) {
        let mut one = setting.kind.schema(setting.bounds);
        one["description"] = setting.help.into();
        if let Some(default) = setting.default_shown() {
            one["x-default"] = default.into();
        }
        put(&mut root, setting.path, one);
    }
    // a socket may be written as its path only
    for key in ["socket", "datagram_socket"] {
        let map = root["properties"][key].take();
        root["properties"][key] = json!({"anyOf": [map, {"type": "string"}]});
    }
    let paths: Vec<&str> =
        table::ALL.iter().filter(|setting| setting.in_file).map(|setting| setting.path).collect();
    root["properties"]["final"] = json!({
        "description": "Settings that later layers cannot raise or change, by path or group.",
        "type": "array",
        "items": {"type": "string", "examples": paths},
    });
    root["properties"]["formats"] = json!({"type": ["array", "null"], "items": formats::schema()});
    root["properties"]["rules"] = json!({"type": ["array", "null"], "items": rule_schema()});
    root
}

fn put(map: &mut Json, path: &str, value: Json) {
    let Some((group, rest)) = path.split_once('.') else {
        map["properties"][path] = value;
        return;
    };
    let properties = &mut map["properties"];
    if properties[group].is_null() {
        properties[group] = json!({
            "type": ["object", "null"], "properties": {}, "additionalProperties": false});
    }
    put(&mut properties[group], rest, value);
}

fn rule_schema() -> Json {
    let text = json!({"type": "string"});
    let value = json!({"anyOf": [{"type": ["string", "number"]}, {
        "type": "object",
        "properties": {"field": text, "value": {"type": ["string", "number", "boolean"]},
            "capture": text},
        "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
    }]});
    let metric = |extra: Json| {
        let mut properties = json!({
            "name": {"type": "string", "pattern": "^[A-Za-z_:][A-Za-z0-9_:]*$"},
            "help": text, "unit": text,
            "labels": {"type": "object", "additionalProperties": value, "maxProperties": 16},
        });
        let extra = extra.as_object().cloned().unwrap_or_else(Map::new);
        for (name, schema) in extra {
            properties[name] = schema;
        }
        let required =
            if properties["value"].is_null() { vec!["name"] } else { vec!["name", "value"] };
        json!({"type": "object", "properties": properties, "required": required,
            "additionalProperties": false})
    };
    let kinds = json!({
        "counter": metric(json!({"by": value})),
        "gauge": metric(json!({"value": value, "add": {"type": "boolean"}})),
        "histogram": metric(json!({"value": value, "buckets": {
            "type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 64}})),
    });
    let mut properties = json!({
        "name": text, "enabled": {"type": "boolean"}, "when": text,
        "extract": {"anyOf": [text, {
            "type": "object", "properties": {"field": text, "pattern": text},
            "required": ["pattern"], "additionalProperties": false,
        }]},
        "metrics": {"type": "array", "items": {
            "type": "object", "properties": kinds, "minProperties": 1, "maxProperties": 1,
            "additionalProperties": false}},
        "span": {"anyOf": [{"enum": ["request", "query", "internal"]}, {
            "type": "object", "properties": {"operation": {"enum": ["request", "query", "internal"]}},
            "required": ["operation"], "additionalProperties": false,
        }]},
        "health": {"enum": ["heartbeat"]},
    });
    for kind in ["counter", "gauge", "histogram"] {
        properties[kind] = kinds[kind].clone();
    }
    for (name, _, help) in RULE_KEYS {
        properties[*name]["description"] = (*help).into();
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Returns the help text of a flag of `run`, from the table.
///
/// # Panics
/// Panics if no row has this flag, which a test of the command line excludes.
pub fn flag_help(flag: &str) -> String {
    let setting = table::ALL.iter().find(|setting| setting.flag == Some(flag));
    let setting = setting.expect("every flag of `run` that is a setting has a row");
    let mut help = setting.help.trim_end_matches('.').to_owned();
    let variable = setting.variable.map(|name| format!(" [env: {name}]"));
    help.extend(variable);
    let default = setting.default_shown().filter(|_| setting.kind != Type::Switch);
    help.extend(default.map(|value| format!(" [default: {}]", value.trim_matches('"'))));
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Config;
    use std::collections::BTreeSet;

    /// Guarantees: each path is in the table once, next to its group, with a full sentence as help;
    /// every default is within its bounds and is parsed as itself.
    #[test]
    fn rows_are_sound() {
        let mut paths = BTreeSet::new();
        for setting in table::ALL {
            let path = setting.path;
            assert!(paths.insert(path), "{path} is in the table twice");
            assert!(setting.help.ends_with('.') && setting.help.len() > 10, "{path}");
            let is_map_or_list = matches!(
                setting.kind,
                Type::Headers | Type::Heartbeat | Type::Buckets | Type::Patterns | Type::Names
            );
            let Some(default) = setting.default_shown().filter(|_| !is_map_or_list) else {
                continue;
            };
            let mut config = Config::default();
            let read = setting.read(default.trim_matches('"'), &mut config);
            assert_eq!(read, Ok(()), "{path}: {default}");
            assert!(!(setting.differs)(&config, &Config::default()), "{path}: {default}");
        }
    }

    /// Guarantees: the suggestion for a wrong key may be a group of settings.
    #[test]
    fn a_wrong_key_is_suggested() {
        for (key, meant) in [
            ("metrics.rout", "metrics.routes"),
            ("metrics.routs.fold", "metrics.routes.fold"),
            ("sokcet", "socket"),
        ] {
            let hint = reference(Some(key)).map_err(|refused| refused.hint);
            assert_eq!(hint, Err(Some(format!("did you mean `{meant}`?"))), "{key}");
        }
    }

    /// Guarantees: every documented word is accepted.
    #[test]
    fn documented_words_are_read() {
        for setting in table::ALL {
            let Type::Word(words) = setting.kind else { continue };
            for word in words {
                let mut config = Config::default();
                assert_eq!(setting.read(word, &mut config), Ok(()), "{}: {word}", setting.path);
                let shown = (setting.shown)(&config);
                assert_eq!(shown.as_deref().map(|shown| shown.trim_matches('"')), Some(*word));
            }
        }
    }

    #[test]
    fn an_entry_of_the_reference() {
        let expected = "\
socket.line_bytes_max
  The maximum length of a line. The beginning of a longer line is kept. Each connection may keep one unfinished line in memory.
  type      bytes, as in 4096, 64KiB, 1MiB
  default   65536
  bounds    1KiB to 16MiB
  change    takes effect at a restart
  final     bounds later layers: they can lower it
";
        assert_eq!(reference(Some("socket.line_bytes_max")).as_deref(), Ok(expected));
        assert_eq!(reference(Some("SIDELIGHT_MODE")), reference(Some("mode")));
        assert_eq!(reference(Some("--log-level")), reference(Some("log_level")));
        let wrong = reference(Some("metrics.limits.serie")).expect_err("unknown");
        assert_eq!(wrong.hint.as_deref(), Some("did you mean `metrics.limits.series`?"));
        let all = reference(None).expect("all");
        assert!(table::ALL.iter().all(|one| all.contains(one.help)));
    }
}
