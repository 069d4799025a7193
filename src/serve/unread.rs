//! Detects a client that does not read its answer: a wrapper around the connection that remembers
//! since when writes make no progress. Unit: one write.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A connection that records when its writes block.
#[derive(Debug)]
pub(super) struct UnreadWatch<C> {
    connection: C,
    unread: Unread,
}

/// How long the client has read nothing; shared with the connection's task.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    start: Instant,
    /// Milliseconds after `start`, plus one, at which a write first blocked; 0 while none blocks.
    since: Arc<AtomicU64>,
}

impl<C> UnreadWatch<C> {
    pub(super) fn new(connection: C) -> (UnreadWatch<C>, Unread) {
        let unread = Unread { start: Instant::now(), since: Arc::default() };
        (UnreadWatch { connection, unread: unread.clone() }, unread)
    }
}

impl Unread {
    /// Returns how long a write has waited for the client to read; 0 while none waits.
    pub(super) fn duration(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.start.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }

    fn record<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.since.store(0, Ordering::Relaxed);
        } else if self.since.load(Ordering::Relaxed) == 0 {
            let now = self.start.elapsed().as_millis() as u64 + 1;
            self.since.store(now, Ordering::Relaxed);
        }
        written
    }
}

impl<C: Read + Unpin> Read for UnreadWatch<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: Write + Unpin> Write for UnreadWatch<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(context, bytes);
        self.unread.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(context, slices);
        self.unread.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
