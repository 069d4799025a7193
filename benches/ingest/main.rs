//! Measures the work from the socket to the cells: CPU time per line of reading only, of the
//! hand-written baseline and of sidelight, in turn in one process, over a real Unix stream socket
//! with the writer on another thread.
//!
//! `cargo bench --bench ingest -- [CORPUS ...] [--rounds N] [--count LINES]`
//!
//! Unit: one round, all lines of a corpus once.
#![allow(clippy::inline_always)] // the baseline is hand-written for one shape

#[path = "../../tests/support/corpus.rs"]
mod corpus;
// the baseline relies on the compiler inlining each format into one function, which these
// attributes request
#[allow(clippy::inline_always)]
mod floor;
#[path = "../../tests/support/pipeline.rs"]
#[allow(dead_code)] // the tests use other rules
mod process_status;

use corpus::{Corpus, Difference, Shape};
use floor::Floor;
use floor::bytes::SLACK;
use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};
use sidelight::pipeline::input::FrameSink as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

/// Size of two writes of the writer and an unfinished line; the kernel rarely returns more.
const BUFFER_BYTES: usize = 128 * 1024;
/// Size of one write of the writer.
const WRITE_BYTES: usize = 64 * 1024;
const ROUNDS_DEFAULT: usize = 15;
const ROUNDS_MAX: usize = 1_001;
/// With this count a round takes about 20 ms per contender, a thousand times the clock's
/// resolution.
const LINES_DEFAULT: usize = 60_000;
const LINES_MAX: usize = 2_000_000;
const SEED: u64 = 11;

/// A contender processes blocks of whole lines; `SLACK` bytes of any content follow them in the
/// buffer.
trait Contender {
    fn block(&mut self, buffer: &[u8], end: usize);
    /// Called once per read, after its block has been processed.
    fn flush(&mut self) {}
    fn check(&self, corpus: &Corpus, rounds: usize) -> Difference;
}

struct Alone {
    lines: usize,
}

impl Contender for Alone {
    fn block(&mut self, buffer: &[u8], end: usize) {
        self.lines += memchr::memchr_iter(b'\n', &buffer[..end]).count();
    }

    fn check(&self, corpus: &Corpus, rounds: usize) -> Difference {
        lines_differ(self.lines, corpus, rounds)
    }
}

struct ByHand {
    floor: Floor,
    shape: Shape,
}

impl Contender for ByHand {
    fn block(&mut self, buffer: &[u8], end: usize) {
        self.floor.block(self.shape, buffer, end);
    }

    fn check(&self, corpus: &Corpus, rounds: usize) -> Difference {
        std::hint::black_box(self.floor.located);
        let mut difference = lines_differ(self.floor.lines as usize, corpus, rounds);
        let samples = corpus.truth.compare(&self.floor.cells.render(), rounds as f64);
        difference.samples.extend(samples.samples);
        difference.families_missing.extend(samples.families_missing);
        difference
    }
}

fn lines_differ(lines: usize, corpus: &Corpus, rounds: usize) -> Difference {
    let expected = corpus.lines * rounds;
    let samples = if lines == expected {
        Vec::new()
    } else {
        vec![format!("lines: expected {expected}, found {lines}")]
    };
    Difference { samples, ..Difference::default() }
}

/// Builds a pipeline with the standard rules, no exporter, and limits that admit every series of
/// the corpora; also returns the function that renders its metrics as text.
fn sidelight_pipeline() -> (sidelight::pipeline::Pipeline, Box<dyn Fn() -> String>) {
    let (pipeline, registry) = process_status::standard_pipeline();
    (pipeline, Box::new(move || process_status::render(&registry)))
}

struct Sidelight {
    pipeline: sidelight::pipeline::Pipeline,
    source: sidelight::pipeline::input::Source,
    render: Box<dyn Fn() -> String>,
    observed: sidelight::clock::UnixNanos,
}

