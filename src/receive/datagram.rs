//! The data thread of the datagram socket. The kernel holds eleven datagrams, then the application waits (or
//! loses, if it does not wait): so this thread has nothing else to do and never sleeps beyond 0.5 ms.
//! Unit: one datagram, whatever newlines it holds. There is no peer to ask for: a datagram has no
//! credentials.

use crate::pipeline::{Input, Source};
use crate::receive::delivery::{self, Delivery, Process};
use crate::receive::limits::DATAGRAM_BYTES_MAX;
use crate::receive::meter::{Meter, State};
use crate::receive::nap::{DATAGRAMS_HELD, NAP_MAX_DATAGRAM, Next, Rhythm, Sweep};
use crate::receive::stream::{Setup, TICK, timespec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use std::io;
use std::time::Duration;

/// Datagrams taken before the batch is flushed.
const DATAGRAMS_A_SWEEP: u64 = 256;

/// After the socket was shut, an empty read is its end or an empty datagram; of those it holds fewer than
/// this.
const EMPTY_AT_END: u32 = 1024;

/// Serves `socket`, a bound datagram socket that does not block, until `setup.control` says to close; then
/// takes what the kernel still holds, and returns.
///
/// # Errors
/// When the kernel refuses to wait for bytes.
pub fn serve(socket: &OwnedFd, setup: &Setup, process: &mut Process<'_>) -> io::Result<()> {
    let mut door = Door {
        setup,
        socket,
        source: delivery::source(Input::Datagram),
        buffer: vec![0; DATAGRAM_BYTES_MAX],
        meter: Meter::new(&setup.telemetry, Input::Datagram, setup.clock.monotonic()),
    };
    let mut rhythm = Rhythm::new(NAP_MAX_DATAGRAM);
    let mut tick_at: Option<Duration> = None;
    let mut look = Next::Wait;
    while !setup.control.is_closing() {
        let called = look == Next::Wait && door.wait(tick_at)?;
        let now = setup.clock.monotonic();
        setup.control.beat.busy(now);
        let sweep = door.sweep(process);
        if sweep.any {
            setup.control.feed(now);
            tick_at.get_or_insert(now + TICK);
        }
        if sweep.any || called {
            process(Delivery::Flush);
        }
        if tick_at.is_some_and(|at| at <= now) {
            tick_at = process(Delivery::Tick).then_some(now + TICK);
        }
        look = rhythm.after(now, sweep);
        if let Next::Nap(nap) = look {
            door.meter.until(setup.clock.monotonic(), State::Busy);
            std::thread::sleep(nap);
            door.meter.until(setup.clock.monotonic(), State::Nap);
        }
    }
    let _ = rustix::net::shutdown(socket, Shutdown::Read);
    while door.sweep(process).more {
        setup.control.beat.busy(setup.clock.monotonic());
    }
    process(Delivery::Flush);
    door.meter.until(setup.clock.monotonic(), State::Busy);
    setup.control.beat.waiting();
    Ok(())
}

struct Door<'s> {
    setup: &'s Setup,
    socket: &'s OwnedFd,
    source: Source,
    buffer: Vec<u8>,
    meter: Meter,
}

impl Door<'_> {
    /// Waits for a datagram, a call (true) or the time of the next tick.
    fn wait(&mut self, tick_at: Option<Duration>) -> io::Result<bool> {
        let control = &self.setup.control;
        let now = self.setup.clock.monotonic();
        self.meter.until(now, State::Busy);
        control.beat.waiting();
        let timeout = tick_at.map(|at| timespec(at.saturating_sub(now)));
        let wake = control.fd();
        let mut polled = [
            PollFd::new(self.socket, PollFlags::IN),
            PollFd::from_borrowed_fd(wake, PollFlags::IN),
        ];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let called = !polled[1].revents().is_empty();
        if called {
            control.hush();
        }
        self.meter.until(self.setup.clock.monotonic(), State::Wait);
        Ok(called)
    }

    /// Takes what is there, up to a bound.
    fn sweep(&mut self, process: &mut Process<'_>) -> Sweep {
        let (mut taken, mut empty) = (0, 0);
        let more = loop {
            match rustix::net::recv(self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((0, _)) => {
                    empty += 1;
                    if empty == EMPTY_AT_END {
                        break false;
                    }
                }
                Ok((kept, bytes)) => {
                    self.meter.read(kept);
                    taken += 1;
                    let (source, prefix) = (&mut self.source, &self.buffer[..kept]);
                    let delivery = if bytes > kept {
                        Delivery::Oversized { source, prefix, bytes: bytes as u64 }
                    } else {
                        Delivery::Datagram { source, bytes: prefix }
                    };
                    if self.meter.frame() {
                        process(delivery);
                    }
                    if taken == DATAGRAMS_A_SWEEP {
                        break true;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break false,
            }
        };
        Sweep { fill: taken as f64 / DATAGRAMS_HELD, any: taken > 0, more }
    }
}
