//! Signals: SIGTERM and SIGINT stop the process, SIGHUP reloads its configuration. Handlers are
//! installed before any socket is bound: a SIGTERM that finds no handler ends the process with
//! lines unread (6 of 1,000 stops, measured). Unit: one signal.
//!
//! Decision: a repeated SIGTERM or SIGINT does not end the drain. Container runtimes and process
//! managers send several of them for one stop, and Ctrl-C often arrives together with a SIGTERM;
//! the drain has a deadline of its own. Whoever wants the end at once sends SIGQUIT, or presses
//! Ctrl-C three times.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
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

/// So many SIGINT, the first included, end the process at once if it has a terminal.
const INTERRUPTS_MAX: usize = 3;

/// What the main thread has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalEvent {
    /// Drain and leave.
    Stop,
    /// Load the configuration again.
    Reload,
    /// Look whether the configuration changed: no signal came, the time is up.
    Look,
}

/// The signals of the process, as the main thread receives them.
#[derive(Debug)]
pub struct Signals {
    stop: UnixStream,
    interrupt: UnixStream,
    reload: UnixStream,
    caller: UnixStream,
    /// SIGINT received so far.
    interrupts: usize,
    /// For [`Signals::watch_repeated_stops`], opened early: at the end there may be no descriptor
    /// left. None where no signal is received.
    repeated: Option<(UnixStream, UnixStream)>,
    /// How long to wait before [`SignalEvent::Look`]; without end where unset.
    pub look: Option<Duration>,
}

/// Stops the main thread, as SIGTERM does.
#[derive(Debug)]
pub struct Stopper(UnixStream);

impl Stopper {
    /// Asks for the drain.
    pub fn stop(&mut self) {
        // the only failure is a full pipe or a process that has ended: nothing is left to ask for
        let _ = self.0.write(b".");
    }
}

impl Signals {
    /// Installs the handlers of the process.
    ///
    /// # Errors
    /// The kernel refuses a handler or a descriptor.
    pub fn install() -> io::Result<Signals> {
        let signals = Signals::deaf()?;
        pipe::register(SIGTERM, signals.caller.try_clone()?)?;
        // a first process has no default action for it
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

    /// Receives no signal, only calls of its [`Stopper`]s: for tests and for commands that run the
    /// sidecar inside themselves.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn deaf() -> io::Result<Signals> {
        let (stop, caller) = pair()?;
        // nothing is ever written into these two, whose other end is `stop`
        let (interrupt, reload) = (caller.try_clone()?, caller.try_clone()?);
        Ok(Signals { stop, interrupt, reload, caller, interrupts: 0, repeated: None, look: None })
    }

    /// A handle that stops from another thread.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn stopper(&self) -> io::Result<Stopper> {
        Ok(Stopper(self.caller.try_clone()?))
    }

    /// Waits for the next event, without waking up for nothing where there is nothing to look at.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn wait(&mut self) -> io::Result<SignalEvent> {
        loop {
            let mut polled = [&self.stop, &self.interrupt, &self.reload]
                .map(|one| PollFd::from_borrowed_fd(one.as_fd(), PollFlags::IN));
            let look = self.look.map(|look| Timespec {
                tv_sec: look.as_secs() as i64,
                tv_nsec: i64::from(look.subsec_nanos()),
            });
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

    /// After the first stop: starts a thread that says of every further one that it changes
    /// nothing, and ends the process at the third Ctrl-C.
    ///
    /// # Errors
    /// The kernel gives no thread.
    pub fn watch_repeated_stops(&mut self) -> io::Result<()> {
        let Some((stop, interrupt)) = self.repeated.take() else { return Ok(()) };
        let interrupts = self.interrupts;
        let has_terminal = isatty(rustix::stdio::stdin()) || isatty(rustix::stdio::stderr());
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || answer_repeated_stops(stop, interrupt, interrupts, has_terminal))?;
        Ok(())
    }
}

/// Returns when the other ends are closed.
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

/// How many signals have arrived; 0 when the other end is closed, None when nothing is there.
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

    /// A look comes again and again where one is wanted, and does not delay a stop.
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

    /// The thread answers any number of stops and ends with the process' signals.
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
