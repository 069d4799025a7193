//! Reads parts of a header in brackets: `[time]`, `[LEVEL]`, `[time LEVEL name]`, `[thread/LEVEL]`,
//! `[key=value]`, ids, locations, threads. Unit: one pair of brackets.

use super::state::{Header, PART_BYTES_MAX};
use super::{ids, level, stamp};
use crate::record::field::{REQUEST_ID, SPAN_ID, TRACE_ID};

/// Reads the brackets that open at `at`; returns the start of the next part.
pub(super) fn read(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    let end = closing(bytes, at)?;
    let (from, to) = ids::trim(bytes, at + 1, end);
    let group = Group { at, from, to, end };
    let behind = header.byte(end + 1);
    let is_closed =
        matches!(behind, 0 | b' ' | b'\t' | b':' | b'[' | b'(' | b'{' | b'<' | b'-' | b'|' | b',');
    if !header.has_time
        && let Some(next) = timed(header, &group)
    {
        return Some(next);
    }
    // `[error]x` is a form of the application
    if !is_closed && !header.has_time {
        return None;
    }
    let is_certain_level = bytes[at] != b'{' && (bytes[at] != b'(' || header.has_time);
    if header.level.is_none()
        && is_certain_level
        && let Some(next) = leveled(header, &group)
    {
        return Some(next);
    }
    let next = group.next(header);
    known(header, &group, next).or_else(|| {
        // a process or a thread, if a level or a logger follows
        let is_other = header.level.is_none() || header.waiting < 6;
        // `[7]INFO:name:`, `[thread]name:7 [LEVEL]`
        let is_joined = header.has_time && header.level.is_none() && bytes[at] == b'[';
        (is_other && (is_closed || is_joined) && bytes[at] != b'{').then(|| header.wait(next))
    })
}

/// A pair of brackets and the text inside, without the blanks at both ends.
struct Group {
    at: usize,
    from: usize,
    to: usize,
    end: usize,
}

impl Group {
    /// Returns the position after the bracket and the colon that may follow it.
    fn next(&self, header: &Header<'_>) -> usize {
        let next = self.end + 1;
        let colon = header.byte(next) == b':' && header.ends(next + 1);
        header.blanks(next + usize::from(colon))
    }
}

/// Returns where the bracket at `at` closes; counts the brackets inside.
fn closing(bytes: &[u8], at: usize) -> Option<usize> {
    let (open, close) = match bytes[at] {
        b'[' => (b'[', b']'),
        b'(' => (b'(', b')'),
        b'{' => (b'{', b'}'),
        _ => (b'<', b'>'),
    };
    let near = &bytes[at..bytes.len().min(at + 2 * PART_BYTES_MAX)];
    let mut depth = 0;
    for (length, byte) in near.iter().enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at + length);
            }
        }
    }
    None
}

/// Reads `[time]`, `[time LEVEL name]`, `[time: LEVEL/process]`, `[E time name]`, `[date][time]`,
/// `[epoch]`.
fn timed(header: &mut Header<'_>, group: &Group) -> Option<usize> {
    let bytes = header.bytes;
    let value = &bytes[group.from..group.to];
    let has_letter = matches!(value, [b'D' | b'I' | b'W' | b'E' | b'F' | b'C', b' ', _, ..]);
    let from = group.from + if has_letter { 2 } else { 0 };
    let mut length = match &bytes[from..group.to] {
        [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _] => stamp::extent(&bytes[from..]),
        inside => stamp::extent(inside),
    };
    if length == 0 && is_epoch(&bytes[from..group.to]) {
        length = group.to - from;
    }
    let named = if length == 0 { behind_name(bytes, from, group.to) } else { None };
    let (from, length) = named.unwrap_or((from, length));
    if length == 0 {
        return None;
    }
    let time_end = from + length;
    // `[date][time]` closes at the second bracket
    let end = if time_end > group.end { time_end } else { group.end };
    if header.byte(end) != bytes[group.end] {
        return None;
    }
    let group = Group { end, to: group.to.max(time_end), ..*group };
    let next = group.next(header);
    header.time(from, time_end, next);
    if has_letter && header.level.is_none() {
        header.level(group.from, group.from + 1, next);
    }
    let is_gap = |b: &&u8| matches!(b, b' ' | b':' | b'|' | b',');
    let mut at = time_end + bytes[time_end..group.to].iter().take_while(is_gap).count();
    if header.level.is_none()
        && at > time_end
        && let Some((from, to)) = among_words(bytes, at, group.to)
    {
        header.level(from, to, next);
        at = header.blanks(to);
    }
    let rest = &bytes[at.min(group.to)..group.to];
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.');
    if header.level.is_some() && !rest.is_empty() && rest.iter().all(is_word) {
        if header.place(at, group.to) {
            header.commit(next);
        } else if rest[0].is_ascii_alphabetic() {
            header.logger(at, group.to, next);
        }
    }
    Some(next)
}

