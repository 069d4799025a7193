//! Serves the stream socket with all its connections: one epoll, one read buffer. Never leaves
//! bytes unread that the kernel has accepted. Unit: one sweep over the ready connections.

pub(crate) mod acceptor;
pub(crate) mod connections;
pub(crate) mod peer;

use crate::frame::records::HEADER_BYTES_MAX;
use crate::pipeline::input::{FrameSink, Input, Source};
use crate::receive::coalesce::{FILL_BLOCKED, LARGE_READ_BYTES, Sweep, stream_fill};
use crate::receive::control::Control;
use crate::receive::intake::Intake;
use crate::receive::intake::piece::{Bounds, Buffer, Piece};
use crate::receive::limits::{Limits, READ_BYTES};
use crate::receive::meter::Refusal;
use crate::receive::worker::{self, Reader, Round, Setup, poll_timeout};
use acceptor::{Accepted, Acceptor};
use connections::{Connections, Turn};
use memchr::memchr_iter;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::Duration;

/// Reads per connection in one sweep, so that a connection that never pauses does not starve the
/// others.
const READS_A_SWEEP: usize = 4;

/// The most connections that can be in the backlog (`net.core.somaxconn`), and some more.
const BACKLOG_MAX: usize = 5 * 1024;

/// The number of events taken from epoll at once: enough for nearly all connections, so that they
/// can be sorted.
const EVENTS: usize = 1024;

/// How long one sweep accepts connections, and how long it reads the connections of each [`Turn`]
/// but the first, before the others get a turn. A writer of 100,000 lines/s fills its socket in
/// 1.67 ms; the last read of a turn takes a quarter of a millisecond more.
const TURN_MAX: Duration = Duration::from_micros(300);

/// After a longer time without a sweep, a writer that keeps up may have filled its socket: beside
/// connections that flood, a sweep takes 1 ms.
const LATE: Duration = Duration::from_millis(4);

/// How long accepting pauses after the process ran out of descriptors, including the spare one.
const BACK_OFF: Duration = Duration::from_millis(100);

const KEY_WAKE: u64 = u64::MAX;
const KEY_LISTENER: u64 = u64::MAX - 1;

/// Serves `listener`, a bound and listening stream socket, until `setup.control` requests a stop;
/// then reads everything that was written, and returns.
///
/// # Errors
/// Returns an error if the kernel refuses an epoll or has no descriptor left. Nothing has been read
/// then.
pub(crate) fn serve(listener: OwnedFd, setup: &Setup, sink: &mut dyn FrameSink) -> io::Result<()> {
    let reader = StreamReader::new(listener, setup)?;
    worker::run(reader, setup, sink).map(|_| ())
}

struct StreamReader {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    acceptor: Acceptor,
    buffer: Buffer,
    connections: Connections,
    limits: Limits,
    /// (deadline, slot, source) of connections with held-back lines, the earliest first.
    holds: BinaryHeap<Reverse<(Duration, usize, u64)>>,
    /// When to watch the listener again after the descriptors ran out.
    accept_at: Option<Duration>,
    /// When the last sweep began, on the monotonic clock.
    swept: Duration,
    /// The thread did not run for longer than [`LATE`] before this sweep.
    is_late: bool,
    /// The ready connections of this sweep that wait for their turn.
    queues: [TurnQueue; 3],
}

/// A connection that can be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Ready {
    slot: usize,
    /// The peer hung up.
    hung: bool,
}

/// The ready connections of one [`Turn`].
#[derive(Debug, Default)]
struct TurnQueue {
    ready: Vec<Ready>,
    /// The slot that was read last, in this sweep or in an earlier one.
    last: usize,
}

impl StreamReader {
    fn new(listener: OwnedFd, setup: &Setup) -> io::Result<StreamReader> {
        let limits = setup.limits;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = epoll::EventData::new_u64(KEY_WAKE);
        epoll::add(&epoll, setup.control.fd(), wake, epoll::EventFlags::IN)?;
        let acceptor = Acceptor::new(listener)?;
        watch_listener(&epoll, &acceptor)?;
        Ok(StreamReader {
            epoll,
            events: Vec::with_capacity(EVENTS),
            acceptor,
            buffer: Buffer::new(limits.tail_bytes_max() + HEADER_BYTES_MAX, READ_BYTES),
            connections: Connections::new(limits),
            limits,
            holds: BinaryHeap::new(),
            accept_at: None,
            swept: Duration::ZERO,
            is_late: false,
            queues: Default::default(),
        })
    }

