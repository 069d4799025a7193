//! Turns the pieces of a pattern into programs: joins literals, attaches each to the field before
//! it, and refuses fields between which a reader cannot tell where one ends. A pattern with parts
//! that may be missing has a program for each combination. Unit: one format.

use super::notation::{Context, Draft, Piece};
use super::{choice, resolve};
use crate::decode::formats::program::{
    Escapes, Field, Literal, Meaning, Padding, Program, STEPS_MAX, Shape, Step,
};
use crate::decode::time::pattern::{Item, Part};
use crate::record::field::{FieldId, FieldTable, SEVERITY};
use crate::record::severity::Severity;
use crate::rules::settings::Notation;
use crate::rules::syntax::SyntaxError;

/// Compiles the pieces of a pattern. The programs with more parts are first.
///
/// # Errors
/// Returns an error if the pieces are not a format that can be read back.
pub(super) fn programs(
    pieces: &[Piece],
    context: &Context<'_>,
    fields: &mut FieldTable,
) -> Result<Box<[Program]>, SyntaxError> {
    let is_field = |piece: &Piece| matches!(piece, Piece::Field(_));
    let mut all = choice::alternatives(pieces)?;
    // without a field every line would have to be one text
    all.retain(|pieces| pieces.iter().any(is_field));
    if all.is_empty() {
        let error = SyntaxError::new(0, "there is no field in the format");
        return Err(error.hint("every line would have to be this text"));
    }
    all.into_iter().map(|pieces| program(pieces, context, fields)).collect()
}

fn program(
    pieces: Vec<Piece>,
    context: &Context<'_>,
    fields: &mut FieldTable,
) -> Result<Program, SyntaxError> {
    let pieces = joined(pieces)?;
    let settings = context.settings;
    let escape = settings.escape.as_deref().unwrap_or("default");
    let (escapes, is_escaped) = match settings.notation {
        Notation::Nginx if escape == "json" => (Escapes::Backslash, true),
        Notation::Nginx => (Escapes::None, escape != "none"),
        Notation::Apache => (Escapes::Backslash, true),
        _ => (Escapes::None, false),
    };
    let mut steps: Vec<Step> = Vec::new();
    let mut head = Literal::default();
    let mut blank = false;
    let mut last: Option<(Shape, String)> = None;
    for piece in pieces {
        match piece {
            Piece::Literal(text) => {
                let text = if blank { text.trim_ascii_start() } else { &text[..] };
                blank = false;
                if text.is_empty() {
                    continue;
                }
                match steps.last_mut() {
                    Some(step) => step.after = Literal::new(text),
                    None => head = Literal::new(text),
                }
                last = None;
            }
            Piece::Blank => {
                // spaces before the next literal or field belong to a field of spaces
                let draft = Draft::text("", "spaces", 0).shaped(Shape::Blank);
                steps.push(step(draft, context, fields, is_escaped)?);
                blank = true;
                last = None;
            }
            // `alternatives` replaces choices, and `joined` removes ends
            Piece::LineEnd(_) | Piece::Choice(_) => {}
            Piece::Field(draft) => {
                if let Some((shape, before)) = &last
                    && !is_delimited(*shape, &draft)
                {
                    let message = format!(
                        "`{}` follows `{before}` with nothing between them: no reader can tell \
                         where one ends",
                        draft.written
                    );
                    return Err(SyntaxError::new(draft.offset, message)
                        .hint("put a separator between them, or give the first a fixed width"));
                }
                blank = false;
                let written = draft.written.clone();
                let made = step(*draft, context, fields, is_escaped)?;
                last = Some((made.shape, written));
                steps.push(made);
            }
        }
        if steps.len() > STEPS_MAX {
            return Err(SyntaxError::new(0, format!("more than {STEPS_MAX} fields")));
        }
    }
    Ok(Program { head, steps: steps.into_boxed_slice(), escapes })
}

/// Returns whether a field that follows another one at once can be found.
fn is_delimited(before: Shape, next: &Draft) -> bool {
    match before {
        Shape::Time | Shape::Fixed(_) | Shape::Blank => true,
        Shape::Number => matches!(next.shape, Shape::Level),
        Shape::Text | Shape::Message | Shape::Token | Shape::List | Shape::Level => false,
    }
}

