//! Converts ids of any form to valid W3C ids. The result is the same on every machine and in every
//! version; `docs/traces.md` shows the commands that compute it. It keeps no state and never returns
//! an id of all zeros. Unit: one id.
//!
//! | id in the line | trace id |
//! |---|---|
//! | 32 hex digits, in any case | itself |
//! | a UUID with dashes | without the dashes |
//! | 16 hex digits (Zipkin, Datadog) | sixteen zeros, then itself |
//! | a decimal number of 64 bits (`dd.trace_id`) | sixteen zeros, then the number in hex |
//! | AWS X-Ray, `1-5759e988-bd862e3fe1be46a994272793` | the 8 and the 24 digits |
//! | Google Cloud, `projects/P/traces/ID` | that of `ID` |
//! | anything else (`REQ123`) | the first 128 bits of its SHA-256 |
//! | a short request id (`2`, `REQ123`) in a known pod | the same of `SERVICE POD ID` |
//!
//! A request id of fewer than 8 letters and digits, or a number of fewer than 17 digits, is unique
//! only within its pod: it is a counter (the default of pino) that begins at 1 in each pod. The pod
//! is its uid, or its name if the uid is unknown. Such an id joins only lines of one pod.
//!
//! A span id is 16 hex digits or a decimal number of 64 bits. From an id of any other form, it is
//! the first 8 bytes of the trace id that the same text would give.

use crate::resource::Resource;
use opentelemetry::trace::{SpanId, TraceId};
use ring::digest::{self, Digest, SHA256};
use std::fmt;

/// Maximum number of bytes of an id. A longer text got into the wrong field, and hashing it costs
/// time.
pub(crate) const ID_BYTES_MAX: usize = 256;

/// Values that applications write if there is no id; compared without case.
const SENTINELS: [&str; 12] = [
    "-",
    "none",
    "null",
    "nil",
    "n/a",
    "na",
    "unknown",
    "undefined",
    "no_request",
    "no_trace",
    "no_span",
    "no_request_id",
];

/// Returns whether a name is in fact an id, a hash or a token, as in `Task 3f2a1b9c` and in
/// `sk_live_51H8x took 3s`. Real names have few digits, and those follow their words, as in
/// `add2`, `http2.read_frame3`.
pub(crate) fn is_id(name: &str) -> bool {
    // this runs for every line that names a function, and nearly no name has digits
    if !name.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    name.split(['.', ':', '<', '>', '_', '$', '-', '/']).any(|word| {
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        let all = digits(word);
        let inner = digits(word.trim_end_matches(|c: char| c.is_ascii_digit()));
        // counts runs of digits before a letter: words have at most one (`utf8mb`, `k8s`)
        let breaks = word.as_bytes().windows(2);
        let breaks =
            breaks.filter(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic());
        let hex = word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        all >= 4 || breaks.count() >= 2 || (hex && all >= 2) || (word.len() >= 12 && inner >= 2)
    })
}

/// The origin of a trace id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The id has the form that tracers write, so other systems know the trace by the same id.
    Tracer,
    /// The id was made from an id of another form, so only sidelight knows the trace.
    Made,
}

/// A parsed W3C traceparent header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Traceparent {
    /// The trace id.
    pub trace_id: TraceId,
    /// The span id of the caller.
    pub parent_id: SpanId,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

/// Returns the id without surrounding characters; `None` if the text means that there is no id.
fn present(text: &str) -> Option<&str> {
    let around = |byte: &u8| matches!(byte, b' ' | b'"' | b'[' | b']' | b'\'');
    let edges = (text.as_bytes().first(), text.as_bytes().last());
    let text = match edges {
        (Some(first), Some(last)) if around(first) || around(last) => {
            text.trim_matches([' ', '"', '[', ']', '\''])
        }
        _ => text,
    };
    let absent = text.is_empty()
        || text.len() > ID_BYTES_MAX
        || text.bytes().all(|byte| matches!(byte, b'0' | b'-'))
        || (text.len() <= 13 && SENTINELS.iter().any(|word| word.eq_ignore_ascii_case(text)));
    (!absent).then_some(text)
}

/// The value of each hex digit, and a value above 15 for any other byte.
const NIBBLES: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Parses at most 16 hex digits of either case, without a sign.
#[inline]
fn half(digits: &[u8]) -> Option<u64> {
    let (mut value, mut seen) = (0u64, 0);
    for &byte in digits {
        let nibble = NIBBLES[byte as usize];
        seen |= nibble;
        value = value << 4 | u64::from(nibble & 15);
    }
    (seen <= 15).then_some(value)
}

