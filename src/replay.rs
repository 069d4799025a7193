//! Runs a file of lines through the rules and reports what would have happened. Uses the same
//! pipeline as a running sidecar, but takes the time from the lines, so that windows, ages and
//! verdicts are the same as they would have been live. Writes and sends nothing. Unit: one file.

pub(crate) mod seen;

use crate::app::compose::zone;
use crate::clock::UnixNanos;
use crate::config::settings::Config;
use crate::decode::formats::Formats;
use crate::decode::{Memory, decode, json, time};
use crate::frame::{count, multiline};
use crate::health::HealthCounters;
use crate::health::evaluate::{Evaluator, Moment};
use crate::health::verdict::Verdict;
use crate::metrics::Registry;
use crate::metrics::expose::{self, Encoding, Options};
use crate::order;
use crate::outbox::{BatchSize, Capacity, Chunk, Outbox};
use crate::pipeline::explanation::is_request;
use crate::pipeline::input::{FrameSink, Input, Source};
use crate::pipeline::{Pipeline, PipelineSetup};
use crate::record::field::FieldTable;
use crate::record::severity::Severity;
use crate::record::{Decoded, field};
use crate::rules::compile::compile_into;
use crate::rules::set::Published;
use crate::rules::settings::RuleError;
use crate::spans::SpanMaker;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::{Telemetry, sum};
use prometheus::core::Collector as _;
use prometheus::{IntCounter, IntCounterVec};
use seen::Spans;
use std::sync::Arc;
use std::time::Duration;

/// How many records are processed between two reads of the outbox, which holds many times as many
/// spans.
const LOOK_EVERY: u64 = 1_000;

/// If the time between two lines is longer, the verdict is evaluated only once for it, because
/// nothing happens in between.
const STEP_MAX: Duration = Duration::from_mins(15);

/// A replay in progress.
#[derive(Debug)]
pub struct Replay {
    pipeline: Pipeline,
    source: Source,
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    received: IntCounter,
    sent: IntCounter,
    outbox: Arc<Outbox>,
    chunk: Chunk,
    clock: LineClock,
    verdicts: Verdicts,
    strict: bool,
    since_look: u64,
    outcome: Outcome,
}

/// The result of a replay.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The derived metrics, in the classic text format.
    pub metrics: String,
    /// The spans, summed up by name.
    pub spans: Spans,
    /// Why lines became no span: the values of the label `reason` that were counted.
    pub spans_skipped: Vec<String>,
    /// The verdict after the last line.
    pub verdict: Verdict,
    /// Frames in and out; `sent` counts the spans that were read back.
    pub ledger: Ledger,
    /// The formats that were recognised, with the number of frames, the most frequent first.
    pub formats: Vec<(String, u64)>,
    /// Frames that begin like JSON and are not.
    pub malformed: u64,
    /// Records without a level that are no requests, and records without a time.
    pub incomplete: (u64, u64),
    /// The first record that has neither a level nor a time: its line, and its text.
    pub first_incomplete: Option<(u64, String)>,
    /// The times of the first and the last line that have a timestamp.
    pub between: Option<(UnixNanos, UnixNanos)>,
    /// With `strict`: the first 20 damaged lines (invalid UTF-8 or invalid JSON), by number, with
    /// the error.
    pub damaged: Vec<(u64, String)>,
    /// The number of all damaged lines.
    pub damaged_count: u64,
}

/// How many damaged lines are reported one by one.
const DAMAGED_MAX: usize = 20;

/// How much of the first record that is not understood is kept, in characters.
const EXAMPLE_CHARS_MAX: usize = 300;

