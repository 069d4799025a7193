//! Removes what a transport puts around a line, before any reader sees it: byte order mark,
//! colours, Docker's JSON, CRI, `kubectl logs --timestamps`, syslog headers and journald's short
//! form. The metadata of the wrapper (time, program, priority, structured data) is used if the line
//! itself has none. Unit: one frame.

mod ansi;

use super::syslog::{self, Found};
use super::text::stamp;
use super::{escape, logfmt};
use crate::frame::cri;
use crate::record::Decoded;
use crate::record::field::{BODY, FieldTable, SERVICE, TIMESTAMP};
use crate::record::sentinel::is_sentinel;
use crate::record::slots::{SlotValue, ValueBuffer};
use memchr::memchr;

/// How many wrappers may surround a line: a byte order mark, a frame's length, Docker or CRI,
/// syslog.
const LAYERS_MAX: usize = 5;

/// The longest time that a wrapper writes, `2026-01-02T03:04:05.123456789+01:00`.
const TIME_BYTES_MAX: usize = 36;

/// The longest name of a Heroku process that is looked for.
const HEROKU_BYTES_MAX: usize = 64;

/// The rank of a wrapper's metadata: every key of the line itself is better.
const RANK: u8 = u8::MAX;

/// Adds what the wrappers say to the fields of the line.
pub(super) fn add_found(found: &Found, line: &str, wanted: &FieldTable, into: &mut Decoded) {
    into.priority = found.severity;
    let entry = |(from, to)| SlotValue { rank: RANK, ..SlotValue::text(from, to) };
    if let Some(time) = found.time {
        into.slots.put(TIMESTAMP, entry(time));
    }
    if let Some((from, to)) = found.program
        && !is_sentinel(&line[from..to])
    {
        into.slots.put(SERVICE, entry((from, to)));
    }
    if let Some((from, to)) = found.structured {
        syslog::structured_pairs(&line[from..to], |name, value, value_at| {
            let Some(binding) = wanted.binding(name) else { return };
            let mut put = SlotValue { unit: binding.unit, ..entry((0, 0)) };
            if value.contains('\\') {
                let start = into.scratch.len();
                escape::undo_parameter(value, &mut into.scratch);
                put.start = start as u32;
                put.len = (into.scratch.len() - start) as u32;
                put.buffer = ValueBuffer::Scratch;
            } else {
                put.start = (from + value_at) as u32;
                put.len = value.len() as u32;
            }
            for field in [binding.field, binding.also] {
                if field != crate::record::field::FieldId::NONE && field != BODY {
                    into.slots.put(field, put);
                }
            }
        });
    }
}

/// Removes the wrappers: returns the start of the inner line and the metadata, or `None` if there
/// are no wrappers.
pub(super) fn open(line: &str) -> Option<(usize, Found)> {
    let mut found = Found::default();
    let mut at = 0;
    for _ in 0..LAYERS_MAX {
        let Some(next) = layer(line, at, &mut found) else { break };
        at = next;
    }
    (at > 0).then_some((at, found))
}

/// Returns whether a line that begins with a time may have a wrapper. Cheap, and never false if
/// [`open`] finds one.
#[inline]
pub(super) fn may_open(line: &[u8]) -> bool {
    let near = &line[..line.len().min(TIME_BYTES_MAX)];
    let Some(space) = memchr(b' ', near) else { return false };
    !matches!(
        line[space + 1..],
        [b'A'..=b'Z', b'A'..=b'Z', ..]
            | [b'[', b'A'..=b'Z' | b'a'..=b'z', ..]
            | [b' ' | b'-', ..]
            | []
    )
}

/// Returns whether a line may have a wrapper. Cheap, and never false if [`open`] or [`rewrite`]
/// finds one.
#[inline]
pub(super) fn may_surround(line: &[u8]) -> bool {
    match line {
        [0xef, ..] | [b'<', b'0'..=b'9', ..] | [b'{', b'"', b'l', b'o', b'g', b'"', ..] => true,
        [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..] => may_open(line),
        [b'0'..=b'9', rest @ ..] => {
            let space = rest.iter().take(6).position(|byte| *byte == b' ');
            space.is_some_and(|space| rest.get(space + 1) == Some(&b'<'))
        }
        [b'A'..=b'S', b'a'..=b'u', b'b'..=b'y', b' ', ..] => true,
        _ => false,
    }
}

/// Removes one wrapper.
fn layer(line: &str, at: usize, found: &mut Found) -> Option<usize> {
    match line.as_bytes().get(at..)? {
        [0xef, 0xbb, 0xbf, ..] => Some(at + 3),
        [b'<', b'0'..=b'9', ..] => syslog::with_priority(line, at, found),
        // RFC 6587: the length of a frame in a stream
        [b'0'..=b'9', rest @ ..] => match rest.iter().take(6).position(|byte| *byte == b' ') {
            Some(space) if rest[space..].starts_with(b" <") => {
                let digits = &rest[..space];
                digits.iter().all(u8::is_ascii_digit).then_some(at + space + 2)
            }
            _ => behind_time(line, at, found),
        },
        [b'A'..=b'S', b'a'..=b'u', b'b'..=b'y', b' ', ..] => {
            syslog::without_priority(line, at, found)
        }
        _ => None,
    }
}

