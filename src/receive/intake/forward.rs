//! Splits a connection that speaks Fluent Forward into its entries, and answers its chunks. Pure.
//! Specification: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>.
//! Unit: one read.
//!
//! A message is an array: a tag, then one entry (its time and record), an array of entries, or
//! bytes with entries one after the other, which may be compressed by gzip; then options. An entry
//! is delivered when it is whole, however large its message is, so a connection keeps at most one
//! unfinished entry. When all entries of a chunk have been delivered, it is acknowledged.

use super::piece::{Bounds, Buffer, Piece};
use crate::frame::encoding::{Encoding, Frame};
use crate::frame::msgpack::{self, Head, Read, Walk, Walked};
use flate2::write::GzDecoder;
use std::io::Write as _;
use std::ops::Range;

/// The longest tag.
const TAG_BYTES_MAX: usize = 1024;

/// The most bytes of the options of a message.
const OPTIONS_BYTES_MAX: usize = 4096;

/// The longest id of a chunk; clients send 24 to 44 characters.
const CHUNK_BYTES_MAX: usize = 255;

/// So many bytes are inflated at once: a thousandth of what they can become.
const INFLATED_AT_ONCE: usize = 64;

/// What comes next on the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// A message.
    Message,
    /// The time and the record of a message with a single entry.
    Single,
    /// So many entries of an array.
    Entries(u64),
    /// Entries one after the other, in so many bytes.
    Packed(u64),
    /// The same, compressed.
    Compressed(u64),
    /// The options of a message.
    Options,
}

/// The framing of one connection.
#[derive(Debug)]
pub struct Forward {
    next: Next,
    /// Whether options follow the entries.
    has_options: bool,
    /// The rest of an entry that is too long.
    skip: Option<Walk>,
    tag: Vec<u8>,
    /// Bytes that are not processed yet.
    kept: Vec<u8>,
    /// Inflates the entries of this message.
    inflater: Option<Box<GzDecoder<Vec<u8>>>>,
    is_broken: bool,
}

/// The bytes do not follow the protocol; nothing after them can be found.
struct Broken;

impl Forward {
    pub(super) fn new() -> Forward {
        Forward {
            next: Next::Message,
            has_options: false,
            skip: None,
            tag: Vec::new(),
            kept: Vec::new(),
            inflater: None,
            is_broken: false,
        }
    }

    /// Returns whether the connection has to be closed, because what it sends cannot be read.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns the memory that the connection occupies.
    pub(super) fn bytes(&self) -> usize {
        let inflated = self.inflater.as_ref().map_or(0, |inflater| inflater.get_ref().capacity());
        self.kept.capacity() + self.tag.capacity() + inflated
    }

    /// Processes the bytes in `range` of `buffer`.
    pub(super) fn take(
        &mut self,
        buffer: &mut Buffer,
        range: Range<usize>,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        if self.is_broken {
            return;
        }
        let limit = bounds.line_bytes_max.min(bounds.tail_bytes_max).max(OPTIONS_BYTES_MAX);
        let begin = buffer.put_before(range.start, &self.kept);
        self.kept.clear();
        let bytes = &buffer.bytes[begin..range.end];
        let mut at = 0;
        while at < bytes.len() {
            match self.step(&bytes[at..], limit, emit) {
                Ok(0) => break,
                Ok(used) => at += used,
                Err(Broken) => {
                    self.is_broken = true;
                    emit(Piece::Torn);
                    return;
                }
            }
        }
        self.kept.extend_from_slice(&bytes[at..]);
        if self.kept.is_empty() && self.kept.capacity() > 512 {
            self.kept = Vec::new();
        }
    }

