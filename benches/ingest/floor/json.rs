//! JSON by hand. The keys are tried in the order in which the application writes them, each as one literal;
//! where another stands, members are read one by one until the expected one comes. What is stranger than
//! that (escapes in a label, values of another type, damage) goes to a full parser.

use super::bytes::{Span, TENS, decimal, literal, load, string_end, three_digits, word};
use super::{Fields, Floor};

/// Members that are known, as bits of what was seen.
pub(crate) const TIME: u32 = 1;
pub(crate) const LEVEL: u32 = 2;
pub(crate) const SERVICE: u32 = 4;
const LOGGER: u32 = 8;
const BODY: u32 = 16;
const METHOD: u32 = 32;
const PATH: u32 = 64;
const STATUS: u32 = 128;
const DURATION: u32 = 256;
const TRACE: u32 = 512;
const REQUEST: u32 = 1024;
const CLIENT: u32 = 2048;

/// Reads all lines of a block.
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

/// Reads one line; None: it needs the full parser.
#[inline(always)]
fn line(buf: &[u8], start: u32, f: &mut Fields) -> Option<u32> {
    let mut seen = 0;
    let mut at = start;
    // 1: the cursor stands behind the literal; 0: the member was met before, or is not in the line
    macro_rules! expect {
        ($bit:expr, $literal:literal) => {
            if seen & $bit != 0 {
                false
            } else if literal(buf, at, $literal) {
                at += $literal.len() as u32;
                true
            } else {
                at = others(buf, at, $bit, &mut seen, f)?;
                if seen & $bit != 0 || buf[at as usize] == b'}' {
                    false
                } else {
                    at += $literal.len() as u32;
                    true
                }
            }
        };
    }
    macro_rules! string {
        ($bit:expr, $literal:literal, $field:ident, $len:literal) => {
            if expect!($bit, $literal) {
                let stop = string_end_near::<$len>(buf, at);
                if buf[stop as usize] != b'"' {
                    return None;
                }
                f.$field = Span::between(at, stop);
                at = stop + 1;
            }
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
        at = first_member(buf, at, &mut seen, f)?;
        string!(TIME, b",\"timestamp\":\"", time, 24);
    }
    string!(LEVEL, b",\"level\":\"", level, 0);
    string!(SERVICE, b",\"service\":\"", service, 0);
    if expect!(LOGGER, b",\"logger\":\"") {
        at = text(buf, at)?;
    }
    if expect!(BODY, b",\"message\":\"") {
        let stop = text(buf, at)?;
        f.body = Span::between(at, stop - 1);
        at = stop;
    }
    string!(METHOD, b",\"method\":\"", method, 0);
    string!(PATH, b",\"path\":\"", path, 0);
    if expect!(STATUS, b",\"status_code\":") {
        f.status = three_digits(word(buf, at));
        if f.status == 0 {
            return None;
        }
        at += 3;
    }
    if expect!(DURATION, b",\"duration_ms\":") {
        let number = decimal(word(buf, at))?;
        f.seconds = number.digits as f64 / (TENS[number.fraction as usize] * 1e3);
        at += number.len;
    }
    string!(TRACE, b",\"trace_id\":\"", trace, 32);
    string!(REQUEST, b",\"request_id\":\"", request, 36);
    if expect!(CLIENT, b",\"client_ip\":\"") {
        at = text(buf, at)?;
    }
    if !literal(buf, at, b"}\n") {
        at = others(buf, at, 0, &mut seen, f)?;
        if !literal(buf, at, b"}\n") {
            return None;
        }
    }
    Some(at + 2)
}

/// The end of a string that mostly has `LEN` bytes.
#[inline(always)]
pub(crate) fn string_end_near<const LEN: usize>(buf: &[u8], at: u32) -> u32 {
    if LEN > 0 {
        let bytes = load::<LEN>(buf, at);
        let stops = |b: u8| (b == b'"') | (b == b'\\') | (b < 0x20);
        let any = bytes.iter().fold(0u8, |all, b| all | u8::from(stops(*b)));
        if any == 0 && buf[at as usize + LEN] == b'"' {
            return at + LEN as u32;
        }
    }
    string_end(buf, at)
}

/// Behind the closing quote of a string that nobody needs unescaped.
#[inline(always)]
pub(crate) fn text(buf: &[u8], at: u32) -> Option<u32> {
    let stop = string_end(buf, at);
    if buf[stop as usize] == b'"' { Some(stop + 1) } else { text_escaped(buf, stop) }
}

/// The same from a backslash on; escapes are checked.
#[inline(never)]
fn text_escaped(buf: &[u8], mut at: u32) -> Option<u32> {
    loop {
        match buf[at as usize] {
            b'"' => return Some(at + 1),
            b'\\' => match buf[at as usize + 1] {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                // surrogates have to come in pairs: the full parser's
                _ => return None,
            },
            _ => return None,
        }
        at = string_end(buf, at);
    }
}

/// Key and word of a key of at most 16 bytes, for one comparison.
const fn key(text: &[u8]) -> u128 {
    let mut word = [0u8; 16];
    let mut i = 0;
    while i < text.len() {
        word[i] = text[i];
        i += 1;
    }
    u128::from_le_bytes(word)
}

const KEY_TIME: u128 = key(b"timestamp");
const KEY_LEVEL: u128 = key(b"level");
const KEY_SERVICE: u128 = key(b"service");
const KEY_LOGGER: u128 = key(b"logger");
const KEY_BODY: u128 = key(b"message");
const KEY_METHOD: u128 = key(b"method");
const KEY_PATH: u128 = key(b"path");
const KEY_STATUS: u128 = key(b"status_code");
const KEY_DURATION: u128 = key(b"duration_ms");
const KEY_TRACE: u128 = key(b"trace_id");
const KEY_REQUEST: u128 = key(b"request_id");
const KEY_CLIENT: u128 = key(b"client_ip");

#[inline(always)]
fn known(word: u128) -> u32 {
    match word {
        KEY_TIME => TIME,
        KEY_LEVEL => LEVEL,
        KEY_SERVICE => SERVICE,
        KEY_LOGGER => LOGGER,
        KEY_BODY => BODY,
        KEY_METHOD => METHOD,
        KEY_PATH => PATH,
        KEY_STATUS => STATUS,
        KEY_DURATION => DURATION,
        KEY_TRACE => TRACE,
        KEY_REQUEST => REQUEST,
        KEY_CLIENT => CLIENT,
        _ => 0,
    }
}

fn first_member(buf: &[u8], at: u32, seen: &mut u32, f: &mut Fields) -> Option<u32> {
    if buf[at as usize] == b'{' { member(buf, at, seen, f) } else { None }
}

/// Reads members until the next one is `wanted`, or the object ends. Stands at a comma or at the brace.
#[inline(never)]
fn others(buf: &[u8], mut at: u32, wanted: u32, seen: &mut u32, f: &mut Fields) -> Option<u32> {
    loop {
        match buf[at as usize] {
            b'}' => return Some(at),
            b',' => {}
            _ => return None,
        }
        let (next, _) = key_at(buf, at)?;
        if next & wanted != 0 {
            // `expect` jumps over the literal: only where it is one
            let opens = buf[at as usize + 2 + key_len(wanted)..].starts_with(b"\":");
            let quoted = wanted & (STATUS | DURATION) == 0;
            let quote = buf[at as usize + 4 + key_len(wanted)] == b'"';
            return if opens && quoted == quote { Some(at) } else { None };
        }
        at = member(buf, at, seen, f)?;
    }
}

fn key_len(bit: u32) -> usize {
    match bit {
        PATH => 4,
        LEVEL => 5,
        LOGGER | METHOD => 6,
        SERVICE | BODY => 7,
        TRACE => 8,
        TIME | CLIENT => 9,
        REQUEST => 10,
        _ => 11,
    }
}

/// The key behind a comma or a brace: its bit, and where its closing quote stands.
#[inline(always)]
fn key_at(buf: &[u8], at: u32) -> Option<(u32, u32)> {
    let start = at + 2;
    let stop = string_end(buf, start);
    if buf[at as usize + 1] != b'"' || buf[stop as usize] != b'"' {
        return None;
    }
    let len = stop - start;
    let bit = if len <= 16 {
        let keep = if len == 16 { u128::MAX } else { (1u128 << (8 * len)) - 1 };
        known(u128::from_le_bytes(load::<16>(buf, start)) & keep)
    } else {
        0
    };
    Some((bit, stop))
}

/// Reads one member, known or not.
#[inline(never)]
fn member(buf: &[u8], at: u32, seen: &mut u32, f: &mut Fields) -> Option<u32> {
    let (bit, stop) = key_at(buf, at)?;
    if buf[stop as usize + 1] != b':' {
        return None;
    }
    let at = stop + 2;
    *seen |= bit;
    if bit == STATUS {
        f.status = three_digits(word(buf, at));
        return if f.status == 0 { None } else { Some(at + 3) };
    }
    if bit == DURATION {
        let number = decimal(word(buf, at))?;
        f.seconds = number.digits as f64 / (TENS[number.fraction as usize] * 1e3);
        return Some(at + number.len);
    }
    if bit == 0 {
        return value(buf, at);
    }
    if buf[at as usize] != b'"' {
        return None;
    }
    let at = at + 1;
    let stop = text(buf, at)?;
    let span = Span::between(at, stop - 1);
    match bit {
        TIME => f.time = span,
        LEVEL => f.level = span,
        SERVICE => f.service = span,
        BODY => f.body = span,
        METHOD => f.method = span,
        PATH => f.path = span,
        TRACE => f.trace = span,
        REQUEST => f.request = span,
        _ => {}
    }
    // a label with an escape in it is not what its bytes say
    if bit & (LEVEL | SERVICE | METHOD | PATH) != 0 && span.of(buf).contains(&b'\\') {
        return None;
    }
    Some(stop)
}

/// Walks over a value that nobody wants.
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

/// Walks over a number, as JSON's grammar has it.
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

/// A line for the full parser: parsed into a tree, and its fields written out again as plain text.
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
