//! Processes one line from the frame to its effects: decodes it, plans which rules can apply, and
//! applies them. The effects are a metric, a span, a count for the health verdict and a forwarded
//! copy.
//!
//! Each data thread has one pipeline. Between a byte read and its metric there is no queue, no lock
//! and no allocation, except when a series is new. The pipeline is never async and cannot fail: it
//! counts what it loses. Unit: one record.

mod batch;
mod effects;
pub(crate) mod explanation;
pub mod input;
mod label;
mod memo;
mod operation;
mod outsider;
mod plan;
mod recognition;
mod request;
mod series;

use crate::clock::UnixNanos;
use crate::decode::time::Zone;
use crate::decode::{self, Memory};
use crate::forward::stdout::Passthrough;
use crate::frame::encoding::{Encoding, Frame};
use crate::frame::{count, multiline};
use crate::health::HealthCounters;
use crate::metrics::Registry;
use crate::record::{Decoded, Envelope, Format, Record, field};
use crate::resource::Resource;
use crate::rules::set::{Published, RuleSet};
use crate::spans::SpanMaker;
use crate::telemetry::Telemetry;
use crate::transcode::{Line, Transcoder};
use batch::{Batch, Totals};
use effects::RecordEffects;
use input::{FrameSink, Source};
use label::RecordContext;
use plan::Plans;
use std::borrow::Cow;
use std::sync::Arc;

/// The parts that a pipeline is built from.
#[derive(Debug)]
pub struct PipelineSetup {
    /// The rules now in force, and later ones.
    pub rules: Arc<Published>,
    /// The registry that admits series.
    pub registry: Arc<Registry>,
    /// The metrics about sidelight, to which batches are added.
    pub telemetry: Arc<Telemetry>,
    /// The health counters, to which batches are added.
    pub health_counters: Arc<HealthCounters>,
    /// Creates the spans.
    pub spans: SpanMaker,
    /// The copy of every line to standard output, if it is enabled.
    pub passthrough: Option<Passthrough>,
    /// The resource of lines that name no service.
    pub resource: Arc<Resource>,
    /// The longest line in bytes; only the beginning of a longer line is kept.
    pub line_bytes_max: usize,
    /// The time zone of timestamps that name none.
    pub zone: Zone,
}

/// The pipeline of one data thread.
#[derive(Debug)]
pub struct Pipeline {
    rules: Arc<RuleSet>,
    generation: u64,
    published: Arc<Published>,
    memory: Memory,
    decoded: Decoded,
    plans: Plans,
    effects: RecordEffects,
    batch: Batch,
    totals: Totals,
    telemetry: Arc<Telemetry>,
    passthrough: Option<Passthrough>,
    resource: Arc<Resource>,
    line_bytes_max: usize,
    transcoder: Transcoder,
    skew_due: bool,
    /// If false, lines are counted and refused.
    enabled: bool,
    /// For tests: the next record is not processed.
    lose_record: bool,
}

impl Pipeline {
    /// Creates a pipeline with the rules now in force.
    pub fn new(parts: PipelineSetup) -> Pipeline {
        let generation = parts.rules.generation();
        let lose_record = parts.telemetry.faults.lose_record;
        let effects = RecordEffects::new(
            parts.registry.writer(),
            parts.spans,
            parts.health_counters,
            parts.zone,
        );
        let rules = parts.rules.current();
        Pipeline {
            enabled: parts.rules.enabled(),
            memory: Memory::new(&rules.formats),
            rules,
            generation,
            published: parts.rules,
            decoded: Decoded::new(),
            plans: Plans::default(),
            effects,
            batch: Batch::default(),
            totals: Totals::of(&parts.telemetry),
            telemetry: parts.telemetry,
            passthrough: parts.passthrough,
            resource: parts.resource,
            line_bytes_max: parts.line_bytes_max,
            transcoder: Transcoder::default(),
            skew_due: true,
            lose_record,
        }
    }

    /// Records the beginning of an oversized line. The caller has already handled its copy.
    fn beginning(&mut self, source: &mut Source, prefix: &[u8], bytes: u64, observed: UnixNanos) {
        debug_assert!(bytes >= prefix.len() as u64, "a line is at least as long as its beginning");
        if !self.enabled {
            return self.refuse(1);
        }
        self.batch.oversized += 1;
        // The cut may split a character.
        let whole = match std::str::from_utf8(prefix) {
            Err(error) if error.error_len().is_none() => &prefix[..error.valid_up_to()],
            _ => prefix,
        };
        let text = self.repaired(whole);
        self.record(source, &text, 1, observed);
    }

    /// Counts frames that are refused because processing is disabled.
    fn refuse(&mut self, frames: u64) {
        self.batch.disabled += frames;
    }

    /// Loads new rules if there are any. Called once a block; the check costs one atomic load.
    fn renew(&mut self) {
        if self.published.generation() != self.generation {
            self.generation = self.published.generation();
            self.rules = self.published.current();
            self.enabled = self.published.enabled();
            self.memory = Memory::new(&self.rules.formats);
            self.plans.forget();
            self.effects.forget();
        }
    }

