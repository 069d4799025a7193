//! The way through a line, for JSON and logfmt alike: from literal to literal along the learned
//! graph. `run` is the quick way, taken as long as each literal is the expected one (or one that
//! was last met at its place) and a plain value follows it: one loop that calls next to nothing, so
//! that its state stays in registers. At whatever else it meets it stops, and `step` goes on by one
//! literal, asking the format's own reader for what the graph does not know yet. Unit: one line.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use super::LineGraph;
use super::node::{Next, Node, NodeId};
use crate::decode::escape;
use crate::decode::scan::{STEP, byte, is_string, is_word, number_end, string_stop, word_stop};
use crate::record::Decoded;
use crate::record::field::FieldTable;
use crate::record::slots::{Entry, Place, Slots};

/// What a format reads itself: a literal that was not expected, a string with escapes, a value that
/// had one length until now. It is given the node before, the one that follows as far as the graph
/// knows, and what is left of the block. `None` where this way cannot tell.
pub(crate) type Meet = fn(&mut LineGraph, NodeId, NodeId, &str, wanted: &FieldTable) -> Option<Met>;

/// A literal and the length of the value behind it.
pub(crate) struct Met {
    pub(crate) id: NodeId,
    pub(crate) len: usize,
    pub(crate) escaped: bool,
}

/// A line that was walked to its end.
pub(crate) struct Walked {
    /// How many bytes of the block are left behind it.
    pub(crate) left: usize,
    /// How many values it has.
    pub(crate) values: usize,
}

/// The literal is not followed by what its node says, or only the slow way can tell.
pub(crate) const NO_VALUE: usize = usize::MAX;

/// Where a walk stands: behind the value of a node, with what is left of the block.
#[derive(Clone, Copy)]
struct Stand<'a> {
    previous: NodeId,
    text: &'a [u8],
    /// Keys with further keys below them that the line named, a bit each.
    seen: u64,
    values: usize,
}

impl LineGraph {
    /// Walks over the line that `block` starts with, from the node that stands for the start of its
    /// format. Positions in `into` count from there. `None` where the line is none of the format,
    /// or where only an exact reading can tell.
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

    /// Goes on as far as the quick way leads; `true` at the line's end. Positions count from where
    /// `whole` bytes of the block were left.
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

    /// One literal and its value; `true` at the line's end.
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
        // a key with keys below it, twice in one line: only the exact reading takes the first one
        // back
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

    /// Values that are not one text for one field. `None`: a null, or a value of a kind that the
    /// field does not take, takes back what the same key gave before, which only the exact reading
    /// can.
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

/// A value of the line, by positions in the line.
struct Found {
    literal: usize,
    span: (usize, usize),
    escaped: bool,
}

/// The length of the value that `text` starts with, behind the literal of a node; [`NO_VALUE`]
/// where there is none.
#[inline(always)]
pub(crate) fn value_len(node: &Node, text: &[u8]) -> usize {
    let fixed = node.fixed as usize;
    // ahead of the others, which a table tells apart: nearly all are strings
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
        // the literal holds the newline, unless it ends the block
        Next::End if node.newline || text.is_empty() => 0,
        Next::Text | Next::Word | Next::End | Next::Never => NO_VALUE,
    }
}