/// Parses at most 32 hex digits.
#[inline]
fn hex(text: &str) -> Option<u128> {
    if text.len() > 32 {
        return None;
    }
    let (high, low) = text.as_bytes().split_at(text.len().saturating_sub(16));
    Some(u128::from(half(high)?) << 64 | u128::from(half(low)?))
}

/// Parses the 128 bits of a UUID.
fn uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&at| bytes[at] != b'-') {
        return None;
    }
    let high = half(&bytes[..8])? << 32 | half(&bytes[9..13])? << 16 | half(&bytes[14..18])?;
    let low = half(&bytes[19..23])? << 48 | half(&bytes[24..])?;
    Some(u128::from(high) << 64 | u128::from(low))
}

/// Parses an AWS X-Ray id: version, seconds, 96 bits.
fn x_ray(text: &str) -> Option<u128> {
    let rest = text.strip_prefix("1-")?;
    if rest.len() != 33 || rest.as_bytes()[8] != b'-' {
        return None;
    }
    Some(hex(rest.get(..8)?)? << 96 | hex(rest.get(9..)?)?)
}

/// Parses a decimal number of 64 bits. `digits_min` rejects short numbers, which are counts rather
/// than ids.
fn decimal(text: &str, digits_min: usize) -> Option<u64> {
    let digits = text.len() >= digits_min && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Returns the 128 bits of an id, and whether a tracer writes ids of this form.
fn bits(text: &str, digits_min: usize) -> (u128, Origin) {
    let known = match text.len() {
        32 => hex(text).map(|value| (value, Origin::Tracer)),
        16 => hex(text).map(|value| (value, Origin::Tracer)),
        35 => x_ray(text).map(|value| (value, Origin::Tracer)),
        36 => uuid(text).map(|value| (value, Origin::Made)),
        _ => decimal(text, digits_min).map(|value| (u128::from(value), Origin::Tracer)),
    };
    match known {
        Some((value, origin)) if value != 0 => (value, origin),
        // a trace id must not be zero; a hash is zero with a probability of 2^-128
        _ => (first_bits(&digest::digest(&SHA256, text.as_bytes())).max(1), Origin::Made),
    }
}

/// Returns the trace id of a field that contains one.
pub(crate) fn trace_id(text: &str) -> Option<(TraceId, Origin)> {
    let mut text = present(text)?;
    if text.starts_with("projects/") {
        text = present(text.rsplit_once("/traces/").map_or(text, |(_, id)| id))?;
    }
    let (bits, origin) = bits(text, 1);
    Some((TraceId::from_bytes(bits.to_be_bytes()), origin))
}

/// A request id of fewer letters and digits is too short to be unique.
const UNIQUE_FROM: usize = 8;

/// A number of fewer digits is a counter of requests.
const NUMBER_FROM: usize = 17;

/// The pod in which short request ids are valid: the hash of its service and its uid, to which a
/// request id is added.
#[derive(Clone, Default)]
pub(crate) struct PodScope(Option<digest::Context>);

impl fmt::Debug for PodScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PodScope").field(&self.0.is_some()).finish()
    }
}

impl PodScope {
    /// Returns the pod of a resource, or none if the resource does not name one.
    pub(crate) fn of(resource: &Resource) -> PodScope {
        let value = |key: &str| resource.attributes.iter().find(|(known, _)| known == key);
        let pod = value("k8s.pod.uid").or_else(|| value("k8s.pod.name"));
        PodScope(pod.map(|(_, pod)| {
            let mut hashed = digest::Context::new(&SHA256);
            hashed.update(format!("{} {pod} ", resource.service_name).as_bytes());
            hashed
        }))
    }

    /// Returns the trace id of an id that is unique only in this pod; `None` if the pod is unknown.
    fn trace_id(&self, text: &str) -> Option<u128> {
        let mut hashed = self.0.clone()?;
        hashed.update(text.as_bytes());
        Some(first_bits(&hashed.finish()).max(1))
    }
}

/// Returns the trace id of a request id.
pub(crate) fn request_id(text: &str, pod: &PodScope) -> Option<TraceId> {
    let text = present(text)?;
    let long = || text.bytes().filter(u8::is_ascii_alphanumeric).nth(UNIQUE_FROM - 1).is_some();
    let is_number = || text.len() < NUMBER_FROM && text.bytes().all(|byte| byte.is_ascii_digit());
    // 16 digits are always read as the 64 bits of a tracer
    let is_short = text.len() != 16 && (is_number() || !long());
    let in_pod = if is_short { pod.trace_id(text) } else { None };
    let bits = in_pod.unwrap_or_else(|| bits(text, NUMBER_FROM).0);
    Some(TraceId::from_bytes(bits.to_be_bytes()))
}

