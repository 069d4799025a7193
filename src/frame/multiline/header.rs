//! Decides by the bytes of a line alone whether it begins a record: a time, a level, JSON or a pair
//! at its start. In doubt the answer is no. Unit: one line.

/// How far into the line a level is searched for.
const HEADER_BYTES_MAX: usize = 64;

/// How many words of a header are examined.
const WORDS_MAX: usize = 6;

/// Level words in upper case that need no delimiter in a header.
const LEVELS: [&[u8]; 19] = [
    b"DEBUG",
    b"INFO",
    b"WARNING",
    b"WARN",
    b"ERROR",
    b"CRITICAL",
    b"FATAL",
    b"TRACE",
    b"NOTICE",
    b"LOG",
    b"SEVERE",
    b"SUCCESS",
    b"VERBOSE",
    b"PANIC",
    b"EMERG",
    b"ALERT",
    b"ERR",
    b"CRIT",
    b"ERRO",
];

/// Level words in lower case; they are levels only before a colon or in brackets.
const LOWER: [&[u8]; 18] = [
    b"debug",
    b"info",
    b"warning",
    b"warn",
    b"error",
    b"critical",
    b"fatal",
    b"trace",
    b"notice",
    b"fail",
    b"crit",
    b"dbug",
    b"trce",
    b"err",
    b"alert",
    b"emerg",
    b"verbose",
    b"silly",
];

/// Returns the line after the colour codes at its start.
pub(super) fn behind_colours(mut line: &[u8]) -> &[u8] {
    while let [0x1b, b'[', rest @ ..] = line {
        let Some(end) = rest.iter().take(16).position(|byte| *byte == b'm') else { return line };
        line = &rest[end + 1..];
    }
    line
}

/// Copies the line without its colour codes, as far as it fits; returns the length of the copy.
pub(super) fn without_colours(mut line: &[u8], to: &mut [u8]) -> usize {
    let mut length = 0;
    while length < to.len() && !line.is_empty() {
        let plain = behind_colours(line);
        if plain.len() < line.len() {
            line = plain;
            continue;
        }
        let next = 1 + memchr::memchr(0x1b, &line[1..]).unwrap_or(line.len() - 1);
        let copied = next.min(to.len() - length);
        to[length..length + copied].copy_from_slice(&line[..copied]);
        length += copied;
        line = &line[next..];
    }
    length
}

/// Returns whether an unindented line begins a record.
pub(super) fn begins_record(line: &[u8]) -> bool {
    match line {
        [b'0'..=b'9' | b'{', ..] => true,
        [b'[' | b'<', b'0'..=b'9', ..] => true,
        [b'I' | b'W' | b'E' | b'F' | b'D', b'0'..=b'9', b'0'..=b'9', ..] => true,
        [b'[', rest @ ..] => is_delimited_level(rest, b']') || has_level(line),
        [b'<', rest @ ..] => is_delimited_level(rest, b'>'),
        [b'D' | b'I' | b'W' | b'E' | b'F' | b'A', b',', b' ', b'[', ..] => true,
        _ => {
            starts_with_date(line)
                || is_delimited_level(line, b':')
                || is_pair(line)
                || has_level(line)
                || is_report_of_php(line)
                || is_access(line)
        }
    }
}

/// Returns whether a line starts as `PHP Fatal error:  Uncaught ...`, `Fatal error: Uncaught ...`.
fn is_report_of_php(line: &[u8]) -> bool {
    [&b"PHP Fatal error: "[..], b"PHP Warning: ", b"PHP Notice: ", b"PHP Parse error: "]
        .iter()
        .any(|start| line.starts_with(start))
        || line.starts_with(b"Fatal error: Uncaught ")
}

/// Returns whether a line starts as `Nov 29 18:14:45`, `Sun Nov 29 ...`, `Nov 29, 2026 6:14:45 PM`.
fn starts_with_date(line: &[u8]) -> bool {
    is_month(line) && matches!(line.get(3..), Some([b' ', b' ' | b'0'..=b'9', ..]))
        || is_day(line) && line.get(3) == Some(&b' ') && is_month(&line[4..])
}

fn is_month(line: &[u8]) -> bool {
    let names: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    line.get(..3).is_some_and(|name| names.contains(&name))
}

fn is_day(line: &[u8]) -> bool {
    let names: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    line.get(..3).is_some_and(|name| names.contains(&name))
}

