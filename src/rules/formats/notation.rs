//! What the parser of a notation returns: literals and drafts of fields, each with its position in
//! the pattern. Unit: one piece of a pattern.

use crate::decode::formats::program::{Padding, Shape};
use crate::decode::time::pattern::Part;
use crate::record::field::{FieldId, Unit};
use crate::rules::settings::FormatSettings;
use crate::rules::syntax::SyntaxError;
use jiff::tz::TimeZone;

/// What a notation is parsed with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The settings of the format.
    pub(super) settings: &'a FormatSettings,
    /// The form of times, if it is a setting.
    pub(super) datefmt: Option<Vec<Part>>,
}

impl Context<'_> {
    /// Returns whether the settings give this name a meaning.
    pub(super) fn names(&self, name: &str) -> bool {
        self.settings.fields.iter().any(|(known, _)| known == name)
    }
}

/// An error, and the key of the value that it is in; the pattern if there is none.
pub(super) type Wrong = (Option<&'static str>, SyntaxError);

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Text that every line has there.
    Literal(Vec<u8>),
    /// A field.
    Field(Box<Draft>),
    /// Any number of spaces.
    Blank,
    /// The end of the line, at this position in the pattern.
    LineEnd(usize),
    /// A part that a line has in one of two forms.
    Choice(Box<Choice>),
}

/// A part of a pattern with two forms.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// The usual form.
    pub(super) first: Vec<Piece>,
    /// The form where the values of the first are missing; often nothing at all.
    pub(super) second: Vec<Piece>,
    /// The part as it is written.
    pub(super) written: String,
    /// The position in the pattern.
    pub(super) offset: usize,
}

impl Piece {
    /// Creates a literal.
    pub(super) fn literal(text: &str) -> Piece {
        Piece::Literal(text.as_bytes().to_vec())
    }
}

/// A field as a notation describes it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The form of its value.
    pub(super) shape: Shape,
    /// Spaces that bring it to a width.
    pub(super) padding: Padding,
    /// The most characters; a longer value is cut by the application.
    pub(super) most: Option<u16>,
    /// The name by which settings and rules may mean it.
    pub(super) key: String,
    /// What the notation defines it to be.
    pub(super) to: Option<FieldId>,
    /// The unit that the notation defines.
    pub(super) unit: Unit,
    /// The rank among fields of the same meaning; 0 is best.
    pub(super) rank: u8,
    /// The form of a time.
    pub(super) time: Option<Vec<Part>>,
    /// The zone that the pattern names for it.
    pub(super) zone: Option<TimeZone>,
    /// Words that the pattern writes for levels.
    pub(super) levels: Vec<(String, &'static str)>,
    /// It is the milliseconds of the time before it.
    pub(super) is_milliseconds: bool,
    /// The field as it is written, and its position.
    pub(super) written: String,
    /// The position in the pattern.
    pub(super) offset: usize,
}

impl Draft {
    /// Creates a field of any text.
    pub(super) fn text(key: &str, written: &str, offset: usize) -> Draft {
        Draft {
            shape: Shape::Text,
            padding: Padding::None,
            most: None,
            key: key.to_owned(),
            to: None,
            unit: Unit::None,
            rank: 0,
            time: None,
            zone: None,
            levels: Vec::new(),
            is_milliseconds: false,
            written: written.to_owned(),
            offset,
        }
    }

    /// Gives it a form.
    pub(super) fn shaped(self, shape: Shape) -> Draft {
        Draft { shape, ..self }
    }

    /// Gives it a field.
    pub(super) fn of(self, to: FieldId) -> Draft {
        Draft { to: Some(to), ..self }
    }

    /// Makes it a time.
    pub(super) fn timed(self, parts: Vec<Part>) -> Draft {
        let to = Some(crate::record::field::TIMESTAMP);
        Draft { shape: Shape::Time, to, time: Some(parts), ..self }
    }

    /// Makes it a piece.
    pub(super) fn piece(self) -> Piece {
        Piece::Field(Box::new(self))
    }
}

/// Walks through the bytes of a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    /// The whole pattern.
    pub(super) text: &'a str,
    /// The position of the next byte.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning.
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// Returns the next character without taking it.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the next character.
    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes `text` if it comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Takes characters as long as `is` accepts them.
    pub(super) fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Takes a number.
    pub(super) fn number(&mut self) -> Result<Option<u16>, SyntaxError> {
        let at = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse::<u16>() {
            Ok(number) if number <= 1000 => Ok(Some(number)),
            _ => Err(SyntaxError::new(at, format!("a width of {digits} is above 1000"))),
        }
    }

    /// Returns what is left.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Returns the text from a position to here.
    pub(super) fn since(&self, from: usize) -> &'a str {
        &self.text[from..self.at]
    }
}
