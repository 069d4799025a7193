//! `key=value key="quoted \"v\"" flag`: what Go's loggers, Heroku and many by hand write. A line is
//! logfmt when it starts with an identifier directly followed by `=` and has two pairs, or one
//! whose key is wanted. Shares the learned line graph with JSON; every value is text. Of two equal
//! keys the last one wins. Never allocates once a shape is known. Unit: one line.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use super::escape;
use super::graph::LineGraph;
use super::graph::node::{ContainerId, Fresh, Key, Next, Node, NodeId, State};
use super::scan::{byte, string_stop, word_stop};
use crate::record::field::{FieldId, FieldTable};
use crate::record::slots::{Entry, Kind, MASKED_MAX, Place};
use crate::record::{Decoded, Format};

/// Whether a line may be logfmt: an identifier and `=`. Cheap for every other format.
#[inline]
pub fn starts(line: &str) -> bool {
    let bytes = line.as_bytes();
    let end = key_end(bytes, 0);
    end > 0 && byte(bytes, end) == b'=' && !byte(bytes, 0).is_ascii_digit()
}

/// Decodes the logfmt line that starts at `start` in a block of whole lines, and returns the
/// position behind its end; the contract of [`super::json::walk`].
#[inline]
pub fn walk(
    block: &str,
    start: usize,
    wanted: &FieldTable,
    graph: &mut LineGraph,
    into: &mut Decoded,
) -> Option<usize> {
    into.clear();
    into.format = Format::Logfmt;
    let bytes = block.as_bytes();
    let mut text = bytes.get(start..)?;
    let whole = text.len();
    let mut previous = NodeId::LOGFMT;
    let mut pairs = 0usize;
    let mut any_wanted = false;
    loop {
        let mut id = graph.follow(previous, text);
        let mut node = graph.node(id);
        let (mut value, mut len, mut escaped) = (text, NO_VALUE, false);
        if let Some(behind) = text.get(node.len as usize..) {
            value = behind;
            len = value_len(node, value);
        }
        if len == NO_VALUE {
            Slow { id, len, escaped } =
                slow(graph, previous, id, &block[block.len() - text.len()..], wanted)?;
            node = graph.node(id);
            value = text.get(node.len as usize..)?;
        }
        if node.next == Next::End {
            return (pairs >= 2 || any_wanted).then_some(bytes.len() - value.len());
        }
        pairs += 1;
        any_wanted |= node.wanted | node.special;
        let from = whole - value.len();
        if node.special | escaped {
            special(node, &block[start..], (from, from + len), escaped, into);
        } else if node.wanted {
            let entry = Entry { start: from as u32, len: len as u32, ..node.entry };
            // special where it has no bit of its own
            into.slots.put(FieldId(node.field.0 % MASKED_MAX as u16), entry);
        }
        text = value.get(len..)?;
        previous = id;
    }
}

/// Decodes one line, or the first of several. `false`: it is no logfmt.
pub fn read(line: &str, wanted: &FieldTable, graph: &mut LineGraph, into: &mut Decoded) -> bool {
    starts(line) && walk(line, 0, wanted, graph, into).is_some()
}

/// The literal is not followed by what its node says, or only the slow way can tell.
const NO_VALUE: usize = usize::MAX;

/// The length of the value that `text` starts with, behind the literal of a node.
#[inline(always)]
fn value_len(node: &Node, text: &[u8]) -> usize {
    match node.next {
        Next::Word if byte(text, 0) != b'"' => word_stop(text, 0),
        Next::Text => {
            let len = string_stop(text, 0);
            if byte(text, len) == b'"' { len } else { NO_VALUE }
        }
        Next::End if node.newline || text.is_empty() => 0,
        _ => NO_VALUE,
    }
}

/// A value that the usual way left.
struct Slow {
    id: NodeId,
    len: usize,
    escaped: bool,
}

