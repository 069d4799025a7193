//! Walks over MessagePack (<https://github.com/msgpack/msgpack/blob/master/spec.md>). Pure. Unit:
//! one value.

/// The head of a value: what it is, and where its content starts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Head {
    /// `nil`.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer above `i64::MAX`.
    Unsigned(u64),
    /// A floating point number.
    Float(f64),
    /// Text of so many bytes.
    Text(usize),
    /// Bytes.
    Bytes(usize),
    /// An array of so many values.
    Array(usize),
    /// A map of so many keys with values.
    Map(usize),
    /// An extension of this type, of so many bytes.
    Extension(i8, usize),
}

/// What the first bytes of a value show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Read {
    /// The head, and its length in bytes.
    Head(Head, usize),
    /// More bytes are needed.
    Partial,
    /// No value begins like that.
    Invalid,
}

/// Reads the head at the start of `bytes`.
#[inline]
pub(crate) fn head(bytes: &[u8]) -> Read {
    let Some(&first) = bytes.first() else { return Read::Partial };
    let (head, length) = match first {
        0..=0x7f => (Head::Integer(i64::from(first)), 1),
        0x80..=0x8f => (Head::Map(usize::from(first & 15)), 1),
        0x90..=0x9f => (Head::Array(usize::from(first & 15)), 1),
        0xa0..=0xbf => (Head::Text(usize::from(first & 31)), 1),
        0xc0 => (Head::Nil, 1),
        0xc1 => return Read::Invalid,
        0xc2 | 0xc3 => (Head::Bool(first == 0xc3), 1),
        0xe0.. => (Head::Integer(i64::from(first as i8)), 1),
        _ => return sized(first, &bytes[1..]),
    };
    Read::Head(head, length)
}

/// Reads a head with a number behind its first byte.
fn sized(first: u8, rest: &[u8]) -> Read {
    let width = match first {
        0xc4 | 0xc7 | 0xcc | 0xd0 | 0xd9 => 1,
        0xc5 | 0xc8 | 0xcd | 0xd1 | 0xda | 0xdc | 0xde => 2,
        0xc6 | 0xc9 | 0xca | 0xce | 0xd2 | 0xdb | 0xdd | 0xdf => 4,
        0xcb | 0xcf | 0xd3 => 8,
        _ => 0,
    };
    let Some(number) = rest.get(..width) else { return Read::Partial };
    let number = number.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let size = number as usize;
    let extension = |length: usize| match rest.get(width) {
        Some(kind) => Read::Head(Head::Extension(*kind as i8, length), width + 2),
        None => Read::Partial,
    };
    let head = match first {
        0xc4..=0xc6 => Head::Bytes(size),
        0xc7..=0xc9 => return extension(size),
        0xd4..=0xd8 => return extension(1 << (first - 0xd4)),
        0xca => Head::Float(f64::from(f32::from_bits(number as u32))),
        0xcb => Head::Float(f64::from_bits(number)),
        0xcc..=0xcf => i64::try_from(number).map_or(Head::Unsigned(number), Head::Integer),
        0xd0 => Head::Integer(i64::from(number as u8 as i8)),
        0xd1 => Head::Integer(i64::from(number as u16 as i16)),
        0xd2 => Head::Integer(i64::from(number as u32 as i32)),
        0xd3 => Head::Integer(number as i64),
        0xd9..=0xdb => Head::Text(size),
        0xdc | 0xdd => Head::Array(size),
        _ => Head::Map(size),
    };
    Read::Head(head, width + 1)
}

/// Skips values whose bytes come in parts. Needs no memory for the nesting, because it only counts
/// how many values are left.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Walk {
    /// Values that are left, at any depth.
    values: u64,
    /// Bytes that are left of a text, of bytes or of an extension.
    bytes: u64,
}

/// How far a walk has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Walked {
    /// The values end here.
    Ended(usize),
    /// They go on behind these bytes, of which the last ones, from here on, are a partial head.
    Open(usize),
    /// No value begins here.
    Invalid,
}

impl Walk {
    /// Starts a walk over `values` values.
    pub(crate) fn over(values: u64) -> Walk {
        Walk { values, bytes: 0 }
    }

    /// Walks over `bytes`.
    pub(crate) fn on(&mut self, bytes: &[u8]) -> Walked {
        let mut at = 0;
        loop {
            let left = (bytes.len() - at) as u64;
            if self.bytes > left {
                self.bytes -= left;
                return Walked::Open(bytes.len());
            }
            at += self.bytes as usize;
            self.bytes = 0;
            if self.values == 0 {
                return Walked::Ended(at);
            }
            match head(&bytes[at..]) {
                Read::Partial => return Walked::Open(at),
                Read::Invalid => return Walked::Invalid,
                Read::Head(head, length) => {
                    at += length;
                    self.values -= 1;
                    match head {
                        Head::Text(size) | Head::Bytes(size) | Head::Extension(_, size) => {
                            self.bytes = size as u64;
                        }
                        Head::Array(count) => self.values += count as u64,
                        Head::Map(count) => self.values += 2 * count as u64,
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Returns the end of the value at the start of `bytes`, if it is there.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    match Walk::over(1).on(bytes) {
        Walked::Ended(end) => Some(end),
        Walked::Open(_) | Walked::Invalid => None,
    }
}
