//! A compiled format as data: a literal, then fields with the literal behind each. Unit: one
//! format.

use crate::decode::scan;
use crate::decode::time::Zone;
use crate::decode::time::pattern::TimePattern;
use crate::record::field::{FieldId, Unit};

/// The most fields of a format.
pub(crate) const STEPS_MAX: usize = 64;

/// How values are escaped in the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Escapes {
    /// They are not; nginx' default writes `\x22` and needs no reader for it to find the end.
    None,
    /// A quote inside a value has a backslash before it.
    Backslash,
}

/// A format of fields between literals.
#[derive(Debug)]
pub struct Program {
    /// What precedes the first field.
    pub head: Literal,
    /// The fields in order.
    pub steps: Box<[Step]>,
    /// How quotes in values are written.
    pub escapes: Escapes,
}

impl Program {
    /// Describes what was expected where the program stopped.
    pub fn expected(&self, miss: &Miss) -> String {
        let quoted = |literal: &Literal| String::from_utf8_lossy(&literal.text).into_owned();
        match (self.steps.get(miss.step), miss.is_literal) {
            (None, false) => "the end of the line".to_owned(),
            (None, true) => format!("`{}`", quoted(&self.head)),
            (Some(step), true) => format!("`{}` after {}", quoted(&step.after), step.written),
            (Some(step), false) => step.written.to_string(),
        }
    }
}

/// How far a program came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Miss {
    /// The position in the line.
    pub at: usize,
    /// The number of the field, or the number of fields for the head and the end.
    pub step: usize,
    /// The literal behind the field was missing, not its value.
    pub is_literal: bool,
}

/// A field of a format, and the literal behind it.
#[derive(Debug)]
pub struct Step {
    /// The form of its value.
    pub shape: Shape,
    /// Spaces that bring it to a width.
    pub padding: Padding,
    /// The literal behind it; empty at the end of the line.
    pub after: Literal,
    /// What the value means.
    pub field: Field,
    /// The field as it is written in the pattern, for messages.
    pub written: Box<str>,
    /// The position in the pattern, by which the programs of one format are compared.
    pub offset: usize,
}

impl Step {
    /// Returns whether the value is a time.
    pub fn is_time(&self) -> bool {
        matches!(self.shape, Shape::Time)
    }
}

/// Where the value of a field ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// At the first place from which the rest of the pattern matches.
    Text,
    /// At the last such place.
    Message,
    /// Before the literal behind it, and it has no space.
    Token,
    /// As a token, but of several values: nginx separates them by `, ` and ` : `.
    List,
    /// After a word that may be the name of a level.
    Level,
    /// After digits with a fraction; `-` if the server has no value.
    Number,
    /// After this many characters.
    Fixed(u16),
    /// After any number of spaces.
    Blank,
    /// Where the time ends that [`Field::time`] describes.
    Time,
}

/// Spaces that bring a short value to a width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    /// None.
    None,
    /// Spaces follow the value, up to this many characters with it.
    After(u16),
    /// Spaces precede the value, up to this many characters with it.
    Before(u16),
}

impl Padding {
    /// Returns the fewest characters of value and spaces together.
    pub fn width(self) -> usize {
        match self {
            Padding::None => 0,
            Padding::After(width) | Padding::Before(width) => usize::from(width),
        }
    }
}

/// What a value means, and where it is written.
#[derive(Clone, Debug)]
pub struct Field {
    /// How the value is checked and converted.
    pub meaning: Meaning,
    /// The standard field, or a field of a rule.
    pub to: FieldId,
    /// A field of a rule that gets the same value as it is written.
    pub also: FieldId,
    /// The unit that the format defines.
    pub unit: Unit,
    /// The rank among fields of the same meaning; 0 is best.
    pub rank: u8,
    /// Values may contain escapes.
    pub is_escaped: bool,
    /// The form of a time.
    pub time: Option<Box<TimeForm>>,
    /// The words that replace the names of levels, with the level of each.
    pub levels: Box<[(Box<str>, &'static str)]>,
}

impl Field {
    /// Creates a field that nobody wants.
    pub fn unwanted() -> Field {
        Field {
            meaning: Meaning::Text,
            to: FieldId::NONE,
            also: FieldId::NONE,
            unit: Unit::None,
            rank: 0,
            is_escaped: false,
            time: None,
            levels: Box::default(),
        }
    }

    /// Returns whether the value is written anywhere.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.to != FieldId::NONE || self.also != FieldId::NONE
    }
}

/// A time, and what has to be done with it.
#[derive(Clone, Debug)]
pub struct TimeForm {
    /// Its form.
    pub pattern: TimePattern,
    /// The zone of times that name none, if the format defines one.
    pub zone: Option<Zone>,
    /// The text has to be rewritten, because the general reader of times would read it differently.
    pub is_rewritten: bool,
}

/// How a value is checked and converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Any text.
    Text,
    /// The message.
    Message,
    /// The name of a level, perhaps the beginning of it.
    Level,
    /// A time.
    Time,
    /// Three digits of a status; `200 OK` counts as 200.
    Status,
    /// A duration in the unit of the field.
    Duration,
    /// `GET /orders HTTP/1.1`.
    Request,
    /// The address of the client, with or without its port.
    Client,
    /// The path of a request, or a request without its method.
    Path,
}

/// A literal that is compared by its first sixteen bytes at once.
#[derive(Clone, Default, Debug)]
pub struct Literal {
    /// All of it.
    pub text: Box<[u8]>,
    word: u128,
    mask: u128,
}

impl Literal {
    /// Creates a literal.
    pub fn new(text: &[u8]) -> Literal {
        let count = text.len().min(scan::STEP);
        let mut first = [0; scan::STEP];
        first[..count].copy_from_slice(&text[..count]);
        let mask = if count == scan::STEP { u128::MAX } else { (1 << (8 * count)) - 1 };
        Literal { text: Box::from(text), word: u128::from_le_bytes(first), mask }
    }

    /// Returns whether there is nothing to compare.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the position behind the literal at `at`.
    #[inline]
    pub(super) fn behind(&self, bytes: &[u8], at: usize) -> Option<usize> {
        if scan::window(bytes, at) & self.mask != self.word {
            return None;
        }
        let end = at + self.text.len();
        let is_whole = self.text.len() <= scan::STEP
            || bytes.get(at + scan::STEP..end) == self.text.get(scan::STEP..);
        // the window has zeros behind the line, and so may the literal
        (is_whole && end <= bytes.len()).then_some(end)
    }

    /// Returns the first position of the literal at or after `from`.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let first = *self.text.first()?;
        let mut at = from;
        loop {
            at = scan::byte_stop(bytes, at, first);
            if at >= bytes.len() {
                return None;
            }
            if self.behind(bytes, at).is_some() {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Returns the last position of the literal between `from` and `before`, where it may end.
    pub(super) fn find_last(&self, bytes: &[u8], from: usize, before: usize) -> Option<usize> {
        let found = memchr::memmem::rfind(bytes.get(from..before)?, &self.text)?;
        Some(from + found)
    }
}
