//! The data thread of the stream socket: one epoll, one read buffer, all connections. Unit: one
//! sweep over the ready connections.
//!
//! It waits in epoll only while nothing comes. While lines flow it sleeps outside of epoll and then
//! sweeps (`nap` says why and how long): a write of the application then wakes nobody. It must
//! never wait for anything else, and never leave bytes that the kernel has accepted.

pub mod connections;
pub mod gate;
pub mod peer;

use crate::clock::Clock;
use crate::pipeline::{Input, Source};
use crate::receive::control::Control;
use crate::receive::delivery::{self, Delivery, Process, hand_on};
use crate::receive::intake::{Bounds, Buffer, Tail};
use crate::receive::limits::{Limits, READ_BYTES};
use crate::receive::meter::{Meter, Refusal, State};
use crate::receive::nap::{LARGE_READ_BYTES, Next, Rhythm, Sweep, stream_fill};
use crate::telemetry::Telemetry;
use connections::Connections;
use gate::{Came, Gate};
use memchr::memchr_iter;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Reads of one connection in one sweep, so that one that never stops does not starve the others.
const READS_A_SWEEP: usize = 4;

/// Connections accepted in one sweep; taking in or refusing one costs about 3 us.
const ACCEPTS_A_SWEEP: usize = 1024;

/// Events taken from epoll at once.
const EVENTS: usize = 256;

/// How long nobody is accepted after the process ran out of descriptors, the spare one included.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What ages is looked at this often, and only while something does.
pub(super) const TICK: Duration = Duration::from_secs(1);

const KEY_WAKE: u64 = u64::MAX;
const KEY_LISTENER: u64 = u64::MAX - 1;

/// What a data thread is given; each has its own `control`.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The bounds.
    pub limits: Limits,
    /// The time.
    pub clock: Clock,
    /// How the thread is reached.
    pub control: Arc<Control>,
    /// Where it counts.
    pub telemetry: Arc<Telemetry>,
}

/// Serves `listener`, a bound and listening stream socket, until `setup.control` says to close;
/// then reads to its end what writers have written, and returns.
///
/// # Errors
/// When the kernel refuses an epoll or has no descriptor left, before anything was read.
pub fn serve(listener: OwnedFd, setup: &Setup, process: &mut Process<'_>) -> io::Result<()> {
    let mut door = Door::new(listener, setup)?;
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
    let mut look = Next::Wait;
    while !setup.control.is_closing() {
        events.clear();
        let waited = door.wait(look, &mut events)?;
        let now = setup.clock.monotonic();
        setup.control.beat.busy(now);
        door.meter.until(now, if waited { State::Wait } else { State::Busy });
        let sweep = door.sweep(now, &events, process);
        look = door.rhythm.after(now, sweep);
        if let Next::Nap(nap) = look {
            door.meter.until(setup.clock.monotonic(), State::Busy);
            std::thread::sleep(nap);
            door.meter.until(setup.clock.monotonic(), State::Nap);
        }
    }
    door.close(process);
    setup.control.beat.waiting();
    Ok(())
}

struct Door<'s> {
    setup: &'s Setup,
    epoll: OwnedFd,
    gate: Gate,
    buffer: Buffer,
    connections: Connections,
    rhythm: Rhythm,
    meter: Meter,
    /// (until when, slot, source) of connections whose lines are held back, the earliest first.
    holds: BinaryHeap<Reverse<(Duration, usize, u64)>>,
    tick_at: Option<Duration>,
    /// Set while nobody is accepted.
    accept_at: Option<Duration>,
}

impl<'s> Door<'s> {
    fn new(listener: OwnedFd, setup: &'s Setup) -> io::Result<Door<'s>> {
        let limits = setup.limits;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = epoll::EventData::new_u64(KEY_WAKE);
        epoll::add(&epoll, setup.control.fd(), wake, epoll::EventFlags::IN)?;
        let incoming = epoll::EventData::new_u64(KEY_LISTENER);
        let gate = Gate::new(listener)?;
        epoll::add(&epoll, gate.fd(), incoming, epoll::EventFlags::IN)?;
        Ok(Door {
            epoll,
            gate,
            buffer: Buffer::new(limits.tail_bytes_max(), READ_BYTES),
            connections: Connections::new(limits),
            rhythm: Rhythm::new(limits.nap_max),
            meter: Meter::new(&setup.telemetry, Input::Stream, setup.clock.monotonic()),
            holds: BinaryHeap::new(),
            tick_at: None,
            accept_at: None,
            setup,
        })
    }

    /// Fills `events` with what is ready; waits for something only when `look` says so. True if it
    /// waited.
    fn wait(&mut self, look: Next, events: &mut Vec<epoll::Event>) -> io::Result<bool> {
        let waits = look == Next::Wait;
        let timeout = if waits {
            let now = self.setup.clock.monotonic();
            self.meter.until(now, State::Busy);
            self.setup.control.beat.waiting();
            self.due().map(|at| timespec(at.saturating_sub(now)))
        } else {
            Some(Timespec::default())
        };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(waits),
            Err(error) => Err(error.into()),
        }
    }

