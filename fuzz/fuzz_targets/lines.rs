//! Fuzzes frame and pipeline with any bytes, cut at any position. Nothing panics, the ledger
//! closes, and the metrics and spans equal those of reads of maximum size. The last byte of the
//! input is the number of read sizes; the bytes before it are the sizes; the rest is what the
//! application writes, so that a file of lines is a valid input. Unit: one connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight::app::compose;
use sidelight::clock::UnixNanos;
use sidelight::config::settings::Config;
use sidelight::frame::protocol::{Detection, detect};
use sidelight::health::HealthCounters;
use sidelight::metrics::expose::{self, Encoding, Options};
use sidelight::metrics::{FamilySpec, Registry};
use sidelight::outbox::{BatchSize, Capacity, Chunk, Outbox};
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::pipeline::{Pipeline, PipelineSetup};
use sidelight::receive::intake::Intake;
use sidelight::receive::intake::piece::{Bounds, Buffer, Piece};
use sidelight::rules::compile::compile;
use sidelight::rules::set::Published;
use sidelight::spans::SpanMaker;
use sidelight::telemetry::Telemetry;
use sidelight::telemetry::ledger::Ledger;
use std::sync::Arc;

/// 2026-01-02T03:04:05Z.
const ARRIVAL: UnixNanos = UnixNanos(1_767_323_045_000_000_000);

/// Small, so that lines of an input exceed it.
const LINE_BYTES_MAX: usize = 200;

/// Large, so that no tail is released early: lines that belong together stay together wherever they
/// are cut.
const TAIL_BYTES_MAX: usize = 1 << 16;

/// Maximum size of a read.
const READ_BYTES: usize = 1 << 13;

/// Shared by all inputs: the rules, compiled once, and the families that they declare.
struct House {
    config: Config,
    rules: Arc<Published>,
    families: Vec<FamilySpec>,
}

impl House {
    fn new() -> House {
        let config = Config { line_bytes_max: LINE_BYTES_MAX, ..Config::default() };
        let registry = Registry::new(config.limits);
        let mut families = Vec::new();
        let rules = compile(&config.rules, &mut |spec| {
            families.push(spec.clone());
            registry.declare(spec.clone())
        });
        let rules = Arc::new(Published::new(rules.expect("the standard rules compile")));
        House { config, rules, families }
    }

    /// Returns the state after one connection that sends `input` in reads of these sizes.
    fn connection(&self, input: &[u8], reads: &[u8]) -> Trace {
        let registry = Registry::new(self.config.limits);
        for family in &self.families {
            // in the order of the rules, because rules refer to families by number
            registry.declare(family.clone()).expect("a family that was declared before");
        }
        let telemetry = Arc::new(Telemetry::new());
        let outbox = Outbox::new(Capacity::SPANS);
        let (settings, resource) = (self.config.traces.spans, &self.config.resource);
        let mut pipeline = Pipeline::new(PipelineSetup {
            rules: Arc::clone(&self.rules),
            registry: Arc::clone(&registry),
            telemetry: Arc::clone(&telemetry),
            health_counters: Arc::new(HealthCounters::default()),
            spans: SpanMaker::new(settings, resource, Arc::clone(&outbox), &telemetry),
            passthrough: None,
            resource: Arc::new(resource.clone()),
            line_bytes_max: LINE_BYTES_MAX,
            zone: compose::zone(&self.config.time_zone),
        });
        send(&mut pipeline, input, reads);
        let ledger = Ledger::read(&telemetry, outbox.held());
        let mut metrics = Vec::new();
        expose::encode(&registry, &[], Encoding::Classic, Options::default(), &mut metrics);
        let mut spans = Chunk::default();
        let all = BatchSize { items_max: usize::MAX, bytes_max: usize::MAX };
        outbox.take_now(&mut spans, all);
        Trace {
            ledger,
            metrics: String::from_utf8(metrics).expect("the metrics are text"),
            spans: spans.items().map(<[u8]>::to_vec).collect(),
        }
    }
}

/// Everything about a connection that is visible from outside.
#[derive(PartialEq, Debug)]
struct Trace {
    ledger: Ledger,
    metrics: String,
    spans: Vec<Vec<u8>>,
}

fn send(pipeline: &mut Pipeline, input: &[u8], reads: &[u8]) {
    let bounds = Bounds { line_bytes_max: LINE_BYTES_MAX, tail_bytes_max: TAIL_BYTES_MAX };
    let mut buffer = Buffer::new(TAIL_BYTES_MAX + 16, READ_BYTES);
    let mut tail = Intake::default();
    let mut source = Source::with_id(1, Input::Stream);
    let mut emit = |piece: Piece<'_>| match piece {
        Piece::Lines(block) => pipeline.lines(&mut source, block, ARRIVAL),
        Piece::Oversized { prefix, bytes } => {
            pipeline.oversized(&mut source, prefix, bytes, ARRIVAL);
        }
        Piece::Record(frame) => pipeline.frame(&mut source, frame, ARRIVAL),
        Piece::Torn | Piece::Reply(_) => {}
    };
    let mut reads = reads.iter().cycle();
    let mut rest = input;
    while !rest.is_empty() {
        let size = reads.next().map_or(READ_BYTES, |read| 1 + usize::from(*read));
        let (now, later) = rest.split_at(size.min(rest.len()));
        buffer.space()[..now.len()].copy_from_slice(now);
        tail.take(&mut buffer, now.len(), bounds, &mut emit);
        rest = later;
    }
    tail.finish(&mut emit);
    pipeline.flush(ARRIVAL);
}

/// Counts the frames between newlines naively; a carriage return alone is an empty line.
fn frames(input: &[u8]) -> u64 {
    let is_frame = |line: &&[u8]| line.len() > LINE_BYTES_MAX || line.iter().any(|&b| b != b'\r');
    input.split(|&byte| byte == b'\n').filter(is_frame).count() as u64
}

fuzz_target!(|data: &[u8]| {
    thread_local!(static HOUSE: House = House::new());
    let Some((&count, rest)) = data.split_last() else { return };
    let (input, reads) = rest.split_at(rest.len().saturating_sub(usize::from(count % 8)));
    HOUSE.with(|house| {
        let whole = house.connection(input, &[]);
        let Ledger { received, decoded, refused, offered, held, lost, .. } = whole.ledger;
        let begin = &input[..input.len().min(LINE_BYTES_MAX)];
        if matches!(detect(begin), Detection::Lines | Detection::Undecided) {
            assert_eq!(received, frames(input));
        }
        assert_eq!(received, decoded + refused);
        assert_eq!((offered, lost), (held, 0));
        if !reads.is_empty() {
            assert_eq!(house.connection(input, reads), whole);
        }
    });
});