/// Returns the id of the SERVER span of a trace with an id made from a request id: the first 8 bytes
/// of the SHA-256 of `TRACE SERVICE`.
pub(crate) fn server_span_id(trace: TraceId, service: &str) -> SpanId {
    let mut text = [b' '; 33];
    for (two, byte) in text.chunks_exact_mut(2).zip(trace.to_bytes()) {
        two[0] = HEX[usize::from(byte >> 4)];
        two[1] = HEX[usize::from(byte & 15)];
    }
    let mut hashed = digest::Context::new(&SHA256);
    hashed.update(&text);
    hashed.update(service.as_bytes());
    let bits = (first_bits(&hashed.finish()) >> 64) as u64;
    SpanId::from_bytes(bits.max(1).to_be_bytes())
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Returns the first 128 bits of a SHA-256.
fn first_bits(hash: &Digest) -> u128 {
    hash.as_ref().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// Returns the span id of a field that contains one.
pub(crate) fn span_id(text: &str) -> Option<(SpanId, Origin)> {
    let text = present(text)?;
    let (id, origin) = match text.len() {
        16 => (hex(text).map(|value| value as u64), Origin::Tracer),
        _ => (decimal(text, 1), Origin::Tracer),
    };
    let (id, origin) = match id {
        Some(id) => (id, origin),
        None => ((bits(text, usize::MAX).0 >> 64) as u64, Origin::Made),
    };
    (id != 0).then(|| (SpanId::from_bytes(id.to_be_bytes()), origin))
}

/// Parses a traceparent header (W3C Trace Context section 3.2): `00-{32 hex}-{16 hex}-{2 hex}`.
/// Later versions may be longer; `ff` is invalid.
pub(crate) fn traceparent(text: &str) -> Option<Traceparent> {
    let text = present(text)?;
    let dashes = [2, 35, 52].iter().all(|&at| text.as_bytes().get(at) == Some(&b'-'));
    let version = hex(text.get(..2)?)?;
    if !dashes || version == 0xff || (version == 0 && text.len() != 55) {
        return None;
    }
    let trace = hex(text.get(3..35)?).filter(|id| *id != 0)?;
    let parent = hex(text.get(36..52)?).filter(|id| *id != 0)? as u64;
    let flags = hex(text.get(53..55)?)?;
    Some(Traceparent {
        trace_id: TraceId::from_bytes(trace.to_be_bytes()),
        parent_id: SpanId::from_bytes(parent.to_be_bytes()),
        sampled: flags & 1 == 1,
    })
}

/// Returns whether trace flags say that the trace is not recorded: `00`, `0`, `False`
/// (otelTraceSampled).
pub(crate) fn unsampled(flags: &str) -> bool {
    match flags.trim() {
        text if text.eq_ignore_ascii_case("false") => true,
        text => hex(text).is_some_and(|flags| !text.is_empty() && flags & 1 == 0),
    }
}

/// A hash of several values for span ids: fast, without a seed, and never zero at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix(u64);

impl Mix {
    /// The fractional bits of the golden ratio, as good as any odd number.
    const START: Mix = Mix(0x9e37_79b9_7f4a_7c15);

    /// Starts a hash with a trace id.
    pub(crate) fn of(trace: TraceId) -> Mix {
        let bits = u128::from_be_bytes(trace.to_bytes());
        Mix::START.word(bits as u64).word((bits >> 64) as u64)
    }

    /// Mixes in a number.
    #[inline]
    pub(crate) fn word(self, word: u64) -> Mix {
        let product = u128::from(self.0 ^ word) * 0xa076_1d64_78bd_642f_u128;
        Mix((product as u64 ^ (product >> 64) as u64).wrapping_add(0x8ebc_6af0_9c88_c6e3))
    }

    /// Mixes in a text and its length, so that `ab`, `c` differs from `a`, `bc`.
    #[inline]
    pub(crate) fn text(self, text: &str) -> Mix {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let mixed = words.iter().fold(self, |mix, word| mix.word(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mixed.word(u64::from_le_bytes(last)).word(text.len() as u64)
    }

    /// Returns the hash as a span id.
    pub(crate) fn span_id(self) -> SpanId {
        SpanId::from_bytes(self.word(0).0.max(1).to_be_bytes())
    }

    /// Returns the hash.
    pub(crate) fn value(self) -> u64 {
        self.word(0).0
    }
}

#[cfg(test)]
mod tests;
