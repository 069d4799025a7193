//! Compiles the user's formats of lines: each notation is parsed into literals and fields, and
//! those become a program that [`crate::decode::formats`] runs. All errors are reported, each with
//! its position in the pattern. Unit: one format.

mod apache;
mod builder;
mod choice;
mod dates;
mod expression;
mod grok;
mod java;
mod nginx;
mod notation;
mod python;
mod resolve;
mod words;

use super::settings::{FormatSettings, Notation, RuleError};
use super::syntax::SyntaxError;
use crate::decode::formats::{FORMATS_MAX, Formats, OwnFormat, Reader};
use crate::record::field::FieldTable;
use crate::record::severity::Severity;
use notation::{Context, Wrong};

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 * 1024;

/// The most formats that are regular expressions: each may take half a megabyte.
const EXPRESSIONS_MAX: usize = 16;

/// Compiles all formats. `fields` has the fields that rules name.
pub(super) fn compile(
    written: &[FormatSettings],
    fields: &mut FieldTable,
) -> (Formats, Vec<RuleError>) {
    let mut formats = Formats::default();
    let mut errors = Vec::new();
    let mut expressions = 0;
    for (index, one) in written.iter().enumerate() {
        let key = one.notation.name();
        let mut error = |key: &str, error: SyntaxError| {
            let SyntaxError { offset, message, hint } = error;
            let path = format!("formats[{index}].{key}");
            errors.push(RuleError { path, offset, message, hint });
        };
        expressions += usize::from(matches!(one.notation, Notation::Regex | Notation::Grok));
        let too_many = match (index, expressions) {
            (FORMATS_MAX.., _) => Some(format!("more than {FORMATS_MAX} formats")),
            (_, n) if n > EXPRESSIONS_MAX => {
                Some(format!("more than {EXPRESSIONS_MAX} formats of regular expressions"))
            }
            _ => None,
        };
        if let Some(message) = too_many {
            error(key, SyntaxError::new(0, message));
            continue;
        }
        if one.pattern.len() > PATTERN_BYTES_MAX {
            let message = format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes");
            error(key, SyntaxError::new(PATTERN_BYTES_MAX, message));
            continue;
        }
        match reader(one, fields) {
            Ok(reader) => formats.list.push(OwnFormat {
                name: Box::from(one.name.as_str()),
                notation: key,
                reader,
            }),
            Err((place, wrong)) => error(place.unwrap_or(key), wrong),
        }
    }
    (formats, errors)
}

fn reader(one: &FormatSettings, fields: &mut FieldTable) -> Result<Reader, Wrong> {
    let in_pattern = |error: SyntaxError| (None, error);
    if let Some((word, level)) =
        one.levels.iter().find(|(_, level)| Severity::from_text(level) == Severity::UNSPECIFIED)
    {
        let message = format!("`{word}` is mapped to `{level}`, which is no level");
        let error = SyntaxError::new(0, message).hint("as in `AUDIT: notice`");
        return Err((Some("levels"), error));
    }
    let datefmt = match &one.datefmt {
        Some(text) => Some(dates::strftime(text).map_err(|error| (Some("datefmt"), error))?),
        None => None,
    };
    // the directive may say it itself
    let escape = match one.notation {
        Notation::Nginx => nginx::escape_of(&one.pattern).or_else(|| one.escape.clone()),
        _ => None,
    };
    let one = &FormatSettings { escape, ..one.clone() };
    let context = Context { settings: one, datefmt };
    let pieces = match one.notation {
        Notation::Python => python::parse(&context),
        Notation::Loguru => python::parse_loguru(&context),
        Notation::Nginx => nginx::parse(&context),
        Notation::Apache => apache::parse(&context),
        Notation::Logback | Notation::Log4j2 => java::parse(&context),
        Notation::Regex => return expression::compile(&one.pattern, &[], &context, fields),
        Notation::Grok => return grok::compile(&context, fields),
    };
    let pieces = pieces.map_err(in_pattern)?;
    builder::programs(&pieces, &context, fields).map(Reader::Programs).map_err(in_pattern)
}

#[cfg(test)]
mod tests;
