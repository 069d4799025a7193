//! The exact reader of one JSON line, which uses nothing learned. It reads lines on which the walk
//! gave up: lines that are malformed, that name a key twice in a way that takes values back, or
//! that are deeper or more varied than the graph stores. White space may contain newlines here. It
//! never recurses. Unit: one line.

use crate::decode::escape;
use crate::decode::graph::DEPTH_MAX;
use crate::decode::graph::node::Bound;
use crate::decode::json::learn::absent_end;
use crate::decode::scan::{byte, number_end};
use crate::record::field::FieldTable;
use crate::record::slots::{ValueBuffer, ValueKind};
use crate::record::{Decoded, Format};

/// Limit of nested containers: the same as serde_json's.
const NESTING_MAX: usize = 127;

/// Buffers of the exact reader, reused to avoid allocations.
#[derive(Debug, Default)]
pub struct Work {
    levels: Vec<Level>,
    members: Vec<Member>,
    /// The paths of the members and the one being looked up, one after the other.
    paths: String,
}

impl Work {
    /// Returns the buffer for a path.
    pub(super) fn path(&mut self) -> &mut String {
        &mut self.paths
    }
}

/// An open container.
#[derive(Debug)]
struct Level {
    object: bool,
    /// The keys in it are looked up.
    tracked: bool,
    /// The member of the container itself, if it has one.
    member: Option<usize>,
    start: usize,
}

/// A key that is wanted, or that has wanted keys below it; those follow it directly.
#[derive(Debug)]
struct Member {
    path: (usize, usize),
    /// How many members are below it.
    below: usize,
    bound: Bound,
    /// The current value, unless it is null.
    value: Option<(ValueKind, ValueBuffer, usize, usize)>,
}

/// A key that was read, and its member if a field uses it.
struct KeyRead {
    index: Option<usize>,
}

/// Reads a line. Returns `false` if it is not a JSON object.
#[cold]
pub(super) fn read(line: &str, wanted: &FieldTable, work: &mut Work, into: &mut Decoded) -> bool {
    into.clear();
    into.format = Format::Json;
    work.levels.clear();
    work.members.clear();
    work.paths.clear();
    let mut reading = Reading { line, bytes: line.as_bytes(), at: 0, wanted, work, into };
    if reading.object().is_none() {
        let at = reading.at.min(line.len());
        return into.decline::<()>(at, "a JSON object, in which something else is here").is_some();
    }
    for Member { bound, value, .. } in &work.members {
        // a key that only has wanted keys below it has a value too, but no field
        if let Some((kind, buffer, start, end)) = *value {
            bound.put(into, kind, buffer, (start, end));
        }
    }
    true
}

struct Reading<'a> {
    line: &'a str,
    bytes: &'a [u8],
    at: usize,
    wanted: &'a FieldTable,
    work: &'a mut Work,
    into: &'a mut Decoded,
}

