//! Collects what a sidecar makes of one record, with the code of a running sidecar. The result is
//! data; the siblings print it. Unit: one record.

use crate::app::compose::zone;
use crate::cli::effects::{LineEffects, effects};
use crate::clock::UnixNanos;
use crate::config::settings::Config;
use crate::decode::formats::Decline as FormatDecline;
use crate::decode::{Memory, decode, time};
use crate::health::verdict::Verdict;
use crate::pipeline::explanation::{self, FieldUse, RuleUse, SegmentUse};
use crate::record::attempt::{Attempt, Trail};
use crate::record::{Decoded, Envelope, Record, field};
use crate::replay::seen::Seen;
use crate::rules::set::RuleSet;
use std::fmt::Write as _;
use std::ops::Range;

/// What a sidecar makes of one record.
#[derive(Debug)]
pub(super) struct Explanation {
    /// The record as the readers saw it: without colour codes and without Docker's JSON. All
    /// positions refer to this text.
    pub(super) line: String,
    /// What was removed before the readers.
    pub(super) wrappers: Vec<String>,
    /// The readers in the order in which they were tried.
    pub(super) readers: Vec<Reader>,
    /// The format that was recognised.
    pub(super) format: &'static str,
    /// The name and the notation of the user's format.
    pub(super) own: Option<(String, &'static str)>,
    /// The line begins like JSON and is not.
    pub(super) malformed: bool,
    /// The name of the level.
    pub(super) level: &'static str,
    /// OpenTelemetry's `SeverityNumber`.
    pub(super) severity_number: u8,
    /// Why there is no level; empty if there is one.
    pub(super) level_absent: String,
    /// The time that was read.
    pub(super) time: Option<UnixNanos>,
    /// Which time counts, and why.
    pub(super) time_source: String,
    /// The fields that were found.
    pub(super) fields: Vec<FieldUse>,
    /// What becomes of each segment of the route or path.
    pub(super) segments: Vec<SegmentUse>,
    /// For each operation whether the record reports it, and why not.
    pub(super) operations: Vec<(&'static str, String)>,
    /// The user's rules.
    pub(super) rules: Vec<RuleUse>,
    /// The samples that are not 0, in the text format; without the buckets of histograms.
    pub(super) samples: Vec<String>,
    /// The span, or why there is none.
    pub(super) span: Result<Seen, String>,
    /// The health verdict after this one record.
    pub(super) verdict: Verdict,
}

/// One reader that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reader {
    pub(super) name: String,
    /// Where it stopped, and what it expected there; `None` if it read the line.
    pub(super) declined: Option<(usize, String)>,
}

/// What is kept from one record to the next.
pub(super) struct LineReader {
    pub(super) memory: Memory,
    decoded: Decoded,
}

impl LineReader {
    /// Allocates what reading lines in these formats needs.
    pub(super) fn new(rules: &RuleSet) -> LineReader {
        LineReader { memory: Memory::new(&rules.formats), decoded: Decoded::new() }
    }
}

/// Explains one record.
pub(super) fn gather(
    line: &str,
    LineReader { memory, decoded }: &mut LineReader,
    config: &Config,
    rules: &RuleSet,
    now: UnixNanos,
) -> Explanation {
    decoded.trail = Some(Box::default());
    decode(line, &rules.fields, memory, decoded);
    rules.add_aliases(decoded);
    let decoded = &*decoded;
    let record = Record::new(line, decoded, now, Envelope::default());
    let mut fields = explanation::fields(rules, &record);
    let (mut wrappers, mut readers) = (Vec::new(), Vec::new());
    if let Some(trail) = &decoded.trail {
        fields.extend(explanation::refused(rules, &record, trail));
        wrappers = removed(line, &record, trail);
        for (name, decline) in memory.formats.declines(record.line()) {
            // a format behind the one that was used may match, too
            let Some(FormatDecline { at, expected }) = decline else { continue };
            readers.push(Reader { name: name.to_owned(), declined: Some((at, expected)) });
        }
        readers.extend(trail.attempts.iter().map(|attempt| reader(attempt, trail.wrapper)));
    }
    for field in fields.iter_mut().filter(|field| field.at.is_none()) {
        field.at = escaped_place(record.line(), &field.value);
    }
    let own = decoded.own.and_then(|number| rules.formats.list.get(usize::from(number)));
    let severity = record.severity();
    let (time, time_source) = stamp(&record, config, now);
    let service = &config.resource.service_name;
    let user_rules = rules.rules.iter().filter(|rule| !rule.standard);
    let LineEffects { samples, span, verdict } = effects(line, config, now);
    Explanation {
        line: record.line().to_owned(),
        wrappers,
        readers,
        format: decoded.format.name(),
        own: own.map(|own| (own.name.to_string(), own.notation)),
        malformed: decoded.malformed,
        level: severity.short_name(),
        severity_number: severity.0,
        level_absent: if severity.0 == 0 { level_absent(&record) } else { String::new() },
        time,
        time_source,
        fields,
        segments: explanation::segments(rules, &record),
        operations: explanation::operations(rules, &record),
        rules: user_rules.map(|rule| explanation::rule(rules, rule, &record, service)).collect(),
        samples,
        span,
        verdict,
    }
}

/// Says which wrappers were removed.
fn removed(line: &str, record: &Record<'_>, trail: &Trail) -> Vec<String> {
    let mut removed = Vec::new();
    let seen = record.line();
    if seen != line {
        let what = if line.starts_with("{\"log\":") { "Docker's JSON" } else { "colour codes" };
        removed.push(format!("{what} removed"));
    }
    if trail.wrapper > 0 {
        removed.push(format!("removed {:?}", &seen[..trail.wrapper]));
    }
    removed
}

fn reader(attempt: &Attempt, wrapper: usize) -> Reader {
    let declined = attempt.declined;
    Reader {
        name: attempt.reader.to_owned(),
        declined: declined.map(|decline| (wrapper + decline.at, decline.expected.to_owned())),
    }
}

/// Describes a position: its column, and the text there.
pub(super) fn place(line: &str, at: usize) -> String {
    let at = line.floor_char_boundary(at);
    let column = line[..at].chars().count() + 1;
    if at == line.len() {
        return format!(" at column {column}, the end");
    }
    let found: String = line[at..].chars().take(16).collect();
    let more = if found.len() < line.len() - at { "..." } else { "" };
    format!(" at column {column}, found {found:?}{more}")
}

/// Finds a value of which the line contains the escaped form: the literal in quotes that stands
/// for this text. Returns the place between the quotes.
fn escaped_place(line: &str, value: &str) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'"', bytes.get(at..)?).map(|found| at + found) {
        let mut end = open + 1;
        while *bytes.get(end)? != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let literal = &line[open..=end];
        let is_it = literal.contains('\\')
            && serde_json::from_str::<String>(literal).is_ok_and(|text| text == value);
        if is_it {
            return Some(open + 1..end);
        }
        at = end + 1;
    }
    None
}

