//! Resolves what the keys of a structured line mean together. If the value of the best key of a
//! field is unreadable, the next key is used; a bare number gets the unit that its framework
//! defines; a request in one text is split. It examines a line closely only if something about it
//! is unusual, and does not allocate once the scratch buffer is warm. Unit: one line.

use super::text;
use crate::record::dictionary::DICTIONARY;
use crate::record::field::{
    BODY, DB_QUERY, DURATION, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE, FRAMEWORK,
    FieldId, FieldTable, HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS, PYTHON_LEVEL, REQUEST_ID,
    REQUEST_LINE, SERVICE, SEVERITY, SEVERITY_NUMBER, STANDARD, TIMESTAMP, TRACE_ID, URL_PATH,
    Unit,
};
use crate::record::sentinel::is_sentinel;
use crate::record::severity::Severity;
use crate::record::slots::{SlotValue, ValueBuffer, ValueKind};
use crate::record::{Decoded, number};

/// Fields that always need closer examination.
const RARE: u64 = REQUEST_LINE.bit()
    | FRAMEWORK.bit()
    | EXCEPTION_TYPE.bit()
    | EXCEPTION_MESSAGE.bit()
    | EXCEPTION_STACKTRACE.bit();

const LEVELS: u64 = SEVERITY.bit() | SEVERITY_NUMBER.bit() | PYTHON_LEVEL.bit();

/// Fields that name a request: a line that has one of them describes its request in keys. A status
/// alone does not (Django's runserver adds one to the access line in its message).
const REQUEST: u64 =
    HTTP_METHOD.bit() | HTTP_ROUTE.bit() | URL_PATH.bit() | REQUEST_LINE.bit() | DB_QUERY.bit();

/// Returns the rank from which a key of the field comes from the dictionary, or is inside a
/// wrapper.
const fn dictionary_rank(field: FieldId) -> u8 {
    (2 * STANDARD[field.0 as usize].1.len()) as u8
}

/// The rank of values that come from a request line: worse than every key at the top level.
const TAKEN_APART: u8 = 126;

/// Resolves the keys of a line. Positions in `into` refer to `line`.
#[inline]
pub(super) fn resolve(line: &str, wanted: &FieldTable, into: &mut Decoded) {
    if into.slots.present & (BODY.bit() | REQUEST) == BODY.bit() {
        request_in_message(line, into);
    }
    if line.starts_with("type=") || line.starts_with("node=") {
        audit_time(line, into);
    }
    if is_usual(line, wanted, into) && best_are_readable(line, wanted, into) {
        return;
    }
    settle(line, wanted, into);
}

/// Reads the request in the message: a JSON logger writes the access lines of uvicorn, Django or
/// morgan as messages.
#[inline]
fn request_in_message(line: &str, into: &mut Decoded) {
    let entry = into.slots.planned(BODY);
    let (start, end) = (entry.start as usize, (entry.start + entry.len) as usize);
    let text = match entry.buffer {
        ValueBuffer::Line => line,
        ValueBuffer::Scratch => into.scratch.as_str(),
    };
    if let Some(message) = text.as_bytes().get(..end) {
        text::request_in(message, start, entry.buffer, &mut into.slots);
    }
}

/// Returns whether a number of the line may be too large for a float, as `1e999` is.
#[inline]
fn may_be_infinite(line: &str, entry: &SlotValue) -> bool {
    // the shortest such number has five bytes, and the usual durations have four or less
    let (start, len) = (entry.start as usize, entry.len as usize);
    let text = line.as_bytes().get(start..start + len).unwrap_or_default();
    len > 300 || (len > 4 && text.iter().any(|byte| byte | 0x20 == b'e'))
}

