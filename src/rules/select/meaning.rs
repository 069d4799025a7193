//! Decides which test a comparison becomes, from a field's name and a constant.

use super::leaf::{Leaf, Looks, Part, Test};
use super::token::Comparison;
use crate::record::field::{self, FieldId, FieldTable};
use crate::record::severity::Severity;
use crate::rules::extract;
use crate::rules::syntax::SyntaxError;
use memchr::memmem::Finder;

/// The constant in a comparison.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Constant {
    Text(String),
    Number(f64),
    Seconds(f64),
    Flag(bool),
    /// A level's name without quotes.
    Level(String),
}

/// What a name in a condition refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Subject {
    /// The level, under any of the keys that loggers use for it.
    Severity,
    /// The level as OpenTelemetry's number.
    SeverityNumber,
    /// The message.
    Body,
    /// Any other field.
    Other,
}

/// A field as a condition names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'text> {
    pub(super) name: &'text str,
    pub(super) offset: usize,
}

pub(super) fn compare(
    fields: &mut FieldTable,
    field: Named<'_>,
    comparison: Comparison,
    constant: Constant,
    negated: bool,
) -> Result<Leaf, SyntaxError> {
    let equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
    let name = field.name;
    let subject = subject(fields, name);
    let test = match (subject, constant) {
        (Subject::Severity, Constant::Text(word) | Constant::Level(word))
            if level(&word).is_some() =>
        {
            let (least, most) = level(&word).unwrap_or_default();
            return Ok(severity_leaf(comparison, least, most, negated));
        }
        (Subject::SeverityNumber, Constant::Number(number))
            if (1.0..=24.0).contains(&number) && number.fract() == 0.0 =>
        {
            let number = Severity(number as u8);
            return Ok(severity_leaf(comparison, number, number, negated));
        }
        (_, Constant::Level(word)) => {
            return Err(SyntaxError::new(
                field.offset,
                format!("`{word}` without quotes is a level, and `{name}` is none"),
            )
            .hint(format!("text stands in quotes: \"{word}\"")));
        }
        (_, Constant::Flag(_)) if !equality => {
            return Err(SyntaxError::new(field.offset, "true and false have no order")
                .hint("use `==` or `!=`"));
        }
        (_, Constant::Text(text)) => Test::Text(comparison, text.into()),
        (_, Constant::Number(number)) => Test::Number(comparison, number),
        (_, Constant::Seconds(seconds)) => Test::Seconds(comparison, seconds),
        (_, Constant::Flag(flag)) => Test::Flag(comparison, flag),
    };
    Ok(Leaf { field: intern(fields, name, subject), test, negated })
}

pub(super) fn part(
    fields: &mut FieldTable,
    field: Named<'_>,
    method: &str,
    text: String,
    text_offset: usize,
    negated: bool,
) -> Result<Leaf, SyntaxError> {
    let looks = match method {
        "contains" => Looks::Anywhere(Box::new(Finder::new(text.as_bytes()).into_owned())),
        "startsWith" => Looks::AtStart(text.into()),
        "endsWith" => Looks::AtEnd(text.into()),
        _ => {
            let pattern = extract::pattern(&text).map_err(|error| {
                // The offset after the quote; exact if the pattern has no escapes before the error.
                SyntaxError { offset: text_offset + 1 + error.offset, ..error }
            })?;
            Looks::Pattern(pattern)
        }
    };
    let or_line = subject(fields, field.name) == Subject::Body;
    let test = Test::Part(Part { or_line, looks });
    Ok(Leaf { field: intern(fields, field.name, Subject::Other), test, negated })
}

pub(super) fn present(fields: &mut FieldTable, name: &str, negated: bool) -> Leaf {
    match subject(fields, name) {
        Subject::Severity => Leaf { field: field::SEVERITY, test: Test::SeverityPresent, negated },
        subject => Leaf { field: intern(fields, name, subject), test: Test::Present, negated },
    }
}

/// Returns what a name refers to. Every key for the severity means the standard field; a key inside
/// an object means only itself.
fn subject(fields: &FieldTable, name: &str) -> Subject {
    match fields.binding(name) {
        Some(binding) if binding.rank < 128 => match binding.field {
            field::SEVERITY => Subject::Severity,
            field::SEVERITY_NUMBER => Subject::SeverityNumber,
            field::BODY => Subject::Body,
            _ => Subject::Other,
        },
        _ => Subject::Other,
    }
}

fn intern(fields: &mut FieldTable, name: &str, subject: Subject) -> FieldId {
    match subject {
        Subject::SeverityNumber => field::SEVERITY_NUMBER,
        Subject::Severity | Subject::Body | Subject::Other => fields.intern(name),
    }
}

fn severity_leaf(comparison: Comparison, least: Severity, most: Severity, negated: bool) -> Leaf {
    let test = Test::Severity(comparison, least, most);
    Leaf { field: field::SEVERITY, test, negated }
}

/// Returns the SeverityNumbers that a level's name covers: all four of its class for `ERROR`, one
/// for `NOTICE` or `INFO2`. A digit is not a name; it is compared as it is written.
fn level(word: &str) -> Option<(Severity, Severity)> {
    let severity = Severity::from_text(word);
    if severity == Severity::UNSPECIFIED || word.trim().starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let first = (severity.0 - 1) / 4 * 4 + 1;
    let most = if severity.0 == first { first + 3 } else { severity.0 };
    Some((severity, Severity(most)))
}
