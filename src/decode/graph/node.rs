//! The parts of the line graph: nodes, the states between them and the meaning of a key. Plain data
//! and the small computations on it. Unit: one node.

use crate::decode::scan::{STEP, window};
use crate::record::Decoded;
use crate::record::field::{Binding, FieldId, Unit};
use crate::record::slots::{SlotValue, ValueBuffer, ValueKind, takes};

/// What follows a literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Next {
    /// A string; the walk is after its opening quote.
    Text,
    /// A number; the walk is at its first byte.
    Number,
    /// No further value: the literal ends with the word `true`.
    True,
    /// No further value: the literal ends with `false`.
    False,
    /// No further value: the literal ends with `null`.
    Null,
    /// A value of logfmt without quotes.
    Word,
    /// The end of the line; its newline, if it has one, belongs to the literal.
    End,
    /// The node is empty and matches nothing.
    Never,
}

/// The meaning of a key at its position: the field, a second field, and the rank of the key for
/// each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    field: FieldId,
    also: FieldId,
    rank: u8,
    also_rank: u8,
    unit: Unit,
}

impl Bound {
    /// A key that no field uses.
    pub(crate) const NOTHING: Bound = Bound {
        field: FieldId::NONE,
        also: FieldId::NONE,
        rank: 0,
        also_rank: 0,
        unit: Unit::None,
    };

    /// Creates the meaning of a key; `nested` if the path to it was not written as one key.
    pub(crate) fn new(binding: Option<Binding>, nested: bool) -> Bound {
        match binding {
            None => Bound::NOTHING,
            Some(Binding { field, also, rank, unit }) => {
                Bound { field, also, rank: rank + nested as u8, also_rank: nested as u8, unit }
            }
        }
    }

    /// Returns whether the standard field of the key accepts no value of this kind; the field is
    /// then absent.
    #[inline]
    pub(crate) fn refuses(self, kind: ValueKind) -> bool {
        self.field != FieldId::NONE && !takes(self.field, kind)
    }

    /// Returns whether a field uses the key.
    #[inline]
    pub(crate) fn wanted(self) -> bool {
        self.field != FieldId::NONE || self.also != FieldId::NONE
    }

    /// Builds the entry of a value of this key for its first field.
    fn entry(self, kind: ValueKind, buffer: ValueBuffer, span: (usize, usize)) -> SlotValue {
        let (start, len) = (span.0 as u32, (span.1 - span.0) as u32);
        SlotValue { start, len, kind, buffer, unit: self.unit, rank: self.rank }
    }

    /// Writes a value of this key.
    pub(crate) fn put(
        self,
        into: &mut Decoded,
        kind: ValueKind,
        buffer: ValueBuffer,
        span: (usize, usize),
    ) {
        let entry = self.entry(kind, buffer, span);
        if self.field != FieldId::NONE && !self.refuses(kind) {
            into.slots.put(self.field, entry);
        }
        if self.also != FieldId::NONE {
            into.slots.put(self.also, SlotValue { rank: self.also_rank, ..entry });
        }
    }

    /// Returns whether a field already has a value that may come from this key.
    #[cold]
    pub(crate) fn has_given(self, into: &Decoded) -> bool {
        let given = |field, rank| {
            into.slots.get(field).is_some_and(|entry| entry.rank == rank)
                || into.slots.others().iter().any(|(of, e)| *of == field && e.rank == rank)
        };
        (self.field != FieldId::NONE && given(self.field, self.rank))
            || (self.also != FieldId::NONE && given(self.also, self.also_rank))
    }
}

/// The state of a walk between two values: the open container, and whether a quoted value precedes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State(pub(crate) u16);

impl State {
    /// At the start of a JSON line, or after its value.
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

