//! What stands before the message of a text line. Decides by the first byte and by the separator behind the
//! time which family of layouts a line is of. Unit: one line.

use super::out::Out;
use super::{ids, level, request, stamp, words};
use crate::decode::scan;
use crate::record::field::{LOGGER, SEVERITY, TIMESTAMP};
use memchr::memchr;

/// How many parts between separators may stand before the message; layouts in use have up to six.
const PARTS_MAX: usize = 8;

/// The longest part before a message: logger names and thread names are shorter.
pub(super) const PART_BYTES_MAX: usize = 128;

/// Reads what stands before the message: where the message starts, or `None` for no known layout.
#[inline]
pub(super) fn read(bytes: &[u8], out: &mut Out<'_>) -> Option<usize> {
    match bytes.first()? {
        b'0'..=b'9' => {
            let end = stamp::extent(bytes);
            if end == 0 {
                return None;
            }
            out.put(TIMESTAMP, 0, end);
            Some(behind_time(bytes, end, out))
        }
        b'[' => bracketed(bytes, out),
        b'A'..=b'Z' | b'a'..=b'z' | b'_' => named(bytes, out),
        _ => None,
    }
}

#[inline]
fn behind_time(bytes: &[u8], end: usize, out: &mut Out<'_>) -> usize {
    match bytes[end..] {
        [b' ', separator @ (b'-' | b'|'), b' ', ..] => {
            name_and_level(bytes, end + 3, separator, out)
                .unwrap_or_else(|| parts(bytes, end + 3, separator, out).start)
        }
        [b':', ..] if level::at(bytes, end + 1).is_some() => words::read(bytes, end + 1, out).start,
        [b':', b' ', ..] => words::read(bytes, end + 2, out).start,
        _ => words::read(bytes, end, out).start,
    }
}

/// `name - LEVEL - message`, by far the most: what [`parts`] gives for it, or `None` for anything else.
#[inline]
fn name_and_level(bytes: &[u8], at: usize, separator: u8, out: &mut Out<'_>) -> Option<usize> {
    let behind = |end: usize| {
        let found = bytes.get(end..end + 3)? == [b' ', separator, b' '];
        found.then_some(end + 3)
    };
    let end = scan::word_stop(bytes, at);
    let level_at = behind(end)?;
    let name = &bytes[at..end];
    let is_other = match name {
        // an id, a place, a level
        [] | [b'[', ..] | [.., b'0'..=b'9'] => true,
        _ if name.len() > PART_BYTES_MAX => true,
        _ => name.len() <= level::BYTES_MAX && level::at(bytes, at).is_some(),
    };
    if is_other || is_thread(name) {
        return None;
    }
    let level_end = level_at + level::at(bytes, level_at)?.length;
    let body = behind(level_end)?;
    // one word that a separator follows may be a further part
    let word = scan::word_stop(bytes, body);
    let is_message = match bytes.get(word..) {
        Some([b' ', next, ..]) => !matches!(*next, b' ' | b'-' | b'|'),
        None | Some([b' '] | []) => true,
        Some(_) => false,
    };
    if !is_message || scan::byte(bytes, body) == b'[' {
        return None;
    }
    out.put(LOGGER, at, end);
    out.put(SEVERITY, level_at, level_end);
    Some(request::read(bytes, body, out))
}

/// What the parts before a message were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// Where the message starts.
    pub(super) start: usize,
    /// Whether something was found that only a logger writes.
    pub(super) is_sure: bool,
}

