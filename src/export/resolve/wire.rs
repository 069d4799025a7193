//! A question to a name server and its answer (RFC 1035 section 4). Pure. Reading is bounded and
//! never panics, whatever a server sends. Unit: one message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Maximum length of a label.
const LABEL_BYTES_MAX: usize = 63;

/// Maximum length of a name, written with dots.
const NAME_BYTES_MAX: usize = 253;

/// Maximum number of records read of an answer; no regular answer has more.
const RECORDS_MAX: usize = 128;

/// Maximum number of addresses that are kept.
const ADDRESSES_MAX: usize = 16;

const HEADER_BYTES: usize = 12;
const CLASS_INTERNET: u16 = 1;

/// The record type of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecordType {
    /// IPv4 addresses.
    V4,
    /// IPv6 addresses.
    V6,
}

impl RecordType {
    fn code(self) -> u16 {
        match self {
            RecordType::V4 => 1,
            RecordType::V6 => 28,
        }
    }
}

/// The result of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lookup {
    /// The addresses of the name; empty if it has none of this type.
    Addresses(Vec<IpAddr>),
    /// The name does not exist, for any type.
    NoSuchName,
}

/// A server's answer to our question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// The answer did not fit into the datagram.
    pub(super) truncated: bool,
    /// The result; None if the server failed or refused.
    pub(super) outcome: Option<Lookup>,
}

/// Returns whether a text is a valid name for a question.
pub(super) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.len() <= LABEL_BYTES_MAX;
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

/// Encodes a question for a name that passes [`is_name`], with recursion desired.
pub(super) fn question(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    message.extend_from_slice(&id.to_be_bytes());
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.code().to_be_bytes());
    message.extend_from_slice(&CLASS_INTERNET.to_be_bytes());
    message
}

/// Parses a message as the answer to `question`; returns None if it is not one.
pub(super) fn answer(message: &[u8], question: &[u8]) -> Option<Answer> {
    let header = message.get(..HEADER_BYTES)?;
    let repeated = message.get(HEADER_BYTES..question.len())?;
    let is_ours = header[..2] == question[..2]
        && header[2] & 0x80 != 0
        && header[4..6] == [0, 1]
        && repeated.eq_ignore_ascii_case(&question[HEADER_BYTES..]);
    if !is_ours {
        return None;
    }
    let truncated = header[2] & 2 != 0;
    let outcome = match header[3] & 15 {
        0 => {
            let kind = u16_at(question, question.len() - 4)?;
            let count = usize::from(u16_at(header, 6)?).min(RECORDS_MAX);
            Some(Lookup::Addresses(addresses(message, question.len(), count, kind)))
        }
        3 => Some(Lookup::NoSuchName),
        _ => None,
    };
    Some(Answer { truncated, outcome })
}

/// Returns the addresses of the first records, up to the end of the message or the first invalid
/// record. The owner name of a record is not checked: behind an alias it differs, and the server is
/// trusted to follow the alias.
fn addresses(message: &[u8], mut at: usize, count: usize, kind: u16) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for _ in 0..count {
        let Some((address, next)) = record(message, at, kind) else { break };
        found.extend(address.filter(|_| found.len() < ADDRESSES_MAX));
        at = next;
    }
    found
}

/// Parses the record at `at`. Returns its address, if it has this type, and the position of the
/// next record.
fn record(message: &[u8], at: usize, kind: u16) -> Option<(Option<IpAddr>, usize)> {
    let at = behind_name(message, at)?;
    let length = usize::from(u16_at(message, at + 8)?);
    let data = message.get(at + 10..at + 10 + length)?;
    let is_wanted = (u16_at(message, at)?, u16_at(message, at + 2)?) == (kind, CLASS_INTERNET);
    let address = match data.len() {
        4 if is_wanted && kind == RecordType::V4.code() => {
            <[u8; 4]>::try_from(data).ok().map(|bytes| Ipv4Addr::from(bytes).into())
        }
        16 if is_wanted && kind == RecordType::V6.code() => {
            <[u8; 16]>::try_from(data).ok().map(|bytes| Ipv6Addr::from(bytes).into())
        }
        _ => None,
    };
    Some((address, at + 10 + length))
}

/// Returns the end of a name. Does not follow compression pointers, so that they cannot form a
/// loop.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length if length <= LABEL_BYTES_MAX => at += length + 1,
            pointer if pointer >= 0xc0 => return Some(at + 2),
            _ => return None,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([two[0], two[1]]))
}