/// Reads `time stdout F line` (CRI), `time line` (kubectl), `time host program[7]: line` (journald,
/// rsyslog), `time app[web.1]: line` (Heroku).
fn behind_time(line: &str, at: usize, found: &mut Found) -> Option<usize> {
    let bytes = line.as_bytes();
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..] = bytes[at..] else { return None };
    let length = stamp::extent(&bytes[at..]);
    let end = at + length;
    if length < 20 || bytes.get(end) != Some(&b' ') {
        return None;
    }
    let rest = &bytes[end + 1..];
    let inside = match rest {
        [b's', b't', b'd', b'o', b'u', b't', b' ', b'F' | b'P', b' ', ..]
        | [b's', b't', b'd', b'e', b'r', b'r', b' ', b'F' | b'P', b' ', ..] => end + 10,
        [b'{', ..] => end + 1,
        // kubectl writes all nine digits, and so may a logger: then the inner text must be a
        // complete line
        _ if has_nanoseconds(&bytes[at..end]) && begins_line(&line[end + 1..]) => end + 1,
        // Heroku: the dyno's name, `app[web.1]: `, or a part of the platform, `heroku[router]: `
        [b'a', b'p', b'p', b'[', ..] | [b'h', b'e', b'r', b'o', b'k', b'u', b'[', ..] => {
            let near = &rest[..rest.len().min(HEROKU_BYTES_MAX)];
            end + 1 + near.windows(3).position(|part| part == b"]: ")? + 3
        }
        _ => return syslog::without_priority(line, at, found),
    };
    if found.time.is_none() {
        found.time = Some((at, end));
    }
    Some(inside)
}

fn has_nanoseconds(time: &[u8]) -> bool {
    let digits = time.iter().skip(20).take_while(|byte| byte.is_ascii_digit()).count();
    time[19] == b'.' && digits == 9
}

/// Returns whether a text can only be a complete line: logfmt, an access line, or one with a time.
fn begins_line(text: &str) -> bool {
    match text.as_bytes() {
        [b'[', rest @ ..] => stamp::extent(rest) > 0,
        [
            b'I' | b'W' | b'E' | b'F',
            b'0'..=b'1',
            b'0'..=b'9',
            b'0'..=b'3',
            b'0'..=b'9',
            b' ',
            ..,
        ] => true,
        bytes @ [b'0'..=b'9' | b':', ..] => {
            stamp::extent(bytes) > 0 || (text.contains("] \"") && !text.starts_with("0 "))
        }
        bytes => logfmt::starts(text) || stamp::extent(bytes) > 0,
    }
}

/// Rewrites the line if a wrapper changed its bytes: removes colours, and turns Docker's JSON into
/// the form of CRI. Returns `false` if the line needs no change.
pub(super) fn rewrite(line: &str, to: &mut String) -> bool {
    to.clear();
    let is_docker = line.starts_with("{\"log\":\"") && docker(line, to);
    if !is_docker {
        let is_wrapped =
            cri::prefix(line.as_bytes()) > 0 && memchr(b'\n', line.as_bytes()).is_some();
        if !is_wrapped && memchr(0x1b, line.as_bytes()).is_none() {
            return false;
        }
        if is_wrapped {
            push_inner_lines(line, to);
        } else {
            to.push_str(line);
        }
    }
    if memchr(0x1b, to.as_bytes()).is_some() {
        ansi::strip(to);
    }
    true
}

/// Copies the lines of a record of which each has the prefix of CRI: the first line as it is, the
/// others without the prefix.
fn push_inner_lines(record: &str, to: &mut String) {
    for (number, line) in record.split_inclusive('\n').enumerate() {
        let prefix = if number == 0 { 0 } else { cri::prefix(line.as_bytes()) };
        to.push_str(&line[prefix..]);
    }
}

/// Rewrites `{"log":"line\n","stream":"stdout","time":"2026-01-02T03:04:05.25Z"}`, with or without
/// attributes between, as `time stdout F line`.
fn docker(line: &str, to: &mut String) -> bool {
    let bytes = line.as_bytes();
    let Some(log_end) = escape::string_end(bytes, 8) else { return false };
    let Some(rest) = line[log_end..].strip_prefix("\",\"stream\":\"std") else { return false };
    let stream = &rest[..rest.len().min(3)];
    if !matches!(stream, "out" | "err") || !rest[3..].starts_with("\",") {
        return false;
    }
    let Some(at) = rest.rfind("\"time\":\"") else { return false };
    let time = &rest[at + 8..];
    let Some(time) = time.strip_suffix("\"}").filter(|time| !time.contains('"')) else {
        return false;
    };
    to.push_str(time);
    to.push_str(" std");
    to.push_str(stream);
    to.push_str(" F ");
    escape::undo(&line[8..log_end], to);
    to.truncate(to.trim_end_matches(['\n', '\r']).len());
    true
}

#[cfg(test)]
mod tests;
