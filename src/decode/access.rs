//! Reads access lines: NCSA common and combined, nginx with `request_time` after them, and Django's
//! short form. The reader jumps four times from quote to quote. It validates only what
//! distinguishes an access line from other lines, and reads no value. Unit: one line.

pub(super) mod columns;
mod server;
mod trailing;
pub(crate) mod w3c;

use crate::decode::out::Out;
use crate::decode::scan;
use crate::record::field::{
    CLIENT_ADDRESS, HTTP_METHOD, HTTP_STATUS, TIMESTAMP, URL_PATH, USER_AGENT,
};
use crate::record::slots::{SlotValue, ValueBuffer};
use crate::record::{Decoded, Format};
use columns::is_method;
use memchr::{memchr, memrchr};

/// Length of `[21/Nov/2026:10:00:00 +0000] "`, from the bracket to the quote.
const CLF_TIME_BYTES: usize = 29;

/// Reads an access line; leaves `into` unchanged for any other line.
#[inline]
pub(crate) fn read(line: &str, into: &mut Decoded) -> bool {
    let bytes = line.as_bytes();
    // a line that starts with a level word or a date is not an access line; no address starts so
    match bytes {
        [b'A'..=b'Z', ..] | [] => {
            return into.refuse(0, "an address, which no capital letter begins");
        }
        [b'0'..=b'9', _, _, _, b'-' | b'/', ..] => return server::read(line, into),
        _ => {}
    }
    let Some(Fields { status_end, agent_end }) = fields::<LINE>(bytes, into) else {
        return server::read(line, into);
    };
    let behind = agent_end.map_or(status_end, |end| end + 1);
    let mut out = Out::new(&mut into.slots, ValueBuffer::Line);
    if bytes[0] == b'[' {
        trailing::read_envoy(bytes, behind, &mut out);
    } else {
        trailing::read(bytes, behind, &mut out);
    }
    true
}

/// Returns whether a line that begins with a date may be from a server's access log, which no other
/// reader accepts.
#[inline]
pub(super) fn may_be_server(bytes: &[u8]) -> bool {
    server::is_candidate(bytes)
}

/// Reads what follows the status of a request inside a message: size, referrer, user agent, times.
pub(super) fn behind_status(bytes: &[u8], status_end: usize, out: &mut Out<'_>) {
    let agent = user_agent::<LINE>(bytes, status_end);
    if let Some((from, to)) = agent
        && from < to
        && &bytes[from..to] != b"-"
    {
        out.put(USER_AGENT, from, to);
    }
    trailing::read(bytes, agent.map_or(status_end, |(_, end)| end + 1), out);
}

/// Reads the access line that starts at `start` in a block of whole lines, and returns the position
/// after its end; the contract is that of [`super::json::walk`]. Only the request time may follow
/// the user agent. The line must begin with a digit or a colon, but not with a date.
#[inline]
pub(super) fn walk(block: &str, start: usize, into: &mut Decoded) -> Option<usize> {
    let bytes = &block.as_bytes()[start..];
    let end = fields::<BLOCK>(bytes, into)?.agent_end?;
    Some(start + trailing::walk(bytes, end + 1, &mut Out::new(&mut into.slots, ValueBuffer::Line))?)
}

/// The bytes are one line or one frame.
const LINE: bool = false;
/// More lines follow the one that is read: a quote must be found before the next newline.
const BLOCK: bool = true;

/// The end positions of the status and the user agent; without an agent the size may be missing
/// too.
struct Fields {
    status_end: usize,
    agent_end: Option<usize>,
}

#[inline]
fn fields<const IN: bool>(bytes: &[u8], into: &mut Decoded) -> Option<Fields> {
    let (client, open, quote) = match head::<IN>(bytes) {
        Ok(head) => head,
        Err(at) => match listed::<IN>(bytes, at) {
            Some(head) => head,
            None => return into.decline(at, "`[time] \"` before a request in quotes"),
        },
    };
    let request = quote + 1;
    let Some(closing) = closing::<IN>(bytes, request) else {
        return into.decline(bytes.len(), "the quote that ends the request");
    };
    let status = closing + 2;
    let behind = scan::window(bytes, closing);
    if !is_status(behind as u64 >> 16) || behind as u16 != u16::from_le_bytes(*b"\" ") {
        return into.decline(closing, "`\" ` and a status of three digits");
    }
    into.format = Format::Access;
    let slots = &mut into.slots;
    if client > 0 {
        let (from, to) =
            if may_have_port(bytes, client) { address(&bytes[..client]) } else { (0, client) };
        slots.put(CLIENT_ADDRESS, SlotValue::text(from, to));
    }
    slots.put(TIMESTAMP, SlotValue::text(open + 1, quote - 2));
    if let Some((method, path)) = request_line(&bytes[request..closing]) {
        slots.put(HTTP_METHOD, SlotValue::text(request, request + method));
        slots.put(URL_PATH, SlotValue::text(request + method + 1, request + path));
    }
    slots.put(HTTP_STATUS, SlotValue::text(status, status + 3));
    let agent = user_agent::<IN>(bytes, status + 3);
    if let Some((from, to)) = agent
        && from < to
        && &bytes[from..to] != b"-"
    {
        slots.put(USER_AGENT, SlotValue::text(from, to));
    }
    Some(Fields { status_end: status + 3, agent_end: agent.map(|(_, end)| end) })
}

