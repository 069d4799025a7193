//! Reads headers that have a level of one letter or sign, or a level at a position that only one
//! program uses: such a level is accepted only because the whole form is known. klog, Ruby, CUPS,
//! logcat, MongoDB, etcd, Redis, VMware, Blue Gene, PHP, npm, Erlang. Unit: one line.

use super::state::{Header, PART_BYTES_MAX};
use super::{level, servers, stamp};
use crate::record::field::{CODE_FILE, CODE_LINE, LOGGER, SEVERITY};

/// Reads a form that the start of the line identifies; returns where the grammar continues.
#[inline]
pub(super) fn start(header: &mut Header<'_>) -> usize {
    let bytes = header.bytes;
    let found = match bytes {
        [b'I' | b'W' | b'E' | b'F', b'0'..=b'9', ..] => klog(header),
        [b'A'..=b'Z', b',' | b' ' | b'/', ..] => letter_first(header),
        [b'-' | b'A'..=b'Z', ..] => rack(header).or_else(|| php(header, 0)),
        [b'0'..=b'9', ..] => digits_first(header),
        [b'[', b'p', b'i', b'd', b':', b' ', ..] => servers::uwsgi(header),
        [b'#', b' ', b'T', ..] => servers::slow_log(header),
        [b'"', b'0'..=b'9', ..] => servers::quoted(header),
        [b'@', b'4', ..] => servers::tai64n(header),
        [b'=', b'A'..=b'Z', ..] => erlang(header),
        [b'n', b'p', b'm', b' ', ..] => npm(header),
        [b'#', b'#', b'#', b'#', b'<', ..] => Some(4),
        _ => None,
    };
    found.unwrap_or_else(|| header.blanks(0))
}

/// Reads a form that the time before it identifies.
pub(super) fn behind_time(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    if let Some(next) = monolog(header, at) {
        return Some(next);
    }
    if !header.has_time {
        return if header.waiting == 0 { vdsm(header, at) } else { None };
    }
    match bytes[at..] {
        [b'P', b'H', b'P', b' ', ..] => php(header, at),
        [b'c', b'p', b'u', b'0'..=b'9', ..] if header.waiting == 0 => vmkernel(header, at),
        [b'D' | b'I' | b'N' | b'W' | b'E' | b'C' | b'A', b'a'..=b'z', b'(', b'0'..=b'9', ..]
            if header.waiting == 0 =>
        {
            esxi(header, at)
        }
        [
            b'D' | b'V' | b'A' | b'I' | b'W' | b'E' | b'F' | b'N' | b'C',
            b' ' | b'/' | b'1'..=b'9',
            ..,
        ] => letter(header, at),
        [b'#' | b'*', b' ', ..] if header.waiting == 0 && is_day_first(bytes, at) => {
            Some(header.level(at, at + 1, at + 1))
        }
        _ => None,
    }
}

/// Reads what a line that begins with a digit may begin with, besides a date.
fn digits_first(header: &mut Header<'_>) -> Option<usize> {
    if servers::is_dated(header.bytes) {
        return esxi(header, 11);
    }
    redis(header).or_else(|| servers::epoch(header))
}

/// Returns where the time of a klog line ends: `E0102 03:04:05.000000`, and with a year in glog
/// since 0.5: `E20260102 03:04:05.000000`.
pub(super) fn klog_time_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [
            b'I' | b'W' | b'E' | b'F',
            b'0'..=b'9',
            b'0'..=b'9',
            b'0'..=b'9',
            b'0'..=b'9',
            b' ',
            b'0'..=b'9',
            b'0'..=b'9',
            b':',
            _,
            _,
            b':',
            _,
            _,
            b'.',
            ..,
        ] => Some(15 + bytes[15..].iter().take_while(|byte| byte.is_ascii_digit()).count()),
        [b'I' | b'W' | b'E' | b'F', b'1'..=b'2', _, _, _, _, _, _, _, b' ', ..] => {
            let length = stamp::extent(&bytes[1..]);
            let is_compact = bytes[1..9].iter().all(u8::is_ascii_digit) && length > 17;
            is_compact.then_some(1 + length)
        }
        _ => None,
    }
}

