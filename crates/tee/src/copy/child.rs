//! Forwards signals to the command and collects its exit status. When this is the first process of
//! a container, it also reaps every orphan. Unit: one signal.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use rustix::termios::{isatty, tcgetpgrp};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use std::io;
use std::os::unix::net::UnixStream;

/// Signals that are forwarded to the command, from any sender. The list leaves out signals that
/// cannot be caught (KILL, STOP), signals that report an error of this process (SEGV, ILL, FPE,
/// BUS, ABRT, TRAP, SYS, PIPE, XCPU, XFSZ), and real-time signals.
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
    // a terminal sends these three to the whole foreground process group
    Signal::INT,
    Signal::QUIT,
    Signal::WINCH,
];

/// Index of the first signal of [`FORWARDED`] that a terminal sends.
const KEYS_FROM: usize = 11;

/// Signals that end this process once the command is gone.
const LEAVING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// Job-control signals. Without a terminal they are forwarded; with a terminal they stop this
/// process together with the command, as a shell expects.
const STOPPING: [Signal; 4] = [Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::CONT];

/// The signal handlers of this process.
#[derive(Debug)]
pub(crate) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// Whether a terminal is attached, which sends its keys to the command directly.
    has_terminal: bool,
}

impl Signals {
    /// Installs the handlers; call it before the command is started. Signals that were ignored stay
    /// ignored, for this process and for the command (`nohup`).
    ///
    /// # Errors
    /// Fails if the kernel refuses a handler or a descriptor.
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

    /// Returns the descriptor that becomes readable when a signal arrives.
    pub(crate) fn watch(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }

    /// Forwards the signals that arrived. Without a command, returns whether one of them requests
    /// an exit.
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
                // the terminal has sent it to the command already
                Some(_) if self.has_terminal && keys.contains(&signal) => {}
                Some(pid) => {
                    // the command may have ended, or may have changed its user; there is nothing
                    // left to do
                    let _ = kill_process(pid, signal);
                }
                None => leave |= LEAVING.contains(&signal),
            }
        }
        leave
    }
}

/// Returns the signals that were ignored when this process started, as a bit set; zero if `/proc`
/// cannot be read.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// Reaps all children that have ended. Returns the exit code of `command` if it is among them.
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

/// Converts a wait status as a shell does: 128 plus the signal's number if a signal ended the
/// process.
fn exit_code(status: WaitStatus) -> Option<u8> {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).map(|code| code as u8)
}

/// The reason why the command could not be started.
#[derive(Debug)]
pub(crate) struct Refused {
    /// 127 if no command has this name, 126 if it cannot be run.
    pub(crate) code: u8,
    /// The error of the operating system.
    pub(crate) error: io::Error,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        Refused { code, error }
    }
}
