//! Serves the datagram socket. The kernel buffers eleven datagrams; after that, the application
//! blocks (or loses datagrams if its socket is non-blocking). So this thread does nothing else and
//! never sleeps longer than 0.5 ms. Unit: one datagram, whatever newlines it contains. A datagram
//! has no credentials.

use crate::frame::protocol;
use crate::pipeline::input::{FrameSink, Input, Source};
use crate::receive::coalesce::{DATAGRAMS_HELD, SLEEP_MAX_DATAGRAM, Sweep};
use crate::receive::control::Control;
use crate::receive::limits::{DATAGRAM_BYTES_MAX, Limits};
use crate::receive::worker::{self, Reader, Round, Setup, poll_timeout};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use std::io;
use std::time::Duration;

/// The number of datagrams read before the batch is flushed.
const DATAGRAMS_A_SWEEP: u64 = 256;

/// After the socket was shut down, an empty read is either the end or an empty datagram; the socket
/// holds fewer datagrams than this.
const EMPTY_AT_END: u32 = 1024;

/// Serves `socket`, a bound, non-blocking datagram socket, until `setup.control` requests a stop;
/// then reads what the kernel still holds, and returns.
///
/// # Errors
/// Returns an error if the kernel refuses to wait for bytes.
pub(crate) fn serve(socket: OwnedFd, setup: &Setup, sink: &mut dyn FrameSink) -> io::Result<()> {
    let source = Source::new(Input::Datagram);
    let reader = DatagramReader { socket, source, buffer: vec![0; DATAGRAM_BYTES_MAX] };
    worker::run(reader, setup, sink).map(|_| ())
}

struct DatagramReader {
    socket: OwnedFd,
    source: Source,
    buffer: Vec<u8>,
}

impl Reader for DatagramReader {
    fn input(&self) -> Input {
        Input::Datagram
    }

    fn sleep_max(&self, limits: &Limits) -> Duration {
        limits.sleep_max.min(SLEEP_MAX_DATAGRAM)
    }

    fn wait(&mut self, control: &Control, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.map(poll_timeout);
        let mut polled = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::from_borrowed_fd(control.fd(), PollFlags::IN),
        ];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let woken = !polled[1].revents().is_empty();
        if woken {
            control.clear_wake();
        }
        Ok(woken)
    }

    fn replace(&mut self, socket: OwnedFd, round: &mut Round<'_>) {
        // A process that still writes to the old socket gets an error at once; its earlier
        // datagrams are read.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Read);
        while self.sweep(round).is_ok_and(|sweep| sweep.more) {}
        self.socket = socket;
    }

    fn sweep(&mut self, round: &mut Round<'_>) -> io::Result<Sweep> {
        let observed = round.observed();
        let (mut taken, mut empty) = (0, 0);
        let more = loop {
            match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((0, _)) => {
                    empty += 1;
                    if empty == EMPTY_AT_END {
                        break false;
                    }
                }
                Ok((kept, bytes)) => {
                    round.meter.read(kept);
                    taken += 1;
                    let (source, prefix) = (&mut self.source, &self.buffer[..kept]);
                    if !round.meter.frame() {
                        // A test requested this loss.
                    } else if bytes > kept {
                        round.sink.oversized(source, prefix, bytes as u64, observed);
                    } else {
                        round.sink.frame(source, protocol::datagram(prefix), observed);
                    }
                    if taken == DATAGRAMS_A_SWEEP {
                        break true;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break false,
            }
        };
        let fill = taken as f64 / DATAGRAMS_HELD;
        Ok(Sweep { fill, any: taken > 0, more, ended: false })
    }

    fn due(&self) -> Option<Duration> {
        None
    }

    fn expire(&mut self, _: &mut Round<'_>) -> bool {
        false
    }

    fn drain(mut self, round: &mut Round<'_>) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Read);
        while self.sweep(round).is_ok_and(|sweep| sweep.more) {
            round.setup.control.beat.busy(round.setup.clock.monotonic());
        }
    }
}
