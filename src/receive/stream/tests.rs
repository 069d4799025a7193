//! Tests of one sweep over real sockets, with a manual clock.

use super::*;
use crate::clock::{Clock, Hand, UnixNanos};
use crate::receive::meter::Meter;
use crate::telemetry::Telemetry;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

/// Records which source was read, and advances the clock by a millisecond for each.
struct Reads {
    sources: Vec<u64>,
    hand: Hand,
}

impl FrameSink for Reads {
    fn lines(&mut self, source: &mut Source, _: &[u8], _: UnixNanos) {
        self.sources.push(source.id);
        self.hand.wind(Duration::from_millis(1));
    }

    fn oversized(&mut self, _: &mut Source, _: &[u8], _: u64, _: UnixNanos) {}

    fn datagram(&mut self, _: &mut Source, _: &[u8], _: UnixNanos) {}

    fn flush(&mut self, _: UnixNanos) {}

    fn tick(&mut self, _: UnixNanos) -> bool {
        false
    }
}

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

/// Scenario: forty writers keep their sockets full, and one writes a line now and then. Guarantees:
/// that one is read first in every sweep, however many are behind; those that are behind are read
/// in turn, for a bounded time per sweep, and every one of them is read.
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
    polite.write_all(b"{}\n").expect("there is room");
    let met = sweep(&mut reader, &setup, &hand);
    let polite_source = *met.last().expect("it connected last");
    let mut read = std::collections::BTreeSet::new();
    for _ in 0..3 {
        crowd.iter_mut().for_each(flood);
        polite.write_all(b"{}\n").expect("there is room");
        let sources = sweep(&mut reader, &setup, &hand);
        assert_eq!(sources.first(), Some(&polite_source), "{sources:?}");
        assert!(sources.len() <= READS_A_LOOK + 1, "{sources:?}");
        read.extend(sources);
    }
    assert_eq!(read.len(), 41, "everybody had a turn");
}