    /// Frames and decodes the line at `at` in one pass, if its first bytes identify its format.
    /// Returns where the next line begins.
    #[inline]
    fn walked(
        &mut self,
        source: &mut Source,
        text: &str,
        at: usize,
        observed: UnixNanos,
    ) -> Option<usize> {
        let fields = &self.rules.fields;
        let end = decode::walk(text, at, fields, &mut self.memory, &mut self.decoded)?;
        let block = text.as_bytes();
        let is_joined =
            self.decoded.format != Format::Json && multiline::joined(block, at, end).0 != end;
        if is_joined || end - at > self.line_bytes_max {
            return None;
        }
        let stop = at + trimmed(&block[at..end]);
        self.apply(source, &text[at..stop], 1, observed);
        Some(end)
    }

    /// Processes the line at `at` of a block together with the lines that are joined to it. Returns
    /// where the next line begins.
    #[inline]
    fn line(
        &mut self,
        source: &mut Source,
        block: &[u8],
        text: Option<&str>,
        at: usize,
        observed: UnixNanos,
    ) -> usize {
        let rest = &block[at..];
        let first_end = memchr::memchr(b'\n', rest).map_or(block.len(), |length| at + length + 1);
        if first_end - at > self.line_bytes_max + 1 {
            let length =
                rest[..first_end - at].strip_suffix(b"\n").map_or(first_end - at, <[u8]>::len);
            self.beginning(source, &rest[..self.line_bytes_max], length as u64, observed);
            return first_end;
        }
        let (end, lines) = multiline::joined(block, at, first_end);
        if end == first_end || self.memory.formats.is_empty() {
            self.part(source, text, (&block[at..end], at), lines, observed);
            return end;
        }
        // a line that one of the user's formats matches starts a record
        let mut from = at;
        while from < end {
            let rest = &block[from..end];
            let first_end = memchr::memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
            let (length, lines) = self.memory.formats.split(rest, first_end);
            self.part(source, text, (&rest[..length], from), lines, observed);
            from += length;
        }
        end
    }

    /// Processes one record, which starts at `at` of the block that `text` is.
    #[inline]
    fn part(
        &mut self,
        source: &mut Source,
        text: Option<&str>,
        (record, at): (&[u8], usize),
        lines: u64,
        observed: UnixNanos,
    ) {
        let length = trimmed(record);
        if length == 0 {
            return;
        }
        self.batch.joined += lines.saturating_sub(1);
        if let Some(line) = text.and_then(|text| text.get(at..at + length)) {
            self.record(source, line, lines, observed);
        } else {
            let line = self.repaired(&record[..length]);
            self.record(source, &line, lines, observed);
        }
    }

    /// Processes a text that is one frame.
    fn text(&mut self, source: &mut Source, bytes: &[u8], observed: UnixNanos) {
        if let Some(passthrough) = &mut self.passthrough {
            passthrough.line(bytes);
        }
        if bytes.is_empty() {
            return;
        }
        let text = self.repaired(bytes);
        // CPython's SysLogHandler appends a NUL to each datagram.
        self.record(source, text.trim_end_matches(['\0', '\n', '\r']), 1, observed);
    }

    /// Processes a frame in another encoding than text.
    fn encoded(&mut self, source: &mut Source, frame: &Frame<'_>, observed: UnixNanos) {
        let mut transcoder = std::mem::take(&mut self.transcoder);
        match transcoder.line(frame, self.line_bytes_max) {
            Ok(line) => self.transcoded(source, &line, observed),
            Err(refusal) => {
                self.batch.undecodable += 1;
                source.report_undecodable(refusal);
            }
        }
        self.transcoder = transcoder;
    }

    /// Processes the line that a frame in another encoding became.
    fn transcoded(&mut self, source: &mut Source, line: &Line<'_>, observed: UnixNanos) {
        self.batch.oversized += u64::from(line.is_cut);
        if let Some(passthrough) = &mut self.passthrough {
            if line.is_cut { passthrough.oversized() } else { passthrough.line(line.bytes) }
        }
        let text = match simdutf8::basic::from_utf8(line.bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => self.repaired(line.bytes),
        };
        self.decoded.columns = source.columns;
        decode::decode(&text, &self.rules.fields, &mut self.memory, &mut self.decoded);
        self.decoded.format = line.format.unwrap_or(self.decoded.format);
        self.apply(source, &text, 1, observed);
    }

