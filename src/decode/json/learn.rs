//! The grammar of the text between two scalars of a JSON line: from the end of one to the start of
//! the next, through any number of commas, keys, brackets and braces, or to the end of the line. It
//! proves that a line is JSON; a literal that was proven once becomes a node. Unit: one literal.

use crate::decode::escape;
use crate::decode::graph::node::{Bound, Container, ContainerId, Fresh, Next, State, Tree};
use crate::decode::graph::{DEPTH_MAX, LineGraph};
use crate::decode::scan::{byte, string_stop};
use crate::record::field::FieldTable;

/// Returns the end of the literal with which `bytes` starts, by its characters alone, or `None` if
/// no JSON can follow. Agrees with [`literal`] on every line that is JSON.
#[inline]
pub(super) fn literal_end(bytes: &[u8], quoted: bool) -> Option<usize> {
    let mut at = quoted as usize;
    // only `,"key":`: nearly all literals
    if byte(bytes, at) == b',' && byte(bytes, at + 1) == b'"' {
        let end = string_stop(bytes, at + 2);
        if byte(bytes, end) == b'"' && byte(bytes, end + 1) == b':' {
            match byte(bytes, end + 2) {
                b'"' => return Some(end + 3),
                b'0'..=b'9' => return Some(end + 2),
                _ => {}
            }
        }
    }
    let mut value = false;
    loop {
        match byte(bytes, at) {
            b' ' | b'\t' | b'\r' | b'}' | b']' => at += 1,
            b',' | b'{' => {
                value = false;
                at += 1;
            }
            b':' | b'[' => {
                value = true;
                at += 1;
            }
            b'"' if value => return Some(at + 1),
            b'"' => {
                let end = escape::string_end(bytes, at + 1)?;
                let colon = blank_end(bytes, end + 1);
                if byte(bytes, colon) != b':' {
                    return Some(at + 1);
                }
                value = true;
                at = colon + 1;
            }
            b'\n' => return Some(at + 1),
            b'-' if byte(bytes, at + 1) == b'I' => return absent_end(bytes, at),
            b'-' | b'0'..=b'9' => return Some(at),
            0 if at >= bytes.len() => return Some(bytes.len()),
            _ => return word(bytes, at).map(|(_, end)| end),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<(Next, usize)> {
    let rest = bytes.get(at..)?;
    if rest.starts_with(b"true") {
        Some((Next::True, at + 4))
    } else if rest.starts_with(b"false") {
        Some((Next::False, at + 5))
    } else {
        absent_end(bytes, at).map(|end| (Next::Null, end))
    }
}

/// Returns the end of a value that counts as absent: `null`, and what Python and .NET write for
/// numbers that JSON cannot represent.
pub(super) fn absent_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    ["null", "NaN", "Infinity", "-Infinity"]
        .into_iter()
        .find(|word| rest.starts_with(word.as_bytes()))
        .map(|word| at + word.len())
}

/// Skips blanks. A newline is not a blank: it ends the line.
fn blank_end(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\t' | b'\r') {
        at += 1;
    }
    at
}

/// What the grammar expects next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The value of the line.
    Line,
    /// A key, or the end of an empty object.
    FirstKey,
    Key,
    /// A value, or the end of an empty array.
    FirstElement,
    Value,
    /// A comma or the end of the container; after the value of the line, the end of the line.
    Separator,
}

/// The literal as it is being read.
struct Reading<'a> {
    graph: &'a mut LineGraph,
    text: &'a str,
    bytes: &'a [u8],
    wanted: &'a FieldTable,
    /// Position in the literal.
    at: usize,
    container: ContainerId,
    /// The meaning of the last key, until its value begins.
    bound: Bound,
    /// The bit of the last key, if further keys lie below it.
    prefix: u64,
    seen: u64,
}

/// Reads the literal with which `text` starts. Returns `None` if the line is not JSON, or if only
/// the exact reader can decide.
#[cold]
#[inline(never)]
pub(super) fn literal(
    graph: &mut LineGraph,
    text: &str,
    state: State,
    wanted: &FieldTable,
) -> Option<Fresh> {
    graph.fresh_trees.clear();
    let mut reading = Reading {
        graph,
        text,
        bytes: text.as_bytes(),
        wanted,
        at: state.quoted() as usize,
        container: state.container(),
        bound: Bound::NOTHING,
        prefix: 0,
        seen: 0,
    };
    let outside = state.container() == ContainerId::OUTSIDE;
    reading.run(if outside { Expected::Line } else { Expected::Separator })
}

