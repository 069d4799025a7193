//! The learned line graph: what a data thread knows about the shapes of its lines. It is bounded,
//! it never changes what a line means, and it is valid for one `FieldTable` only. Unit: one node.
//!
//! A node is the literal text between two values in one state, together with what follows it: the
//! kind of the value, its field, the state after the value, and the node that usually comes next
//! (its successor). An edge leads from a node to its successor.
//!
//! ```text
//!   {"level":"info","status":200,"x":{"y":true}}\n
//!
//!  (start) --> [ {"level":" ]--text-->[ ","status": ]--number-->[ ,"x":{"y":true ]-->[ }}\n ]
//!   node JSON    node 4  SEVERITY       node 5  HTTP_STATUS        node 6  no field   node 7
//!                   |                      ^     |                                    the end
//!                   |     variant          |     |  variant
//!                   +--->[ ","path":" ]----+     +--->[ }\n ]
//!                         node 8, by a hint
//! ```
//!
//! One step of the walk, at node 4 with `","status":200,...` ahead of it:
//!
//! 1. The first 16 bytes ahead are compared with those of the successor, node 5, under its mask. If
//!    they differ, the hint for these bytes is used: a table maps (state, first 8 bytes) to the node
//!    that last matched there.
//! 2. A literal longer than 16 bytes is also compared by its last 16 bytes, and one longer than 32
//!    bytes is compared completely.
//! 3. The value after the literal must be of the kind that the node names: a number that ends where
//!    a number ends, or a string without escapes up to its quote. Its position goes into the slot of
//!    the node's field; its bytes are not read.
//! 4. A key that has further keys below it has a bit. If such a key occurs twice in a line, the
//!    walk stops.
//!
//! If a check fails, `walk::step` lets the grammar of the format read one literal. The grammar
//! proves that the literal is valid in this state, and the literal becomes a node. Its bytes need
//! no second proof in the same state, because the state holds everything that the grammar depends
//! on: the open container, and whether a quote is open. If the graph is full, the node is kept only
//! until the next one (`SPARE`).

pub(crate) mod node;
pub(crate) mod walk;

use super::scan::{FIXED_MAX, FIXED_MIN, STEP, window};
use crate::record::Decoded;
use crate::record::field::FieldTable;
use crate::record::slots::{ValueBuffer, ValueKind};
use node::{Bound, Container, ContainerId, Fresh, HINTS, Key, Node, NodeId, State, Tree, hint};
use std::fmt;

/// Limit of nodes: about fifty line shapes of twelve keys with their variants, in 128 KiB.
pub(crate) const NODES_MAX: usize = 1024;
/// Limit of containers (objects and arrays by their position); real shapes have a few.
const CONTAINERS_MAX: usize = 256;
/// A longer literal is walked but not learned, which bounds the stored literals to 256 KiB.
const LITERAL_MAX: usize = 256;
/// Keys in objects below this depth are not looked up.
pub(crate) const DEPTH_MAX: usize = 32;
/// Number of table cells: a power of two, so that the table is at most half full.
const CELLS: usize = 2 * NODES_MAX;
/// Limit of cells that a lookup probes. A literal that finds no free cell among them is not
/// learned, so that keys chosen to collide cannot make lookups slow.
const PROBES_MAX: usize = 8;

/// Number of literals that found no space before the graph is cleared and learned again. An
/// application that was replaced thereby gets its own shapes, and one that always writes new keys
/// pays one percent more.
const REFUSED_MAX: u32 = if cfg!(test) { 500 } else { 100_000 };

/// A cell of the table. The tag avoids reading the node if its literal is a different one.
#[derive(Clone, Copy)]
struct Cell {
    tag: u16,
    id: NodeId,
}

/// The literals and states that a data thread has learned from JSON and logfmt lines.
pub struct LineGraph {
    nodes: Vec<Node>,
    literals: Vec<u8>,
    cells: Box<[Cell; CELLS]>,
    /// The node that last matched these first eight bytes in a state, by the hash of both. Comparing
    /// the literal reveals a wrong hint.
    hints: Box<[NodeId; HINTS]>,
    containers: Vec<Container>,
    prefixes: Vec<Box<str>>,
    trees: Vec<Vec<Tree>>,
    refused: u32,
    /// Start positions of the wanted containers that are open, by depth.
    starts: [u32; DEPTH_MAX + 1],
    /// The wanted containers in the literal that is being read.
    pub(crate) fresh_trees: Vec<Tree>,
    /// The path that is being looked up.
    pub(crate) path: String,
}

impl LineGraph {
    /// Creates an empty graph.
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

