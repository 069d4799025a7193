//! `sidelight explain`: shows what happens to each line: the readers that were tried, its fields,
//! its rules, its series and spans; or a summary of a file. It uses the code of a running sidecar;
//! only the output is implemented here.

mod summary;

use crate::app::compose::zone;
use crate::cli::lines::Records;
use crate::clock::{Clock, UnixNanos};
use crate::config::environment::Environment;
use crate::config::settings::Config;
use crate::config::{Flags, load};
use crate::console;
use crate::decode::formats::Decline as FormatDecline;
use crate::decode::{Memory, decode, time};
use crate::pipeline::explanation;
use crate::record::attempt::{Attempt, Trail};
use crate::record::{Decoded, Envelope, Record, field};
use crate::replay::Replay;
use crate::rules::compile::dry_run;
use crate::rules::set::RuleSet;
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
    /// Summarise a file: its formats, and an example of each kind of line that is not understood;
    /// - for standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "line")]
    pub file: Option<PathBuf>,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Explains lines, or summarises a file.
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
    let explained = match &arguments.file {
        Some(path) => summary::summarise(path, &loaded.config, &rules),
        None => input(&arguments.line).map(|input| explain_all(&input, &loaded.config, &rules)),
    };
    match explained {
        Ok(text) => {
            // a reader that closes early is not an error
            let _ = console::print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let file = arguments.file.as_ref().map(|file| format!("{}: ", file.display()));
            let file = file.unwrap_or_default();
            console::diagnostic_line(format_args!("explain: {file}{error}"));
            ExitCode::from(2)
        }
    }
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

/// Describes the records of the input one after the other.
fn explain_all(input: &str, config: &Config, rules: &RuleSet) -> String {
    let mut out = String::new();
    let now = Clock::system().now();
    let mut reader = LineReader { memory: Memory::new(&rules.formats), decoded: Decoded::new() };
    let mut records = Records::new(input.as_bytes());
    while let Some(record) = records.next(&mut reader.memory.formats) {
        let frame = String::from_utf8_lossy(record);
        let line = frame.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            explain(line, &mut reader, config, rules, now, &mut out);
        }
    }
    out
}

/// What is kept from one record to the next.
struct LineReader {
    memory: Memory,
    decoded: Decoded,
}

/// Writes sections: a heading before the first of its lines.
struct Writer<'a> {
    out: &'a mut String,
    head: &'static str,
}

impl Writer<'_> {
    fn say(&mut self, head: &'static str, text: &str) {
        let shown = if head == self.head { "" } else { head };
        self.head = head;
        // writing to a string does not fail
        let _ = writeln!(self.out, "{shown:<9}{text}");
    }
}

/// Describes one record completely.
fn explain(
    line: &str,
    LineReader { memory, decoded }: &mut LineReader,
    config: &Config,
    rules: &RuleSet,
    now: UnixNanos,
    out: &mut String,
) {
    decoded.trail = Some(Box::default());
    decode(line, &rules.fields, memory, decoded);
    rules.add_aliases(decoded);
    let decoded = &*decoded;
    let record = Record::new(line, decoded, now, Envelope::default());
    let mut writer = Writer { out, head: "" };
    if let Some(trail) = &decoded.trail {
        wrappers(line, &record, trail, &mut writer);
        for (name, decline) in memory.formats.declines(record.line()) {
            // a format behind the one that was used may match, too
            let Some(FormatDecline { at, expected }) = decline else { continue };
            let place = place(record.line(), at);
            writer.say("readers", &format!("{name}: no, expected {expected}{place}"));
        }
        readers(&record, trail, &mut writer);
    }
    let own = decoded.own.and_then(|number| rules.formats.list.get(usize::from(number)));
    let own = own.map_or(String::new(), |own| format!(": {} ({})", own.name, own.notation));
    let malformed = if decoded.malformed { " (it begins like JSON and is not)" } else { "" };
    writer.say("format", &format!("{}{own}{malformed}", decoded.format.name()));
    let severity = record.severity();
    let why = if severity.0 == 0 { level_absent(&record) } else { String::new() };
    let level = format!("{} (SeverityNumber {}){why}", severity.short_name(), severity.0);
    writer.say("level", &level);
    writer.say("time", &stamp(&record, config, now));
    let mut fields = explanation::fields(rules, &record);
    if let Some(trail) = &decoded.trail {
        fields.extend(explanation::refused(rules, &record, trail));
    }
    for field in fields {
        let mut text = format!("{} = {}", field.name, field.value);
        if let Some(key) = &field.key {
            let _ = write!(text, " (key `{key}`)");
        }
        if let Some(unused) = &field.unused {
            let _ = write!(text, "; not used: {unused}");
        }
        writer.say("fields", &text);
    }
    for (operation, text) in explanation::operations(&record) {
        writer.say(operation, &text);
    }
    let service = &config.resource.service_name;
    for rule in rules.rules.iter().filter(|rule| !rule.standard) {
        let mut said = explanation::rule(rules, rule, &record, service).into_iter();
        writer.say("rules", &format!("{}: {}", rule.name, said.next().unwrap_or_default()));
        said.for_each(|action| writer.say("rules", &format!("  {action}")));
    }
    effects(line, config, now, &mut writer);
    out.push('\n');
}

