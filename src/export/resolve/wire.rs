//! A question to a name server and its answer (RFC 1035 section 4). Pure; whatever a server sends, reading
//! it is bounded and never panics. Unit: one message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A label is no longer.
const LABEL_BYTES_MAX: usize = 63;

/// A name is no longer, written with dots.
const NAME_BYTES_MAX: usize = 253;

/// Records of an answer that are looked at: more are no answer to an honest question.
const RECORDS_MAX: usize = 128;

/// Addresses that are kept.
const ADDRESSES_MAX: usize = 16;

const HEADER_BYTES: usize = 12;
const CLASS_INTERNET: u16 = 1;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// IPv4 addresses.
    V4,
    /// IPv6 addresses.
    V6,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Kind::V4 => 1,
            Kind::V6 => 28,
        }
    }
}

/// What a server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The name has these; none where it has only others.
    Addresses(Vec<IpAddr>),
    /// There is no such name, of any kind.
    NoSuchName,
}

/// An answer to our question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// It did not fit into the datagram.
    pub(super) truncated: bool,
    /// None where the server failed, or refused.
    pub(super) outcome: Option<Outcome>,
}

/// Whether something can be asked for.
pub(super) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.len() <= LABEL_BYTES_MAX;
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

/// A question for a name of which [`is_name`] holds; recursion is desired.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Vec<u8> {
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

/// Reads a message as the answer to `question`; None if it is none.
pub(super) fn answer(message: &[u8], question: &[u8]) -> Option<Answer> {
    let header = message.get(..HEADER_BYTES)?;
    let asked = message.get(HEADER_BYTES..question.len())?;
    let is_ours = header[..2] == question[..2]
        && header[2] & 0x80 != 0
        && header[4..6] == [0, 1]
        && asked.eq_ignore_ascii_case(&question[HEADER_BYTES..]);
    if !is_ours {
        return None;
    }
    let truncated = header[2] & 2 != 0;
    let outcome = match header[3] & 15 {
        0 => {
            let kind = u16_at(question, question.len() - 4)?;
            let count = usize::from(u16_at(header, 6)?).min(RECORDS_MAX);
            Some(Outcome::Addresses(addresses(message, question.len(), count, kind)))
        }
        3 => Some(Outcome::NoSuchName),
        _ => None,
    };
    Some(Answer { truncated, outcome })
}

/// The addresses of the first records, up to where the message ends or stops making sense. Whose they are
/// is not looked at: behind an alias they have another name, and the server is trusted to follow it.
fn addresses(message: &[u8], mut at: usize, count: usize, kind: u16) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for _ in 0..count {
        let Some((address, next)) = record(message, at, kind) else { break };
        found.extend(address.filter(|_| found.len() < ADDRESSES_MAX));
        at = next;
    }
    found
}

/// The record at `at`: its address, if it is one of this kind, and where the next begins.
fn record(message: &[u8], at: usize, kind: u16) -> Option<(Option<IpAddr>, usize)> {
    let at = behind_name(message, at)?;
    let length = usize::from(u16_at(message, at + 8)?);
    let data = message.get(at + 10..at + 10 + length)?;
    let is_wanted = (u16_at(message, at)?, u16_at(message, at + 2)?) == (kind, CLASS_INTERNET);
    let address = match data.len() {
        4 if is_wanted && kind == Kind::V4.code() => {
            <[u8; 4]>::try_from(data).ok().map(|bytes| Ipv4Addr::from(bytes).into())
        }
        16 if is_wanted && kind == Kind::V6.code() => {
            <[u8; 16]>::try_from(data).ok().map(|bytes| Ipv6Addr::from(bytes).into())
        }
        _ => None,
    };
    Some((address, at + 10 + length))
}

/// Where a name ends. What it points to is not followed, so that no pointer leads in a circle.
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
