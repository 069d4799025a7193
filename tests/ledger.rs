//! Checks that the ledger closes for any input and any answers of a collector: received = decoded +
//! refused, and offered = sent + dropped + held.

use crate::collector::{FakeCollector, Reply, refusing_port};
use crate::protocols::{forwarded, pickled};
use crate::stand::Stand;
use proptest::prelude::*;
use sidelight::app::App;
use sidelight::app::compose::compose;
use sidelight::app::drain::{self, Closing};
use sidelight::app::listeners::SocketLocation;
use sidelight::app::setup;
use sidelight::app::signals::Signals;
use sidelight::clock::{Clock, UnixNanos};
use sidelight::config::settings::{Config, ExportSettings};
use sidelight::export::endpoint::Protocol;
use sidelight::export::retry::Waits;
use sidelight::export::{self, ExporterSetup, Settings};
use sidelight::frame::encoding::{Encoding, Frame};
use sidelight::outbox::{BatchSize, Capacity};
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::receive::intake::Intake;
use sidelight::receive::intake::piece::{Bounds, Buffer, Piece};
use sidelight::receive::meter::Meter;
use sidelight::telemetry::Telemetry;
use sidelight::telemetry::faults::Faults;
use sidelight::telemetry::ledger::Ledger;
use sidelight::telemetry::log::Threshold;
use sidelight::telemetry::outputs::OutputStatus;
use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::time::Duration;

const ARRIVAL: UnixNanos = UnixNanos(1_767_323_045_000_000_000);

/// Small, so that a test's lines can exceed it.
const LINE_BYTES_MAX: usize = 200;

/// Lines of every format, complete and damaged, with and without the fields of a span.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        &b"{\"level\":\"info\",\"method\":\"GET\",\"path\":\"/a/17\",\"status\":200,\"duration_ms\":5,\"request_id\":\"r1\"}"[..],
        b"{\"level\":\"error\",\"message\":\"cut",
        b"level=info msg=\"x\" duration=5ms request_id=r2",
        b"192.0.2.7 - - [02/Jan/2026:03:04:04 +0000] \"GET /users/17 HTTP/1.1\" 200 512",
        b"2026-01-02 03:04:04,123 - [r3] - INFO - f completed in 0.1s",
        b"Traceback (most recent call last):",
        b"  File \"a.py\", line 1, in f",
        b"ValueError: no",
        b"1767323044.1 | INFO | f completed in 0.1s | shop | r4",
        b"",
        b"\r",
    ]);
    prop_oneof![
        6 => known.prop_map(<[u8]>::to_vec),
        2 => prop::collection::vec(any::<u8>().prop_filter("a line", |b| *b != b'\n'), 0..40),
        1 => (0..400usize).prop_map(|length| vec![b'x'; length]),
    ]
}

/// Counts frames naively: the non-empty parts between newlines.
fn frames(input: &[u8]) -> u64 {
    let lines = input.split(|&byte| byte == b'\n');
    // a line that contains only a carriage return is empty
    lines.filter(|line| !line.iter().all(|&byte| byte == b'\r')).count() as u64
}

/// Passes the bytes through buffer, tail and pipeline as a connection does, in reads of these
/// sizes.
fn receive(stand: &mut Stand, input: &[u8], cuts: &[usize]) {
    let tail_bytes_max = LINE_BYTES_MAX * 2;
    let bounds = Bounds { line_bytes_max: LINE_BYTES_MAX, tail_bytes_max };
    let mut buffer = Buffer::new(tail_bytes_max + 16, 4096);
    let mut intake = Intake::default();
    let mut source = Source::with_id(1, Input::Stream);
    let mut meter = Meter::new(&stand.telemetry, Input::Stream, Duration::ZERO);
    let mut rest = input;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let size = cuts.next().map_or(rest.len(), |cut| *cut).clamp(1, rest.len());
        let space = buffer.space();
        let size = size.min(space.len());
        space[..size].copy_from_slice(&rest[..size]);
        rest = &rest[size..];
        intake.take(&mut buffer, size, bounds, &mut |piece| {
            process(stand, &mut meter, &mut source, piece);
        });
    }
    intake.finish(&mut |piece| process(stand, &mut meter, &mut source, piece));
    stand.pipeline.flush(ARRIVAL);
}

fn process(stand: &mut Stand, meter: &mut Meter, source: &mut Source, piece: Piece<'_>) {
    match piece {
        Piece::Lines(block) => stand.pipeline.lines(source, meter.lines(block), ARRIVAL),
        Piece::Record(frame) => {
            if meter.frame() {
                stand.pipeline.frame(source, frame, ARRIVAL);
            }
        }
        Piece::Torn => meter.torn(),
        Piece::Reply(_) => {}
        Piece::Oversized { prefix, bytes } => {
            if meter.frame() {
                stand.pipeline.oversized(source, prefix, bytes, ARRIVAL);
            }
        }
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        4 => Just(Reply::Ok),
        1 => Just(Reply::Partial(1)),
        1 => Just(Reply::Status(400, None)),
        1 => Just(Reply::Status(503, None)),
        1 => Just(Reply::Status(429, Some("0"))),
        1 => Just(Reply::Hang),
        1 => Just(Reply::Reset),
    ]
}

