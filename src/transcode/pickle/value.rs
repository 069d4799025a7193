//! The values of a pickle. They refer to its bytes, and containers are numbered, because several
//! values can refer to one. Unit: one pickle.

/// A part of the bytes of a pickle.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Span {
    /// The position of the first byte.
    pub(super) start: u32,
    /// The number of bytes.
    pub(super) length: u32,
}

impl Span {
    /// Returns the bytes, given the pickle.
    pub(crate) fn of(self, pickle: &[u8]) -> &[u8] {
        let start = self.start as usize;
        pickle.get(start..start + self.length as usize).unwrap_or_default()
    }
}

/// A value of a pickle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value {
    /// `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A longer integer: two's complement, the least significant byte first.
    Long(Span),
    /// An integer in decimal digits that is longer than 64 bits.
    Digits(Span),
    /// A floating point number.
    Float(f64),
    /// A string in UTF-8.
    Text(Span),
    /// A string of protocol 0, with `\u` escapes.
    EscapedText(Span),
    /// Bytes of Python 2 as `repr` writes them, without the quotes.
    QuotedBytes(Span),
    /// Bytes.
    Bytes(Span),
    /// A container or an object: its number in [`Values`].
    Container(u32),
}

/// What a container is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// A list.
    List,
    /// A tuple.
    Tuple,
    /// A set or frozen set.
    Set,
    /// A dictionary: keys and values alternate.
    Dict,
    /// The name of a class or function: module and name.
    Global,
    /// An object: its class, its arguments and its state.
    Object,
    /// The items that were added to an object: the object, then keys and values.
    ObjectWithPairs,
    /// The items that were added to an object: the object, then the items.
    ObjectWithItems,
}

/// The containers of a pickle.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(super) containers: Vec<(Shape, Vec<Value>)>,
    used: usize,
}

/// This many containers are kept from one pickle to the next.
const CONTAINERS_KEPT: usize = 64;

/// Containers, stack and memo with more items than this are freed after their pickle.
pub(super) const ITEMS_KEPT: usize = 256;

impl Values {
    /// Returns what a container is, and its items.
    pub(crate) fn container(&self, number: u32) -> (Shape, &[Value]) {
        match self.containers.get(number as usize) {
            Some((shape, items)) => (*shape, items),
            None => (Shape::List, &[]),
        }
    }

    /// Adds a container.
    pub(super) fn add(&mut self, shape: Shape, items: &[Value]) -> Value {
        let number = self.used;
        if number == self.containers.len() {
            self.containers.push((shape, Vec::new()));
        }
        let (kept, kept_items) = &mut self.containers[number];
        *kept = shape;
        kept_items.clear();
        kept_items.extend_from_slice(items);
        self.used += 1;
        Value::Container(number as u32)
    }

    /// Removes all containers, and keeps the memory of some.
    pub(super) fn clear(&mut self) {
        self.containers.truncate(CONTAINERS_KEPT);
        self.containers.retain(|(_, items)| items.capacity() <= ITEMS_KEPT);
        self.used = 0;
    }
}

/// Why a pickle cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Problem {
    /// It ends before its end.
    Truncated,
    /// An opcode that no protocol defines, at this position.
    Opcode { at: usize, opcode: u8 },
    /// The opcode at this position needs values that are not there.
    Missing { at: usize },
    /// The argument of the opcode at this position is not valid.
    Argument { at: usize },
}

/// The bytes of a pickle, and its containers.
#[derive(Clone, Copy)]
pub(crate) struct Pickle<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) values: &'a Values,
}

impl<'a> Pickle<'a> {
    /// Returns the text of a string.
    pub(crate) fn text(&self, value: Value) -> Option<&'a [u8]> {
        match value {
            Value::Text(span) | Value::QuotedBytes(span) => Some(Span::of(span, self.bytes)),
            Value::EscapedText(span) => {
                let text = Span::of(span, self.bytes);
                (text.is_ascii() && !text.contains(&b'\\')).then_some(text)
            }
            _ => None,
        }
    }
}
