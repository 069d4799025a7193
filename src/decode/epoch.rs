//! Reads `epoch | level | message | service | trace_id` from both ends, because the message may
//! contain ` | `. Unit: one line.

use crate::decode::text::traceback;
use crate::record::field::{BODY, SERVICE, SEVERITY, TIMESTAMP, TRACE_ID};
use crate::record::sentinel::is_sentinel;
use crate::record::slots::{SlotValue, ValueBuffer};
use crate::record::{Decoded, Format};

/// Number of digits before the point: 10 seconds, 13 milliseconds, 16 microseconds, 19 nanoseconds.
const EPOCH_DIGITS: [usize; 4] = [10, 13, 16, 19];

/// What is expected after the digits.
const BAR: &str = "` | ` after the time";

/// Reads a line of this format; leaves `into` unchanged for any other line.
#[inline]
pub(crate) fn read(line: &str, into: &mut Decoded) -> bool {
    // a date has its dash at the fifth place: this check rejects most lines
    match line.as_bytes() {
        [b'1'..=b'9', _, _, _, b'0'..=b'9', _, _, _, _, b'0'..=b'9', ..] => {
            fields(line, into).is_some()
        }
        _ => into.decline::<()>(0, "seconds since 1970 in 10, 13, 16 or 19 digits").is_some(),
    }
}

fn fields(line: &str, into: &mut Decoded) -> Option<()> {
    let record = line;
    let line = record.split_once('\n').map_or(record, |(first, _)| first);
    let digits = line.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let Some((time, rest)) = line.split_once(" | ") else { return into.decline(digits, BAR) };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !EPOCH_DIGITS.contains(&whole.len()) || !is_number(whole) || !is_number(fraction) {
        return into.decline(digits, BAR);
    }
    let level_at = time.len() + 3;
    let Some((level, rest)) = rest.split_once(" | ") else {
        return into.decline(line.len(), "` | ` after the level");
    };
    if level.is_empty() || !level.trim().bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return into.decline(level_at, "a level: one word");
    }
    let end = line.len();
    let body_at = end - rest.len();
    let level_end = level_at + level.trim_end().len();
    into.format = Format::Epoch;
    into.slots.put(TIMESTAMP, SlotValue::text(0, time.len()));
    into.slots.put(SEVERITY, SlotValue::text(level_at, level_end));
    if line.len() < record.len()
        && let Some(at) = traceback::split(record).traceback
    {
        traceback::write(record, at, ValueBuffer::Line, &mut into.slots);
    }
    // both ids or neither: one bar more or less belongs to the message
    let tail = rest.rsplit_once(" | ").and_then(|(before, trace)| {
        before.rsplit_once(" | ").map(|(message, service)| (message, service, trace))
    });
    let Some((message, service, trace)) = tail else {
        into.slots.put(BODY, SlotValue::text(body_at, end));
        return Some(());
    };
    into.slots.put(BODY, SlotValue::text(body_at, body_at + message.len()));
    if !is_sentinel(service) {
        let at = body_at + message.len() + 3;
        into.slots.put(SERVICE, SlotValue::text(at, at + service.len()));
    }
    if !is_sentinel(trace.trim_end()) {
        into.slots.put(
            TRACE_ID,
            SlotValue::text(end - trace.len(), end - trace.len() + trace.trim_end().len()),
        );
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::text::fixture::{all_of, expected as fields};

    #[test]
    fn lines() {
        for (line, expected) in [
            (
                "1795255200.1234567 | INFO | a | b - c | shop | 6f1c1b1e-5f0e-4a3e-9d3c-0f6b1a2c3d4e",
                &[
                    ("timestamp", "1795255200.1234567"),
                    ("severity_text", "INFO"),
                    ("body", "a | b - c"),
                    ("service.name", "shop"),
                    ("trace_id", "6f1c1b1e-5f0e-4a3e-9d3c-0f6b1a2c3d4e"),
                ][..],
            ),
            (
                "1795255200 | error | x | shop | no_trace",
                &[
                    ("timestamp", "1795255200"),
                    ("severity_text", "error"),
                    ("body", "x"),
                    ("service.name", "shop"),
                ],
            ),
            (
                "1795255200123 | WARN  | x | y",
                &[("timestamp", "1795255200123"), ("severity_text", "WARN"), ("body", "x | y")],
            ),
            (
                "1795255200 | ERROR | x | shop | a1\nTraceback (most recent call last):\n  File\nE: m\n",
                &[
                    ("timestamp", "1795255200"),
                    ("severity_text", "ERROR"),
                    ("body", "x"),
                    ("service.name", "shop"),
                    ("trace_id", "a1"),
                    ("exception.stacktrace", "Traceback (most recent call last):\n  File\nE: m"),
                    ("exception.type", "E"),
                    ("exception.message", "m"),
                ],
            ),
        ] {
            let mut into = Decoded::new();
            assert!(read(line, &mut into), "{line}");
            assert_eq!(all_of(line, &into), fields(expected), "{line}");
            assert_eq!(into.format, Format::Epoch);
        }
    }

    #[test]
    fn others() {
        for line in [
            "2026-01-01 10:00:00 | INFO | a | b | c",
            "1795255200",
            "1795255200 | INFO",
            "1795255200 | two words | a | b | c",
            "1795255200 - INFO - a | b | c",
            "179525520 | INFO | a | b | c",
            "1795255200.x | INFO | a | b | c",
            "",
        ] {
            let mut into = Decoded::new();
            assert!(!read(line, &mut into), "{line}");
            assert_eq!(into.slots.present, 0);
        }
    }
}
