//! The learned line graph: what a data thread knows about the shapes of its lines. A node is the literal
//! between two scalars (`","status_code":`) in one state, and what follows it: the kind of the scalar, the field
//! it is, where the walk stands behind it, and the nodes that came next. Every node was accepted by the
//! grammar once, so that meeting its bytes again in the same state needs no second look. It is bounded, it
//! never changes what a line means, and it holds for one `FieldTable` only. Unit: one node.
#![allow(clippy::inline_always, reason = "the walk is one loop; every call in it was measured")]

use super::scan::{FIXED_MAX, FIXED_MIN, STEP, window};
use crate::record::Decoded;
use crate::record::field::{Binding, FieldId, FieldTable, Unit};
use crate::record::slots::{Entry, Kind, Place};
use std::fmt;

/// Nodes: some fifty line shapes of twelve keys with their variants, in 100 KiB.
pub(crate) const NODES_MAX: usize = 1024;
/// Containers (objects and arrays by where they stand); real shapes have a handful.
const CONTAINERS_MAX: usize = 256;
/// A longer literal is walked, not learned: it bounds what is kept to 256 KiB.
const LITERAL_MAX: usize = 256;
/// Objects below this depth are not addressed.
pub(crate) const DEPTH_MAX: usize = 32;
/// Successors tried before the table is asked.
const SUCCESSORS_MAX: usize = 4;
/// Cells of the table: a power of two, at most half full.
const CELLS: usize = 2 * NODES_MAX;
/// Cells looked at for one literal; a literal that finds no room in them is not learned, so that nobody can
/// make a lookup long by choosing keys that collide.
const PROBES_MAX: usize = 8;

/// Literals that found no room before all is forgotten and learned anew: an application that was replaced
/// gets its own shapes, and one with ever new keys pays a hundredth more.
const REFUSED_MAX: u32 = 100_000;

/// What follows a literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Next {
    /// A string; the walk stands behind its opening quote.
    Text,
    /// A number; the walk stands on its first byte.
    Number,
    /// Nothing: the literal ends with the word `true`.
    True,
    /// Nothing: it ends with `false`.
    False,
    /// Nothing: it ends with `null`.
    Null,
    /// A value of logfmt without quotes.
    Word,
    /// The end of the line; its newline belongs to the literal, where it has one.
    End,
    /// The node is none.
    Never,
}

/// What a key means at its place: the field, a second one, and how good the key is for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    field: FieldId,
    also: FieldId,
    rank: u8,
    also_rank: u8,
    unit: Unit,
}

impl Bound {
    /// A key that nobody wants.
    pub(crate) const NOTHING: Bound = Bound {
        field: FieldId::NONE,
        also: FieldId::NONE,
        rank: 0,
        also_rank: 0,
        unit: Unit::None,
    };

    /// The meaning of a key; `nested` where the path to it was not written as one key.
    pub(crate) fn new(binding: Option<Binding>, nested: bool) -> Bound {
        match binding {
            None => Bound::NOTHING,
            Some(Binding { field, also, rank, unit }) => {
                Bound { field, also, rank: rank + nested as u8, also_rank: nested as u8, unit }
            }
        }
    }

    /// Whether anybody wants it.
    #[inline]
    pub(crate) fn wanted(&self) -> bool {
        self.field != FieldId::NONE || self.also != FieldId::NONE
    }

    /// Writes a value of this key.
    #[inline]
    pub(crate) fn put(&self, into: &mut Decoded, kind: Kind, place: Place, span: (usize, usize)) {
        let entry = Entry {
            start: span.0 as u32,
            len: (span.1 - span.0) as u32,
            kind,
            place,
            unit: self.unit,
            rank: self.rank,
        };
        if self.field != FieldId::NONE {
            into.slots.put(self.field, entry);
        }
        if self.also != FieldId::NONE {
            into.slots.put(self.also, Entry { rank: self.also_rank, ..entry });
        }
    }

