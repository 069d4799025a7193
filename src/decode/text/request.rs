//! Access lines inside a logger's message: uvicorn's `127.0.0.1:5 - "GET /x HTTP/1.1" 200 OK`, werkzeug's
//! `127.0.0.1 - - [time] "GET /x HTTP/1.1" 200 -`, hypercorn's without `HTTP/`, OpenStack's
//! `10.0.0.1 "GET /x HTTP/1.1" status: 200 len: 5 time: 0.25`. Unit: one message.

use super::out::Out;
use crate::record::field::{CLIENT_ADDRESS, DURATION, HTTP_METHOD, HTTP_STATUS, URL_PATH, Unit};
use crate::record::slots::Entry;
use memchr::{memchr, memmem, memrchr};

/// How far from the start of the message the request's quote is looked for: address and time are shorter.
const QUOTE_WITHIN: usize = 96;

/// The longest method: `VERSION-CONTROL` has 15 letters.
const METHOD_BYTES_MAX: usize = 16;

/// Reads the request of a message that starts at `at`, if it has one; gives back `at`.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize, out: &mut Out<'_>) -> usize {
    // an address, a port's colon, or the request itself where the client is a socket's path
    if let Some(b'0'..=b'9' | b'a'..=b'f' | b'[' | b':' | b'"') = bytes.get(at) {
        request(bytes, at, out);
    }
    at
}

#[inline(never)]
fn request(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let near = &bytes[at..bytes.len().min(at + QUOTE_WITHIN)];
    let client = near.iter().position(|byte| *byte == b' ').unwrap_or(0);
    if bytes[at].is_ascii_lowercase() && memchr(b':', &near[..client]).is_none() {
        return None;
    }
    let open = at + memchr(b'"', near)? + 1;
    let is_only_client = at + client + 2 == open;
    if !matches!(bytes[at..open - 1], [] | [.., b' ', b'-' | b']', b' '] | [.., b']', b' '])
        && !is_only_client
    {
        return None;
    }
    let rest = &bytes[open..];
    let is_method = |byte: &&u8| byte.is_ascii_uppercase() || **byte == b'-';
    let method = rest.iter().take(METHOD_BYTES_MAX).take_while(is_method).count();
    let close = memchr(b'"', rest)?;
    if method < 3 || rest.get(method) != Some(&b' ') || close < method + 2 {
        return None;
    }
    let path_end = path_end(&rest[..close], method + 1)?;
    let status = open + close + 1 + status_label(&rest[close + 1..])?;
    let [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', ref behind @ ..] = bytes[status..] else {
        return None;
    };
    if behind.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let length = without_port(&bytes[at..at + client]);
    if length > 0 && bytes[at] != b'"' {
        out.put(CLIENT_ADDRESS, at, at + length);
    }
    out.put(HTTP_METHOD, open, open + method);
    out.put(URL_PATH, open + method + 1, open + path_end);
    out.put(HTTP_STATUS, status, status + 3);
    openstack_time(bytes, status + 3, out);
    Some(())
}

/// Where the path ends: before ` HTTP/1.1`, ` 1.1`, ` 2`, or at the quote.
fn path_end(request: &[u8], path: usize) -> Option<usize> {
    if !matches!(request[path], b'/' | b'*' | b'h') {
        return None;
    }
    let Some(space) = memrchr(b' ', request).filter(|space| *space > path) else {
        return Some(request.len());
    };
    let is_protocol = matches!(
        &request[space + 1..],
        [b'H', b'T', b'T', b'P', b'/', ..]
            | [b'1' | b'2' | b'3']
            | [b'0'..=b'3', b'.', b'0'..=b'9']
    );
    is_protocol.then_some(space)
}

/// The length of ` ` or ` status: ` before a status.
fn status_label(behind: &[u8]) -> Option<usize> {
    match behind {
        [b' ', b'0'..=b'9', ..] => Some(1),
        _ => behind.starts_with(b" status: ").then_some(9),
    }
}

/// OpenStack's ` len: 5 time: 0.25`, in seconds.
fn openstack_time(bytes: &[u8], at: usize, out: &mut Out<'_>) {
    let rest = &bytes[at..];
    if !rest.starts_with(b" len: ") {
        return;
    }
    let Some(label) = memmem::find(rest, b" time: ") else { return };
    let from = at + label + 7;
    let is_number = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let to = from + bytes[from..].iter().take_while(is_number).count();
    if to > from {
        out.slots.put(DURATION, Entry { unit: Unit::Seconds, ..Entry::text(from, to) });
    }
}

/// The length of an address without `:port`. An IPv6 address without brackets has seven colons or `::`: what
/// follows the last of more than seven, or of a group behind a shortened address, is the port.
fn without_port(address: &[u8]) -> usize {
    let Some(colon) = address.iter().rposition(|byte| *byte == b':') else { return address.len() };
    let host = &address[..colon];
    let is_port = address.len() - colon > 1 && address[colon + 1..].iter().all(u8::is_ascii_digit);
    let colons = memchr::memchr_iter(b':', host).count();
    let is_shortened = memmem::find(host, b"::").is_some() && !host.ends_with(b":");
    let has_port = colons == 0 || address[0] == b'[' || colons >= 7 || is_shortened;
    if is_port && has_port { colon } else { address.len() }
}
