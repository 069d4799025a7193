//! Summarises a file: the share of records by format, how many have a level and a time, and an
//! example of each kind of record that is not understood. Memory is bounded: one block of lines and
//! a limited number of kinds. Unit: one file.

use crate::app::compose::zone;
use crate::cli::lines::{self, Records};
use crate::cli::style::Style;
use crate::clock::{Clock, UnixNanos};
use crate::config::settings::Config;
use crate::decode::access::w3c;
use crate::decode::outline::outline;
use crate::decode::time::{MinuteCache, Zone};
use crate::decode::{Memory, decode, time};
use crate::encoding::is_deceptive;
use crate::order;
use crate::pipeline::explanation;
use crate::record::{Decoded, Envelope, Format, Record, field};
use crate::rules::set::RuleSet;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// How many kinds are kept; records of further kinds are only counted.
const KINDS_MAX: usize = 1_000;

/// How many kinds are shown, the most frequent first.
const KINDS_SHOWN_MAX: usize = 20;

/// How much of an example is shown, in characters.
const EXAMPLE_CHARS_MAX: usize = 300;

/// The records of one format.
#[derive(Clone, Copy, Default, Debug)]
struct Share {
    records: u64,
    with_level: u64,
    with_time: u64,
    requests: u64,
}

/// A kind of record that is not understood: what it lacks, and its outline.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct RecordOutline {
    lacks: &'static str,
    outline: String,
}

/// How often a kind occurs, and its first record.
#[derive(Debug)]
struct Example {
    count: u64,
    line: u64,
    text: String,
}

/// The state of a summary.
#[derive(Debug)]
struct Summary<'a> {
    rules: &'a RuleSet,
    zone: Zone,
    now: UnixNanos,
    memory: Memory,
    decoded: Decoded,
    minute: MinuteCache,
    lines: u64,
    shares: [Share; Format::ALL.len()],
    kinds: HashMap<RecordOutline, Example>,
    /// Records of kinds above the limit.
    further: u64,
}

/// Reads a file, or standard input for `-`, and returns the summary as text.
///
/// # Errors
/// The file cannot be read.
pub(super) fn summarise(
    path: &Path,
    style: Style,
    config: &Config,
    rules: &RuleSet,
) -> io::Result<String> {
    let mut summary = Summary {
        rules,
        zone: zone(&config.time_zone),
        now: Clock::system().now(),
        memory: Memory::new(&rules.formats),
        decoded: Decoded::new(),
        minute: MinuteCache::default(),
        lines: 0,
        shares: Default::default(),
        kinds: HashMap::new(),
        further: 0,
    };
    lines::read(path, style, |block| summary.feed(block))?;
    Ok(summary.text())
}

impl Summary<'_> {
    /// Adds whole lines.
    fn feed(&mut self, block: &[u8]) {
        let mut records = Records::new(block);
        while let Some(record) = records.next(&mut self.memory.formats) {
            let frame = String::from_utf8_lossy(record);
            let line = frame.trim_end_matches(['\n', '\r']);
            if !line.is_empty() {
                self.add(line);
            }
            self.lines += memchr::memchr_iter(b'\n', record).count().max(1) as u64;
        }
    }

    fn add(&mut self, line: &str) {
        decode(line, &self.rules.fields, &mut self.memory, &mut self.decoded);
        let record = Record::new(line, &self.decoded, self.now, Envelope::default());
        let has_level = record.severity().0 != 0;
        let is_request = explanation::is_request(&record);
        let own = record.text(field::TIMESTAMP);
        let has_time =
            own.is_some_and(|t| time::parse(t, &self.zone, self.now, &mut self.minute).is_some());
        let share = &mut self.shares[self.decoded.format as usize];
        share.records += 1;
        share.with_level += u64::from(has_level);
        share.with_time += u64::from(has_time);
        share.requests += u64::from(is_request);
        // names the columns of other lines
        if self.decoded.format != Format::Own && w3c::is_directive(line) {
            return;
        }
        // the line of a request has its status in place of a level
        let lacks = match (has_level || is_request, has_time) {
            (true, true) => return,
            (false, false) => "level and time",
            (false, true) => "level",
            (true, false) => "time",
        };
        let kind = RecordOutline { lacks, outline: outline(record.line()) };
        if let Some(example) = self.kinds.get_mut(&kind) {
            example.count += 1;
        } else if self.kinds.len() < KINDS_MAX {
            let text = line.chars().take(EXAMPLE_CHARS_MAX);
            let text: String = text.flat_map(|c| escaped(c).collect::<Vec<_>>()).collect();
            self.kinds.insert(kind, Example { count: 1, line: self.lines + 1, text });
        } else {
            self.further += 1;
        }
    }

    fn text(&self) -> String {
        let all = self.shares.iter().fold(Share::default(), |sum, share| Share {
            records: sum.records + share.records,
            with_level: sum.with_level + share.with_level,
            with_time: sum.with_time + share.with_time,
            requests: sum.requests + share.requests,
        });
        let mut out = format!("{} records in {} lines\n\n", all.records, self.lines);
        out.push_str("format     records     share     level      time  requests\n");
        for (format, share) in Format::ALL.iter().zip(&self.shares) {
            if share.records > 0 {
                row(&mut out, format.name(), share, all.records);
            }
        }
        row(&mut out, "all", &all, all.records);
        self.examples(&mut out);
        out
    }

    fn examples(&self, out: &mut String) {
        let mut kinds: Vec<(&RecordOutline, &Example)> = self.kinds.iter().collect();
        if kinds.is_empty() {
            return;
        }
        order::sort_by_key(&mut kinds, |(_, example)| {
            (std::cmp::Reverse(example.count), example.line)
        });
        out.push_str("\nnot understood, one example of each kind:\n");
        for (kind, example) in kinds.iter().take(KINDS_SHOWN_MAX) {
            let RecordOutline { lacks, outline } = kind;
            let Example { count, line, text } = example;
            // writing to a string does not fail
            let _ = writeln!(
                out,
                "\n{count} records without {lacks}: {outline}\n  line {line}: {text}"
            );
        }
        let hidden = kinds.iter().skip(KINDS_SHOWN_MAX).map(|(_, example)| example.count);
        let (hidden, others) =
            (hidden.sum::<u64>() + self.further, kinds.len().saturating_sub(KINDS_SHOWN_MAX));
        if hidden > 0 {
            let more = if self.further > 0 { " at least" } else { "" };
            let _ = writeln!(out, "\n{hidden} records of{more} {others} further kinds");
        }
        out.push_str(
            "\n`sidelight explain LINE` shows which readers were tried on a\nline and why they \
             declined.\n",
        );
    }
}

fn row(out: &mut String, name: &str, share: &Share, all: u64) {
    let percent = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 };
    let (level, time) =
        (percent(share.with_level, share.records), percent(share.with_time, share.records));
    let part = percent(share.records, all);
    // writing to a string does not fail
    let _ = writeln!(
        out,
        "{name:<8}{:>10}{part:>8.1} %{level:>8.1} %{time:>8.1} %{:>10}",
        share.records, share.requests
    );
}

/// Escapes what would control a terminal.
fn escaped(character: char) -> Box<dyn Iterator<Item = char>> {
    if is_deceptive(character) {
        Box::new(character.escape_default())
    } else {
        Box::new(std::iter::once(character))
    }
}