impl Replay {
    /// Creates a replay of this configuration. With `strict`, validates every JSON line in full.
    /// `now` is the time of the lines before the first line with a timestamp.
    ///
    /// # Errors
    /// Returns the errors of user rules that cannot be compiled.
    pub fn new(config: &Config, strict: bool, now: UnixNanos) -> Result<Replay, Vec<RuleError>> {
        let registry = Registry::new(config.limits);
        let rules = compile_into(&config.rules, &registry)?;
        let telemetry = Arc::new(Telemetry::new());
        let outbox = Outbox::new(Capacity { items_max: usize::MAX, bytes_max: usize::MAX });
        let clock = LineClock::new(zone(&config.time_zone), now, &rules.formats);
        let settings = config.traces.spans;
        let health_counters = Arc::new(HealthCounters::default());
        let spans = SpanMaker::new(settings, &config.resource, Arc::clone(&outbox), &telemetry);
        let pipeline = Pipeline::new(PipelineSetup {
            rules: Arc::new(Published::new(rules)),
            registry: Arc::clone(&registry),
            telemetry: Arc::clone(&telemetry),
            health_counters: Arc::clone(&health_counters),
            spans,
            passthrough: None,
            resource: Arc::new(config.resource.clone()),
            line_bytes_max: config.line_bytes_max,
            zone: zone(&config.time_zone),
        });
        Ok(Replay {
            pipeline,
            source: Source::with_id(1, Input::Stdin),
            registry,
            received: telemetry.received.with_label_values(&[Input::Stdin.name()]),
            sent: telemetry.sent.with_label_values(&["spans"]),
            telemetry,
            outbox,
            chunk: Chunk::default(),
            clock,
            verdicts: Verdicts {
                evaluator: Evaluator::new(config.health.clone()),
                health_counters,
                last: None,
            },
            strict,
            since_look: 0,
            outcome: Outcome::default(),
        })
    }

    /// Processes whole lines; the last may lack its newline. `number` is the number of the first
    /// line, starting at 1. Returns the number of the line after them.
    pub fn feed(&mut self, block: &[u8], mut number: u64) -> u64 {
        let mut at = 0;
        while at < block.len() {
            let rest = &block[at..];
            let first_end = memchr::memchr(b'\n', rest).map_or(block.len(), |end| at + end + 1);
            let is_empty = rest[..first_end - at].iter().all(|b| matches!(b, b'\n' | b'\r'));
            let end = if is_empty { first_end } else { multiline::joined(block, at, first_end).0 };
            self.record(&block[at..end], number);
            number += memchr::memchr_iter(b'\n', &block[at..end]).count() as u64;
            at = end;
        }
        number
    }

    fn record(&mut self, frame: &[u8], number: u64) {
        let (now, is_understood) = self.clock.time_of(frame);
        if !is_understood && self.outcome.first_incomplete.is_none() {
            let text = String::from_utf8_lossy(frame).chars().take(EXAMPLE_CHARS_MAX).collect();
            self.outcome.first_incomplete = Some((number, text));
        }
        self.received.inc_by(count::frames(frame));
        self.pipeline.lines(&mut self.source, frame, now);
        if self.strict {
            self.validate(frame, number);
        }
        self.verdicts.step(now, &mut self.pipeline);
        self.since_look += 1;
        if self.since_look >= LOOK_EVERY {
            self.look(now);
        }
    }

    fn validate(&mut self, frame: &[u8], number: u64) {
        let damage = match std::str::from_utf8(frame) {
            Err(error) => format!("byte {} is not UTF-8", error.valid_up_to()),
            Ok(text) if text.trim_start().starts_with('{') => match json::validate(text.trim_end())
            {
                Err((offset, message)) => format!("byte {offset}: {message}"),
                Ok(()) => return,
            },
            Ok(_) => return,
        };
        self.outcome.damaged_count += 1;
        if self.outcome.damaged.len() < DAMAGED_MAX {
            self.outcome.damaged.push((number, damage));
        }
    }

    /// Reads the spans that were created.
    fn look(&mut self, now: UnixNanos) {
        self.since_look = 0;
        self.pipeline.flush(now);
        let most = BatchSize { items_max: usize::MAX, bytes_max: usize::MAX };
        while self.outbox.take_now(&mut self.chunk, most) {
            for item in self.chunk.items() {
                self.outcome.spans.add(item);
                self.sent.inc();
            }
            self.outbox.settle(self.chunk.len() as u64);
        }
    }

