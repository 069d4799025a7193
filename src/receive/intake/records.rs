//! Splits the bytes of a connection into records that do not end in a newline. Unit: one read.

use super::piece::{Bounds, Buffer, Piece};
use crate::frame::encoding::{Encoding, Frame};
use crate::frame::records::{self, Framing, Next};
use memchr::memchr;
use std::ops::Range;

/// The rest of a record that is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Skip {
    /// Nothing is skipped.
    Nothing,
    /// So many bytes; the record has been emitted.
    Bytes(usize),
    /// Everything up to the next NUL. The beginning of the record is kept, and so many bytes of it
    /// have been read.
    UntilNul(u64),
}

/// The framing of one connection that speaks records.
#[derive(Debug)]
pub struct Records {
    framing: Framing,
    /// The beginning of a record.
    kept: Vec<u8>,
    /// The end of the record at the start of `kept` cannot come before so many bytes are there.
    needed: usize,
    skip: Skip,
    /// The last bytes were no record, and have been reported.
    is_torn: bool,
}

impl Records {
    pub(super) fn new(framing: Framing) -> Records {
        Records { framing, kept: Vec::new(), needed: 0, skip: Skip::Nothing, is_torn: false }
    }

    /// Returns true if a torn record may keep another one, which is whole, waiting.
    pub(super) fn holds(&self) -> bool {
        self.framing == Framing::Pickle
            && self.skip == Skip::Nothing
            && records::contains_record(&self.kept)
    }

    /// Returns the memory that the kept bytes occupy.
    pub(super) fn bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Processes the bytes in `range` of `buffer`. Returns the position from which on the stream no
    /// longer follows the framing, if there is one.
    pub(super) fn take(
        &mut self,
        buffer: &mut Buffer,
        range: Range<usize>,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) -> Option<usize> {
        let Range { mut start, end } = range;
        start += self.skipped(&buffer.bytes[start..end], emit);
        let limit = bounds.line_bytes_max.min(bounds.tail_bytes_max);
        let fresh = &buffer.bytes[start..end];
        let is_unfinished = match self.framing {
            Framing::Nul => self.kept.len() + fresh.len() <= limit && memchr(0, fresh).is_none(),
            Framing::Octets | Framing::Pickle => self.kept.len() + fresh.len() < self.needed,
        };
        if is_unfinished || matches!(self.skip, Skip::UntilNul(_)) || fresh.is_empty() {
            if self.skip == Skip::Nothing {
                self.kept.extend_from_slice(fresh);
            }
            return None;
        }
        let begin = buffer.put_before(start, &self.kept);
        self.kept.clear();
        let bytes = &buffer.bytes[begin..end];
        let (used, is_lost) = self.split(bytes, limit, emit);
        if is_lost {
            return Some(begin + used);
        }
        self.kept.extend_from_slice(&bytes[used..]);
        if self.kept.is_empty() && self.kept.capacity() > 512 {
            self.kept = Vec::new();
        }
        None
    }

    /// Emits the records in `bytes`. Returns the number of bytes that need not be kept, and whether
    /// the stream no longer follows the framing.
    fn split(
        &mut self,
        bytes: &[u8],
        limit: usize,
        emit: &mut impl FnMut(Piece<'_>),
    ) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.framing.next(rest, limit, self.is_torn) {
                Next::Record { start, end, next } => {
                    self.is_torn = false;
                    if end > start {
                        emit(self.piece(&rest[start..end], (end - start) as u64));
                    }
                    at += next;
                }
                Next::TooLong { start, .. } if self.framing == Framing::Nul => {
                    self.kept.extend_from_slice(&rest[start..limit]);
                    self.skip = Skip::UntilNul(limit as u64);
                    at += limit;
                    at += self.skipped(&bytes[at..], emit);
                }
                Next::TooLong { start, length } => {
                    emit(self.piece(&rest[start..start + limit], length as u64));
                    let left = (start + length).saturating_sub(rest.len());
                    self.skip = if left > 0 { Skip::Bytes(left) } else { Skip::Nothing };
                    at += (start + length).min(rest.len());
                }
                Next::Partial { needed } => {
                    self.needed = needed;
                    return (at, false);
                }
                Next::Torn { skip } => {
                    self.tear_once(emit);
                    at += skip;
                }
                Next::Lost => return (at, true),
            }
        }
        self.needed = 0;
        (at, false)
    }

    /// Skips the rest of a record that is too long. Returns how many bytes of `fresh` belong to it.
    fn skipped(&mut self, fresh: &[u8], emit: &mut impl FnMut(Piece<'_>)) -> usize {
        match self.skip {
            Skip::Nothing => 0,
            Skip::Bytes(left) if left > fresh.len() => {
                self.skip = Skip::Bytes(left - fresh.len());
                fresh.len()
            }
            Skip::Bytes(left) => {
                self.skip = Skip::Nothing;
                left
            }
            Skip::UntilNul(before) => match memchr(0, fresh) {
                None => {
                    self.skip = Skip::UntilNul(before + fresh.len() as u64);
                    fresh.len()
                }
                Some(end) => {
                    emit(self.piece(&self.kept, before + end as u64));
                    self.kept.clear();
                    self.skip = Skip::Nothing;
                    end + 1
                }
            },
        }
    }

    /// Gives up a torn record that keeps another one waiting.
    pub(super) fn release(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        while self.holds() {
            self.tear_once(emit);
            let kept = std::mem::take(&mut self.kept);
            let rest = &kept[records::resume(&kept)..];
            let (used, _) = self.split(rest, usize::MAX, emit);
            self.kept = rest[used..].to_vec();
        }
    }

    /// Emits the rest after the peer has closed the connection.
    pub(super) fn finish(mut self, emit: &mut impl FnMut(Piece<'_>)) {
        self.release(emit);
        match (self.framing, self.skip) {
            (Framing::Nul, Skip::UntilNul(length)) => emit(self.piece(&self.kept, length)),
            (Framing::Nul, _) if !self.kept.is_empty() => {
                emit(self.piece(&self.kept, self.kept.len() as u64));
            }
            _ if !self.kept.is_empty() => self.tear_once(emit),
            _ => {}
        }
    }

    /// Discards the beginning of a record. Returns true if there was one.
    pub(super) fn tear(&mut self, emit: &mut impl FnMut(Piece<'_>)) -> bool {
        self.release(emit);
        !self.kept.is_empty() && !self.is_torn
    }

    /// Reports a torn record; the bytes up to the next whole one are part of it.
    fn tear_once(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if !std::mem::replace(&mut self.is_torn, true) {
            emit(Piece::Torn);
        }
    }

    fn piece<'a>(&self, bytes: &'a [u8], length: u64) -> Piece<'a> {
        let encoding = match self.framing {
            Framing::Nul | Framing::Octets => Encoding::Text,
            Framing::Pickle => Encoding::Pickle,
        };
        Piece::Record(Frame::part(encoding, bytes, length))
    }
}
