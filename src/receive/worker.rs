//! The loop of a data thread, the same for the stream socket, the datagram socket and standard
//! input: wait, read what is ready, hand it to the pipeline, sleep while more is written. Unit: one
//! round.
//!
//! A thread waits in the kernel only while nothing comes. While lines flow it sleeps outside of
//! epoll and then reads everything at once (`coalesce` says why and how long), so that a write of
//! the application wakes nobody.

use crate::clock::{Clock, UnixNanos};
use crate::pipeline::input::{FrameSink, Input, Source};
use crate::receive::coalesce::{Coalescer, Next, Sweep};
use crate::receive::control::Control;
use crate::receive::intake::Piece;
use crate::receive::limits::Limits;
use crate::receive::meter::{Meter, State};
use crate::telemetry::Telemetry;
use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What expires is looked at this often, and only while something can.
const TICK: Duration = Duration::from_secs(1);

/// What a data thread is given; each has its own `control`.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Bounds of what is read and kept.
    pub limits: Limits,
    /// Reads the time.
    pub clock: Clock,
    /// Stops and wakes the thread.
    pub control: Arc<Control>,
    /// Counters of the process.
    pub telemetry: Arc<Telemetry>,
}

/// How the reading ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The last writer closed the input. Sockets never end this way.
    Closed,
    /// [`Control::close`] was called.
    Stopped,
}

/// Something that a data thread reads from.
pub(super) trait Reader {
    /// Which input it is.
    fn input(&self) -> Input;

    /// The longest sleep between two sweeps.
    fn sleep_max(&self, limits: &Limits) -> Duration;

    /// Waits until something can be read, the control wakes the thread or `timeout` has passed;
    /// without a timeout, for ever. True: the control woke the thread.
    fn wait(&mut self, control: &Control, timeout: Option<Duration>) -> io::Result<bool>;

    /// Takes a socket in place of its own, after reading what the old one still has.
    fn replace(&mut self, socket: OwnedFd, round: &mut Round<'_>);

    /// Reads what is ready.
    fn sweep(&mut self, round: &mut Round<'_>) -> io::Result<Sweep>;

    /// The next time, on the monotonic clock, at which [`Reader::expire`] has something to do.
    fn due(&self) -> Option<Duration>;

    /// Does what is due: releases lines that were held back for a continuation. True: some were.
    fn expire(&mut self, round: &mut Round<'_>) -> bool;

    /// Reads to its end what was written before the stop.
    fn drain(self, round: &mut Round<'_>);
}

/// What a [`Reader`] works with.
pub(super) struct Round<'a> {
    pub(super) setup: &'a Setup,
    pub(super) meter: Meter,
    /// When the round began, on the monotonic clock.
    pub(super) now: Duration,
    pub(super) sink: &'a mut dyn FrameSink,
}

impl Round<'_> {
    /// The wall clock, for the arrival time of records.
    pub(super) fn observed(&self) -> UnixNanos {
        self.setup.clock.now()
    }

    /// Counts the frames of a piece of a stream and hands it to the pipeline.
    #[inline]
    pub(super) fn hand_on(&mut self, source: &mut Source, piece: Piece<'_>, observed: UnixNanos) {
        match piece {
            Piece::Lines(block) => {
                let block = self.meter.lines(block);
                self.sink.lines(source, block, observed);
            }
            Piece::Oversized { prefix, bytes } => {
                if self.meter.frame() {
                    self.sink.oversized(source, prefix, bytes, observed);
                }
            }
        }
    }

    fn flush(&mut self) {
        let now = self.observed();
        self.sink.flush(now);
    }

    /// The thread worked until now; what follows is another state.
    fn end_work(&mut self) {
        self.meter.until(self.setup.clock.monotonic(), State::Busy);
    }
}

/// Reads until the input ends or `setup.control` stops it, then drains and returns.
///
/// # Errors
/// The kernel refuses to wait or to read. What was read before was handed on.
pub(super) fn run(
    mut reader: impl Reader,
    setup: &Setup,
    sink: &mut dyn FrameSink,
) -> io::Result<End> {
    let control = &setup.control;
    let now = setup.clock.monotonic();
    let meter = Meter::new(&setup.telemetry, reader.input(), now);
    let mut round = Round { setup, meter, now, sink };
    let mut coalescer = Coalescer::new(reader.sleep_max(&setup.limits));
    let mut next = Next::Wait;
    let mut tick_at: Option<Duration> = None;
    let end = loop {
        if control.is_closing() {
            break Ok(End::Stopped);
        }
        let woken = match wait(&mut reader, &mut round, next, tick_at) {
            Ok(woken) => woken,
            Err(error) => break Err(error),
        };
        control.beat.busy(round.now);
        if woken && let Some(socket) = control.take_replacement() {
            reader.replace(socket, &mut round);
        }
        let sweep = match reader.sweep(&mut round) {
            Ok(sweep) => sweep,
            Err(error) => break Err(error),
        };
        if sweep.any {
            control.mark_activity(round.now);
            tick_at.get_or_insert(round.now + TICK);
        }
        if reader.expire(&mut round) || sweep.any || woken {
            round.flush();
        }
        if tick_at.is_some_and(|at| at <= round.now) {
            let now = round.observed();
            tick_at = round.sink.tick(now).then_some(round.now + TICK);
        }
        if sweep.ended {
            break Ok(End::Closed);
        }
        next = coalescer.after(round.now, sweep);
        if let Next::Sleep(span) = next {
            round.end_work();
            std::thread::sleep(span);
            round.meter.until(setup.clock.monotonic(), State::Sleep);
        }
    };
    reader.drain(&mut round);
    round.flush();
    round.end_work();
    control.beat.waiting();
    end
}

/// Waits if there is nothing to do, else only looks at what is ready.
fn wait(
    reader: &mut impl Reader,
    round: &mut Round<'_>,
    next: Next,
    tick_at: Option<Duration>,
) -> io::Result<bool> {
    let setup = round.setup;
    let waits = next == Next::Wait;
    let timeout = if waits {
        let now = setup.clock.monotonic();
        round.meter.until(now, State::Busy);
        setup.control.beat.waiting();
        [reader.due(), tick_at].into_iter().flatten().min().map(|at| at.saturating_sub(now))
    } else {
        Some(Duration::ZERO)
    };
    let woken = reader.wait(&setup.control, timeout)?;
    round.now = setup.clock.monotonic();
    round.meter.until(round.now, if waits { State::Wait } else { State::Busy });
    Ok(woken)
}

/// A timeout for the kernel. One that is not zero has at least a millisecond: a shorter one would
/// only be waited out in a loop.
pub(super) fn timespec(timeout: Duration) -> Timespec {
    let timeout = if timeout.is_zero() { timeout } else { timeout.max(Duration::from_millis(1)) };
    Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) }
}
