//! Passes one output of the command on to its original destination, byte for byte and no faster
//! than the reader takes it. It never blocks: while the reader is full, nothing more is read from
//! the command, and so the command's writes block as they would without us. Unit: one read.

use memchr::memrchr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SendFlags, send};
use std::ops::Range;

/// Bytes of one read: the capacity of a pipe.
pub(crate) const READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one write into a pipe or a terminal. A pipe that is reported as writable takes this
/// many bytes without blocking and in one piece (`PIPE_BUF`). O_NONBLOCK cannot be used instead,
/// because the flag belongs to every process that shares the pipe.
const WRITE_BYTES_MAX: usize = 4096;

/// How an output is written without blocking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OutputKind {
    /// A file, which never waits for a reader.
    File,
    /// A socket, such as the one of the journal; each call can set a flag not to block.
    Socket,
    /// A pipe or a terminal.
    Pipe,
}

/// One output of the command.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Our end of the command's pipe; `None` once it has ended.
    input: Option<OwnedFd>,
    output: OwnedFd,
    kind: OutputKind,
    buffer: Vec<u8>,
    /// The range of `buffer` that is not written yet.
    pending: Range<usize>,
    /// Bytes that may still be read after the command has ended.
    left: usize,
}

impl Flow {
    /// Creates a flow from our end of the command's pipe to `output`.
    ///
    /// # Errors
    /// Fails if the type of the output cannot be determined.
    pub(crate) fn new(input: OwnedFd, output: OwnedFd) -> Result<Flow, Errno> {
        let kind = match FileType::from_raw_mode(fstat(&output)?.st_mode) {
            FileType::RegularFile => OutputKind::File,
            FileType::Socket => OutputKind::Socket,
            _ => OutputKind::Pipe,
        };
        Ok(Flow {
            input: Some(input),
            output,
            kind,
            buffer: Vec::new(),
            pending: 0..0,
            left: usize::MAX,
        })
    }

    /// Limits reading to what the pipe holds now. The command has ended, and so later bytes come
    /// from another process.
    pub(crate) fn last(&mut self) {
        let left = self.input.as_ref().and_then(|input| ioctl_fionread(input).ok());
        self.left = left.unwrap_or(0) as usize;
    }

    /// Returns whether the pipe may still be written to and our output still has a reader.
    pub(crate) fn is_open(&self) -> bool {
        self.input.is_some()
    }

    /// Returns whether bytes were read that are not written yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns the descriptors to poll: the command's pipe, or the output while bytes are pending.
    /// The output is always polled for hang-up.
    pub(crate) fn watch(&self) -> (Option<BorrowedFd<'_>>, Option<(BorrowedFd<'_>, PollFlags)>) {
        let Some(input) = &self.input else { return (None, None) };
        if self.pending.is_empty() {
            (Some(input.as_fd()), Some((self.output.as_fd(), PollFlags::empty())))
        } else {
            (None, Some((self.output.as_fd(), PollFlags::OUT)))
        }
    }

    /// Closes our end of the pipe after the reader is gone. The command notices it at its next
    /// write, as it would without us.
    pub(crate) fn close(&mut self) {
        self.input = None;
        self.pending = 0..0;
    }

    /// Reads once, if everything read before is written, and passes the bytes to `copy`. Returns
    /// false if there was nothing to read.
    pub(crate) fn read(&mut self, copy: &mut impl FnMut(&[u8])) -> bool {
        let Some(input) = self.input.as_ref().filter(|_| self.pending.is_empty()) else {
            return false;
        };
        if self.buffer.is_empty() {
            self.buffer = vec![0; READ_BYTES_MAX];
        }
        let most = self.left.min(READ_BYTES_MAX);
        match rustix::io::read(input, &mut self.buffer[..most]) {
            Ok(0) => self.input = None,
            Ok(read) => {
                if self.left != usize::MAX {
                    self.left -= read;
                }
                copy(&self.buffer[..read]);
                self.pending = 0..read;
                return true;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.input = None,
        }
        false
    }

    /// Writes as much as the output takes without blocking.
    pub(crate) fn write(&mut self) {
        while !self.pending.is_empty() {
            let bytes = &self.buffer[self.pending.clone()];
            let written = match self.kind {
                OutputKind::File => rustix::io::write(&self.output, bytes),
                OutputKind::Socket => {
                    send(&self.output, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
                }
                OutputKind::Pipe if !is_writable(self.output.as_fd()) => return,
                OutputKind::Pipe => rustix::io::write(&self.output, portion(bytes)),
            };
            match written {
                Ok(written) => self.pending.start += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return self.close(),
                // a full disk, for example: without us the command would have lost these bytes and
                // gone on
                Err(_) => self.pending = 0..0,
            }
        }
    }
}

/// Returns whether a write of [`WRITE_BYTES_MAX`] would not block, or would fail at once.
fn is_writable(output: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(output, PollFlags::OUT)];
    let ready = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    ready.is_ok_and(|count| count > 0)
}

