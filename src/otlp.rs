//! A small writer and reader of protobuf fields, enough for OTLP. It writes into a buffer that the
//! caller reuses, without building a tree of messages, and allocates only when that buffer grows.
//! Unit: one field.

/// Bytes that [`open`] reserves for a length: four groups of seven bits, enough for 268 million.
const LENGTH_BYTES: usize = 4;

/// Wire type of a varint.
const VARINT: u32 = 0;
/// Wire type of eight bytes, little endian.
const FIXED64: u32 = 1;
/// Wire type of a length followed by that many bytes.
const BYTES: u32 = 2;
/// Wire type of four bytes, little endian.
const FIXED32: u32 = 5;

/// The position at which an unfinished message begins.
#[derive(Clone, Copy, Debug)]
#[must_use = "a message that is opened must be closed"]
pub(crate) struct Open(usize);

/// Writes a varint: a number in groups of seven bits.
#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

/// Writes an unsigned number or an enum as a varint field.
#[inline]
pub(crate) fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

/// Writes a fixed64 field.
#[inline]
pub(crate) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a field of bytes or a string.
#[inline]
pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Begins a message of unknown length. [`close`] fills in the length as a varint padded to four
/// bytes, which is legal protobuf and saves moving the message.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>, field: u32) -> Open {
    tag(out, field, BYTES);
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    Open(out.len())
}

/// Ends the message and fills in its length.
#[inline]
pub(crate) fn close(out: &mut [u8], message: Open) {
    let length = out.len() - message.0;
    debug_assert!(length < 1 << (7 * LENGTH_BYTES), "a message of {length} bytes");
    let at = message.0 - LENGTH_BYTES;
    for (group, byte) in out[at..message.0].iter_mut().enumerate() {
        let more = if group + 1 < LENGTH_BYTES { 0x80 } else { 0 };
        *byte = (length >> (7 * group)) as u8 & 0x7f | more;
    }
}

/// Returns the number of bytes of a varint.
#[inline]
fn varint_len(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Writes a `KeyValue` with a string value.
#[inline]
pub(crate) fn text_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    let any = 1 + varint_len(value.len()) + value.len();
    let whole = 1 + varint_len(key.len()) + key.len() + 1 + varint_len(any) + any;
    tag(out, field, BYTES);
    varint(out, whole as u64);
    bytes(out, 1, key.as_bytes());
    tag(out, 2, BYTES);
    varint(out, any as u64);
    bytes(out, 1, value.as_bytes());
}

/// Writes a `KeyValue` with a non-negative number.
#[inline]
pub(crate) fn uint_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: u32) {
    let any = 1 + varint_len(value as usize);
    let whole = 1 + varint_len(key.len()) + key.len() + 1 + varint_len(any) + any;
    tag(out, field, BYTES);
    varint(out, whole as u64);
    bytes(out, 1, key.as_bytes());
    tag(out, 2, BYTES);
    varint(out, any as u64);
    uint(out, 3, u64::from(value));
}

/// The value of one field that [`Fields`] has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// A varint, fixed32 or fixed64.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
}

/// An iterator over the fields of a message; it stops at the first damaged field.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    damaged: bool,
}

/// Returns an iterator over the fields of `message`.
pub(crate) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message, damaged: false }
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index).min(63);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Fields<'a> {
    /// Returns whether every field read so far is legal.
    pub(crate) fn is_sound(&self) -> bool {
        !self.damaged
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag as u32 & 7 {
            VARINT => Value::Number(self.number()?),
            FIXED64 => {
                let taken = self.take(8)?;
                Value::Number(taken.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
            }
            BYTES => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED32 => {
                let taken = self.take(4)?;
                Value::Number(taken.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
            }
            _ => return None,
        };
        Some(((tag >> 3) as u32, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.damaged {
            return None;
        }
        let field = self.field();
        self.damaged = field.is_none();
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use proptest::prelude::*;
    use prost::Message;

    fn pair(key: &str, value: any_value::Value) -> KeyValue {
        KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..Default::default()
        }
    }

    #[derive(Clone, PartialEq, Message)]
    struct Outer {
        #[prost(message, repeated, tag = "1")]
        pairs: Vec<KeyValue>,
        #[prost(message, optional, tag = "20")]
        inner: Option<Box<Outer>>,
        #[prost(fixed64, tag = "3")]
        time: u64,
        #[prost(uint64, tag = "4")]
        count: u64,
        #[prost(bytes = "vec", tag = "500")]
        raw: Vec<u8>,
    }

    proptest! {
        /// Guarantees: prost and our own reader read exactly the values that were written.
        #[test]
        fn property_prost_reads_what_is_written(
            key in ".{0,200}", text in ".{0,300}", small: u32, count: u64, time: u64,
            raw in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut out = Vec::new();
            text_attribute(&mut out, 1, &key, &text);
            let inner = open(&mut out, 20);
            uint_attribute(&mut out, 1, &key, small);
            fixed64(&mut out, 3, time);
            close(&mut out, inner);
            uint(&mut out, 4, count);
            bytes(&mut out, 500, &raw);
            let nested = Outer {
                pairs: vec![pair(&key, any_value::Value::IntValue(i64::from(small)))],
                time,
                ..Default::default()
            };
            let expected = Outer {
                pairs: vec![pair(&key, any_value::Value::StringValue(text))],
                inner: Some(Box::new(nested)),
                count,
                raw: raw.clone(),
                time: 0,
            };
            prop_assert_eq!(Outer::decode(out.as_slice()).expect("legal protobuf"), expected);
            let read: Vec<_> = fields(&out).collect();
            prop_assert_eq!(read.len(), 4);
            prop_assert_eq!(read[2], (4, Value::Number(count)));
            prop_assert_eq!(read[3], (500, Value::Bytes(&raw)));
        }

        /// Guarantees: any bytes from a collector are read without a panic and in bounded steps.
        #[test]
        fn property_garbage_ends(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&raw).count() <= raw.len());
        }
    }
}