/// Finds the time in `otel.javaagent 2026-01-02 03:04:04:250 +0000`: a dotted name, then a time to
/// the end.
fn behind_name(bytes: &[u8], from: usize, to: usize) -> Option<(usize, usize)> {
    let blank = bytes[from..to].iter().position(|byte| *byte == b' ')?;
    let at = from + blank + 1;
    let length = stamp::extent(&bytes[at..to]);
    (at + length == to && ids::is_dotted(&bytes[from..from + blank])).then_some((at, length))
}

/// Finds the level among the words after a time in brackets: the first word in any case, or a later
/// one in capitals or before a quoted name.
fn among_words(bytes: &[u8], from: usize, to: usize) -> Option<(usize, usize)> {
    let mut at = from;
    for word in bytes[from..to].split(|byte| *byte == b' ') {
        let start = at;
        at += word.len() + 1;
        let Some(level) = level::at(bytes, start).filter(|level| start + level.length <= to) else {
            continue;
        };
        let end = start + level.length;
        let behind = if end < to { &bytes[end..to] } else { &[] };
        let is_closed = match behind {
            [] => start == from || level.is_upper,
            [b' ', b'\'', ..] => true,
            [b' ', ..] => start == from || level.is_upper,
            [b'/' | b'|', ..] => start == from,
            [b':', ..] => start == from && level.is_upper,
            _ => false,
        };
        if is_closed && !level.is_weak {
            return Some((start, end));
        }
    }
    None
}

/// Returns whether a value is seconds, milliseconds, microseconds or nanoseconds since 1970, with
/// or without a fraction.
fn is_epoch(value: &[u8]) -> bool {
    let whole = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    matches!(whole, 10 | 13 | 16 | 19)
        && value[0] == b'1'
        && match &value[whole..] {
            [] => true,
            [b'.', fraction @ ..] => is_number(fraction),
            _ => false,
        }
}

/// Reads `[LEVEL]`, `[LEVEL/process]`, `[thread/LEVEL]`, `[module:level]`, `[7F00 info 'Default']`,
/// `[7:8:LEVEL:file.cc(1)]`.
fn leveled(header: &mut Header<'_>, group: &Group) -> Option<usize> {
    let bytes = header.bytes;
    let (from, to) = (group.from, group.to);
    let next = group.next(header);
    if let Some(word) = level::at(bytes, from) {
        let end = from + word.length;
        if end == to {
            // `[crit]` of nginx and Apache is syslog's word, less severe than a logger's
            let is_crit = &bytes[from..to] == b"crit" && header.has_time;
            let (from, to) = if is_crit { (group.at, group.end + 1) } else { (from, to) };
            let next = header.level(from, to, next);
            if let Some(level) = &mut header.level {
                level.is_padded = group.end > group.to;
            }
            return Some(next);
        }
        let is_first = match &bytes[end..to] {
            [b'/' | b'|', _, ..] => true,
            [b' ', b'-', b' ', ..] => word.is_upper,
            [b' ' | b':', rest @ ..] => word.is_upper && stamp::extent(rest) > 0,
            _ => false,
        };
        if is_first && !word.is_weak {
            let length = stamp::extent(&bytes[(end + 1).min(to)..to]);
            if length > 0 && !header.has_time {
                header.time(end + 1, end + 1 + length, next);
            }
            return Some(header.level(from, end, next));
        }
        // `[INFO:module]`
        if let [b':', name @ ..] = &bytes[end..to]
            && word.is_upper
            && !word.is_weak
            && !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        {
            header.level(from, end, next);
            return Some(header.logger(end + 1, to, next));
        }
    }
    let (from, end) = last(bytes, from, to)
        .or_else(|| middle(header, from, to))
        .or_else(|| sign(header, group))?;
    Some(header.level(from, end, next))
}