    /// Whether a value that this key may have given is present.
    #[cold]
    pub(crate) fn has_given(&self, into: &Decoded) -> bool {
        let given = |field, rank| into.slots.get(field).is_some_and(|entry| entry.rank == rank);
        (self.field != FieldId::NONE && given(self.field, self.rank))
            || (self.also != FieldId::NONE && given(self.also, self.also_rank))
    }
}

/// Where a walk stands between two values: in a container, behind a quoted value or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State(u16);

impl State {
    /// At the start of a JSON line, or behind its value.
    pub(crate) const JSON: State = State(0);
    /// In a logfmt line.
    pub(crate) const LOGFMT: State = State(2);

    /// Inside a container.
    #[inline]
    pub(crate) fn new(container: ContainerId, quoted: bool) -> State {
        State(container.0 << 1 | quoted as u16)
    }

    #[inline]
    pub(crate) fn container(self) -> ContainerId {
        ContainerId(self.0 >> 1)
    }

    /// Whether the walk stands on the closing quote of a string.
    #[inline]
    pub(crate) fn quoted(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The number of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ContainerId(u16);

impl ContainerId {
    /// Outside of every JSON value.
    pub(crate) const OUTSIDE: ContainerId = ContainerId(0);
    /// The pairs of a logfmt line.
    pub(crate) const PAIRS: ContainerId = ContainerId(1);
}

/// An object or array by where it stands. Two that no key distinguishes are the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Container {
    pub(crate) parent: ContainerId,
    pub(crate) depth: u8,
    pub(crate) object: bool,
    /// Whether keys below it are looked up.
    pub(crate) tracked: bool,
    /// The dotted path to it, empty at the top and where nothing looks at it.
    pub(crate) path: Box<str>,
    /// Its own meaning, when it closes.
    pub(crate) bound: Bound,
}

/// A wanted container begins or ends inside a literal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tree {
    /// It begins so many bytes into the literal.
    Open { depth: u8, offset: u16 },
    /// It ends before that byte.
    Close { depth: u8, offset: u16, bound: Bound },
}

/// A literal and what follows it, as the grammar found it.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) len: usize,
    pub(crate) next: Next,
    pub(crate) state: State,
    pub(crate) bound: Bound,
    /// The keys with further keys below them that the literal names, a bit each.
    pub(crate) seen: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    head: u128,
    mask: u128,
    /// The last 16 bytes of a literal longer than 16.
    tail: u128,
    /// See [`Fresh::seen`].
    pub(crate) seen: u64,
    pub(crate) len: u16,
    /// In which state the literal is met.
    before: State,
    /// In which state the walk stands behind the value.
    pub(crate) after: State,
    pub(crate) next: Next,
    pub(crate) wanted: bool,
    /// The length that the string behind it always had; 0 where it has none.
    pub(crate) fixed: u16,
    measured: bool,
    /// The literal ends with the line's newline.
    pub(crate) newline: bool,
    /// Index of its list in `trees`; 0 for none.
    pub(crate) trees: u16,
    pub(crate) bound: Bound,
    successors: [NodeId; SUCCESSORS_MAX],
    replaced: u8,
    literal: u32,
}

/// The number of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeId(u16);

impl NodeId {
    /// Matches nothing.
    pub(crate) const NONE: NodeId = NodeId(0);
    /// Before the first literal of a JSON line.
    pub(crate) const JSON: NodeId = NodeId(1);
    /// Before the first literal of a logfmt line.
    pub(crate) const LOGFMT: NodeId = NodeId(2);
    /// The literal that could not be learned, until the next one.
    const SPARE: NodeId = NodeId(3);
    const FIRST: usize = 4;
}

impl Node {
    fn new(before: State, literal: &[u8], fresh: &Fresh, key: &Key) -> Option<Node> {
        Some(Node {
            head: key.head,
            mask: key.mask,
            tail: key.tail,
            seen: fresh.seen,
            len: u16::try_from(literal.len()).ok()?,
            before,
            next: fresh.next,
            wanted: fresh.bound.wanted(),
            newline: literal.last() == Some(&b'\n'),
            bound: fresh.bound,
            ..Node::empty(fresh.state)
        })
    }