    /// Reads one connection: a few times at most, to its end if the peer `hung` up, or once if it
    /// floods.
    fn read(&mut self, ready: Ready, turn: Turn, sweep: &mut Sweep, round: &mut Round<'_>) {
        let Ready { slot, hung } = ready;
        let reads = if turn == Turn::Flood { 1 } else { READS_A_SWEEP };
        sweep.any = true;
        let line_bytes_max = self.limits.line_bytes_max;
        let tail_bytes_max = self.connections.tail_bytes_max(slot);
        let bounds = Bounds { line_bytes_max, tail_bytes_max };
        let observed = round.observed();
        let (mut lines, mut bytes) = (0, 0);
        let mut ended = false;
        for _ in 0..reads {
            let space = self.buffer.space();
            let requested = space.len();
            let Some(connection) = self.connections.get(slot) else { return };
            match rustix::net::recv(&connection.socket, space, RecvFlags::empty()) {
                Ok((0, _)) => ended = true,
                Ok((read, _)) => {
                    round.meter.read(read);
                    bytes += read as u64;
                    if read < LARGE_READ_BYTES {
                        lines += memchr_iter(b'\n', self.buffer.fresh(read)).count() as u64;
                    } else {
                        sweep.more = true;
                    }
                    let (intake, source) = (&mut connection.intake, &mut connection.source);
                    let emit = &mut |piece: Piece<'_>| round.hand_on(source, piece, observed);
                    intake.take(&mut self.buffer, read, bounds, emit);
                    ended = intake.is_broken() || !connection.answer(&mut round.replies);
                    if read < requested && !hung {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // After a reset the peer is gone; everything that it wrote before has been read.
                Err(_) => ended = true,
            }
            if ended {
                break;
            }
        }
        let fill = stream_fill(lines, bytes);
        sweep.fill = sweep.fill.max(fill);
        if let Some(connection) = self.connections.get(slot) {
            let was_full = fill >= FILL_BLOCKED || bytes >= LARGE_READ_BYTES as u64;
            connection.pace.count(was_full.then_some(bytes), self.is_late);
        }
        if ended {
            self.end(slot, round);
        } else {
            self.update_hold(slot, round.now);
        }
    }

    /// Reads the connections that wait for their turn, each kind in turn and for a bounded time,
    /// because many of them must not delay a writer that keeps up. The next sweep starts with those
    /// that remain.
    fn read_turns(&mut self, sweep: &mut Sweep, round: &mut Round<'_>) {
        for turn in [Turn::Trial, Turn::CatchUp, Turn::Flood] {
            let queue = &mut self.queues[turn as usize];
            let (mut ready, mut last) = (std::mem::take(&mut queue.ready), queue.last);
            ready.sort_unstable();
            let first = ready.partition_point(|ready| ready.slot <= last);
            ready.rotate_left(first);
            let until = round.setup.clock.monotonic() + TURN_MAX;
            for one in ready.drain(..) {
                last = one.slot;
                self.read(one, turn, sweep, round);
                if !has_time(until, round) {
                    sweep.more = true;
                    break;
                }
            }
            self.queues[turn as usize] = TurnQueue { ready, last };
        }
    }

    /// Updates the memory count of the tail after a read, and queues the connection if its intake
    /// holds lines back.
    fn update_hold(&mut self, slot: usize, now: Duration) {
        let hold_until = now + self.limits.hold_max;
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.intake.holds() {
            connection.hold_until = hold_until;
            if !connection.hold_queued {
                connection.hold_queued = true;
                self.holds.push(Reverse((hold_until, slot, connection.source.id)));
            }
        }
        self.connections.count_tail(slot);
    }

    /// Releases held-back lines that are due. Returns true if there were any.
    fn release_held(&mut self, round: &mut Round<'_>) -> bool {
        let mut any = false;
        while let Some(Reverse((until, slot, id))) = self.holds.peek().copied() {
            if until > round.now {
                break;
            }
            self.holds.pop();
            let Some(connection) = self.connections.get(slot) else { continue };
            if connection.source.id != id {
                continue;
            }
            if connection.intake.holds() && connection.hold_until > round.now {
                // More lines arrived in the meantime and are held back until a later time.
                self.holds.push(Reverse((connection.hold_until, slot, id)));
                continue;
            }
            connection.hold_queued = false;
            any |= connection.intake.holds();
            let observed = round.observed();
            let source = &mut connection.source;
            connection.intake.release(&mut |piece| round.hand_on(source, piece, observed));
            self.connections.count_tail(slot);
        }
        any
    }

    /// Ends a connection that the peer has closed.
    fn end(&mut self, slot: usize, round: &mut Round<'_>) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        let observed = round.observed();
        let source = &mut connection.source;
        connection.intake.finish(&mut |piece| round.hand_on(source, piece, observed));
        round.meter.closed();
    }

    /// Accepts connections until `until`, but at least one, and at most `BACKLOG_MAX`.
    fn accept(&mut self, until: Duration, sweep: &mut Sweep, round: &mut Round<'_>) {
        sweep.any = true;
        for _ in 0..BACKLOG_MAX {
            match self.acceptor.accept() {
                Accepted::Connection(socket, uid) => self.admit(socket, uid, sweep, round),
                Accepted::LastDescriptor(socket) => {
                    self.refuse(&socket, Refusal::Descriptors, round);
                }
                Accepted::NoCredentials => round.meter.refused(Refusal::Descriptors),
                Accepted::Empty => return,
                Accepted::Failed(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    // Without the pause, epoll would report the listener continuously.
                    if epoll::delete(&self.epoll, self.acceptor.fd()).is_ok() {
                        self.accept_at = Some(round.now + BACK_OFF);
                    }
                    return;
                }
            }
            if !has_time(until, round) {
                break;
            }
        }
        sweep.more = true;
    }

    /// Closes a connection above a limit. Processes what the peer has written, because the kernel
    /// has already accepted it on our behalf.
    fn refuse(&mut self, socket: &OwnedFd, refusal: Refusal, round: &mut Round<'_>) {
        round.meter.refused(refusal);
        let finished = shut(socket);
        self.read_to_end(socket, Source::new(Input::Stream), Intake::default(), finished, round);
    }

    fn admit(&mut self, socket: OwnedFd, uid: u32, sweep: &mut Sweep, round: &mut Round<'_>) {
        if let Err(refusal) = self.connections.admits(uid) {
            self.refuse(&socket, refusal, round);
            return;
        }
        let slot = self.connections.insert(socket, uid, Source::new(Input::Stream));
        round.meter.opened();
        let data = epoll::EventData::new_u64(slot as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        let watched = match self.connections.get(slot) {
            Some(connection) => epoll::add(&self.epoll, &connection.socket, data, flags).is_ok(),
            None => false,
        };
        if watched {
            // A peer that wrote a line and closed ends here and occupies no slot; one that has
            // written much waits for its turn.
            match self.connections.get(slot).map(|one| one.turn()) {
                Some(Turn::Flood) | None => sweep.more = true,
                Some(turn) => self.read(Ready { slot, hung: true }, turn, sweep, round),
            }
        } else if let Some(connection) = self.connections.remove(slot) {
            round.meter.closed();
            self.refuse(&connection.socket, Refusal::Descriptors, round);
        }
    }

    /// Reads a shut-down connection to its end.
    fn read_to_end(
        &mut self,
        socket: &OwnedFd,
        mut source: Source,
        mut intake: Intake,
        finished: bool,
        round: &mut Round<'_>,
    ) {
        let Limits { line_bytes_max, .. } = self.limits;
        let bounds = Bounds { line_bytes_max, tail_bytes_max: self.limits.tail_bytes_max() };
        let observed = round.observed();
        loop {
            round.setup.control.beat.busy(round.setup.clock.monotonic());
            match rustix::net::recv(socket, self.buffer.space(), RecvFlags::empty()) {
                Ok((0, _)) => break,
                Ok((read, _)) => {
                    round.meter.read(read);
                    intake.take(&mut self.buffer, read, bounds, &mut |piece| {
                        round.hand_on(&mut source, piece, observed);
                    });
                    // the connection closes next, so what does not fit is not sent
                    connections::send(socket, &mut round.replies);
                    round.replies.clear();
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let mut emit = |piece: Piece<'_>| round.hand_on(&mut source, piece, observed);
        if finished {
            intake.finish(&mut emit);
        } else if intake.tear(&mut emit) {
            round.meter.torn();
        }
    }
}

impl Reader for StreamReader {
    fn input(&self) -> Input {
        Input::Stream
    }

    fn sleep_max(&self, limits: &Limits) -> Duration {
        limits.sleep_max
    }

    fn wait(&mut self, control: &Control, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.map(poll_timeout);
        self.events.clear();
        let space = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, space, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let woken = self.events.iter().any(|event| event.data.u64() == KEY_WAKE);
        if woken {
            control.clear_wake();
        }
        Ok(woken)
    }

    fn replace(&mut self, socket: OwnedFd, round: &mut Round<'_>) {
        // First accepts the clients that connected to the old socket; no new client can find it.
        self.acceptor.shut();
        self.accept(Duration::MAX, &mut Sweep::default(), round);
        let _ = epoll::delete(&self.epoll, self.acceptor.fd());
        self.acceptor.replace(socket);
        // The next round watches the new socket, with the same retries as after a pause.
        self.accept_at = Some(round.now);
    }

    fn sweep(&mut self, round: &mut Round<'_>) -> io::Result<Sweep> {
        let events = std::mem::take(&mut self.events);
        let mut sweep = Sweep { more: events.len() == EVENTS, ..Sweep::default() };
        self.is_late = round.now.saturating_sub(self.swept) > LATE;
        self.swept = round.now;
        let mut accepts = false;
        for event in &events {
            match event.data.u64() {
                KEY_WAKE => {}
                KEY_LISTENER => accepts = true,
                slot => {
                    let closed = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP;
                    let hung = { event.flags }.intersects(closed);
                    let ready = Ready { slot: slot as usize, hung };
                    match self.connections.get(ready.slot).map(|one| one.turn()) {
                        Some(Turn::Steady) => self.read(ready, Turn::Steady, &mut sweep, round),
                        Some(turn) => self.queues[turn as usize].ready.push(ready),
                        None => {}
                    }
                }
            }
        }
        self.read_turns(&mut sweep, round);
        if accepts {
            let until = round.setup.clock.monotonic() + TURN_MAX;
            self.accept(until, &mut sweep, round);
        }
        self.events = events;
        Ok(sweep)
    }

    fn due(&self) -> Option<Duration> {
        let held = self.holds.peek().map(|Reverse((until, _, _))| *until);
        [held, self.accept_at].into_iter().flatten().min()
    }

    fn expire(&mut self, round: &mut Round<'_>) -> bool {
        if self.accept_at.is_some_and(|at| at <= round.now) {
            let watched = watch_listener(&self.epoll, &self.acceptor);
            self.accept_at = watched.is_err().then(|| round.now + BACK_OFF);
        }
        self.release_held(round)
    }

    /// Shuts down the reading side, which makes a writer's next `write` fail at once while the
    /// bytes that it wrote stay readable. So each connection has an end, and nothing is lost.
    fn drain(mut self, round: &mut Round<'_>) {
        self.acceptor.shut();
        let slots = self.connections.slots();
        let mut finished = Vec::with_capacity(slots.len());
        for slot in &slots {
            if let Some(connection) = self.connections.get(*slot) {
                finished.push(shut(&connection.socket));
            }
        }
        for (slot, finished) in slots.into_iter().zip(finished) {
            if let Some(connection) = self.connections.remove(slot) {
                let (socket, intake) = (connection.socket, connection.intake);
                self.read_to_end(&socket, connection.source, intake, finished, round);
                round.meter.closed();
            }
        }
        // Connections that were never accepted contain lines as well; they are read one by one,
        // without limits.
        while let Some(socket) = self.acceptor.accept_last() {
            round.meter.opened();
            let finished = shut(&socket);
            let source = Source::new(Input::Stream);
            self.read_to_end(&socket, source, Intake::default(), finished, round);
            round.meter.closed();
        }
    }
}

/// Reports that the thread works, and returns whether it is earlier than `until`.
fn has_time(until: Duration, round: &Round<'_>) -> bool {
    let now = round.setup.clock.monotonic();
    round.setup.control.beat.busy(now);
    now < until
}

fn watch_listener(epoll: &OwnedFd, acceptor: &Acceptor) -> rustix::io::Result<()> {
    let data = epoll::EventData::new_u64(KEY_LISTENER);
    epoll::add(epoll, acceptor.fd(), data, epoll::EventFlags::IN)
}

/// Shuts down the reading side. Returns true if the peer had already shut down its writing side;
/// its last line is complete then, even without a newline.
fn shut(socket: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
    let finished = poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
    let _ = rustix::net::shutdown(socket, Shutdown::Read);
    finished
}

#[cfg(test)]
mod tests;
