//! sidelight's own log: lines on stderr, at most a few a minute for one cause, and never a wait:
//! what a full pipe would make us wait for is dropped and counted. Control characters are escaped,
//! so that nothing that came from outside moves a terminal or forges a line. The text of the
//! application's log lines is no field of any event.

use crate::clock::{Clock, UnixNanos};
use crate::console;
use prometheus::IntCounter;
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Lines of one cause in one [`PERIOD`]: enough to see a pattern, few enough to be read.
pub const LINES_MAX: u32 = 5;

/// The period of the limit.
pub const PERIOD: Duration = Duration::from_mins(1);

/// Causes that are remembered; a cause is a place in the source, of which there are fewer.
const CAUSES_MAX: usize = 256;

/// Bytes of one line: PIPE_BUF, what a pipe takes whole once it is writable.
const LINE_BYTES_MAX: usize = console::PIECE_BYTES_MAX;

/// Where lines go.
#[derive(Debug)]
pub enum Sink {
    /// Standard error, as far as it takes lines without waiting.
    Stderr,
    /// Into memory, for tests.
    Memory(Arc<Mutex<Vec<u8>>>),
}

/// From which level on lines are written; shared with whoever may change it.
#[derive(Clone, Debug)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// Lines of `level` and above.
    pub fn new(level: Level) -> Threshold {
        Threshold(Arc::new(AtomicU8::new(rank(level))))
    }

    /// Another level, from now on.
    pub fn set(&self, level: Level) {
        if self.0.swap(rank(level), Ordering::Relaxed) != rank(level) {
            // every place in the source remembers whether anybody listens
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

/// 1 for ERROR, to 5 for TRACE.
fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// A `tracing` subscriber that writes lines; spans are ignored.
#[derive(Debug)]
pub struct Log {
    level: Threshold,
    clock: Clock,
    suppressed: IntCounter,
    sink: Sink,
    causes: Mutex<Vec<Cause>>,
}

/// One place in the source and how often it spoke lately.
#[derive(Debug)]
struct Cause {
    callsite: Identifier,
    /// When the current period began, monotonic.
    since: Duration,
    written: u32,
    suppressed: u64,
}

/// What the limit says of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Admission {
    /// Write it; so many like it were not written.
    Write(u64),
    Suppress,
}

impl Log {
    /// A log of the level and above. `suppressed` counts what is not written.
    pub fn new(
        level: impl Into<Threshold>,
        clock: Clock,
        suppressed: IntCounter,
        sink: Sink,
    ) -> Log {
        let level = level.into();
        Log { level, clock, suppressed, sink, causes: Mutex::new(Vec::new()) }
    }

    /// Makes it the log of the process. A second one is ignored: the first keeps its place.
    pub fn install(self) {
        let _ = tracing::subscriber::set_global_default(self);
    }

    fn admit(&self, callsite: Identifier) -> Admission {
        let now = self.clock.monotonic();
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = causes.iter().position(|cause| cause.callsite == callsite);
        let at = match known {
            Some(at) => at,
            // more causes than places: the rest share the last one's allowance
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

    /// False when the line could not be written without waiting.
    fn write(&self, line: &str) -> bool {
        match &self.sink {
            Sink::Stderr => console::note(line),
            Sink::Memory(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut line = Line::new(self.clock.now(), metadata);
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

/// `time LEVEL target: message key=value ...`
struct Line {
    head: String,
    message: String,
    fields: String,
}

impl Line {
    fn new(at: UnixNanos, metadata: &Metadata<'_>) -> Line {
        let time = jiff::Timestamp::from_nanosecond(i128::from(at.0))
            .map(|time| format!("{time:.3}"))
            .unwrap_or_default();
        let head = format!("{time} {} {}: ", metadata.level(), metadata.target());
        Line { head, message: String::new(), fields: String::new() }
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

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut written = Bounded(String::new());
        // an error here only says that the bound was reached
        let _ = write!(written, "{value:?}");
        self.text(field, &written.0);
    }
}

/// A string that stops growing at the length of a line.
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

/// Appends `text` with control characters and those that turn the direction of writing escaped.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        let turns = matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || turns {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
}

#[cfg(test)]
mod tests;
