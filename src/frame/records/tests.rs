//! Framing of records, and what is found again after a torn one.

use super::*;

/// A pickle like the one of a record, with `filler` bytes.
fn pickled(filler: usize) -> Vec<u8> {
    let mut pickle = b"}q\0(X\x04\0\0\0nameq\x01X\x04\0\0\0shopq\x02X\x03\0\0\0msgq\x03X".to_vec();
    pickle.extend((filler as u32).to_le_bytes());
    pickle.extend(std::iter::repeat_n(b'x', filler));
    pickle.extend(b"q\x04u.");
    let mut record = (pickle.len() as u32).to_be_bytes().to_vec();
    record.extend(pickle);
    record
}

#[test]
fn records_have_an_end() {
    let record = |start, end, next| Next::Record { start, end, next };
    for (framing, bytes, expected) in [
        (Framing::Nul, &b"ab\0c"[..], record(0, 2, 3)),
        (Framing::Nul, b"\0", record(0, 0, 1)),
        (Framing::Nul, b"ab", Next::Partial { needed: 3 }),
        (Framing::Nul, b"0123456789abcdef\0", record(0, 16, 17)),
        (Framing::Nul, b"0123456789abcdefg", Next::TooLong { start: 0, length: usize::MAX }),
        (Framing::Octets, b"5 <1>ab6 ", record(2, 7, 7)),
        (Framing::Octets, b"5 <1>a", Next::Partial { needed: 7 }),
        (Framing::Octets, b"5 <1", Next::Partial { needed: 5 }),
        (Framing::Octets, b"5 <1>ab", record(2, 7, 7)),
        (Framing::Octets, b"20 <1>ab", Next::Partial { needed: 19 }),
        (Framing::Octets, b"20 <1>0123456789abcdefg", Next::TooLong { start: 3, length: 20 }),
        (Framing::Octets, b"ab", Next::Lost),
        (Framing::Octets, b"5 ab", Next::Lost),
    ] {
        assert_eq!(framing.next(bytes, 16, false), expected, "{bytes:?}");
    }
}

#[test]
fn a_pickle_has_its_length_in_front() {
    let record = pickled(40);
    let whole = Next::Record { start: 4, end: record.len(), next: record.len() };
    assert_eq!(Framing::Pickle.next(&record, 200, false), whole);
    assert_eq!(
        Framing::Pickle.next(&record[..20], 200, false),
        Next::Partial { needed: record.len() }
    );
    let too_long = Next::TooLong { start: 4, length: record.len() - 4 };
    assert_eq!(Framing::Pickle.next(&record, 30, false), too_long);
}

/// Scenario: two processes share a connection after a fork, and one writes into the record of the
/// other.
/// Guarantees: wherever the first is cut, the second is found.
#[test]
fn a_record_inside_of_a_torn_one_is_found() {
    let (outer, inner) = (pickled(90), pickled(20));
    for cut in 6..outer.len() {
        if cut + inner.len() == outer.len() {
            // the outer record cannot be told from one that mentions the inner one
            continue;
        }
        let stream = [&outer[..cut], &inner, &outer[cut..]].concat();
        let Next::Torn { skip } = Framing::Pickle.next(&stream, 4096, false) else {
            panic!("a record cut at {cut} is whole");
        };
        assert_eq!(skip, cut);
        let whole = Next::Record { start: 4, end: inner.len(), next: inner.len() };
        assert_eq!(Framing::Pickle.next(&stream[skip..], 4096, true), whole);
    }
}

/// Guarantees: a record whose text looks like the beginning of another is whole all the same.
#[test]
fn a_record_that_mentions_a_record_is_whole() {
    let inner = pickled(3);
    let mut pickle = b"}q\0(X\x04\0\0\0nameq\x01X".to_vec();
    pickle.extend((inner.len() as u32).to_le_bytes());
    pickle.extend(&inner);
    pickle.extend(b"q\x02u.");
    let mut record = (pickle.len() as u32).to_be_bytes().to_vec();
    record.extend(pickle);
    let whole = Next::Record { start: 4, end: record.len(), next: record.len() };
    assert_eq!(Framing::Pickle.next(&record, 4096, false), whole);
}

#[test]
fn bytes_that_are_no_record_are_skipped() {
    let mut stream = b"\0\0garbage \0\0\0\0 and more".to_vec();
    let at = stream.len();
    stream.extend(pickled(5));
    let mut from = 0;
    while let Next::Torn { skip } = Framing::Pickle.next(&stream[from..], 4096, true) {
        from += skip;
    }
    assert_eq!(from, at);
}
