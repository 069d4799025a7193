//! The encodings of a frame that is not a line of a block. Unit: one frame.

/// How the bytes of a frame are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// Text, whatever newlines it contains: a datagram, or a record that ends in NUL or that has
    /// its length in front.
    Text,
    /// A Python `LogRecord` as `logging.handlers.SocketHandler` pickles it, without the length in
    /// front.
    Pickle,
    /// Text that is compressed by gzip (RFC 1952), as GELF's clients send it.
    Gzip,
    /// Text that is compressed by zlib (RFC 1950), as GELF's clients send it.
    Zlib,
    /// Fields as clients of journald send them (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
    Journal,
    /// An entry of Fluent Forward: its time and its record in MessagePack.
    Forward,
}

/// One frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// How to read the bytes.
    pub encoding: Encoding,
    /// The frame, or the beginning of a frame that is longer than the limit.
    pub bytes: &'a [u8],
    /// The length of the whole frame in bytes, or more than `bytes` if it is not known.
    pub length: u64,
    /// The tag of the message of Fluent Forward; empty for other encodings.
    pub tag: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Creates a whole frame.
    pub fn whole(encoding: Encoding, bytes: &'a [u8]) -> Frame<'a> {
        Frame::part(encoding, bytes, bytes.len() as u64)
    }

    /// Creates a frame of `length` bytes, of which `bytes` is the beginning or all.
    pub fn part(encoding: Encoding, bytes: &'a [u8], length: u64) -> Frame<'a> {
        Frame { encoding, bytes, length, tag: &[] }
    }

    /// Returns whether `bytes` is only the beginning of the frame.
    pub fn is_cut(&self) -> bool {
        self.length > self.bytes.len() as u64
    }
}
