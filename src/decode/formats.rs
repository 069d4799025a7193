//! The user's own formats: reads a line by the format string that its application or server is
//! configured with. `rules` compiles each string; here are the compiled forms and the readers of
//! them. Unit: one record.
//!
//! # Decisions
//!
//! - A format applies to every source. The wrappers of a line are removed first, then the formats
//!   are tried in the order of the configuration, and then the built-in readers. If none of them
//!   describes a line without its wrapper, the line is tried with it, too, but only by formats that
//!   begin with a time and by regular expressions: their own header may look like that of a
//!   transport.
//! - The first format that matches the whole line reads it. Half a match reads nothing, and a line
//!   that no format matches goes to the built-in readers.
//! - The meaning of a field comes from its name in the pattern, never from its text. A value that
//!   cannot be what the name says (a date that does not exist, a status without three digits) costs
//!   that field only. A word that is no level leaves the level unspecified.
//! - A field that the pattern delimits by a literal ends at the first place from which the rest of
//!   the pattern matches; a message ends at the last. This is what a regular expression with lazy
//!   groups finds. After [`matcher::RETRIES_MAX`] attempts the format declines the line.
//! - A line that a format matches starts a record, also where the joiner of lines takes it for the
//!   continuation of a message: [`Readers::split`] divides such a record.
//! - A format with parts that may be missing is several programs, see [`choice`].
//! - Programs are data, shared by all data threads; what a thread needs to run them is allocated
//!   when the rules are loaded, and nothing for a line.

pub(crate) mod choice;
pub(crate) mod matcher;
pub(crate) mod pattern;
pub(crate) mod program;
mod value;

use super::text;
use crate::frame::count;
use crate::record::field::BODY;
use crate::record::slots::{SlotValue, ValueBuffer};
use crate::record::{Decoded, Format};
use choice::{Spans, choose};
use matcher::Span;
use memchr::memchr;
use pattern::{Captures, Pattern};
use program::{Program, STEPS_MAX, Step};
use std::sync::Arc;
use value::Values;

/// The most formats of a configuration: each costs time for every line that it does not match.
pub(crate) const FORMATS_MAX: usize = 64;

/// One compiled format.
#[derive(Debug)]
pub struct OwnFormat {
    /// Its name, for `explain`.
    pub name: Box<str>,
    /// Its notation: `python`, `nginx`, ...
    pub notation: &'static str,
    /// How it reads a line.
    pub reader: Reader,
}

/// The compiled form of a format.
#[derive(Debug)]
pub enum Reader {
    /// Fields between literals: a program for each combination of parts that may be missing.
    Programs(Box<[Program]>),
    /// A regular expression.
    Pattern(Box<Pattern>),
}

/// All formats of a configuration, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct Formats {
    /// The formats.
    pub list: Vec<OwnFormat>,
}

/// Why a format did not match a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decline {
    /// The position in the line, in bytes, up to which it matched.
    pub at: usize,
    /// What it expected there.
    pub expected: String,
}

/// What a data thread needs to read lines by the formats.
#[derive(Debug, Default)]
pub struct Readers {
    formats: Arc<Formats>,
    scratch: Scratch,
    /// The line that the last walk tried without a match.
    declined: Option<LineId>,
}

/// Where a line lies in memory. Says only whether two borrowed lines are the same one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LineId {
    address: usize,
    bytes: usize,
}

impl LineId {
    fn of(line: &str) -> LineId {
        LineId { address: line.as_ptr().addr(), bytes: line.len() }
    }
}

/// Buffers that are reused for every line.
#[derive(Debug, Default)]
struct Scratch {
    spans: Spans,
    /// The number of the program that matched last.
    chosen: usize,
    /// For each format that is a regular expression.
    captures: Vec<Option<Captures>>,
    values: Values,
    #[cfg(test)]
    tries: usize,
}

impl Readers {
    /// Allocates what these formats need.
    pub fn new(formats: &Arc<Formats>) -> Readers {
        let captures = formats.list.iter().map(|format| match &format.reader {
            Reader::Programs(_) => None,
            Reader::Pattern(pattern) => Some(pattern.captures()),
        });
        let places = || vec![Span::default(); STEPS_MAX];
        let scratch = Scratch {
            captures: captures.collect(),
            spans: Spans { chosen: places(), tried: places() },
            chosen: 0,
            values: Values::default(),
            #[cfg(test)]
            tries: 0,
        };
        Readers { formats: Arc::clone(formats), scratch, declined: None }
    }

