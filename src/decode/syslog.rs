//! The header that a datagram may carry: `<PRI>`, with or without RFC 3164's time, host and tag, and the NUL
//! that CPython's SysLogHandler appends. RFC 5424's header is taken off where it has no structured data.
//! What is no header stays part of the text. Unit: one datagram.

use crate::record::Envelope;
use crate::record::severity::Severity;

/// The longest tag that is taken for one: RFC 3164 section 4.1.3 allows 32, programs write more.
const TAG_BYTES_MAX: usize = 64;

/// Takes the header off a datagram: what it said, and the text that remains.
pub fn peel(datagram: &str) -> (Envelope<'_>, &str) {
    let text = datagram.trim_end_matches(['\0', '\n', '\r']);
    let Some((severity, rest)) = priority(text) else {
        return (Envelope::default(), text);
    };
    let (tag, rest) = match rest.strip_prefix("1 ").and_then(rfc5424) {
        Some(found) => found,
        None => rfc3164(rest),
    };
    (Envelope { severity, tag }, rest)
}

/// `<0>` to `<191>`: facility times eight plus severity.
fn priority(text: &str) -> Option<(Severity, &str)> {
    let rest = text.strip_prefix('<')?;
    let end = rest.bytes().take(4).position(|byte| byte == b'>')?;
    let number = rest[..end].bytes().try_fold(0u32, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + (byte - b'0') as u32)
    })?;
    (end > 0 && number <= 191)
        .then(|| (Severity::from_syslog((number % 8) as u8), &rest[end + 1..]))
}

/// `Mmm dd hh:mm:ss host tag[pid]: `; time, host and tag may each be missing. glibc's syslog() leaves out
/// the host, CPython everything.
fn rfc3164(text: &str) -> (Option<&str>, &str) {
    let Some(after_time) = behind_time(text) else {
        // without a time only a tag with its process id is clear enough: `app[7]: text`
        return tag(text, true).map_or((None, text), |(tag, rest)| (Some(tag), rest));
    };
    if let Some((tag, rest)) = tag(after_time, false) {
        return (Some(tag), rest);
    }
    if let Some((_host, behind)) = after_time.split_once(' ')
        && let Some((tag, rest)) = tag(behind, false)
    {
        return (Some(tag), rest);
    }
    (None, after_time)
}

/// What follows `Nov 21 10:00:00 `, or RFC 3339's time as newer senders write it.
fn behind_time(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    if let [m1, m2, m3, b' ', _, _, b' ', _, _, b':', _, _, b':', _, _, b' ', ..] = bytes {
        let is_month =
            m1.is_ascii_uppercase() && m2.is_ascii_lowercase() && m3.is_ascii_lowercase();
        let digits = [5, 7, 8, 10, 11, 13, 14];
        return (is_month && digits.iter().all(|&at| bytes[at].is_ascii_digit()))
            .then(|| &text[16..]);
    }
    let (time, rest) = text.split_once(' ')?;
    matches!(time.as_bytes(), [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..])
        .then_some(rest)
}

/// `name: ` or `name[pid]: `.
fn tag(text: &str, wants_pid: bool) -> Option<(&str, &str)> {
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'@');
    let length = text.bytes().take(TAG_BYTES_MAX + 1).take_while(|byte| is_name(byte)).count();
    if length == 0 || length > TAG_BYTES_MAX {
        return None;
    }
    let (name, rest) = text.split_at(length);
    let rest = match rest.strip_prefix('[') {
        Some(rest) => {
            let (pid, rest) = rest.split_once(']')?;
            (pid.len() <= 10 && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)?
        }
        None if wants_pid => return None,
        None => rest,
    };
    let rest = rest.strip_prefix(':')?;
    Some((name, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// Behind `<PRI>1 `: time, host, application, process, message id, and `-` for no structured data.
fn rfc5424(text: &str) -> Option<(Option<&str>, &str)> {
    let mut parts = text.splitn(7, ' ');
    let (_time, _host, application) = (parts.next()?, parts.next()?, parts.next()?);
    let (_process, _message_id, structured) = (parts.next()?, parts.next()?, parts.next()?);
    if structured != "-" {
        return None;
    }
    let message = parts.next().unwrap_or("");
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Some(((application != "-").then_some(application), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_sender() {
        for (datagram, severity, tag, rest) in [
            // nginx: access_log syslog:server=unix:...
            (
                "<190>Nov 21 10:00:00 web-1 nginx: 127.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
                Severity::INFO,
                Some("nginx"),
                "127.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
            ),
            // nginx with nohostname
            (
                "<187>Nov  1 10:00:00 nginx: 2026/11/01 10:00:00 [error] 7#7: x",
                Severity::ERROR,
                Some("nginx"),
                "2026/11/01 10:00:00 [error] 7#7: x",
            ),
            // CPython's SysLogHandler
            ("<14>INFO:root:hello\0", Severity::INFO, None, "INFO:root:hello"),
            (
                "<11>failed\nTraceback (most recent call last):\nX: y\0",
                Severity::ERROR,
                None,
                "failed\nTraceback (most recent call last):\nX: y",
            ),
            ("<12>{\"level\":\"warn\"}", Severity::WARN, None, "{\"level\":\"warn\"}"),
            // glibc's syslog(), the logger command
            (
                "<13>Nov 21 10:00:00 app[77]: text: more",
                Severity::NOTICE,
                Some("app"),
                "text: more",
            ),
            ("<8>app[7]: started", Severity(24), Some("app"), "started"),
            (
                "<165>1 2026-11-21T10:00:00Z host app 7 ID47 - \u{feff}text",
                Severity::NOTICE,
                Some("app"),
                "text",
            ),
            ("<165>1 2026-11-21T10:00:00Z host - - - -", Severity::NOTICE, None, ""),
            ("<30>2026-11-21T10:00:00.5+00:00 host cron[7]: x", Severity::INFO, Some("cron"), "x"),
            // none
            ("<14>note: this is no tag", Severity::INFO, None, "note: this is no tag"),
            ("plain\n", Severity::UNSPECIFIED, None, "plain"),
            ("<192>x", Severity::UNSPECIFIED, None, "<192>x"),
            ("<>x", Severity::UNSPECIFIED, None, "<>x"),
            ("<b>bold</b>", Severity::UNSPECIFIED, None, "<b>bold</b>"),
            ("<1", Severity::UNSPECIFIED, None, "<1"),
            ("", Severity::UNSPECIFIED, None, ""),
        ] {
            assert_eq!(peel(datagram), (Envelope { severity, tag }, rest), "{datagram:?}");
        }
    }

    proptest! {
        /// No datagram panics, and what remains is always a part of it.
        #[test]
        fn property_any_datagram(text in "<[0-9]{1,3}>(1 )?([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} )?\\PC{0,40}") {
            let (_, rest) = peel(&text);
            prop_assert!(text.contains(rest));
        }
    }
}