    /// Processes the beginning of `bytes`; returns how many, 0 if more are needed.
    fn step(
        &mut self,
        bytes: &[u8],
        limit: usize,
        emit: &mut impl FnMut(Piece<'_>),
    ) -> Result<usize, Broken> {
        match self.next {
            Next::Message => self.message(bytes),
            Next::Single => {
                let (used, is_whole) = self.entry(bytes, 2, limit, emit)?;
                if is_whole {
                    self.end_entries();
                }
                Ok(used)
            }
            Next::Entries(left) => {
                let (used, is_whole) = self.entry(bytes, 1, limit, emit)?;
                match left - u64::from(is_whole) {
                    0 => self.end_entries(),
                    left => self.next = Next::Entries(left),
                }
                Ok(used)
            }
            Next::Packed(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (used, _) = self.entry(&bytes[..most], 1, limit, emit)?;
                if used == 0 && most as u64 == left {
                    return Err(Broken);
                }
                match left - used as u64 {
                    0 if self.skip.is_some() => return Err(Broken),
                    0 => self.end_entries(),
                    left => self.next = Next::Packed(left),
                }
                Ok(used)
            }
            Next::Compressed(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let used = most.min(bytes.len()).min(INFLATED_AT_ONCE);
                self.inflate(&bytes[..used], limit, emit)?;
                match left - used as u64 {
                    0 => {
                        let inflater = self.inflater.take().ok_or(Broken)?;
                        // a checksum that is wrong
                        let rest = inflater.finish().map_err(|_| Broken)?;
                        let used = self.entries(&rest, limit, emit)?;
                        if self.skip.is_some() || used < rest.len() {
                            return Err(Broken);
                        }
                        self.end_entries();
                    }
                    left => self.next = Next::Compressed(left),
                }
                Ok(used)
            }
            Next::Options => match Walk::over(1).on(bytes) {
                Walked::Ended(end) => {
                    if let Some(chunk) = chunk(&bytes[..end]) {
                        emit(Piece::Reply(&acknowledgement(chunk)));
                    }
                    self.next = Next::Message;
                    Ok(end)
                }
                Walked::Open(_) if bytes.len() < OPTIONS_BYTES_MAX => Ok(0),
                Walked::Open(_) | Walked::Invalid => Err(Broken),
            },
        }
    }

    /// Reads the head of a message: the array, the tag and the head of its entries.
    fn message(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let (values, mut at) = match msgpack::head(bytes) {
            Read::Head(Head::Array(values @ 2..=4), length) => (values, length),
            Read::Partial => return Ok(0),
            // a heartbeat
            Read::Head(Head::Nil, length) => return Ok(length),
            Read::Head(..) | Read::Invalid => return Err(Broken),
        };
        let tag = match msgpack::head(&bytes[at..]) {
            Read::Head(Head::Text(length @ 0..=TAG_BYTES_MAX), head) => {
                at + head..at + head + length
            }
            Read::Partial => return Ok(0),
            Read::Head(..) | Read::Invalid => return Err(Broken),
        };
        at = tag.end;
        let (next, values_max) = match msgpack::head(bytes.get(at..).unwrap_or_default()) {
            Read::Head(Head::Array(entries), length) => {
                at += length;
                (Next::Entries(entries as u64), 2)
            }
            Read::Head(Head::Text(size) | Head::Bytes(size), length) => {
                at += length;
                match bytes.get(at..at + size.min(2)) {
                    None => return Ok(0),
                    Some([0x1f, 0x8b]) => (Next::Compressed(size as u64), 2),
                    Some(_) => (Next::Packed(size as u64), 2),
                }
            }
            Read::Head(Head::Integer(_) | Head::Float(_) | Head::Extension(..), _) => {
                (Next::Single, 3)
            }
            Read::Partial => return Ok(0),
            Read::Head(..) | Read::Invalid => return Err(Broken),
        };
        if values < values_max || values > values_max + 1 {
            return Err(Broken);
        }
        self.tag.clear();
        self.tag.extend_from_slice(&bytes[tag]);
        self.has_options = values > values_max;
        self.next = next;
        match next {
            Next::Entries(0) | Next::Packed(0) => self.end_entries(),
            Next::Compressed(_) => {
                self.inflater = Some(Box::new(GzDecoder::new(Vec::new())));
            }
            _ => {}
        }
        Ok(at)
    }

    fn end_entries(&mut self) {
        self.next = if self.has_options { Next::Options } else { Next::Message };
    }

    /// Delivers the entry at the start of `bytes`, which consists of so many values. Returns how
    /// many bytes are used, and whether they end the entry.
    fn entry(
        &mut self,
        bytes: &[u8],
        values: u64,
        limit: usize,
        emit: &mut impl FnMut(Piece<'_>),
    ) -> Result<(usize, bool), Broken> {
        if let Some(mut walk) = self.skip.take() {
            return match walk.on(bytes) {
                Walked::Ended(end) => Ok((end, true)),
                Walked::Open(end) => {
                    self.skip = Some(walk);
                    Ok((end, false))
                }
                Walked::Invalid => Err(Broken),
            };
        }
        let mut walk = Walk::over(values);
        let (end, is_whole) = match walk.on(bytes) {
            Walked::Ended(end) => (end, true),
            Walked::Open(_) if bytes.len() < limit => return Ok((0, false)),
            Walked::Open(end) => (end, false),
            Walked::Invalid => return Err(Broken),
        };
        if !is_whole {
            self.skip = Some(walk);
        }
        let bytes = &bytes[..end.min(limit)];
        let length = if is_whole { end } else { end.max(limit + 1) } as u64;
        let entry = Frame::part(Encoding::Forward, bytes, length);
        emit(Piece::Record(Frame { tag: &self.tag, ..entry }));
        Ok((end, is_whole))
    }

    /// Inflates some bytes and delivers the entries that are whole.
    fn inflate(
        &mut self,
        bytes: &[u8],
        limit: usize,
        emit: &mut impl FnMut(Piece<'_>),
    ) -> Result<(), Broken> {
        let Some(mut inflater) = self.inflater.take() else { return Err(Broken) };
        inflater.write_all(bytes).map_err(|_| Broken)?;
        let inflated = std::mem::take(inflater.get_mut());
        let used = self.entries(&inflated, limit, emit)?;
        inflater.get_mut().extend_from_slice(&inflated[used..]);
        self.inflater = Some(inflater);
        Ok(())
    }

    /// Delivers the whole entries in `bytes`; returns how many bytes they take.
    fn entries(
        &mut self,
        bytes: &[u8],
        limit: usize,
        emit: &mut impl FnMut(Piece<'_>),
    ) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() {
            let (used, _) = self.entry(&bytes[at..], 1, limit, emit)?;
            if used == 0 {
                break;
            }
            at += used;
        }
        Ok(at)
    }

    /// Returns whether the connection ends within a message.
    pub(super) fn is_open(&self) -> bool {
        !self.is_broken && (self.next != Next::Message || !self.kept.is_empty())
    }
}

/// Returns the id of the chunk in the options of a message, for which the client waits.
fn chunk(options: &[u8]) -> Option<&[u8]> {
    let Read::Head(Head::Map(count), mut at) = msgpack::head(options) else { return None };
    for _ in 0..count {
        let key = text(&options[at..]);
        at += msgpack::end(&options[at..])?;
        let value = text(&options[at..]);
        if key == Some(b"chunk") {
            return value.filter(|chunk| chunk.len() <= CHUNK_BYTES_MAX);
        }
        at += msgpack::end(&options[at..])?;
    }
    None
}

fn text(bytes: &[u8]) -> Option<&[u8]> {
    match msgpack::head(bytes) {
        Read::Head(Head::Text(size) | Head::Bytes(size), at) => bytes.get(at..at + size),
        _ => None,
    }
}

/// Returns the answer to a chunk: `{"ack": chunk}`.
fn acknowledgement(chunk: &[u8]) -> Vec<u8> {
    let mut answer = b"\x81\xa3ack".to_vec();
    answer.extend([0xd9, chunk.len() as u8]);
    answer.extend_from_slice(chunk);
    answer
}

#[cfg(test)]
mod tests;
