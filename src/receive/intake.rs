//! Splits the bytes of one connection into frames, by the protocol that its first bytes show. Pure:
//! the caller passes in what was read and gets a callback for what was found. The frames are the
//! same wherever the reads split the stream. Unit: one read. A connection owns only its tail, and
//! only while a frame is unfinished or held back.

mod forward;
pub mod piece;
mod records;
pub mod tail;

use crate::frame::protocol::{Detection, detect};
use forward::Forward;
use memchr::memchr;
use piece::{Bounds, Buffer, Piece};
use records::Records;
use tail::Tail;

/// The framing of one connection, with the bytes that it keeps between two reads.
#[derive(Debug)]
pub enum Intake {
    /// The first bytes, which do not show the protocol yet.
    Start(Vec<u8>),
    /// Lines.
    Lines(Tail),
    /// Records with another framing.
    Records(Records),
    /// Messages of Fluent Forward.
    Forward(Box<Forward>),
}

impl Default for Intake {
    fn default() -> Intake {
        Intake::Start(Vec::new())
    }
}

impl Intake {
    /// Returns true while bytes are kept that [`Intake::release`] emits if nothing follows.
    pub fn holds(&self) -> bool {
        match self {
            Intake::Start(kept) => memchr(b'\n', kept).is_some(),
            Intake::Lines(tail) => tail.holds(),
            Intake::Records(records) => records.holds(),
            Intake::Forward(_) => false,
        }
    }

    /// Returns whether nothing further on the connection can be read, so that it should be closed:
    /// the peer then connects again.
    pub fn is_broken(&self) -> bool {
        matches!(self, Intake::Forward(forward) if forward.is_broken())
    }

    /// Returns the memory that the kept bytes occupy.
    pub fn bytes(&self) -> usize {
        match self {
            Intake::Start(kept) => kept.capacity(),
            Intake::Lines(tail) => tail.bytes(),
            Intake::Records(records) => records.bytes(),
            Intake::Forward(forward) => forward.bytes(),
        }
    }

    /// Processes the `read` fresh bytes of `buffer`.
    #[inline]
    pub fn take(
        &mut self,
        buffer: &mut Buffer,
        read: usize,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        if let Intake::Lines(tail) = self {
            return tail.take(buffer, read, bounds, emit);
        }
        self.take_records(buffer, read, bounds, emit);
    }

    /// Processes fresh bytes of a connection whose protocol is another one, or not known yet.
    fn take_records(
        &mut self,
        buffer: &mut Buffer,
        read: usize,
        bounds: Bounds,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        let (mut start, end) = (buffer.tail_space, buffer.tail_space + read);
        if let Intake::Start(kept) = self {
            start = buffer.put_before(start, kept);
            let seen = &buffer.bytes[start..end];
            let most = bounds.line_bytes_max.min(bounds.tail_bytes_max);
            let detection = detect(&seen[..seen.len().min(most)]);
            *self = match detection {
                Detection::Undecided if seen.len() < most => {
                    let mut kept = std::mem::take(kept);
                    kept.extend_from_slice(&buffer.bytes[end - read..end]);
                    *self = Intake::Start(kept);
                    return;
                }
                Detection::Undecided | Detection::Lines => Intake::Lines(Tail::default()),
                Detection::Records(framing) => Intake::Records(Records::new(framing)),
                Detection::Forward => Intake::Forward(Box::new(Forward::new())),
            };
        }
        if let Intake::Forward(forward) = self {
            return forward.take(buffer, start..end, bounds, emit);
        }
        if let Intake::Records(records) = self {
            let Some(lost) = records.take(buffer, start..end, bounds, emit) else { return };
            *self = Intake::Lines(Tail::default());
            start = lost;
        }
        if let Intake::Lines(tail) = self {
            tail.take_range(buffer, start..end, bounds, emit);
        }
    }

    /// Emits what is held back.
    pub fn release(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if self.holds()
            && let Intake::Start(kept) = self
        {
            *self = Intake::Lines(Tail::of(std::mem::take(kept)));
        }
        match self {
            Intake::Start(_) | Intake::Forward(_) => {}
            Intake::Lines(tail) => tail.release(emit),
            Intake::Records(records) => records.release(emit),
        }
    }

    /// Emits the rest after the peer has closed the connection; the rest of a line or of a record
    /// that ends in NUL is a frame.
    pub fn finish(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        match std::mem::take(self) {
            Intake::Start(kept) => Tail::of(kept).finish(emit),
            Intake::Lines(mut tail) => tail.finish(emit),
            Intake::Records(records) => records.finish(emit),
            Intake::Forward(forward) if forward.is_open() => emit(Piece::Torn),
            Intake::Forward(_) => {}
        }
    }

    /// Emits the held-back lines after we have closed the connection, and discards the beginning of
    /// a frame. Returns true if there was such a beginning.
    pub fn tear(&mut self, emit: &mut impl FnMut(Piece<'_>)) -> bool {
        match std::mem::take(self) {
            Intake::Start(kept) => Tail::of(kept).tear(emit),
            Intake::Lines(mut tail) => tail.tear(emit),
            Intake::Records(mut records) => records.tear(emit),
            Intake::Forward(forward) => forward.is_open(),
        }
    }
}

#[cfg(test)]
mod tests;