/// Returns whether every value is one that most applications write, so that nothing has to be
/// decided, except between several values of one field.
#[inline]
fn is_usual(line: &str, wanted: &FieldTable, into: &Decoded) -> bool {
    let slots = &into.slots;
    let present = slots.present;
    if present & RARE != 0 {
        return false;
    }
    let first = |field: FieldId| {
        let entry = slots.planned(field);
        let text = if entry.buffer == ValueBuffer::Line { line } else { "" };
        (entry, text.as_bytes().get(entry.start as usize).copied().unwrap_or(0))
    };
    let has = |field: FieldId| present & field.bit() != 0;
    if has(SEVERITY) && slots.planned(SEVERITY).rank >= const { dictionary_rank(SEVERITY) } {
        return false;
    }
    if has(TIMESTAMP) {
        let entry = slots.planned(TIMESTAMP);
        // the key may identify a framework that defines a level for records without one
        let may_identify = entry.rank >= const { dictionary_rank(TIMESTAMP) };
        if entry.kind == ValueKind::Number || (may_identify && present & LEVELS == 0) {
            return false;
        }
    }
    if has(HTTP_STATUS) {
        let (entry, byte) = first(HTTP_STATUS);
        if entry.len != 3 || !matches!(byte, b'1'..=b'5') {
            return false;
        }
    }
    if has(DURATION) {
        let (entry, byte) = first(DURATION);
        let is_number = entry.kind == ValueKind::Number && byte.is_ascii_digit();
        if entry.unit == Unit::None || !is_number || may_be_infinite(line, entry) {
            return false;
        }
    }
    if has(SERVICE) {
        let (entry, byte) = first(SERVICE);
        // words for an absent value begin with these letters
        let may_be_nothing = || {
            let (start, len) = (entry.start as usize, entry.len as usize);
            is_sentinel(line.get(start..start + len).unwrap_or_default())
        };
        if !byte.is_ascii_alphabetic()
            || wanted.is_foreign(SERVICE, entry.rank, None)
            || (matches!(byte | 0x20, b'n' | b'u') && may_be_nothing())
        {
            return false;
        }
    }
    if has(HTTP_METHOD) && !first(HTTP_METHOD).1.is_ascii_uppercase() {
        return false;
    }
    if has(HTTP_ROUTE) && first(HTTP_ROUTE).1 != b'/' {
        return false;
    }
    !has(URL_PATH) || matches!(first(URL_PATH).1, b'/' | b'h')
}

/// Returns whether the best value of each field that has several values is readable, and no key
/// identifies a framework, so that the other values do not matter.
#[inline]
fn best_are_readable(line: &str, wanted: &FieldTable, into: &Decoded) -> bool {
    into.slots.others().is_empty() || others_are_unused(line, wanted, into)
}

#[inline(never)]
fn others_are_unused(line: &str, wanted: &FieldTable, into: &Decoded) -> bool {
    let slots = &into.slots;
    let is_mark = |&(field, rank, _): &(FieldId, u8, u8)| {
        slots.get(field).is_some_and(|entry| entry.rank & !1 == rank)
    };
    let is_readable = |&(field, _): &(FieldId, SlotValue)| {
        let Some(&best) = slots.get(field) else { return false };
        let Some((_, check)) = CHECKS.iter().find(|(of, _)| *of == field) else { return true };
        let mut checked = best;
        // an entry that the check changes has to be stored
        check(text_of(&best, line, &into.scratch), &mut checked) && checked == best
    };
    slots.others().iter().all(is_readable) && !wanted.marks().iter().any(is_mark)
}

/// Returns the text of an entry.
fn text_of<'a>(entry: &SlotValue, line: &'a str, scratch: &'a str) -> &'a str {
    let text = match entry.buffer {
        ValueBuffer::Line => line,
        ValueBuffer::Scratch => scratch,
    };
    let (start, len) = (entry.start as usize, entry.len as usize);
    text.get(start..start + len).unwrap_or_default()
}

