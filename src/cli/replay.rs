//! `sidelight replay`: passes a log file through the rules and prints the metrics, spans and health
//! that it would have given. The metrics go to standard output in Prometheus' text format;
//! everything else is printed as comments, so that promtool can read the whole output.

use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::{Flags, load};
use crate::console;
use crate::health::verdict::Status;
use crate::replay::{Outcome, Replay};
use clap::ValueEnum;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How many bytes are read at once.
const READ_BYTES: usize = 1 << 20;

/// A line that does not end within this limit is passed on as it is.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Arguments of `replay`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The log file; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check every line fully, and fail on a line that is not what it looks like
    #[arg(long)]
    pub strict: bool,
    /// How the outcome is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How the outcome is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Prometheus' text format, then spans and the verdict in words
    Text,
    /// One JSON object
    Json,
}

/// Replays a file.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let flags = Flags { config: arguments.config.clone(), ..Flags::default() };
    let loaded = load(&flags, environment);
    for fault in &loaded.faults {
        console::diagnostic(&fault.to_string());
    }
    if !loaded.is_valid() {
        return ExitCode::from(2);
    }
    let mut replay = match Replay::new(&loaded.config, arguments.strict, Clock::system().now()) {
        Ok(replay) => replay,
        Err(errors) => {
            for fault in loaded.locate_all(&errors) {
                console::diagnostic(&fault.to_string());
            }
            return ExitCode::from(2);
        }
    };
    if let Err(error) = feed(&arguments.file, &mut replay) {
        console::diagnostic_line(format_args!("replay: {}: {error}", arguments.file.display()));
        return ExitCode::from(2);
    }
    let outcome = replay.finish();
    let written = match arguments.format {
        Format::Text => text(&outcome),
        Format::Json => format!("{}\n", json(&outcome)),
    };
    // a reader that closes early, such as head, is not an error
    let _ = console::print(&written);
    for (line, why) in &outcome.damaged {
        console::diagnostic_line(format_args!("line {line}: {why}"));
    }
    if outcome.damaged_count > 0 {
        console::diagnostic_line(format_args!(
            "replay: {} lines are not what they look like",
            outcome.damaged_count
        ));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Reads the file in pieces of whole lines, with a progress bar on a terminal.
fn feed(path: &Path, replay: &mut Replay) -> io::Result<()> {
    let (mut input, whole): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path)?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        (Box::new(file), length)
    };
    let mut progress = Progress { whole, read: 0, shown: u64::MAX };
    let mut buffer = Vec::new();
    let mut number = 1;
    loop {
        let kept = buffer.len();
        buffer.resize(kept + READ_BYTES, 0);
        let read = input.read(&mut buffer[kept..])?;
        buffer.truncate(kept + read);
        progress.step(read as u64);
        if read == 0 {
            replay.feed(&buffer, number);
            progress.end();
            return Ok(());
        }
        let whole = memchr::memrchr(b'\n', &buffer).map_or(0, |at| at + 1);
        let mut ready = crate::frame::multiline::settled(&buffer[..whole]);
        if ready == 0 && buffer.len() > LINE_BYTES_MAX {
            ready = if whole > 0 { whole } else { buffer.len() };
        }
        number = replay.feed(&buffer[..ready], number);
        buffer.drain(..ready);
    }
}

/// Creates a bar on standard error, if that is a terminal and the length is known.
struct Progress {
    whole: Option<u64>,
    read: u64,
    shown: u64,
}

impl Progress {
    fn step(&mut self, read: u64) {
        self.read += read;
        let Some(whole) = self.whole.filter(|whole| *whole > 0) else { return };
        let percent = (self.read.min(whole) * 100) / whole;
        if percent == self.shown || !io::stderr().is_terminal() {
            return;
        }
        self.shown = percent;
        let full = percent as usize * 40 / 100;
        let bar = "=".repeat(full);
        console::note(&format!("\r[{bar:<40}] {percent:>3} %  {} MiB", self.read >> 20));
    }

    fn end(&self) {
        if self.shown != u64::MAX {
            console::note("\r\x1b[K");
        }
    }
}

fn text(outcome: &Outcome) -> String {
    let mut out = outcome.metrics.clone();
    let mut comment = |line: String| {
        out.push_str("# ");
        out.push_str(&line);
        out.push('\n');
    };
    comment(String::new());
    let ledger = &outcome.ledger;
    comment(format!("lines   {} read, {} refused", ledger.received, ledger.refused));
    if let Some((first, last)) = outcome.between {
        let seconds = last.since(first).as_secs_f64();
        comment(format!("time    {} to {} ({seconds:.0} s)", stamp(first.0), stamp(last.0)));
    }
    comment(format!("spans   {}", outcome.spans.count));
    for ((kind, name), (count, failed, took)) in &outcome.spans.by_name {
        let mean = took.as_secs_f64() * 1e3 / *count as f64;
        comment(format!("        {count} {kind} {name}, {failed} failed, {mean:.1} ms on average"));
    }
    comment(format!("health  {}", word(outcome.verdict.status())));
    for check in outcome.verdict.checks.iter().filter(|check| check.status != Status::Pass) {
        comment(format!("        {}: {}", check.name, check.reason));
    }
    out
}

fn json(outcome: &Outcome) -> serde_json::Value {
    let spans = outcome.spans.by_name.iter().map(|((kind, name), (count, failed, took))| {
        serde_json::json!({
            "kind": kind, "name": name, "count": count, "failed": failed,
            "seconds": took.as_secs_f64(),
        })
    });
    let checks = outcome.verdict.checks.iter().map(|check| {
        serde_json::json!({
            "name": check.name, "status": word(check.status), "reason": check.reason,
        })
    });
    serde_json::json!({
        "metrics": outcome.metrics,
        "lines": outcome.ledger.received,
        "spans": spans.collect::<Vec<_>>(),
        "health": {"status": word(outcome.verdict.status()), "checks": checks.collect::<Vec<_>>()},
        "damaged": outcome.damaged_count,
    })
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "healthy",
        Status::Warn => "healthy, with warnings",
        Status::Fail => "unhealthy",
    }
}

fn stamp(nanos: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanos));
    time.map_or_else(|_| "?".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
