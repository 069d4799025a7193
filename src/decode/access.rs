//! Access lines: NCSA common and combined, nginx with `request_time` behind them, Django's short form.
//! Four jumps from quote to quote; nothing is validated beyond what tells an access line from another line,
//! and no value is read here. Unit: one line.

mod trailing;

use crate::record::field::{
    CLIENT_ADDRESS, HTTP_METHOD, HTTP_STATUS, TIMESTAMP, URL_PATH, USER_AGENT,
};
use crate::record::slots::Entry;
use crate::record::{Decoded, Format};
use memchr::{memchr, memrchr};

/// `[21/Nov/2026:10:00:00 +0000] "`: from the bracket to the quote.
const CLF_TIME_BYTES: usize = 29;

/// The longest method: `VERSION-CONTROL` has 15 letters.
const METHOD_BYTES_MAX: usize = 16;

/// Reads an access line; anything else leaves `into` as it is.
#[inline]
pub fn read(line: &str, into: &mut Decoded) -> bool {
    let bytes = line.as_bytes();
    // a level word or a date at the start is some other line; neither begins an address
    match bytes {
        [b'A'..=b'Z', ..] | [b'0'..=b'9', _, _, _, b'-' | b'/', ..] | [] => return false,
        _ => {}
    }
    let Some(quote) = memchr(b'"', bytes) else { return false };
    let Some((client, open)) = before(bytes, quote) else { return false };
    let request = quote + 1;
    let Some(closing) = closing(bytes, request) else { return false };
    let status = closing + 2;
    match bytes.get(closing + 1..closing + 6) {
        Some([b' ', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ']) => {}
        _ if ends_with_status(bytes, closing) => {}
        _ => return false,
    }
    into.format = Format::Access;
    let slots = &mut into.slots;
    if client > 0 {
        slots.put(CLIENT_ADDRESS, Entry::text(0, client));
    }
    slots.put(TIMESTAMP, Entry::text(open + 1, quote - 2));
    if let Some((method, path)) = request_line(&bytes[request..closing]) {
        slots.put(HTTP_METHOD, Entry::text(request, request + method));
        slots.put(URL_PATH, Entry::text(request + method + 1, request + path));
    }
    slots.put(HTTP_STATUS, Entry::text(status, status + 3));
    if let Some((from, to)) = user_agent(bytes, status + 3) {
        if from < to && &bytes[from..to] != b"-" {
            slots.put(USER_AGENT, Entry::text(from, to));
        }
        trailing::read(bytes, to + 1, slots);
    } else {
        trailing::read(bytes, status + 3, slots);
    }
    true
}

/// Where the client's address ends and the bracket of the time opens: what lies before the first quote.
#[inline]
fn before(bytes: &[u8], quote: usize) -> Option<(usize, usize)> {
    if let Some(open) = quote.checked_sub(CLF_TIME_BYTES)
        && let [b'[', _, _, b'/', _, _, _, b'/', ..] = bytes[open..quote]
        && let [.., b']', b' '] = bytes[..quote]
    {
        return match bytes[..open].split_last_chunk::<5>() {
            Some((client, b" - - ")) if !client.is_empty() => Some((client.len(), open)),
            _ => Some((client(&bytes[..open])?, open)),
        };
    }
    other_time(bytes, quote)
}

/// `address user user [`: the address is the first word; with a virtual host before it, the second.
#[cold]
fn client(before: &[u8]) -> Option<usize> {
    let end = memchr(b' ', before)?;
    let words = before.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count();
    (end > 0 && words >= 2).then_some(end)
}

/// A time in brackets of another shape: Django's without zone, nginx's `$time_iso8601`.
#[cold]
fn other_time(bytes: &[u8], quote: usize) -> Option<(usize, usize)> {
    let [.., b']', b' '] = bytes[..quote] else { return None };
    let open = memrchr(b'[', &bytes[..quote])?;
    let inside = &bytes[open + 1..quote - 2];
    let is_time = matches!(
        inside,
        [_, _, b'/', _, _, _, b'/', _, _, _, _, b' ' | b':', _, _, b':', ..]
            | [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', _, _, b':', ..]
    );
    if !is_time || !inside[0].is_ascii_digit() {
        return None;
    }
    if open == 0 {
        return Some((0, 0));
    }
    Some((client(&bytes[..open])?, open))
}

/// The quote that ends a field which starts at `from`: not one behind a backslash.
#[inline]
fn closing(bytes: &[u8], from: usize) -> Option<usize> {
    let end = from + memchr(b'"', bytes.get(from..)?)?;
    if bytes[end - 1] == b'\\' { closing_escaped(bytes, from) } else { Some(end) }
}

#[cold]
fn closing_escaped(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
}

/// `" 200` at the very end of the line: no size follows.
#[cold]
fn ends_with_status(bytes: &[u8], closing: usize) -> bool {
    matches!(bytes[closing + 1..], [b' ', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'])
}

/// Lengths of the method, and of method, space and path, of `GET /path HTTP/1.1`; `None` for what is no
/// request: `-`, nothing, the first bytes of a TLS handshake.
#[inline]
fn request_line(request: &[u8]) -> Option<(usize, usize)> {
    let method = request
        .iter()
        .take(METHOD_BYTES_MAX)
        .position(|byte| !byte.is_ascii_uppercase() && *byte != b'-')?;
    if method == 0 || request[method] != b' ' || request[0] == b'-' {
        return None;
    }
    let end = match request {
        // ` HTTP/1.1`, by far the most
        [.., b' ', b'H', b'T', b'T', b'P', b'/', _, b'.', _] => request.len() - 9,
        [.., b' ', b'H', b'T', b'T', b'P', b'/', _] => request.len() - 7,
        _ => request.len(),
    };
    (end > method + 1).then_some((method, end))
}

/// Behind the status: the size, the referrer, the user agent. Where the agent starts and ends.
#[inline]
fn user_agent(bytes: &[u8], status_end: usize) -> Option<(usize, usize)> {
    let mut at = status_end + 1;
    while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-') {
        at += 1;
    }
    let rest = bytes.get(at..)?;
    let agent = match rest {
        [b' ', b'"', b'-', b'"', b' ', b'"', ..] => at + 6,
        [b' ', b'"', ..] => {
            let referrer = closing(bytes, at + 2)?;
            let [b' ', b'"', ..] = bytes[referrer + 1..] else { return None };
            referrer + 3
        }
        _ => return None,
    };
    Some((agent, closing(bytes, agent)?))
}

#[cfg(test)]
mod tests;
