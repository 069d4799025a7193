//! The learned line graph: what a data thread knows about the shapes of its lines. It is bounded,
//! it never changes what a line means, and it holds for one `FieldTable` only. Unit: one node.
//!
//! A node is the literal between two values in one state, and what follows it: the kind of the
//! value, its field, the state behind it, and the node that usually comes next (its successor). An
//! edge is that successor.
//!
//! ```text
//!   {"level":"info","status":200,"x":{"y":true}}\n
//!
//!  (start) --> [ {"level":" ]--text-->[ ","status": ]--number-->[ ,"x":{"y":true ]-->[ }}\n ]
//!   node JSON    node 4  SEVERITY       node 5  HTTP_STATUS        node 6  nobody     node 7
//!                   |                      ^     |                                    the end
//!                   |     also met         |     |  also met
//!                   +--->[ ","path":" ]----+     +--->[ }\n ]
//!                         node 8, by a hint
//! ```
//!
//! One step of the walk, at node 4 with `","status":200,...` ahead of it:
//!
//! 1. The first 16 bytes ahead are compared with those of the successor, node 5, under its mask.
//!    Equal, or the hint for these bytes is asked: a table from (state, first 8 bytes) to the node
//!    last met there.
//! 2. A literal longer than 16 bytes is compared by its last 16 bytes as well, and one longer than
//!    32 whole.
//! 3. The value behind it must be what the node says: a number that ends where a number ends, a
//!    string without an escape up to its quote. Its position goes into the slot of the node's field;
//!    its bytes are not read.
//! 4. A key that has further keys below it has a bit; met twice in a line, the walk gives up.
//!
//! Where a check fails, `walk::step` asks the format's own grammar for one literal. The grammar
//! proves that the literal is right in this state, and it becomes a node; its bytes need no second
//! proof in the same state, because the state holds all that the grammar depends on: the open
//! container, and whether a quote is open. Where there is no room for a node, it is held until the
//! next one only (`SPARE`).
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

pub(crate) mod node;
pub(crate) mod walk;

use super::scan::{FIXED_MAX, FIXED_MIN, STEP, window};
use crate::record::Decoded;
use crate::record::field::FieldTable;
use crate::record::slots::{Kind, Place};
use node::{Bound, Container, ContainerId, Fresh, Key, Node, NodeId, State, Tree};
use std::fmt;

/// Nodes: some fifty line shapes of twelve keys with their variants, in 128 KiB.
pub(crate) const NODES_MAX: usize = 1024;
/// Containers (objects and arrays by where they stand); real shapes have a handful.
const CONTAINERS_MAX: usize = 256;
/// A longer literal is walked, not learned: it bounds what is kept to 256 KiB.
const LITERAL_MAX: usize = 256;
/// Objects below this depth are not addressed.
pub(crate) const DEPTH_MAX: usize = 32;
/// Cells of the table: a power of two, at most half full.
const CELLS: usize = 2 * NODES_MAX;
/// Cells looked at for one literal; a literal that finds no room in them is not learned, so that
/// nobody can make a lookup long by choosing keys that collide.
const PROBES_MAX: usize = 8;

/// Places for hints: a few for every key of the lines at hand, in 1 KiB.
const HINTS: usize = 512;
/// After so many others in the place of the usual successor, the next one becomes it.
const UNUSUAL_MAX: u8 = 16;
/// Literals that found no room before all is forgotten and learned anew: an application that was
/// replaced gets its own shapes, and one with ever new keys pays a hundredth more.
const REFUSED_MAX: u32 = if cfg!(test) { 500 } else { 100_000 };

/// A place of the table. The tag spares a look at the node of another literal.
#[derive(Clone, Copy)]
struct Cell {
    tag: u16,
    id: NodeId,
}

/// What a data thread learned about JSON and logfmt lines.
pub struct LineGraph {
    nodes: Vec<Node>,
    literals: Vec<u8>,
    cells: Box<[Cell; CELLS]>,
    /// The node last met in a state behind eight bytes, by their hash; a wrong one is seen at its
    /// literal.
    hints: Box<[NodeId; HINTS]>,
    containers: Vec<Container>,
    prefixes: Vec<Box<str>>,
    trees: Vec<Vec<Tree>>,
    refused: u32,
    /// Where the wanted containers that are open began, by depth.
    starts: [u32; DEPTH_MAX + 1],
    /// The wanted containers of the literal that is being looked at.
    pub(crate) fresh_trees: Vec<Tree>,
    /// The path that is being looked up.
    pub(crate) path: String,
}