#[inline(never)]
fn slow(
    graph: &mut LineGraph,
    previous: NodeId,
    followed: NodeId,
    text: &str,
    wanted: &FieldTable,
) -> Option<Slow> {
    let mut id = followed;
    if graph.node(id).next != Next::Text {
        id = meet(graph, previous, text, wanted)?;
    }
    let node = graph.node(id);
    let value = text.as_bytes().get(node.len as usize..)?;
    let len = value_len(node, value);
    if len != NO_VALUE {
        return Some(Slow { id, len, escaped: false });
    }
    if node.next != Next::Text {
        return None;
    }
    Some(Slow { id, len: quoted_end(value)?, escaped: true })
}

/// The closing quote: loggers differ in what they escape, so that any escape passes, and a tab.
fn quoted_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at = string_stop(text, at);
        match byte(text, at) {
            b'"' => return Some(at),
            b'\\' if byte(text, at + 1) >= b' ' => at += 2,
            b'\t' => at += 1,
            _ => return None,
        }
    }
}

/// Values with escapes, or for two fields.
#[inline(never)]
fn special(node: &Node, line: &str, mut span: (usize, usize), escaped: bool, into: &mut Decoded) {
    let mut place = Place::Line;
    if escaped {
        let start = into.scratch.len();
        escape::undo(&line[span.0..span.1], &mut into.scratch);
        span = (start, into.scratch.len());
        place = Place::Scratch;
    }
    node.bound.put(into, Kind::Text, place, span);
}

fn meet(
    graph: &mut LineGraph,
    previous: NodeId,
    text: &str,
    wanted: &FieldTable,
) -> Option<NodeId> {
    let state = graph.node(previous).after;
    let bytes = text.as_bytes();
    let found = literal(bytes, state.quoted(), previous == NodeId::LOGFMT)?;
    let Found { next, key: (from, to), end, plain } = found;
    let key = Key::new(state, bytes, end);
    let mut id = graph.find(&key, bytes);
    if id == NodeId::NONE {
        graph.path.clear();
        graph.path.push_str(&text[from..to]);
        let (bound, _) = graph.look_up(wanted, false);
        let state = State::new(ContainerId::PAIRS, next == Next::Text);
        let fresh = Fresh { next, state, bound, seen: 0, len: end };
        graph.fresh_trees.clear();
        let literal = &bytes[..end];
        id = if plain {
            graph.learn(&key, literal, &fresh)?
        } else {
            graph.spare(&key, literal, &fresh)?
        };
    }
    // the end of a frame without a newline is no literal: as the usual successor it would stand everywhere
    if end > 0 {
        graph.link(previous, id, bytes);
    }
    Some(id)
}

/// What stands between two values.
struct Found {
    next: Next,
    /// Start and end of the key of the value that follows.
    key: (usize, usize),
    end: usize,
    /// There are no words without a value in it: those may be a message, and are not worth
    /// learning.
    plain: bool,
}

/// Blanks, words without a value, and a key with its `=`; or the line's end.
fn literal(bytes: &[u8], quoted: bool, first: bool) -> Option<Found> {
    let mut at = 0;
    let mut plain = true;
    if quoted {
        at += 1;
        if byte(bytes, at) > b' ' {
            return None;
        }
    }
    loop {
        while !first && matches!(byte(bytes, at), b' ' | b'\t' | b'\r') {
            at += 1;
        }
        if byte(bytes, at) == b'\n' {
            return Some(Found { next: Next::End, key: (at, at), end: at + 1, plain });
        }
        if at >= bytes.len() {
            let end = bytes.len();
            return Some(Found { next: Next::End, key: (end, end), end, plain });
        }
        let end = key_end(bytes, at);
        if end > at && byte(bytes, end) == b'=' {
            let text = byte(bytes, end + 1) == b'"';
            let next = if text { Next::Text } else { Next::Word };
            return Some(Found { next, key: (at, end), end: end + 1 + text as usize, plain });
        }
        let word = word_stop(bytes, at);
        if first || word == at {
            return None;
        }
        plain = false;
        at = word;
    }
}

/// The end of the identifier at `at`.
#[inline]
fn key_end(bytes: &[u8], mut at: usize) -> usize {
    while let b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'@' | b'/' | 0x80.. =
        byte(bytes, at)
    {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