/// Examines every field on which something depends.
#[cold]
#[inline(never)]
fn settle(line: &str, wanted: &FieldTable, into: &mut Decoded) {
    let framework = framework(wanted, into);
    if let Some(number) = framework {
        move_keys(wanted, into, number);
        default_level(into, number);
        scaled_level(line, into, number);
        statement(line, into);
    }
    if into.slots.present & REQUEST_LINE.bit() != 0 {
        take_apart(line, into);
    }
    for &(field, is_readable) in CHECKS {
        if into.slots.present & field.bit() == 0 {
            continue;
        }
        let Decoded { slots, scratch, trail, .. } = into;
        slots.choose(field, |entry| {
            if wanted.is_foreign(field, entry.rank, framework) {
                return false;
            }
            let text = text_of(entry, line, scratch);
            if field == DURATION && entry.unit == Unit::None {
                let own =
                    wanted.framed(field, entry.rank).find(|of| Some(of.framework) == framework);
                entry.unit = own.map_or(Unit::None, |of| of.unit);
            }
            let is_read = is_readable(text, entry);
            if !is_read && let Some(trail) = trail {
                trail.refused.push((field, *entry));
            }
            is_read
        });
    }
    listed_exception(line, into);
}

/// Reads type and message of the first exception in structlog's list of exceptions,
/// `[{"exc_type": "ValueError", "exc_value": "no stock", ...}]`, if no key names them.
fn listed_exception(line: &str, into: &mut Decoded) {
    let Some(&list) = into.slots.get(EXCEPTION_STACKTRACE) else { return };
    if list.kind != ValueKind::Tree || list.buffer != ValueBuffer::Line {
        return;
    }
    let (from, to) = (list.start as usize, (list.start + list.len) as usize);
    for (key, field) in [("\"exc_type\"", EXCEPTION_TYPE), ("\"exc_value\"", EXCEPTION_MESSAGE)] {
        let Some(text) = line.get(from..to) else { return };
        let Some(at) = text.find(key).map(|at| at + key.len()) else { return };
        let value = text[at..].trim_start_matches([':', ' ']);
        let Some(value) = value.strip_prefix('"') else { return };
        let Some(length) = value.find(['"', '\\']) else { return };
        if !value[length..].starts_with('"') || into.slots.get(field).is_some() {
            continue;
        }
        let start = to - value.len();
        into.slots.put(field, SlotValue::text(start, start + length));
    }
}

/// Reads the duration and the statement that PostgreSQL writes into the message, if the line has
/// neither.
fn statement(line: &str, into: &mut Decoded) {
    let Some(&SlotValue { start, len, buffer, .. }) = into.slots.get(BODY) else { return };
    if into.slots.present & (DURATION.bit() | DB_QUERY.bit()) != 0 {
        return;
    }
    let text = if buffer == ValueBuffer::Line { line } else { into.scratch.as_str() };
    let span = (start as usize, (start + len) as usize);
    text::statement_in(text.as_bytes(), span, buffer, &mut into.slots);
}

type Check = fn(&str, &mut SlotValue) -> bool;

/// The checks of the values of a field. Fields that are not listed accept any text.
const CHECKS: &[(FieldId, Check)] = &[
    (SEVERITY, |text, entry| Severity::read(text, entry.kind) != Severity::UNSPECIFIED),
    (TIMESTAMP, is_time),
    (HTTP_STATUS, is_status),
    (DURATION, |text, entry| number::seconds(text, entry.unit).is_some()),
    (SERVICE, |text, _| is_service(text)),
    (HTTP_METHOD, |text, entry| entry.kind == ValueKind::Text && !is_sentinel(text)),
    (HTTP_ROUTE, |text, entry| entry.kind == ValueKind::Text && !is_unknown_route(text)),
    (URL_PATH, |text, entry| entry.kind == ValueKind::Text && !is_sentinel(text)),
    (EXCEPTION_TYPE, |text, entry| entry.kind == ValueKind::Text && !is_no_exception(text)),
    (EXCEPTION_MESSAGE, |text, _| !is_no_exception(text)),
    (EXCEPTION_STACKTRACE, is_stack),
    (BODY, |text, _| !text.is_empty()),
    (TRACE_ID, |text, _| !is_sentinel(text)),
    (REQUEST_ID, |text, _| !is_sentinel(text)),
];

