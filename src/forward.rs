//! Effect 4: what leaves as it came. So far the lines received, unchanged, to standard output. A full pipe drops
//! the copy, counted, and never holds up a data thread. Unit: one line.

pub mod stdout;

use crate::outbox::{Chunk, Outbox};
use crate::telemetry::Telemetry;
use prometheus::{IntCounter, IntCounterVec};
use std::sync::Arc;

/// The value of the label `output`.
pub const OUTPUT: &str = "stdout";
/// A batch that grew beyond this is handed over before the batch of lines ends: what a pipe holds.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// A data thread's end of the passthrough.
#[derive(Debug)]
pub struct Passthrough {
    /// None: it is not configured.
    output: Option<Output>,
    chunk: Chunk,
}

#[derive(Debug)]
struct Output {
    outbox: Arc<Outbox>,
    offered: IntCounter,
    dropped: IntCounterVec,
}

impl Passthrough {
    /// Lines go to `outbox`, from which [`stdout::spawn`] takes them.
    pub fn new(outbox: Arc<Outbox>, telemetry: &Telemetry) -> Passthrough {
        let output = Output {
            outbox,
            offered: telemetry.offered.with_label_values(&[OUTPUT]),
            dropped: telemetry.dropped.clone(),
        };
        Passthrough { output: Some(output), chunk: Chunk::default() }
    }

    /// The passthrough that is not configured: does nothing.
    pub fn disabled() -> Passthrough {
        Passthrough { output: None, chunk: Chunk::default() }
    }

    /// Whether it is configured; otherwise nothing else here need be called.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.output.is_some()
    }

    /// Copies a line, given without its end.
    #[inline]
    pub fn line(&mut self, line: &[u8]) {
        if self.output.is_none() {
            return;
        }
        self.chunk.bytes.extend_from_slice(line);
        self.chunk.bytes.push(b'\n');
        self.chunk.end_item();
        if self.chunk.bytes.len() >= CHUNK_BYTES_MAX {
            self.flush();
        }
    }

    /// Hands the batch to the outbox.
    pub fn flush(&mut self) {
        let Some(output) = &self.output else { return };
        if self.chunk.is_empty() {
            return;
        }
        let offered = output.outbox.offer(&mut self.chunk);
        output.offered.inc_by(offered.taken + offered.dropped);
        if offered.dropped > 0 {
            output.dropped.with_label_values(&[OUTPUT, offered.reason()]).inc_by(offered.dropped);
        }
    }
}
