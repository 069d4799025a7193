//! The interface between `receive` and the pipeline: the source of lines, and the five methods that
//! a data thread calls. Unit: all whole lines of one read, one oversized line, or one datagram.

use super::recognition::Recognition;
use crate::clock::UnixNanos;
use crate::record::columns::Columns;
use std::sync::atomic::{AtomicU64, Ordering};

/// An input that receives lines.
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
    /// Returns the value of the label `input`.
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
    /// The input to which it belongs.
    pub input: Input,
    /// Whether its records have levels and times.
    pub(super) recognition: Recognition,
    /// The columns of its lines, if a `#Fields` directive named them.
    pub(super) columns: Columns,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Source {
    /// Creates a source with a new id.
    pub fn new(input: Input) -> Source {
        Source::with_id(NEXT_ID.fetch_add(1, Ordering::Relaxed), input)
    }

    /// Creates a source with a given id: for a process with one source, and for tests.
    pub fn with_id(id: u64, input: Input) -> Source {
        Source { id, input, recognition: Recognition::default(), columns: Columns::default() }
    }
}

/// Processes what a data thread has read, in the order of arrival. No method may block or fail.
pub trait FrameSink {
    /// Processes consecutive whole lines as they were received. The last line may lack its newline
    /// if the peer closed the connection.
    fn lines(&mut self, source: &mut Source, block: &[u8], observed: UnixNanos);

    /// Processes the beginning of a line above the length limit. `bytes` is the length of the whole
    /// line without its newline.
    fn oversized(&mut self, source: &mut Source, prefix: &[u8], bytes: u64, observed: UnixNanos);

    /// Processes one datagram, whatever newlines it contains.
    fn datagram(&mut self, source: &mut Source, bytes: &[u8], observed: UnixNanos);

    /// Publishes the counts. Called after every sweep that delivered something, and before the end.
    fn flush(&mut self, now: UnixNanos);

    /// Expires what is too old. Called once a second while bytes arrive or the last call returned
    /// true. Returns true if something can still expire, so that an idle thread does not wake up
    /// without need.
    fn tick(&mut self, now: UnixNanos) -> bool;
}
