//! The loop of a data thread, the same for the stream socket, the datagram socket and standard
//! input: wait, read what is ready, pass it to the pipeline, sleep while more is written. Unit: one
//! round.
//!
//! A thread waits in the kernel only while nothing arrives. While lines arrive, it sleeps outside
//! of epoll and then reads everything at once (`coalesce` explains why and how long), so that a
//! write of the application does not wake a thread.

use crate::clock::{Clock, UnixNanos, timespec};
use crate::pipeline::input::{FrameSink, Input, Source};
use crate::receive::coalesce::{Coalescer, Next, Sweep};
use crate::receive::control::Control;
use crate::receive::intake::piece::Piece;
use crate::receive::limits::Limits;
use crate::receive::meter::{Meter, ThreadState};
use crate::telemetry::Telemetry;
use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often expiry is checked, and only while something can expire.
const TICK: Duration = Duration::from_secs(1);

/// What a data thread needs; each thread has a separate `control`.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Limits of what is read and kept.
    pub limits: Limits,
    /// The clock of the process.
    pub clock: Clock,
    /// Stops and wakes the thread.
    pub control: Arc<Control>,
    /// The metrics that sidelight keeps about itself.
    pub telemetry: Arc<Telemetry>,
}

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The last writer closed the input. Sockets never end this way.
    Closed,
    /// [`Control::close`] was called.
    Stopped,
}

/// An input from which a data thread reads.
pub(super) trait Reader {
    /// Returns which input it is.
    fn input(&self) -> Input;

    /// Returns the longest sleep between two sweeps.
    fn sleep_max(&self, limits: &Limits) -> Duration;

    /// Waits until something can be read, the control wakes the thread or `timeout` has passed;
    /// without a timeout, waits without a limit. Returns true if the control woke the thread.
    fn wait(&mut self, control: &Control, timeout: Option<Duration>) -> io::Result<bool>;

    /// Replaces the current socket, after reading what the old one still contains.
    fn replace(&mut self, socket: OwnedFd, round: &mut Round<'_>);

    /// Reads what is ready.
    fn sweep(&mut self, round: &mut Round<'_>) -> io::Result<Sweep>;

    /// Returns the next time, on the monotonic clock, at which [`Reader::expire`] has something to
    /// do.
    fn due(&self) -> Option<Duration>;

    /// Releases lines that were held back for a continuation and are now due. Returns true if there
    /// were any.
    fn expire(&mut self, round: &mut Round<'_>) -> bool;

    /// Reads everything that was written before the stop.
    fn drain(self, round: &mut Round<'_>);
}

/// The context in which a [`Reader`] works.
pub(super) struct Round<'a> {
    pub(super) setup: &'a Setup,
    pub(super) meter: Meter,
    /// When the round began, on the monotonic clock.
    pub(super) now: Duration,
    pub(super) sink: &'a mut dyn FrameSink,
    /// Answers to the peer of the connection that is being read.
    pub(super) replies: Vec<u8>,
}

impl Round<'_> {
    /// Returns the wall clock, for the arrival time of records.
    pub(super) fn observed(&self) -> UnixNanos {
        self.setup.clock.now()
    }

    /// Counts the frames of a piece of a stream and passes it to the pipeline.
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
            Piece::Record(frame) => {
                if self.meter.frame() {
                    self.sink.frame(source, frame, observed);
                }
            }
            Piece::Torn => self.meter.torn(),
            Piece::Reply(answer) => self.replies.extend_from_slice(answer),
        }
    }

    /// Publishes the counts: first that frames were received, then what became of them, so that
    /// whoever reads the counters meanwhile never sees more frames decoded than received.
    fn flush(&mut self) {
        self.meter.publish();
        let now = self.observed();
        self.sink.flush(now);
    }

    /// Records the time until now as busy; another state follows.
    fn end_work(&mut self) {
        self.meter.until(self.setup.clock.monotonic(), ThreadState::Busy);
    }
}

/// Reads until the input ends or `setup.control` stops it, then drains and returns.
///
/// # Errors
/// Returns an error if the kernel refuses to wait or to read. Earlier bytes have been processed.
pub(super) fn run(
    mut reader: impl Reader,
    setup: &Setup,
    sink: &mut dyn FrameSink,
) -> io::Result<End> {
    let control = &setup.control;
    let now = setup.clock.monotonic();
    let meter = Meter::new(&setup.telemetry, reader.input(), now);
    let mut round = Round { setup, meter, now, sink, replies: Vec::new() };
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
        if woken {
            for socket in control.take_replacements() {
                reader.replace(socket, &mut round);
            }
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
            round.meter.until(setup.clock.monotonic(), ThreadState::Sleep);
        }
    };
    reader.drain(&mut round);
    round.flush();
    round.end_work();
    control.beat.waiting();
    end
}

/// Waits if there is nothing to do; otherwise only polls for what is ready.
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
        round.meter.until(now, ThreadState::Busy);
        setup.control.beat.waiting();
        [reader.due(), tick_at].into_iter().flatten().min().map(|at| at.saturating_sub(now))
    } else {
        Some(Duration::ZERO)
    };
    let woken = reader.wait(&setup.control, timeout)?;
    round.now = setup.clock.monotonic();
    round.meter.until(round.now, if waits { ThreadState::Wait } else { ThreadState::Busy });
    Ok(woken)
}

/// Converts a timeout for the kernel. A timeout above zero becomes at least a millisecond, because
/// a shorter one would only lead to repeated calls.
pub(super) fn poll_timeout(timeout: Duration) -> Timespec {
    let timeout = if timeout.is_zero() { timeout } else { timeout.max(Duration::from_millis(1)) };
    timespec(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::encoding::Frame;
    use crate::telemetry::sum;

    /// Reads the count of received frames whenever the pipeline publishes its own counts.
    struct Observer {
        telemetry: Arc<Telemetry>,
        received: Vec<u64>,
    }

    impl FrameSink for Observer {
        fn lines(&mut self, _: &mut Source, _: &[u8], _: UnixNanos) {}

        fn oversized(&mut self, _: &mut Source, _: &[u8], _: u64, _: UnixNanos) {}

        fn frame(&mut self, _: &mut Source, _: Frame<'_>, _: UnixNanos) {}

        fn flush(&mut self, _: UnixNanos) {
            self.received.push(sum(&self.telemetry.received));
        }

        fn tick(&mut self, _: UnixNanos) -> bool {
            false
        }
    }

    /// Scenario: a drain that runs out of time reads the ledger while a data thread still works.
    /// Guarantees: frames count as received before they can count as decoded. The ledger used to
    /// show more frames decoded than received.
    #[test]
    fn frames_are_published_as_received_before_they_are_as_decoded() {
        let (clock, _) = Clock::wound(UnixNanos(1_000_000_000));
        let telemetry = Arc::new(Telemetry::new());
        let setup = Setup {
            limits: Limits::default(),
            clock,
            control: Control::new("stream").expect("a descriptor"),
            telemetry: Arc::clone(&telemetry),
        };
        let now = setup.clock.monotonic();
        let meter = Meter::new(&telemetry, Input::Stream, now);
        let mut sink = Observer { telemetry, received: Vec::new() };
        let mut round = Round { setup: &setup, meter, now, sink: &mut sink, replies: Vec::new() };
        let mut source = Source::with_id(1, Input::Stream);
        let observed = round.observed();
        round.hand_on(&mut source, Piece::Lines(b"a\nb\n"), observed);
        round.flush();
        round.hand_on(&mut source, Piece::Lines(b"c\n"), observed);
        round.flush();
        drop(round);
        assert_eq!(sink.received, [2, 3]);
    }
}