/// Returns the end of the client's address, the bracket of the time and the quote of the request.
/// The error is the position of the first quote, or the end if there is none.
#[inline]
fn head<const IN: bool>(bytes: &[u8]) -> Result<(usize, usize, usize), usize> {
    let quote = quote::<IN>(bytes).ok_or(bytes.len())?;
    // an address without user names, by far the most frequent:
    // `address - - [21/Nov/2026:10:00:00 +0000] "`
    if let Some(client) = quote.checked_sub(CLF_TIME_BYTES + 5)
        && let Some(b" - - [") = bytes.get(client..client + 6)
        && let Some(b"] ") = bytes.get(quote - 2..quote)
        && (bytes[client + 8] == b'/' && bytes[client + 12] == b'/' && client > 0)
    {
        return Ok((client, client + 5, quote));
    }
    // with the name of a user: `address - alice [21/Nov/2026:10:00:00 +0000] "`
    if let Some(open) = quote.checked_sub(CLF_TIME_BYTES)
        && let [b'[', _, _, b'/', _, _, _, b'/', .., b']', b' '] = bytes[open..quote]
    {
        let client = scan::word_stop(bytes, 0);
        if client > 0 && client + 3 < open && bytes[client..].starts_with(b" - ") {
            return Ok((client, open, quote));
        }
    }
    let (client, open) = before(bytes, quote).ok_or(quote)?;
    Ok((client, open, quote))
}

/// Reads a list of addresses in quotes (`"$http_x_forwarded_for"`) before the usual columns. Which
/// of the addresses is the client's is unknown.
#[cold]
fn listed<const IN: bool>(bytes: &[u8], open: usize) -> Option<(usize, usize, usize)> {
    let is_address =
        |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b',' | b' ' | b'-');
    let close = open + 1 + quote::<IN>(bytes.get(open + 1..)?)?;
    let start = close + 2;
    let rest = bytes.get(start..).filter(|_| bytes[close + 1] == b' ')?;
    if !bytes[open + 1..close].iter().all(is_address) {
        return None;
    }
    let (_, time, request) = head::<IN>(rest).ok()?;
    Some((0, start + time, start + request))
}

/// Returns whether a colon is among the last bytes of the client's address: no port is longer.
#[inline]
fn may_have_port(bytes: &[u8], end: usize) -> bool {
    const COLONS: u64 = u64::from_le_bytes([b':'; 8]);
    let Some(word) = bytes[..end].last_chunk::<8>() else { return true };
    let colons = u64::from_le_bytes(*word) ^ COLONS;
    // a byte that is zero now was a colon
    colons.wrapping_sub(0x0101_0101_0101_0101) & !colons & 0x8080_8080_8080_8080 != 0
}

/// Returns where the address is in `address:port`, `[address]:port` or an address alone. Servers
/// that write an IPv6 address and its port without brackets (uvicorn, hypercorn) make it ambiguous:
/// only a last part of five digits, which no address has, is taken for a port. Systems give clients
/// ports from 32768 on.
#[cold]
pub(super) fn address(text: &[u8]) -> (usize, usize) {
    if let [b'[', inside @ ..] = text
        && let Some(close) = memchr(b']', inside)
    {
        return (1, 1 + close);
    }
    let Some(colon) = memrchr(b':', text) else { return (0, text.len()) };
    let port = &text[colon + 1..];
    let is_single = !text[..colon].contains(&b':');
    let is_long = port.len() == 5 && port.iter().all(u8::is_ascii_digit);
    if is_single || is_long { (0, colon) } else { (0, text.len()) }
}

/// Returns the position of the next quote; in a block, of the next quote in the line.
#[inline]
fn quote<const IN: bool>(bytes: &[u8]) -> Option<usize> {
    if IN == BLOCK {
        let at = scan::quote_or_newline(bytes);
        (bytes.get(at) == Some(&b'"')).then_some(at)
    } else {
        memchr(b'"', bytes)
    }
}

