//! What a data thread hands on: the one seam between bytes and their meaning. Unit: one delivery, that is all
//! whole lines of one read, one oversized line, or one datagram.

use super::intake::Piece;
use super::meter::Meter;
use crate::pipeline::{Input, Source};
use std::sync::atomic::{AtomicU64, Ordering};

/// Handed to the data thread's own pipeline, in the order of arrival.
#[derive(Debug)]
pub enum Delivery<'a> {
    /// Whole lines; the last may lack its newline (the peer closed).
    Lines {
        /// What the connection remembers.
        source: &'a mut Source,
        /// The lines, one behind the other, as they were received.
        block: &'a [u8],
    },
    /// A line longer than the limit.
    Oversized {
        /// What the connection remembers.
        source: &'a mut Source,
        /// Its beginning.
        prefix: &'a [u8],
        /// Its whole length, the newline not counted.
        bytes: u64,
    },
    /// One datagram.
    Datagram {
        /// What the socket remembers.
        source: &'a mut Source,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The end of a sweep in which something was delivered, and of everything.
    Flush,
    /// A second has passed since something was delivered, or since the last tick.
    Tick,
}

/// Takes deliveries; on `Tick` it says whether something still ages, so that an idle thread is not woken for
/// nothing. What it answers to the others is not looked at.
pub type Process<'p> = dyn FnMut(Delivery<'_>) -> bool + 'p;

static SOURCES: AtomicU64 = AtomicU64::new(1);

/// A source with a number that no other has in this process.
pub fn source(input: Input) -> Source {
    Source { id: SOURCES.fetch_add(1, Ordering::Relaxed), input }
}

/// Counts the frames of one piece of a stream and hands it on.
pub(super) fn hand_on(
    process: &mut Process<'_>,
    meter: &mut Meter,
    source: &mut Source,
    piece: Piece<'_>,
) {
    match piece {
        Piece::Lines(block) => {
            let block = meter.lines(block);
            process(Delivery::Lines { source, block });
        }
        Piece::Oversized { prefix, bytes } => {
            if meter.frame() {
                process(Delivery::Oversized { source, prefix, bytes });
            }
        }
    }
}