/// Parts between ` - ` or between ` | `: name, level, place, bracketed id, in any order that has the level
/// or the id behind the name. What follows the last known part is the message, separators and all.
#[inline]
pub(super) fn parts(bytes: &[u8], start: usize, separator: u8, out: &mut Out<'_>) -> Read {
    let mut at = start;
    let mut name = None;
    let mut id = None;
    let mut has_level = false;
    let mut has_place = false;
    for _ in 0..PARTS_MAX {
        if !has_level && let Some(word) = level::at(bytes, at) {
            let end = at + word.length;
            if let Some(next) = behind_separator(bytes, end, separator) {
                out.put(SEVERITY, at, end);
                has_level = true;
                at = next;
                continue;
            }
        }
        let Some((end, next)) = part(bytes, at, separator) else { break };
        if bytes[at] == b'[' {
            // behind the level `[cache] - ` may be the message's own
            let inside = &bytes[at + 1..end - 1];
            if has_level && !ids::is_surely_id(inside) && !ids::is_absent(inside) {
                break;
            }
            id = Some((at + 1, end - 1));
        } else if !has_place && ids::place(bytes, at, end, out) {
            has_place = true;
        } else if has_level {
            // a word before a separator may be the message's own; a dotted one is a logger's name
            if name.is_some() || has_place || !is_dotted(&bytes[at..end]) {
                break;
            }
            name = Some((at, end));
        } else if name.is_none_or(|(from, to)| is_thread(&bytes[from..to])) {
            name = Some((at, end));
        }
        at = next;
    }
    if !has_level && (id.is_none() || separator != b'-') {
        return Read { start, is_sure: false };
    }
    if let Some((from, to)) = name.filter(|(from, to)| !is_thread(&bytes[*from..*to])) {
        out.put(LOGGER, from, to);
    }
    if let Some((from, to)) = id {
        // an id behind a name, and no level: the trace of the layout `time - name - [trace] - message`
        ids::bracket(bytes, from, to, ids::Meaning { is_trace: !has_level && name.is_some() }, out);
    }
    Read { start: request::read(bytes, at, out), is_sure: true }
}

/// Behind ` - ` when that stands at `end`, padding before it included.
#[inline]
fn behind_separator(bytes: &[u8], end: usize, separator: u8) -> Option<usize> {
    if let Some([b' ', first, b' ']) = bytes.get(end..end + 3)
        && *first == separator
    {
        return Some(end + 3);
    }
    behind_padding(bytes, end, separator)
}

fn behind_padding(bytes: &[u8], end: usize, separator: u8) -> Option<usize> {
    let mut at = end;
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    match bytes.get(at..)? {
        [first, b' ', ..] if *first == separator && at > end => Some(at + 2),
        // loguru: `| module:function:line - message`; an empty message
        [b'-', b' ', ..] if at > end => Some(at + 2),
        [first] if *first == separator && at > end => Some(at + 1),
        _ => None,
    }
}

/// One part without spaces inside, or one in brackets: where it ends, and where the next starts.
#[inline]
fn part(bytes: &[u8], at: usize, separator: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..(at + PART_BYTES_MAX).min(bytes.len()))?;
    let length = match rest.first()? {
        b'[' => memchr(b']', rest)? + 1,
        _ => memchr(b' ', rest)?,
    };
    let next = behind_separator(bytes, at + length, separator)?;
    (length > 0).then_some((at + length, next))
}

/// A name that only a logger or a class has: words joined by dots.
pub(super) fn is_dotted(name: &[u8]) -> bool {
    let is_word =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$' | b'-' | b':');
    name.contains(&b'.')
        && name.iter().all(is_word)
        && name[0].is_ascii_alphabetic()
        && name[name.len() - 1].is_ascii_alphanumeric()
}

/// A process id, a thread's or a process' name in Python's manner.
fn is_thread(name: &[u8]) -> bool {
    let known = match name.first() {
        Some(b'0'..=b'9') => return name.iter().all(u8::is_ascii_digit),
        Some(b'M' | b'T' | b'D' | b'S' | b'P') => true,
        _ => false,
    };
    known
        && [
            &b"MainThread"[..],
            b"Thread-",
            b"ThreadPoolExecutor-",
            b"Dummy-",
            b"MainProcess",
            b"SpawnProcess-",
            b"Process-",
        ]
        .iter()
        .any(|known| name.starts_with(known))
}

/// `[time] ...`, `[time: LEVEL/process] message` (Celery), `[LEVEL] ...`.
fn bracketed(bytes: &[u8], out: &mut Out<'_>) -> Option<usize> {
    let length = stamp::extent(&bytes[1..]);
    if length == 0 {
        let read = words::read(bytes, 0, out);
        return read.is_sure.then_some(read.start);
    }
    let end = 1 + length;
    match &bytes[end..] {
        [b']', rest @ ..] => {
            out.put(TIMESTAMP, 1, end);
            Some(match rest {
                [b' ', b'-' | b'|', b' ', ..] => behind_time(bytes, end + 1, out),
                _ => words::read(bytes, end + 1, out).start,
            })
        }
        [b':', b' ', ..] => {
            let word = level::at(bytes, end + 2)?;
            let closing = end + memchr(b']', &bytes[end..])?;
            out.put(TIMESTAMP, 1, end);
            out.put(SEVERITY, end + 2, end + 2 + word.length);
            Some((closing + 2).min(bytes.len()))
        }
        _ => None,
    }
}

