//! Walks through a line, JSON or logfmt, from literal to literal along the learned graph. `run` is
//! the fast path. It continues while each literal is the expected one (or the one that last matched
//! at this position) and a plain value follows. It is one loop that calls almost nothing, so that
//! its state stays in registers. At anything else it stops, and `step` continues by one literal and
//! calls the reader of the format for what the graph does not know yet. Unit: one line.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use super::LineGraph;
use super::node::{Next, Node, NodeId, hint};
use crate::decode::escape;
use crate::decode::scan::{
    STEP, byte, is_string, is_word, number_end, string_stop, window, word_stop,
};
use crate::record::Decoded;
use crate::record::field::FieldTable;
use crate::record::slots::{SlotValue, Slots, ValueBuffer};

/// The function of a format that reads what the graph does not know: a literal that was not
/// expected, a string with escapes, a value that had one length until now. It gets the previous
/// node, the next node if the graph knows it, and the rest of the block. Returns `None` if only the
/// exact reader can decide.
pub(crate) type ReadUnknown =
    fn(&mut LineGraph, NodeId, NodeId, &str, wanted: &FieldTable) -> Option<LiteralRead>;

/// A literal and the length of the value after it.
pub(crate) struct LiteralRead {
    pub(crate) id: NodeId,
    pub(crate) len: usize,
    pub(crate) escaped: bool,
}

/// A line that was walked to its end.
pub(crate) struct Walked {
    /// How many bytes of the block remain after it.
    pub(crate) left: usize,
    /// How many values it has.
    pub(crate) values: usize,
}

/// Returned if the value that the node describes does not follow the literal, or only the slow path
/// can decide.
pub(crate) const NO_VALUE: usize = usize::MAX;

/// After this many mismatches of the usual successor, the node that matched replaces it.
const UNUSUAL_MAX: u8 = 16;

/// The position of a walk: after the value of a node, with the rest of the block.
#[derive(Clone, Copy)]
struct Position<'a> {
    previous: NodeId,
    text: &'a [u8],
    /// One bit for each key of the line that has further keys below it.
    seen: u64,
    values: usize,
}

impl LineGraph {
    /// Walks over the line with which `block` starts, from the start node of its format. Positions
    /// in `into` count from the start of `block`. Returns `None` if the line is not valid in the
    /// format, or if only the exact reader can decide.
    #[inline]
    pub(crate) fn walk(
        &mut self,
        from: NodeId,
        block: &str,
        wanted: &FieldTable,
        into: &mut Decoded,
        read_unknown: ReadUnknown,
    ) -> Option<Walked> {
        let mut position = Position { previous: from, text: block.as_bytes(), seen: 0, values: 0 };
        loop {
            let ended = self.run(&mut position, block.len(), &mut into.slots);
            let ended = ended
                || match self.step(&mut position, block, wanted, into, read_unknown) {
                    Some(ended) => ended,
                    None => {
                        into.decline.at = block.len() - position.text.len();
                        return None;
                    }
                };
            if ended {
                return Some(Walked { left: position.text.len(), values: position.values });
            }
        }
    }

    /// Walks as far as the fast path leads; returns `true` at the end of the line. Positions count
    /// from the point at which `whole` bytes of the block remained.
    #[inline(always)]
    fn run(&mut self, position: &mut Position<'_>, whole: usize, slots: &mut Slots) -> bool {
        let Position { mut previous, mut text, mut seen, mut values } = *position;
        let mut present = slots.present;
        let mut next = self.node(previous).successor;
        let ended = loop {
            let Some(window) = text.first_chunk::<STEP>() else { break false };
            let window = u128::from_le_bytes(*window);
            let mut node = self.node(next);
            if !self.matches(node, window, text) {
                next = self.follow_hint(previous, window, text);
                node = self.node(next);
            }
            let Some(value) = text.get(node.value as usize..) else { break false };
            if !node.quick || (node.seen != 0 && seen & node.seen != 0) {
                break false;
            }
            debug_assert_eq!(node.before, self.node(previous).after, "the grammar's state");
            if node.next == Next::End {
                text = value;
                break true;
            }
            let len = value_len(node, value);
            let Some(behind) = value.get(len..) else { break false };
            if node.wanted {
                let start = (whole - value.len()) as u32;
                let entry = SlotValue { start, len: len as u32, ..node.entry };
                slots.put_into(&mut present, node.field, entry);
            }
            if node.seen != 0 {
                seen |= node.seen;
            }
            text = behind;
            previous = next;
            next = node.successor;
            values += 1;
        };
        slots.present = present;
        *position = Position { previous, text, seen, values };
        ended
    }

    /// Reads one literal and its value; returns `true` at the end of the line.
    #[inline(never)]
    fn step(
        &mut self,
        position: &mut Position<'_>,
        block: &str,
        wanted: &FieldTable,
        into: &mut Decoded,
        read_unknown: ReadUnknown,
    ) -> Option<bool> {
        let literal = block.len() - position.text.len();
        let mut id = self.follow(position.previous, position.text);
        let node = self.node(id);
        let value = position.text.get(node.value as usize..);
        let (mut len, mut escaped) = (value.map_or(NO_VALUE, |text| value_len(node, text)), false);
        if len == NO_VALUE {
            LiteralRead { id, len, escaped } =
                read_unknown(self, position.previous, id, &block[literal..], wanted)?;
        }
        let node = self.node(id);
        let value = position.text.get(node.value as usize..)?;
        // a key with keys below it, twice in one line: only the exact reader can take back the
        // first
        if position.seen & node.seen != 0 {
            return None;
        }
        position.seen |= node.seen;
        let ended = node.next == Next::End;
        let from = block.len() - value.len();
        if node.special | escaped {
            let found = Found { literal, span: (from, from + len), escaped };
            self.special(id, block, &found, into)?;
        } else if node.wanted {
            let (start, len) = (from as u32, len as u32);
            into.slots.put(node.field, SlotValue { start, len, ..node.entry });
        }
        position.text = value.get(len..)?;
        position.previous = id;
        position.values += usize::from(!ended);
        Some(ended)
    }

