//! The writer of the passthrough. It moves lines from an outbox to a descriptor, on a separate
//! thread because a pipe that nobody reads may block it. Unit: one write.
//!
//! Decision: the descriptor stays blocking, because O_NONBLOCK would apply to every process that
//! has the same pipe open. Instead the writer polls first and writes at most PIPE_BUF at once, for
//! which a pipe that polls as writable has space. If another writer takes that space in between,
//! the thread blocks and the close abandons it.
//!
//! Decision: the close gives up a pipe that accepts nothing for [`CLOSING_SILENCE_MAX`], however
//! much time is left. Nobody reads such a pipe, and the exit of the pod would be delayed for
//! nothing.

use super::stdout::OUTPUT;
use crate::clock::{Clock, timespec};
use crate::outbox::{BatchSize, Chunk, Outbox};
use crate::telemetry::Telemetry;
use crate::telemetry::outputs::OutputStatus;
use prometheus::{IntCounter, IntCounterVec};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// The largest write that Linux does atomically on a pipe, and for which a pipe that polls as
/// writable has space.
const PIPE_BUF: usize = 4096;
/// Bounds of one take from the outbox: several writes, so that each write does not lock the queue.
const BATCH: BatchSize = BatchSize { items_max: 1024, bytes_max: 64 * 1024 };
/// How often a writer that waits for space checks whether the close has abandoned it.
const POLL_MS_MAX: Duration = Duration::from_millis(100);

/// How long the close waits for a pipe that accepts nothing. A live reader empties a full pipe
/// within milliseconds.
const CLOSING_SILENCE_MAX: Duration = Duration::from_millis(300);

/// A running writer.
#[derive(Debug)]
pub(crate) struct Writer {
    outbox: Arc<Outbox>,
    dropped: IntCounterVec,
    abandoned: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    done: mpsc::Receiver<()>,
}

/// Starts a thread that writes what `outbox` receives to standard output.
///
/// # Errors
/// Fails if standard output is closed or the system cannot start a thread.
pub(crate) fn spawn(
    outbox: Arc<Outbox>,
    telemetry: &Telemetry,
    status: Arc<OutputStatus>,
) -> io::Result<Writer> {
    spawn_to(io::stdout().as_fd().try_clone_to_owned()?, outbox, telemetry, status)
}

/// Starts a thread that writes what `outbox` receives to `target`.
///
/// # Errors
/// Fails if the system cannot start a thread.
pub(crate) fn spawn_to(
    target: OwnedFd,
    outbox: Arc<Outbox>,
    telemetry: &Telemetry,
    status: Arc<OutputStatus>,
) -> io::Result<Writer> {
    // the thread reports its end once
    let (finished, done) = mpsc::sync_channel(1);
    let written = Arc::new(AtomicU64::new(0));
    let abandoned = Arc::new(AtomicBool::new(false));
    let work = Work {
        target: File::from(target),
        outbox: Arc::clone(&outbox),
        sent: telemetry.sent.with_label_values(&[OUTPUT]),
        dropped: telemetry.dropped.clone(),
        abandoned: Arc::clone(&abandoned),
        written: Arc::clone(&written),
        status,
        clock: Clock::system(),
        broken: false,
        lose_item: telemetry.faults.lose_item,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        runtime.block_on(work.run());
        // the receiver is gone when the close has given up
        finished.send(()).ok();
    })?;
    Ok(Writer { outbox, dropped: telemetry.dropped.clone(), abandoned, written, done })
}