    /// Ends the replay after the last line and returns its result.
    pub fn finish(mut self) -> Outcome {
        let now = self.clock.last;
        self.look(now);
        self.verdicts.finish(now);
        let mut metrics = Vec::new();
        let options = Options::default();
        expose::encode(&self.registry, &[], Encoding::Classic, options, &mut metrics);
        self.outcome.metrics = String::from_utf8_lossy(&metrics).into_owned();
        self.outcome.verdict = self.verdicts.evaluate(now);
        self.outcome.spans_skipped =
            counted(&self.telemetry.spans_skipped).into_iter().map(|(reason, _)| reason).collect();
        self.outcome.formats = counted(&self.telemetry.decoded);
        order::sort_by_key(&mut self.outcome.formats, |(_, count)| std::cmp::Reverse(*count));
        self.outcome.malformed = sum(&self.telemetry.malformed);
        let missing = |what| self.telemetry.records_incomplete.with_label_values(&[what]).get();
        self.outcome.incomplete = (missing("level"), missing("time"));
        self.outcome.ledger = Ledger::read(&self.telemetry, self.outbox.held());
        self.outcome.between = self.clock.first.map(|first| (first, now));
        self.outcome
    }
}

/// Returns the values of the only label of a counter that counted something, with their counts.
fn counted(counters: &IntCounterVec) -> Vec<(String, u64)> {
    let families = counters.collect();
    let metrics = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
    let counted = metrics.filter(|metric| metric.get_counter().get_value() > 0.0);
    counted
        .filter_map(|metric| {
            let count = metric.get_counter().get_value() as u64;
            Some((metric.get_label().first()?.value().to_owned(), count))
        })
        .collect()
}

/// The time of each line: its timestamp, or the time of the line before it. Never goes backwards,
/// just as arrival times do not.
#[derive(Debug)]
struct LineClock {
    zone: time::Zone,
    minute: time::MinuteCache,
    fields: FieldTable,
    memory: Memory,
    decoded: Decoded,
    first: Option<UnixNanos>,
    last: UnixNanos,
}

impl LineClock {
    fn new(zone: time::Zone, now: UnixNanos, formats: &Arc<Formats>) -> LineClock {
        LineClock {
            zone,
            minute: time::MinuteCache::default(),
            fields: FieldTable::standard(),
            memory: Memory::new(formats),
            decoded: Decoded::new(),
            first: None,
            last: now,
        }
    }

    /// Returns the time, and whether the record has a level, a status or a time.
    fn time_of(&mut self, frame: &[u8]) -> (UnixNanos, bool) {
        let Ok(text) = std::str::from_utf8(frame) else { return (self.last, true) };
        let line = text.trim_end_matches(['\n', '\r']);
        self.decoded.clear();
        decode(line, &self.fields, &mut self.memory, &mut self.decoded);
        let observed = self.last;
        let record = crate::record::Record::new(
            line,
            &self.decoded,
            observed,
            crate::record::Envelope::default(),
        );
        let own = record
            .text(field::TIMESTAMP)
            .and_then(|text| time::parse(text, &self.zone, observed, &mut self.minute));
        if let Some(own) = own {
            self.last = if self.first.is_none() { own } else { self.last.max(own) };
            self.first = self.first.or(Some(own));
        }
        let has_level = record.severity() != Severity::UNSPECIFIED || is_request(&record);
        (self.last, has_level || own.is_some())
    }
}

/// Evaluates the verdict once a second of the lines' time.
#[derive(Debug)]
struct Verdicts {
    evaluator: Evaluator,
    health_counters: Arc<HealthCounters>,
    last: Option<(UnixNanos, UnixNanos)>,
}

impl Verdicts {
    /// Evaluates the verdict if a second of the lines' time has passed, also for seconds without a
    /// line.
    fn step(&mut self, now: UnixNanos, pipeline: &mut Pipeline) {
        let (begun, last) = *self.last.get_or_insert((now, now));
        let gone = now.since(last);
        if gone < Duration::from_secs(1) {
            return;
        }
        if gone < STEP_MAX {
            for second in 1..gone.as_secs() {
                self.evaluate(last.after(Duration::from_secs(second)));
            }
        }
        pipeline.flush(now);
        pipeline.tick(now);
        self.last = Some((begun, now));
        self.evaluate(now);
    }

    fn finish(&mut self, now: UnixNanos) {
        self.last.get_or_insert((now, now));
    }

    fn evaluate(&mut self, now: UnixNanos) -> Verdict {
        let begun = self.last.map_or(now, |(begun, _)| begun);
        self.evaluator.evaluate(
            &self.health_counters.read(),
            Moment { wall: now, monotonic: now.since(begun) },
        )
    }
}