    /// Returns whether the walk is at the closing quote of a string.
    #[inline]
    pub(crate) fn quoted(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The number of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ContainerId(pub(crate) u16);

impl ContainerId {
    /// Outside of every JSON value.
    pub(crate) const OUTSIDE: ContainerId = ContainerId(0);
    /// The pairs of a logfmt line.
    pub(crate) const PAIRS: ContainerId = ContainerId(1);
}

/// An object or array, identified by its position. Two positions that no key distinguishes are the
/// same container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Container {
    pub(crate) parent: ContainerId,
    pub(crate) depth: u8,
    pub(crate) object: bool,
    /// Whether keys below it are looked up.
    pub(crate) tracked: bool,
    /// The dotted path to it; empty at the top and where no key below is looked up.
    pub(crate) path: Box<str>,
    /// The meaning of the container itself, applied when it closes.
    pub(crate) bound: Bound,
}

/// A wanted container that begins or ends inside a literal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tree {
    /// It begins this many bytes into the literal.
    Open { depth: u8, offset: u16 },
    /// It ends before this byte of the literal.
    Close { depth: u8, offset: u16, bound: Bound },
}

/// A literal and what follows it, as the grammar read them.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) len: usize,
    pub(crate) next: Next,
    pub(crate) state: State,
    pub(crate) bound: Bound,
    /// One bit for each key in the literal that has further keys below it.
    pub(crate) seen: u64,
}

/// A node in two cache lines; the first contains everything that each step needs.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(crate) struct Node {
    pub(crate) head: u128,
    pub(crate) mask: u128,
    /// See [`Fresh::seen`].
    pub(crate) seen: u64,
    /// The node that usually comes next.
    pub(crate) successor: NodeId,
    pub(crate) len: u16,
    /// The length that the string or word after it always had; 0 if the length varies.
    pub(crate) fixed: u16,
    pub(crate) next: Next,
    /// The value goes to `field`, and there is nothing else to do.
    pub(crate) wanted: bool,
    /// The fast path may pass it, see [`super::walk`].
    pub(crate) quick: bool,
    /// There is more to do: wanted containers, a second field or one without a bit, null.
    pub(crate) special: bool,
    /// Offset of the value: after the literal, except for a word (`true`), which is part of the
    /// literal.
    pub(crate) value: u16,
    /// The length of that word.
    pub(crate) word: u8,
    /// A string follows.
    pub(crate) text: bool,
    /// The last 16 bytes of a literal longer than 16.
    pub(crate) tail: u128,
    pub(crate) field: FieldId,
    /// The entry of the value without its position.
    pub(crate) entry: SlotValue,
    pub(crate) measured: bool,
    /// The literal ends with the line's newline.
    pub(crate) newline: bool,
    /// The state before the literal.
    pub(crate) before: State,
    /// The state after the value.
    pub(crate) after: State,
    /// Index of its list in `trees`; 0 if it has none.
    pub(crate) trees: u16,
    pub(crate) bound: Bound,
    /// How often a different node came next, wrapping.
    pub(crate) unusual: u8,
    /// Offset of its literal in `literals`.
    pub(crate) literal: u32,
}

/// The number of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeId(pub(crate) u16);

impl NodeId {
    /// Matches nothing.
    pub(crate) const NONE: NodeId = NodeId(0);
    /// Before the first literal of a JSON line.
    pub(crate) const JSON: NodeId = NodeId(1);
    /// Before the first literal of a logfmt line.
    pub(crate) const LOGFMT: NodeId = NodeId(2);
    /// The last literal that could not be stored, until the next one.
    pub(crate) const SPARE: NodeId = NodeId(3);
    pub(crate) const FIRST: usize = 4;
}

