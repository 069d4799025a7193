//! Measures records that are no lines: CPU time of a pickled record of Python's `logging` from the
//! bytes of a read to its cells, of its framing alone, and of the same record as a line of JSON, in
//! turn in one process. `cargo bench --bench records -- [ROUNDS]`. Unit: one round of 20,000 records.

#[path = "../tests/support/pipeline.rs"]
#[allow(dead_code)] // this program renders no metrics
mod process_status;

use rustix::time::{ClockId, clock_gettime};
use sidelight::clock::UnixNanos;
use sidelight::frame::records::HEADER_BYTES_MAX;
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::receive::intake::Intake;
use sidelight::receive::intake::piece::{Bounds, Buffer, Piece};

/// Records that CPython pickled; the columns are described in `tests/oracles/pickles.py`.
const RECORDS: &str = include_str!("../src/transcode/python/records.txt");

const COUNT: usize = 20_000;
const READ_BYTES: usize = 128 * 1024;
const LINE_BYTES_MAX: usize = 64 * 1024;
const OBSERVED: UnixNanos = UnixNanos(1_767_323_045_000_000_000);

/// Returns the pickle of a record, in the protocol that `SocketHandler` uses, and its line.
fn record(name: &str) -> (Vec<u8>, String) {
    let case = RECORDS.lines().find(|line| line.starts_with(&format!("{name}\t1\t")));
    let columns: Vec<&str> = case.expect("there is such a record").split('\t').collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    let pairs = columns[2].as_bytes().chunks_exact(2);
    (pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect(), columns[3].to_owned())
}

/// Passes a stream through an intake, as reads of a connection; returns the number of frames.
fn feed(stream: &[u8], intake: &mut Intake, mut emit: impl FnMut(Piece<'_>)) {
    let mut buffer = Buffer::new(LINE_BYTES_MAX + HEADER_BYTES_MAX, READ_BYTES);
    let bounds = Bounds { line_bytes_max: LINE_BYTES_MAX, tail_bytes_max: LINE_BYTES_MAX };
    for read in stream.chunks(READ_BYTES) {
        buffer.space()[..read.len()].copy_from_slice(read);
        intake.take(&mut buffer, read.len(), bounds, &mut emit);
    }
}

fn process(stream: &[u8]) -> u64 {
    let (mut pipeline, _registry) = process_status::standard_pipeline();
    let mut source = Source::with_id(1, Input::Stream);
    let start = cpu_ns();
    let mut intake = Intake::default();
    feed(stream, &mut intake, |piece| match piece {
        Piece::Lines(block) => pipeline.lines(&mut source, block, OBSERVED),
        Piece::Record(frame) => pipeline.frame(&mut source, frame, OBSERVED),
        Piece::Oversized { .. } | Piece::Torn | Piece::Reply(_) => {
            panic!("all records are whole and short")
        }
    });
    pipeline.flush(OBSERVED);
    cpu_ns() - start
}

fn frame(stream: &[u8]) -> u64 {
    let start = cpu_ns();
    let mut records = 0;
    feed(stream, &mut Intake::default(), |_| records += 1);
    let spent = cpu_ns() - start;
    assert_eq!(records, COUNT, "every record is found");
    spent
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let rounds = words.next_back().and_then(|word| word.parse().ok()).unwrap_or(30_usize).max(1);
    println!("{:<14} {:>8} {:>8} {:>8} {:>8}", "record", "bytes", "framing", "pickle", "json");
    for name in ["plain", "arguments", "numbers", "exception", "trace_context"] {
        let (pickle, line) = record(name);
        let framed = [&(pickle.len() as u32).to_be_bytes()[..], &pickle].concat();
        let (pickles, lines) = (framed.repeat(COUNT), format!("{line}\n").repeat(COUNT));
        let mut best = [u64::MAX; 3];
        for _ in 0..rounds {
            let spent = [frame(&pickles), process(&pickles), process(lines.as_bytes())];
            best = std::array::from_fn(|at| best[at].min(spent[at]));
        }
        let [framing, pickled, json] = best.map(|spent| spent as f64 / COUNT as f64);
        println!("{name:<14} {:>8} {framing:>8.0} {pickled:>8.0} {json:>8.0}", pickle.len());
    }
    println!("nanoseconds of CPU time a record, the best of {rounds} rounds");
}