impl Sidelight {
    fn new() -> Sidelight {
        let (pipeline, render) = sidelight_pipeline();
        let input = sidelight::pipeline::input::Input::Stream;
        let source = sidelight::pipeline::input::Source::with_id(1, input);
        // the first time in the corpora
        let observed = sidelight::clock::UnixNanos(1_795_219_200_000_000_000);
        Sidelight { pipeline, source, render, observed }
    }
}

impl Contender for Sidelight {
    fn block(&mut self, buffer: &[u8], end: usize) {
        self.pipeline.lines(&mut self.source, &buffer[..end], self.observed);
    }

    fn flush(&mut self) {
        self.pipeline.flush(self.observed);
    }

    fn check(&self, corpus: &Corpus, rounds: usize) -> Difference {
        corpus.truth.compare(&(self.render)(), rounds as f64)
    }
}

// ---------------------------------------------------------------------------------------------------------

/// Returns the CPU time of this thread in nanoseconds, user and system.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The role of a thread that is pinned to a core.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CoreOf {
    Reader,
    Writer,
}

/// Pins this thread to one core: the reader to the first one that the process may use, the writer
/// to the last. The scheduler sometimes puts both on one core; reading then costs less than half,
/// because the bytes are still in that core's cache. Returns whether there are two cores.
fn stay_on(place: CoreOf) -> bool {
    let Ok(allowed) = ALLOWED.get_or_init(|| rustix::thread::sched_getaffinity(None)) else {
        return false;
    };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let core = match place {
        CoreOf::Reader => cores.next(),
        CoreOf::Writer => cores.next_back(),
    };
    let Some(core) = core else { return false };
    let mut one = CpuSet::new();
    one.set(core);
    allowed.count() > 1 && rustix::thread::sched_setaffinity(None, &one).is_ok()
}

/// The cores that the process could use before a thread was pinned.
static ALLOWED: std::sync::OnceLock<rustix::io::Result<CpuSet>> = std::sync::OnceLock::new();

/// Sends the corpus once, lets a contender read it, and returns the CPU time per line in
/// nanoseconds. A contender that is faster than the writer, such as reading only, sleeps and wakes
/// for every block, which costs time. Waiting outside the measured time until the buffer fills was
/// tried and is worse: the caches are cold after every sleep.
fn round<C: Contender>(corpus: &Corpus, buffer: &mut [u8], contender: &mut C) -> f64 {
    let (reader, mut writer) = UnixStream::pair().expect("a pair of sockets");
    let start = std::thread::scope(|scope| {
        // created in this scope, so that a contender that panics does not leave the writer blocked
        let mut reader = reader;
        scope.spawn(move || {
            stay_on(CoreOf::Writer);
            for chunk in corpus.bytes.chunks(WRITE_BYTES) {
                writer.write_all(chunk).expect("the reader reads to the end");
            }
        });
        let start = cpu_ns();
        let mut filled = 0;
        loop {
            let room = BUFFER_BYTES - filled;
            let got = reader.read(&mut buffer[filled..filled + room]).expect("a read");
            if got == 0 {
                break;
            }
            filled += got;
            let end = memchr::memrchr(b'\n', &buffer[..filled]).map_or(0, |at| at + 1);
            if end > 0 {
                contender.block(buffer, end);
                contender.flush();
            }
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
        assert_eq!(filled, 0, "a corpus ends with a newline");
        cpu_ns() - start
    });
    start as f64 / corpus.lines as f64
}

/// Returns the median of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn ratios(of: &[f64], to: &[f64]) -> f64 {
    median(of.iter().zip(to).map(|(a, b)| a / b).collect())
}

struct Arguments {
    shapes: Vec<Shape>,
    rounds: usize,
    lines: usize,
}

