//! Runs a command, passes its output through unchanged and copies every line to the socket. It
//! never delays the command: it drops and counts what the sidecar does not take at once. Unit: one
//! command.
//!
//! ```text
//! command --stdout--> pipe --> Flow --> our stdout        a full reader blocks the command
//!                               +-----> Lines --> Link    a full sidecar loses whole lines
//! ```
//!
//! Decision: one thread and one `poll`. That poll is the only call that blocks, and it watches
//! every descriptor. A thread for each stream would cost more memory and would still have to share
//! the signals.
//!
//! Decision: each stream uses a separate connection, so that a traceback on standard error stays
//! together. If both streams are the same (`2>&1`), they share one connection and keep their order.
//!
//! Decision: the run ends when the command ends. What the command left in the pipes is still passed
//! on. A process that still holds the pipes (a daemon that the command started) finds them closed,
//! as if the container had ended.
//!
//! Decision: commands that must be process 1 run in our place, and a second process copies (see
//! `in_place`). All others run as our child: only then is every line passed on that a command wrote
//! before it ended.

pub(crate) mod child;
pub(crate) mod flow;
pub(crate) mod in_place;
pub(crate) mod lines;
pub(crate) mod link;
pub(crate) mod pipes;
pub(crate) mod session;

use crate::clock::Clock;
use child::{Refused, Signals};
use pipes::Pipes;
use rustix::process::Pid;
use session::Session;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The result of a command that ran.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code of the command, or 128 plus the signal's number if a signal ended it.
    pub(crate) code: u8,
    /// Number of lines that were not copied.
    pub(crate) dropped: u64,
}

/// Runs `command`, a name and its arguments, until it ends, and copies its lines to the first of
/// `sockets` that accepts a connection. If the pipes or signal handlers cannot be created, this
/// process is replaced by the command (exec) and the function never returns.
///
/// # Errors
/// Fails if the command cannot be started.
///
/// # Panics
/// Panics if `command` is empty.
pub(crate) fn run(
    command: &[OsString],
    sockets: &[PathBuf],
    clock: &Clock,
) -> Result<Ended, Refused> {
    let (name, arguments) = command.split_first().expect("a command has a name");
    let prepared = Signals::install().and_then(|signals| {
        let Pipes { ends, inputs } = Pipes::open()?;
        Ok((ends, Session::new(inputs, sockets, signals)?))
    });
    let mut process = Command::new(name);
    process.args(arguments);
    let Ok(((out, err), mut session)) = prepared else {
        // without descriptors nothing can be copied; the application must run all the same
        return Err(Refused::from(process.exec()));
    };
    let started = process.stdout(Stdio::from(out)).stderr(Stdio::from(err)).spawn();
    // it holds the command's ends of the pipes
    drop(process);
    session.command = Some(Pid::from_child(&started.map_err(Refused::from)?));
    session.serve(clock);
    session.last_words(clock);
    Ok(Ended { code: session.code, dropped: session.dropped() })
}
