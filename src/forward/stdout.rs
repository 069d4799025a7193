//! The passthrough of the lines received, unchanged, to standard output: a data thread's end of it.
//! A full pipe drops the copy, counted, and never holds up the thread. Unit: one line.

use crate::outbox::{Chunk, Outbox};
use crate::telemetry::Telemetry;
use memchr::memchr_iter;
use prometheus::{IntCounter, IntCounterVec};
use std::sync::Arc;

/// The value of the label `output`.
pub const OUTPUT: &str = "stdout";
/// A batch that grew beyond this is handed over before the batch of lines ends: what a pipe holds.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// A data thread's end of the passthrough.
#[derive(Debug)]
pub struct Passthrough {
    outbox: Arc<Outbox>,
    offered: IntCounter,
    dropped: IntCounterVec,
    chunk: Chunk,
}

impl Passthrough {
    /// Lines go to `outbox`, from which [`super::writer::spawn`] takes them.
    pub fn new(outbox: Arc<Outbox>, telemetry: &Telemetry) -> Passthrough {
        Passthrough {
            outbox,
            offered: telemetry.offered.with_label_values(&[OUTPUT]),
            dropped: telemetry.dropped.clone(),
            chunk: Chunk::default(),
        }
    }

    /// Copies whole lines; the last may lack its newline, which it gets.
    pub fn lines(&mut self, block: &[u8]) {
        let base = self.chunk.bytes.len() as u32;
        self.chunk.bytes.extend_from_slice(block);
        let ends = memchr_iter(b'\n', block).map(|at| base + at as u32 + 1);
        self.chunk.ends.extend(ends);
        if block.last().is_some_and(|&last| last != b'\n') {
            self.chunk.bytes.push(b'\n');
            self.chunk.end_item();
        }
        self.bounded();
    }

    /// Copies one line or one datagram with exactly one newline at its end, however many it has. A
    /// datagram of nothing but newlines has no copy.
    pub fn line(&mut self, line: &[u8]) {
        let content = line.iter().rposition(|&byte| byte != b'\n').map_or(0, |last| last + 1);
        if content == 0 {
            return;
        }
        self.chunk.bytes.extend_from_slice(&line[..content]);
        self.chunk.bytes.push(b'\n');
        self.chunk.end_item();
        self.bounded();
    }

    /// A line of which only the beginning was kept. Its copy is dropped, counted: half a record would be
    /// taken for a whole one by whoever reads the copies.
    pub fn oversized(&mut self) {
        self.offered.inc();
        self.dropped.with_label_values(&[OUTPUT, "oversized"]).inc();
    }

    /// Hands the batch to the outbox.
    pub fn flush(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        self.offered.inc_by(self.chunk.len() as u64);
        let offered = self.outbox.offer(&mut self.chunk);
        if offered.dropped > 0 {
            self.dropped.with_label_values(&[OUTPUT, offered.reason()]).inc_by(offered.dropped);
        }
    }

    fn bounded(&mut self) {
        if self.chunk.bytes.len() >= CHUNK_BYTES_MAX {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Capacity;

    #[test]
    fn blocks_and_lines_are_items() {
        for (block, items) in [
            ("", &[][..]),
            ("a\n", &["a\n"]),
            ("a\n\nb\r\n", &["a\n", "\n", "b\r\n"]),
            ("a\nb", &["a\n", "b\n"]),
        ] {
            let telemetry = Telemetry::new();
            let mut lines = Passthrough::new(Outbox::new(Capacity::LINES), &telemetry);
            lines.line(b"first");
            lines.lines(block.as_bytes());
            let seen: Vec<&[u8]> = lines.chunk.items().collect();
            let expected: Vec<&[u8]> = std::iter::once(&b"first\n"[..])
                .chain(items.iter().map(|i| i.as_bytes()))
                .collect();
            assert_eq!(seen, expected, "{block:?}");
            lines.flush();
            let offered = telemetry.offered.with_label_values(&[OUTPUT]).get();
            assert_eq!(offered, items.len() as u64 + 1);
        }
    }

    /// Guarantees: a datagram that ends in a newline gives no empty line (its copy had two newlines before).
    #[test]
    fn a_datagram_ends_once() {
        for (datagram, copy) in [
            ("a", "a\n"),
            ("a\n", "a\n"),
            ("a\r\n", "a\r\n"),
            ("a\n\n", "a\n"),
            ("a\nb\n", "a\nb\n"),
            ("\n", ""),
            ("", ""),
        ] {
            let mut lines = Passthrough::new(Outbox::new(Capacity::LINES), &Telemetry::new());
            lines.line(datagram.as_bytes());
            assert_eq!(lines.chunk.bytes, copy.as_bytes(), "{datagram:?}");
            assert_eq!(lines.chunk.len(), usize::from(!copy.is_empty()), "{datagram:?}");
        }
    }

    /// Guarantees: a line that cannot be copied whole is offered and dropped, so that the ledger has it.
    #[test]
    fn an_oversized_line_is_counted() {
        let telemetry = Telemetry::new();
        let mut lines = Passthrough::new(Outbox::new(Capacity::LINES), &telemetry);
        lines.oversized();
        let dropped = telemetry.dropped.with_label_values(&[OUTPUT, "oversized"]).get();
        assert_eq!((telemetry.offered.with_label_values(&[OUTPUT]).get(), dropped), (1, 1));
        assert!(lines.chunk.is_empty());
    }

    /// A large block does not wait for the end of the batch.
    #[test]
    fn the_batch_is_bounded() {
        let telemetry = Telemetry::new();
        let outbox = Outbox::new(Capacity::LINES);
        let mut lines = Passthrough::new(Arc::clone(&outbox), &telemetry);
        lines.lines(&b"0123456789abcde\n".repeat(CHUNK_BYTES_MAX / 16));
        assert_eq!(outbox.held(), CHUNK_BYTES_MAX as u64 / 16);
    }
}
