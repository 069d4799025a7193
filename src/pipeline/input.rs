//! Between `receive` and the pipeline: what a connection is to the pipeline, and the five methods
//! that a data thread calls. Unit: all whole lines of one read, one oversized line, or one
//! datagram.

use crate::clock::UnixNanos;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where lines come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Input {
    /// The Unix stream socket.
    Stream,
    /// The Unix datagram socket.
    Datagram,
    /// Standard input.
    Stdin,
}

impl Input {
    /// The value of the label `input`.
    pub fn name(self) -> &'static str {
        match self {
            Input::Stream => "stream",
            Input::Datagram => "datagram",
            Input::Stdin => "stdin",
        }
    }
}

/// One connection, the datagram socket or standard input, as the pipeline sees it.
#[derive(Debug)]
pub struct Source {
    /// Unique in the process.
    pub id: u64,
    /// The input that it belongs to.
    pub input: Input,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Source {
    /// Creates a source with a new id.
    pub fn new(input: Input) -> Source {
        Source { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), input }
    }
}

/// Takes what a data thread has read, in the order of arrival. No method may wait or fail.
pub trait FrameSink {
    /// Takes whole lines, one behind the other as they were received. The last one may lack its
    /// newline if the peer closed the connection.
    fn lines(&mut self, source: &mut Source, block: &[u8], observed: UnixNanos);

    /// Takes the beginning of a line above the length limit. `bytes` is the length of the whole
    /// line without its newline.
    fn oversized(&mut self, source: &mut Source, prefix: &[u8], bytes: u64, observed: UnixNanos);

    /// Takes one datagram, whatever newlines it contains.
    fn datagram(&mut self, source: &mut Source, bytes: &[u8], observed: UnixNanos);

    /// Publishes what was counted. Called after every sweep that delivered something, and before
    /// the end.
    fn flush(&mut self, now: UnixNanos);

    /// Expires what is too old. Called once a second while something came or the last call returned
    /// true: true means that something can still expire, so an idle thread is not woken for
    /// nothing.
    fn tick(&mut self, now: UnixNanos) -> bool;
}
