//! Reads syslog headers on datagrams, streams and in files: `<PRI>` with or without RFC 3164's
//! time, host and tag; RFC 5424's with its structured data; journald's short form. Text that is not
//! a header remains part of the message. Unit: one line.

use crate::record::severity::Severity;

/// The longest text that is accepted as a tag: RFC 3164 section 4.1.3 allows 32, programs write
/// more.
const TAG_BYTES_MAX: usize = 64;

/// What the wrappers of a line say; positions count from the start of the line.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Found {
    /// Severity of syslog's `<PRI>`.
    pub(super) severity: Severity,
    pub(super) time: Option<(usize, usize)>,
    /// The program's name.
    pub(super) program: Option<(usize, usize)>,
    /// RFC 5424's structured data, its brackets included.
    pub(super) structured: Option<(usize, usize)>,
}

/// Removes `<PRI>` and the header after it; returns the start of the message.
pub(super) fn with_priority(line: &str, at: usize, found: &mut Found) -> Option<usize> {
    let (severity, rest) = priority(&line[at..])?;
    found.severity = severity;
    let at = line.len() - rest.len();
    if rest.starts_with("1 ")
        && let Some(message) = rfc5424(line, at + 2, found)
    {
        return Some(message);
    }
    Some(rfc3164(line, at, found))
}

/// Removes a header without `<PRI>`, as syslog daemons and journald write it into files: time, host
/// and program are all required.
pub(super) fn without_priority(line: &str, at: usize, found: &mut Found) -> Option<usize> {
    let (time_end, rest) = behind_time(line, at)?;
    let (host, _) = line[rest..].split_once(' ')?;
    let is_level = Severity::from_text(host) != Severity::UNSPECIFIED;
    let is_host =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/');
    if is_level || host.is_empty() || host.ends_with(':') || !host.bytes().all(is_host) {
        return None;
    }
    let program = rest + host.len() + 1;
    let with_date = line.as_bytes()[at].is_ascii_digit();
    let (name, message) = tag(&line[program..], with_date)?;
    found.time.get_or_insert((at, time_end));
    found.program = Some((program, program + name));
    Some(program + message)
}

/// Parses `<0>` to `<191>`: facility times eight plus severity.
fn priority(text: &str) -> Option<(Severity, &str)> {
    let rest = text.strip_prefix('<')?;
    let end = rest.bytes().take(4).position(|byte| byte == b'>')?;
    let number = rest[..end].bytes().try_fold(0u32, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + (byte - b'0') as u32)
    })?;
    (end > 0 && number <= 191)
        .then(|| (Severity::from_syslog((number % 8) as u8), &rest[end + 1..]))
}

/// Reads `Mmm dd hh:mm:ss host tag[pid]: `; time, host and tag may each be missing. glibc's
/// syslog() omits the host, CPython omits all three.
fn rfc3164(line: &str, at: usize, found: &mut Found) -> usize {
    let Some((time_end, rest)) = behind_time(line, at) else {
        // without a time, only a tag with its process id is unambiguous: `app[7]: text`
        let Some((name, message)) = tag(&line[at..], true) else { return at };
        found.program = Some((at, at + name));
        return at + message;
    };
    found.time = Some((at, time_end));
    let mut program = rest;
    let mut read = tag(&line[rest..], false);
    if read.is_none()
        && let Some((host, _)) = line[rest..].split_once(' ')
    {
        program = rest + host.len() + 1;
        read = tag(&line[program..], false);
    }
    let Some((name, message)) = read else { return rest };
    found.program = Some((program, program + name));
    program + message
}

/// Returns the end of `Nov 21 10:00:00 `, or of RFC 3339's time as newer senders write it, and the
/// start of what follows.
fn behind_time(line: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = &line.as_bytes()[at..];
    if let [m1, m2, m3, b' ', _, _, b' ', _, _, b':', _, _, b':', _, _, b' ', ..] = bytes {
        let is_month =
            m1.is_ascii_uppercase() && m2.is_ascii_lowercase() && m3.is_ascii_lowercase();
        let digits = [5, 7, 8, 10, 11, 13, 14];
        return (is_month && digits.iter().all(|&at| bytes[at].is_ascii_digit()))
            .then_some((at + 15, at + 16));
    }
    let length = memchr::memchr(b' ', bytes)?;
    matches!(bytes[..length], [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..])
        .then_some((at + length, at + length + 1))
}

/// Reads `name: ` or `name[pid]: `; returns the length of the name and the start of the text after
/// it.
fn tag(text: &str, wants_pid: bool) -> Option<(usize, usize)> {
    let is_name = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'@' | b'(' | b')')
    };
    let length = text.bytes().take(TAG_BYTES_MAX + 1).take_while(|byte| is_name(byte)).count();
    if length == 0 || length > TAG_BYTES_MAX {
        return None;
    }
    let rest = match text[length..].strip_prefix('[') {
        Some(rest) => {
            let (pid, rest) = rest.split_once(']')?;
            (pid.len() <= 10 && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)?
        }
        None if wants_pid => return None,
        None => &text[length..],
    };
    let rest = rest.strip_prefix(':')?;
    Some((length, text.len() - rest.strip_prefix(' ').unwrap_or(rest).len()))
}

/// Reads what follows `<PRI>1 `: time, host, application, process, message id, structured data or
/// `-`, message.
fn rfc5424(line: &str, at: usize, found: &mut Found) -> Option<usize> {
    let mut starts = [at; 6];
    for number in 1..6 {
        let before = starts[number - 1];
        starts[number] = before + memchr::memchr(b' ', &line.as_bytes()[before..])? + 1;
    }
    let structured = starts[5];
    let end = if line[structured..].starts_with('-') {
        structured + 1
    } else {
        structured_end(line, structured)?
    };
    let message = match line.as_bytes().get(end) {
        None => end,
        Some(b' ') => end + 1,
        Some(_) => return None,
    };
    if &line[starts[0]..starts[1]] != "- " {
        found.time = Some((starts[0], starts[1] - 1));
    }
    if &line[starts[2]..starts[3]] != "- " {
        found.program = Some((starts[2], starts[3] - 1));
    }
    if end > structured + 1 {
        found.structured = Some((structured, end));
    }
    Some(message)
}

/// Returns the end of `[id name="value"][id]`: a bracket inside quotes is text (RFC 5424 section
/// 6.3.3).
fn structured_end(line: &str, start: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = start;
    while bytes.get(at) == Some(&b'[') {
        let mut is_quoted = false;
        loop {
            at += 1;
            match bytes.get(at)? {
                b'\\' if is_quoted => at += 1,
                b'"' => is_quoted = !is_quoted,
                b']' if !is_quoted => break,
                _ => {}
            }
        }
        at += 1;
    }
    (at > start).then_some(at)
}

/// Calls `each` for every parameter of structured data with its name, its value as it is written,
/// and the start of the value.
pub(super) fn structured_pairs(text: &str, mut each: impl FnMut(&str, &str, usize)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(length) = text[at..].find("=\"") {
        let equals = at + length;
        let name = text[at..equals].rfind([' ', '[']).map_or(at, |space| at + space + 1);
        let from = equals + 2;
        let mut end = from;
        while let Some(byte) = bytes.get(end).filter(|byte| **byte != b'"') {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        let Some(value) = text.get(from..end) else { return };
        each(&text[name..equals], value, from);
        at = (end + 1).min(text.len());
    }
}