    /// Returns whether there is no format.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.formats.list.is_empty()
    }

    /// Reads one record by the first format that matches its first line; leaves `into` unchanged if
    /// none does.
    #[inline]
    pub fn read(&mut self, text: &str, into: &mut Decoded) -> bool {
        !self.is_empty() && self.read_once(text, into)
    }

    /// Reads a record unless [`Readers::walk`] has just tried its first line.
    fn read_once(&mut self, text: &str, into: &mut Decoded) -> bool {
        let declined = self.declined.take();
        declined != Some(LineId::of(first_line(text))) && self.read_any(text, false, into)
    }

    /// Reads one line of a block. If no format matches, [`Readers::read`] does not try the same
    /// line again: a walk that ends without a result is followed by it.
    pub(super) fn walk(&mut self, line: &str, into: &mut Decoded) -> bool {
        let is_read = self.read_any(line, false, into);
        self.declined = (!is_read).then(|| LineId::of(line));
        is_read
    }

    /// Forgets the declined line, because another reader has read it. The next line may lie in the
    /// same place.
    #[inline]
    pub(super) fn forget_declined(&mut self) {
        self.declined = None;
    }

    /// Reads a line with its wrapper, by the formats that may describe it.
    #[cold]
    pub(super) fn read_wrapped(&mut self, text: &str, into: &mut Decoded) -> bool {
        self.read_any(text, true, into)
    }

    fn read_any(&mut self, text: &str, with_wrapper: bool, into: &mut Decoded) -> bool {
        let line = first_line(text);
        for (number, format) in self.formats.list.iter().enumerate() {
            if with_wrapper && !format.may_describe_wrapper() {
                continue;
            }
            if !self.scratch.read(number, format, line, into) {
                continue;
            }
            into.format = Format::Own;
            into.own = Some(number as u16);
            if line.len() < text.len() {
                read_rest(text, line.len(), into);
            }
            return true;
        }
        false
    }

    /// Divides a record of several lines before the first line that a format matches. Returns the
    /// end of the first part, and its number of lines without empty ones. `first_end` is the end of
    /// the first line. A pure function of the record, however the stream was cut.
    #[cold]
    pub fn split(&mut self, record: &[u8], first_end: usize) -> (usize, u64) {
        let mut start = first_end;
        while start < record.len() {
            let end = memchr(b'\n', &record[start..]).map_or(record.len(), |at| start + at + 1);
            let line = std::str::from_utf8(&record[start..end]).unwrap_or_default();
            let line = line.trim_end_matches(['\n', '\r']);
            let mut formats = self.formats.list.iter().enumerate();
            if !line.is_empty()
                && formats.any(|(number, format)| self.scratch.matches(number, format, line))
            {
                break;
            }
            start = end;
        }
        (start, count::frames(&record[..start]))
    }

    /// Returns why each format declines the first line of a record, in their order; `None` for
    /// those that match. For `explain`.
    pub fn declines(&mut self, text: &str) -> Vec<(&str, Option<Decline>)> {
        let line = first_line(text);
        let mut found = Vec::new();
        for (number, format) in self.formats.list.iter().enumerate() {
            let decline = match &format.reader {
                Reader::Programs(programs) => {
                    let missed = choose(programs, line, &mut self.scratch.spans).err();
                    missed.map(|(number, miss)| {
                        let expected = programs[number].expected(&miss);
                        Decline { at: miss.at, expected }
                    })
                }
                Reader::Pattern(_) => {
                    let is_match = self.scratch.matches(number, format, line);
                    let expected = "a text that the pattern matches".to_owned();
                    (!is_match).then_some(Decline { at: 0, expected })
                }
            };
            found.push((&*format.name, decline));
        }
        found
    }
}

impl Scratch {
    /// Returns whether a format matches the line; the positions of its fields are then known.
    #[inline]
    fn matches(&mut self, number: usize, format: &OwnFormat, line: &str) -> bool {
        #[cfg(test)]
        {
            self.tries += 1;
        }
        match &format.reader {
            Reader::Programs(programs) => {
                choose(programs, line, &mut self.spans).map(|number| self.chosen = number).is_ok()
            }
            Reader::Pattern(pattern) => {
                let captures = self.captures.get_mut(number).and_then(Option::as_mut);
                captures.is_some_and(|captures| pattern.matches(line, captures))
            }
        }
    }

    /// Reads a line by one format.
    #[inline]
    fn read(&mut self, number: usize, format: &OwnFormat, line: &str, into: &mut Decoded) -> bool {
        if !self.matches(number, format, line) {
            return false;
        }
        into.slots.clear();
        match &format.reader {
            Reader::Programs(programs) => {
                let steps = programs.get(self.chosen).map_or(&[][..], |program| &program.steps);
                for (step, span) in steps.iter().zip(&self.spans.chosen) {
                    if step.field.is_wanted() {
                        let span = (span.start as usize, span.end as usize);
                        self.values.put(&step.field, line, span, into);
                    }
                }
            }
            Reader::Pattern(pattern) => {
                let captures = self.captures.get(number).and_then(Option::as_ref);
                for (field, start, end) in captures.iter().flat_map(|c| pattern.fields(line, c)) {
                    self.values.put(field, line, (start, end), into);
                }
            }
        }
        value::finish(line, into);
        true
    }
}

/// Reads the lines after the first: more of the message if it ends the first line, and a stack
/// trace.
#[cold]
fn read_rest(text: &str, line_end: usize, into: &mut Decoded) {
    let message_end = text::read_rest(text, &mut into.slots);
    let body = into.slots.get(BODY).copied().filter(|body| body.buffer == ValueBuffer::Line);
    if let Some(body) = body
        && (body.start + body.len) as usize == line_end
        && message_end > line_end
    {
        let whole = SlotValue::text(body.start as usize, message_end);
        into.slots.put(BODY, SlotValue { rank: body.rank, ..whole });
    }
}

impl OwnFormat {
    /// Returns whether the format may describe what looks like the wrapper of a transport.
    fn may_describe_wrapper(&self) -> bool {
        match &self.reader {
            Reader::Programs(programs) => programs.iter().any(|program| {
                program.head.is_empty() && program.steps.first().is_some_and(Step::is_time)
            }),
            Reader::Pattern(_) => true,
        }
    }
}

/// Returns the first line of a record without its line end.
#[inline]
fn first_line(text: &str) -> &str {
    match memchr(b'\n', text.as_bytes()) {
        Some(end) => text[..end].trim_end_matches('\r'),
        None => text,
    }
}

#[cfg(test)]
mod tests;
