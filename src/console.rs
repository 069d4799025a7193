//! Writes to standard error and standard output. Nothing else in the crate writes there, because
//! the macros of the standard library panic when a write fails, and a plain write blocks for as
//! long as the reader of a full pipe does not read. Unit: one text.
//!
//! Decision: the inherited descriptors keep their flags. `O_NONBLOCK` would apply to every process
//! that has the same pipe open. Instead the code calls `poll` before each piece, and a piece is no
//! longer than `PIPE_BUF`: a pipe that polls as writable has that much space.

use crate::sync::lock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, write};
use rustix::stdio::{stderr, stdout};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The size that Linux writes to a pipe in one piece; a pipe that polls as writable has space for
/// it.
pub const PIECE_BYTES_MAX: usize = 4096;

/// How long a diagnostic of a command waits for a reader that does not read: longer than a terminal
/// is busy, and short enough that a stuck reader does not block the command.
const DIAGNOSTIC_WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Keeps the lines of our own threads whole and their waits short: between `poll` and `write` no
/// other thread of this process uses the space.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes a text to standard error without waiting; returns false if it could not be written
/// completely. For processes that run beside an application.
pub fn note(text: &str) -> bool {
    let _whole = lock(&WRITING);
    write_to(stderr(), text.as_bytes(), Some(&Timespec::default())).is_ok()
}

/// Writes a text to standard error and waits for its reader for at most a second. For commands that
/// a person or a script waits for; if the text is not read, the exit code still reports the result.
pub fn diagnostic(text: &str) {
    static HANGS: AtomicBool = AtomicBool::new(false);
    // does not wait again for a reader that did not read for that long
    let wait = if HANGS.load(Ordering::Relaxed) { Timespec::default() } else { DIAGNOSTIC_WAIT };
    let written = write_to(stderr(), text.as_bytes(), Some(&wait));
    let hangs = written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    HANGS.fetch_or(hangs, Ordering::Relaxed);
}

/// Writes a [`diagnostic`] with a line end.
pub fn diagnostic_line(text: impl std::fmt::Display) {
    diagnostic(&format!("{text}\n"));
}

/// Writes the result of a command to standard output and waits until its reader has read it.
///
/// # Errors
/// The reader has closed the pipe, or the disk is full.
pub fn print(text: &str) -> io::Result<()> {
    write_to(stdout(), text.as_bytes(), None)
}

/// Writes all bytes. Each piece waits for space for at most `patience`, or without a limit if it is
/// `None`.
fn write_to(to: BorrowedFd<'_>, bytes: &[u8], patience: Option<&Timespec>) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut polled = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
        match poll(&mut polled, patience) {
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if polled[0].revents().is_empty() {
            continue;
        }
        match write(to, &rest[..rest.len().min(PIECE_BYTES_MAX)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            // another process used the space in the meantime
            Err(Errno::AGAIN) if patience.is_some() => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use rustix::fs::OFlags;
    use std::io::Read;

    /// Guarantees: a full pipe, blocking or not, takes what fits and does not block the writer; a
    /// closed pipe is an error; the text that a reader received is whole.
    #[test]
    fn a_reader_that_does_not_read_is_not_waited_for() {
        for flags in [OFlags::empty(), OFlags::NONBLOCK] {
            let (mut reader, writer) = io::pipe().expect("descriptors");
            rustix::fs::fcntl_setfl(&writer, flags).expect("a pipe");
            let now = Timespec::default();
            let text = "x".repeat(3 * PIECE_BYTES_MAX);
            let mut refused = None;
            for _ in 0..100 {
                let written = write_to(writer.as_fd(), text.as_bytes(), Some(&now));
                refused = refused.or(written.err());
            }
            assert_eq!(refused.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
            let mut taken = vec![0; text.len()];
            reader.read_exact(&mut taken).expect("written before");
            assert!(taken.iter().all(|byte| *byte == b'x'));
            drop(reader);
            let closed = write_to(writer.as_fd(), b"x", Some(&now)).expect_err("closed");
            assert_eq!(closed.kind(), io::ErrorKind::BrokenPipe);
        }
    }

    /// Guarantees: a result longer than the pipe arrives completely, also through a non-blocking
    /// descriptor.
    #[test]
    fn a_result_waits_for_its_reader() {
        for flags in [OFlags::empty(), OFlags::NONBLOCK] {
            let (mut reader, writer) = io::pipe().expect("descriptors");
            rustix::fs::fcntl_setfl(&writer, flags).expect("a pipe");
            let text = "0123456789".repeat(100_000);
            let expected = text.clone();
            let thread = std::thread::spawn(move || {
                write_to(writer.as_fd(), text.as_bytes(), None).expect("it is read");
            });
            let mut taken = String::new();
            reader.read_to_string(&mut taken).expect("text");
            thread.join().expect("no panic");
            assert!(taken == expected, "{} bytes arrived", taken.len());
        }
    }
}
