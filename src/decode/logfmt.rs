//! Reads `key=value key="quoted \"v\"" flag`, as Go's loggers, Heroku and many programs write it. A
//! line is logfmt if it starts with an identifier directly followed by `=` and has two pairs, or
//! one pair with a wanted key. The reader shares the learned line graph with JSON; every value is
//! text. Of two equal keys the last one wins. It does not allocate once a shape is known. Unit: one
//! line.

use super::graph::LineGraph;
use super::graph::node::{ContainerId, Fresh, Key, Next, NodeId, State};
use super::graph::walk::{LiteralRead, NO_VALUE, value_len};
use super::scan::{byte, string_stop, word_stop};
use crate::record::field::FieldTable;
use crate::record::{Decoded, Format};

/// Returns whether a line may be logfmt: an identifier and `=`. Cheap for every other format.
#[inline]
pub fn starts(line: &str) -> bool {
    let bytes = line.as_bytes();
    let end = key_end(bytes, 0);
    end > 0 && byte(bytes, end) == b'=' && !byte(bytes, 0).is_ascii_digit()
}

/// Decodes the logfmt line that starts at `start` in a block of whole lines, and returns the
/// position after its end; the contract is that of [`super::json::walk`].
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
    let block_here = block.get(start..)?;
    let Some(walked) = graph.walk(NodeId::LOGFMT, block_here, wanted, into, read_unknown) else {
        return into.decline(into.decline.at, "`key=value` pairs up to the end");
    };
    let any_wanted = into.slots.present != 0 || !into.slots.extended().is_empty();
    let end = block.len() - walked.left;
    if walked.values < 2 && !any_wanted {
        return into.decline(end - start, "a second pair, or a key that sidelight knows");
    }
    Some(end)
}

/// Decodes one line, or the first of several. Returns `false` if it is not logfmt.
pub fn read(line: &str, wanted: &FieldTable, graph: &mut LineGraph, into: &mut Decoded) -> bool {
    if !starts(line) {
        let at = key_end(line.as_bytes(), 0);
        return into.decline::<()>(at, "a key and `=`").is_some();
    }
    walk(line, 0, wanted, graph, into).is_some()
}

/// Reads what the graph does not know: see [`LiteralRead`].
#[inline(never)]
fn read_unknown(
    graph: &mut LineGraph,
    previous: NodeId,
    followed: NodeId,
    text: &str,
    wanted: &FieldTable,
) -> Option<LiteralRead> {
    let mut id = followed;
    let quoted = |id: NodeId, graph: &LineGraph| {
        let value = text.as_bytes().get(graph.node(id).value as usize..)?;
        Some((value, byte(value, 0) == b'"'))
    };
    let known = match graph.node(id).next {
        Next::Text => true,
        Next::Word => !quoted(id, graph)?.1,
        _ => false,
    };
    if !known {
        id = unexpected(graph, previous, text, wanted)?;
    }
    let (value, starts_quoted) = quoted(id, graph)?;
    let (len, escaped) = match graph.node(id).next {
        Next::Text => {
            let plain = string_stop(value, 0);
            if byte(value, plain) == b'"' { (plain, false) } else { (quoted_end(value)?, true) }
        }
        Next::Word if starts_quoted => return None,
        Next::Word => (word_stop(value, 0), false),
        _ => {
            let len = value_len(graph.node(id), value);
            return (len != NO_VALUE).then_some(LiteralRead { id, len, escaped: false });
        }
    };
    graph.note_length(id, len);
    Some(LiteralRead { id, len, escaped })
}

/// Finds the closing quote. Loggers differ in what they escape, so any escape and a tab are
/// accepted.
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

/// Reads a literal that was not expected: looks it up, or parses and learns it.
fn unexpected(
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
    // the end of a frame without a newline is no literal: as the usual successor it would match
    // everywhere
    if end > 0 {
        graph.link(previous, id, bytes);
    }
    Some(id)
}

/// The text between two values.
struct Found {
    next: Next,
    /// Start and end of the key of the value that follows.
    key: (usize, usize),
    end: usize,
    /// The literal contains no words without a value: such words may be a message, and are not
    /// worth learning.
    plain: bool,
}

/// Reads blanks, words without a value, and a key with its `=`, or the end of the line.
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

/// Returns the end of the identifier at `at`.
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
