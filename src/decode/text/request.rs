//! Access lines inside a logger's message: uvicorn's `127.0.0.1:5 - "GET /x HTTP/1.1" 200 OK` and werkzeug's
//! `127.0.0.1 - - [time] "GET /x HTTP/1.1" 200 -`. Unit: one message.

use super::out::Out;
use crate::record::field::{CLIENT_ADDRESS, HTTP_METHOD, HTTP_STATUS, URL_PATH};
use memchr::memchr;

/// How far from the start of the message the request's quote is looked for: address and time are shorter.
const QUOTE_WITHIN: usize = 80;

/// Reads the request of a message that starts at `at`, if it has one; gives back `at`.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize, out: &mut Out<'_>) -> usize {
    if bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'[') {
        request(bytes, at, out);
    }
    at
}

#[cold]
fn request(bytes: &[u8], at: usize, out: &mut Out<'_>) -> Option<()> {
    let near = &bytes[at..bytes.len().min(at + QUOTE_WITHIN)];
    let open = at + memchr(b'"', near)? + 1;
    if !matches!(bytes[at..open - 1], [.., b' ', b'-' | b']', b' '] | [.., b']', b' ']) {
        return None;
    }
    let rest = &bytes[open..];
    let method = rest.iter().take(16).take_while(|byte| byte.is_ascii_uppercase()).count();
    let close = memchr(b'"', rest)?;
    let path_end = close.checked_sub(9).filter(|end| rest[*end..].starts_with(b" HTTP/"))?;
    if method == 0 || rest[method] != b' ' || path_end <= method + 1 {
        return None;
    }
    let status = open + close + 2;
    let [b' ', b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] = bytes[open + close + 1..] else {
        return None;
    };
    let client = bytes[at..].iter().position(|byte| *byte == b' ')?;
    out.put(CLIENT_ADDRESS, at, at + without_port(&bytes[at..at + client]));
    out.put(HTTP_METHOD, open, open + method);
    out.put(URL_PATH, open + method + 1, open + path_end);
    out.put(HTTP_STATUS, status, status + 3);
    Some(())
}

/// The length of an address without `:port`; an IPv6 address without brackets keeps all.
fn without_port(address: &[u8]) -> usize {
    match address.iter().rposition(|byte| *byte == b':') {
        Some(colon) if address[0] == b'[' || !address[..colon].contains(&b':') => colon,
        _ => address.len(),
    }
}
