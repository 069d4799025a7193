//! Compiles a format that is a regular expression: its named groups are fields, by the names that
//! keys of structured lines have. Unit: one format.

use super::notation::Context;
use super::resolve;
use crate::decode::formats::Reader;
use crate::decode::formats::pattern::Pattern;
use crate::decode::formats::program::{Field, Meaning};
use crate::record::field::{FieldId, FieldTable, TIMESTAMP, Unit};
use crate::rules::extract;
use crate::rules::syntax::SyntaxError;

/// A name of a group, and what the notation makes of it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The name in the expression.
    pub(super) name: String,
    /// The name of the field.
    pub(super) field: String,
    /// What the notation defines it to be.
    pub(super) to: Option<FieldId>,
}

/// Compiles an expression. `groups` gives names of fields to groups, if they differ.
///
/// # Errors
/// Returns an error if it is no regular expression, is too large, or names nothing.
pub(super) fn compile(
    expression: &str,
    groups: &[Group],
    context: &Context<'_>,
    fields: &mut FieldTable,
) -> Result<Reader, SyntaxError> {
    let (regex, literal) = extract::format_pattern(expression)?;
    let mut wanted: Vec<(usize, Field)> = Vec::new();
    let mut named = 0;
    for (number, name) in regex.capture_names().enumerate() {
        let Some(name) = name else { continue };
        named += 1;
        let group = groups.iter().find(|group| group.name == name);
        let (name, to) = group.map_or((name, None), |group| (&*group.field, group.to));
        let mut field = resolve::field(name, to, context, fields);
        if field.meaning == Meaning::Time && field.to == TIMESTAMP {
            let zone = context.settings.time_zone.as_ref();
            if let Some(parts) = context.datefmt.clone() {
                field.time = Some(Box::new(resolve::time(parts, zone, 0)?));
            }
        }
        if field.meaning == Meaning::Duration && field.unit == Unit::None {
            field.unit = Unit::of_suffix(name);
        }
        if field.is_wanted() {
            wanted.push((number, field));
        }
    }
    if named == 0 {
        return Err(SyntaxError::new(0, "no part of the pattern has a name")
            .hint("name what is wanted, as in (?<level>[A-Z]+) (?<message>.*)"));
    }
    let pattern = Pattern::new(regex, literal.as_deref(), wanted);
    Ok(Reader::Pattern(Box::new(pattern)))
}