/// Reads `E0102 03:04:05.000000       1 file.go:138] message`.
fn klog(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    let length = klog_time_end(bytes)?;
    let near = &bytes[length..bytes.len().min(length + PART_BYTES_MAX)];
    let close = length + memchr::memchr(b']', near)?;
    let thread = header.blanks(length);
    let digits = bytes[thread..close].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let place = header.blanks(thread + digits);
    if digits == 0 || place >= close || !header.ends(close + 1) {
        return None;
    }
    header.time(1, length, close + 1);
    header.put(SEVERITY, 0, 1);
    if let Some(colon) = bytes[place..close].iter().rposition(|byte| *byte == b':') {
        header.put(CODE_FILE, place, place + colon);
        header.put(CODE_LINE, place + colon + 1, close);
    }
    header.is_done = true;
    Some(header.commit(close + 1))
}

/// Reads `E, [time #7] ERROR -- name: `, `E [time] ` (CUPS), `D/Tag(  7): ` (logcat).
fn letter_first(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    match bytes {
        [b'D' | b'I' | b'W' | b'E' | b'F' | b'A' | b'U', b',', b' ', b'[', ..] => {
            (stamp::extent(&bytes[4..]) > 0).then_some(3)
        }
        [b'D' | b'I' | b'W' | b'E' | b'N' | b'C' | b'A' | b'X', b' ', b'[', ..] => {
            if stamp::extent(&bytes[3..]) == 0 {
                return None;
            }
            header.level(0, 1, 2);
            Some(2)
        }
        [b'V' | b'D' | b'I' | b'W' | b'E' | b'F' | b'A', b'/', ..] => tag(header, 0),
        _ => None,
    }
}

/// Reads `D/Tag(  7): `, `D/Tag: `.
fn tag(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    let near = &bytes[at + 2..bytes.len().min(at + PART_BYTES_MAX)];
    let end = near.windows(2).position(|pair| pair == b": ")?;
    let name = &near[..end];
    let open = name.iter().position(|byte| *byte == b'(');
    let is_process = match open {
        Some(open) => {
            let inside = &name[open + 1..];
            inside.ends_with(b")")
                && inside[..inside.len() - 1].iter().all(|b| b.is_ascii_digit() || *b == b' ')
        }
        None => header.has_time && !name.contains(&b' '),
    };
    if !is_process {
        return None;
    }
    let length = open.unwrap_or(end);
    let trailing = name[..length].iter().rev().take_while(|byte| **byte == b' ').count();
    header.put(LOGGER, at + 2, at + 2 + length - trailing);
    header.is_done = true;
    Some(header.level(at, at + 1, at + 2 + end + 1))
}

/// Reads one letter after a time: logcat, MongoDB, etcd's capnslog, VMware's `I125: `.
fn letter(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    if bytes[at + 1] == b'/' {
        return (header.waiting == 0).then(|| tag(header, at))?;
    }
    let digits = bytes[at + 1..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let end = at + 1 + digits;
    let next = header.blanks(end);
    if digits == 3 && header.byte(end) == b':' && header.separator == b'|' {
        return Some(header.level(at, at + 1, end + 1));
    }
    if digits > 1 || !header.ends(end) {
        return None;
    }
    if header.byte(next) == b'|' && header.ends(next + 1) && header.waiting == 0 {
        header.level(at, at + 1, next + 1);
        return Some(header.commit(next + 1));
    }
    // MongoDB: `I NETWORK  [conn1] `
    if header.waiting == 0 {
        let rest = &bytes[next..bytes.len().min(next + 16)];
        let name = rest.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'-').count();
        let context = header.blanks(next + name);
        let is_mongo = name > 0 && context > next + name && header.byte(context) == b'[';
        return is_mongo.then(|| header.level(at, at + 1, next));
    }
    // logcat: process and thread precede the letter
    let numbers =
        bytes[..at].iter().rev().take_while(|b| b.is_ascii_digit() || **b == b' ').count();
    let before = &bytes[at - numbers..at];
    if digits > 0 || before.split(|b| *b == b' ').filter(|word| !word.is_empty()).count() < 2 {
        return None;
    }
    let near = &bytes[next..bytes.len().min(next + PART_BYTES_MAX)];
    if let Some(length) = near.windows(2).position(|pair| pair == b": ") {
        let name = &near[..length];
        let blank = name.iter().rev().take_while(|byte| **byte == b' ').count();
        header.put(LOGGER, next, next + length - blank);
        header.is_done = true;
        return Some(header.level(at, at + 1, next + length + 1));
    }
    // another message may begin with a tag
    header.is_searched = true;
    Some(header.level(at, at + 1, next))
}