impl Reading<'_> {
    /// Reads the whole line: an object and nothing after it.
    fn object(&mut self) -> Option<()> {
        if self.skip_blank() != b'{' {
            return None;
        }
        self.open(true, None);
        // every iteration reads one member of the innermost container, or its end
        let mut first = true;
        while let Some(level) = self.work.levels.last() {
            let object = level.object;
            let byte = self.skip_blank();
            if byte == if object { b'}' } else { b']' } {
                self.close();
                first = false;
                continue;
            }
            if !first {
                if byte != b',' {
                    return None;
                }
                self.at += 1;
            }
            let member = if object { self.key()?.index } else { None };
            first = self.value(member)?;
        }
        self.skip_blank();
        (self.at == self.bytes.len()).then_some(())
    }

    fn skip_blank(&mut self) -> u8 {
        while matches!(byte(self.bytes, self.at), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        byte(self.bytes, self.at)
    }

    /// Reads a value. Returns `true` for a container, which is now open.
    fn value(&mut self, member: Option<usize>) -> Option<bool> {
        let start = match self.skip_blank() {
            open @ (b'{' | b'[') => {
                if self.work.levels.len() >= NESTING_MAX {
                    return None;
                }
                self.open(open == b'{', member);
                return Some(true);
            }
            b'"' => self.at + 1,
            _ => self.at,
        };
        let (kind, end) = self.scalar(start)?;
        if let (Some(index), Some(kind)) = (member, kind) {
            let span = self.span(kind, start, end);
            self.work.members[index].value = Some(span);
        }
        Some(false)
    }

    fn span(
        &mut self,
        kind: ValueKind,
        start: usize,
        end: usize,
    ) -> (ValueKind, ValueBuffer, usize, usize) {
        let raw = &self.line[start..end];
        if kind != ValueKind::Text || !raw.contains('\\') {
            return (kind, ValueBuffer::Line, start, end);
        }
        let from = self.into.scratch.len();
        escape::undo(raw, &mut self.into.scratch);
        (kind, ValueBuffer::Scratch, from, self.into.scratch.len())
    }

    /// Reads the scalar with text at `start`; returns its kind (none for null) and the end of its
    /// text.
    fn scalar(&mut self, start: usize) -> Option<(Option<ValueKind>, usize)> {
        let rest = &self.bytes[self.at..];
        let (kind, end) = if start > self.at {
            let end = escape::string_end(self.bytes, start)?;
            self.at = end + 1;
            return Some((Some(ValueKind::Text), end));
        } else if rest.starts_with(b"true") {
            (Some(ValueKind::True), start + 4)
        } else if rest.starts_with(b"false") {
            (Some(ValueKind::False), start + 5)
        } else if let Some(end) = absent_end(self.bytes, start) {
            (None, end)
        } else {
            (Some(ValueKind::Number), number_end(self.bytes, start)?)
        };
        self.at = end;
        Some((kind, end))
    }

    fn open(&mut self, object: bool, member: Option<usize>) {
        let top = self.work.levels.is_empty();
        let deep = self.work.levels.len() >= DEPTH_MAX;
        let below = member.is_some_and(|index| {
            let (start, end) = self.work.members[index].path;
            self.wanted.is_prefix(&self.work.paths[start..end])
        });
        let tracked = object && !deep && (top || below);
        self.work.levels.push(Level { object, tracked, member, start: self.at });
        self.at += 1;
    }

    fn close(&mut self) {
        self.at += 1;
        let Some(Level { member: Some(index), start, .. }) = self.work.levels.pop() else {
            return;
        };
        let count = self.work.members.len();
        let member = &mut self.work.members[index];
        member.below = count - index - 1;
        if member.bound.wanted() {
            member.value = Some((ValueKind::Tree, ValueBuffer::Line, start, self.at));
        }
    }

    /// Reads a key up to its colon; returns its member if a field uses it. Of two equal keys in one
    /// object, the first is taken back with everything below it.
    fn key(&mut self) -> Option<KeyRead> {
        if self.skip_blank() != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = escape::string_end(self.bytes, start)?;
        self.at = end + 1;
        if self.skip_blank() != b':' {
            return None;
        }
        self.at += 1;
        let level = self.work.levels.last()?;
        if !level.tracked {
            return Some(KeyRead { index: None });
        }
        let owner = level.member;
        let from = self.work.paths.len();
        if let Some(index) = owner {
            let (start, end) = self.work.members[index].path;
            self.work.paths.extend_from_within(start..end);
            self.work.paths.push('.');
        }
        escape::undo(&self.line[start..end], &mut self.work.paths);
        let path = &self.work.paths[from..];
        let bound = Bound::new(self.wanted.binding(path), owner.is_some());
        if !bound.wanted() && !self.wanted.is_prefix(path) {
            self.work.paths.truncate(from);
            return Some(KeyRead { index: None });
        }
        self.take_back(owner.map_or(0, |index| index + 1), from);
        let path = (from, self.work.paths.len());
        self.work.members.push(Member { path, below: 0, bound, value: None });
        Some(KeyRead { index: Some(self.work.members.len() - 1) })
    }

    fn take_back(&mut self, mut sibling: usize, from: usize) {
        while let Some(member) = self.work.members.get(sibling) {
            let next = sibling + 1 + member.below;
            let (start, end) = member.path;
            if self.work.paths[start..end] == self.work.paths[from..] {
                self.work.members.drain(sibling..next);
                return;
            }
            sibling = next;
        }
    }
}