/// Joins neighbouring literals and the milliseconds behind a time; ends at the end of the line.
fn joined(pieces: Vec<Piece>) -> Result<Vec<Piece>, SyntaxError> {
    let mut out: Vec<Piece> = Vec::new();
    let mut ended: Option<usize> = None;
    for piece in pieces {
        if let Piece::LineEnd(at) = piece {
            ended = ended.or(Some(at));
            continue;
        }
        if let Some(at) = ended {
            let message = "the format writes a record of several lines, which is not read";
            return Err(SyntaxError::new(at, message)
                .hint("a stack trace after the line is read without being in the format"));
        }
        match piece {
            Piece::Literal(more) => match out.last_mut() {
                Some(Piece::Literal(text)) => text.extend(more),
                _ => out.push(Piece::Literal(more)),
            },
            Piece::Field(draft) if draft.is_milliseconds && extends_time(&mut out) => {}
            piece => out.push(piece),
        }
    }
    Ok(out)
}

/// Makes milliseconds a part of the time before them, if only a point or comma is between.
fn extends_time(out: &mut Vec<Piece>) -> bool {
    let point = match out.last() {
        Some(Piece::Literal(text)) if text == b"." || text == b"," => text[0],
        _ => return false,
    };
    let before = out.len() - 1;
    let Some(Piece::Field(time)) = before.checked_sub(1).and_then(|at| out.get_mut(at)) else {
        return false;
    };
    let Some(parts) = time.time.as_mut() else { return false };
    let ends_with_second = parts.last().is_some_and(|part| part.item == Item::Second);
    if !ends_with_second {
        return false;
    }
    parts.push(Part::byte(point));
    parts.push(Part::digits(Item::Fraction, 3));
    out.truncate(before);
    true
}

/// Compiles one field.
fn step(
    draft: Draft,
    context: &Context<'_>,
    fields: &mut FieldTable,
    is_escaped: bool,
) -> Result<Step, SyntaxError> {
    let mut field = resolve::field(&draft.key, draft.to, context, fields);
    if draft.unit != crate::record::field::Unit::None {
        field.unit = draft.unit;
    }
    field.rank = field.rank.max(draft.rank);
    field.is_escaped = is_escaped;
    let mut shape = draft.shape;
    // the settings may give a field of any form another meaning
    if shape == Shape::Text && field.meaning == Meaning::Message {
        shape = Shape::Message;
    }
    if field.meaning == Meaning::Level && field.to == SEVERITY {
        add_levels(&mut field, &draft);
    }
    if let Some(parts) = draft.time {
        let zone = draft.zone.as_ref().or(context.settings.time_zone.as_ref());
        // the form says where the value ends, even where it is not the time of the record
        field.time = Some(Box::new(resolve::time(parts, zone, draft.offset)?));
    }
    let is_text = matches!(shape, Shape::Text | Shape::Message | Shape::Token);
    if let Some(most) = draft.most
        && draft.padding.width() == usize::from(most)
        && most > 0
        && is_text
    {
        shape = Shape::Fixed(most);
    }
    if draft.key.is_empty() {
        field.to = FieldId::NONE;
        field.also = FieldId::NONE;
    }
    Ok(Step {
        shape,
        padding: draft.padding,
        after: Literal::default(),
        field,
        written: Box::from(draft.written),
        offset: draft.offset,
    })
}

/// Adds the words by which the pattern replaces the names of levels, and the names as far as the
/// pattern cuts them.
fn add_levels(field: &mut Field, draft: &Draft) {
    let mut levels: Vec<(Box<str>, &'static str)> = std::mem::take(&mut field.levels).into_vec();
    for (word, level) in &draft.levels {
        levels.push((Box::from(word.as_str()), level));
    }
    if let Some(most) = draft.most.map(usize::from) {
        for level in resolve::LEVELS.iter().filter(|level| level.len() > most) {
            let cut = &level[..most];
            let severity = Severity::from_text(level);
            // `SE` may be SEVERE, `S` may be SUCCESS too
            let is_unsure = resolve::LEVELS.iter().any(|other| {
                let same = other.get(..most).is_some_and(|start| start.eq_ignore_ascii_case(cut));
                same && Severity::from_text(other) != severity
            });
            let is_known = levels.iter().any(|(word, _)| word.eq_ignore_ascii_case(cut))
                || Severity::from_text(cut) != Severity::UNSPECIFIED;
            if !is_known && !is_unsure && most > 0 {
                levels.push((Box::from(cut), level));
            }
        }
    }
    field.levels = levels.into_boxed_slice();
}

/// Returns padding as most notations define it: to the left or to the right of a value.
pub(super) fn padding(width: Option<u16>, is_left_aligned: bool) -> Padding {
    match width {
        None | Some(0) => Padding::None,
        Some(width) if is_left_aligned => Padding::After(width),
        Some(width) => Padding::Before(width),
    }
}
