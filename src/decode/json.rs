//! One JSON object a line, as loggers write it (RFC 8259). `walk` follows the learned line graph through a
//! block and needs no search for the newline; `read` takes one line and is exact for every line. Never
//! allocates once a shape is known, never recurses. Unit: one line.
//!
//! Every line that serde_json accepts as an object gives the same values here. A line that it refuses passes
//! only for a surrogate without its pair, which becomes U+FFFD, or a number beyond an f64, which stays text.

mod exact;
mod learn;

use super::escape;
use super::graph::{LineGraph, Next, Node, NodeId};
use super::scan::{byte, number_end, string_stop};
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
        let mut value = measure(graph.node(id), bytes, at);
        if value.is_none() {
            id = meet(graph, previous, bytes, at, wanted)?;
            value = measure_met(graph.node(id), bytes, at);
        }
        let node = graph.node(id);
        let value = value?;
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
            put(node, block, start, &value, into)?;
        }
        if node.next == Next::End {
            return Some(value.next);
        }
        at = value.next;
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

/// A value of the line, or its end.
struct Value {
    start: usize,
    end: usize,
    /// Where the next literal starts.
    next: usize,
    escaped: bool,
}

#[inline(always)]
fn measure(node: &Node, bytes: &[u8], at: usize) -> Option<Value> {
    let start = at + node.len as usize;
    let whole = |start, end| Some(Value { start, end, next: end, escaped: false });
    match node.next {
        Next::Text => {
            let end = string_stop(bytes, start);
            match byte(bytes, end) {
                b'"' => whole(start, end),
                b'\\' => escaped(bytes, start, end),
                _ => None,
            }
        }
        Next::Number => whole(start, number_end(bytes, start)?),
        Next::True | Next::Null => whole(start - 4, start),
        Next::False => whole(start - 5, start),
        // the literal holds the newline, unless it ends the block
        Next::End => {
            if node.newline || start >= bytes.len() {
                return whole(start, start);
            }
            None
        }
        Next::Word | Next::Never => None,
    }
}

#[cold]
#[inline(never)]
fn escaped(bytes: &[u8], start: usize, backslash: usize) -> Option<Value> {
    let end = escape::string_end(bytes, backslash)?;
    Some(Value { start, end, next: end, escaped: true })
}

#[cold]
#[inline(never)]
fn measure_met(node: &Node, bytes: &[u8], at: usize) -> Option<Value> {
    measure(node, bytes, at)
}

/// A literal that no recent successor is: looked up, or read by the grammar and learned.
#[inline(never)]
fn meet(
    graph: &mut LineGraph,
    previous: NodeId,
    bytes: &[u8],
    at: usize,
    wanted: &FieldTable,
) -> Option<NodeId> {
    let state = graph.node(previous).after;
    let literal = &bytes[at..learn::literal_end(bytes, at, state.quoted())?];
    let mut id = graph.find(state, literal);
    if id == NodeId::NONE {
        let fresh = learn::literal(graph, bytes, at, state, wanted)?;
        // an element of an array that a colon follows, as if it were a key
        if fresh.len != literal.len() {
            return None;
        }
        id = graph.learn(state, literal, &fresh)?;
    }
    graph.link(previous, id);
    Some(id)
}

/// Writes the value of a wanted key. `None`: it is null and takes back what the same key gave before, which
/// only the exact reading can.
#[inline(always)]
fn put(node: &Node, block: &str, start: usize, value: &Value, into: &mut Decoded) -> Option<()> {
    let kind = match node.next {
        Next::Text if value.escaped => {
            put_escaped(node, block, value, into);
            return Some(());
        }
        Next::Text => Kind::Text,
        Next::Number => Kind::Number,
        Next::True => Kind::True,
        Next::False => Kind::False,
        Next::Null => return (!node.bound.has_given(into)).then_some(()),
        Next::Word | Next::End | Next::Never => return Some(()),
    };
    node.bound.put(into, kind, Place::Line, (value.start - start, value.end - start));
    Some(())
}

#[cold]
fn put_escaped(node: &Node, block: &str, value: &Value, into: &mut Decoded) {
    let from = into.scratch.len();
    escape::undo(&block[value.start..value.end], &mut into.scratch);
    let span = (from, into.scratch.len());
    node.bound.put(into, Kind::Text, Place::Scratch, span);
}

#[cfg(test)]
mod tests;
