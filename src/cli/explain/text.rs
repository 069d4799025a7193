//! Prints an explanation for people: one section each for readers, level, time, fields, rules and
//! effects. On a terminal the line comes first, with each field underlined where it was found, in
//! the colour that its name has below. Pure. Unit: one record.

use super::gather::{Explanation, place};
use crate::cli::style::{Look, Style, printable, wrapped};
use crate::order;
use crate::pipeline::explanation::FieldUse;
use std::fmt::Write as _;

/// The colours of the fields, in turn: those of which both a bright and a dark terminal show the
/// difference. Red is left for what is wrong.
const COLOURS: [&str; 5] = ["36", "33", "35", "32", "34"];

/// The width of the headings.
const HEAD_COLUMNS: usize = 9;

/// Writes sections: a heading before the first of its lines.
struct Writer<'a> {
    out: &'a mut String,
    head: &'static str,
    style: Style,
}

impl Writer<'_> {
    fn say(&mut self, head: &'static str, text: &str) {
        let shown = if head == self.head { "" } else { head };
        self.head = head;
        let shown = self.style.paint(Look::Aside, &format!("{shown:<HEAD_COLUMNS$}"));
        let wrapped = self.style.columns.map(|columns| wrapped(text, HEAD_COLUMNS, columns));
        let text = wrapped.as_deref().unwrap_or(text);
        // writing to a string does not fail
        let _ = writeln!(self.out, "{shown}{text}");
    }

    /// Writes `name: verdict`, in which a verdict that begins with `yes` stands out.
    fn say_verdict(&mut self, head: &'static str, name: &str, verdict: &str) {
        let look = if verdict.starts_with("yes") { Look::Good } else { Look::Aside };
        let verdict = self.style.paint(look, verdict);
        self.say(head, &format!("{name}{verdict}"));
    }
}

/// Prints one record.
pub(super) fn write(explained: &Explanation, style: Style, out: &mut String) {
    if style.columns.is_some() {
        out.push_str(&underlined(&explained.line, &explained.fields, style));
        out.push_str("\n\n");
    }
    let mut writer = Writer { out, head: "", style };
    for wrapper in &explained.wrappers {
        writer.say("wrapper", wrapper);
    }
    for reader in &explained.readers {
        let verdict = match &reader.declined {
            None => "yes".to_owned(),
            Some((at, expected)) => {
                format!("no, expected {expected}{}", place(&explained.line, *at))
            }
        };
        writer.say_verdict("readers", &format!("{}: ", reader.name), &verdict);
    }
    let own = explained.own.as_ref();
    let own = own.map_or(String::new(), |(name, notation)| format!(": {name} ({notation})"));
    let malformed = if explained.malformed { " (it begins like JSON and is not)" } else { "" };
    writer.say("format", &format!("{}{own}{malformed}", explained.format));
    writer.say("level", &level(explained, style));
    writer.say("time", &explained.time_source);
    for (number, field) in explained.fields.iter().enumerate() {
        writer.say("fields", &field_line(number, field, style));
    }
    for (operation, text) in &explained.operations {
        writer.say_verdict(operation, "", text);
        if *operation == "request" {
            let notable = explained.segments.iter().filter(|segment| segment.is_notable());
            notable.for_each(|segment| writer.say("route", &segment.shown()));
        }
    }
    for rule in &explained.rules {
        writer.say_verdict("rules", &format!("{}: ", rule.name), &rule.verdict());
        for action in &rule.actions {
            writer.say("rules", &format!("  {action}"));
        }
    }
    for sample in &explained.samples {
        writer.say("series", sample);
    }
    match &explained.span {
        Ok(span) => writer.say("span", &span.to_string()),
        Err(why) => writer.say("span", &format!("none: {why}")),
    }
    out.push('\n');
}

fn level(explained: &Explanation, style: Style) -> String {
    // OpenTelemetry's ranges: WARN begins at 13, ERROR at 17
    let name = match explained.severity_number {
        13..17 => style.paint(Look::Warn, explained.level),
        17.. => style.paint(Look::Bad, explained.level),
        _ => explained.level.to_owned(),
    };
    let absent = &explained.level_absent;
    let why = if absent.is_empty() { String::new() } else { format!(": {absent}") };
    format!("{name} (SeverityNumber {}){why}", explained.severity_number)
}

fn field_line(number: usize, field: &FieldUse, style: Style) -> String {
    let mut text = format!("{} = {}", style.code(colour(number), &field.name), field.shown());
    // writing to a string does not fail
    if let Some(key) = &field.key {
        let _ = write!(text, " (key `{key}`)");
    }
    if let Some(unused) = &field.unused {
        text.push_str(&style.paint(Look::Bad, &format!("; not used: {unused}")));
    }
    text
}

fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

/// Returns the line with each field underlined in its colour. Where fields overlap, the shorter one
/// is shown: a path within a message. Without colours the places are marked by lines below.
fn underlined(line: &str, fields: &[FieldUse], style: Style) -> String {
    let mut owners: Vec<Option<usize>> = vec![None; line.len()];
    let mut places: Vec<(usize, &FieldUse)> = fields.iter().enumerate().collect();
    order::sort_by_key(&mut places, |(_, field)| {
        std::cmp::Reverse(field.at.as_ref().map_or(0, std::ops::Range::len))
    });
    for (number, field) in places {
        if let Some(place) = field.at.clone().and_then(|at| owners.get_mut(at)) {
            place.fill(Some(number));
        }
    }
    if !style.colour {
        return marked(line, &owners, style.columns.unwrap_or(usize::MAX));
    }
    let mut out = String::with_capacity(line.len() * 2);
    let mut at = 0;
    while at < line.len() {
        let owner = owners[at];
        let mut end = at + 1;
        // the second condition cannot fail for places that come from the decoder
        while end < line.len() && (owners[end] == owner || !line.is_char_boundary(end)) {
            end += 1;
        }
        let piece = printable(&line[at..end]);
        match owner {
            Some(number) => out.push_str(&style.code(&format!("4;{}", colour(number)), &piece)),
            None => out.push_str(&piece),
        }
        at = end;
    }
    out
}

/// Returns the lines in pieces of the terminal's width, each followed by a line that has `^` below the
/// beginning of a field and `~` below the rest.
fn marked(text: &str, owners: &[Option<usize>], columns: usize) -> String {
    let mut out = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let mut marks = String::new();
        let mut before = None;
        for (at, character) in line.char_indices() {
            let owner = owners[start + at];
            let mark = match owner {
                None => ' ',
                Some(_) if owner == before => '~',
                Some(_) => '^',
            };
            let width = if character.is_control() { character.escape_default().count() } else { 1 };
            marks.extend(std::iter::repeat_n(mark, width));
            before = owner;
        }
        let shown: Vec<char> = printable(line).chars().collect();
        let marks: Vec<char> = marks.chars().collect();
        let mut marks = marks.chunks(columns.max(1));
        // an empty line has no piece
        let pieces = shown.chunks(columns.max(1)).chain(shown.is_empty().then_some(&[][..]));
        for piece in pieces {
            out.push(piece.iter().collect());
            let below: String = marks.next().unwrap_or_default().iter().collect();
            if !below.trim_end().is_empty() {
                out.push(below.trim_end().to_owned());
            }
        }
        start += line.len() + 1;
    }
    out.join("\n")
}
