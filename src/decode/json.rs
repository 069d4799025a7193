//! One JSON object a line, as loggers write it (RFC 8259). `walk` follows the learned line graph through a
//! block and needs no search for the newline; `read` takes one line and is exact for every line. Never
//! allocates once a shape is known, never recurses. Unit: one line.
//!
//! Every line that serde_json accepts as an object gives the same values here. A line that it refuses passes
//! only for a surrogate without its pair, which becomes U+FFFD, or a number beyond an f64, which stays text.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

mod exact;
mod learn;

use super::escape;
use super::graph::{LineGraph, Next, Node, NodeId};
use super::scan::{byte, is_string, number_end, string_stop};
use crate::record::field::FieldTable;
use crate::record::slots::{Kind, Place};
use crate::record::{Decoded, Format};

pub use exact::Work;

/// Decodes the JSON line that starts at `start` in a block of whole lines, of which the last may lack its end,
/// and returns the position behind it: behind `\n` or `\r\n`, or the block's end. Positions in `into` count from
/// `start`. `None` where this way cannot tell: the caller then finds the line's end itself and hands the
/// line to [`super::decode`]. What a `Some` leaves in `into` is what `decode` leaves there.
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
    let mut previous = NodeId::JSON;
    let mut seen = 0u64;
    let mut at = start;
    loop {
        let mut id = graph.follow(previous, bytes, at);
        let mut end = value_end(graph.node(id), bytes, at);
        let mut escaped = false;
        if end == NO_VALUE {
            Slow { id, end, escaped } = slow(graph, previous, id, block, at, wanted)?;
        }
        let node = graph.node(id);
        // a key with keys below it, twice in one line: only the exact reading takes the first one back
        if seen & node.seen != 0 {
            return None;
        }
        seen |= node.seen;
        if node.trees != 0 {
            graph.trees(node.trees, at - start, into);
        }
        let node = graph.node(id);
        if node.wanted {
            let from = at + node.len as usize;
            if escaped {
                put_escaped(node, block, (from, end), into);
            } else {
                put(node, start, (from, end), into)?;
            }
        }
        if node.next == Next::End {
            return Some(end);
        }
        at = end;
        previous = id;
    }
}

/// Decodes one line, exactly. `false`: it is no JSON object, and nothing of it is left in `into` but scratch.
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

/// The end of the value behind the literal at `at`, which is where the next literal starts.
#[inline(always)]
fn value_end(node: &Node, bytes: &[u8], at: usize) -> usize {
    let start = at + node.len as usize;
    match node.next {
        Next::Text if node.fixed != 0 => {
            let len = node.fixed as usize;
            if is_string(bytes, start, len) { start + len } else { NO_VALUE }
        }
        Next::Text => {
            let end = string_stop(bytes, start);
            if byte(bytes, end) == b'"' { end } else { NO_VALUE }
        }
        Next::Number => number_end(bytes, start).unwrap_or(NO_VALUE),
        Next::True | Next::False | Next::Null => start,
        // the literal holds the newline, unless it ends the block
        Next::End if node.newline || start >= bytes.len() => start,
        Next::End | Next::Word | Next::Never => NO_VALUE,
    }
}

/// A value that the usual way left.
struct Slow {
    id: NodeId,
    end: usize,
    escaped: bool,
}

/// What the usual way left: another literal than the recent ones, a string with escapes, a string that had
/// one length until now.
#[cold]
#[inline(never)]
fn slow(
    graph: &mut LineGraph,
    previous: NodeId,
    followed: NodeId,
    block: &str,
    at: usize,
    wanted: &FieldTable,
) -> Option<Slow> {
    let bytes = block.as_bytes();
    let mut id = followed;
    if graph.node(id).next != Next::Text {
        id = meet(graph, previous, bytes, at, wanted)?;
    }
    let node = graph.node(id);
    let start = at + node.len as usize;
    if node.next != Next::Text {
        let end = value_end(node, bytes, at);
        return (end != NO_VALUE).then_some(Slow { id, end, escaped: false });
    }
    let plain = string_stop(bytes, start);
    let end = escape::string_end(bytes, plain)?;
    graph.note_length(id, end - start);
    Some(Slow { id, end, escaped: plain != end })
}

/// A literal that no recent successor is: looked up, or read by the grammar and learned.
fn meet(
    graph: &mut LineGraph,
    previous: NodeId,
    bytes: &[u8],
    at: usize,
    wanted: &FieldTable,
) -> Option<NodeId> {
    let state = graph.node(previous).after;
    let end = learn::literal_end(bytes, at, state.quoted())?;
    let mut id = graph.find(state, bytes, at, end);
    if id == NodeId::NONE {
        let fresh = learn::literal(graph, bytes, at, state, wanted)?;
        // an element of an array that a colon follows, as if it were a key
        if fresh.len != end - at {
            return None;
        }
        id = graph.learn(state, &bytes[at..end], &fresh)?;
    }
    graph.link(previous, id);
    Some(id)
}

/// Writes the value of a wanted key. `None`: it is null and takes back what the same key gave before, which
/// only the exact reading can.
#[inline(always)]
fn put(node: &Node, start: usize, (from, end): (usize, usize), into: &mut Decoded) -> Option<()> {
    let (kind, from) = match node.next {
        Next::Text => (Kind::Text, from),
        Next::Number => (Kind::Number, from),
        Next::True => (Kind::True, from - 4),
        Next::False => (Kind::False, from - 5),
        Next::Null => return (!node.bound.has_given(into)).then_some(()),
        Next::Word | Next::End | Next::Never => return Some(()),
    };
    node.bound.put(into, kind, Place::Line, (from - start, end - start));
    Some(())
}

#[cold]
#[inline(never)]
fn put_escaped(node: &Node, block: &str, (from, end): (usize, usize), into: &mut Decoded) {
    let start = into.scratch.len();
    escape::undo(&block[from..end], &mut into.scratch);
    let span = (start, into.scratch.len());
    node.bound.put(into, Kind::Text, Place::Scratch, span);
}

#[cfg(test)]
mod tests;