impl LineGraph {
    /// Knows nothing.
    pub fn new() -> LineGraph {
        let pairs = Container {
            parent: ContainerId::OUTSIDE,
            depth: 0,
            object: true,
            tracked: true,
            path: Box::default(),
            bound: Bound::NOTHING,
        };
        let states = [State::JSON, State::JSON, State::LOGFMT, State::JSON];
        LineGraph {
            nodes: states.into_iter().map(Node::empty).collect(),
            literals: Vec::new(),
            cells: Box::new([Cell { tag: 0, id: NodeId::NONE }; CELLS]),
            hints: Box::new([NodeId::NONE; HINTS]),
            containers: vec![pairs.clone(), pairs],
            prefixes: Vec::new(),
            trees: vec![Vec::new(), Vec::new()],
            refused: 0,
            starts: [0; DEPTH_MAX + 1],
            fresh_trees: Vec::new(),
            path: String::new(),
        }
    }

    /// Forgets everything. To be called whenever another `FieldTable` is handed in.
    pub fn forget(&mut self) {
        *self = LineGraph::new();
    }

    /// How many literals it knows.
    pub fn len(&self) -> usize {
        self.nodes.len() - NodeId::FIRST
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The node behind `previous` whose literal `text` starts with: the usual successor, or the one
    /// that was last met here with these first bytes. [`NodeId::NONE`] where it is neither.
    #[inline(always)]
    pub(crate) fn follow(&mut self, previous: NodeId, text: &[u8]) -> NodeId {
        let usual = self.node(previous).successor;
        let Some(window) = text.first_chunk::<STEP>() else {
            return self.follow_at_end(previous, text);
        };
        let window = u128::from_le_bytes(*window);
        if self.stands(self.node(usual), window, text) {
            return usual;
        }
        self.follow_hint(previous, window, text)
    }

    #[inline(never)]
    fn follow_hint(&mut self, previous: NodeId, window: u128, text: &[u8]) -> NodeId {
        let state = self.node(previous).after;
        let id = self.hints[hint(state, window)];
        if self.node(id).before != state || !self.stands(self.node(id), window, text) {
            return NodeId::NONE;
        }
        let node = &mut self.nodes[previous.0 as usize];
        node.unusual = node.unusual.wrapping_add(1);
        if node.unusual.is_multiple_of(UNUSUAL_MAX) {
            node.successor = id;
        }
        id
    }

    /// The last literal of a block may be shorter than a window.
    #[inline(never)]
    fn follow_at_end(&self, previous: NodeId, text: &[u8]) -> NodeId {
        let window = window(text, 0);
        let Node { successor, after, .. } = *self.node(previous);
        for id in [successor, self.hints[hint(after, window)]] {
            let node = self.node(id);
            let here = node.before == after && node.len as usize <= text.len();
            if here && self.stands(node, window, text) {
                return id;
            }
        }
        NodeId::NONE
    }

    #[inline(always)]
    fn stands(&self, node: &Node, window: u128, text: &[u8]) -> bool {
        (window ^ node.head) & node.mask == 0
            && (node.len as usize <= STEP || self.stands_long(node, text))
    }

    /// What the first 16 bytes leave out.
    #[inline(always)]
    fn stands_long(&self, node: &Node, text: &[u8]) -> bool {
        let len = node.len as usize;
        let Some(tail) = text.get(..len).and_then(|literal| literal.last_chunk::<STEP>()) else {
            return false;
        };
        u128::from_le_bytes(*tail) == node.tail
            && (len <= 2 * STEP || self.literal(node) == text.get(..len))
    }

    #[inline(never)]
    fn literal(&self, node: &Node) -> Option<&[u8]> {
        let start = node.literal as usize;
        self.literals.get(start..start + node.len as usize)
    }

    #[inline(always)]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn container(&self, id: ContainerId) -> &Container {
        &self.containers[id.0 as usize]
    }

    /// The number of a container, met now or before; `None` where there are too many.
    pub(crate) fn intern_container(&mut self, container: Container) -> Option<ContainerId> {
        let known = self.containers.iter().skip(2).position(|known| *known == container);
        let index = match known {
            Some(index) => index + 2,
            None if self.containers.len() < CONTAINERS_MAX => {
                self.containers.push(container);
                self.containers.len() - 1
            }
            None => return None,
        };
        Some(ContainerId(index as u16))
    }

    /// The meaning of the key under `self.path`, and its bit where further keys lie below it.
    pub(crate) fn look_up(&mut self, wanted: &FieldTable, nested: bool) -> (Bound, u64) {
        let bound = Bound::new(wanted.binding(&self.path), nested);
        if !wanted.is_prefix(&self.path) {
            return (bound, 0);
        }
        let known = self.prefixes.iter().position(|known| **known == *self.path);
        // two keys that share a bit look like a duplicate, which only costs the exact reading of
        // the line
        let bit = known.unwrap_or_else(|| {
            if self.prefixes.len() < 64 {
                self.prefixes.push(Box::from(self.path.as_str()));
                return self.prefixes.len() - 1;
            }
            self.path.len() % 64
        });
        (bound, 1 << bit)
    }