    /// 0xff stands in no valid text, so that no window equals it.
    fn empty(after: State) -> Node {
        Node {
            head: u128::MAX,
            mask: u128::MAX,
            tail: 0,
            seen: 0,
            len: 0,
            before: State::JSON,
            after,
            next: Next::Never,
            wanted: false,
            fixed: 0,
            measured: false,
            newline: false,
            trees: 0,
            bound: Bound::NOTHING,
            successors: [NodeId::NONE; SUCCESSORS_MAX],
            replaced: 0,
            literal: 0,
        }
    }
}

/// What a data thread learned about JSON and logfmt lines.
pub struct LineGraph {
    nodes: Vec<Node>,
    literals: Vec<u8>,
    cells: Box<[NodeId; CELLS]>,
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
            cells: Box::new([NodeId::NONE; CELLS]),
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

    /// The node behind `previous` whose literal stands at `at`; [`NodeId::NONE`] where none of the recent
    /// ones does.
    #[inline(always)]
    pub(crate) fn follow(&self, previous: NodeId, bytes: &[u8], at: usize) -> NodeId {
        let text = window(bytes, at);
        let successors = &self.node(previous).successors;
        if self.stands(successors[0], text, bytes, at) {
            return successors[0];
        }
        self.follow_others(successors, text, bytes, at)
    }

    #[inline]
    fn follow_others(
        &self,
        successors: &[NodeId; SUCCESSORS_MAX],
        text: u128,
        bytes: &[u8],
        at: usize,
    ) -> NodeId {
        for &id in &successors[1..] {
            if self.stands(id, text, bytes, at) {
                return id;
            }
        }
        NodeId::NONE
    }

    #[inline(always)]
    fn stands(&self, id: NodeId, text: u128, bytes: &[u8], at: usize) -> bool {
        let node = self.node(id);
        if (text ^ node.head) & node.mask != 0 {
            return false;
        }
        let len = node.len as usize;
        len <= STEP || (window(bytes, at + len - STEP) == node.tail && self.middle(node, bytes, at))
    }

    /// What the first and the last 16 bytes leave out.
    #[inline(always)]
    fn middle(&self, node: &Node, bytes: &[u8], at: usize) -> bool {
        let len = node.len as usize;
        len <= 2 * STEP || self.literal(node) == bytes.get(at..at + len)
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
        // two keys that share a bit look like a duplicate, which only costs the exact reading of the line
        let bit = known.unwrap_or_else(|| {
            if self.prefixes.len() < 64 {
                self.prefixes.push(Box::from(self.path.as_str()));
                return self.prefixes.len() - 1;
            }
            self.path.len() % 64
        });
        (bound, 1 << bit)
    }