    /// When to look again although nothing came.
    fn due(&self) -> Option<Duration> {
        let held = self.holds.peek().map(|Reverse((until, _, _))| *until);
        [held, self.tick_at, self.accept_at].into_iter().flatten().min()
    }

    fn sweep(
        &mut self,
        now: Duration,
        events: &[epoll::Event],
        process: &mut Process<'_>,
    ) -> Sweep {
        let mut sweep = Sweep { more: events.len() == EVENTS, ..Sweep::default() };
        let mut flush = false;
        for event in events {
            match event.data.u64() {
                KEY_WAKE => {
                    self.setup.control.hush();
                    flush = true;
                }
                KEY_LISTENER => {
                    sweep.any = true;
                    self.accept(now, &mut sweep, process);
                }
                slot => {
                    let flags = event.flags;
                    let hung = flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP);
                    self.read(now, slot as usize, hung, &mut sweep, process);
                }
            }
        }
        if sweep.any {
            self.setup.control.feed(now);
            self.tick_at.get_or_insert(now + TICK);
        }
        if self.release(now, process) || sweep.any || flush {
            process(Delivery::Flush);
        }
        if self.tick_at.is_some_and(|at| at <= now) {
            self.tick_at = process(Delivery::Tick).then_some(now + TICK);
        }
        if self.accept_at.is_some_and(|at| at <= now) {
            self.accept_at = None;
            let data = epoll::EventData::new_u64(KEY_LISTENER);
            if epoll::add(&self.epoll, self.gate.fd(), data, epoll::EventFlags::IN).is_err() {
                self.accept_at = Some(now + BACK_OFF);
            }
        }
        sweep
    }

    /// Reads one connection, a few times at most unless it `hung` up.
    fn read(
        &mut self,
        now: Duration,
        slot: usize,
        hung: bool,
        sweep: &mut Sweep,
        process: &mut Process<'_>,
    ) {
        sweep.any = true;
        let line_bytes_max = self.setup.limits.line_bytes_max;
        let tail_bytes_max = self.connections.tail_bytes_max(slot);
        let bounds = Bounds { line_bytes_max, tail_bytes_max };
        let (mut lines, mut bytes) = (0, 0);
        let mut ended = false;
        for _ in 0..READS_A_SWEEP {
            let space = self.buffer.space();
            let asked = space.len();
            let Some(connection) = self.connections.get(slot) else { return };
            match rustix::net::recv(&connection.socket, space, RecvFlags::empty()) {
                Ok((0, _)) => ended = true,
                Ok((read, _)) => {
                    self.meter.read(read);
                    bytes += read as u64;
                    if read < LARGE_READ_BYTES {
                        lines += memchr_iter(b'\n', self.buffer.fresh(read)).count() as u64;
                    } else {
                        sweep.more = true;
                    }
                    let (tail, source) = (&mut connection.tail, &mut connection.source);
                    let meter = &mut self.meter;
                    let emit = &mut |piece: super::intake::Piece<'_>| {
                        hand_on(process, meter, source, piece);
                    };
                    tail.take(&mut self.buffer, read, bounds, emit);
                    if read < asked && !hung {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // a reset tells that the peer is gone; what it wrote before was read before
                Err(_) => ended = true,
            }
            if ended {
                break;
            }
        }
        sweep.fill = sweep.fill.max(stream_fill(lines, bytes));
        if ended {
            self.end(slot, process);
        } else {
            self.settle(now, slot);
        }
    }

    /// The books after a read: what the tail takes, and whether it holds lines back.
    fn settle(&mut self, now: Duration, slot: usize) {
        let hold_until = now + self.setup.limits.hold_max;
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.tail.holds() {
            connection.hold_until = hold_until;
            if !connection.hold_queued {
                connection.hold_queued = true;
                self.holds.push(Reverse((hold_until, slot, connection.source.id)));
            }
        }
        self.connections.count_tail(slot);
    }

    /// Lets go the held-back lines whose time has come; true if there were any.
    fn release(&mut self, now: Duration, process: &mut Process<'_>) -> bool {
        let mut any = false;
        while let Some(Reverse((until, slot, id))) = self.holds.peek().copied() {
            if until > now {
                break;
            }
            self.holds.pop();
            let Some(connection) = self.connections.get(slot) else { continue };
            if connection.source.id != id {
                continue;
            }
            if connection.tail.holds() && connection.hold_until > now {
                // more came meanwhile, and is held back in its turn
                self.holds.push(Reverse((connection.hold_until, slot, id)));
                continue;
            }
            connection.hold_queued = false;
            any |= connection.tail.holds();
            let source = &mut connection.source;
            let meter = &mut self.meter;
            connection.tail.release(&mut |piece| hand_on(process, meter, source, piece));
            self.connections.count_tail(slot);
        }
        any
    }

    /// The peer closed.
    fn end(&mut self, slot: usize, process: &mut Process<'_>) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        let source = &mut connection.source;
        let meter = &mut self.meter;
        connection.tail.finish(&mut |piece| hand_on(process, meter, source, piece));
        self.meter.closed();
    }

    fn accept(&mut self, now: Duration, sweep: &mut Sweep, process: &mut Process<'_>) {
        for _ in 0..ACCEPTS_A_SWEEP {
            match self.gate.take() {
                Came::Writer(socket, uid) => self.admit(now, socket, uid, sweep, process),
                Came::OneTooMany(socket) => self.refuse(&socket, Refusal::Descriptors, process),
                Came::Unknown => self.meter.refused(Refusal::Descriptors),
                Came::Nobody => return,
                Came::Stuck(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    // without the pause epoll would report the listener for ever
                    if epoll::delete(&self.epoll, self.gate.fd()).is_ok() {
                        self.accept_at = Some(now + BACK_OFF);
                    }
                    return;
                }
            }
        }
        sweep.more = true;
    }

    /// Closes a connection that is one too many. What it has written already was accepted by the
    /// kernel in our name, and is delivered.
    fn refuse(&mut self, socket: &OwnedFd, refusal: Refusal, process: &mut Process<'_>) {
        self.meter.refused(refusal);
        let finished = shut(socket);
        self.drain(socket, delivery::source(Input::Stream), Tail::default(), finished, process);
    }

    fn admit(
        &mut self,
        now: Duration,
        socket: OwnedFd,
        uid: u32,
        sweep: &mut Sweep,
        process: &mut Process<'_>,
    ) {
        if let Err(refusal) = self.connections.admits(uid) {
            self.refuse(&socket, refusal, process);
            return;
        }
        let slot = self.connections.insert(socket, uid, delivery::source(Input::Stream));
        self.meter.opened();
        let data = epoll::EventData::new_u64(slot as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        let watched = match self.connections.get(slot) {
            Some(connection) => epoll::add(&self.epoll, &connection.socket, data, flags).is_ok(),
            None => false,
        };
        if watched {
            // one that wrote a line and left is done with here, and takes up no place
            self.read(now, slot, true, sweep, process);
        } else if let Some(connection) = self.connections.remove(slot) {
            self.meter.closed();
            self.refuse(&connection.socket, Refusal::Descriptors, process);
        }
    }

    /// Reads everything that writers have written, to its end. Shutting the reading side makes a
    /// writer's next `write` fail at once, while what it wrote stays readable: so there is an end,
    /// and nothing is lost.
    fn close(mut self, process: &mut Process<'_>) {
        self.gate.shut();
        let slots = self.connections.slots();
        let mut finished = Vec::with_capacity(slots.len());
        for slot in &slots {
            if let Some(connection) = self.connections.get(*slot) {
                finished.push(shut(&connection.socket));
            }
        }
        for (slot, finished) in slots.into_iter().zip(finished) {
            if let Some(connection) = self.connections.remove(slot) {
                let (socket, tail) = (connection.socket, connection.tail);
                self.drain(&socket, connection.source, tail, finished, process);
                self.meter.closed();
            }
        }
        // connections that nobody accepted yet hold lines as well; they are taken one by one,
        // without limits
        while let Some(socket) = self.gate.last() {
            self.meter.opened();
            let finished = shut(&socket);
            let source = delivery::source(Input::Stream);
            self.drain(&socket, source, Tail::default(), finished, process);
            self.meter.closed();
        }
        process(Delivery::Flush);
        self.meter.until(self.setup.clock.monotonic(), State::Busy);
    }

    /// Reads a shut connection to its end.
    fn drain(
        &mut self,
        socket: &OwnedFd,
        mut source: Source,
        mut tail: Tail,
        finished: bool,
        process: &mut Process<'_>,
    ) {
        let Limits { line_bytes_max, .. } = self.setup.limits;
        let bounds = Bounds { line_bytes_max, tail_bytes_max: self.setup.limits.tail_bytes_max() };
        loop {
            self.setup.control.beat.busy(self.setup.clock.monotonic());
            match rustix::net::recv(socket, self.buffer.space(), RecvFlags::empty()) {
                Ok((0, _)) => break,
                Ok((read, _)) => {
                    self.meter.read(read);
                    tail.take(&mut self.buffer, read, bounds, &mut |piece| {
                        hand_on(process, &mut self.meter, &mut source, piece);
                    });
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let meter = &mut self.meter;
        let mut emit =
            |piece: super::intake::Piece<'_>| hand_on(process, meter, &mut source, piece);
        if finished {
            tail.finish(&mut emit);
        } else if tail.tear(&mut emit) {
            self.meter.torn();
        }
    }
}

/// Ends the reading side. True if the peer had ended its own before: then its last line is whole
/// without newline.
fn shut(socket: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
    let finished = poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
    let _ = rustix::net::shutdown(socket, Shutdown::Read);
    finished
}

/// For the kernel, at least a millisecond: an earlier end would only be waited out in a loop.
pub(super) fn timespec(span: Duration) -> Timespec {
    let span = span.max(Duration::from_millis(1));
    Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) }
}