/// Returns the number of the framework that wrote the line, if a key identifies it.
fn framework(wanted: &FieldTable, into: &mut Decoded) -> Option<u8> {
    if let Some(entry) = into.slots.get(FRAMEWORK) {
        let number = entry.rank / 2;
        into.slots.present &= !FRAMEWORK.bit();
        return Some(number);
    }
    let rank = |field| into.slots.get(field).map(|entry| entry.rank & !1);
    let mark = wanted.marks().iter().find(|(field, of, _)| rank(*field) == Some(*of));
    mark.map(|(_, _, number)| *number)
}

/// Moves the values of keys that mean a different field in lines of this framework.
fn move_keys(wanted: &FieldTable, into: &mut Decoded, framework: u8) {
    for of in wanted.framework_keys(framework).filter(|of| of.to != of.field) {
        if let Some(&entry) = into.slots.get(of.field)
            && entry.rank & !1 == of.rank
        {
            into.slots.present &= !of.field.bit();
            into.slots.put(of.to, SlotValue { unit: of.unit, ..entry });
        }
    }
}

/// Sets the level of a record that names no level, if this framework defines one.
fn default_level(into: &mut Decoded, framework: u8) {
    let level = DICTIONARY.get(usize::from(framework)).and_then(|framework| framework.level);
    let is_record = into.slots.present & (BODY.bit() | TIMESTAMP.bit());
    if let Some(level) = level
        && into.slots.present & LEVELS == 0
        && is_record == BODY.bit() | TIMESTAMP.bit()
    {
        let start = into.scratch.len();
        into.scratch.push_str(level);
        let entry = SlotValue::text(start, start + level.len());
        into.slots.put(SEVERITY, SlotValue { buffer: ValueBuffer::Scratch, ..entry });
    }
}

/// Replaces a numeric level by the name that this framework gives to the number.
fn scaled_level(line: &str, into: &mut Decoded, framework: u8) {
    let Some(framework) = DICTIONARY.get(usize::from(framework)) else { return };
    let Some(&entry) = into.slots.get(SEVERITY).filter(|entry| entry.kind == ValueKind::Number)
    else {
        return;
    };
    let number = text_of(&entry, line, &into.scratch);
    let Some((_, name)) = framework.scale.iter().find(|(of, _)| *of == number) else { return };
    let start = into.scratch.len();
    into.scratch.push_str(name);
    let named = SlotValue::text(start, start + name.len());
    into.slots.put(SEVERITY, SlotValue { buffer: ValueBuffer::Scratch, rank: entry.rank, ..named });
}

/// Reads the time of Linux' audit log, `msg=audit(1767323044.250:7): `.
#[cold]
fn audit_time(line: &str, into: &mut Decoded) {
    const LABEL: &str = " msg=audit(";
    let Some(at) = line.find(LABEL) else { return };
    let from = at + LABEL.len();
    let number = |b: &u8| b.is_ascii_digit() || *b == b'.';
    let length = line.as_bytes()[from..].iter().take_while(|byte| number(byte)).count();
    if line.as_bytes().get(from + length) == Some(&b':') && length > 9 {
        into.slots.put(TIMESTAMP, SlotValue::text(from, from + length));
    }
}

/// Splits `GET /orders?page=2 HTTP/1.1` in one value into method and path.
fn take_apart(line: &str, into: &mut Decoded) {
    let Some(&entry) = into.slots.get(REQUEST_LINE) else { return };
    into.slots.present &= !REQUEST_LINE.bit();
    let whole = match entry.buffer {
        ValueBuffer::Line => line,
        ValueBuffer::Scratch => into.scratch.as_str(),
    };
    let start = entry.start as usize;
    let text = whole.get(start..start + entry.len as usize).unwrap_or_default();
    let Some((method, path)) = super::access::request_line(text.as_bytes()) else { return };
    let part = |from: usize, to: usize| SlotValue {
        rank: TAKEN_APART,
        buffer: entry.buffer,
        ..SlotValue::text(start + from, start + to)
    };
    into.slots.put(HTTP_METHOD, part(0, method));
    into.slots.put(URL_PATH, part(method + 1, path));
}

