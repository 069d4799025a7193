//! Compiles a format that is a regular expression: its named groups are fields, by the names that
//! keys of structured lines have. Unit: one format.

use super::notation::{Context, Wrong};
use super::resolve;
use crate::decode::formats::Reader;
use crate::decode::formats::pattern::Pattern;
use crate::decode::formats::program::{Field, Meaning};
use crate::record::field::{FieldId, FieldTable, Unit};
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
/// Returns an error if it is no regular expression, is too large, or names nothing, and if a setting
/// of times has no effect.
pub(super) fn compile(
    expression: &str,
    groups: &[Group],
    context: &Context<'_>,
    fields: &mut FieldTable,
) -> Result<Reader, Wrong> {
    let in_pattern = |error| (None, error);
    let (regex, literal) = extract::format_pattern(expression).map_err(in_pattern)?;
    let mut wanted: Vec<(usize, Field)> = Vec::new();
    let mut named = 0;
    let mut has_time = false;
    for (number, name) in regex.capture_names().enumerate() {
        let Some(name) = name else { continue };
        named += 1;
        let group = groups.iter().find(|group| group.name == name);
        let (name, to) = group.map_or((name, None), |group| (&*group.field, group.to));
        let mut field = resolve::field(name, to, context, fields);
        if field.meaning == Meaning::Time {
            has_time = true;
            let zone = context.settings.time_zone.as_ref();
            if let Some(parts) = context.datefmt.clone() {
                let form = resolve::time(parts, zone, 0);
                field.time = Some(Box::new(form.map_err(|error| (Some("datefmt"), error))?));
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
        let error = SyntaxError::new(0, "no part of the pattern has a name");
        let hint = "name what is wanted, as in (?<level>[A-Z]+) (?<message>.*)";
        return Err(in_pattern(error.hint(hint)));
    }
    effective(context, has_time)?;
    let pattern = Pattern::new(regex, literal.as_deref(), wanted);
    Ok(Reader::Pattern(Box::new(pattern)))
}

/// Refuses settings of times that would have no effect. The general reader of times has one zone
/// for all lines, so that another one needs the form of the time.
fn effective(context: &Context<'_>, has_time: bool) -> Result<(), Wrong> {
    let (form, zone) = (context.datefmt.is_some(), context.settings.time_zone.is_some());
    let (key, message, hint) = match (has_time, form, zone) {
        (false, true, _) | (false, _, true) => (
            if form { "datefmt" } else { "time_zone" },
            "no part of the pattern is a time",
            "name one `time`, or say in `fields` which it is, as in {NAME: time}",
        ),
        (true, false, true) => (
            "time_zone",
            "the zone of a format has no effect without the form of its times",
            "add it, as in datefmt: '%Y-%m-%d %H:%M:%S'",
        ),
        _ => return Ok(()),
    };
    Err((Some(key), SyntaxError::new(0, message).hint(hint)))
}
