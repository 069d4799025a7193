//! Recognises the prefix that container runtimes (CRI) write before each line:
//! `2026-01-02T03:04:05.123456789Z stdout F `. Lines of one record carry it each. Unit: one line.

/// The shortest and the longest time before the stream's name.
const TIME_BYTES: std::ops::RangeInclusive<usize> = 20..=36;

/// Returns the length of the prefix; 0 if there is none. The check of one byte rejects nearly every
/// other line.
#[inline]
pub(crate) fn prefix(line: &[u8]) -> usize {
    match line {
        [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', ..] => behind_time(line),
        _ => 0,
    }
}

#[cold]
fn behind_time(line: &[u8]) -> usize {
    let time = line.iter().take(TIME_BYTES.end() + 1).position(|byte| *byte == b' ');
    let Some(time) = time.filter(|length| TIME_BYTES.contains(length)) else { return 0 };
    let is_stream = |name: &[u8]| line[time + 1..].starts_with(name);
    if is_stream(b"stdout F ") || is_stream(b"stderr F ") { time + 10 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        for (line, expected) in [
            ("2026-01-02T03:04:05.123456789Z stdout F x", 40),
            ("2026-01-02T03:04:05.1+01:00 stderr F ", 37),
            ("2026-01-02T03:04:05.123456789Z stdout P x", 0),
            ("2026-01-02T03:04:05.123456789Z stdout", 0),
            ("2026-01-02T03:04:05.123456789Z x stdout F x", 0),
            ("2026-01-02T03:04:05.123456789Z", 0),
            ("2026-01-02 03:04:05 stdout F x", 0),
            ("", 0),
        ] {
            assert_eq!(prefix(line.as_bytes()), expected, "{line}");
        }
    }
}