fn settings(endpoint: &str, protocol: Protocol) -> Settings {
    Settings {
        endpoint: endpoint.to_owned(),
        protocol,
        timeout: Duration::from_millis(20),
        batch: BatchSize { items_max: 4, bytes_max: 1 << 20 },
        schedule_delay: Duration::from_millis(1),
        waits: Waits { min: Duration::from_millis(1), ..Waits::default() },
        ..Settings::default()
    }
}

/// Parts of streams of every protocol, whole and damaged.
fn protocol_part() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        pickled("plain"),
        pickled("exception"),
        pickled("plain")[..60].to_vec(),
        b"\0\0\0\x18}q\0X\x04\0\0\0nameq\x01K\x01ss..".to_vec(),
        forwarded(),
        forwarded()[..30].to_vec(),
        b"\x92\xa1t\x91\x92\x01\x02".to_vec(),
        b"<14>a\nb\0".to_vec(),
        b"7 <14>one".to_vec(),
        b"text\n".to_vec(),
        b"\0".to_vec(),
    ]);
    prop_oneof![4 => known, 1 => line()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every frame that the naive count finds is received and decoded, every span is sent or
    /// dropped, and nothing is unexplained. The spans counted as sent are those that the collector
    /// accepted.
    #[test]
    fn property_the_ledger_closes(
        lines in prop::collection::vec(line(), 0..60),
        cuts in prop::collection::vec(1..300usize, 1..20),
        open_end: bool,
        replies in prop::collection::vec(reply(), 0..6),
        grpc: bool,
        items_max in 1..40usize,
        within_ms in 0..60u64,
    ) {
        let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
        let collector = FakeCollector::start(protocol, &replies);
        let config = Config { line_bytes_max: LINE_BYTES_MAX, ..Config::default() };
        let mut stand = Stand::holding(&config, Capacity { items_max, bytes_max: 1 << 16 });
        let exporter = export::spawn(
            settings(&collector.endpoint, protocol),
            ExporterSetup {
                resource: stand.resource.clone(),
                outbox: Arc::clone(&stand.outbox),
                telemetry: &stand.telemetry,
                status: OutputStatus::new("spans", &stand.telemetry.output_healthy, Box::new(|| 0.0)),
                clock: Clock::wound(ARRIVAL).0,
                seed: 7,
            },
        )
        .expect("an exporter");
        // the first line decides that the connection speaks lines
        let mut input = [&b"first\n"[..], &lines.join(&b'\n')].concat();
        if !open_end && !lines.is_empty() {
            input.push(b'\n');
        }
        receive(&mut stand, &input, &cuts);
        let running = Ledger::read(&stand.telemetry, stand.outbox.held());
        prop_assert_eq!(running.received, frames(&input));
        prop_assert_eq!(running.received, running.decoded + running.refused);
        exporter.finish(Duration::from_millis(within_ms));
        let closed = Ledger::read(&stand.telemetry, stand.outbox.held());
        prop_assert_eq!(closed.held, 0);
        prop_assert_eq!(closed.offered, closed.sent + closed.dropped);
        prop_assert_eq!((closed.offered, closed.lost), (running.offered, 0));
        prop_assert!(closed.sent <= collector.spans().len() as u64, "sent is what was taken");
    }

    /// Whatever a connection sends, in whichever protocol, whole and damaged: every frame that is
    /// found is decoded or refused.
    #[test]
    fn property_the_ledger_closes_for_every_protocol(
        parts in prop::collection::vec(protocol_part(), 0..12),
        cuts in prop::collection::vec(1..300usize, 1..20),
    ) {
        let config = Config { line_bytes_max: LINE_BYTES_MAX, ..Config::default() };
        let mut stand = Stand::new(&config);
        receive(&mut stand, &parts.concat(), &cuts);
        let ledger = Ledger::read(&stand.telemetry, stand.outbox.held());
        prop_assert_eq!(ledger.received, ledger.decoded + ledger.refused);
        prop_assert_eq!(ledger.lost, 0);
    }

    /// Each datagram is one frame, whatever it contains; an empty one is not a frame.
    #[test]
    fn property_a_datagram_is_a_frame(
        datagrams in prop::collection::vec(prop::collection::vec(line(), 0..4), 0..20),
    ) {
        let mut stand = Stand::new(&Config::default());
        let mut source = Source::with_id(1, Input::Datagram);
        let datagrams: Vec<Vec<u8>> =
            datagrams.iter().map(|lines| lines.join(&b'\n')).collect();
        let mut meter = Meter::new(&stand.telemetry, Input::Datagram, Duration::ZERO);
        // the kernel delivers an empty datagram like the end of the input, so it does not get this
        // far
        for bytes in datagrams.iter().filter(|bytes| !bytes.is_empty()) {
            assert!(meter.frame());
            stand.pipeline.frame(&mut source, Frame::whole(Encoding::Text, bytes), ARRIVAL);
        }
        drop(meter);
        stand.pipeline.flush(ARRIVAL);
        let ledger = Ledger::read(&stand.telemetry, stand.outbox.held());
        let frames = datagrams.iter().filter(|bytes| !bytes.is_empty()).count() as u64;
        prop_assert_eq!((ledger.received, ledger.decoded), (frames, frames));
        prop_assert_eq!(ledger.offered, ledger.held);
    }
}

