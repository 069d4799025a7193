//! Tests SIGTERM under load: every line that an application's `write()` has delivered must be in
//! the ledger. The benchmark starts a real sidelight, writes to it over one blocking connection,
//! stops it at a random moment, and compares its ledger with the written lines; a thousand times.
//!
//! `cargo bench --bench torture -- sigterm [--n STOPS] [--rate LINES_PER_S] [--seed N]`
//!
//! `cargo bench --bench torture -- abuse [NAME]` runs hostile applications instead (see `abuse`).
//!
//! Unit: one stop. A line counts as accepted if all its bytes were accepted; a partial line is torn
//! and counts on neither side.

// a benchmark reads the real clock
#![allow(clippy::disallowed_methods)]

#[path = "torture/abuse.rs"]
mod abuse;
#[path = "torture/admin.rs"]
mod admin;
#[path = "torture/collector.rs"]
mod collector;
#[path = "torture/exit.rs"]
mod exit;
#[path = "support/sidecar.rs"]
#[allow(dead_code)] // shared with `paced`, which uses the rest
mod sidecar;
#[path = "torture/text.rs"]
mod text;

use sidecar::{Sidecar, quantile};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const STOPS_DEFAULT: u64 = 1_000;
const STOPS_MAX: u64 = 100_000;
/// Without `--rate`, each stop uses a random rate of this range.
const RATES: (u64, u64) = (20_000, 100_000);
const RATE_MAX: u64 = 1_000_000;
/// Latest moment of the signal after the connection, so that it can arrive before the first line is
/// read or under full load.
const SIGNAL_AFTER_MAX_US: u64 = 60_000;
/// A writer that is not refused stops after this.
const WRITING_MAX: Duration = Duration::from_secs(5);
/// Number of failures that are shown.
const SHOWN_MAX: usize = 10;

struct Written {
    accepted: u64,
    torn: u64,
}

struct Options {
    stops: u64,
    rate: Option<u64>,
    seed: u64,
}

fn options() -> Result<Options, String> {
    let mut options = Options { stops: STOPS_DEFAULT, rate: None, seed: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = |most| sidecar::number(&word, &mut words, most);
        match word.as_str() {
            "sigterm" | "--bench" | "--test" => {}
            "--n" => options.stops = number(STOPS_MAX)?,
            "--rate" => options.rate = Some(number(RATE_MAX)?),
            "--seed" => options.seed = number(u64::MAX)?,
            other => {
                return Err(format!("{other:?}: there are abuse, sigterm, --n, --rate, --seed"));
            }
        }
    }
    Ok(options)
}

/// splitmix64, for moments and rates.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Writes numbered lines, one `write()` each, in a burst every millisecond, until it is refused or
/// `end` is set.
fn write_lines(mut stream: UnixStream, rate: u64, end: &AtomicBool) -> Written {
    let mut written = Written { accepted: 0, torn: 0 };
    let mut line = String::new();
    let start = Instant::now();
    while start.elapsed() < WRITING_MAX && !end.load(Ordering::Relaxed) {
        let due = start.elapsed().as_micros() as u64 * rate / 1_000_000 + 1;
        while written.accepted < due {
            line.clear();
            let _ = writeln!(
                line,
                "{{\"timestamp\":\"2026-11-21T10:00:00.123Z\",\"level\":\"INFO\",\"service\":\"torture\",\"message\":\"line\",\"n\":{}}}",
                written.accepted
            );
            let mut left = line.as_bytes();
            while !left.is_empty() {
                match stream.write(left) {
                    Ok(count) => left = &left[count..],
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        written.torn += u64::from(left.len() < line.len());
                        return written;
                    }
                }
            }
            written.accepted += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    written
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).skip_while(|word| word == "--bench");
    sidecar::raise_descriptor_limit();
    if words.next().as_deref() == Some("abuse") {
        return abuse::main(words.find(|word| word != "--bench").as_deref());
    }
    let prepared = options().and_then(|options| Ok((options, sidecar::binary()?)));
    let (options, binary) = match prepared {
        Ok(prepared) => prepared,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let mut state = options.seed;
    let (mut lost, mut stops_with_loss, mut torn, mut lines, mut failed) = (0, 0, 0, 0, 0);
    let mut took_us: Vec<u64> = Vec::new();
    let mut shown: Vec<String> = Vec::new();
    let begun = Instant::now();
    for number in 0..options.stops {
        let after = Duration::from_micros(random(&mut state) % SIGNAL_AFTER_MAX_US);
        let rate = options.rate.unwrap_or(RATES.0 + random(&mut state) % (RATES.1 - RATES.0));
        match stop(&binary, rate, after) {
            Ok((written, stop)) => {
                took_us.push(stop.took.as_micros() as u64);
                lines += written.accepted;
                torn += written.torn;
                let received = stop.ledger("received");
                let missing = written.accepted.saturating_sub(received.unwrap_or(0));
                lost += missing;
                stops_with_loss += u64::from(missing > 0);
                let right = received == Some(written.accepted) && stop.code == Some(0);
                failed += u64::from(!right);
                if !right && shown.len() < SHOWN_MAX {
                    let last = stop.stderr.lines().last().unwrap_or("nothing");
                    shown.push(format!(
                        "stop {number} (signal after {after:?}, {rate}/s): accepted {}, exit {:?}, said: {last}",
                        written.accepted, stop.code
                    ));
                }
            }
            Err(wrong) => {
                failed += 1;
                if shown.len() < SHOWN_MAX {
                    shown.push(format!("stop {number}: {wrong}"));
                }
            }
        }
    }
    took_us.sort_unstable();
    println!(
        "stops {} in {:.1} s, lines accepted {lines}, torn {torn}\nlost {lost} in {stops_with_loss} stops ({:.4} a stop), stops not as promised {failed}\nfrom SIGTERM to exit: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        options.stops,
        begun.elapsed().as_secs_f64(),
        lost as f64 / options.stops as f64,
        quantile(&took_us, 0.5) as f64 / 1e3,
        quantile(&took_us, 0.99) as f64 / 1e3,
        quantile(&took_us, 1.0) as f64 / 1e3,
    );
    for line in shown {
        eprintln!("{line}");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one stop under load.
fn stop(
    binary: &std::path::Path,
    rate: u64,
    after: Duration,
) -> Result<(Written, sidecar::Stop), String> {
    let mut child = Sidecar::spawn(binary).map_err(|error| error.to_string())?;
    let stream = child.connect()?;
    let end = AtomicBool::new(false);
    Ok(std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_lines(stream, rate, &end));
        std::thread::sleep(after);
        let signalled = Instant::now();
        child.terminate();
        let stop = child.stopped(signalled);
        end.store(true, Ordering::Relaxed);
        (writer.join().expect("the writer does not panic"), stop)
    }))
}
