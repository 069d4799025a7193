//! Reads one JSON object per line, as loggers write it (RFC 8259). `walk` follows the learned line
//! graph through a block and needs no search for the newline; `read` takes one line and is exact
//! for every line. Neither allocates once a shape is known, and neither recurses. Unit: one line.
//!
//! A line that serde_json accepts as an object gives the same values here. A line that serde_json
//! refuses is accepted only because of a surrogate without its pair, which becomes U+FFFD, or a
//! number beyond an f64, which remains text.

pub(super) mod damaged;
pub mod exact;
mod learn;

use super::escape;
use super::graph::LineGraph;
use super::graph::node::{Key, Next, NodeId};
use super::graph::walk::{LiteralRead, NO_VALUE, value_len};
use super::scan::{byte, string_stop};
use crate::record::field::FieldTable;
use crate::record::{Decoded, Format};
use exact::Work;

/// Decodes the JSON line that starts at `start` in a block of whole lines, of which the last may
/// lack its end, and returns the position after it: after `\n` or `\r\n`, or the end of the block.
/// Positions in `into` count from `start`. Returns `None` if only the exact reader can decide: the
/// caller then finds the end of the line and passes the line to [`super::decode()`]. The line may
/// be longer than the caller's limit. After a `Some`, `into` has the same contents as after
/// `decode`.
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
    let walked = graph.walk(NodeId::JSON, block.get(start..)?, wanted, into, read_unknown)?;
    Some(block.len() - walked.left)
}

/// Decodes one line exactly. Returns `false` if it is not a JSON object; `into` then contains
/// nothing of it except scratch.
pub fn read(
    line: &str,
    wanted: &FieldTable,
    graph: &mut LineGraph,
    work: &mut Work,
    into: &mut Decoded,
) -> bool {
    // a walk that ends earlier found a newline, which is white space inside one frame
    walk(line, 0, wanted, graph, into) == Some(line.len()) || exact::read(line, wanted, work, into)
}

/// Returns where and why a line is not a JSON object: a byte offset and serde_json's message.
///
/// # Errors
/// The line is not a JSON object.
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
    if graph.node(id).next != Next::Text {
        id = unexpected(graph, previous, text, wanted)?;
    }
    let node = graph.node(id);
    let value = text.as_bytes().get(node.value as usize..)?;
    if node.next != Next::Text {
        let len = value_len(node, value);
        return (len != NO_VALUE).then_some(LiteralRead { id, len, escaped: false });
    }
    let plain = string_stop(value, 0);
    let len = if byte(value, plain) == b'"' { plain } else { escape::string_end(value, plain)? };
    graph.note_length(id, len);
    Some(LiteralRead { id, len, escaped: plain != len })
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
    let end = learn::literal_end(bytes, state.quoted())?;
    let key = Key::new(state, bytes, end);
    let mut id = graph.find(&key, bytes);
    if id == NodeId::NONE {
        let fresh = learn::literal(graph, text, state, wanted)?;
        // an element of an array with a colon after it, as if it were a key
        if fresh.len != end {
            return None;
        }
        id = graph.learn(&key, &bytes[..end], &fresh)?;
    }
    graph.link(previous, id, bytes);
    Some(id)
}

#[cfg(test)]
mod tests;