/// Says which wrappers were removed.
fn wrappers(line: &str, record: &Record<'_>, trail: &Trail, writer: &mut Writer<'_>) {
    let seen = record.line();
    if seen != line {
        let what = if line.starts_with("{\"log\":") { "Docker's JSON" } else { "colour codes" };
        writer.say("wrapper", &format!("{what} removed"));
    }
    if trail.wrapper > 0 {
        writer.say("wrapper", &format!("removed {:?}", &seen[..trail.wrapper]));
    }
}

/// Says which built-in readers were tried.
fn readers(record: &Record<'_>, trail: &Trail, writer: &mut Writer<'_>) {
    let seen = record.line();
    for Attempt { reader, declined } in &trail.attempts {
        let text = match declined {
            None => format!("{reader}: yes"),
            Some(decline) => {
                let expected = decline.expected;
                format!(
                    "{reader}: no, expected {expected}{}",
                    place(seen, trail.wrapper + decline.at)
                )
            }
        };
        writer.say("readers", &text);
    }
}

/// Describes a position: its column, and the text there.
fn place(line: &str, at: usize) -> String {
    let at = line.floor_char_boundary(at);
    let column = line[..at].chars().count() + 1;
    if at == line.len() {
        return format!(" at column {column}, the end");
    }
    let found: String = line[at..].chars().take(16).collect();
    let more = if found.len() < line.len() - at { "..." } else { "" };
    format!(" at column {column}, found {found:?}{more}")
}

/// Says why a record has no level.
fn level_absent(record: &Record<'_>) -> String {
    if let Some(text) = record.text(field::SEVERITY) {
        return format!(": {text:?} is no level that sidelight knows");
    }
    let entry = record.entry(field::BODY);
    match entry.filter(|entry| entry.start > 0 && record.format().is_text()) {
        Some(body) => {
            let place = place(record.line(), body.start as usize);
            format!(": the header has none; the message begins{place}")
        }
        None => ": the line has none".to_owned(),
    }
}

/// Says which time counts, and why.
fn stamp(record: &Record<'_>, config: &Config, now: UnixNanos) -> String {
    let zone = zone(&config.time_zone);
    let Some(text) = record.text(field::TIMESTAMP) else {
        return "none: the arrival counts".to_owned();
    };
    let Some(at) = time::parse(text, &zone, now, &mut time::MinuteCache::default()) else {
        return format!("{text:?} cannot be read: the arrival counts");
    };
    let mut said = format!("{at} from {text:?}");
    if let Some(name) = time::ambiguous_zone(text) {
        let configured = config.time_zone.iana_name().unwrap_or("a fixed offset");
        let _ = write!(said, "; {name} means several zones, so `time_zone` ({configured}) counts");
    }
    said
}

/// Runs the record through the pipeline of a sidecar and prints its series and spans.
fn effects(line: &str, config: &Config, now: UnixNanos, writer: &mut Writer<'_>) {
    let Ok(mut replay) = Replay::new(config, false, now) else { return };
    replay.feed(line.as_bytes(), 1);
    let outcome = replay.finish();
    let lines = outcome.metrics.lines().filter(|line| !line.starts_with('#'));
    for sample in lines.filter(|line| !line.ends_with(" 0") && !line.contains("_bucket{")) {
        writer.say("series", sample);
    }
    match (outcome.spans.first.first(), outcome.spans_skipped.first()) {
        (Some(span), _) => writer.say("span", &span.to_string()),
        (None, Some(reason)) => writer.say("span", &format!("none: {}", skipped(reason))),
        (None, None) => writer.say(
            "span",
            "none: the line reports no request, query or function that ended with a duration",
        ),
    }
}

/// Words a reason of `sidelight_spans_skipped_total`.
fn skipped(reason: &str) -> &str {
    match reason {
        "no_id" => "the line has no id of a trace or a request",
        "already_traced" => {
            "the line has a trace id and a span id, so the application has made the span itself; a \
             rule with `span` makes one all the same"
        }
        "unsampled" => "its trace flags say that the trace is not sampled",
        "bad_duration" => "its duration is negative or longer than 30 days",
        other => other,
    }
}

#[cfg(test)]
mod tests;
