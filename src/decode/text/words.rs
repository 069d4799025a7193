//! Layouts whose parts are separated by spaces: logback, gunicorn, Flask, structlog, OpenTelemetry's logging
//! format, PostgreSQL, zap. What is not surely a part before the message belongs to the message. Unit: one
//! line.

use super::header::{PART_BYTES_MAX, Read, basic, is_dotted};
use super::out::Out;
use super::{ids, level, request, tail};
use crate::record::field::{LOGGER, SEVERITY};
use memchr::memchr;

/// How many parts may stand before the message.
const PARTS_MAX: usize = 10;

#[derive(Default)]
struct Seen {
    level: bool,
    /// The level stood in brackets and was padded: structlog's console.
    padded: bool,
    logger: bool,
    sure: bool,
    /// The message starts here, whatever it holds.
    done: bool,
}

/// Reads the parts from `at` on. Without a level, and without anything else that only a logger writes, all
/// of it is the message.
pub(super) fn read(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Read {
    let start = skip_spaces(bytes, at);
    let mut at = start;
    let mut seen = Seen::default();
    for _ in 0..PARTS_MAX {
        if seen.done {
            break;
        }
        let next = match bytes.get(at) {
            Some(b'[') => bracket(bytes, at, &mut seen, out),
            Some(_) if !seen.level => before_level(bytes, at, &mut seen, out),
            Some(_) => behind_level(bytes, at, &mut seen, out),
            None => None,
        };
        let Some(next) = next else { break };
        at = skip_spaces(bytes, next);
    }
    if !seen.level && !seen.sure {
        return Read { start: request::read(bytes, start, out), is_sure: false };
    }
    if seen.padded {
        tail::structlog(bytes, at, out);
    } else if bytes[..at].ends_with(b"LOG:  ") {
        tail::postgres(bytes, at, out);
    }
    Read { start: request::read(bytes, at, out), is_sure: seen.sure }
}

fn skip_spaces(bytes: &[u8], at: usize) -> usize {
    at + bytes[at.min(bytes.len())..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// `[LEVEL]`, `[id]`, `[key=value ...]`, `[file.py:12]`, `[logger]`, `[thread]`, `[pid]`: where it ends.
fn bracket(bytes: &[u8], at: usize, seen: &mut Seen, out: &mut Out<'_>) -> Option<usize> {
    let near = &bytes[at..bytes.len().min(at + 2 * PART_BYTES_MAX)];
    let end = at + memchr(b']', near)?;
    let (from, to) = ids::trim(bytes, at + 1, end);
    let value = &bytes[from..to];
    let next = end + 1;
    if !matches!(bytes.get(next), None | Some(b' ' | b'\t' | b':' | b'[')) {
        return None;
    }
    let next = next + usize::from(bytes.get(next) == Some(&b':'));
    if !seen.level && level::at(bytes, from).is_some_and(|word| from + word.length == to) {
        out.put(SEVERITY, from, to);
        seen.level = true;
        seen.padded = to < end;
        // `[error] text` alone is nobody's layout
        seen.sure |= seen.padded;
        return Some(next);
    }
    if value.contains(&b'=') {
        let before = out.slots.present;
        ids::pairs(bytes, from, to, out);
        seen.sure |= out.slots.present != before;
        return (out.slots.present != before || value.starts_with(b"trace_id=")).then_some(next);
    }
    if ids::is_surely_id(value) {
        ids::bracket(bytes, from, to, ids::Meaning { is_trace: false }, out);
        seen.sure = true;
        return Some(next);
    }
    if ids::place(bytes, from, to, out) {
        seen.sure = true;
        return Some(next);
    }
    if seen.level && !seen.logger && is_dotted(value) {
        out.put(LOGGER, from, to);
        (seen.logger, seen.sure) = (true, true);
        return Some(next);
    }
    // a process id or a thread before the level; behind it only where a class name follows, as in Java
    let is_thread = !seen.level && memchr(b'[', value).is_none();
    (is_thread || class_follows(bytes, next)).then_some(next)
}

/// ` c.e.Foo - ` or ` c.e.Foo : `.
fn class_follows(bytes: &[u8], at: usize) -> bool {
    let at = skip_spaces(bytes, at);
    let rest = &bytes[at..bytes.len().min(at + PART_BYTES_MAX)];
    let Some(length) = memchr(b' ', rest) else { return false };
    is_dotted(&rest[..length])
        && matches!(bytes[skip_spaces(bytes, at + length)..], [b'-' | b':', b' ', ..])
}

/// A level word, or what may stand before it: process ids, `name`, `user@database`.
fn before_level(bytes: &[u8], at: usize, seen: &mut Seen, out: &mut Out<'_>) -> Option<usize> {
    if let Some(word) = level::at(bytes, at) {
        let end = at + word.length;
        let next = match bytes.get(end) {
            None => end,
            Some(b'\t') => end + 1,
            Some(b' ') if word.is_upper => end + 1,
            Some(b':') => {
                if let Some(body) = bytes
                    .get(end + 1)
                    .filter(|byte| !matches!(**byte, b' ' | b'\t'))
                    .and_then(|_| basic(bytes, (at, end), out))
                {
                    *seen =
                        Seen { level: true, logger: true, sure: true, done: true, padded: false };
                    return Some(body);
                }
                end + 1
            }
            Some(_) => return None,
        };
        out.put(SEVERITY, at, end);
        seen.level = true;
        return Some(next);
    }
    let rest = &bytes[at..bytes.len().min(at + PART_BYTES_MAX)];
    let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let name = &rest[..length];
    let behind = skip_spaces(bytes, at + length);
    // the word before a level is the logger's name, a process id, or PostgreSQL's user and database
    let follows = level::at(bytes, behind).is_some_and(|word| word.is_upper)
        || (bytes.get(behind) == Some(&b'[')
            && level::at(bytes, behind + 1)
                .is_some_and(|word| bytes.get(behind + 1 + word.length) == Some(&b']')));
    if !follows {
        return name
            .iter()
            .all(u8::is_ascii_digit)
            .then_some(behind)
            .filter(|_| length < 8 && at > 0);
    }
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@' | b'/');
    if !name.iter().all(is_name) || at == 0 {
        return None;
    }
    if name[0].is_ascii_alphabetic() && !name.contains(&b'@') {
        out.put(LOGGER, at, at + length);
        (seen.logger, seen.sure) = (true, true);
    }
    Some(behind)
}

/// Separators, `in module:` (Flask), a class or a logger's dotted name, a place.
fn behind_level(bytes: &[u8], at: usize, seen: &mut Seen, out: &mut Out<'_>) -> Option<usize> {
    let rest = &bytes[at..];
    match rest {
        [b'-' | b'|', b' ', ..] => {
            (seen.sure, seen.done) = (true, true);
            return Some(at + 2);
        }
        [b'-', b'-', b'-', b' ', ..] => return Some(at + 4),
        _ => {}
    }
    if seen.logger {
        return None;
    }
    let near = &rest[..rest.len().min(PART_BYTES_MAX)];
    let length = near.iter().position(|byte| matches!(byte, b' ' | b'\t'))?;
    // Spring Boot: the process id between level and dashes
    if rest[length..].starts_with(b" --- ") {
        return Some(at + length);
    }
    if &near[..length] == b"in" {
        let module = &near[3..];
        let colon = module.iter().position(|byte| matches!(byte, b':' | b' '))?;
        if module[colon] != b':' {
            return None;
        }
        out.put(LOGGER, at + 3, at + 3 + colon);
        (seen.sure, seen.done) = (true, true);
        return Some(at + 4 + colon);
    }
    let behind = skip_spaces(bytes, at + length);
    let has_colon = near[..length].ends_with(b":");
    let name = &near[..length - usize::from(has_colon)];
    let is_separated = matches!(bytes[behind..], [b'-' | b':', b' ', ..]);
    let ends = at + name.len();
    let is_place = |out: &mut Out<'_>| ids::place(bytes, at, ends, out);
    if (has_colon || is_separated || rest[length] == b'\t') && is_place(out) {
        seen.sure = true;
    } else if (has_colon || is_separated || rest[length] == b'\t')
        && (is_dotted(name) || matches!(name, b"root" | b"__main__"))
    {
        out.put(LOGGER, at, ends);
        (seen.logger, seen.sure) = (true, true);
    } else {
        return None;
    }
    seen.done = is_separated;
    Some(behind + if is_separated { 2 } else { 0 })
}