/// A line without time: `LEVEL:logger:message`, `LEVEL - message`, `name - LEVEL - message`.
#[inline]
fn named(bytes: &[u8], out: &mut Out<'_>) -> Option<usize> {
    if let Some(word) = level::at(bytes, 0).filter(|word| word.is_upper) {
        let end = word.length;
        match &bytes[end..] {
            [b':', b' ', b' ' | b'0'..=b'9', ..] => {
                out.put(SEVERITY, 0, end);
                let padding = bytes[end + 1..].iter().take_while(|b| **b == b' ').count();
                return Some(request::read(bytes, end + 1 + padding, out));
            }
            [b':', next, ..] if *next != b' ' => return basic(bytes, (0, end), out),
            _ => {}
        }
    }
    let first_space = memchr(b' ', &bytes[..bytes.len().min(PART_BYTES_MAX)])?;
    let padding = bytes[first_space..].iter().take_while(|b| **b == b' ').count();
    let read = match bytes[first_space + padding..] {
        [separator @ (b'-' | b'|'), b' ', ..] => parts(bytes, 0, separator, out),
        _ => words::read(bytes, 0, out),
    };
    read.is_sure.then_some(read.start)
}

/// `logging.BASIC_FORMAT`: `LEVEL:logger:message`.
#[inline]
pub(super) fn basic(bytes: &[u8], level: (usize, usize), out: &mut Out<'_>) -> Option<usize> {
    let (level_at, level_end) = level;
    let from = level_end + 1;
    let rest = &bytes[from..bytes.len().min(from + PART_BYTES_MAX)];
    let length = rest.iter().position(|byte| matches!(byte, b':' | b' '))?;
    if rest[length] != b':' || length == 0 {
        return None;
    }
    out.put(SEVERITY, level_at, level_end);
    out.put(LOGGER, from, from + length);
    Some(request::read(bytes, from + length + 1, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::slots::{Place, Slots};
    use proptest::prelude::*;

    fn any_part() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{1,12}(\\.[a-z0-9]{1,6})?",
            "(INFO|info|ERR|WARNING|information|MainThread|T1|12|f.py:3|\\[ab12\\]|\\[x y\\])[a-z ]?",
            "( |-|\t|\u{fc})?[a-z]{0,4}",
        ]
    }

    proptest! {
        /// The short way gives what the long one gives, or nothing.
        #[test]
        fn property_the_usual_layout_is_one_of_parts(
            parts in prop::collection::vec((any_part(), prop::sample::select(vec![" - ", " | ", " ", "  - ", " -"])), 1..6),
            message in "([a-z]{0,3}( - | -| )?){0,3}",
        ) {
            let line: String = parts.iter().flat_map(|(part, end)| [part.as_str(), *end]).collect();
            let line = line + &message;
            for separator in [b'-', b'|'] {
                let (mut short, mut long) = (Slots::new(), Slots::new());
                let mut out = Out { slots: &mut short, place: Place::Line };
                if let Some(body) = name_and_level(line.as_bytes(), 0, separator, &mut out) {
                    let mut out = Out { slots: &mut long, place: Place::Line };
                    let read = super::parts(line.as_bytes(), 0, separator, &mut out);
                    prop_assert_eq!(body, read.start, "{:?}", line);
                    prop_assert_eq!(short.present, long.present, "{:?}", line);
                    for field in [LOGGER, SEVERITY] {
                        prop_assert_eq!(short.get(field), long.get(field), "{:?}", line);
                    }
                }
            }
        }
    }

    #[test]
    fn the_usual_layout() {
        let mut slots = Slots::new();
        let mut out = Out { slots: &mut slots, place: Place::Line };
        let line = b"app.views - INFO - Cache - 1";
        assert_eq!(name_and_level(line, 0, b'-', &mut out), None, "a part may follow");
        let line = b"app.views - INFO - Cache refreshed - 1";
        assert_eq!(name_and_level(line, 0, b'-', &mut out), Some(19));
    }
}