impl Writer {
    /// Closes the outbox, gives the writer the time `within` to write what it holds, and drops and
    /// counts the rest. Abandons a writer that is blocked: its thread ends with the process.
    pub(crate) fn finish(self, within: Duration) {
        self.outbox.close();
        let mut left = within;
        loop {
            let before = self.written.load(Ordering::Relaxed);
            let turn = left.min(CLOSING_SILENCE_MAX);
            match self.done.recv_timeout(turn) {
                Err(mpsc::RecvTimeoutError::Timeout) => left -= turn,
                Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if left.is_zero() || self.written.load(Ordering::Relaxed) == before {
                break;
            }
        }
        self.abandoned.store(true, Ordering::Relaxed);
        let held = self.outbox.abandon();
        if held > 0 {
            self.dropped.with_label_values(&[OUTPUT, "deadline"]).inc_by(held);
        }
    }
}

#[derive(Debug)]
struct Work {
    target: File,
    outbox: Arc<Outbox>,
    sent: IntCounter,
    dropped: IntCounterVec,
    abandoned: Arc<AtomicBool>,
    /// Bytes written since the start.
    written: Arc<AtomicU64>,
    status: Arc<OutputStatus>,
    clock: Clock,
    /// The reader has closed the pipe: nothing can be written any more.
    broken: bool,
    /// For tests: the writer takes the next line from the outbox and does not write it.
    lose_item: bool,
}

impl Work {
    async fn run(mut self) {
        let mut lines = Chunk::default();
        let outbox = Arc::clone(&self.outbox);
        while outbox.take(&mut lines, BATCH, Duration::ZERO).await {
            let taken = lines.len() as u64;
            if std::mem::take(&mut self.lose_item) {
                lines.remove_first();
                outbox.settle(taken - lines.len() as u64);
            }
            let written = if self.broken { 0 } else { self.write(&lines.bytes) };
            let sent = lines.ends.partition_point(|&end| end as usize <= written) as u64;
            self.sent.inc_by(outbox.settle(sent));
            let dropped = outbox.settle(lines.len() as u64 - sent);
            if dropped > 0 {
                self.dropped.with_label_values(&[OUTPUT, "closed"]).inc_by(dropped);
            }
        }
    }

    /// Writes until everything is written, the reader is gone, or the close has given up. Returns
    /// the number of bytes written.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() && !self.abandoned.load(Ordering::Relaxed) {
            match self.step(&bytes[written..]) {
                Ok(0) => {
                    self.status.degraded(self.clock.now(), "nobody reads standard output");
                }
                Ok(count) => {
                    written += count;
                    self.written.fetch_add(count as u64, Ordering::Relaxed);
                    self.status.works();
                }
                Err(error) if retriable(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "standard output cannot be written; lines are not copied");
                    self.status.degraded(self.clock.now(), &error.to_string());
                    self.broken = true;
                    break;
                }
            }
        }
        written
    }

    /// Waits for space for a limited time and writes one piece. Returns 0 if there was no space.
    fn step(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let timeout = timespec(POLL_MS_MAX);
        let mut descriptors = [PollFd::new(&self.target, PollFlags::OUT)];
        if poll(&mut descriptors, Some(&timeout))? == 0 {
            return Ok(0);
        }
        self.target.write(&bytes[..bytes.len().min(PIPE_BUF)])
    }
}

