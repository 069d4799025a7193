//! Runs the programs of a format with parts that may be missing, and chooses one of those that
//! match. Unit: one line.
//!
//! A program in which more words of levels are known wins. Otherwise the first field that two
//! programs share and find in different places decides: the one that ends earlier wins, as with the
//! optional groups of a regular expression. If there is none, or if it is the message, the program
//! with more parts wins.

use super::matcher::{Span, run};
use super::program::{Meaning, Miss, Program, Shape};
use crate::record::severity::Severity;

/// The number of a program that did not match, and how far it came.
pub(crate) type Missed = (usize, Miss);

/// The positions of the fields, for the program that is chosen and for one that is tried.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// The positions in the program that was chosen.
    pub chosen: Vec<Span>,
    /// The positions in the program that was run last.
    pub tried: Vec<Span>,
}

/// Matches a whole line. Returns the number of the program; the positions of its fields are in
/// `spans.chosen`.
///
/// # Errors
/// Returns the furthest position that was reached.
#[inline]
pub(crate) fn choose(programs: &[Program], line: &str, spans: &mut Spans) -> Result<usize, Missed> {
    match programs {
        [one] => run(one, line.as_bytes(), &mut spans.chosen).map(|()| 0).map_err(|miss| (0, miss)),
        several => choose_one_of(several, line, spans),
    }
}

fn choose_one_of(programs: &[Program], line: &str, spans: &mut Spans) -> Result<usize, Missed> {
    let mut best: Option<usize> = None;
    let mut furthest = (0, Miss { at: 0, step: 0, is_literal: false });
    for (number, program) in programs.iter().enumerate() {
        match run(program, line.as_bytes(), &mut spans.tried) {
            Err(miss) if number == 0 || miss.at > furthest.1.at => furthest = (number, miss),
            Err(_) => {}
            Ok(()) => {
                let known = best.map(|best| (&programs[best], spans.chosen.as_slice()));
                if known.is_none_or(|known| is_better((program, &spans.tried), known, line)) {
                    best = Some(number);
                    std::mem::swap(&mut spans.chosen, &mut spans.tried);
                }
            }
        }
    }
    best.ok_or(furthest)
}

/// A program and where its fields are.
type Found<'a> = (&'a Program, &'a [Span]);

/// Returns whether a program is a better choice than one with more parts.
fn is_better(found: Found<'_>, known: Found<'_>, line: &str) -> bool {
    let (unknown, least) = (unknown_levels(found, line), unknown_levels(known, line));
    if unknown != least {
        return unknown < least;
    }
    let fields = found.0.steps.iter().zip(found.1);
    for ((a, place), (b, other)) in fields.zip(known.0.steps.iter().zip(known.1)) {
        if a.offset != b.offset {
            return false;
        }
        if place.end != other.end {
            // a message takes a part behind it if the part is missing in the program
            return a.shape != Shape::Message && place.end < other.end;
        }
    }
    false
}

/// Returns how many values of levels are words that are none.
fn unknown_levels((program, spans): Found<'_>, line: &str) -> usize {
    let levels = program.steps.iter().zip(spans).filter(|(step, span)| {
        let value = line.get(span.start as usize..span.end as usize).unwrap_or_default();
        let is_replaced =
            || step.field.levels.iter().any(|(word, _)| word.eq_ignore_ascii_case(value));
        step.field.meaning == Meaning::Level
            && Severity::from_text(value) == Severity::UNSPECIFIED
            && !is_replaced()
    });
    levels.count()
}
