//! Tests of one sweep over real sockets, with a manual clock.

use super::*;
use crate::clock::{Clock, Hand, UnixNanos};
use crate::receive::meter::Meter;
use crate::telemetry::Telemetry;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

/// Records which source was read, and advances the clock by 25 us for each.
struct Reads {
    sources: Vec<u64>,
    hand: Hand,
}

impl FrameSink for Reads {
    fn lines(&mut self, source: &mut Source, _: &[u8], _: UnixNanos) {
        self.sources.push(source.id);
        self.hand.wind(READ);
    }

    fn oversized(&mut self, _: &mut Source, _: &[u8], _: u64, _: UnixNanos) {}

    fn datagram(&mut self, _: &mut Source, _: &[u8], _: UnixNanos) {}

    fn flush(&mut self, _: UnixNanos) {}

    fn tick(&mut self, _: UnixNanos) -> bool {
        false
    }
}

/// How long a read takes on the manual clock.
const READ: Duration = Duration::from_micros(25);

/// The number of flooding connections that a sweep reads.
const FLOODS_A_SWEEP: usize = (FLOODS_MAX.as_micros() / READ.as_micros()) as usize;

/// Waits for ready connections and reads them; returns the sources in the order in which they were
/// read.
fn sweep(reader: &mut StreamReader, setup: &Setup, hand: &Hand) -> Vec<u64> {
    let mut sink = Reads { sources: Vec::new(), hand: hand.clone() };
    let now = setup.clock.monotonic();
    let meter = Meter::new(&setup.telemetry, Input::Stream, now);
    let mut round = Round { setup, meter, now, sink: &mut sink };
    reader.wait(&setup.control, Some(Duration::ZERO)).expect("a wait");
    reader.sweep(&mut round).expect("a sweep");
    drop(round);
    sink.sources
}

/// Writes lines until the socket is full.
fn flood(writer: &mut UnixStream) {
    writer.set_nonblocking(true).expect("a socket");
    while writer.write(&[b'x'; 199].iter().chain(b"\n").copied().collect::<Vec<_>>()).is_ok() {}
}

/// Scenario: forty writers keep their sockets full. Another writes a line now and then; later it was
/// blocked, and fills its socket again and again until it has caught up.
/// Guarantees: that one is read first in every sweep, whatever the others do, and it may catch up
/// for as long as it has kept its pace; those that flood are read in turn, for a bounded time per
/// sweep, and every one of them is read.
#[test]
fn a_crowd_that_floods_does_not_hold_up_another_writer() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("log.sock");
    let listener = UnixListener::bind(&path).expect("the way is free");
    listener.set_nonblocking(true).expect("a socket");
    let (clock, hand) = Clock::wound(UnixNanos(1_000_000_000));
    let setup = Setup {
        limits: Limits::default(),
        clock,
        control: Control::new("stream").expect("a descriptor"),
        telemetry: Arc::new(Telemetry::new()),
    };
    let mut reader = StreamReader::new(listener.into(), &setup).expect("descriptors");
    let mut crowd: Vec<UnixStream> =
        (0..40).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
    let mut polite = UnixStream::connect(&path).expect("it listens");
    crowd.iter_mut().for_each(flood);
    polite.write_all(b"{}\n").expect("it reads");
    let first = sweep(&mut reader, &setup, &hand);
    let polite_source = *first.last().expect("it connected last");
    let mut read = std::collections::BTreeSet::new();
    let mut check = |polite: &mut UnixStream, write: fn(&mut UnixStream)| {
        crowd.iter_mut().for_each(flood);
        write(polite);
        let sources = sweep(&mut reader, &setup, &hand);
        assert_eq!(sources.first(), Some(&polite_source), "{sources:?}");
        let others = sources.iter().filter(|source| **source != polite_source).count();
        assert!(others <= FLOODS_A_SWEEP + 1, "{sources:?}");
        read.extend(sources);
    };
    for _ in 0..40 {
        check(&mut polite, |polite| polite.write_all(b"{}\n").expect("it reads"));
    }
    for _ in 0..20 {
        check(&mut polite, flood);
    }
    assert_eq!(read.len(), 41, "everybody had a turn");
}