/// Returns whether a line is the first line of a java.util.logging record:
/// `Nov 29, 2026 6:14:45 PM pkg.Class method`.
pub(super) fn is_java_date(line: &[u8]) -> bool {
    is_month(line)
        && line.iter().take(8).any(|byte| *byte == b',')
        && line.iter().take(32).filter(|byte| **byte == b':').count() == 2
        && line.len() < 4 * HEADER_BYTES_MAX
}

/// Returns whether a line is the second line of such a record: `SEVERE: text`.
pub(super) fn is_java_level(line: &[u8]) -> bool {
    let names: [&[u8]; 7] =
        [b"SEVERE", b"WARNING", b"INFO", b"CONFIG", b"FINE", b"FINER", b"FINEST"];
    names.iter().any(|name| {
        line.strip_prefix(*name).is_some_and(|rest| matches!(rest, [b':'] | [b':', b' ', ..]))
    })
}

/// Returns whether a line starts as `error] ` or `error: `; `closing` is the bracket or the colon.
fn is_delimited_level(line: &[u8], closing: u8) -> bool {
    let length = line.iter().take(12).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let end = length + line[length..].iter().take(8).take_while(|byte| **byte == b' ').count();
    let is_level = LEVELS.contains(&&line[..length]) || LOWER.contains(&&line[..length]);
    // `Error: text` is an exception
    is_level && line.get(if closing == b':' { length } else { end }) == Some(&closing)
}

/// Returns whether the line starts with a level in upper case.
pub(super) fn level_at(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let length = line.iter().take(12).take_while(|byte| byte.is_ascii_uppercase()).count();
    LEVELS.contains(&&line[..length])
        && matches!(line.get(length), None | Some(b' ' | b'\t' | b':' | b']' | b'|' | b'-'))
}

/// Returns whether one of the first words is a level in upper case, or a level in brackets.
pub(super) fn has_level(line: &[u8]) -> bool {
    let near = &line[..line.len().min(HEADER_BYTES_MAX)];
    let words = near.split(|byte| matches!(byte, b' ' | b'\t' | b'|' | b':' | b'.'));
    words.filter(|word| !word.is_empty()).take(WORDS_MAX).any(|word| {
        let is_bracketed = matches!(word, [b'[' | b'<' | b'(', .., b']' | b'>' | b')']);
        let inner = if is_bracketed { &word[1..word.len() - 1] } else { word };
        LEVELS.contains(&inner) || is_bracketed && LOWER.contains(&inner)
    })
}

/// Returns whether `key=` occurs within the first 40 bytes.
pub(super) fn is_pair(line: &[u8]) -> bool {
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@');
    let length = line.iter().take(40).take_while(|byte| is_key(byte)).count();
    length > 0 && line.get(length) == Some(&b'=')
}

/// Returns whether the first bytes of a line identify JSON, logfmt or an access line. No line is
/// ever joined to such a line, so that it is complete at once.
pub(super) fn is_never_joined_to(line: &[u8]) -> bool {
    match line {
        [b'{', ..] => true,
        [b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@', ..] if is_pair(line) => true,
        [b'0'..=b'9' | b'a'..=b'z' | b':' | b'-' | b'[', ..] => is_access(line),
        _ => false,
    }
}

/// Returns whether the line has `address word word [dd/` within the first 160 bytes.
fn is_access(line: &[u8]) -> bool {
    let mut at = 0;
    for _ in 0..3 {
        let rest = &line[at..line.len().min(160)];
        let Some(space) = rest.iter().position(|byte| *byte == b' ') else { return false };
        if space == 0 {
            return false;
        }
        at += space + 1;
    }
    matches!(line[at..], [b'[', b'0'..=b'9', b'0'..=b'9', b'/', ..])
}

/// Returns whether the line is `fail: Shop.Orders.Worker[0]`, the first line that Microsoft's
/// console logger writes.
pub(super) fn is_console_category(line: &[u8]) -> bool {
    let levels: [&[u8]; 6] = [b"trce: ", b"dbug: ", b"info: ", b"warn: ", b"fail: ", b"crit: "];
    levels.iter().any(|level| line.starts_with(level))
        && line.ends_with(b"]")
        && line[6..].contains(&b'[')
        && !line[6..].contains(&b' ')
}
