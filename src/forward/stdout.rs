//! The data thread's side of the passthrough, which copies the received lines unchanged to standard
//! output. When the pipe is full, it drops the copy and counts it; it never blocks the thread.
//! Unit: one line.

use crate::outbox::{Chunk, Outbox};
use crate::telemetry::Telemetry;
use memchr::memchr_iter;
use prometheus::{IntCounter, IntCounterVec};
use std::sync::Arc;

/// The value of the label `output`.
pub(crate) const OUTPUT: &str = "stdout";
/// A batch that grew beyond this size is handed over before the batch of lines ends. A pipe holds
/// as much.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// The data thread's side of the passthrough.
#[derive(Debug)]
pub struct Passthrough {
    outbox: Arc<Outbox>,
    offered: IntCounter,
    dropped: IntCounterVec,
    chunk: Chunk,
}

impl Passthrough {
    /// Creates a passthrough that sends lines to `outbox`, from which [`super::writer::spawn`]
    /// takes them.
    pub fn new(outbox: Arc<Outbox>, telemetry: &Telemetry) -> Passthrough {
        Passthrough {
            outbox,
            offered: telemetry.offered.with_label_values(&[OUTPUT]),
            dropped: telemetry.dropped.clone(),
            chunk: Chunk::default(),
        }
    }

    /// Copies whole lines. Adds a newline to the last one if it has none.
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

    /// Copies one line or one datagram and ends it with exactly one newline, however many it has.
    /// Copies nothing of a datagram that consists of newlines only.
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

    /// Counts a line that was too long to be kept whole, and drops its copy: a reader of the copies
    /// would take half a record for a whole one.
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

    /// Guarantees: a datagram that ends in a newline produces no empty line. (Its copy once ended
    /// in two newlines.)
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

    /// Guarantees: a line that cannot be copied whole counts as offered and as dropped, so that the
    /// ledger includes it.
    #[test]
    fn an_oversized_line_is_counted() {
        let telemetry = Telemetry::new();
        let mut lines = Passthrough::new(Outbox::new(Capacity::LINES), &telemetry);
        lines.oversized();
        let dropped = telemetry.dropped.with_label_values(&[OUTPUT, "oversized"]).get();
        assert_eq!((telemetry.offered.with_label_values(&[OUTPUT]).get(), dropped), (1, 1));
        assert!(lines.chunk.is_empty());
    }

    /// Guarantees: a large block does not wait for the end of the batch.
    #[test]
    fn the_batch_is_bounded() {
        let telemetry = Telemetry::new();
        let outbox = Outbox::new(Capacity::LINES);
        let mut lines = Passthrough::new(Arc::clone(&outbox), &telemetry);
        lines.lines(&b"0123456789abcde\n".repeat(CHUNK_BYTES_MAX / 16));
        assert_eq!(outbox.held(), CHUNK_BYTES_MAX as u64 / 16);
    }
}
