//! Handles signals: SIGTERM and SIGINT stop the process, SIGHUP reloads its configuration. Handlers
//! are installed before any socket is bound, because a SIGTERM without a handler ends the process
//! with unread lines (6 of 1,000 stops, measured). Unit: one signal.
//!
//! Decision: a repeated SIGTERM or SIGINT does not end the drain. Container runtimes and process
//! managers send several of them for one stop, and Ctrl-C often arrives together with a SIGTERM;
//! the deadline of the drain ends it anyway. SIGQUIT, or Ctrl-C pressed three times, ends the
//! process at once.

use crate::clock::timespec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::termios::isatty;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Exit code after SIGQUIT or the third Ctrl-C: the drain did not finish.
pub const EXIT_AT_ONCE: i32 = 3;

/// If the process has a terminal, this many SIGINT, including the first, end it at once.
const INTERRUPTS_MAX: usize = 3;

/// What the main thread must do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalEvent {
    /// Drain and exit.
    Stop,
    /// Reload the configuration.
    Reload,
    /// Check whether the configuration changed: no signal arrived, but the interval has passed.
    Look,
}

/// The signals of the process, as the main thread receives them.
#[derive(Debug)]
pub struct Signals {
    stop: UnixStream,
    interrupt: UnixStream,
    reload: UnixStream,
    caller: UnixStream,
    /// The number of SIGINT received so far.
    interrupts: usize,
    /// Sockets for [`Signals::watch_repeated_stops`]. They are opened early, because no descriptor
    /// may be left at the end. None if no signal is received.
    repeated: Option<(UnixStream, UnixStream)>,
    /// How long to wait before [`SignalEvent::Look`]; None waits without a limit.
    pub look: Option<Duration>,
}

/// Stops the main thread, as SIGTERM does.
#[derive(Debug)]
pub struct Stopper(UnixStream);

impl Stopper {
    /// Requests the drain.
    pub fn stop(&mut self) {
        // The write fails only if the pipe is full or the process has ended; in both cases no
        // further request is needed.
        let _ = self.0.write(b".");
    }
}

impl Signals {
    /// Installs the signal handlers of the process.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses a handler or a descriptor.
    pub fn install() -> io::Result<Signals> {
        let signals = Signals::deaf()?;
        pipe::register(SIGTERM, signals.caller.try_clone()?)?;
        // The kernel ignores the default action of signals for the first process (PID 1) of a
        // container.
        flag::register_conditional_shutdown(
            SIGQUIT,
            EXIT_AT_ONCE,
            Arc::new(AtomicBool::new(true)),
        )?;
        let (interrupt, caller) = pair()?;
        pipe::register(SIGINT, caller)?;
        let (reload, caller) = pair()?;
        pipe::register(SIGHUP, caller)?;
        let repeated = Some((signals.stop.try_clone()?, interrupt.try_clone()?));
        Ok(Signals { interrupt, reload, repeated, ..signals })
    }

    /// Creates an instance that receives no signals, only calls of its [`Stopper`]s. Tests use it,
    /// and commands that run the sidecar inside their own process.
    ///
    /// # Errors
    /// Returns an error if the kernel has no descriptor left.
    pub fn deaf() -> io::Result<Signals> {
        let (stop, caller) = pair()?;
        // Nothing is ever written into these two; their other end is `stop`.
        let (interrupt, reload) = (caller.try_clone()?, caller.try_clone()?);
        Ok(Signals { stop, interrupt, reload, caller, interrupts: 0, repeated: None, look: None })
    }

    /// Returns a handle that stops the process from another thread.
    ///
    /// # Errors
    /// Returns an error if the kernel has no descriptor left.
    pub fn stopper(&self) -> io::Result<Stopper> {
        Ok(Stopper(self.caller.try_clone()?))
    }

