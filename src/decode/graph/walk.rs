//! Walks through a line, JSON or logfmt, from literal to literal along the learned graph. `run` is
//! the fast path. It continues while each literal is the expected one (or the one that last matched
//! at this position) and a plain value follows. It is one loop that calls almost nothing, so that
//! its state stays in registers. At anything else it stops, and `step` continues by one literal and
//! calls the reader of the format for what the graph does not know yet. Unit: one line.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use super::LineGraph;
use super::node::{Next, Node, NodeId};
use crate::decode::escape;
use crate::decode::scan::{STEP, byte, is_string, is_word, number_end, string_stop, word_stop};
use crate::record::Decoded;
use crate::record::field::FieldTable;
use crate::record::slots::{Entry, Place, Slots};

/// The function of a format that reads what the graph does not know: a literal that was not
/// expected, a string with escapes, a value that had one length until now. It gets the previous
/// node, the next node if the graph knows it, and the rest of the block. Returns `None` if only the
/// exact reader can decide.
pub(crate) type Meet = fn(&mut LineGraph, NodeId, NodeId, &str, wanted: &FieldTable) -> Option<Met>;

/// A literal and the length of the value after it.
pub(crate) struct Met {
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

/// The position of a walk: after the value of a node, with the rest of the block.
#[derive(Clone, Copy)]
struct Stand<'a> {
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
        meet: Meet,
    ) -> Option<Walked> {
        let mut stand = Stand { previous: from, text: block.as_bytes(), seen: 0, values: 0 };
        loop {
            let ended = self.run(&mut stand, block.len(), &mut into.slots);
            if ended || self.step(&mut stand, block, wanted, into, meet)? {
                return Some(Walked { left: stand.text.len(), values: stand.values });
            }
        }
    }

    /// Walks as far as the fast path leads; returns `true` at the end of the line. Positions count
    /// from the point at which `whole` bytes of the block remained.
    #[inline(always)]
    fn run(&mut self, stand: &mut Stand<'_>, whole: usize, slots: &mut Slots) -> bool {
        let Stand { mut previous, mut text, mut seen, mut values } = *stand;
        let mut present = slots.present;
        let mut next = self.node(previous).successor;
        let ended = loop {
            let Some(window) = text.first_chunk::<STEP>() else { break false };
            let window = u128::from_le_bytes(*window);
            let mut node = self.node(next);
            if !self.stands(node, window, text) {
                next = self.follow_hint(previous, window, text);
                node = self.node(next);
            }
            let Some(value) = text.get(node.value as usize..) else { break false };
            if !node.quick || (node.seen != 0 && seen & node.seen != 0) {
                break false;
            }
            if node.next == Next::End {
                text = value;
                break true;
            }
            let len = value_len(node, value);
            let Some(behind) = value.get(len..) else { break false };
            if node.wanted {
                let start = (whole - value.len()) as u32;
                let entry = Entry { start, len: len as u32, ..node.entry };
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
        *stand = Stand { previous, text, seen, values };
        ended
    }

    /// Reads one literal and its value; returns `true` at the end of the line.
    #[inline(never)]
    fn step(
        &mut self,
        stand: &mut Stand<'_>,
        block: &str,
        wanted: &FieldTable,
        into: &mut Decoded,
        meet: Meet,
    ) -> Option<bool> {
        let literal = block.len() - stand.text.len();
        let mut id = self.follow(stand.previous, stand.text);
        let node = self.node(id);
        let value = stand.text.get(node.value as usize..);
        let (mut len, mut escaped) = (value.map_or(NO_VALUE, |text| value_len(node, text)), false);
        if len == NO_VALUE {
            Met { id, len, escaped } = meet(self, stand.previous, id, &block[literal..], wanted)?;
        }
        let node = self.node(id);
        let value = stand.text.get(node.value as usize..)?;
        // a key with keys below it, twice in one line: only the exact reader can take back the
        // first
        if stand.seen & node.seen != 0 {
            return None;
        }
        stand.seen |= node.seen;
        let ended = node.next == Next::End;
        let from = block.len() - value.len();
        if node.special | escaped {
            let found = Found { literal, span: (from, from + len), escaped };
            self.special(id, block, &found, into)?;
        } else if node.wanted {
            let (start, len) = (from as u32, len as u32);
            into.slots.put(node.field, Entry { start, len, ..node.entry });
        }
        stand.text = value.get(len..)?;
        stand.previous = id;
        stand.values += usize::from(!ended);
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
        let (mut span, mut place) = (found.span, Place::Line);
        if found.escaped {
            let start = into.scratch.len();
            escape::undo(&block[span.0..span.1], &mut into.scratch);
            span = (start, into.scratch.len());
            place = Place::Scratch;
        }
        node.bound.put(into, node.entry.kind, place, span);
        Some(())
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
