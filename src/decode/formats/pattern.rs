//! A format that is a regular expression: its named groups are fields. The expression runs in
//! linear time and allocates nothing for a line. Unit: one format.

use super::program::Field;
use memchr::memmem::Finder;
use regex::bytes::{CaptureLocations, Regex};

/// A compiled expression.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// Text that every match contains; it rules out most lines without running the expression.
    literal: Option<Finder<'static>>,
    /// The number of each group that somebody wants, and its meaning.
    groups: Box<[(usize, Field)]>,
}

/// The positions of the groups of a match, for one data thread.
#[derive(Clone, Debug)]
pub(super) struct Captures(CaptureLocations);

impl Pattern {
    /// Joins an expression with the meanings of its groups.
    pub fn new(regex: Regex, literal: Option<&[u8]>, groups: Vec<(usize, Field)>) -> Pattern {
        let literal = literal.map(|literal| Finder::new(literal).into_owned());
        Pattern { regex, literal, groups: groups.into_boxed_slice() }
    }

    /// Allocates memory for the groups of a match.
    pub(super) fn captures(&self) -> Captures {
        Captures(self.regex.capture_locations())
    }

    /// Returns whether the expression is found in the line; the groups are then in `captures`.
    #[inline]
    pub(super) fn matches(&self, line: &str, captures: &mut Captures) -> bool {
        let bytes = line.as_bytes();
        if self.literal.as_ref().is_some_and(|literal| literal.find(bytes).is_none()) {
            return false;
        }
        self.regex.captures_read(&mut captures.0, bytes).is_some()
    }

    /// Returns the fields of the last match, without groups that took no part in it or that split a
    /// character.
    pub(super) fn fields<'a>(
        &'a self,
        line: &'a str,
        captures: &'a Captures,
    ) -> impl Iterator<Item = (&'a Field, usize, usize)> {
        self.groups.iter().filter_map(move |(group, field)| {
            let (start, end) = captures.0.get(*group)?;
            let is_text = line.is_char_boundary(start) && line.is_char_boundary(end);
            is_text.then_some((field, start, end))
        })
    }
}
