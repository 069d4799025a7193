//! THE WHOLE LIFE OF ONE LINE, in order: frame, decode, match, and the effects.

use crate::clock::UnixNanos;

/// What a connection remembers; one a connection, owned by it.
#[derive(Debug)]
pub struct Source {
    /// A number of its own, for the life of the process.
    pub id: u64,
    /// The input that it belongs to: `stream`, `datagram`, `stdin`.
    pub input: Input,
}

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

/// One data thread's way of a line. Never async, cannot fail: losses are counted.
#[derive(Debug)]
pub struct Pipeline {}

impl Pipeline {
    /// Processes whole lines; the last may lack its newline (the peer closed). Lines that belong together are
    /// joined here; what may still be continued is held back by the caller (`frame::multiline::settled`).
    pub fn lines(&mut self, source: &mut Source, block: &[u8], observed: UnixNanos) {
        let _ = (source, block, observed);
    }

    /// Processes one datagram: one record, whatever newlines it holds.
    pub fn datagram(&mut self, source: &mut Source, bytes: &[u8], observed: UnixNanos) {
        let _ = (source, bytes, observed);
    }

    /// A line longer than the limit: its beginning, and its whole length in bytes.
    pub fn oversized(
        &mut self,
        source: &mut Source,
        prefix: &[u8],
        bytes: u64,
        observed: UnixNanos,
    ) {
        let _ = (source, prefix, bytes, observed);
    }

    /// The end of a batch: counters to telemetry, batches to the outboxes, a look at new rules. To be called
    /// after every sweep in which something was processed, and before the ledger is read.
    pub fn flush(&mut self, now: UnixNanos) {
        let _ = now;
    }

    /// About once a second: what ages (start lines without an end).
    pub fn tick(&mut self, now: UnixNanos) {
        let _ = now;
    }
}
