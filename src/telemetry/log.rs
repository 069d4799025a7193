//! sidelight's log: lines on stderr, a few per minute at most for one cause. Logging never waits:
//! it drops and counts a line that a full pipe does not accept. Control characters are escaped, so
//! that no text from outside controls a terminal or forges a line. No event contains the text of
//! the application's log lines.

use crate::clock::{Clock, UnixNanos};
use crate::console;
use crate::encoding::is_deceptive;
use crate::sync::lock;
use prometheus::IntCounter;
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Maximum number of lines of one cause in one [`PERIOD`]: enough to see a pattern, few enough to
/// read.
pub const LINES_MAX: u32 = 5;

/// The period of the limit.
pub const PERIOD: Duration = Duration::from_mins(1);

/// Maximum number of causes. A cause is a place in the source, and the source has fewer.
const CAUSES_MAX: usize = 256;

/// Maximum number of bytes of a line: PIPE_BUF, which a writable pipe accepts as a whole.
const LINE_BYTES_MAX: usize = console::PIECE_BYTES_MAX;

/// The destination of log lines.
#[derive(Debug)]
pub enum Sink {
    /// Standard error, if it accepts a line without waiting.
    Stderr,
    /// Into memory, for tests.
    Memory(Arc<Mutex<Vec<u8>>>),
}

/// The lowest level that is written; shared with the code that may change it.
#[derive(Clone, Debug)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// Creates a threshold that passes `level` and above.
    pub fn new(level: Level) -> Threshold {
        Threshold(Arc::new(AtomicU8::new(rank(level))))
    }

    /// Changes the level from now on.
    pub fn set(&self, level: Level) {
        if self.0.swap(rank(level), Ordering::Relaxed) != rank(level) {
            // tracing caches for each place in the source whether its events are enabled
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn admits(&self, level: Level) -> bool {
        rank(level) <= self.0.load(Ordering::Relaxed)
    }
}

impl From<Level> for Threshold {
    fn from(level: Level) -> Threshold {
        Threshold::new(level)
    }
}

/// Maps ERROR to 1, up to TRACE as 5.
fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// A `tracing` subscriber that writes lines and ignores spans.
#[derive(Debug)]
pub struct Log {
    level: Threshold,
    clock: Clock,
    suppressed: IntCounter,
    sink: Sink,
    causes: Mutex<Vec<Cause>>,
}

/// One place in the source and the number of its recent lines.
#[derive(Debug)]
struct Cause {
    callsite: Identifier,
    /// Start of the current period on the monotonic clock.
    since: Duration,
    written: u32,
    suppressed: u64,
}

/// The decision of the rate limit about one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Admission {
    /// Write the line; the number is how many like it were suppressed.
    Write(u64),
    Suppress,
}

impl Log {
    /// Creates a log of the threshold's level and above. `suppressed` counts the lines that are not
    /// written.
    pub fn new(
        level: impl Into<Threshold>,
        clock: Clock,
        suppressed: IntCounter,
        sink: Sink,
    ) -> Log {
        let level = level.into();
        Log { level, clock, suppressed, sink, causes: Mutex::new(Vec::new()) }
    }

    /// Installs this as the log of the process. Ignored if one is installed already.
    pub fn install(self) {
        let _ = tracing::subscriber::set_global_default(self);
    }

    fn admit(&self, callsite: Identifier) -> Admission {
        let now = self.clock.monotonic();
        let mut causes = lock(&self.causes);
        let known = causes.iter().position(|cause| cause.callsite == callsite);
        let at = match known {
            Some(at) => at,
            // more causes than places: the rest share the allowance of the last one
            None if causes.len() == CAUSES_MAX => CAUSES_MAX - 1,
            None => {
                causes.push(Cause { callsite, since: now, written: 0, suppressed: 0 });
                causes.len() - 1
            }
        };
        let cause = &mut causes[at];
        if now.saturating_sub(cause.since) >= PERIOD {
            cause.since = now;
            cause.written = 0;
        }
        if cause.written >= LINES_MAX {
            cause.suppressed += 1;
            return Admission::Suppress;
        }
        cause.written += 1;
        Admission::Write(std::mem::take(&mut cause.suppressed))
    }

    /// Writes one line. Returns false if that was not possible without waiting.
    fn write(&self, line: &str) -> bool {
        match &self.sink {
            Sink::Stderr => console::note(line),
            Sink::Memory(lines) => {
                let mut lines = lock(lines);
                lines.extend_from_slice(line.as_bytes());
                true
            }
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.level.admits(*metadata.level())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Admission::Write(before) = self.admit(metadata.callsite()) else {
            self.suppressed.inc();
            return;
        };
        let mut line = LogLine::new(self.clock.now(), metadata);
        event.record(&mut line);
        if !self.write(&line.finish(before)) {
            self.suppressed.inc();
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The text of one line: `time LEVEL target: message key=value ...`
struct LogLine {
    head: String,
    message: String,
    fields: String,
}

impl LogLine {
    fn new(at: UnixNanos, metadata: &Metadata<'_>) -> LogLine {
        let head = format!("{at:.3} {} {}: ", metadata.level(), metadata.target());
        LogLine { head, message: String::new(), fields: String::new() }
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            escape(&mut self.message, value);
            return;
        }
        self.fields.push(' ');
        self.fields.push_str(field.name());
        self.fields.push('=');
        let quoted = value.is_empty() || value.contains([' ', '"', '=']);
        if quoted {
            self.fields.push('"');
            escape(&mut self.fields, &value.replace('\\', "\\\\").replace('"', "\\\""));
            self.fields.push('"');
        } else {
            escape(&mut self.fields, value);
        }
    }

    fn finish(self, suppressed_before: u64) -> String {
        let mut line = self.head + &self.message + &self.fields;
        if suppressed_before > 0 {
            // writing to a string cannot fail
            let _ = write!(line, " (and {suppressed_before} more like it)");
        }
        if line.len() >= LINE_BYTES_MAX {
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX - "...\n".len()));
            line.push_str("...");
        }
        line.push('\n');
        line
    }
}

impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut written = Bounded(String::new());
        // an error only means that the bound was reached
        let _ = write!(written, "{value:?}");
        self.text(field, &written.0);
    }
}

/// A string that stops growing at the maximum length of a line.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LINE_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Appends `text`; escapes control characters and deceptive ones.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        if is_deceptive(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
}

#[cfg(test)]
mod tests;
