//! Runs the program of a format over one line and finds where each field is. It compares, and
//! converts nothing. Unit: one line.

use super::program::{Escapes, Miss, Padding, Program, Shape, Step};
use crate::decode::scan;

/// How often a field may be extended to a later place before the format declines the line.
pub(crate) const RETRIES_MAX: u32 = 100;

/// The position of a field.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Span {
    /// The first byte of the value, without padding.
    pub start: u32,
    /// The byte behind its last one.
    pub end: u32,
    /// Where the field begins, with its padding.
    from: u32,
    /// The position of the literal behind it.
    stop: u32,
}

/// Matches a whole line. The positions of the fields are in `spans` afterwards.
///
/// # Errors
/// Returns the furthest position that was reached.
#[inline]
pub(crate) fn run(program: &Program, line: &[u8], spans: &mut [Span]) -> Result<(), Miss> {
    let steps = &*program.steps;
    let head = Miss { at: 0, step: steps.len(), is_literal: true };
    let is_bare = program.head.is_empty();
    let mut at = if is_bare { 0 } else { program.head.behind(line, 0).ok_or(head)? };
    let mut furthest = Miss { at, step: 0, is_literal: false };
    let mut retries = 0;
    let mut number = 0;
    loop {
        let missed = match (steps.get(number), spans.get_mut(number)) {
            (Some(step), Some(span)) => match advance(program, step, line, at, span) {
                Ok(next) => {
                    at = next;
                    number += 1;
                    continue;
                }
                Err((at, is_literal)) => Miss { at, step: number, is_literal },
            },
            _ if at == line.len() => return Ok(()),
            _ => Miss { at, step: steps.len(), is_literal: false },
        };
        if missed.at >= furthest.at {
            furthest = missed;
        }
        let before = match steps.get(number) {
            Some(step) if missed.is_literal && is_searched(program, step) => {
                step.after.find_last(line, 0, line.len()).ok_or(furthest)?
            }
            _ => usize::MAX,
        };
        let is_behind = before != usize::MAX;
        // extends the last field that can end later
        loop {
            if number == 0 || retries >= RETRIES_MAX {
                return Err(furthest);
            }
            number -= 1;
            let step = &steps[number];
            if is_behind && step.shape != Shape::Message {
                continue;
            }
            if let Some(next) = again(program, step, line, &mut spans[number], before) {
                at = next;
                number += 1;
                retries += 1;
                break;
            }
        }
    }
}

/// Returns whether the literal behind a field is searched from the field's start to the end of the
/// line. If it is missing there, fields before it that end later cannot help.
fn is_searched(program: &Program, step: &Step) -> bool {
    program.escapes == Escapes::None && matches!(step.shape, Shape::Text | Shape::Message)
}

/// Where a step stopped, and whether it is the literal that is missing.
type Stopped = (usize, bool);

/// Reads the field at `at` and the literal behind it; returns the position behind both.
#[inline]
fn advance(
    program: &Program,
    step: &Step,
    line: &[u8],
    at: usize,
    span: &mut Span,
) -> Result<usize, Stopped> {
    let start = match step.padding {
        Padding::Before(width) if is_delimited_by_itself(step.shape) => {
            at + spaces(line, at, usize::from(width))
        }
        _ => at,
    };
    let end = match step.shape {
        Shape::Text | Shape::Message => {
            let from = (at + step.padding.width()).min(line.len());
            let stop = if step.after.is_empty() {
                line.len()
            } else if step.shape == Shape::Message {
                step.after.find_last(line, from, line.len()).ok_or((at, true))?
            } else {
                find(program, step, line, from).ok_or((at, true))?
            };
            return Ok(delimited(step, line, at, stop, span));
        }
        Shape::Token => token_end(step, line, start),
        Shape::List => list_end(step, line, start),
        Shape::Level => level_end(line, start).ok_or((start, false))?,
        Shape::Number => number_end(line, start).ok_or((start, false))?,
        Shape::Fixed(count) => {
            let end = fixed_end(line, at, usize::from(count)).ok_or((at, false))?;
            let next = step.after.behind(line, end).ok_or((end, true))?;
            delimited(step, line, at, end, span);
            return Ok(next);
        }
        Shape::Blank => start + spaces(line, start, line.len()),
        Shape::Time => {
            let form = step.field.time.as_ref().ok_or((start, false))?;
            form.pattern.end(line, start).ok_or((start, false))?
        }
    };
    let mut stop = end;
    if let Padding::After(width) = step.padding {
        let missing = usize::from(width).saturating_sub(end - start);
        if spaces(line, end, missing) < missing {
            return Err((end, true));
        }
        stop += missing;
    }
    *span = Span { start: start as u32, end: end as u32, from: at as u32, stop: stop as u32 };
    if step.after.is_empty() {
        return Ok(stop);
    }
    step.after.behind(line, stop).ok_or((stop, true))
}

