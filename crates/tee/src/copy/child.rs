//! The command: which signals reach it, and how it ended. As the first process of a container every orphan is
//! ours as well. Unit: one signal.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use rustix::termios::{isatty, tcgetpgrp};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use std::io;
use std::os::unix::net::UnixStream;

/// What is passed on whoever sends it. Not among them: what cannot be caught (KILL, STOP), what tells of an
/// error of our own (SEGV, ILL, FPE, BUS, ABRT, TRAP, SYS, PIPE, XCPU, XFSZ), and those for real time.
const FORWARDED: [Signal; 14] = [
    Signal::HUP,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::URG,
    Signal::IO,
    Signal::POWER,
    Signal::STKFLT,
    // with a terminal these three reach the whole foreground group by themselves
    Signal::INT,
    Signal::QUIT,
    Signal::WINCH,
];

/// The first of [`FORWARDED`] that a terminal sends.
const KEYS_FROM: usize = 11;

/// What ends us where there is no command any more that could be asked.
const LEAVING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// Stopping and going on: passed on without a terminal; with one, they stop us beside the command, as a shell
/// expects it.
const STOPPING: [Signal; 4] = [Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::CONT];

/// The signals of this process.
#[derive(Debug)]
pub(crate) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// A terminal sends its keys to the command itself.
    has_terminal: bool,
}

impl Signals {
    /// Takes the signals, before the command is started. What was ignored stays so, for us and the command
    /// (`nohup`).
    ///
    /// # Errors
    /// The kernel refuses a handler or a descriptor.
    pub(crate) fn install() -> io::Result<Signals> {
        let stdin = rustix::stdio::stdin();
        let has_terminal = isatty(stdin)
            && tcgetpgrp(stdin).is_ok_and(|group| group == rustix::process::getpgrp());
        let ignored = ignored();
        let stopping = STOPPING.iter().filter(|_| !has_terminal);
        let taken = FORWARDED.iter().chain(stopping);
        let taken =
            taken.map(|signal| signal.as_raw()).filter(|raw| ignored & (1 << (raw - 1)) == 0);
        let (read, write) = UnixStream::pair()?;
        let taken = taken.chain([Signal::CHILD.as_raw()]);
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, taken)?;
        Ok(Signals { delivery, has_terminal })
    }

    /// What becomes readable when a signal came.
    pub(crate) fn watch(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }

    /// Passes on what came. Without a command to pass it to, says whether it was asked to leave.
    pub(crate) fn forward(&mut self, to: Option<Pid>) -> bool {
        let mut leave = false;
        let keys = &FORWARDED[KEYS_FROM..];
        for raw in self.delivery.pending() {
            let Some(signal) =
                Signal::from_named_raw(raw).filter(|signal| *signal != Signal::CHILD)
            else {
                continue;
            };
            match to {
                // it has it already
                Some(_) if self.has_terminal && keys.contains(&signal) => {}
                Some(pid) => {
                    // it may have ended, or be another user now; nothing is left to do
                    let _ = kill_process(pid, signal);
                }
                None => leave |= LEAVING.contains(&signal),
            }
        }
        leave
    }
}

/// The signals that this process was started with to ignore, as bits; none where `/proc` does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// Takes the ends of all processes that are ours; the exit code of `command`, if it is among them.
pub(crate) fn reap(command: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == command => code = exit_code(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}

/// As a shell tells it: 128 and the signal where one ended it.
fn exit_code(status: WaitStatus) -> Option<u8> {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).map(|code| code as u8)
}

/// What a shell ends with when a command cannot be started.
pub(crate) fn refusal(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}