/// Says why a record has no level.
fn level_absent(record: &Record<'_>) -> String {
    if let Some(text) = record.text(field::SEVERITY) {
        return format!("{text:?} is no level that sidelight knows");
    }
    let entry = record.entry(field::BODY);
    match entry.filter(|entry| entry.start > 0 && record.format().is_text()) {
        Some(body) => {
            let place = place(record.line(), body.start as usize);
            format!("the header has none; the message begins{place}")
        }
        None => "the line has none".to_owned(),
    }
}

/// Returns the time of a record, and says which time counts, and why.
fn stamp(record: &Record<'_>, config: &Config, now: UnixNanos) -> (Option<UnixNanos>, String) {
    let zone = zone(&config.time_zone);
    let Some(text) = record.text(field::TIMESTAMP) else {
        return (None, "none: the arrival counts".to_owned());
    };
    let Some(at) = time::parse(text, &zone, now, &mut time::MinuteCache::default()) else {
        return (None, format!("{text:?} cannot be read: the arrival counts"));
    };
    let mut said = format!("{at} from {text:?}");
    if let Some(name) = time::ambiguous_zone(text) {
        let configured = config.time_zone.iana_name().unwrap_or("a fixed offset");
        // writing to a string does not fail
        let _ = write!(said, "; {name} means several zones, so `time_zone` ({configured}) counts");
    }
    (Some(at), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a value is found in its escaped form, also behind other literals; cut literals
    /// and cut escapes are no panic.
    #[test]
    fn escaped_values_are_found() {
        let line = r#"{"a\\":"x","msg":"say \"hi\"\n"}"#;
        let found = escaped_place(line, "say \"hi\"\n").expect("it is there");
        assert_eq!(&line[found], r#"say \"hi\"\n"#);
        for (line, value) in [("\"", "x"), ("\"\\", "x"), ("\"a\\\"", "a\""), ("", ""), ("x", "x")]
        {
            assert_eq!(escaped_place(line, value), None, "{line}");
        }
    }
}