    /// The node of the literal that `text` starts with, if it was met in this state before.
    #[inline]
    pub(crate) fn find(&self, key: &Key, text: &[u8]) -> NodeId {
        let len = key.len;
        for probe in 0..PROBES_MAX {
            let Cell { tag, id } = self.cells[(key.hash + probe) % CELLS];
            if id == NodeId::NONE {
                return id;
            }
            if tag != key.tag() {
                continue;
            }
            let node = self.node(id);
            let differs = (node.head ^ key.head) | (node.tail ^ key.tail);
            let same = differs == 0 && node.len as usize == len && node.before == key.state;
            if same && (len <= 2 * STEP || self.literal(node) == text.get(..len)) {
                return id;
            }
        }
        NodeId::NONE
    }

    /// The length of the string behind a node, met first or not as it was expected.
    pub(crate) fn note_length(&mut self, id: NodeId, len: usize) {
        let node = &mut self.nodes[id.0 as usize];
        if !node.measured {
            node.measured = true;
            node.fixed = if (FIXED_MIN..=FIXED_MAX).contains(&len) { len as u16 } else { 0 };
        } else if node.fixed as usize != len {
            node.fixed = 0;
        }
    }

    /// Remembers that `next` came behind `previous`, where `text` started.
    pub(crate) fn link(&mut self, previous: NodeId, next: NodeId, text: &[u8]) {
        if previous == NodeId::SPARE || next == NodeId::SPARE {
            return;
        }
        let node = &mut self.nodes[previous.0 as usize];
        if node.successor == NodeId::NONE {
            node.successor = next;
        } else {
            self.hints[hint(node.after, window(text, 0))] = next;
        }
    }

    /// Keeps what the grammar found; where there is no room, only until the next literal that is
    /// not kept.
    pub(crate) fn learn(&mut self, key: &Key, literal: &[u8], fresh: &Fresh) -> Option<NodeId> {
        let room = self.nodes.len() < NODES_MAX && key.len <= LITERAL_MAX;
        let mut cells = (0..PROBES_MAX).map(|probe| (key.hash + probe) % CELLS);
        let free = cells.find(|cell| room && self.cells[*cell].id == NodeId::NONE);
        let Some(cell) = free else {
            self.refused += 1;
            if self.refused > REFUSED_MAX {
                self.forget_nodes();
            }
            return self.spare(key, literal, fresh);
        };
        let trees = if self.fresh_trees.is_empty() { 0 } else { self.trees.len() };
        let mut node = Node::new(key, literal, fresh, trees as u16)?;
        if trees != 0 {
            self.trees.push(self.fresh_trees.clone());
        }
        node.literal = self.literals.len() as u32;
        self.literals.extend_from_slice(literal);
        let id = NodeId(self.nodes.len() as u16);
        self.nodes.push(node);
        self.cells[cell] = Cell { tag: key.tag(), id };
        Some(id)
    }

    /// A node that holds until the next literal that is not kept.
    pub(crate) fn spare(&mut self, key: &Key, literal: &[u8], fresh: &Fresh) -> Option<NodeId> {
        let trees = !self.fresh_trees.is_empty();
        let node = Node::new(key, literal, fresh, trees as u16)?;
        if trees {
            std::mem::swap(&mut self.trees[1], &mut self.fresh_trees);
        }
        self.nodes[NodeId::SPARE.0 as usize] = node;
        Some(NodeId::SPARE)
    }

    /// Containers stay: the walk that goes on stands in one.
    fn forget_nodes(&mut self) {
        self.nodes.truncate(NodeId::FIRST);
        for node in &mut self.nodes {
            node.successor = NodeId::NONE;
        }
        self.literals.clear();
        self.cells.fill(Cell { tag: 0, id: NodeId::NONE });
        self.hints.fill(NodeId::NONE);
        self.trees.truncate(2);
        self.refused = 0;
    }

    /// Writes the wanted containers that end in a literal, and notes where others begin. `None`:
    /// the field takes no container, and the same key gave it a value before.
    pub(crate) fn trees(&mut self, list: u16, literal: usize, into: &mut Decoded) -> Option<()> {
        for tree in &self.trees[list as usize] {
            match *tree {
                Tree::Open { depth, offset } => {
                    self.starts[depth as usize] = (literal + offset as usize) as u32;
                }
                Tree::Close { depth, offset, bound } => {
                    let start = self.starts[depth as usize] as usize;
                    let span = (start, literal + offset as usize);
                    if bound.refuses(Kind::Tree) && bound.has_given(into) {
                        return None;
                    }
                    bound.put(into, Kind::Tree, Place::Line, span);
                }
            }
        }
        Some(())
    }
}

impl Default for LineGraph {
    fn default() -> Self {
        LineGraph::new()
    }
}

impl fmt::Debug for LineGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineGraph")
            .field("nodes", &self.len())
            .field("containers", &self.containers.len())
            .finish_non_exhaustive()
    }
}

/// Where the hint for these bytes stands. Eight of them tell most keys apart, and more would reach
/// into the value behind a short one.
#[inline(always)]
fn hint(state: State, window: u128) -> usize {
    let word = window as u64 ^ (state.0 as u64) << 48;
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % HINTS
}
