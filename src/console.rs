//! Writes to standard error and standard output. Nothing else in the crate writes there, because the
//! macros of the standard library panic when a write fails, and a plain write waits for as long as the
//! reader of a full pipe likes. Unit: one text.
//!
//! Decision: the descriptors stay as they are inherited. `O_NONBLOCK` would hold for every process that
//! has the same pipe open. Instead `poll` is asked before each piece, and a piece is no longer than
//! `PIPE_BUF`, for which a pipe that polls as writable has room.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, write};
use rustix::stdio::{stderr, stdout};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What Linux writes to a pipe in one piece, and has room for when the pipe polls as writable.
pub const PIECE_BYTES_MAX: usize = 4096;

/// How long a diagnostic of a command waits for a reader that takes nothing: longer than a terminal is
/// busy, short enough that a reader that hangs does not keep the command.
const DIAGNOSTIC_WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Keeps the lines of our own threads whole, and their waits short: between poll and write no other
/// thread of ours takes the room.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes a text to standard error without waiting; false when it could not be written whole. For
/// processes that run beside an application.
pub fn note(text: &str) -> bool {
    let _whole = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    write_to(stderr(), text.as_bytes(), Some(&Timespec::default())).is_ok()
}

/// Writes a text to standard error and waits for its reader for a second at most. For commands that a
/// person or a script waits for; when nobody takes the text, their exit code still says the result.
pub fn diagnostic(text: &str) {
    static HANGS: AtomicBool = AtomicBool::new(false);
    // a reader that took nothing for that long is not waited for again
    let wait = if HANGS.load(Ordering::Relaxed) { Timespec::default() } else { DIAGNOSTIC_WAIT };
    let written = write_to(stderr(), text.as_bytes(), Some(&wait));
    let hangs = written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    HANGS.fetch_or(hangs, Ordering::Relaxed);
}

/// [`diagnostic`] with a line end.
pub fn diagnostic_line(text: impl std::fmt::Display) {
    diagnostic(&format!("{text}\n"));
}

/// Writes the result of a command to standard output, for as long as its reader takes it.
///
/// # Errors
/// The reader has left, or the disk is full.
pub fn print(text: &str) -> io::Result<()> {
    write_to(stdout(), text.as_bytes(), None)
}

/// Writes all bytes; each piece waits for room at most `patience`, without it as long as it takes.
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
            // another process took the room in between
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

    /// Guarantees: a full pipe, blocking or not, takes what fits and keeps nobody waiting; a closed one
    /// is an error; what a reader took was whole.
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

    /// Guarantees: a result longer than the pipe arrives whole, also through a descriptor that does not
    /// block.
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
