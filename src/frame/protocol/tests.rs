//! What the first bytes of real clients show.

use super::*;

/// A pickle as `SocketHandler` begins it.
const PICKLED: &[u8] = b"\0\0\x02\x0b}q\0(X\x04\0\0\0nameq\x01";

#[test]
fn clients_are_recognised() {
    for (bytes, expected) in [
        (&b""[..], Detection::Undecided),
        (b"text", Detection::Undecided),
        (b"text\n", Detection::Lines),
        (b"{\"a\":1}\n{", Detection::Lines),
        (b"{\"version\":\"1.1\"}\0{", Detection::Records(Framing::Nul)),
        (b"a\nb\0", Detection::Lines),
        (PICKLED, Detection::Records(Framing::Pickle)),
        (b"\0\0\x02\x0b\x80\x04\x95", Detection::Records(Framing::Pickle)),
        (b"\0\0\x02\x0b(dp0\n", Detection::Records(Framing::Pickle)),
        (b"\0\0\x02\x0b}", Detection::Undecided),
        (b"\0\0\x02\x0bno pickle\n", Detection::Records(Framing::Nul)),
        (b"<14>Jan  2 03:04:05 app: a\n<14>", Detection::Lines),
        (b"<14>Jan  2 03:04:05 app: a\n", Detection::Undecided),
        (b"<14>a\nTraceback\n  File\0<11>b\0", Detection::Records(Framing::Nul)),
        (b"<14>a\0", Detection::Records(Framing::Nul)),
        (b"<14>a\nmore\n<1", Detection::Undecided),
        (b"\x93", Detection::Undecided),
        (b"\x93\xa4shop", Detection::Forward),
        (b"\x93\xd9\x20", Detection::Forward),
        (b"\x93\x01\n", Detection::Lines),
        (b"<div>a\n", Detection::Lines),
        (b"83 <14>1 2026", Detection::Records(Framing::Octets)),
        (b"83 <", Detection::Undecided),
        (b"83 files\n", Detection::Lines),
        (b"12345678 <14>a\n", Detection::Lines),
        (b"2026-01-02 03:04:05 a\n", Detection::Lines),
    ] {
        assert_eq!(detect(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
    }
}

/// Guarantees: a decision that a part of the bytes allows is the decision that all bytes give.
#[test]
fn more_bytes_never_change_a_decision() {
    let streams: [&[u8]; 6] = [
        b"<14>a\nTraceback\n  File\0<11>b\0",
        b"<14>a\n<14>b\0\n",
        b"83 <14>1 2026-01-02T03:04:05Z h a - - - x\n\0",
        b"{\"a\":1}\0\n",
        PICKLED,
        b"\n\0",
    ];
    for stream in streams {
        let decided = detect(stream);
        for end in 0..stream.len() {
            let early = detect(&stream[..end]);
            assert!(early == decided || early == Detection::Undecided, "{end} of {stream:?}");
        }
    }
}

#[test]
fn a_datagram_with_its_length_in_front_is_a_pickle() {
    let mut pickled = vec![0, 0, 0, 32];
    pickled.extend_from_slice(b"}q\0(X\x04\0\0\0nameq\x01X\x04\0\0\0nameq\x02u.");
    pickled.resize(36, b'.');
    let frame = datagram(&pickled);
    assert_eq!((frame.encoding, frame.bytes), (Encoding::Pickle, &pickled[4..]));
    assert_eq!(datagram(&pickled[..35]).encoding, Encoding::Text, "the length must be right");
    for (bytes, encoding) in [
        (&b"<14>a\0"[..], Encoding::Text),
        (b"\x1f\x8b\x08\0", Encoding::Gzip),
        (b"\x1f\x8b", Encoding::Text),
        (b"\x78\x9c\xab", Encoding::Zlib),
        (b"xyz", Encoding::Text),
        (b"MESSAGE=a\n", Encoding::Journal),
        (b"", Encoding::Text),
    ] {
        assert_eq!(datagram(bytes), Frame::whole(encoding, bytes));
    }
}