    /// Writes values that need more than one text for one field. Returns `None` for a null, or a
    /// value of a kind that the field does not accept: it takes back what the same key gave before,
    /// which only the exact reader can do.
    fn special(
        &mut self,
        id: NodeId,
        block: &str,
        found: &Found,
        into: &mut Decoded,
    ) -> Option<()> {
        let trees = self.node(id).trees;
        if trees != 0 {
            self.trees(trees, found.literal, into)?;
        }
        let node = self.node(id);
        if !node.bound.wanted() {
            return Some(());
        }
        let is_absent = node.next == Next::Null;
        if (is_absent || node.bound.refuses(node.entry.kind)) && node.bound.has_given(into) {
            return None;
        }
        if is_absent {
            return Some(());
        }
        let (mut span, mut buffer) = (found.span, ValueBuffer::Line);
        if found.escaped {
            let start = into.scratch.len();
            escape::undo(&block[span.0..span.1], &mut into.scratch);
            span = (start, into.scratch.len());
            buffer = ValueBuffer::Scratch;
        }
        node.bound.put(into, node.entry.kind, buffer, span);
        Some(())
    }
}

impl LineGraph {
    /// Returns the node after `previous` that has the literal with which `text` starts: the usual
    /// successor, or the node that last matched here with these first bytes. Returns
    /// [`NodeId::NONE`] if neither matches.
    #[inline(always)]
    pub(crate) fn follow(&mut self, previous: NodeId, text: &[u8]) -> NodeId {
        let usual = self.node(previous).successor;
        let Some(window) = text.first_chunk::<STEP>() else {
            return self.follow_at_end(previous, text);
        };
        let window = u128::from_le_bytes(*window);
        if self.matches(self.node(usual), window, text) {
            return usual;
        }
        self.follow_hint(previous, window, text)
    }

    #[inline(never)]
    fn follow_hint(&mut self, previous: NodeId, window: u128, text: &[u8]) -> NodeId {
        let state = self.node(previous).after;
        let id = self.hints[hint(state, window)];
        if self.node(id).before != state || !self.matches(self.node(id), window, text) {
            return NodeId::NONE;
        }
        let node = &mut self.nodes[previous.0 as usize];
        node.unusual = node.unusual.wrapping_add(1);
        if node.unusual.is_multiple_of(UNUSUAL_MAX) {
            node.successor = id;
        }
        id
    }

    /// Follows the last literal of a block, which may be shorter than a window.
    #[inline(never)]
    fn follow_at_end(&self, previous: NodeId, text: &[u8]) -> NodeId {
        let window = window(text, 0);
        let Node { successor, after, .. } = *self.node(previous);
        for id in [successor, self.hints[hint(after, window)]] {
            let node = self.node(id);
            let here = node.before == after && node.len as usize <= text.len();
            if here && self.matches(node, window, text) {
                return id;
            }
        }
        NodeId::NONE
    }

    #[inline(always)]
    fn matches(&self, node: &Node, window: u128, text: &[u8]) -> bool {
        (window ^ node.head) & node.mask == 0
            && (node.len as usize <= STEP || self.matches_long(node, text))
    }

    /// Compares the bytes of a literal beyond the first 16.
    #[inline(always)]
    fn matches_long(&self, node: &Node, text: &[u8]) -> bool {
        let len = node.len as usize;
        let Some(tail) = text.get(..len).and_then(|literal| literal.last_chunk::<STEP>()) else {
            return false;
        };
        u128::from_le_bytes(*tail) == node.tail
            && (len <= 2 * STEP || self.literal(node) == text.get(..len))
    }

    #[inline(never)]
    pub(super) fn literal(&self, node: &Node) -> Option<&[u8]> {
        let start = node.literal as usize;
        self.literals.get(start..start + node.len as usize)
    }

    #[inline(always)]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// A value of the line: its start and end.
struct Found {
    literal: usize,
    span: (usize, usize),
    escaped: bool,
}

/// Returns the length of the value with which `text` starts, after the literal of a node;
/// [`NO_VALUE`] if there is none.
#[inline(always)]
pub(crate) fn value_len(node: &Node, text: &[u8]) -> usize {
    let fixed = node.fixed as usize;
    // before the other kinds, which a jump table selects: nearly all values are strings
    if node.text {
        if fixed != 0 {
            return if is_string(text, fixed) { fixed } else { NO_VALUE };
        }
        let len = string_stop(text, 0);
        return if byte(text, len) == b'"' { len } else { NO_VALUE };
    }
    match node.next {
        Next::Word if byte(text, 0) == b'"' => NO_VALUE,
        Next::Word if fixed == 0 => word_stop(text, 0),
        Next::Word if is_word(text, fixed) => fixed,
        Next::Number => number_end(text, 0).unwrap_or(NO_VALUE),
        Next::True | Next::False | Next::Null => node.word as usize,
        // the literal contains the newline, unless it ends the block
        Next::End if node.newline || text.is_empty() => 0,
        Next::Text | Next::Word | Next::End | Next::Never => NO_VALUE,
    }
}