/// Reads `In(14) name[7]: `: ESXi 8 writes two letters of the severity and syslog's priority.
fn esxi(header: &mut Header<'_>, at: usize) -> Option<usize> {
    const NAMES: [&[u8]; 8] = [b"Em", b"Al", b"Cr", b"Er", b"Wa", b"No", b"In", b"Db"];
    let bytes = header.bytes;
    let behind = bytes.get(at + 3..)?;
    let digits = behind.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let close = at + 3 + digits;
    let is_known = bytes
        .get(at..at + 3)
        .is_some_and(|word| NAMES.contains(&&word[..2]) && word[2] == b'(' && digits > 0)
        && header.byte(close) == b')';
    is_known.then(|| header.level(at, close + 1, close + 1))
}

/// Reads `cpu7:35233)ALERT: `: lines of the VMkernel name a level only if it is a warning or an
/// alert.
fn vmkernel(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    let near = &bytes[at + 3..bytes.len().min(at + 32)];
    let close = near.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b':'))?;
    let from = at + 3 + close + 1;
    if near[close] != b')' {
        return None;
    }
    header.is_done = true;
    let word = level::at(bytes, from).filter(|word| word.is_upper)?;
    let end = from + word.length;
    (header.byte(end) == b':').then(|| header.level(from, end, end + 1))
}

/// Reads vdsm's `Thread-1::LEVEL::time::module::94::logger::(function) message`.
fn vdsm(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    let near = &bytes[at..bytes.len().min(at + PART_BYTES_MAX)];
    let thread = memchr::memchr(b':', near)?;
    let from = at + thread + 2;
    let word = level::at(bytes, from).filter(|word| word.is_upper)?;
    let end = from + word.length;
    let length = stamp::extent(bytes.get(end + 2..)?);
    let is_joined = |at: usize| bytes[at..].starts_with(b"::");
    if length == 0 || !is_joined(at + thread) || !is_joined(end) || !is_joined(end + 2 + length) {
        return None;
    }
    header.time(end + 2, end + 2 + length, end + 4 + length);
    header.is_done = true;
    let body = near.windows(3).position(|part| part == b"::(").map(|length| at + length + 2);
    Some(header.level(from, end, body.unwrap_or(end + 4 + length)))
}

