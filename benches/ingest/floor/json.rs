//! Hand-written JSON. The keys are tried as literals in the order in which the application writes
//! them; if another key follows, members are read one by one. Anything less common (escapes in a
//! label, values of another type, damage) goes to a full parser.

use super::bytes::{
    KEEP_16, Span, TENS, decimal, goes_on, literal, load, string_end, string_stops_16,
    three_digits, word,
};
use super::{Fields, Floor};

/// Known members; 0 is any other one.
const TIME: u8 = 1;
const LEVEL: u8 = 2;
const SERVICE: u8 = 3;
const BODY: u8 = 4;
const METHOD: u8 = 5;
const PATH: u8 = 6;
const TRACE: u8 = 7;
const REQUEST: u8 = 8;
/// Members from this one on are numbers.
const STATUS: u8 = 9;
const DURATION: u8 = 10;
const KNOWN: usize = 11;

/// Processes all lines of a block.
pub(crate) fn lines(floor: &mut Floor, buf: &[u8], end: u32) {
    let mut at = 0;
    while at < end {
        let mut fields = Fields { seconds: f64::NAN, ..Fields::default() };
        at = match line(buf, at, &mut fields) {
            Some(next) => {
                floor.request(buf, &fields);
                next
            }
            None => strange(floor, &buf[..end as usize], at),
        };
    }
}

/// Processes one line; returns None if the full parser is needed.
#[inline(always)]
fn line(buf: &[u8], start: u32, f: &mut Fields) -> Option<u32> {
    let mut at = start;
    // one other member may precede the expected one; `rest` reads lines with more of them
    macro_rules! expect {
        ($literal:literal) => {
            if !literal(buf, at, $literal) {
                at = other(buf, at, f)?;
                if !literal(buf, at, $literal) {
                    return rest(buf, at, b',', f);
                }
            }
            at += $literal.len() as u32;
        };
    }
    macro_rules! string {
        ($literal:literal, $field:ident, $len:literal) => {
            expect!($literal);
            let stop = string_end_near::<$len>(buf, at);
            if buf[stop as usize] != b'"' {
                return None;
            }
            f.$field = Span::between(at, stop);
            at = stop + 1;
        };
    }
    if literal(buf, at, b"{\"timestamp\":\"") {
        at += 14;
        let stop = string_end_near::<24>(buf, at);
        if buf[stop as usize] != b'"' {
            return None;
        }
        f.time = Span::between(at, stop);
        at = stop + 1;
    } else {
        return rest(buf, at, b'{', f);
    }
    string!(b",\"level\":\"", level, 0);
    string!(b",\"service\":\"", service, 0);
    expect!(b",\"logger\":\"");
    at = text(buf, at)?;
    expect!(b",\"message\":\"");
    let stop = text(buf, at)?;
    f.body = Span::between(at, stop - 1);
    at = stop;
    string!(b",\"method\":\"", method, 0);
    string!(b",\"path\":\"", path, 0);
    expect!(b",\"status_code\":");
    f.status = three_digits(word(buf, at));
    if f.status == 0 {
        return None;
    }
    at += 3;
    expect!(b",\"duration_ms\":");
    let number = decimal(word(buf, at))?;
    f.seconds = number.digits as f64 / (TENS[number.fraction as usize] * 1e3);
    at += number.len;
    string!(b",\"trace_id\":\"", trace, 32);
    string!(b",\"request_id\":\"", request, 36);
    expect!(b",\"client_ip\":\"");
    at = text(buf, at)?;
    if literal(buf, at, b"}\n") { Some(at + 2) } else { rest(buf, at, b',', f) }
}

/// Finds the end of a string that usually has `LEN` bytes.
#[inline(always)]
pub(crate) fn string_end_near<const LEN: usize>(buf: &[u8], at: u32) -> u32 {
    if LEN > 0 && goes_on::<LEN>(buf, at, false) && buf[at as usize + LEN] == b'"' {
        return at + LEN as u32;
    }
    string_end(buf, at)
}