    /// The node of the literal between two positions, if it was met in this state before.
    #[inline]
    pub(crate) fn find(&self, state: State, bytes: &[u8], at: usize, end: usize) -> NodeId {
        if end - at > LITERAL_MAX {
            return NodeId::NONE;
        }
        let key = Key::new(state, bytes, at, end);
        for probe in 0..PROBES_MAX {
            let id = self.cells[(key.hash + probe) % CELLS];
            if id == NodeId::NONE {
                return id;
            }
            let node = self.node(id);
            let differs = (node.head ^ key.head) | (node.tail ^ key.tail);
            let same = differs == 0 && node.len as usize == end - at && node.before == state;
            if same && self.middle(node, bytes, at) {
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

    /// Remembers that `next` came behind `previous`.
    pub(crate) fn link(&mut self, previous: NodeId, next: NodeId) {
        if previous == NodeId::SPARE || next == NodeId::SPARE {
            return;
        }
        let node = &mut self.nodes[previous.0 as usize];
        if node.successors.contains(&next) {
            return;
        }
        match node.successors.iter().position(|id| *id == NodeId::NONE) {
            Some(free) => node.successors[free] = next,
            None => {
                node.successors[node.replaced as usize % SUCCESSORS_MAX] = next;
                node.replaced = node.replaced.wrapping_add(1);
            }
        }
    }

    /// Keeps what the grammar found; where there is no room, only until the next literal that is not kept.
    pub(crate) fn learn(&mut self, before: State, literal: &[u8], fresh: &Fresh) -> Option<NodeId> {
        let key = Key::new(before, literal, 0, literal.len());
        let free = (0..PROBES_MAX)
            .map(|probe| (key.hash + probe) % CELLS)
            .find(|cell| self.cells[*cell] == NodeId::NONE)
            .filter(|_| self.nodes.len() < NODES_MAX && literal.len() <= LITERAL_MAX);
        let Some(cell) = free else {
            self.refused += 1;
            if self.refused > REFUSED_MAX {
                self.forget_nodes();
            }
            return self.spare(before, literal, fresh);
        };
        let mut node = Node::new(before, literal, fresh, &key)?;
        if !self.fresh_trees.is_empty() {
            node.trees = self.trees.len() as u16;
            self.trees.push(self.fresh_trees.clone());
        }
        node.literal = self.literals.len() as u32;
        self.literals.extend_from_slice(literal);
        let id = NodeId(self.nodes.len() as u16);
        self.nodes.push(node);
        self.cells[cell] = id;
        Some(id)
    }

    /// A node that holds until the next literal that is not kept.
    pub(crate) fn spare(&mut self, before: State, literal: &[u8], fresh: &Fresh) -> Option<NodeId> {
        let mut node =
            Node::new(before, literal, fresh, &Key::new(before, literal, 0, literal.len()))?;
        if !self.fresh_trees.is_empty() {
            node.trees = 1;
            std::mem::swap(&mut self.trees[1], &mut self.fresh_trees);
        }
        self.nodes[NodeId::SPARE.0 as usize] = node;
        Some(NodeId::SPARE)
    }

    /// Containers stay: the walk that goes on stands in one.
    fn forget_nodes(&mut self) {
        self.nodes.truncate(NodeId::FIRST);
        for node in &mut self.nodes {
            node.successors = [NodeId::NONE; SUCCESSORS_MAX];
        }
        self.literals.clear();
        self.cells.fill(NodeId::NONE);
        self.trees.truncate(2);
        self.refused = 0;
    }

    /// Writes the wanted containers that end in a literal, and notes where others begin.
    #[cold]
    pub(crate) fn trees(&mut self, list: u16, literal: usize, into: &mut Decoded) {
        for tree in &self.trees[list as usize] {
            match *tree {
                Tree::Open { depth, offset } => {
                    self.starts[depth as usize] = (literal + offset as usize) as u32;
                }
                Tree::Close { depth, offset, bound } => {
                    let start = self.starts[depth as usize] as usize;
                    let span = (start, literal + offset as usize);
                    bound.put(into, Kind::Tree, Place::Line, span);
                }
            }
        }
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

/// A literal as the table holds it.
struct Key {
    head: u128,
    mask: u128,
    tail: u128,
    hash: usize,
}

impl Key {
    #[inline(always)]
    fn new(state: State, bytes: &[u8], at: usize, end: usize) -> Key {
        let len = end - at;
        let mask = if len >= STEP { u128::MAX } else { (1 << (8 * len)) - 1 };
        let head = window(bytes, at) & mask;
        let tail = if len > STEP { window(bytes, end - STEP) } else { 0 };
        let fold = |word: u128, with: u64| {
            let low = (word as u64 ^ with) as u128;
            let product = low.wrapping_mul(((word >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15) as u128);
            product as u64 ^ (product >> 64) as u64
        };
        let salt = (len as u64) << 32 | state.0 as u64;
        let hash = fold(head, salt.wrapping_mul(0xa076_1d64_78bd_642f)) ^ fold(tail, salt);
        Key { head, mask, tail, hash: (hash >> 16) as usize }
    }
}
