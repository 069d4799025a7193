//! Tests of one sweep over real sockets, with a manual clock.

use super::*;
use crate::clock::{Clock, Hand, UnixNanos};
use crate::frame::encoding::Frame;
use crate::receive::meter::Meter;
use crate::telemetry::Telemetry;
use std::collections::BTreeSet;
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

    fn frame(&mut self, _: &mut Source, _: Frame<'_>, _: UnixNanos) {}

    fn flush(&mut self, _: UnixNanos) {}

    fn tick(&mut self, _: UnixNanos) -> bool {
        false
    }
}

/// How long a read takes on the manual clock.
const READ: Duration = Duration::from_micros(25);

/// The number of connections that a sweep reads for each kind of turn, or accepts.
const READS_A_TURN: usize = TURN_MAX.as_micros().div_ceil(READ.as_micros()) as usize;

/// Waits for ready connections and reads them; returns the sources in the order in which they were
/// read.
fn sweep(reader: &mut StreamReader, setup: &Setup, hand: &Hand) -> Vec<u64> {
    let mut sink = Reads { sources: Vec::new(), hand: hand.clone() };
    let now = setup.clock.monotonic();
    let meter = Meter::new(&setup.telemetry, Input::Stream, now);
    let mut round = Round { setup, meter, now, sink: &mut sink, replies: Vec::new() };
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

/// Forty writers and one more, which connects last, on a reader with a manual clock.
struct Crowd {
    reader: StreamReader,
    setup: Setup,
    hand: Hand,
    others: Vec<UnixStream>,
    last: UnixStream,
    _directory: tempfile::TempDir,
}

const CROWD: usize = 40;

impl Crowd {
    fn connect() -> Crowd {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log.sock");
        let listener = UnixListener::bind(&path).expect("the path is free");
        listener.set_nonblocking(true).expect("a socket");
        let (clock, hand) = Clock::wound(UnixNanos(1_000_000_000));
        let setup = Setup {
            limits: Limits::default(),
            clock,
            control: Control::new("stream").expect("a descriptor"),
            telemetry: Arc::new(Telemetry::new()),
        };
        let reader = StreamReader::new(listener.into(), &setup).expect("descriptors");
        let connect = || UnixStream::connect(&path).expect("it listens");
        let others = (0..CROWD).map(|_| connect()).collect();
        let last = connect();
        Crowd { reader, setup, hand, others, last, _directory: directory }
    }

    fn sweep(&mut self) -> Vec<u64> {
        sweep(&mut self.reader, &self.setup, &self.hand)
    }

    /// Sweeps until every writer has been accepted and read; returns the source of the last one.
    fn accept_all(&mut self) -> u64 {
        // it may be full already
        let _ = self.last.write(b"{}\n");
        let mut sources = BTreeSet::new();
        let mut newest = None;
        for _ in 0..3 * CROWD.div_ceil(READS_A_TURN) {
            let read = self.sweep();
            assert!(read.len() <= 3 * READS_A_TURN, "new connections in one sweep: {read:?}");
            newest = newest.max(read.iter().max().copied());
            sources.extend(read);
        }
        assert_eq!(sources.len(), CROWD + 1, "each was read");
        newest.expect("it connected last")
    }
}

/// Scenario: forty writers connect and fill their sockets at once; another one connects after them.
/// Guarantees: a sweep accepts and reads new connections for a bounded time, and the last one has
/// its turn after as many sweeps as the others need at most. One sweep used to read all of them.
#[test]
fn connections_that_come_together_are_read_in_turn() {
    let mut all = Crowd::connect();
    all.others.iter_mut().for_each(flood);
    all.accept_all();
}

/// Scenario: forty writers keep their sockets full. Another writes a line now and then; later it was
/// blocked, and fills its socket again and again until it has caught up.
/// Guarantees: that one is read first in every sweep, whatever the others do, and it may catch up
/// for as long as it has kept its pace; those that flood are read in turn, for a bounded time per
/// sweep.
#[test]
fn a_writer_that_keeps_up_is_read_before_those_that_flood() {
    let mut all = Crowd::connect();
    all.others.iter_mut().for_each(flood);
    let last = all.accept_all();
    let mut read = BTreeSet::new();
    let mut check = |all: &mut Crowd, write: fn(&mut UnixStream)| {
        all.others.iter_mut().for_each(flood);
        write(&mut all.last);
        let sources = all.sweep();
        assert_eq!(sources.first(), Some(&last), "{sources:?}");
        let others = sources.iter().filter(|source| **source != last).count();
        assert!(others <= 2 * READS_A_TURN, "{sources:?}");
        read.extend(sources);
    };
    for _ in 0..40 {
        check(&mut all, |last| last.write_all(b"{}\n").expect("it reads"));
    }
    for _ in 0..20 {
        check(&mut all, flood);
    }
    assert_eq!(read.len(), CROWD + 1, "everybody had a turn");
}

/// Scenario: forty writers keep up for a while and then all fill their sockets, again and again.
/// Guarantees: a writer that still keeps up is read first, and after the first of these sweeps, the
/// others are read in turn, for a bounded time. They used to be read in every sweep until they had
/// used what they had saved.
#[test]
fn many_that_catch_up_do_not_delay_one_that_keeps_up() {
    let mut all = Crowd::connect();
    let line: fn(&mut UnixStream) = |writer| writer.write_all(b"{}\n").expect("it reads");
    all.others.iter_mut().for_each(line);
    let last = all.accept_all();
    // enough for each to have its turn 40 times, first in trials and then in every sweep
    for _ in 0..40 * CROWD.div_ceil(READS_A_TURN) {
        all.others.iter_mut().for_each(line);
        line(&mut all.last);
        all.sweep();
    }
    all.others.iter_mut().for_each(flood);
    assert!(all.sweep().len() >= CROWD, "they were read in every sweep so far");
    let mut read = BTreeSet::new();
    for _ in 0..2 * CROWD.div_ceil(READS_A_TURN) {
        all.others.iter_mut().for_each(flood);
        line(&mut all.last);
        let sources = all.sweep();
        assert_eq!(sources.first(), Some(&last), "{sources:?}");
        assert!(sources.len() <= 2 + READS_A_TURN, "{sources:?}");
        read.extend(sources);
    }
    assert_eq!(read.len(), CROWD + 1, "everybody had a turn");
}

/// Scenario: a writer that floods is read, and then writes a line now and then beside forty that
/// keep flooding.
/// Guarantees: it no longer waits for its turn with them, although it was read while it was full.
#[test]
fn a_writer_that_no_longer_floods_is_not_taken_for_one() {
    let mut all = Crowd::connect();
    all.others.iter_mut().for_each(flood);
    flood(&mut all.last);
    let last = all.accept_all();
    for _ in 0..3 {
        all.last.write_all(b"{}\n").expect("it reads");
        all.others.iter_mut().for_each(flood);
        assert_eq!(all.sweep().first(), Some(&last));
    }
}