impl Node {
    /// Creates a node. Returns `None` for a literal of more than 64 KiB.
    pub(crate) fn new(key: &Key, literal: &[u8], fresh: &Fresh, trees: u16) -> Option<Node> {
        let Fresh { next, bound, .. } = *fresh;
        let (kind, word) = match next {
            Next::True => (ValueKind::True, 4),
            Next::False => (ValueKind::False, 5),
            Next::Null => (ValueKind::Text, absent_word(literal)),
            Next::Number => (ValueKind::Number, 0),
            Next::Text | Next::Word | Next::End | Next::Never => (ValueKind::Text, 0),
        };
        let null = next == Next::Null && bound.wanted();
        let masked = bound.field.bit() != 0 || !bound.wanted();
        let newline = literal.last() == Some(&b'\n');
        let is_refused = next != Next::End && bound.refuses(kind);
        let special = null || is_refused || trees != 0 || !masked || bound.also != FieldId::NONE;
        Some(Node {
            head: key.head,
            mask: key.mask,
            tail: key.tail,
            seen: fresh.seen,
            len: u16::try_from(literal.len()).ok()?,
            before: key.state,
            next,
            wanted: bound.wanted() && !special,
            special,
            quick: !special && next != Next::Never && (next != Next::End || newline),
            value: u16::try_from(literal.len() - usize::from(word)).ok()?,
            word,
            text: next == Next::Text,
            field: bound.field,
            entry: bound.entry(kind, ValueBuffer::Line, (0, 0)),
            newline,
            trees,
            bound,
            ..Node::empty(fresh.state)
        })
    }

    /// Creates a node that matches nothing: 0xff occurs in no valid text, so no window equals it.
    pub(crate) fn empty(after: State) -> Node {
        Node {
            head: u128::MAX,
            mask: u128::MAX,
            seen: 0,
            successor: NodeId::NONE,
            len: 0,
            fixed: 0,
            next: Next::Never,
            wanted: false,
            special: false,
            quick: false,
            value: 0,
            word: 0,
            text: false,
            tail: 0,
            field: FieldId::NONE,
            entry: Bound::NOTHING.entry(ValueKind::Text, ValueBuffer::Line, (0, 0)),
            measured: false,
            newline: false,
            before: State::JSON,
            after,
            trees: 0,
            bound: Bound::NOTHING,
            unusual: 0,
            literal: 0,
        }
    }
}

/// Returns the length of the word for an absent value at the end of a literal: `null`, or `NaN`,
/// `Infinity` and `-Infinity` as Python and .NET write them. 0 if there is none.
fn absent_word(literal: &[u8]) -> u8 {
    match literal {
        [.., b'N', b'a', b'N'] => 3,
        [.., b'-', b'I', b'n', b'f', b'i', b'n', b'i', b't', b'y'] => 9,
        [.., b'y'] => 8,
        _ => 4,
    }
}

/// A literal with its state and hash, as the table looks it up.
pub(crate) struct Key {
    pub(crate) head: u128,
    mask: u128,
    pub(crate) tail: u128,
    pub(crate) hash: usize,
    pub(crate) len: usize,
    pub(crate) state: State,
}

impl Key {
    /// Returns the bits of the hash that do not select the cell.
    #[inline]
    pub(crate) fn tag(&self) -> u16 {
        (self.hash >> 32) as u16
    }

    /// Creates the key of the first `len` bytes of `text` in `state`.
    #[inline]
    pub(crate) fn new(state: State, text: &[u8], len: usize) -> Key {
        let mask = if len >= STEP { u128::MAX } else { (1 << (8 * len)) - 1 };
        let head = window(text, 0) & mask;
        let tail = if len > STEP { window(text, len - STEP) } else { 0 };
        let fold = |word: u128, with: u64| {
            let low = (word as u64 ^ with) as u128;
            let product = low.wrapping_mul(((word >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15) as u128);
            product as u64 ^ (product >> 64) as u64
        };
        let salt = (len as u64) << 32 | state.0 as u64;
        let hash = fold(head, salt.wrapping_mul(0xa076_1d64_78bd_642f)) ^ fold(tail, salt);
        Key { head, mask, tail, hash: hash as usize, len, state }
    }
}

/// Number of hints: a few for every key of the current lines, in 1 KiB.
pub(crate) const HINTS: usize = 512;

/// Returns the index of the hint for these bytes. Eight bytes distinguish most keys, and more would
/// reach into the value that follows a short key.
#[inline]
pub(crate) fn hint(state: State, window: u128) -> usize {
    let word = window as u64 ^ (state.0 as u64) << 48;
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % HINTS
}
