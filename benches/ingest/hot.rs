//! Processes lines without the socket, for profilers: one corpus in memory, through the
//! hand-written baseline or the pipeline only. `cargo bench --bench hot -- CORPUS floor|pipeline
//! [ROUNDS]`; 0 rounds means five rounds without time measurement. Unit: one round of 20,000 lines.
#![allow(clippy::inline_always)] // the baseline is hand-written for one shape

#[path = "../../tests/support/corpus.rs"]
#[allow(dead_code)] // `ingest` checks the ground truth
mod corpus;
#[allow(dead_code)] // `ingest` checks the counts
mod floor;
#[path = "../../tests/support/pipeline.rs"]
#[allow(dead_code)] // this program renders no metrics
mod process_status;

use rustix::time::{ClockId, clock_gettime};
use sidelight::clock::UnixNanos;
use sidelight::pipeline::Pipeline;
use sidelight::pipeline::input::{FrameSink, Input, Source};

const LINES: usize = 20_000;
const BLOCK_BYTES: usize = 64 * 1024;
/// Bytes after a block that the baseline may read.
const SLACK: [u8; 64] = [b'\n'; 64];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let name = words.first().map_or("json", String::as_str);
    let shape = corpus::Shape::ALL.into_iter().find(|shape| shape.name() == name);
    let shape = shape.expect("a corpus of `ingest`");
    let rounds = words.get(2).and_then(|text| text.parse().ok()).unwrap_or(50);
    let blocks = blocks(&corpus::corpus(shape, LINES, 1).bytes);
    if words.get(1).is_some_and(|who| who == "floor") {
        let mut floor = floor::Floor::new();
        report("floor", rounds, || {
            for (block, end) in &blocks {
                run_floor(&mut floor, shape, block, *end);
            }
        });
    } else {
        let (mut pipeline, _registry) = process_status::standard_pipeline();
        let mut source = Source::with_id(1, Input::Stream);
        report("pipeline", rounds, || {
            for (block, end) in &blocks {
                run_pipeline(&mut pipeline, &mut source, &block[..*end]);
            }
        });
    }
}

#[inline(never)]
fn run_floor(floor: &mut floor::Floor, shape: corpus::Shape, block: &[u8], end: usize) {
    floor.block(shape, block, end);
}

#[inline(never)]
fn run_pipeline(pipeline: &mut Pipeline, source: &mut Source, block: &[u8]) {
    let observed = UnixNanos(1_795_219_200_000_000_000);
    pipeline.lines(source, block, observed);
    pipeline.flush(observed);
}

fn report(name: &str, rounds: usize, mut round: impl FnMut()) {
    if rounds == 0 {
        // without time measurement, for valgrind, which hides the vdso
        for _ in 0..5 {
            round();
        }
        return;
    }
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let before = cpu_ns();
        round();
        best = best.min((cpu_ns() - before) as f64 / LINES as f64);
    }
    println!("{name}: {best:.1} ns a line, the best of {rounds} rounds");
}

fn blocks(bytes: &[u8]) -> Vec<(Vec<u8>, usize)> {
    let mut rest = bytes;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let near = rest.len().min(BLOCK_BYTES);
        let end = memchr::memrchr(b'\n', &rest[..near]).map_or(rest.len(), |at| at + 1);
        blocks.push(([&rest[..end], &SLACK].concat(), end));
        rest = &rest[end..];
    }
    blocks
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