/// Returns whether a write may be tried again: a signal arrived, or another process made the pipe
/// non-blocking.
fn retriable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::stdout::Passthrough;
    use crate::outbox::Capacity;
    use crate::telemetry::faults::Faults;
    use crate::telemetry::ledger::Ledger;
    use crate::telemetry::outputs::Condition;
    use std::io::Read;

    /// Long enough for a loaded machine; a test that waits this long has failed.
    const AMPLE: Duration = Duration::from_secs(20);

    struct Bench {
        telemetry: Telemetry,
        outbox: Arc<Outbox>,
        lines: Passthrough,
        writer: Writer,
        status: Arc<OutputStatus>,
        reader: File,
    }

    fn bench(capacity: Capacity) -> Bench {
        bench_with(capacity, Faults::default())
    }

    fn bench_with(capacity: Capacity, faults: Faults) -> Bench {
        let (reader, target) = rustix::pipe::pipe().expect("a pipe");
        let mut telemetry = Telemetry::new();
        telemetry.faults = faults;
        let outbox = Outbox::new(capacity);
        let status = OutputStatus::new(OUTPUT, &telemetry.output_healthy, Box::new(|| 0.0));
        let writer = spawn_to(target, Arc::clone(&outbox), &telemetry, Arc::clone(&status))
            .expect("a thread");
        let lines = Passthrough::new(Arc::clone(&outbox), &telemetry);
        Bench { telemetry, outbox, lines, writer, status, reader: File::from(reader) }
    }

    fn dropped(telemetry: &Telemetry, reason: &str) -> u64 {
        telemetry.dropped.with_label_values(&[OUTPUT, reason]).get()
    }

    /// Guarantees: all bytes pass unchanged, whatever their values.
    #[test]
    fn lines_pass_unchanged() {
        let Bench { telemetry, outbox, mut lines, writer, mut reader, .. } = bench(Capacity::LINES);
        let mut expected = Vec::new();
        for number in 0..1000 {
            let line = format!("line {number} \u{1b}[31m\u{e9}\u{fffd}{}", "x".repeat(number % 90));
            lines.line(line.as_bytes());
            lines.line(b"\xff\x00");
            expected.extend_from_slice(line.as_bytes());
            expected.extend_from_slice(b"\n\xff\x00\n");
        }
        lines.flush();
        let reading = thread::spawn(move || {
            let mut seen = Vec::new();
            reader.read_to_end(&mut seen).expect("a pipe");
            seen
        });
        writer.finish(AMPLE);
        assert_eq!(reading.join().expect("no panic"), expected);
        let ledger = Ledger::read(&telemetry, outbox.held());
        assert_eq!((ledger.offered, ledger.sent, ledger.lost), (2000, 2000, 0));
    }

    /// Guarantees: a line that is taken and not written is missing in the ledger.
    #[test]
    fn a_line_that_is_not_written_is_lost() {
        let faults = Faults { lose_item: true, ..Faults::default() };
        let Bench { telemetry, outbox, mut lines, writer, mut reader, .. } =
            bench_with(Capacity::LINES, faults);
        lines.lines(b"a\nb\nc\n");
        lines.flush();
        writer.finish(AMPLE);
        let mut seen = String::new();
        reader.read_to_string(&mut seen).expect("a pipe");
        let ledger = Ledger::read(&telemetry, outbox.held());
        assert_eq!((seen.as_str(), ledger.offered, ledger.sent, ledger.lost), ("b\nc\n", 3, 2, 1));
    }

    /// Scenario: nobody reads the pipe. Guarantees: the data thread never waits, copies are dropped
    /// and counted, and the close takes no more time than it is given.
    #[test]
    fn a_stuck_pipe_drops_the_copy() {
        let capacity = Capacity { items_max: 1000, bytes_max: 256 * 1024 };
        let Bench { telemetry, outbox, mut lines, writer, status, reader } = bench(capacity);
        for _ in 0..100 {
            for _ in 0..100 {
                lines.line(&[b'x'; 999]);
            }
            lines.flush();
        }
        assert!(dropped(&telemetry, "queue_full") > 9_000);
        // more time than a test may take: the silence of the pipe has to end the close
        writer.finish(AMPLE * 100);
        let healthy = telemetry.output_healthy.with_label_values(&[OUTPUT]).get();
        assert!(matches!(status.condition(), Condition::Degraded { .. }) && healthy == 0);
        assert!(dropped(&telemetry, "deadline") > 0);
        let ledger = Ledger::read(&telemetry, outbox.held());
        assert_eq!((ledger.offered, ledger.held, ledger.lost), (10_000, 0, 0));
        assert!(ledger.sent <= 65, "what the pipe holds");
        drop(reader);
    }

    /// Scenario: the reader closes the pipe. Guarantees: the rest is dropped with reason `closed`,
    /// and the application notices nothing.
    #[test]
    fn a_broken_pipe_drops_the_rest() {
        let Bench { telemetry, outbox, mut lines, writer, status, reader } = bench(Capacity::LINES);
        drop(reader);
        for _ in 0..100 {
            lines.line(b"x");
            lines.flush();
        }
        writer.finish(AMPLE);
        assert_eq!(dropped(&telemetry, "closed"), 100);
        assert!(matches!(status.condition(), Condition::Degraded { .. }));
        assert_eq!(Ledger::read(&telemetry, outbox.held()).lost, 0);
    }
}
