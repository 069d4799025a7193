//! `key=value key="quoted \"v\"" flag`: what Go's loggers, Heroku and many by hand write. A line is logfmt when
//! it starts with an identifier directly followed by `=` and has two pairs, or one whose key is wanted. Shares
//! the learned line graph with JSON; every value is text. Of two equal keys the last one wins.
//! Never allocates once a shape is known. Unit: one line.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use super::escape;
use super::graph::{Bound, ContainerId, Fresh, LineGraph, Next, Node, NodeId, State};
use super::scan::{byte, string_stop, word_stop};
use crate::record::field::FieldTable;
use crate::record::slots::{Kind, Place};
use crate::record::{Decoded, Format};

/// Whether a line may be logfmt: an identifier and `=`. Cheap for every other format.
#[inline]
pub fn starts(line: &str) -> bool {
    let bytes = line.as_bytes();
    let end = key_end(bytes, 0);
    end > 0 && byte(bytes, end) == b'=' && !byte(bytes, 0).is_ascii_digit()
}

/// Decodes the logfmt line that starts at `start` in a block of whole lines, and returns the position behind
/// its end; the contract of [`super::json::walk`].
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
    let mut previous = NodeId::LOGFMT;
    let mut pairs = 0usize;
    let mut any_wanted = false;
    let mut at = start;
    loop {
        let mut id = graph.follow(previous, bytes, at);
        let mut value = measure(graph.node(id), bytes, at);
        if value.is_none() {
            id = meet(graph, previous, bytes, at, wanted)?;
            value = measure_met(graph.node(id), bytes, at);
        }
        let node = graph.node(id);
        let (from, end) = value?;
        if node.next == Next::End {
            return (pairs >= 2 || any_wanted).then_some(end);
        }
        pairs += 1;
        if node.wanted {
            any_wanted = true;
            put(node, block, start, (from, end), into);
        }
        at = end;
        previous = id;
    }
}

/// Decodes one line, or the first of several. `false`: it is no logfmt.
pub fn read(line: &str, wanted: &FieldTable, graph: &mut LineGraph, into: &mut Decoded) -> bool {
    starts(line) && walk(line, 0, wanted, graph, into).is_some()
}

/// Start and end of the value behind a literal; the end is where the next literal starts.
#[inline(always)]
fn measure(node: &Node, bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at + node.len as usize;
    match node.next {
        Next::Word if byte(bytes, start) != b'"' => Some((start, word_stop(bytes, start))),
        Next::Text => {
            let end = string_stop(bytes, start);
            if byte(bytes, end) == b'"' {
                return Some((start, end));
            }
            Some((start, quoted_end(bytes, end)?))
        }
        Next::End if node.newline || start >= bytes.len() => Some((start, start)),
        _ => None,
    }
}

#[cold]
#[inline(never)]
fn measure_met(node: &Node, bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    measure(node, bytes, at)
}

/// The closing quote: loggers differ in what they escape, so that any escape passes, and a tab.
#[cold]
#[inline(never)]
fn quoted_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match byte(bytes, at) {
            b'"' => return Some(at),
            b'\\' if byte(bytes, at + 1) >= b' ' => at += 2,
            b'\t' => at += 1,
            _ => return None,
        }
        at = string_stop(bytes, at);
    }
}

#[inline(always)]
fn put(node: &Node, block: &str, start: usize, span: (usize, usize), into: &mut Decoded) {
    let (from, end) = span;
    if node.next == Next::Text && escaped(block.as_bytes(), from, end) {
        return put_escaped(node, block, span, into);
    }
    node.bound.put(into, Kind::Text, Place::Line, (from - start, end - start));
}

/// Whether the string has an escape: its first stop is not its end.
#[inline(always)]
fn escaped(bytes: &[u8], from: usize, end: usize) -> bool {
    string_stop(bytes, from) != end
}

#[cold]
#[inline(never)]
fn put_escaped(node: &Node, block: &str, (start, end): (usize, usize), into: &mut Decoded) {
    let from = into.scratch.len();
    escape::undo(&block[start..end], &mut into.scratch);
    node.bound.put(into, Kind::Text, Place::Scratch, (from, into.scratch.len()));
}

#[inline(never)]
fn meet(
    graph: &mut LineGraph,
    previous: NodeId,
    bytes: &[u8],
    at: usize,
    wanted: &FieldTable,
) -> Option<NodeId> {
    let state = graph.node(previous).after;
    let first = previous == NodeId::LOGFMT;
    let Found { next, key, end, plain } = literal(bytes, at, state.quoted(), first)?;
    let literal = &bytes[at..end];
    let mut id = graph.find(state, bytes, at, end);
    if id == NodeId::NONE {
        let bound = bound(graph, &bytes[key.0..key.1], wanted)?;
        let state = State::new(ContainerId::PAIRS, next == Next::Text);
        let fresh = Fresh { next, state, bound, seen: 0, len: literal.len() };
        graph.fresh_trees.clear();
        id = if plain {
            graph.learn(graph.node(previous).after, literal, &fresh)?
        } else {
            graph.spare(graph.node(previous).after, literal, &fresh)?
        };
    }
    graph.link(previous, id);
    Some(id)
}

fn bound(graph: &mut LineGraph, key: &[u8], wanted: &FieldTable) -> Option<Bound> {
    graph.path.clear();
    // a key ends at `=`, so that it is text again
    graph.path.push_str(std::str::from_utf8(key).ok()?);
    Some(graph.look_up(wanted, false).0)
}

/// What stands between two values.
struct Found {
    next: Next,
    /// Start and end of the key of the value that follows.
    key: (usize, usize),
    end: usize,
    /// There are no words without a value in it: those may be a message, and are not worth learning.
    plain: bool,
}

/// Blanks, words without a value, and a key with its `=`; or the line's end.
fn literal(bytes: &[u8], mut at: usize, quoted: bool, first: bool) -> Option<Found> {
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
