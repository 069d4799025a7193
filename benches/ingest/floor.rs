//! The same work as sidelight's, hand-written for the exact shape of each corpus: the baseline for
//! sidelight's figures. It uses no code of sidelight. It is portable safe Rust without vector
//! intrinsics. Unit: a block of whole lines.

pub(crate) mod access;
pub(crate) mod bytes;
pub(crate) mod cells;
pub(crate) mod json;
pub(crate) mod logfmt;
pub(crate) mod memo;
pub(crate) mod nested;
pub(crate) mod python;
pub(crate) mod template;

use crate::corpus::{SERVICE_DEFAULT, Shape};
use bytes::{ONES, Span, word1, words2, words4};
use cells::Cells;
use memo::{Effects, Key, Memo};

/// The fields of one line, as positions; an absent field has length 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fields {
    pub(crate) time: Span,
    pub(crate) level: Span,
    pub(crate) service: Span,
    pub(crate) body: Span,
    pub(crate) method: Span,
    pub(crate) path: Span,
    pub(crate) trace: Span,
    pub(crate) request: Span,
    /// Three digits as in the line; 0 if absent.
    pub(crate) status: u64,
    /// NaN if absent.
    pub(crate) seconds: f64,
}

/// The memo, the cells and the totals of all lines.
#[derive(Debug)]
pub(crate) struct Floor {
    /// Keys: status and lengths, method, level, service (2 words), path (4 words).
    requests: Memo<9>,
    /// Keys of lines without a service: status and lengths, method or level, path or function (4
    /// words).
    plain: Memo<6>,
    pub(crate) cells: Cells,
    /// Number of lines read.
    pub(crate) lines: u64,
    /// Positions of the fields that a span or an exemplar needs, combined, so that the compiler
    /// does not remove the search for them.
    pub(crate) located: u64,
}

impl Floor {
    pub(crate) fn new() -> Floor {
        Floor {
            requests: Memo::new(),
            plain: Memo::new(),
            cells: Cells::default(),
            lines: 0,
            located: 0,
        }
    }

    /// Processes the whole lines in `buf[..end]`; [`bytes::SLACK`] bytes of any content follow
    /// them.
    pub(crate) fn block(&mut self, shape: Shape, buf: &[u8], end: usize) {
        if simdutf8::basic::from_utf8(&buf[..end]).is_err() {
            return self.damaged(shape, &buf[..end]);
        }
        match shape {
            Shape::Access => access::lines(self, buf, end as u32),
            Shape::Logfmt => logfmt::lines(self, buf, end as u32),
            Shape::Python => python::lines(self, buf, end as u32),
            Shape::Nested => nested::lines(self, buf, end as u32),
            Shape::Json | Shape::Optional | Shape::Shuffled | Shape::ManySeries | Shape::Ids => {
                json::lines(self, buf, end as u32);
            }
            Shape::Klog | Shape::Spring | Shape::Serilog | Shape::Haproxy | Shape::Postgres => {}
        }
    }

    /// Returns whether the baseline has a hand-written reader for this shape.
    pub(crate) fn reads(shape: Shape) -> bool {
        !matches!(
            shape,
            Shape::Klog | Shape::Spring | Shape::Serilog | Shape::Haproxy | Shape::Postgres
        )
    }

    #[cold]
    fn damaged(&mut self, shape: Shape, block: &[u8]) {
        let mut repaired = String::from_utf8_lossy(block).into_owned().into_bytes();
        let end = repaired.len();
        repaired.resize(end + bytes::SLACK, 0);
        self.block(shape, &repaired, end);
    }

    /// Counts a request: one key finds all series.
    #[inline(always)]
    pub(crate) fn request(&mut self, buf: &[u8], fields: &Fields) {
        let f = fields;
        self.lines += 1;
        self.located = self.located.wrapping_add(u64::from(
            f.time.at ^ f.body.at ^ f.body.len ^ f.trace.at ^ f.request.at,
        ));
        if f.path.len > 32 || f.method.len > 8 || f.level.len > 8 || f.service.len > 16 {
            return self.request_long(buf, fields);
        }
        let path = words4(buf, f.path.at, f.path.len);
        if path.iter().fold(0, |all, word| all | digit_or_query(*word)) & bytes::HIGH != 0 {
            return self.request_templated(buf, fields);
        }
        let key = short_key(buf, fields, path, f.path.len);
        match self.requests.get(&key) {
            Some(effects) => self.apply(effects, f.seconds),
            None => self.first(key, buf, fields, f.path.of(buf)),
        }
    }

    /// Handles a path with a digit or a query: the template becomes the key.
    #[inline(never)]
    fn request_templated(&mut self, buf: &[u8], fields: &Fields) {
        let mut text = [0u8; template::BYTES_MAX + bytes::SLACK];
        let Some(len) = template::template(buf, fields.path, &mut text) else {
            return self.request_unkeyed(buf, fields);
        };
        let mut key = short_key(buf, fields, words4(&text, 0, len), len);
        if len > 32 {
            key.long = words4(&text, 32, len - 32);
        }
        match self.requests.get(&key) {
            Some(effects) => self.apply(effects, fields.seconds),
            None => self.first(key, buf, fields, &text[..len as usize]),
        }
    }

    #[inline(never)]
    fn request_long(&mut self, buf: &[u8], fields: &Fields) {
        if fields.method.len > 8 || fields.level.len > 8 || fields.service.len > 16 {
            self.request_unkeyed(buf, fields);
        } else {
            self.request_templated(buf, fields);
        }
    }

    /// Looks labels that are too long for a key up by name each time.
    #[cold]
    fn request_unkeyed(&mut self, buf: &[u8], fields: &Fields) {
        let effects = self.effects(buf, fields, fields.path.of(buf));
        self.apply(effects, fields.seconds);
    }