    /// Converts bytes to text; replaces and counts invalid UTF-8.
    fn repaired<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        self.batch.invalid_utf8 += u64::from(matches!(text, Cow::Owned(_)));
        text
    }

    /// Decodes a frame and applies its effects.
    #[inline]
    fn record(&mut self, source: &mut Source, line: &str, lines: u64, observed: UnixNanos) {
        self.decoded.columns = source.columns;
        decode::decode(line, &self.rules.fields, &mut self.memory, &mut self.decoded);
        source.columns = self.decoded.columns;
        self.apply(source, line, lines, observed);
    }

    /// Completes the record of a request's end with what the line of its start says.
    #[cold]
    fn join_request(&mut self, line: &str, observed: UnixNanos) {
        let record = Record::new(line, &self.decoded, observed, Envelope::default());
        if let Some(ended) = self.effects.end_request(&record, &self.rules.routes) {
            let has_duration = record.seconds(field::DURATION).is_some();
            ended.complete(has_duration, &mut self.decoded);
        }
    }

    /// Applies all effects of a decoded record.
    #[inline]
    fn apply(&mut self, source: &mut Source, line: &str, lines: u64, observed: UnixNanos) {
        if std::mem::take(&mut self.lose_record) {
            return;
        }
        if self.decoded.malformed {
            self.batch.malformed += 1;
        }
        self.rules.add_aliases(&mut self.decoded);
        if self.effects.has_open_requests() && request::may_be_end(self.decoded.slots.present) {
            self.join_request(line, observed);
        }
        let record = Record::new(line, &self.decoded, observed, Envelope::default());
        let plan = self.plans.of(record.present(), &self.rules);
        let service = self.resource.service_name.as_str();
        let mut context = RecordContext {
            record: &record,
            service,
            routes: &self.rules.routes,
            phrase: None,
            captured: None,
        };
        let counts = &mut self.batch.health;
        let missing = self.effects.apply(&self.rules, plan, &mut context, source.id, counts);
        if source.recognition.count(missing) {
            let named = (source.id, source.input.name());
            source.recognition.decide(named, record.line(), missing, self.effects.health());
        }
        if self.skew_due
            && let Some(time) = self.effects.own_time(&record)
        {
            // Once a batch: the difference between the clock of the line and ours.
            let skew = observed.0 as i64 - time.0 as i64;
            self.telemetry.clock_skew.set(skew as f64 / 1e9);
            self.skew_due = false;
        }
        // Counted last, so that a record that does not get this far is missing in the ledger.
        self.batch.decoded[self.decoded.format as usize] += lines;
    }
}

impl FrameSink for Pipeline {
    /// Joins lines that belong together. The caller holds back lines that may still be continued
    /// (`frame::multiline::settled`).
    fn lines(&mut self, source: &mut Source, block: &[u8], observed: UnixNanos) {
        self.renew();
        if !self.enabled {
            return self.refuse(count::frames(block));
        }
        if let Some(passthrough) = &mut self.passthrough {
            passthrough.lines(block);
        }
        // Checks the whole block at once: lines end at newlines, so no character is split.
        let text = simdutf8::basic::from_utf8(block).ok();
        let mut at = 0;
        while at < block.len() {
            at = match text.and_then(|text| self.walked(source, text, at, observed)) {
                Some(end) => end,
                None => self.line(source, block, text, at, observed),
            };
        }
    }

    /// Copies the beginning of the line and records it; the line counts as decoded.
    fn oversized(&mut self, source: &mut Source, prefix: &[u8], bytes: u64, observed: UnixNanos) {
        if let Some(passthrough) = &mut self.passthrough {
            passthrough.oversized();
        }
        self.beginning(source, prefix, bytes, observed);
    }

    fn frame(&mut self, source: &mut Source, frame: Frame<'_>, observed: UnixNanos) {
        self.renew();
        if !self.enabled {
            return self.refuse(u64::from(!frame.bytes.is_empty()));
        }
        match frame.encoding {
            Encoding::Text if frame.is_cut() => {
                self.oversized(source, frame.bytes, frame.length, observed);
            }
            Encoding::Text => self.text(source, frame.bytes, observed),
            Encoding::Pickle
            | Encoding::Gzip
            | Encoding::Zlib
            | Encoding::Journal
            | Encoding::Forward => {
                self.encoded(source, &frame, observed);
            }
        }
    }

    /// Adds counters to telemetry, hands batches to the outboxes, and loads new rules.
    fn flush(&mut self, now: UnixNanos) {
        let dropped = self.effects.flush(now, self.batch.health);
        self.batch.evicted += dropped.evicted;
        self.batch.expired += dropped.expired;
        self.totals.add(&mut self.batch);
        if let Some(passthrough) = &mut self.passthrough {
            passthrough.flush();
        }
        self.skew_due = true;
        self.renew();
    }

    fn tick(&mut self, now: UnixNanos) -> bool {
        let some_wait = self.effects.tick(&self.rules, now);
        self.flush(now);
        some_wait
    }
}

/// Returns the length of a line without its line ending.
#[inline]
fn trimmed(line: &[u8]) -> usize {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\r'] => trimmed_further(line),
        [line @ .., b'\n'] => line.len(),
        line => line.len(),
    }
}

#[cold]
fn trimmed_further(line: &[u8]) -> usize {
    line.len() - line.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count()
}
