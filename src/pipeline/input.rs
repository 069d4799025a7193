//! The interface between `receive` and the pipeline: the source of lines, and the five methods that
//! a data thread calls. Unit: all whole lines of one read, one oversized line, or one other frame.

use super::recognition::Recognition;
use crate::clock::UnixNanos;
use crate::frame::encoding::Frame;
use crate::record::columns::Columns;
use crate::transcode::Refusal;
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
    /// Whether our log has mentioned a frame of it that could not be read.
    is_reported: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Source {
    /// Creates a source with a new id.
    pub fn new(input: Input) -> Source {
        Source::with_id(NEXT_ID.fetch_add(1, Ordering::Relaxed), input)
    }

    /// Creates a source with a given id: for a process with one source, and for tests.
    pub fn with_id(id: u64, input: Input) -> Source {
        Source {
            id,
            input,
            recognition: Recognition::default(),
            columns: Columns::default(),
            is_reported: false,
        }
    }

    /// Reports the first frame of the source that cannot be read.
    #[cold]
    pub(super) fn report_undecodable(&mut self, refusal: Refusal) {
        if !std::mem::replace(&mut self.is_reported, true) {
            tracing::warn!(
                source = self.id,
                input = self.input.name(),
                reason = %refusal,
                "a frame cannot be read; it and further ones of this source are counted in \
                 sidelight_frames_refused_total with the reason undecodable"
            );
        }
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

    /// Processes one frame that is not a line: a datagram, or a record with another framing.
    fn frame(&mut self, source: &mut Source, frame: Frame<'_>, observed: UnixNanos);

    /// Publishes the counts. Called after every sweep that delivered something, and before the end.
    fn flush(&mut self, now: UnixNanos);

    /// Expires what is too old. Called once a second while bytes arrive or the last call returned
    /// true. Returns true if something can still expire, so that an idle thread does not wake up
    /// without need.
    fn tick(&mut self, now: UnixNanos) -> bool;
}
