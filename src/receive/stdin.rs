//! Serves standard input: `some-app | sidelight run --stdin`. Uses the same framing as the stream
//! socket. Unit: one read. The reading side of a pipe cannot be shut down, so after a stop it is
//! read until its writer closes it or stays quiet.

use crate::pipeline::input::{FrameSink, Input, Source};
use crate::receive::coalesce::{LARGE_READ_BYTES, Sweep, pipe_fill};
use crate::receive::control::Control;
use crate::receive::intake::piece::{Bounds, Buffer, Piece};
use crate::receive::intake::tail::Tail;
use crate::receive::limits::{Limits, READ_BYTES};
use crate::receive::worker::{self, End, Reader, Round, Setup, poll_timeout};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// After a stop, a writer that is quiet for this long counts as finished.
pub(crate) const QUIET_MAX: Duration = Duration::from_millis(300);

/// After a stop, the longest time for which a writer that never ends is read.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(1);

/// Serves `input`, any readable descriptor (a pipe, a file, a terminal), until it ends or
/// `setup.control` requests a stop.
///
/// # Errors
/// Returns an error if the descriptor cannot be read or polled; earlier bytes have been processed.
pub(crate) fn serve(
    input: BorrowedFd<'_>,
    setup: &Setup,
    sink: &mut dyn FrameSink,
) -> io::Result<End> {
    let limits = setup.limits;
    let reader = StdinReader {
        input,
        source: Source::new(Input::Stdin),
        buffer: Buffer::new(limits.tail_bytes_max(), READ_BYTES),
        tail: Tail::default(),
        bounds: Bounds {
            line_bytes_max: limits.line_bytes_max,
            tail_bytes_max: limits.tail_bytes_max(),
        },
        hold_until: None,
        is_readable: false,
        has_ended: false,
    };
    worker::run(reader, setup, sink)
}

struct StdinReader<'f> {
    input: BorrowedFd<'f>,
    source: Source,
    buffer: Buffer,
    tail: Tail,
    bounds: Bounds,
    hold_until: Option<Duration>,
    is_readable: bool,
    /// The last writer has closed it.
    has_ended: bool,
}

impl StdinReader<'_> {
    /// Reads once; returns the number of bytes.
    fn read(&mut self, round: &mut Round<'_>) -> io::Result<usize> {
        let read = match rustix::io::read(self.input, self.buffer.space()) {
            Ok(read) => read,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        self.has_ended = read == 0;
        round.meter.read(read);
        let observed = round.observed();
        let source = &mut self.source;
        let emit = &mut |piece: Piece<'_>| round.hand_on(source, piece, observed);
        self.tail.take(&mut self.buffer, read, self.bounds, emit);
        let hold_max = round.setup.limits.hold_max;
        self.hold_until = self.tail.holds().then_some(round.now + hold_max);
        Ok(read)
    }
}

impl Reader for StdinReader<'_> {
    fn input(&self) -> Input {
        Input::Stdin
    }

    fn sleep_max(&self, limits: &Limits) -> Duration {
        limits.sleep_max
    }

    fn wait(&mut self, control: &Control, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.map(poll_timeout);
        let mut polled = [
            PollFd::from_borrowed_fd(self.input, PollFlags::IN),
            PollFd::from_borrowed_fd(control.fd(), PollFlags::IN),
        ];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.is_readable = !polled[0].revents().is_empty();
        let woken = !polled[1].revents().is_empty();
        if woken {
            control.clear_wake();
        }
        Ok(woken)
    }

    /// Does nothing: standard input has no socket file that could be lost.
    fn replace(&mut self, _: OwnedFd, _: &mut Round<'_>) {}

    fn sweep(&mut self, round: &mut Round<'_>) -> io::Result<Sweep> {
        if !self.is_readable {
            return Ok(Sweep::default());
        }
        let read = self.read(round)?;
        let more = read >= LARGE_READ_BYTES;
        let fill = pipe_fill(read as u64);
        Ok(Sweep { fill, any: read > 0, more, ended: self.has_ended })
    }

    fn due(&self) -> Option<Duration> {
        self.hold_until
    }

    fn expire(&mut self, round: &mut Round<'_>) -> bool {
        if self.hold_until.is_none_or(|until| until > round.now) {
            return false;
        }
        self.hold_until = None;
        let observed = round.observed();
        let source = &mut self.source;
        self.tail.release(&mut |piece| round.hand_on(source, piece, observed));
        true
    }

    fn drain(mut self, round: &mut Round<'_>) {
        let clock = &round.setup.clock;
        let latest = clock.monotonic() + STOP_MAX;
        while !self.has_ended {
            let now = clock.monotonic();
            round.setup.control.beat.busy(now);
            let timeout = poll_timeout(QUIET_MAX.min(latest.saturating_sub(now)));
            let mut polled = [PollFd::from_borrowed_fd(self.input, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Err(Errno::INTR) => continue,
                Ok(1) if now < latest => {}
                Ok(_) | Err(_) => break,
            }
            if self.read(round).is_err() {
                break;
            }
        }
        let observed = round.observed();
        let source = &mut self.source;
        let mut emit = |piece: Piece<'_>| round.hand_on(source, piece, observed);
        if self.has_ended {
            self.tail.finish(&mut emit);
        } else if self.tail.tear(&mut emit) {
            round.meter.torn();
        }
    }
}

#[cfg(test)]
mod tests;