    /// Forgets everything. Must be called whenever a different `FieldTable` is used.
    pub fn forget(&mut self) {
        *self = LineGraph::new();
    }

    /// Returns the number of known literals.
    pub fn len(&self) -> usize {
        self.nodes.len() - NodeId::FIRST
    }

    /// Returns whether no literal is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn container(&self, id: ContainerId) -> &Container {
        &self.containers[id.0 as usize]
    }

    /// Returns the number of a container, known or new; `None` if there are too many.
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

    /// Looks up the meaning of the key under `self.path`, and its bit if further keys lie below it.
    pub(crate) fn look_up(&mut self, wanted: &FieldTable, nested: bool) -> (Bound, u64) {
        let bound = Bound::new(wanted.binding(&self.path), nested);
        if !wanted.is_prefix(&self.path) {
            return (bound, 0);
        }
        let known = self.prefixes.iter().position(|known| **known == *self.path);
        // two keys that share a bit look like a duplicate, which only causes the exact reader to
        // read the line
        let bit = known.unwrap_or_else(|| {
            if self.prefixes.len() < 64 {
                self.prefixes.push(Box::from(self.path.as_str()));
                return self.prefixes.len() - 1;
            }
            self.path.len() % 64
        });
        (bound, 1 << bit)
    }

    /// Returns the node of the literal with which `text` starts, if this state has such a node.
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

    /// Records the length of the string after a node, if it is the first one or differs from the
    /// expected length.
    pub(crate) fn note_length(&mut self, id: NodeId, len: usize) {
        let node = &mut self.nodes[id.0 as usize];
        if !node.measured {
            node.measured = true;
            node.fixed = if (FIXED_MIN..=FIXED_MAX).contains(&len) { len as u16 } else { 0 };
        } else if node.fixed as usize != len {
            node.fixed = 0;
        }
    }

    /// Records that `next` followed `previous` at the start of `text`.
    pub(crate) fn link(&mut self, previous: NodeId, next: NodeId, text: &[u8]) {
        if previous == NodeId::SPARE || next == NodeId::SPARE {
            return;
        }
        debug_assert_eq!(
            self.node(next).before,
            self.node(previous).after,
            "an edge joins equal states"
        );
        let node = &mut self.nodes[previous.0 as usize];
        if node.successor == NodeId::NONE {
            node.successor = next;
        } else {
            self.hints[hint(node.after, window(text, 0))] = next;
        }
    }

    /// Stores a literal that the grammar found. If there is no space, it is kept only until the
    /// next literal that cannot be stored.
    pub(crate) fn learn(&mut self, key: &Key, literal: &[u8], fresh: &Fresh) -> Option<NodeId> {
        debug_assert_eq!(key.len, literal.len(), "the key of this literal");
        let has_space = self.nodes.len() < NODES_MAX && key.len <= LITERAL_MAX;
        let mut cells = (0..PROBES_MAX).map(|probe| (key.hash + probe) % CELLS);
        let free = cells.find(|cell| has_space && self.cells[*cell].id == NodeId::NONE);
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
        debug_assert_eq!(self.find(key, literal), id, "found next time");
        debug_assert!(self.nodes.len() <= NODES_MAX);
        Some(id)
    }

    /// Stores a node that is valid only until the next literal that cannot be stored.
    pub(crate) fn spare(&mut self, key: &Key, literal: &[u8], fresh: &Fresh) -> Option<NodeId> {
        let trees = !self.fresh_trees.is_empty();
        let node = Node::new(key, literal, fresh, trees as u16)?;
        if trees {
            std::mem::swap(&mut self.trees[1], &mut self.fresh_trees);
        }
        self.nodes[NodeId::SPARE.0 as usize] = node;
        Some(NodeId::SPARE)
    }

    /// Clears the nodes. The containers remain, because the current walk is inside one of them.
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

    /// Writes the wanted containers that end in a literal, and records where others begin. Returns
    /// `None` if the field accepts no container and the same key gave it a value before.
    pub(crate) fn trees(&mut self, list: u16, literal: usize, into: &mut Decoded) -> Option<()> {
        for tree in &self.trees[list as usize] {
            match *tree {
                Tree::Open { depth, offset } => {
                    self.starts[depth as usize] = (literal + offset as usize) as u32;
                }
                Tree::Close { depth, offset, bound } => {
                    let start = self.starts[depth as usize] as usize;
                    let span = (start, literal + offset as usize);
                    if bound.refuses(ValueKind::Tree) && bound.has_given(into) {
                        return None;
                    }
                    bound.put(into, ValueKind::Tree, ValueBuffer::Line, span);
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