/// Long enough for a loaded machine; a test that waits this long fails.
const AMPLE: Duration = Duration::from_mins(1);

/// Sends ten requests through the socket of a whole process that may lose something on purpose,
/// waits until `sent` spans have been sent, and returns how the process closes.
fn closing(input: Input, faults: Faults, export: ExportSettings, sent: u64) -> Closing {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = Config { export, ..Config::default() };
    let mut telemetry = Telemetry::new();
    telemetry.faults = faults;
    let telemetry = Arc::new(telemetry);
    let (clock, log_level) = (Clock::system(), Threshold::new(tracing::Level::ERROR));
    let mut parts = compose(&config, &clock, &telemetry, &log_level).parts;
    let path = directory.path().join("log.sock");
    let place = Some(SocketLocation { path: Some(path.clone()), ..SocketLocation::default() });
    let (stream, datagram) = if input == Input::Stream { (place, None) } else { (None, place) };
    let sockets = setup::Sockets { stream, datagram, ..setup::Sockets::default() };
    // on a busy machine, threads may need longer than the time that a pod has
    let drain = drain::Settings { deadline: AMPLE, ..parts.settings.drain };
    parts.settings = setup::Settings { sockets, listen: None, drain, ..parts.settings };
    let signals = Signals::deaf().expect("descriptors");
    let running = App::new(parts).spawn(&signals).expect("it starts");
    let line = |number: u64| {
        format!(
            "{{\"method\":\"GET\",\"path\":\"/a\",\"status\":200,\"duration_ms\":5,\"request_id\":\"request-{number}\"}}\n"
        )
    };
    if input == Input::Stream {
        let mut socket = UnixStream::connect(&path).expect("it listens");
        let lines: String = (0..10).map(line).collect();
        socket.write_all(lines.as_bytes()).expect("it reads");
    } else {
        let socket = UnixDatagram::unbound().expect("a socket");
        for number in 0..10 {
            socket.send_to(line(number).as_bytes(), &path).expect("it reads");
        }
    }
    let until = clock.monotonic() + AMPLE;
    while telemetry.sent.with_label_values(&["spans"]).get() < sent {
        assert!(clock.monotonic() < until, "the spans are never sent");
        std::thread::yield_now();
    }
    running.drain(|_| ())
}

/// Returns the settings of an exporter to this endpoint that does not wait for more spans.
fn export_to(endpoint: String, protocol: Protocol) -> ExportSettings {
    let delay = Duration::from_millis(1);
    ExportSettings { endpoint: Some(endpoint), protocol, delay, ..ExportSettings::default() }
}

/// Scenario: nothing listens at the address that spans are exported to.
/// Guarantees: the process closes nevertheless; every span is dropped and counted.
#[test]
fn a_dead_collector_holds_nobody_up() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let (_dead, address) = refusing_port();
        let export = export_to(format!("http://{address}/v1/traces"), protocol);
        let closing = closing(Input::Stream, Faults::default(), export, 0);
        let Ledger { offered, sent, dropped, held, lost, .. } = closing.ledger;
        assert_eq!([offered, sent, dropped, held, lost], [10, 0, 10, 0, 0], "{protocol:?}");
        assert_eq!(closing.exit_code(), 0, "{protocol:?}");
    }
}

/// Guarantees: a frame, record or item that is lost without a counter appears as `lost`, and the
/// exit code reports it, because no term of the ledger is derived from another. If nothing is lost,
/// the ledger closes.
#[test]
fn what_is_lost_unseen_shows_in_the_ledger() {
    let none = Faults::default();
    for input in [Input::Stream, Input::Datagram] {
        for (faults, terms) in [
            (none, [10, 10, 10, 10, 0]),
            (Faults { lose_frame: true, ..none }, [10, 9, 9, 9, 1]),
            (Faults { lose_record: true, ..none }, [10, 9, 9, 9, 1]),
            (Faults { lose_item: true, ..none }, [10, 10, 10, 9, 1]),
        ] {
            let collector = FakeCollector::start(Protocol::Http, &[]);
            let export = export_to(collector.endpoint.clone(), Protocol::Http);
            let closing = closing(input, faults, export, terms[3]);
            let Ledger { received, decoded, offered, sent, lost, .. } = closing.ledger;
            assert_eq!([received, decoded, offered, sent, lost], terms, "{input:?} {faults:?}");
            assert_eq!(closing.exit_code(), u8::from(lost > 0), "{input:?} {faults:?}");
        }
    }
}