/// Returns whether the end of a value does not depend on the literal behind it.
fn is_delimited_by_itself(shape: Shape) -> bool {
    matches!(shape, Shape::Token | Shape::List | Shape::Level | Shape::Number | Shape::Time)
}

/// Extends a field to the next place where its literal follows; a message is shortened to the last
/// one that ends before `before`.
#[cold]
fn again(
    program: &Program,
    step: &Step,
    line: &[u8],
    span: &mut Span,
    before: usize,
) -> Option<usize> {
    if step.after.is_empty() {
        return None;
    }
    let (from, stop) = (span.from as usize, span.stop as usize);
    let next = match step.shape {
        Shape::Text => find(program, step, line, stop + 1)?,
        Shape::Message => {
            let least = (from + step.padding.width()).min(line.len());
            // the literal may overlap its next place
            step.after.find_last(line, least, before.min(stop + step.after.text.len() - 1))?
        }
        Shape::Token | Shape::List | Shape::Level | Shape::Number => return None,
        Shape::Fixed(_) | Shape::Blank | Shape::Time => return None,
    };
    Some(delimited(step, line, from, next, span))
}

/// Returns the first place of the literal behind a field; a quote that is escaped is not one.
#[inline]
fn find(program: &Program, step: &Step, line: &[u8], from: usize) -> Option<usize> {
    let mut at = step.after.find(line, from)?;
    if program.escapes == Escapes::Backslash && step.after.text.first() == Some(&b'"') {
        while line[from..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
            at = step.after.find(line, at + 1)?;
        }
    }
    Some(at)
}

/// Writes the position of a value between two positions, without its padding. Returns the position
/// behind the literal.
#[inline]
fn delimited(step: &Step, line: &[u8], from: usize, stop: usize, span: &mut Span) -> usize {
    let (mut start, mut end) = (from, stop);
    match step.padding {
        Padding::None => {}
        Padding::After(_) => {
            while end > start && line[end - 1] == b' ' {
                end -= 1;
            }
        }
        Padding::Before(_) => start += spaces(line, start, end - start),
    }
    *span = Span { start: start as u32, end: end as u32, from: from as u32, stop: stop as u32 };
    stop + step.after.text.len()
}

/// Returns how many spaces are at `at`, up to `most`.
#[inline]
fn spaces(line: &[u8], at: usize, most: usize) -> usize {
    let rest = line.get(at..).unwrap_or_default();
    rest.iter().take(most).take_while(|byte| **byte == b' ').count()
}

/// Returns the end of a value without spaces: before its literal, or before the next space.
#[inline]
fn token_end(step: &Step, line: &[u8], start: usize) -> usize {
    let Some(&first) = step.after.text.first() else { return scan::word_stop(line, start) };
    let mut at = start;
    loop {
        at = scan::space_or(line, at, first);
        if at >= line.len() || line[at] == b' ' || step.after.behind(line, at).is_some() {
            return at;
        }
        at += 1;
    }
}

/// Returns the end of `0.1, 0.2 : -`.
fn list_end(step: &Step, line: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        at = token_end(step, line, at);
        let rest = line.get(at..).unwrap_or_default();
        at += match rest {
            [b' ', b':', b' ', ..] => 3,
            [b' ', ..] if at > start && line[at - 1] == b',' => 1,
            _ => return at,
        };
    }
}

/// Returns the end of a word that may name a level: letters, then digits and signs; Python's
/// `Level 15`.
#[inline]
fn level_end(line: &[u8], start: usize) -> Option<usize> {
    let rest = line.get(start..)?;
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+');
    let length = rest.iter().take_while(|byte| is_inner(byte)).count();
    if !rest.first()?.is_ascii_alphabetic() {
        return None;
    }
    if &rest[..length] == b"Level" {
        let digits = rest[length..].iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
        if rest.get(length) == Some(&b' ') && digits > 0 {
            return Some(start + length + 1 + digits);
        }
    }
    Some(start + length)
}

/// Returns the end of `-12.5`, or of `-` alone.
#[inline]
fn number_end(line: &[u8], start: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        loop {
            let count = scan::digits(line, at);
            at += count;
            if count < 8 {
                return at;
            }
        }
    };
    let has_sign = matches!(line.get(start), Some(b'-' | b'+'));
    let whole = start + usize::from(has_sign);
    let mut end = digits(whole);
    if end == whole {
        return (line.get(start) == Some(&b'-')).then_some(end);
    }
    if line.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction > end + 1 {
            end = fraction;
        }
    }
    Some(end)
}

/// Returns the position after this many characters.
fn fixed_end(line: &[u8], at: usize, count: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    if let Some(text) = rest.get(..count)
        && text.is_ascii()
    {
        return Some(at + count);
    }
    let text = std::str::from_utf8(rest).ok()?;
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.nth(count).map(|length| at + length)
}
