//! Writes an entry of Fluent Forward, its time and its record, as a line of JSON: the record's
//! members, then the time and the tag of the message. Unit: one entry.

use super::json;
use crate::frame::encoding::Frame;
use crate::frame::msgpack::{self, Head, Read, Walk, Walked};

/// The deepest nesting that is written.
const DEPTH_MAX: u32 = 16;

/// What stands for values beyond the bounds.
const LEFT_OUT: &[u8] = b"\"...\"";

/// Writes an entry. Returns false if it has no record.
pub(super) fn write(frame: &Frame<'_>, line: &mut Vec<u8>) -> bool {
    line.clear();
    let Some((time, record)) = parts(frame.bytes) else { return false };
    let Read::Head(Head::Map(count), mut at) = msgpack::head(record) else { return false };
    let mut out = Writer { bytes: record, line };
    out.line.push(b'{');
    for _ in 0..count {
        // a record that is cut ends where its bytes end
        let Some(next) = out.member(at, 0) else { break };
        at = next;
    }
    if let Some(time) = seconds(time) {
        json::display(line, format_args!("\"fluent.time\":{}.{:09},", time.0, time.1));
    }
    line.extend_from_slice(b"\"fluent.tag\":");
    json::string(line, frame.tag);
    line.push(b'}');
    true
}

/// Returns the bytes from the time on, and those from the record on. Fluent Bit puts the time into
/// an array with metadata.
fn parts(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut time = entry;
    if let Read::Head(Head::Array(_), length) = msgpack::head(time) {
        time = &time[length..];
    }
    let record = &time[msgpack::end(time)?..];
    if let Read::Head(Head::Array(_), length) = msgpack::head(time) {
        time = &time[length..];
    }
    Some((time, record))
}

/// Returns seconds and nanoseconds of a time: a number of seconds, or the extension `EventTime`.
fn seconds(time: &[u8]) -> Option<(u64, u32)> {
    match msgpack::head(time) {
        Read::Head(Head::Integer(seconds), _) => Some((u64::try_from(seconds).ok()?, 0)),
        Read::Head(Head::Float(seconds), _) if (0.0..1e11).contains(&seconds) => {
            Some((seconds as u64, (seconds.fract() * 1e9) as u32))
        }
        Read::Head(Head::Extension(0, 8), at) => {
            let (seconds, rest) = time.get(at..)?.split_first_chunk::<4>()?;
            let nanos = u32::from_be_bytes(*rest.first_chunk::<4>()?);
            (nanos < 1_000_000_000).then(|| (u64::from(u32::from_be_bytes(*seconds)), nanos))
        }
        _ => None,
    }
}

struct Writer<'a> {
    bytes: &'a [u8],
    line: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// Writes the member of an object at `at`, with a comma behind it; returns where the next one
    /// starts. Writes nothing if it is not whole.
    fn member(&mut self, at: usize, depth: u32) -> Option<usize> {
        let before = self.line.len();
        let written = self.key(at).and_then(|at| {
            self.line.push(b':');
            self.value(at, depth)
        });
        match written {
            Some(_) => self.line.push(b','),
            None => self.line.truncate(before),
        }
        written
    }

    /// Writes a key as a string.
    fn key(&mut self, at: usize) -> Option<usize> {
        let Read::Head(head, length) = msgpack::head(self.bytes.get(at..)?) else { return None };
        let from = at + length;
        match head {
            Head::Text(size) | Head::Bytes(size) => {
                json::string(self.line, self.bytes.get(from..from + size)?);
                Some(from + size)
            }
            Head::Integer(number) => {
                json::display(self.line, format_args!("\"{number}\""));
                Some(from)
            }
            _ => {
                self.line.extend_from_slice(LEFT_OUT);
                Some(at + msgpack::end(&self.bytes[at..])?)
            }
        }
    }

    fn value(&mut self, at: usize, depth: u32) -> Option<usize> {
        let Read::Head(head, length) = msgpack::head(self.bytes.get(at..)?) else { return None };
        let mut from = at + length;
        match head {
            Head::Nil => self.line.extend_from_slice(b"null"),
            Head::Bool(truth) => json::display(self.line, format_args!("{truth}")),
            Head::Integer(number) => json::integer(self.line, number),
            Head::Unsigned(number) => json::display(self.line, format_args!("{number}")),
            Head::Float(number) => json::float(self.line, number),
            Head::Text(size) | Head::Bytes(size) => {
                json::string(self.line, self.bytes.get(from..from + size)?);
                from += size;
            }
            Head::Extension(..) => {
                let end = at + msgpack::end(&self.bytes[at..])?;
                match seconds(&self.bytes[at..]) {
                    Some(time) => {
                        json::display(self.line, format_args!("{}.{:09}", time.0, time.1));
                    }
                    None => self.line.extend_from_slice(LEFT_OUT),
                }
                from = end;
            }
            Head::Array(_) | Head::Map(_) if depth >= DEPTH_MAX => {
                let Walked::Ended(end) = Walk::over(1).on(&self.bytes[at..]) else { return None };
                self.line.extend_from_slice(LEFT_OUT);
                from = at + end;
            }
            Head::Array(count) => {
                self.line.push(b'[');
                for _ in 0..count {
                    from = self.value(from, depth + 1)?;
                    self.line.push(b',');
                }
                self.close(b']');
            }
            Head::Map(count) => {
                self.line.push(b'{');
                for _ in 0..count {
                    from = self.member(from, depth + 1)?;
                }
                self.close(b'}');
            }
        }
        Some(from)
    }

    /// Puts a bracket in place of the last comma.
    fn close(&mut self, bracket: u8) {
        if self.line.last() == Some(&b',') {
            self.line.pop();
        }
        self.line.push(bracket);
    }
}

#[cfg(test)]
mod tests;
