//! Runs a command as this very process, with a second process of our program that copies. Init
//! systems need this, because they refuse to start unless they are process 1 of their container.
//! Unit: one command.
//!
//! ```text
//! process 1   tee --exec--> the command --stdout, stderr--> pipes --+
//! process 2   tee --copy-pipes <---- reads, passes on, copies ------+
//! ```
//!
//! Decision: the second process is started as a child and gets the pipes through a socket on its
//! standard input, because a fork without exec needs unsafe code.
//!
//! The command starts when the second process has confirmed that its signal handlers are installed.
//! Without this, an init system that sends SIGTERM to all others at once would end the second
//! process, and nobody would read the pipes.
//!
//! The second process outlives the command only outside a container: the kernel kills every process
//! of a container together with process 1. It therefore passes everything on at once. Bytes that
//! are in the pipes at that instant are lost, also for the original outputs.

use super::child::{Refused, Signals};
use super::pipes::Pipes;
use super::session::Session;
use crate::clock::Clock;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, send, sendmsg,
};
use rustix::stdio::{dup2_stderr, stderr, stdin};
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The argument of the second process. It is no option for users.
pub(crate) const ARGUMENT: &[u8] = b"--copy-pipes";

/// Our program, also if it was deleted or is not in PATH.
const OUR_PROGRAM: &str = "/proc/self/exe";

/// How long the command waits for the second process, which is ready within milliseconds unless the
/// machine is overloaded.
const READY: Duration = Duration::from_secs(1);

/// What each process sends: the first one together with the pipes, the second one when it is ready.
const BYTE: &[u8] = &[0];

/// Starts the second process, and replaces this one by `command`, a name and its arguments. Returns
/// only if the command cannot be started. If the second process cannot be started, the command runs
/// without a copy.
///
/// # Panics
/// Panics if `command` is empty.
pub(crate) fn run(command: &[OsString], sockets: &[PathBuf]) -> Refused {
    let (name, arguments) = command.split_first().expect("a command has a name");
    let mut process = Command::new(name);
    process.args(arguments);
    let original = fcntl_dupfd_cloexec(stderr(), 3);
    if let Ok((out, err)) = start_copy(sockets) {
        process.stdout(Stdio::from(out)).stderr(Stdio::from(err));
    }
    let error = process.exec();
    // standard error is the pipe now, and the kernel may end its reader before it passes this on
    if let Ok(original) = original {
        let _ = dup2_stderr(original);
    }
    Refused::from(error)
}

/// Starts the second process and waits until it is ready, at most [`READY`]. Returns the command's
/// ends of the pipes that it reads.
fn start_copy(sockets: &[PathBuf]) -> io::Result<(OwnedFd, OwnedFd)> {
    let Pipes { ends, inputs } = Pipes::open()?;
    let (ours, theirs) = UnixStream::pair()?;
    send_pipes(&ours, &inputs)?;
    let name = std::env::args_os().next().unwrap_or_default();
    let start = |program: &OsStr, theirs: UnixStream| {
        let mut process = Command::new(program);
        process.arg0(&name);
        // several are the defaults, which the second process finds as we did
        if let [socket] = sockets {
            process.arg("--socket").arg(socket);
        }
        process.arg(OsStr::from_bytes(ARGUMENT));
        process.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().map(drop)
    };
    let again = theirs.try_clone()?;
    // without /proc only the path by which we were started is left
    start(OsStr::new(OUR_PROGRAM), theirs).or_else(|_| start(&name, again))?;
    wait_until_ready(ours)?;
    Ok(ends)
}

/// # Errors
/// Fails if the second process has ended. One that takes longer than [`READY`] is no error: it has
/// the pipes, and copies when it gets processor time.
fn wait_until_ready(mut from: UnixStream) -> io::Result<()> {
    from.set_read_timeout(Some(READY))?;
    match from.read_exact(&mut [0]) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Copies the pipes that the first process sent, until nobody can write into them any more. Returns
/// the number of lines that were not copied.
///
/// # Errors
/// Fails if no pipes were sent, or if there are no descriptors left.
pub(crate) fn copy(sockets: &[PathBuf], clock: &Clock) -> io::Result<u64> {
    let inputs = receive_pipes(stdin())?;
    let mut session = Session::new(inputs, sockets, Signals::install()?)?;
    // the first process may have stopped waiting
    let _ = send(stdin(), BYTE, SendFlags::NOSIGNAL);
    session.follow(clock);
    session.last_words(clock);
    Ok(session.dropped())
}

/// Sends one or two descriptors to the second process. They wait in the socket until it is read.
fn send_pipes(to: &UnixStream, inputs: &[OwnedFd]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = inputs.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
    debug_assert!(fits, "there are at most two descriptors");
    sendmsg(to, &[IoSlice::new(BYTE)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_pipes(from: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut inputs = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            inputs.extend(descriptors);
        }
    }
    if inputs.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "standard input sends no pipes"));
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// Guarantees: both descriptors arrive in their order, and a socket without any is an error.
    #[test]
    fn descriptors_arrive_in_their_order() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut ends = Vec::new();
        let mut inputs = Vec::new();
        for _ in 0..2 {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            inputs.push(OwnedFd::from(reader));
            ends.push(writer);
        }
        send_pipes(&ours, &inputs).expect("a buffer with free space");
        let received = receive_pipes(theirs.as_fd()).expect("descriptors");
        assert_eq!(received.len(), 2);
        for (number, (mut end, input)) in ends.into_iter().zip(received).enumerate() {
            write!(end, "{number}").expect("a buffer with free space");
            drop(end);
            let mut text = String::new();
            std::fs::File::from(input).read_to_string(&mut text).expect("text");
            assert_eq!(text, number.to_string());
        }
        drop(ours);
        let error = receive_pipes(theirs.as_fd()).expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
