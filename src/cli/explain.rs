//! `sidelight explain`: shows what happens to one line: its format, its fields, its rules, its
//! series and spans. It uses the code of a running sidecar; only the output is implemented here.

use crate::app::compose::zone;
use crate::clock::{Clock, UnixNanos};
use crate::config::environment::Environment;
use crate::config::settings::Config;
use crate::config::{Flags, load};
use crate::console;
use crate::decode::{Memory, decode, time};
use crate::record::slots::{Entry, Kind};
use crate::record::{Decoded, Envelope, Record, field};
use crate::replay::Replay;
use crate::rules::compile::dry_run;
use crate::rules::evaluate::Evaluation;
use crate::rules::set::{Rule, RuleSet};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

/// Limit of the input's length.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// Arguments of `explain`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The line; without one, lines are read from standard input
    #[arg(value_name = "LINE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub line: Vec<String>,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Explains lines.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let flags = Flags { config: arguments.config.clone(), ..Flags::default() };
    let loaded = load(&flags, environment);
    for fault in &loaded.faults {
        console::diagnostic(&fault.to_string());
    }
    let rules = match dry_run(&loaded.config.rules, loaded.config.limits) {
        Ok(rules) if loaded.is_valid() => rules,
        Ok(_) => return ExitCode::from(2),
        Err(errors) => {
            for fault in loaded.locate_all(&errors) {
                console::diagnostic(&fault.to_string());
            }
            return ExitCode::from(2);
        }
    };
    let input = match input(&arguments.line) {
        Ok(input) => input,
        Err(error) => {
            console::diagnostic_line(format_args!("explain: {error}"));
            return ExitCode::from(2);
        }
    };
    let mut out = String::new();
    let now = Clock::system().now();
    let mut rest = input.as_bytes();
    while !rest.is_empty() {
        let first_end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (end, _) = crate::frame::multiline::joined(rest, 0, first_end);
        let frame = String::from_utf8_lossy(&rest[..end]);
        let line = frame.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            explain(line, &loaded.config, &rules, now, &mut out);
        }
        rest = &rest[end..];
    }
    // a reader that closes early is not an error
    let _ = console::print(&out);
    ExitCode::SUCCESS
}

fn input(words: &[String]) -> io::Result<String> {
    if !words.is_empty() {
        return Ok(words.join(" "));
    }
    if io::stdin().is_terminal() {
        console::diagnostic_line(format_args!("paste lines, then Ctrl-D"));
    }
    let mut bytes = Vec::new();
    io::stdin().take(INPUT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Describes one record completely.
fn explain(line: &str, config: &Config, rules: &RuleSet, now: UnixNanos, out: &mut String) {
    let mut decoded = Decoded::new();
    decode(line, &rules.fields, &mut Memory::default(), &mut decoded);
    for &(own, standard) in rules.fields.aliases() {
        if decoded.slots.get(own).is_none()
            && let Some(&entry) = decoded.slots.get(standard)
        {
            decoded.slots.put(own, entry);
        }
    }
    let record = Record::new(line, &decoded, now, Envelope::default());
    let malformed = if decoded.malformed { " (it begins like JSON and is not)" } else { "" };
    let mut say = |head: &str, text: &str| {
        // writing to a string does not fail
        let _ = writeln!(out, "{head:<9}{text}");
    };
    say("format", &format!("{}{malformed}", decoded.format.name()));
    say(
        "level",
        &format!("{} (SeverityNumber {})", record.severity().short_name(), record.severity().0),
    );
    let zone = zone(&config.time_zone);
    let stamp = record.text(field::TIMESTAMP);
    let read =
        stamp.and_then(|text| time::parse(text, &zone, now, &mut time::MinuteCache::default()));
    match (stamp, read) {
        (Some(text), Some(at)) => say("time", &format!("{} from {text:?}", rfc3339(at))),
        (Some(text), None) => say("time", &format!("{text:?} cannot be read: the arrival counts")),
        (None, _) => say("time", "none: the arrival counts"),
    }
    let mut head = "fields";
    for (name, entry) in fields(rules, &record) {
        say(head, &format!("{name} = {}", shown(&record, entry)));
        head = "";
    }
    let mut head = "rules";
    for rule in rules.rules.iter().filter(|rule| !rule.standard) {
        say(head, &format!("{}: {}", rule.name, verdict(rule, rules, &record)));
        head = "";
    }
    effects(line, config, now, &mut say);
    out.push('\n');
}

fn effects(line: &str, config: &Config, now: UnixNanos, say: &mut impl FnMut(&str, &str)) {
    let Ok(mut replay) = Replay::new(config, false, now) else { return };
    replay.feed(line.as_bytes(), 1);
    let outcome = replay.finish();
    let mut head = "series";
    let lines = outcome.metrics.lines().filter(|line| !line.starts_with('#'));
    for sample in lines.filter(|line| !line.ends_with(" 0") && !line.contains("_bucket{")) {
        say(head, sample);
        head = "";
    }
    match outcome.spans.first.first() {
        Some(span) => say("span", &span.to_string()),
        None => say("span", "none: it takes a duration and an id of a trace or request"),
    }
}

/// Returns the fields of the line, in the order of their numbers.
fn fields<'a>(rules: &'a RuleSet, record: &Record<'a>) -> Vec<(&'a str, &'a Entry)> {
    (0..rules.fields.len() as u16)
        .map(field::FieldId)
        .filter_map(|id| Some((rules.fields.name(id), record.entry(id)?)))
        .collect()
}

fn shown(record: &Record<'_>, entry: &Entry) -> String {
    match entry.kind {
        Kind::Text => format!("{:?}", record.slice(entry)),
        Kind::Number | Kind::True | Kind::False | Kind::Tree => record.slice(entry).to_owned(),
    }
}

/// Describes whether a rule applies, and if not, why.
fn verdict(rule: &Rule, rules: &RuleSet, record: &Record<'_>) -> String {
    let mut captures = None;
    match rule.criteria.evaluate(record, &mut captures) {
        Evaluation::Applies(None) => "yes".to_owned(),
        Evaluation::Applies(Some(found)) => {
            let caught = found.names().iter().enumerate().map(|(number, name)| {
                format!("{name}={:?}", found.group(number).unwrap_or_default())
            });
            format!("yes, {}", caught.collect::<Vec<_>>().join(" "))
        }
        Evaluation::FieldAbsent(field) => {
            format!("no, the field `{}` is absent", rules.fields.name(field))
        }
        Evaluation::ConditionNotTrue => "no, its condition is not true".to_owned(),
        Evaluation::PatternDoesNotMatch => "no, its pattern does not match".to_owned(),
    }
}

fn rfc3339(at: UnixNanos) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0));
    time.map_or_else(|_| "?".to_owned(), |time| time.to_string())
}