/// Returns the position after the closing quote of a string that does not need to be unescaped.
#[inline(always)]
pub(crate) fn text(buf: &[u8], at: u32) -> Option<u32> {
    let stop = string_end(buf, at);
    if buf[stop as usize] == b'"' { Some(stop + 1) } else { text_escaped(buf, stop) }
}

/// Like the above, from a backslash on; checks the escapes.
#[inline(never)]
fn text_escaped(buf: &[u8], mut at: u32) -> Option<u32> {
    loop {
        match buf[at as usize] {
            b'"' => return Some(at + 1),
            b'\\' => match buf[at as usize + 1] {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                // surrogates must come in pairs: left to the full parser
                _ => return None,
            },
            _ => return None,
        }
        at = string_end(buf, at);
    }
}

/// Returns a key of at most 16 bytes as one number, padded with zeros.
const fn key(text: &[u8]) -> u128 {
    let mut word = [0u8; 16];
    let mut i = 0;
    while i < text.len() {
        word[i] = text[i];
        i += 1;
    }
    u128::from_le_bytes(word)
}

const KEYS: [(&[u8], u8); KNOWN - 1] = [
    (b"timestamp", TIME),
    (b"level", LEVEL),
    (b"service", SERVICE),
    (b"message", BODY),
    (b"method", METHOD),
    (b"path", PATH),
    (b"trace_id", TRACE),
    (b"request_id", REQUEST),
    (b"status_code", STATUS),
    (b"duration_ms", DURATION),
];

/// Returns the index of a key in `SLOTS`: first letter and length distinguish the known keys.
#[inline(always)]
const fn slot(first: u8, len: u32) -> usize {
    (first as usize + 3 * len as usize) & 31
}

static SLOTS: [(u128, u8); 32] = {
    let mut slots = [(u128::MAX, 0); 32];
    let mut i = 0;
    while i < KEYS.len() {
        let (text, number) = KEYS[i];
        let at = slot(text[0], text.len() as u32);
        assert!(slots[at].1 == 0, "two keys in one place");
        slots[at] = (key(text), number);
        i += 1;
    }
    slots
};

/// Reads one member in place of the expected one.
#[inline(never)]
fn other(buf: &[u8], at: u32, f: &mut Fields) -> Option<u32> {
    let mut spans = [Span::default(); KNOWN];
    if buf[at as usize] != b',' {
        return None;
    }
    let (number, at) = member(buf, at, &mut spans, f)?;
    if number != 0 {
        settle(&spans, 1 << number, f);
    }
    Some(at)
}

/// Reads all members to the end of the line. `opens`, a comma or the brace, is the byte at `at`.
#[inline(never)]
fn rest(buf: &[u8], mut at: u32, opens: u8, f: &mut Fields) -> Option<u32> {
    if buf[at as usize] != opens {
        return None;
    }
    let mut spans = [Span::default(); KNOWN];
    let mut seen = 0u32;
    loop {
        let (number, next) = member(buf, at, &mut spans, f)?;
        seen |= 1 << number;
        at = next;
        if buf[at as usize] != b',' {
            break;
        }
    }
    settle(&spans, seen, f);
    literal(buf, at, b"}\n").then_some(at + 2)
}

fn settle(spans: &[Span; KNOWN], seen: u32, f: &mut Fields) {
    let pick = |number: u8, old: Span| {
        if seen >> number & 1 == 1 { spans[number as usize] } else { old }
    };
    f.time = pick(TIME, f.time);
    f.level = pick(LEVEL, f.level);
    f.service = pick(SERVICE, f.service);
    f.body = pick(BODY, f.body);
    f.method = pick(METHOD, f.method);
    f.path = pick(PATH, f.path);
    f.trace = pick(TRACE, f.trace);
    f.request = pick(REQUEST, f.request);
}