/// Returns whether the time is `29 Aug 2023 13:47:38.984 # `: Redis puts the day before the month.
fn is_day_first(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[at.saturating_sub(26)..at];
    before.windows(4).any(|part| matches!(part, [b' ', b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z']))
}

/// Reads Ruby's Logger: `-- name: message`; the name may be missing.
pub(super) fn ruby_name(header: &mut Header<'_>, at: usize) -> Option<usize> {
    header.level?;
    let near = &header.bytes[at..header.bytes.len().min(at + PART_BYTES_MAX)];
    let length = near.iter().position(|byte| *byte == b':')?;
    if length > 0 && near[..length].contains(&b' ') || !header.ends(at + length + 1) {
        return None;
    }
    header.is_done = true;
    if length > 0 {
        return Some(header.logger(at, at + length, at + length + 1));
    }
    Some(header.commit(at + 1))
}

/// Reads `7:M 02 Jan 2026 03:04:05.000 * message`. Redis' verbose sign, a dash, is left out,
/// because it is also a separator.
fn redis(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    let digits = bytes.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    match bytes[digits..] {
        [b':', b'M' | b'S' | b'C' | b'X', b' ', ..] => Some(digits + 3),
        _ => None,
    }
}

/// Reads Blue Gene and Thunderbird: `alert epoch date node time node TYPE COMPONENT LEVEL message`.
fn rack(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    let alert = bytes.iter().take(16).position(|byte| *byte == b' ')?;
    let at = alert + 1;
    let word = |from: usize| {
        let near = &bytes[from.min(bytes.len())..bytes.len().min(from + PART_BYTES_MAX)];
        near.iter().position(|byte| *byte == b' ').map(|length| from + length + 1)
    };
    let is_alert =
        |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if !bytes[..alert].iter().all(is_alert) || word(at)? != at + 11 {
        return None;
    }
    let date = at + 11;
    let is_date = matches!(
        bytes[date..],
        [b'0'..=b'9', _, _, b'0'..=b'9', b'.', _, b'0'..=b'9', b'.', _, b'0'..=b'9', b' ', ..]
    );
    if !is_date || !bytes[at..at + 10].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let node = date + 11;
    let rest = word(node)?;
    header.time(at, at + 10, rest);
    header.is_done = true;
    if !bytes[rest..].starts_with(b"20") {
        return Some(rest);
    }
    // time, node, type and component
    let level_at = word(rest).and_then(word).and_then(word).and_then(word)?;
    if let Some(word) = level::at(bytes, level_at).filter(|word| word.is_upper) {
        return Some(header.level(level_at, level_at + word.length, level_at + word.length));
    }
    Some(rest)
}

/// Reads `PHP Warning:  text`, `PHP Fatal error:  text`.
fn php(header: &mut Header<'_>, at: usize) -> Option<usize> {
    const KINDS: [(&[u8], usize); 8] = [
        (b"Fatal error", 6),
        (b"Parse error", 6),
        (b"Recoverable fatal error", 18),
        (b"Core error", 5),
        (b"Compile error", 8),
        (b"Warning", 0),
        (b"Notice", 0),
        (b"Deprecated", 0),
    ];
    let rest = header.bytes[at..].strip_prefix(b"PHP ")?;
    let (kind, word) = KINDS.iter().find(|(kind, _)| rest.starts_with(kind))?;
    let from = at + 4;
    let end = from + kind.len();
    if header.byte(end) != b':' {
        return None;
    }
    header.is_done = true;
    Some(header.level(from + word, end, end + 1))
}

/// Reads `npm ERR! text`, `npm warn text`.
fn npm(header: &mut Header<'_>) -> Option<usize> {
    let word = level::at(header.bytes, 4)?;
    let end = 4 + word.length;
    let behind = end + usize::from(header.byte(end) == b'!');
    header.is_done = true;
    header.ends(behind).then(|| header.level(4, end, behind))
}

/// Reads `=ERROR REPORT==== 2-Jan-2026::03:04:05 ===`.
fn erlang(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    let near = &bytes[..bytes.len().min(32)];
    let end = near.windows(12).position(|part| part == b" REPORT==== ")?;
    let word = level::at(bytes, 1).filter(|word| word.length + 1 == end)?;
    let at = end + 12;
    header.level(1, 1 + word.length, at);
    let length = stamp::extent(&bytes[at..]);
    if length > 0 && bytes[at + length..].starts_with(b" ===") {
        header.is_done = true;
        return Some(header.time(at, at + length, at + length + 4));
    }
    Some(at)
}

/// Reads Monolog and Laravel: `channel.LEVEL: `.
fn monolog(header: &mut Header<'_>, at: usize) -> Option<usize> {
    let bytes = header.bytes;
    let near = &bytes[at..bytes.len().min(at + PART_BYTES_MAX)];
    let length = near.iter().position(|byte| *byte == b' ').unwrap_or(near.len());
    let word = near[..length].strip_suffix(b":")?;
    let point = word.iter().rposition(|byte| *byte == b'.')?;
    let level = level::at(bytes, at + point + 1)?;
    if !header.has_time || !level.is_upper || point + 1 + level.length != word.len() || point == 0 {
        return None;
    }
    header.put(LOGGER, at, at + point);
    header.has_logger = true;
    header.is_done = true;
    Some(header.level(at + point + 1, at + word.len(), at + length))
}