    #[cold]
    fn first(&mut self, key: Key<9>, buf: &[u8], fields: &Fields, path: &[u8]) {
        let effects = self.effects(buf, fields, path);
        self.requests.put(key, effects);
        self.apply(effects, fields.seconds);
    }

    /// Returns the series of a request by name.
    fn effects(&mut self, buf: &[u8], fields: &Fields, path: &[u8]) -> Effects {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let service = match fields.service.of(buf) {
            b"" => SERVICE_DEFAULT.to_owned(),
            written => text(written),
        };
        let level = level_name(fields.level.of(buf));
        let log = format!("log_records_total{{service=\"{service}\",level=\"{level}\"}}");
        let mut effects = Effects { log: self.cells.counter(log), ..Effects::default() };
        if fields.method.len == 0 || fields.path.len == 0 {
            return effects;
        }
        let endpoint = text(&template::template_long(path));
        let labels = format!("method=\"{}\",endpoint=\"{endpoint}\"", text(fields.method.of(buf)));
        if fields.status != 0 {
            let status = text(&fields.status.to_le_bytes()[..3]);
            let name = format!("http_requests_total{{{labels},status_code=\"{status}\"}}");
            effects.counter = self.cells.counter(name);
        }
        effects.histogram = self.cells.histogram("http_request_duration_seconds", labels);
        effects
    }

    #[inline(always)]
    fn apply(&mut self, effects: Effects, seconds: f64) {
        self.cells.count(effects.counter);
        self.cells.count(effects.log);
        if !seconds.is_nan() {
            self.cells.observe(effects.histogram, seconds);
        }
    }

    /// Counts a text line, and the function that it names, if any: `fields.path` holds the name.
    #[inline(always)]
    pub(crate) fn record(&mut self, buf: &[u8], fields: &Fields) {
        let f = fields;
        self.lines += 1;
        self.located = self.located.wrapping_add(u64::from(f.time.at ^ f.body.at ^ f.body.len));
        if f.path.len > 32 || f.level.len > 8 {
            let effects = self.record_effects(buf, fields);
            return self.apply(effects, f.seconds);
        }
        let key = plain_key(buf, f.level, f.path, 0);
        let effects = if let Some(effects) = self.plain.get(&key) {
            effects
        } else {
            let effects = self.record_effects(buf, fields);
            self.plain.put(key, effects);
            effects
        };
        self.apply(effects, f.seconds);
    }

    /// Counts a request of a line that has neither level nor service, such as nginx'.
    #[inline(always)]
    pub(crate) fn access(&mut self, buf: &[u8], fields: &Fields) {
        let f = fields;
        self.lines += 1;
        self.located = self.located.wrapping_add(u64::from(f.time.at));
        // for as long as the raw path can be the key of the memo
        if f.path.len <= 32 && f.method.len <= 8 {
            let key = plain_key(buf, f.method, f.path, f.status);
            let words = [key.short[2], key.short[3], key.short[4], key.short[5]];
            if words.iter().fold(0, |all, word| all | digit_or_query(*word)) & bytes::HIGH == 0 {
                let effects = if let Some(effects) = self.plain.get(&key) {
                    effects
                } else {
                    let effects = self.effects(buf, fields, f.path.of(buf));
                    self.plain.put(key, effects);
                    effects
                };
                return self.apply(effects, f.seconds);
            }
        }
        self.request_long(buf, fields);
    }

    #[cold]
    fn record_effects(&mut self, buf: &[u8], fields: &Fields) -> Effects {
        let level = level_name(fields.level.of(buf));
        let log = format!("log_records_total{{service=\"{SERVICE_DEFAULT}\",level=\"{level}\"}}");
        let mut effects = Effects { log: self.cells.counter(log), ..Effects::default() };
        if fields.path.len > 0 {
            let function = String::from_utf8_lossy(fields.path.of(buf)).into_owned();
            let labels = format!("function=\"{function}\"");
            effects.counter = self.cells.counter(format!("function_calls_total{{{labels}}}"));
            effects.histogram = self.cells.histogram("function_duration_seconds", labels);
        }
        effects
    }
}

#[inline(always)]
fn short_key(buf: &[u8], f: &Fields, path: [u64; 4], path_len: u32) -> Key<9> {
    let service = words2(buf, f.service.at, f.service.len);
    let rest = f.status | u64::from(path_len) << 32 | u64::from(f.service.len) << 48;
    Key {
        short: [
            rest,
            word1(buf, f.method.at, f.method.len),
            word1(buf, f.level.at, f.level.len),
            service[0],
            service[1],
            path[0],
            path[1],
            path[2],
            path[3],
        ],
        long: [0; 4],
    }
}

#[inline(always)]
fn plain_key(buf: &[u8], name: Span, path: Span, status: u64) -> Key<6> {
    let words = words4(buf, path.at, path.len);
    let rest = status | u64::from(path.len) << 32;
    let name = word1(buf, name.at, name.len);
    Key { short: [rest, name, words[0], words[1], words[2], words[3]], long: [0; 4] }
}

/// The high bit of every byte from `0` to `?`: all digits, the question mark, and six rare
/// characters.
#[inline(always)]
fn digit_or_query(word: u64) -> u64 {
    let x = (word & (0xF0 * ONES)) ^ (0x30 * ONES);
    x.wrapping_sub(ONES) & !x
}

fn level_name(written: &[u8]) -> &'static str {
    match written.to_ascii_lowercase().as_slice() {
        b"trace" => "TRACE",
        b"debug" => "DEBUG",
        b"info" => "INFO",
        b"warn" | b"warning" => "WARN",
        b"error" => "ERROR",
        b"fatal" | b"critical" => "FATAL",
        _ => "UNSPECIFIED",
    }
}