/// Reads one member, known or not, from the comma or brace before it; returns its number and its
/// end.
#[inline(always)]
fn member(buf: &[u8], at: u32, spans: &mut [Span; KNOWN], f: &mut Fields) -> Option<(u8, u32)> {
    let start = at + 2;
    let written = u128::from_le_bytes(load::<16>(buf, start));
    let near = string_stops_16(written).trailing_zeros() / 8;
    let stop = if near < 16 { start + near } else { string_end(buf, start + 16) };
    if buf[at as usize + 1] != b'"' || !literal(buf, stop, b"\":") {
        return None;
    }
    let len = (stop - start).min(16);
    let (known, number) = SLOTS[slot(buf[start as usize], len)];
    let keep = KEEP_16[len as usize];
    let number = if written & keep == known && near < 16 { number } else { 0 };
    let at = stop + 2;
    if buf[at as usize] == b'"' && number < STATUS {
        let at = at + 1;
        let mut stop = string_end(buf, at);
        if buf[stop as usize] != b'"' {
            // the bytes of a label with an escape differ from its value
            if matches!(number, LEVEL | SERVICE | METHOD | PATH) {
                return None;
            }
            stop = text_escaped(buf, stop)? - 1;
        }
        spans[number as usize] = Span::between(at, stop);
        return Some((number, stop + 1));
    }
    match number {
        0 => Some((0, value(buf, at)?)),
        STATUS => {
            f.status = three_digits(word(buf, at));
            (f.status != 0).then_some((number, at + 3))
        }
        DURATION => {
            let read = decimal(word(buf, at))?;
            f.seconds = read.digits as f64 / (TENS[read.fraction as usize] * 1e3);
            Some((number, at + read.len))
        }
        _ => None,
    }
}

/// Skips an unused value.
fn value(buf: &[u8], at: u32) -> Option<u32> {
    match buf[at as usize] {
        b'"' => text(buf, at + 1),
        b'-' | b'0'..=b'9' => number(buf, at),
        b't' if literal(buf, at, b"true") => Some(at + 4),
        b'f' if literal(buf, at, b"false") => Some(at + 5),
        b'n' if literal(buf, at, b"null") => Some(at + 4),
        _ => None,
    }
}

/// Skips a number according to JSON's grammar.
fn number(buf: &[u8], at: u32) -> Option<u32> {
    let digits = |mut at: usize| {
        let from = at;
        while buf[at].is_ascii_digit() {
            at += 1;
        }
        (at > from).then_some(at)
    };
    let mut at = at as usize + usize::from(buf[at as usize] == b'-');
    at = if buf[at] == b'0' { at + 1 } else { digits(at)? };
    if buf[at] == b'.' {
        at = digits(at + 1)?;
    }
    if buf[at] | 0x20 == b'e' {
        at = digits(at + 1 + usize::from(matches!(buf[at + 1], b'+' | b'-')))?;
    }
    Some(at as u32)
}

/// Processes a line with the full parser: parses it into a tree, and writes its fields as plain
/// text.
#[cold]
pub(crate) fn strange(floor: &mut Floor, block: &[u8], start: u32) -> u32 {
    let rest = &block[start as usize..];
    let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let next = (start as usize + len + 1).min(block.len()) as u32;
    let Ok(tree) = serde_json::from_slice::<serde_json::Value>(&rest[..len]) else {
        floor.lines += u64::from(len > 0);
        return next;
    };
    let get = |key: &str| tree.get(key).or_else(|| tree.get("data").and_then(|data| data.get(key)));
    let mut text = Vec::new();
    let mut span = |key: &str| {
        let value = get(key).and_then(|value| value.as_str()).unwrap_or("");
        let at = text.len() as u32;
        text.extend_from_slice(value.as_bytes());
        Span { at, len: value.len() as u32 }
    };
    let mut fields = Fields {
        time: span("timestamp"),
        level: span("level"),
        service: span("service"),
        body: span("message"),
        method: span("method"),
        path: span("path"),
        trace: span("trace_id"),
        request: span("request_id"),
        status: 0,
        seconds: f64::NAN,
    };
    text.resize(text.len() + super::bytes::SLACK, 0);
    if let Some(status @ 100..=999) = get("status_code").and_then(serde_json::Value::as_u64) {
        fields.status = three_digits(word(format!("{status}     ").as_bytes(), 0));
    }
    if let Some(ms) = get("duration_ms").and_then(serde_json::Value::as_f64) {
        fields.seconds = ms / 1e3;
    }
    floor.request(&text, &fields);
    next
}
