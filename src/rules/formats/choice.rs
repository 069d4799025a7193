//! Parts of a pattern that a line has in one of two forms, or not at all: returns all combinations,
//! and refuses a part if a reader cannot tell whether a line has it. Unit: one format.

use super::notation::{Choice, Piece};
use crate::decode::formats::program::Shape;
use crate::rules::syntax::SyntaxError;

/// The most combinations of one format: each costs time for every line.
const COMBINATIONS_MAX: usize = 16;

/// Returns the pieces of each combination; those with more parts are first.
///
/// # Errors
/// Returns the position of a part of which a line does not show whether it has it, or of the part
/// with which there are too many combinations.
pub(super) fn alternatives(pieces: &[Piece]) -> Result<Vec<Vec<Piece>>, SyntaxError> {
    combinations(pieces, &[])
}

/// Returns the combinations of pieces that stand before others.
fn combinations(pieces: &[Piece], behind: &[Piece]) -> Result<Vec<Vec<Piece>>, SyntaxError> {
    let mut all = vec![Vec::new()];
    for (number, piece) in pieces.iter().enumerate() {
        let Piece::Choice(choice) = piece else {
            for one in &mut all {
                one.push(piece.clone());
            }
            continue;
        };
        let behind = [&pieces[number + 1..], behind].concat();
        let first = shown(choice, number.checked_sub(1).map(|at| &pieces[at]), &behind)?;
        let mut forms = combinations(&first, &behind)?;
        forms.extend(combinations(&choice.second, &behind)?);
        if all.len() * forms.len() > COMBINATIONS_MAX {
            let message = format!("more than {COMBINATIONS_MAX} combinations of parts");
            return Err(SyntaxError::new(choice.offset, message)
                .hint("write several formats, each with fewer parts that may be missing"));
        }
        let with = |start: &Vec<Piece>| {
            let start = start.clone();
            forms.iter().map(move |form| [start.as_slice(), form].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all)
}

/// Returns the first form of a part as it is read. A value without a mark before it has no spaces
/// then, because it would take the beginning of what follows a missing part.
fn shown(
    choice: &Choice,
    before: Option<&Piece>,
    behind: &[Piece],
) -> Result<Vec<Piece>, SyntaxError> {
    let mut first = choice.first.clone();
    let starts_marked = begins_with_mark(&first);
    if !starts_marked {
        for piece in &mut first {
            if let Piece::Field(draft) = piece
                && draft.shape == Shape::Text
            {
                draft.shape = Shape::Token;
            }
        }
    }
    let is_marked = first.iter().any(is_mark);
    let takes_all = |piece: &Piece| matches!(piece, Piece::Field(draft) if is_open(draft.shape));
    let is_absorbed = before.is_some_and(takes_all) && !starts_marked;
    let is_optional = choice.second.is_empty();
    if is_optional && (is_absorbed || !(is_marked || is_found_behind(behind))) {
        let message = format!("a line does not show whether `{}` is in it", choice.written);
        return Err(SyntaxError::new(choice.offset, message)
            .hint("put a text into it that begins no other value, such as brackets"));
    }
    Ok(first)
}

/// Returns whether a value may contain anything, so that it takes what follows it.
fn is_open(shape: Shape) -> bool {
    matches!(shape, Shape::Text | Shape::Message)
}

/// Returns whether a piece distinguishes a part: a literal that is not blank, or a time.
fn is_mark(piece: &Piece) -> bool {
    match piece {
        Piece::Literal(text) => !text.trim_ascii().is_empty(),
        Piece::Field(draft) => draft.shape == Shape::Time,
        Piece::Blank | Piece::LineEnd(_) | Piece::Choice(_) => false,
    }
}

/// Returns whether a part begins with a mark, perhaps after blanks.
fn begins_with_mark(pieces: &[Piece]) -> bool {
    let first = pieces.iter().find(|piece| is_mark(piece) || !matches!(piece, Piece::Literal(_)));
    first.is_some_and(is_mark)
}

/// Returns whether what follows a part is recognised without it: a mark or a level, before any
/// value that may be any word.
fn is_found_behind(behind: &[Piece]) -> bool {
    for piece in behind {
        match piece {
            Piece::Field(draft) if draft.shape == Shape::Level => return true,
            Piece::Field(draft) if !matches!(draft.shape, Shape::Number | Shape::Time) => {
                return false;
            }
            Piece::LineEnd(_) => return false,
            piece if is_mark(piece) => return true,
            _ => {}
        }
    }
    false
}
