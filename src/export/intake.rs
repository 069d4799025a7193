//! Limits on what a collector may send: bytes for one exchange and, over HTTP/1, the time from the
//! first byte of an answer to its last. They end a stream of interim answers (1xx) or of
//! meaningless frames, whatever the parser above makes of it. Unit: one connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Maximum number of bytes of one exchange: the longest body that is read, its heads, and the
/// frames around it.
const EXCHANGE_BYTES_MAX: u64 = 128 * 1024;

/// Maximum time from the first byte of an answer to its last. A regular answer is one packet.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// What a connection has read. The stream and the code that waits for an answer share it.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// Bytes that may still be read.
    left: AtomicU64,
    /// The answer has begun.
    has_begun: AtomicBool,
    begun: Notify,
    /// The first bytes of the peer belong to the other version of HTTP.
    foreign: AtomicBool,
}

/// The protocol that the first bytes of a peer should belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// HTTP/1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Intake {
    /// Begins an exchange.
    pub(crate) fn reset(&self) {
        self.left.store(EXCHANGE_BYTES_MAX, Ordering::Relaxed);
        self.has_begun.store(false, Ordering::Relaxed);
    }

    /// Waits until an answer that has begun takes longer than [`ANSWER_TIME_MAX`].
    pub(crate) async fn overdue(&self) {
        while !self.has_begun.load(Ordering::Relaxed) {
            self.begun.notified().await;
        }
        tokio::time::sleep(ANSWER_TIME_MAX).await;
    }

    /// Whether the first bytes of the peer were those of the other version of HTTP.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Relaxed)
    }
}

/// A stream that limits the bytes read from it.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    stream: S,
    intake: Arc<Intake>,
    /// The protocol to compare the first bytes with; None after they arrived.
    expected: Option<Expected>,
}

impl<S> Bounded<S> {
    /// Wraps `stream`; the first exchange may begin at once.
    pub(crate) fn new(stream: S, expected: Expected) -> (Bounded<S>, Arc<Intake>) {
        let intake = Arc::new(Intake::default());
        intake.reset();
        (Bounded { stream, intake: Arc::clone(&intake), expected: Some(expected) }, intake)
    }
}

/// Returns whether these first bytes belong to the other version of HTTP: a status line, or a
/// SETTINGS frame (RFC 9113 section 3.4) on stream 0.
fn is_foreign(expected: Expected, bytes: &[u8]) -> bool {
    match expected {
        Expected::Http2 => bytes.starts_with(b"HTTP/"),
        Expected::Http1 => {
            bytes.first() == Some(&0)
                && bytes.get(3) == Some(&4)
                && bytes.get(5..9) == Some(&[0; 4])
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let fresh = &buffer.filled()[before..];
        if fresh.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Some(expected) = self.expected.take() {
            self.intake.foreign.store(is_foreign(expected, fresh), Ordering::Relaxed);
        }
        let left = self.intake.left.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(fresh.len() as u64) else {
            return Poll::Ready(Err(io::Error::other("the answer is too long")));
        };
        self.intake.left.store(left, Ordering::Relaxed);
        self.intake.has_begun.store(true, Ordering::Relaxed);
        self.intake.begun.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    /// Guarantees: the time of an answer begins with its first byte and starts again with a new
    /// exchange.
    #[tokio::test(start_paused = true)]
    async fn an_answer_is_overdue_five_seconds_after_its_first_byte() {
        let (near, mut far) = duplex(64);
        let (mut stream, intake) = Bounded::new(near, Expected::Http1);
        for _ in 0..2 {
            intake.reset();
            assert!(tokio::time::timeout(ANSWER_TIME_MAX * 2, intake.overdue()).await.is_err());
            far.write_all(b"H").await.expect("it reads");
            stream.read_u8().await.expect("a byte");
            let begin = Instant::now();
            intake.overdue().await;
            assert_eq!(begin.elapsed(), ANSWER_TIME_MAX);
        }
    }

    /// Guarantees: one exchange reads exactly the limit of bytes, and so does the next.
    #[tokio::test]
    async fn so_many_bytes_are_read_and_no_more() {
        let (near, mut far) = duplex(1 << 20);
        let (mut stream, intake) = Bounded::new(near, Expected::Http1);
        far.write_all(&vec![b'x'; 1 << 20]).await.expect("it reads");
        let mut most = vec![0; EXCHANGE_BYTES_MAX as usize];
        for _ in 0..2 {
            intake.reset();
            stream.read_exact(&mut most).await.expect("within the bound");
            let error = stream.read_u8().await.expect_err("beyond it");
            assert!(error.to_string().contains("too long"), "{error}");
        }
    }

    #[test]
    fn the_other_version_is_known_by_its_first_bytes() {
        for (expected, bytes, foreign) in [
            (Expected::Http1, &b"HTTP/1.1 200 OK"[..], false),
            (Expected::Http1, b"\0\0\x12\x04\0\0\0\0\0\0\x03", true),
            (Expected::Http1, b"\0\0\0\0garbage", false),
            (Expected::Http2, b"\0\0\x12\x04\0\0\0\0\0", false),
            (Expected::Http2, b"HTTP/1.0 400 Bad", true),
        ] {
            assert_eq!(is_foreign(expected, bytes), foreign, "{bytes:?}");
        }
    }
}