/// Returns the bytes for one write: whole lines, so that lines of another writer do not split them.
fn portion(bytes: &[u8]) -> &[u8] {
    let most = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
    if most.len() == bytes.len() {
        return most;
    }
    memrchr(b'\n', most).map_or(most, |at| &most[..=at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    /// Scenario: nobody reads what the command writes.
    /// Guarantees: nothing blocks, at most one buffer is read, and every byte comes out in the end.
    #[test]
    fn a_reader_without_room_holds_the_command_and_not_us() {
        let (input, command) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).expect("a pipe");
        let (reader, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let mut flow = Flow::new(input, output).expect("a flow");
        let (mut written, mut copied, mut got) = (Vec::new(), Vec::new(), Vec::new());
        let block: Vec<u8> = (0..=255u8).chain([b'\n']).collect();
        for _ in 0..2_000 {
            if let Ok(count) = rustix::io::write(&command, &block) {
                written.extend_from_slice(&block[..count]);
            }
            flow.read(&mut |bytes| copied.extend_from_slice(bytes));
            flow.write();
        }
        assert!(written.len() < 2_000 * block.len(), "the command was never held");
        assert_eq!(flow.watch().1.map(|(_, flags)| flags), Some(PollFlags::OUT));
        drop(command);
        let mut some = vec![0; 1024];
        for _ in 0..1_000 {
            let read = rustix::io::read(&reader, &mut some).expect("bytes");
            got.extend_from_slice(&some[..read]);
            flow.write();
            flow.read(&mut |bytes| copied.extend_from_slice(bytes));
            flow.write();
            if flow.watch().0.is_none() && !flow.has_pending() && got.len() == written.len() {
                break;
            }
        }
        assert!(got == written && copied == written);
    }

    #[test]
    fn a_reader_that_is_gone_ends_the_flow() {
        let (input, command) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).expect("a pipe");
        let (reader, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let mut flow = Flow::new(input, output).expect("a flow");
        drop(reader);
        rustix::io::write(&command, b"x\n").expect("a buffer with free space");
        assert!(flow.read(&mut |_| ()));
        flow.write();
        assert!(flow.watch().0.is_none() && !flow.has_pending());
        assert_eq!(rustix::io::write(&command, b"x\n"), Err(Errno::PIPE));
    }

    /// Scenario: a command has ended, and a process that it left behind still writes into its pipe.
    /// Guarantees: the bytes that were in the pipe when the command ended are passed on, and no
    /// more.
    #[test]
    fn the_end_of_the_command_is_the_end() {
        let (input, command) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).expect("a pipe");
        let (_reader, output) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let mut flow = Flow::new(input, output).expect("a flow");
        rustix::io::write(&command, b"last words\n").expect("a buffer with free space");
        flow.last();
        rustix::io::write(&command, b"a process left behind\n").expect("a buffer with free space");
        let mut got = Vec::new();
        for _ in 0..3 {
            flow.read(&mut |bytes| got.extend_from_slice(bytes));
            flow.write();
        }
        assert_eq!(got, b"last words\n");
        assert!(flow.watch().0.is_none());
    }

    #[test]
    fn portions_end_with_a_line_where_they_can() {
        let long = [b'x'; 5_000];
        let lines = b"0123456789abcde\n".repeat(300);
        let mut ragged = lines.clone();
        ragged.splice(0..0, *b"x");
        for (bytes, length) in
            [(&b"ab"[..], 2), (&long[..], 4096), (&lines[..], 4096), (&ragged[..], 4081)]
        {
            assert_eq!(portion(bytes).len(), length);
        }
    }
}