/// Finds the level in `Server thread/ERROR`, `core:error`, `twisted.web#info`.
fn last(bytes: &[u8], from: usize, to: usize) -> Option<(usize, usize)> {
    let value = &bytes[from..to];
    let at = value.iter().rposition(|byte| matches!(byte, b'/' | b':' | b'#' | b'.'))?;
    let word = level::at(bytes, from + at + 1)?;
    let name = &value[..at];
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'#' | b'/');
    let is_named = match value[at] {
        b'/' => name.len() < 64,
        b'.' => word.is_upper && name.iter().all(is_name),
        _ => name.iter().all(is_name),
    };
    let end = from + at + 1 + word.length;
    (end == to && !word.is_weak && is_named && !name.is_empty()).then_some((from + at + 1, end))
}

/// Reads `[I]` after a function (Gitea), `(0x0040): ` (SSSD), `[System] [MY-010116]` (MySQL).
fn sign(header: &Header<'_>, group: &Group) -> Option<(usize, usize)> {
    let bytes = header.bytes;
    let found = match &bytes[group.from..group.to] {
        [b'D' | b'I' | b'W' | b'E' | b'C' | b'F' | b'T'] => bytes[..group.at].ends_with(b"() "),
        b"System" => bytes[group.end + 1..].starts_with(b" [MY-"),
        [b'0', b'x', digits @ ..] => {
            let is_level = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
            is_level && header.byte(group.end + 1) == b':'
        }
        _ => false,
    };
    (found && header.has_time).then_some((group.from, group.to))
}

/// Finds the level in the middle of `7F00 info 'Default' opID=1` (ESXi) and of
/// `7:8:0102/030405.1:LEVEL:file.cc(1)` (Chromium).
fn middle(header: &mut Header<'_>, from: usize, to: usize) -> Option<(usize, usize)> {
    let bytes = header.bytes;
    let value = &bytes[from..to];
    let thread = value.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if thread >= 4 && value.get(thread) == Some(&b' ') {
        let at = from + thread + 1;
        let word = level::at(bytes, at)?;
        let end = at + word.length;
        return matches!(bytes[end..to], [b' ', b'\'' | b'[', ..]).then_some((at, end));
    }
    if header.has_time && header.waiting == 0 && value.contains(&b' ') {
        return among_words(bytes, from, to).filter(|(at, _)| *at > from);
    }
    if !value.ends_with(b")") {
        return None;
    }
    let mut at = from;
    let mut found = None;
    for part in value.split(|byte| *byte == b':') {
        if !header.has_time && part.len() > 10 && stamp::extent(part) == part.len() {
            header.time(at, at + part.len(), at + part.len());
        }
        if let Some(word) = level::at(bytes, at)
            && word.is_upper
            && word.length == part.len()
        {
            found = Some((at, at + part.len()));
        }
        at += part.len() + 1;
    }
    found
}

/// Reads pairs, ids, locations, and a logger's name after a level.
fn known(header: &mut Header<'_>, group: &Group, next: usize) -> Option<usize> {
    let bytes = header.bytes;
    let (from, to) = (group.from, group.to);
    let value = &bytes[from..to];
    let (before, behind) = (header.separator, header.byte(next));
    let is_between = before == b'-' && behind == b'-' && header.ends(next + 1);
    if let Some([trace, span]) = ids::trace_and_span(bytes, from, to) {
        header.put(TRACE_ID, trace.0, trace.1);
        header.put(SPAN_ID, span.0, span.1);
        return Some(header.commit(next));
    }
    if value.contains(&b'=') {
        let mut found = value.starts_with(b"trace_id=");
        for (field, from, to) in ids::pairs(bytes, from, to) {
            header.put(field, from, to);
            found = true;
        }
        return found.then(|| header.commit(next));
    }
    if bytes[group.at] == b'[' && ids::is_surely_id(value) {
        if header.level.is_none() && is_between {
            header.id(from, to);
            return Some(header.certain_id(next));
        }
        let length = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        header.put(REQUEST_ID, from, from + length);
        return Some(header.commit(next));
    }
    if header.place(from, to) {
        header.has_place = true;
        return Some(header.commit(next));
    }
    if is_between && bytes[group.at] == b'[' {
        if header.level.is_some() {
            return ids::is_absent(value).then(|| header.commit(next));
        }
        header.id(from, to);
        return Some(header.certain_id(next));
    }
    if header.level.is_some() && !header.has_logger && ids::is_dotted(value) {
        return Some(header.logger(from, to, next));
    }
    if header.level.is_none() && ids::is_dotted(value) {
        header.name(from, to);
    }
    None
}