fn arguments() -> Result<Arguments, String> {
    let mut chosen = Arguments { shapes: Vec::new(), rounds: ROUNDS_DEFAULT, lines: LINES_DEFAULT };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = |most: usize| {
            let value = words.next().and_then(|value| value.parse::<usize>().ok());
            value.filter(|n| (1..=most).contains(n)).ok_or(format!("{word} wants 1 to {most}"))
        };
        match word.as_str() {
            "--rounds" => chosen.rounds = number(ROUNDS_MAX)?,
            "--count" => chosen.lines = number(LINES_MAX)?,
            // an argument of cargo
            "--bench" | "--test" => {}
            name => {
                let known = Shape::ALL.iter().find(|shape| shape.name() == name);
                let names: Vec<&str> = Shape::ALL.iter().map(|shape| shape.name()).collect();
                let wrong = format!("no corpus {name:?}; there are {}", names.join(", "));
                chosen.shapes.push(*known.ok_or(wrong)?);
            }
        }
    }
    if chosen.shapes.is_empty() {
        chosen.shapes = Shape::ALL.to_vec();
    }
    Ok(chosen)
}

fn main() -> std::process::ExitCode {
    let chosen = match arguments() {
        Ok(chosen) => chosen,
        Err(wrong) => {
            eprintln!("{wrong}");
            return std::process::ExitCode::from(2);
        }
    };
    let places = if stay_on(CoreOf::Reader) { "a core each" } else { "wherever they are put" };
    println!(
        "CPU ns a line of the reading thread; medians of {} rounds of {} lines in turn; reader and writer on {places}\n",
        chosen.rounds, chosen.lines
    );
    println!(
        "| corpus | bytes | read | floor | sidelight | sidelight/floor | sidelight/read | floor/read |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut right = true;
    for shape in chosen.shapes {
        right &= report(shape, &corpus::corpus(shape, chosen.lines, SEED), chosen.rounds);
    }
    if right { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}

/// Measures one corpus; returns false if a contender's counts are wrong.
fn report(shape: Shape, corpus: &Corpus, rounds: usize) -> bool {
    let mut buffer = vec![0; BUFFER_BYTES + SLACK];
    let mut alone = Alone { lines: 0 };
    let mut by_hand = Floor::reads(shape).then(|| ByHand { floor: Floor::new(), shape });
    let mut sidelight = Sidelight::new();
    let (mut read, mut floor, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    // the first round creates the series and is not counted
    for number in 0..=rounds {
        let alone_ns = round(corpus, &mut buffer, &mut alone);
        let floor_ns = by_hand.as_mut().map(|floor| round(corpus, &mut buffer, floor));
        let ours_ns = round(corpus, &mut buffer, &mut sidelight);
        if number > 0 {
            read.push(alone_ns);
            floor.extend(floor_ns);
            ours.push(ours_ns);
        }
    }
    let of_floor = |figure: &dyn Fn() -> String| {
        if floor.is_empty() { "-".to_owned() } else { figure() }
    };
    println!(
        "| {} | {} | {:.1} | {} | {:.1} | {} | {:.2} | {} |",
        shape.name(),
        corpus.bytes.len() / corpus.lines,
        median(read.clone()),
        of_floor(&|| format!("{:.1}", median(floor.clone()))),
        median(ours.clone()),
        of_floor(&|| format!("{:.2}", ratios(&ours, &floor))),
        ratios(&ours, &read),
        of_floor(&|| format!("{:.2}", ratios(&floor, &read))),
    );
    let mut right = agrees("read", shape, &alone.check(corpus, rounds + 1));
    if let Some(by_hand) = &by_hand {
        right &= agrees("floor", shape, &by_hand.check(corpus, rounds + 1));
    }
    right & agrees("sidelight", shape, &sidelight.check(corpus, rounds + 1))
}

/// Prints the differences between counts and truth; returns true if there are none.
fn agrees(who: &str, shape: Shape, difference: &Difference) -> bool {
    for sample in &difference.samples {
        eprintln!("{who} on {}: {sample}", shape.name());
    }
    if !difference.families_missing.is_empty() {
        eprintln!("{who} on {}: no {}", shape.name(), difference.families_missing.join(", "));
    }
    difference.is_none()
}
