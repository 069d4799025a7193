//! One test of one field, as it runs for each record. Allocates nothing.

use super::token::Comparison;
use crate::record::Record;
use crate::record::field::{self, FieldId};
use crate::record::severity::Severity;
use memchr::memmem::Finder;
use regex::bytes::Regex;
use std::cmp::Ordering;

/// A test, perhaps negated.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The field that is tested.
    pub(super) field: FieldId,
    /// What the field is compared with.
    pub(super) test: Test,
    /// True if the test is negated, counted over all parentheses.
    pub(super) negated: bool,
}

/// What a field is compared with.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// The field is present.
    Present,
    /// Some severity is known, possibly from the transport.
    SeverityPresent,
    /// The text as it is written in the line.
    Text(Comparison, Box<str>),
    /// `true` or `false`, in any case.
    Flag(Comparison, bool),
    /// Numeric text.
    Number(Comparison, f64),
    /// A duration, in seconds.
    Seconds(Comparison, f64),
    /// The record's severity; compared with the SeverityNumbers that a level's name covers.
    Severity(Comparison, Severity, Severity),
    /// A part of the text.
    Part(Part),
}

/// A test of a part of a text.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The field is the message: if a line has none, the whole line is tested.
    pub(super) or_line: bool,
    /// Which part is tested.
    pub(super) looks: Looks,
}

/// Which part of a text is tested.
#[derive(Clone, Debug)]
pub(super) enum Looks {
    /// `contains`
    Anywhere(Box<Finder<'static>>),
    /// `startsWith`
    AtStart(Box<str>),
    /// `endsWith`
    AtEnd(Box<str>),
    /// `matches`: anywhere, unless the pattern is anchored.
    Pattern(Regex),
}

impl Leaf {
    /// Returns true if the test holds. An unknown result does not hold, negated or not.
    #[inline]
    pub(super) fn holds(&self, record: &Record<'_>) -> bool {
        match self.test.known(self.field, record) {
            Some(value) => value != self.negated,
            None => false,
        }
    }

    /// Returns the field without which the test never holds.
    pub(super) fn required(&self) -> Option<FieldId> {
        match &self.test {
            Test::Present => (!self.negated).then_some(self.field),
            // The level may come from the transport.
            Test::SeverityPresent | Test::Severity(..) => None,
            Test::Part(part) => (!part.or_line).then_some(self.field),
            Test::Text(..) | Test::Flag(..) | Test::Number(..) | Test::Seconds(..) => {
                Some(self.field)
            }
        }
    }

    /// Returns the field that must be absent for the test to hold.
    pub(super) fn absent(&self) -> Option<FieldId> {
        (matches!(self.test, Test::Present) && self.negated).then_some(self.field)
    }

    /// Returns the field and the exact text that it must have for the test to hold.
    pub(super) fn equality(&self) -> Option<(FieldId, &str)> {
        match (&self.test, self.negated) {
            (Test::Text(Comparison::Equal, text), false)
            | (Test::Text(Comparison::Unequal, text), true) => Some((self.field, text)),
            _ => None,
        }
    }
}

impl Test {
    /// Returns the result if it is known: None if the field is absent, or is not a number although
    /// the test needs one.
    #[inline]
    fn known(&self, field: FieldId, record: &Record<'_>) -> Option<bool> {
        match self {
            Test::Present => Some(record.entry(field).is_some()),
            Test::SeverityPresent => Some(
                record.severity() != Severity::UNSPECIFIED
                    || record.entry(field::SEVERITY).is_some(),
            ),
            Test::Text(comparison, text) => {
                let ordering = record.text(field)?.as_bytes().cmp(text.as_bytes());
                Some(compare(*comparison, ordering))
            }
            Test::Flag(comparison, flag) => {
                let name = if *flag { "true" } else { "false" };
                let equal = record.text(field)?.eq_ignore_ascii_case(name);
                Some(equal == (*comparison == Comparison::Equal))
            }
            Test::Number(comparison, number) => {
                record.entry(field)?;
                numbers(*comparison, record.number(field), *number)
            }
            Test::Seconds(comparison, seconds) => {
                record.entry(field)?;
                numbers(*comparison, record.seconds(field), *seconds)
            }
            Test::Severity(comparison, least, most) => {
                let severity = record.severity();
                if severity == Severity::UNSPECIFIED {
                    return None;
                }
                Some(match comparison {
                    Comparison::Equal => *least <= severity && severity <= *most,
                    Comparison::Unequal => severity < *least || *most < severity,
                    Comparison::Less => severity < *least,
                    Comparison::LessOrEqual => severity <= *most,
                    Comparison::Greater => severity > *most,
                    Comparison::GreaterOrEqual => severity >= *least,
                })
            }
            Test::Part(part) => {
                let text = match record.text(field) {
                    Some(text) => text,
                    None if part.or_line => record.body(),
                    None => return None,
                };
                Some(match &part.looks {
                    Looks::Anywhere(finder) => finder.find(text.as_bytes()).is_some(),
                    Looks::AtStart(start) => text.starts_with(&**start),
                    Looks::AtEnd(end) => text.ends_with(&**end),
                    Looks::Pattern(pattern) => pattern.is_match(text.as_bytes()),
                })
            }
        }
    }
}

#[inline]
fn compare(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::Unequal => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
}

/// Compares numbers. A text that is not a number differs from every number, and is neither above
/// nor below one.
#[inline]
fn numbers(comparison: Comparison, value: Option<f64>, constant: f64) -> Option<bool> {
    match value.and_then(|value| value.partial_cmp(&constant)) {
        Some(ordering) => Some(compare(comparison, ordering)),
        None => match comparison {
            Comparison::Equal => Some(false),
            Comparison::Unequal => Some(true),
            Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => None,
        },
    }
}