impl Reading<'_> {
    fn run(&mut self, mut expected: Expected) -> Option<Fresh> {
        loop {
            self.at = blank_end(self.bytes, self.at);
            let byte = byte(self.bytes, self.at);
            expected = match (expected, byte) {
                (Expected::FirstKey | Expected::Key, b'"') => self.key()?,
                (Expected::FirstKey, b'}') => self.close()?,
                (Expected::FirstElement, b']') => self.close()?,
                (Expected::FirstElement | Expected::Value | Expected::Line, b'{') => {
                    self.open(true)?
                }
                (Expected::FirstElement | Expected::Value, b'[') => self.open(false)?,
                (Expected::FirstElement | Expected::Value, _) => return self.scalar(byte),
                (Expected::Separator, _) if self.container == ContainerId::OUTSIDE => {
                    return self.end(byte);
                }
                (Expected::Separator, b',') => {
                    self.at += 1;
                    let object = self.graph.container(self.container).object;
                    if object { Expected::Key } else { Expected::Value }
                }
                (Expected::Separator, b'}' | b']') => self.close()?,
                _ => return None,
            };
        }
    }

    fn key(&mut self) -> Option<Expected> {
        let start = self.at + 1;
        let plain = string_stop(self.bytes, start);
        let end = escape::string_end(self.bytes, plain)?;
        let colon = blank_end(self.bytes, end + 1);
        if byte(self.bytes, colon) != b':' {
            return None;
        }
        self.at = colon + 1;
        let container = self.graph.container(self.container);
        if !container.tracked {
            self.bound = Bound::NOTHING;
            self.prefix = 0;
            return Some(Expected::Value);
        }
        let nested = container.depth > 1;
        let mut path = std::mem::take(&mut self.graph.path);
        path.clear();
        if nested {
            path.push_str(&self.graph.container(self.container).path);
            path.push('.');
        }
        if plain == end {
            path.push_str(&self.text[start..end]);
        } else {
            escape::undo(&self.text[start..end], &mut path);
        }
        self.graph.path = path;
        (self.bound, self.prefix) = self.graph.look_up(self.wanted, nested);
        self.note_prefix()?;
        Some(Expected::Value)
    }

    fn note_prefix(&mut self) -> Option<()> {
        if self.seen & self.prefix != 0 {
            return None;
        }
        self.seen |= self.prefix;
        Some(())
    }

    fn open(&mut self, object: bool) -> Option<Expected> {
        let parent = self.graph.container(self.container);
        let depth = parent.depth + 1;
        if depth as usize > DEPTH_MAX {
            return None;
        }
        let top = self.container == ContainerId::OUTSIDE;
        let tracked = object && (top || self.prefix != 0);
        let bound = if top { Bound::NOTHING } else { self.bound };
        if bound.wanted() {
            let offset = u16::try_from(self.at).ok()?;
            self.graph.fresh_trees.push(Tree::Open { depth, offset });
        }
        let path = if !top && (tracked || bound.wanted()) { self.graph.path.as_str() } else { "" };
        let path = Box::from(path);
        let parent = self.container;
        let container = Container { parent, depth, object, tracked, path, bound };
        self.container = self.graph.intern_container(container)?;
        self.bound = Bound::NOTHING;
        self.prefix = 0;
        self.at += 1;
        Some(if object { Expected::FirstKey } else { Expected::FirstElement })
    }

    fn close(&mut self) -> Option<Expected> {
        let container = self.graph.container(self.container);
        let Container { parent, depth, object, bound, .. } = *container;
        if byte(self.bytes, self.at) != if object { b'}' } else { b']' } {
            return None;
        }
        self.at += 1;
        if bound.wanted() {
            let offset = u16::try_from(self.at).ok()?;
            self.graph.fresh_trees.push(Tree::Close { depth, offset, bound });
        }
        self.container = parent;
        Some(Expected::Separator)
    }

    fn scalar(&mut self, first: u8) -> Option<Fresh> {
        let (next, end) = match first {
            b'"' => (Next::Text, self.at + 1),
            b'-' if byte(self.bytes, self.at + 1) == b'I' => {
                (Next::Null, absent_end(self.bytes, self.at)?)
            }
            b'-' | b'0'..=b'9' => (Next::Number, self.at),
            _ => word(self.bytes, self.at)?,
        };
        let object = self.graph.container(self.container).object;
        let bound = if object { self.bound } else { Bound::NOTHING };
        Some(self.fresh(next, end, bound))
    }

    fn end(&mut self, byte: u8) -> Option<Fresh> {
        let end = match byte {
            b'\n' => self.at + 1,
            _ if self.at >= self.bytes.len() => self.bytes.len(),
            _ => return None,
        };
        Some(self.fresh(Next::End, end, Bound::NOTHING))
    }

    fn fresh(&self, next: Next, end: usize, bound: Bound) -> Fresh {
        let state = State::new(self.container, next == Next::Text);
        Fresh { len: end, next, state, bound, seen: self.seen }
    }
}
