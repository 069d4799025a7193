//! Reads headers that only one server or database writes: uWSGI's request line, MySQL's slow log,
//! PostgreSQL's own prefix, a time in quotes, seconds since 1970 without bars, daemontools' labels.
//! Unit: one line.

use super::state::{Header, PART_BYTES_MAX};
use super::{level, stamp};
use crate::record::field::CLIENT_ADDRESS;
use memchr::{memchr, memmem};

/// How far from the end of the time PostgreSQL's severity is searched for: its prefix contains
/// names of users, databases, applications and hosts.
const POSTGRES_PREFIX_MAX: usize = 256;
/// Length of daemontools' label: an at sign and a TAI64N number of 24 hexadecimal digits.
const TAI64N_BYTES: usize = 25;

/// Reads `[pid: 7|app: 0|req: 1/2] 192.0.2.7 () {38 vars in 696 bytes} [Sun Mar 13 22:49:12 2016]
/// GET /x => ...`: the header ends before the method.
pub(super) fn uwsgi(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    let close = memchr(b']', &bytes[..bytes.len().min(PART_BYTES_MAX)])?;
    let is_worker = memmem::find(&bytes[..close], b"|req: ").is_some();
    let client = close + 2;
    let vars = memmem::find(bytes, b"} [").filter(|at| is_worker && *at > client)?;
    let (from, length) = (vars + 3, stamp::extent(&bytes[vars + 3..]));
    if length == 0 || header.byte(from + length) != b']' {
        return None;
    }
    let end = client + bytes[client..].iter().position(|byte| *byte == b' ')?;
    if end > client && end < vars {
        header.put(CLIENT_ADDRESS, client, end);
    }
    header.is_done = true;
    Some(header.time(from, from + length, from + length + 1))
}

/// Reads `# Time: 2026-01-02T03:04:04.250000Z`, `# Time: 260102  3:04:04`.
pub(super) fn slow_log(header: &mut Header<'_>) -> Option<usize> {
    const LABEL: &[u8] = b"# Time: ";
    let rest = header.bytes.strip_prefix(LABEL)?;
    let length = stamp::extent(rest);
    header.is_done = true;
    (length > 0).then(|| header.time(LABEL.len(), LABEL.len() + length, LABEL.len() + length))
}

/// Reads `"2026-01-02 03:04:04" ` and `"2026-01-02 03:04:04",`: the first column of a table.
pub(super) fn quoted(header: &mut Header<'_>) -> Option<usize> {
    let length = stamp::extent(&header.bytes[1..]);
    let close = 1 + length;
    let is_column =
        header.byte(close) == b'"' && matches!(header.byte(close + 1), b' ' | b',' | b'\t' | 0);
    (length > 0 && is_column).then(|| header.time(1, close, close + 1))
}

/// Reads `1767323044.250 text` and `1767323044250 text`: seconds need a fraction, because a number
/// of ten digits may be anything.
pub(super) fn epoch(header: &mut Header<'_>) -> Option<usize> {
    let bytes = header.bytes;
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let end = match (whole, header.byte(whole)) {
        (10, b'.') => {
            let fraction = digits(whole + 1);
            (3..=9).contains(&fraction).then_some(whole + 1 + fraction)?
        }
        (13 | 16 | 19, b' ') => whole,
        _ => return None,
    };
    let is_this_century = bytes[0] == b'1';
    (is_this_century && header.byte(end) == b' ').then(|| header.time(0, end, end))
}

/// Reads `@4000000069573f241dcd6500 text`, which multilog, svlogd and their like write.
pub(super) fn tai64n(header: &mut Header<'_>) -> Option<usize> {
    let label = header.bytes.get(1..TAI64N_BYTES)?;
    let is_label = label[0] == b'4' && label.iter().all(u8::is_ascii_hexdigit);
    (is_label && header.ends(TAI64N_BYTES)).then(|| header.time(0, TAI64N_BYTES, TAI64N_BYTES))
}

/// Reads a date before ESXi's letters, as programs on it write it: `2026-01-02 In(14) name[7]: `.
/// The date alone is no time.
pub(super) fn is_dated(bytes: &[u8]) -> bool {
    let Some(date) = bytes.first_chunk::<11>() else { return false };
    date.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        10 => *byte == b' ',
        _ => byte.is_ascii_digit(),
    })
}

/// Finds `[02/Jan/2026:03:04:04 +0000]` after columns of any kind (CUPS' page log, a server's own
/// access log). Only logs write this form, so it is the time wherever it is; the columns before it
/// remain in the message; a request may follow it.
#[cold]
pub(super) fn bracketed_time(header: &mut Header<'_>) {
    let bytes = header.bytes;
    let near = &bytes[..bytes.len().min(PART_BYTES_MAX)];
    for open in memchr::memchr_iter(b'[', near) {
        let inside = &bytes[open + 1..];
        let is_date = matches!(inside, [b'0'..=b'3', _, b'/', b'A'..=b'Z', _, _, b'/', ..]);
        let end = open + 1 + if is_date { stamp::extent(inside) } else { 0 };
        if end > open + 21 && header.byte(end) == b']' && bytes[..end].contains(&b' ') {
            header.time(open + 1, end, end + 1);
            header.body = Some(0);
            header.stopped = header.blanks(end + 1);
            return;
        }
    }
}

/// Finds PostgreSQL's severity after a prefix of any form (`log_line_prefix`): a word in capitals
/// before a colon and two blanks, which no other program writes. The prefix has to contain what
/// separates it from a sentence.
#[cold]
pub(super) fn postgres(header: &mut Header<'_>) {
    let (bytes, Some(from)) = (header.bytes, header.body) else { return };
    let near = &bytes[from..bytes.len().min(from + POSTGRES_PREFIX_MAX)];
    let Some(colon) = memmem::find(near, b":  ") else { return };
    let name = near[..colon]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'1'..=b'5'))
        .count();
    // a prefix that ends with a number stands directly before the word: `5LOG`
    let digits = near[colon - name..colon].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = colon - name + digits;
    let (prefix, word) = (&near[..start], &near[start..colon]);
    let is_severity =
        matches!(word, b"LOG" | b"ERROR" | b"WARNING" | b"FATAL" | b"PANIC" | b"NOTICE" | b"INFO")
            || matches!(word, [b'D', b'E', b'B', b'U', b'G', b'1'..=b'5']);
    let is_prefix = prefix.iter().any(|byte| matches!(byte, b'[' | b'@' | b'='))
        && prefix.last().is_some_and(|byte| !byte.is_ascii_alphabetic());
    if is_severity && is_prefix && level::at(bytes, from + start).is_some() {
        // the parser may have read on, into the message
        header.count = header.certain;
        header.logger_name = None;
        header.is_searched = true;
        header.level(from + start, from + colon, from + colon + 1);
    }
}