/// Accepts a status code: `200`, `200.0`, `200 OK`.
fn is_status(text: &str, entry: &mut SlotValue) -> bool {
    let is_code = matches!(text.as_bytes(), [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', rest @ ..]
        if rest.first().is_none_or(|byte| matches!(byte, b' ' | b'.'))
            && (rest.first() != Some(&b'.') || rest[1..].iter().all(|byte| *byte == b'0')));
    if is_code {
        entry.len = 3;
        entry.kind = ValueKind::Text;
    }
    is_code
}

/// Accepts a time. A number outside of this century is a duration or a count.
fn is_time(text: &str, entry: &mut SlotValue) -> bool {
    /// 2000-01-01 and 2100-01-01 in seconds.
    const CENTURY: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;
    if is_sentinel(text) {
        return false;
    }
    let is_bare = entry.kind == ValueKind::Number || text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(value) = number::decimal(text).filter(|_| is_bare) else { return !is_bare };
    [1.0, 1e3, 1e6, 1e9].iter().any(|per_second| CENTURY.contains(&(value / per_second)))
}

/// Accepts a name; refuses what looks like a number, a duration or an absent value.
fn is_service(text: &str) -> bool {
    !is_sentinel(text)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !(text.as_bytes()[0].is_ascii_digit() && number::with_unit(text).is_some())
}

/// Returns whether the text is one that routers write, if at all, when no route matched.
fn is_unknown_route(text: &str) -> bool {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    is_sentinel(text)
        || is("unmatched")
        || is("<unmatched>")
        || is("not_found")
        || is("notfound")
        || is("not found")
        || is("no_route")
        || is("other")
}

fn is_no_exception(text: &str) -> bool {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    is_sentinel(text) || is("false") || is("[]") || is("{}") || is("<nil>") || is("NoneType: None")
}

/// Accepts a stack, or an exception with its text; refuses a single word such as `production`.
fn is_stack(text: &str, entry: &mut SlotValue) -> bool {
    let text = text.trim();
    if entry.kind == ValueKind::Tree {
        return !matches!(text.trim_matches(['[', ']', '{', '}', ' ']), "");
    }
    if is_no_exception(text) {
        return false;
    }
    let class = text.split([':', '(', ' ', '\n']).next().unwrap_or_default();
    let is_class = ["Error", "Exception", "Warning", "Interrupt", "Exit", "Fault", "Panic"]
        .iter()
        .any(|end| class.ends_with(end));
    is_class || text.contains('\n') || (text.contains(": ") && class.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::decode::graph::LineGraph;
    use crate::decode::json;
    use crate::record::{Envelope, Record};
    use proptest::prelude::*;

    /// Keys of several ranks for the same fields, some of them inside a wrapper, and values that are
    /// readable for some of the fields.
    fn any_member() -> impl Strategy<Value = String> {
        let keys = [
            "level",
            "lvl",
            "severity",
            "time",
            "ts",
            "@t",
            "msg",
            "message",
            "event",
            "method",
            "verb",
            "path",
            "url",
            "status",
            "status_code",
            "code",
            "duration_ms",
            "elapsed_ms",
            "took",
            "service",
            "app",
            "application_name",
            "trace_id",
            "trace",
            "request_id",
            "rid",
            "error",
            "c",
            "s",
            "v",
            "controller",
            "dyno",
            "backend_type",
        ];
        let values = [
            "\"info\"",
            "\"GET\"",
            "\"/orders\"",
            "200",
            "\"200 OK\"",
            "\"4xx\"",
            "12.5",
            "\"-\"",
            "null",
            "\"none\"",
            "\"shop\"",
            "\"users-api\"",
            "\"unknown\"",
            "true",
            "\"\"",
            "7",
            "\"2026-11-21T10:00:00Z\"",
            "1795255200",
            "\"4bf92f3577b34da6a3ce929d0e0e4736\"",
        ];
        let member = (prop::sample::select(keys.to_vec()), prop::sample::select(values.to_vec()));
        (member, prop::bool::weighted(0.2)).prop_map(|((key, value), is_wrapped)| {
            if is_wrapped {
                format!("\"context\":{{\"{key}\":{value}}}")
            } else {
                format!("\"{key}\":{value}")
            }
        })
    }

    /// Returns the resolved fields of a JSON line.
    fn resolved(line: &str) -> Decoded {
        let (wanted, mut into) = (FieldTable::standard(), Decoded::new());
        let (mut graph, mut work) = (LineGraph::new(), json::exact::Work::default());
        assert!(json::read(line, &wanted, &mut graph, &mut work, &mut into), "{line}");
        resolve(line, &wanted, &mut into);
        into
    }

    /// Bug: a number that is no duration stayed, as if it were one, if its key was the only one.
    #[test]
    fn a_duration_that_cannot_be_read_does_not_stay() {
        let digits = format!("1{}", "0".repeat(400));
        for (value, expected) in [
            ("1e999", None),
            ("123456789012345678901234567890e400", None),
            (&*digits, None),
            ("\"5 apples\"", None),
            ("-5", None),
            ("1.25e1", Some(0.0125)),
            ("12.5", Some(0.0125)),
            ("\"12.5\"", Some(0.0125)),
        ] {
            let line = format!("{{\"path\":\"/a\",\"duration_ms\":{value}}}");
            let into = resolved(&line);
            let record = Record::new(&line, &into, UnixNanos(0), Envelope::default());
            assert_eq!(record.entry(DURATION).is_some(), expected.is_some(), "{line}");
            assert_eq!(record.seconds(DURATION), expected, "{line}");
        }
    }

    /// Bug: the status and the duration in the text of a message replaced those of the keys.
    #[test]
    fn a_request_in_a_message_replaces_no_key() {
        const REQUEST: &str = "GET /a 200 5ms";
        for (more, expected) in [
            ("", ("200", 0.005)),
            (",\"status\":503,\"duration_ms\":40", ("503", 0.04)),
            (",\"status\":503,\"duration\":\"40ms\"", ("503", 0.04)),
            (",\"context\":{\"status\":503,\"duration_ms\":40}", ("503", 0.04)),
            // unreadable keys hide nothing
            (",\"status\":\"ok\",\"duration\":40", ("200", 0.005)),
        ] {
            for (before, after) in [("", more), (more.trim_start_matches(','), "")] {
                let comma = if before.is_empty() { "" } else { "," };
                let line = format!("{{{before}{comma}\"msg\":\"{REQUEST}\"{after}}}");
                let into = resolved(&line);
                let record = Record::new(&line, &into, UnixNanos(0), Envelope::default());
                let found = (record.text(HTTP_STATUS), record.seconds(DURATION));
                assert_eq!(found, (Some(expected.0), Some(expected.1)), "{line}");
                assert_eq!(record.text(URL_PATH), Some("/a"), "{line}");
            }
        }
    }

    proptest! {
        /// Guarantees: where a field has several values, the quick path keeps the one that the
        /// complete examination chooses.
        #[test]
        fn property_the_quick_path_chooses_the_same_values(
            members in prop::collection::vec(any_member(), 1..8),
        ) {
            let wanted = FieldTable::standard();
            let line = format!("{{{}}}", members.join(","));
            let read = || {
                let (mut graph, mut work) = (LineGraph::new(), json::exact::Work::default());
                let mut into = Decoded::new();
                assert!(json::read(&line, &wanted, &mut graph, &mut work, &mut into), "{line}");
                into
            };
            let (mut quick, mut complete) = (read(), read());
            let fields: Vec<_> = quick.slots.others().iter().map(|(field, _)| *field).collect();
            resolve(&line, &wanted, &mut quick);
            settle(&line, &wanted, &mut complete);
            for field in fields {
                let (quick, complete) = (quick.slots.get(field), complete.slots.get(field));
                prop_assert_eq!(quick, complete, "{} {}", wanted.name(field), &line);
            }
        }
    }
}