/// Returns whether the word is three digits before a space or the end of the line.
#[inline]
fn is_status(word: u64) -> bool {
    let digits = (word ^ 0x30_3030) as u32 & 0x00ff_ffff;
    let over = digits | digits.wrapping_add(0x0006_0606);
    over & 0x00f0_f0f0 == 0 && matches!((word >> 24) as u8, b' ' | 0)
}

/// Reads the text before the first quote if it does not have the common form.
#[cold]
fn before(bytes: &[u8], quote: usize) -> Option<(usize, usize)> {
    if let Some(open) = quote.checked_sub(CLF_TIME_BYTES)
        && let [b'[', _, _, b'/', _, _, _, b'/', ..] = bytes[open..quote]
        && let [.., b']', b' '] = bytes[..quote]
    {
        return Some((client(&bytes[..open])?, open));
    }
    other_time(bytes, quote)
}

/// Reads `address user user [`: the address is the first word, or the second after a virtual host.
#[cold]
fn client(before: &[u8]) -> Option<usize> {
    let end = memchr(b' ', before)?;
    let mut words = before.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let first = words.next()?;
    // an empty client (a Unix socket) leaves the dashes of both users; aiohttp writes only the
    // address
    let is_address = || first.iter().any(u8::is_ascii_digit) && first.contains(&b'.');
    (words.next().is_some() || is_address()).then_some(end)
}

/// Reads a time in brackets of another form: Django's without a zone, nginx's `$time_iso8601`.
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

/// Returns the position of the quote that ends the field at `from`, skipping quotes after a
/// backslash.
#[inline]
fn closing<const IN: bool>(bytes: &[u8], from: usize) -> Option<usize> {
    let end = from + quote::<IN>(bytes.get(from..)?)?;
    if bytes[end - 1] == b'\\' { closing_escaped::<IN>(bytes, from) } else { Some(end) }
}

#[cold]
fn closing_escaped<const IN: bool>(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'\n' if IN == BLOCK => return None,
            b'\\' if IN == LINE || bytes.get(at + 1) != Some(&b'\n') => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
}

/// Returns the lengths of the method, and of method, space and path, of `GET /path HTTP/1.1`.
/// Returns `None` for text that is not a request: `-`, an empty text, the first bytes of a TLS
/// handshake.
#[inline]
pub(super) fn request_line(request: &[u8]) -> Option<(usize, usize)> {
    const PROTOCOL: &[u8] = b" HTTP/";
    let method = match request {
        [b'G', b'E', b'T', b' ', ..] => 3,
        [b'P', b'O', b'S', b'T', b' ', ..] => 4,
        _ => method(request)?,
    };
    let end = match request.len().checked_sub(9) {
        // ` HTTP/1.1`, by far the most frequent
        Some(end) if &request[end..end + 6] == PROTOCOL => end,
        Some(end) if &request[end + 2..end + 8] == PROTOCOL => end + 2,
        _ => bare_version(request),
    };
    (end > method + 1).then_some((method, end))
}

/// Returns the start of a protocol that is written without its name (hypercorn: `1.1`, `2`), or the
/// end if there is no protocol.
#[cold]
fn bare_version(request: &[u8]) -> usize {
    [&b" 1.1"[..], b" 2", b" 1.0", b" 3", b" 2.0", b" HTTP/2", b" HTTP/3"]
        .into_iter()
        .find(|version| request.ends_with(version))
        .map_or(request.len(), |version| request.len() - version.len())
}

fn method(request: &[u8]) -> Option<usize> {
    let length = memchr(b' ', request)?;
    is_method(&request[..length]).then_some(length)
}

/// Reads what follows the status: size, referrer, user agent. Returns the start and end of the
/// agent.
#[inline]
fn user_agent<const IN: bool>(bytes: &[u8], status_end: usize) -> Option<(usize, usize)> {
    const NO_REFERRER: u64 = u64::from_le_bytes(*b" \"-\" \"\0\0");
    const QUOTED: u16 = u16::from_le_bytes(*b" \"");
    let mut at = status_end + 1;
    loop {
        let digits = scan::digits(bytes, at);
        at += digits;
        if digits < 8 && scan::byte(bytes, at) != b'-' {
            break;
        }
        at += usize::from(digits < 8);
    }
    let window = scan::window(bytes, at) as u64;
    let agent = if window << 16 >> 16 == NO_REFERRER {
        at + 6
    } else if window as u16 == QUOTED {
        let referrer = closing::<IN>(bytes, at + 2)?;
        if bytes.get(referrer + 1..referrer + 3) != Some(b" \"") {
            return None;
        }
        referrer + 3
    } else {
        return None;
    };
    Some((agent, closing::<IN>(bytes, agent)?))
}

#[cfg(test)]
mod tests;
