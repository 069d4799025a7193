//! One JSON object a line, as loggers write it (RFC 8259). `walk` follows the learned line graph
//! through a block and needs no search for the newline; `read` takes one line and is exact for
//! every line. Never allocates once a shape is known, never recurses. Unit: one line.
//!
//! Every line that serde_json accepts as an object gives the same values here. A line that it
//! refuses passes only for a surrogate without its pair, which becomes U+FFFD, or a number beyond
//! an f64, which stays text.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

pub mod exact;
mod learn;

use super::escape;
use super::graph::LineGraph;
use super::graph::node::{Key, Next, Node, NodeId};
use super::scan::{byte, is_string, number_end, string_stop};
use crate::record::field::{FieldId, FieldTable};
use crate::record::slots::{Entry, MASKED_MAX, Place};
use crate::record::{Decoded, Format};
use exact::Work;

/// Decodes the JSON line that starts at `start` in a block of whole lines, of which the last may
/// lack its end, and returns the position behind it: behind `\n` or `\r\n`, or the block's end.
/// Positions in `into` count from `start`. `None` where this way cannot tell: the caller then finds
/// the line's end itself and hands the line to [`super::decode()`]. The line may be longer than the
/// caller's limit. What a `Some` leaves in `into` is what `decode` leaves there.
#[inline]
pub fn walk(
    block: &str,
    start: usize,
    wanted: &FieldTable,
    graph: &mut LineGraph,
    into: &mut Decoded,
) -> Option<usize> {
    into.clear();
    into.format = Format::Json;
    let bytes = block.as_bytes();
    // positions count from the start of the line: what is gone of `whole`
    let mut text = bytes.get(start..)?;
    let whole = text.len();
    let mut previous = NodeId::JSON;
    let mut seen = 0u64;
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
        // a key with keys below it, twice in one line: only the exact reading takes the first one
        // back
        if seen & node.seen != 0 {
            return None;
        }
        seen |= node.seen;
        let last = node.next == Next::End;
        let from = whole - value.len() - node.back as usize;
        let size = len + node.back as usize;
        if node.special | escaped {
            let found = Found { from, len: size, literal: whole - text.len(), escaped };
            special(graph, id, &block[start..], &found, into)?;
        } else if node.wanted {
            let entry = Entry { start: from as u32, len: size as u32, ..node.entry };
            // special where it has no bit of its own
            into.slots.put(FieldId(node.field.0 % MASKED_MAX as u16), entry);
        }
        if last {
            return Some(bytes.len() - value.len());
        }
        text = value.get(len..)?;
        previous = id;
    }
}

/// Decodes one line, exactly. `false`: it is no JSON object, and nothing of it is left in `into`
/// but scratch.
pub fn read(
    line: &str,
    wanted: &FieldTable,
    graph: &mut LineGraph,
    work: &mut Work,
    into: &mut Decoded,
) -> bool {
    // a walk that ends earlier has met a newline, which in one frame is white space
    walk(line, 0, wanted, graph, into) == Some(line.len()) || exact::read(line, wanted, work, into)
}

/// Where and why a line is no JSON object: a byte offset and serde_json's words.
///
/// # Errors
/// When it is none.
pub fn validate(line: &str) -> Result<(), (usize, String)> {
    let start = line.len() - line.trim_start_matches([' ', '\t', '\r', '\n']).len();
    if !line[start..].starts_with('{') {
        return Err((start, "expected an object".to_owned()));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(line).map(|_| ()).map_err(|error| {
        let lines = line.split_inclusive('\n').take(error.line().saturating_sub(1));
        let before: usize = lines.map(str::len).sum();
        let offset = (before + error.column().saturating_sub(1)).min(line.len());
        let text = error.to_string();
        let place = text.rfind(" at line ").unwrap_or(text.len());
        (offset, text[..place].to_owned())
    })
}

/// The literal is not followed by what its node says, or only the slow way can tell.
const NO_VALUE: usize = usize::MAX;

/// The length of the value that `text` starts with, behind the literal of a node.
#[inline(always)]
fn value_len(node: &Node, text: &[u8]) -> usize {
    if node.next == Next::Text {
        let fixed = node.fixed as usize;
        if fixed != 0 {
            return if is_string(text, fixed) { fixed } else { NO_VALUE };
        }
        let len = string_stop(text, 0);
        return if byte(text, len) == b'"' { len } else { NO_VALUE };
    }
    match node.next {
        Next::Number => number_end(text, 0).unwrap_or(NO_VALUE),
        Next::True | Next::False | Next::Null => 0,
        // the literal holds the newline, unless it ends the block
        Next::End if node.newline || text.is_empty() => 0,
        Next::Text | Next::End | Next::Word | Next::Never => NO_VALUE,
    }
}

/// A value that the usual way left.
struct Slow {
    id: NodeId,
    len: usize,
    escaped: bool,
}

/// What the usual way left: a literal that was not expected, a string with escapes, a string that
/// had one length until now.
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
    if node.next != Next::Text {
        let len = value_len(node, value);
        return (len != NO_VALUE).then_some(Slow { id, len, escaped: false });
    }
    let plain = string_stop(value, 0);
    let len = if byte(value, plain) == b'"' { plain } else { escape::string_end(value, plain)? };
    graph.note_length(id, len);
    Some(Slow { id, len, escaped: plain != len })
}

/// A literal that was not expected: looked up, or read by the grammar and learned.
fn meet(
    graph: &mut LineGraph,
    previous: NodeId,
    text: &str,
    wanted: &FieldTable,
) -> Option<NodeId> {
    let state = graph.node(previous).after;
    let bytes = text.as_bytes();
    let end = learn::literal_end(bytes, state.quoted())?;
    let key = Key::new(state, bytes, end);
    let mut id = graph.find(&key, bytes);
    if id == NodeId::NONE {
        let fresh = learn::literal(graph, text, state, wanted)?;
        // an element of an array that a colon follows, as if it were a key
        if fresh.len != end {
            return None;
        }
        id = graph.learn(&key, &bytes[..end], &fresh)?;
    }
    graph.link(previous, id, bytes);
    Some(id)
}

/// A value of the line, by positions in the line.
struct Found {
    from: usize,
    len: usize,
    literal: usize,
    escaped: bool,
}

/// Values that are not one text for one field. `None`: a null takes back what the same key gave
/// before, which only the exact reading can.
#[inline(never)]
fn special(
    graph: &mut LineGraph,
    id: NodeId,
    line: &str,
    found: &Found,
    into: &mut Decoded,
) -> Option<()> {
    let trees = graph.node(id).trees;
    if trees != 0 {
        graph.trees(trees, found.literal, into);
    }
    let node = graph.node(id);
    if !node.bound.wanted() {
        return Some(());
    }
    if node.next == Next::Null {
        return (!node.bound.has_given(into)).then_some(());
    }
    let mut span = (found.from, found.from + found.len);
    let mut place = Place::Line;
    if found.escaped {
        let start = into.scratch.len();
        escape::undo(&line[span.0..span.1], &mut into.scratch);
        span = (start, into.scratch.len());
        place = Place::Scratch;
    }
    node.bound.put(into, node.entry.kind, place, span);
    Some(())
}

#[cfg(test)]
mod tests;