    /// Waits for the next event. Does not wake up periodically if no configuration has to be
    /// checked.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses to wait.
    pub fn wait(&mut self) -> io::Result<SignalEvent> {
        loop {
            let mut polled = [&self.stop, &self.interrupt, &self.reload]
                .map(|one| PollFd::from_borrowed_fd(one.as_fd(), PollFlags::IN));
            let look = self.look.map(timespec);
            match poll(&mut polled, look.as_ref()) {
                Ok(0) => return Ok(SignalEvent::Look),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [stop, interrupt, reload] = polled.map(|one| !one.revents().is_empty());
            if interrupt && let Some(count @ 1..) = received(&mut self.interrupt) {
                self.interrupts += count;
                return Ok(SignalEvent::Stop);
            }
            if stop && received(&mut self.stop).is_some() {
                return Ok(SignalEvent::Stop);
            }
            if reload && received(&mut self.reload).is_some() {
                return Ok(SignalEvent::Reload);
            }
        }
    }

    /// Starts a thread, after the first stop, that logs that further stop signals change nothing,
    /// and that ends the process at the third Ctrl-C.
    ///
    /// # Errors
    /// Returns an error if the kernel provides no thread.
    pub fn watch_repeated_stops(&mut self) -> io::Result<()> {
        let Some((stop, interrupt)) = self.repeated.take() else { return Ok(()) };
        let interrupts = self.interrupts;
        let has_terminal = isatty(rustix::stdio::stdin()) || isatty(rustix::stdio::stderr());
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || answer_repeated_stops(stop, interrupt, interrupts, has_terminal))?;
        Ok(())
    }
}

/// Answers repeated stop signals until the other ends are closed.
fn answer_repeated_stops(
    mut stop: UnixStream,
    mut interrupt: UnixStream,
    mut interrupts: usize,
    has_terminal: bool,
) {
    loop {
        let mut polled =
            [&stop, &interrupt].map(|one| PollFd::from_borrowed_fd(one.as_fd(), PollFlags::IN));
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let [stops, pressed] = polled.map(|one| !one.revents().is_empty());
        let stops = if stops { received(&mut stop) } else { None };
        let pressed = if pressed { received(&mut interrupt) } else { None };
        if stops == Some(0) || pressed == Some(0) {
            return;
        }
        interrupts += pressed.unwrap_or(0);
        if has_terminal && interrupts >= INTERRUPTS_MAX {
            tracing::warn!("ended by the third Ctrl-C; what was not sent is lost");
            std::process::exit(EXIT_AT_ONCE);
        }
        if stops.or(pressed).is_some() {
            tracing::warn!("another stop signal changes nothing: already leaving");
        }
    }
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (receiver, caller) = UnixStream::pair()?;
    receiver.set_nonblocking(true)?;
    caller.set_nonblocking(true)?;
    Ok((receiver, caller))
}

/// Returns how many signals have arrived: 0 if the other end is closed, None if nothing is pending.
fn received(from: &mut UnixStream) -> Option<usize> {
    from.read(&mut [0; 64]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopper_stops() {
        let mut signals = Signals::deaf().expect("descriptors");
        let mut stopper = signals.stopper().expect("descriptors");
        stopper.stop();
        stopper.stop();
        assert_eq!(signals.wait().expect("a wait"), SignalEvent::Stop);
    }

    /// Guarantees: a configured check recurs and does not delay a stop.
    #[test]
    fn a_look_comes_when_it_is_time() {
        let mut signals = Signals::deaf().expect("descriptors");
        let mut stopper = signals.stopper().expect("descriptors");
        signals.look = Some(Duration::from_millis(1));
        assert_eq!(signals.wait().expect("a wait"), SignalEvent::Look);
        assert_eq!(signals.wait().expect("a wait"), SignalEvent::Look);
        signals.look = Some(Duration::from_hours(1));
        stopper.stop();
        assert_eq!(signals.wait().expect("a wait"), SignalEvent::Stop);
    }

    /// Guarantees: the thread answers any number of stops and ends together with the process'
    /// signals.
    #[test]
    fn repeated_stops_are_answered() {
        let (stop, caller) = pair().expect("descriptors");
        let (interrupt, _other) = pair().expect("descriptors");
        let thread = std::thread::spawn(move || answer_repeated_stops(stop, interrupt, 2, false));
        let mut stopper = Stopper(caller);
        for _ in 0..5 {
            stopper.stop();
        }
        drop(stopper);
        thread.join().expect("it ends");
    }
}
