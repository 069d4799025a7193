//! The data thread of standard input: `some-app | sidelight run --stdin`. The same framing as the stream
//! socket.
//! Unit: one read. A pipe cannot be shut for reading: at a stop it is read until its writer closes or is
//! quiet.

use crate::pipeline::Input;
use crate::receive::delivery::{self, Delivery, Process, hand_on};
use crate::receive::intake::{Bounds, Buffer, Piece, Tail};
use crate::receive::limits::READ_BYTES;
use crate::receive::meter::{Meter, State};
use crate::receive::nap::{LARGE_READ_BYTES, Next, Rhythm, Sweep, pipe_fill};
use crate::receive::stream::{Setup, TICK, timespec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// After a stop was asked for, a writer that is quiet for this long has nothing more to say.
pub const QUIET_MAX: Duration = Duration::from_millis(300);

/// After a stop was asked for, a writer that never ends is read for this long at most.
pub const STOP_MAX: Duration = Duration::from_secs(1);

/// How the input ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Its last writer closed it.
    Writer,
    /// We were asked to stop.
    Asked,
}

/// Serves `input`, any descriptor that can be read (a pipe, a file, a terminal), until it ends or
/// `setup.control` says to close.
///
/// # Errors
/// When the descriptor cannot be read or waited for; what was read before is handed on.
pub fn serve(input: BorrowedFd<'_>, setup: &Setup, process: &mut Process<'_>) -> io::Result<End> {
    let mut door = Door {
        setup,
        input,
        buffer: Buffer::new(setup.limits.tail_bytes_max(), READ_BYTES),
        tail: Tail::default(),
        meter: Meter::new(&setup.telemetry, Input::Stdin, setup.clock.monotonic()),
        hold_until: None,
        tick_at: None,
        stop: None,
    };
    let mut source = delivery::source(Input::Stdin);
    let mut rhythm = Rhythm::new(setup.limits.nap_max);
    let ended = loop {
        match door
            .turn(&mut rhythm, &mut |meter, piece| hand_on(process, meter, &mut source, piece))
        {
            Ok(Turn::Ended(end)) => break Ok(end),
            Ok(Turn::Idle { tick: false }) => {
                process(Delivery::Flush);
            }
            Ok(Turn::Idle { tick: true }) => {
                process(Delivery::Flush);
                let again = setup.clock.monotonic() + TICK;
                door.tick_at = process(Delivery::Tick).then_some(again);
            }
            Err(error) => break Err(error),
        }
    };
    let meter = &mut door.meter;
    let mut emit = |piece: Piece<'_>| hand_on(process, meter, &mut source, piece);
    if matches!(ended, Ok(End::Writer)) {
        door.tail.finish(&mut emit);
    } else if door.tail.tear(&mut emit) {
        door.meter.torn();
    }
    process(Delivery::Flush);
    door.meter.until(setup.clock.monotonic(), State::Busy);
    setup.control.beat.waiting();
    ended
}

struct Door<'s> {
    setup: &'s Setup,
    input: BorrowedFd<'s>,
    buffer: Buffer,
    tail: Tail,
    meter: Meter,
    hold_until: Option<Duration>,
    tick_at: Option<Duration>,
    /// Set once a stop was asked for: (until quiet, at the latest).
    stop: Option<(Duration, Duration)>,
}

enum Turn {
    Idle { tick: bool },
    Ended(End),
}

impl Door<'_> {
    /// Waits for something, reads once, sleeps if that is wise.
    fn turn(
        &mut self,
        rhythm: &mut Rhythm,
        emit: &mut impl FnMut(&mut Meter, Piece<'_>),
    ) -> io::Result<Turn> {
        let clock = &self.setup.clock;
        let readable = self.wait()?;
        let now = clock.monotonic();
        self.setup.control.beat.busy(now);
        if self.setup.control.is_closing() && self.stop.is_none() {
            self.stop = Some((now + QUIET_MAX, now + STOP_MAX));
        }
        if let Some((quiet, latest)) = self.stop
            && (now >= latest || (!readable && now >= quiet))
        {
            return Ok(Turn::Ended(End::Asked));
        }
        if self.hold_until.is_some_and(|until| until <= now) {
            self.hold_until = None;
            self.tail.release(&mut |piece| emit(&mut self.meter, piece));
        }
        if readable {
            match rustix::io::read(self.input, self.buffer.space()) {
                Ok(0) => return Ok(Turn::Ended(End::Writer)),
                Ok(read) => self.take(now, read, rhythm, emit),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Turn::Idle { tick: self.tick_at.is_some_and(|at| at <= now) })
    }

    fn take(
        &mut self,
        now: Duration,
        read: usize,
        rhythm: &mut Rhythm,
        emit: &mut impl FnMut(&mut Meter, Piece<'_>),
    ) {
        let setup = self.setup;
        setup.control.feed(now);
        self.meter.read(read);
        let bounds = Bounds {
            line_bytes_max: setup.limits.line_bytes_max,
            tail_bytes_max: setup.limits.tail_bytes_max(),
        };
        let meter = &mut self.meter;
        self.tail.take(&mut self.buffer, read, bounds, &mut |piece| emit(meter, piece));
        self.hold_until = self.tail.holds().then_some(now + setup.limits.hold_max);
        self.tick_at.get_or_insert(now + TICK);
        if let Some((quiet, _)) = &mut self.stop {
            *quiet = now + QUIET_MAX;
        }
        let sweep =
            Sweep { fill: pipe_fill(read as u64), any: true, more: read >= LARGE_READ_BYTES };
        if let (Next::Nap(nap), None) = (rhythm.after(now, sweep), self.stop) {
            self.meter.until(setup.clock.monotonic(), State::Busy);
            std::thread::sleep(nap);
            self.meter.until(setup.clock.monotonic(), State::Nap);
        }
    }

    /// Waits until the input can be read (true), somebody calls, or a time has come.
    fn wait(&mut self) -> io::Result<bool> {
        let control = &self.setup.control;
        let now = self.setup.clock.monotonic();
        self.meter.until(now, State::Busy);
        control.beat.waiting();
        let stop = self.stop.map(|(quiet, latest)| quiet.min(latest));
        let due = [self.hold_until, self.tick_at, stop].into_iter().flatten().min();
        let timeout = due.map(|at| timespec(at.saturating_sub(now)));
        let mut polled = [
            PollFd::from_borrowed_fd(self.input, PollFlags::IN),
            PollFd::from_borrowed_fd(control.fd(), PollFlags::IN),
        ];
        // once a stop was asked for, the caller is heard and would only wake us again
        let wait = if self.stop.is_some() { &mut polled[..1] } else { &mut polled[..] };
        match poll(wait, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.meter.until(self.setup.clock.monotonic(), State::Wait);
        let readable = !polled[0].revents().is_empty();
        if !polled[1].revents().is_empty() {
            control.hush();
        }
        Ok(readable)
    }
}

#[cfg(test)]
mod tests;
