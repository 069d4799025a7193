//! Recognises what a client speaks from the first bytes of its connection, or from one datagram.
//! Pure: the answer depends on the bytes, never on how the reads cut them, because a decision needs
//! the same bytes however they arrive. What no rule recognises is lines. Unit: one connection or
//! one datagram.
//!
//! | first bytes | sent by | framing |
//! |---|---|---|
//! | 4 bytes of length, then a pickle | CPython's `SocketHandler` | the length |
//! | `<14>text`, a NUL before the next `<PRI>` | CPython's `SysLogHandler` | NUL |
//! | `83 <14>1 2026-` | RFC 6587, octet counting | the length |
//! | an array of MessagePack that begins with a text | Fluent Forward | MessagePack |
//! | a NUL before the first newline | GELF over a stream, syslog-ng | NUL |
//! | anything else | | newline |
//!
//! A datagram is a pickle with its length in front (CPython's `DatagramHandler`), text that is
//! compressed by gzip or zlib (GELF), fields of journald's native protocol, or text.

use crate::frame::encoding::{Encoding, Frame};
use crate::frame::journal;
use crate::frame::records::{self, Framing};
use memchr::memchr2;

/// What the first bytes of a connection tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detection {
    /// More bytes are needed.
    Undecided,
    /// Lines, each ended by a newline.
    Lines,
    /// Records with another framing.
    Records(Framing),
    /// Fluent Forward.
    Forward,
}

/// Recognises the protocol of a stream from its first bytes.
pub fn detect(bytes: &[u8]) -> Detection {
    match bytes {
        [] => Detection::Undecided,
        [0, ..] => match records::pickle_header(bytes) {
            Some(true) => Detection::Records(Framing::Pickle),
            Some(false) => by_delimiter(bytes),
            None => Detection::Undecided,
        },
        // no text begins with such a byte: an array, and the head of a text
        [0x92..=0x94] => Detection::Undecided,
        [0x92..=0x94, 0xa0..=0xbf | 0xd9 | 0xda, ..] => Detection::Forward,
        [b'<', ..] => match records::priority(bytes) {
            Some(true) => by_next_priority(bytes),
            Some(false) => by_delimiter(bytes),
            None => Detection::Undecided,
        },
        [b'1'..=b'9', ..] => match records::octet_count(bytes) {
            Some(true) => Detection::Records(Framing::Octets),
            Some(false) => by_delimiter(bytes),
            None => Detection::Undecided,
        },
        _ => by_delimiter(bytes),
    }
}

/// Recognises the encoding of one datagram, and removes the length in front of a pickle.
pub fn datagram(bytes: &[u8]) -> Frame<'_> {
    if let [0, _, _, _, pickle @ ..] = bytes
        && records::pickle_length(bytes) == Some(pickle.len())
        && records::pickle_header(bytes) == Some(true)
    {
        return Frame::whole(Encoding::Pickle, pickle);
    }
    let encoding = match bytes {
        [0x1f, 0x8b, 8, ..] => Encoding::Gzip,
        // the method, and a checksum of the two bytes
        [0x78, flags, ..] if u16::from_be_bytes([0x78, *flags]).is_multiple_of(31) => {
            Encoding::Zlib
        }
        bytes if journal::is_journal(bytes) => Encoding::Journal,
        _ => Encoding::Text,
    };
    Frame::whole(encoding, bytes)
}

/// Decides by the delimiter that comes first.
fn by_delimiter(bytes: &[u8]) -> Detection {
    match memchr2(b'\n', 0, bytes) {
        None => Detection::Undecided,
        Some(at) if bytes[at] == 0 => Detection::Records(Framing::Nul),
        Some(_) => Detection::Lines,
    }
}

/// Decides for a record that begins with `<PRI>`: such records end in NUL and contain newlines, or
/// end in a newline, behind which the next `<PRI>` stands. A line without `<PRI>` can be either.
fn by_next_priority(bytes: &[u8]) -> Detection {
    let mut at = 0;
    while let Some(length) = memchr2(b'\n', 0, &bytes[at..]) {
        at += length + 1;
        if bytes[at - 1] == 0 {
            return Detection::Records(Framing::Nul);
        }
        match records::priority(&bytes[at..]) {
            Some(true) => return Detection::Lines,
            Some(false) => {}
            None => return Detection::Undecided,
        }
    }
    Detection::Undecided
}

#[cfg(test)]
mod tests;
