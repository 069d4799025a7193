//! Frames of every protocol, at every cut.

use super::*;
use crate::frame::encoding::Frame;
use crate::frame::records::HEADER_BYTES_MAX;
use proptest::prelude::*;

const LIMIT: usize = 200;
const READ: usize = 300;

/// What a connection delivers.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Line(Vec<u8>),
    Record(Vec<u8>, u64),
    Torn,
}

fn collect(seen: &mut Vec<Seen>, piece: Piece<'_>) {
    match piece {
        Piece::Lines(block) => {
            let block = block.strip_suffix(b"\n").unwrap_or(block);
            seen.extend(block.split(|byte| *byte == b'\n').map(|line| Seen::Line(line.to_vec())));
        }
        Piece::Oversized { prefix, bytes } => seen.push(Seen::Record(prefix.to_vec(), bytes)),
        Piece::Record(Frame { bytes, length, .. }) => {
            seen.push(Seen::Record(bytes.to_vec(), length));
        }
        Piece::Torn => seen.push(Seen::Torn),
        Piece::Reply(answer) => panic!("nobody asked: {answer:?}"),
    }
}

/// Feeds `stream` in the given cuts (repeated), and closes the connection.
fn feed(stream: &[u8], cuts: &[usize]) -> Vec<Seen> {
    let mut buffer = Buffer::new(LIMIT + HEADER_BYTES_MAX, READ);
    let mut intake = Intake::default();
    let mut seen = Vec::new();
    let mut cuts = cuts.iter().cycle();
    let mut rest = stream;
    let bounds = Bounds { line_bytes_max: LIMIT, tail_bytes_max: LIMIT };
    while !rest.is_empty() {
        let read = (*cuts.next().expect("cycled")).clamp(1, READ).min(rest.len());
        buffer.space()[..read].copy_from_slice(&rest[..read]);
        intake.take(&mut buffer, read, bounds, &mut |piece| collect(&mut seen, piece));
        assert!(intake.bytes() <= 4 * (LIMIT + HEADER_BYTES_MAX), "{}", intake.bytes());
        rest = &rest[read..];
    }
    intake.finish(&mut |piece| collect(&mut seen, piece));
    seen
}

fn record(text: &[u8]) -> Seen {
    Seen::Record(text.to_vec(), text.len() as u64)
}

fn line(text: &[u8]) -> Seen {
    Seen::Line(text.to_vec())
}

/// A pickle like the one of a record.
fn pickle(name: &str) -> Vec<u8> {
    let mut pickle = b"}q\0(X\x04\0\0\0nameq\x01X".to_vec();
    pickle.extend((name.len() as u32).to_le_bytes());
    pickle.extend(name.as_bytes());
    pickle.extend(b"q\x02u.");
    pickle
}

fn counted(pickle: &[u8]) -> Vec<u8> {
    [&(pickle.len() as u32).to_be_bytes()[..], pickle].concat()
}

#[test]
fn every_cut_gives_the_same_frames() {
    let (a, b, long) = (pickle("shop"), pickle("orders"), pickle(&"x".repeat(400)));
    let cut_long = Seen::Record(long[..LIMIT].to_vec(), long.len() as u64);
    let text = b"0123456789".repeat(30);
    let cut_text = Seen::Record(text[..LIMIT].to_vec(), 300);
    for (stream, expected) in [
        (b"one\ntwo\nthree".to_vec(), vec![line(b"one"), line(b"two"), line(b"three")]),
        (b"<14>one\n<14>two\n".to_vec(), vec![line(b"<14>one"), line(b"<14>two")]),
        (b"<14>one\n".to_vec(), vec![line(b"<14>one")]),
        (
            b"<14>one\nTraceback\n  File\0<11>two\0<14>three".to_vec(),
            vec![record(b"<14>one\nTraceback\n  File"), record(b"<11>two"), record(b"<14>three")],
        ),
        (b"{\"a\":1}\0\0{}\0".to_vec(), vec![record(b"{\"a\":1}"), record(b"{}")]),
        (
            [&b"a\0"[..], &text, b"\0b\0"].concat(),
            vec![record(b"a"), cut_text.clone(), record(b"b")],
        ),
        ([&b"a\0"[..], &text].concat(), vec![record(b"a"), cut_text.clone()]),
        (
            b"7 <14>one7 <14>a\nb9 <1".to_vec(),
            vec![record(b"<14>one"), record(b"<14>a\nb"), Seen::Torn],
        ),
        (
            [&b"7 <14>one304 <14>"[..], &text, b"7 <14>two"].concat(),
            vec![
                record(b"<14>one"),
                Seen::Record([&b"<14>"[..], &text[..LIMIT - 4]].concat(), 304),
                record(b"<14>two"),
            ],
        ),
        (b"7 <14>oneplain\ntext".to_vec(), vec![record(b"<14>one"), line(b"plain"), line(b"text")]),
        ([counted(&a), counted(&b)].concat(), vec![record(&a), record(&b)]),
        (
            [counted(&a), counted(&long), counted(&b)].concat(),
            vec![record(&a), cut_long, record(&b)],
        ),
        ([counted(&a), counted(&b)[..20].to_vec()].concat(), vec![record(&a), Seen::Torn]),
        (
            [counted(&a), b"garbage".to_vec(), counted(&b)].concat(),
            vec![record(&a), Seen::Torn, record(&b)],
        ),
    ] {
        for cut in 1..=stream.len().min(READ) {
            let seen = feed(&stream, &[cut]);
            assert_eq!(seen, expected, "cut {cut} of {:?}", String::from_utf8_lossy(&stream));
        }
    }
}

/// Scenario: processes that share a connection write into each other's records.
/// Guarantees: the record of the second is delivered and the torn one is counted once, also if
/// nothing follows that would complete it.
#[test]
fn a_torn_record_does_not_keep_the_next_one_waiting() {
    let (outer, inner) = (counted(&pickle(&"x".repeat(150))), pickle("shop"));
    let stream = [&outer[..90], &counted(&inner)[..]].concat();
    let mut buffer = Buffer::new(LIMIT + HEADER_BYTES_MAX, READ);
    buffer.space()[..stream.len()].copy_from_slice(&stream);
    let mut intake = Intake::default();
    let mut seen = Vec::new();
    let bounds = Bounds { line_bytes_max: LIMIT, tail_bytes_max: LIMIT };
    intake.take(&mut buffer, stream.len(), bounds, &mut |piece| collect(&mut seen, piece));
    assert!(seen.is_empty() && intake.holds());
    intake.release(&mut |piece| collect(&mut seen, piece));
    assert_eq!(seen, [Seen::Torn, record(&inner)]);
    assert!(!intake.holds());
    let rest = counted(&pickle("orders"));
    buffer.space()[..rest.len()].copy_from_slice(&rest);
    intake.take(&mut buffer, rest.len(), bounds, &mut |piece| collect(&mut seen, piece));
    assert_eq!(seen.last(), Some(&record(&pickle("orders"))));
}

/// Guarantees: a first line with `<PRI>` is delivered when nothing follows that would decide.
#[test]
fn an_undecided_line_is_released() {
    let mut buffer = Buffer::new(LIMIT + HEADER_BYTES_MAX, READ);
    buffer.space()[..8].copy_from_slice(b"<14>one\n");
    let mut intake = Intake::default();
    let mut seen = Vec::new();
    let bounds = Bounds { line_bytes_max: LIMIT, tail_bytes_max: LIMIT };
    intake.take(&mut buffer, 8, bounds, &mut |piece| collect(&mut seen, piece));
    assert!(seen.is_empty() && intake.holds());
    intake.release(&mut |piece| collect(&mut seen, piece));
    assert_eq!(seen, [line(b"<14>one")]);
}

/// Pieces of streams: of every protocol, whole and broken.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        b"text\n".to_vec(),
        b"<14>a".to_vec(),
        b"\n".to_vec(),
        b"\0".to_vec(),
        b"7 <14>one".to_vec(),
        b"999999 <14>".to_vec(),
        counted(&pickle("shop")),
        counted(&pickle(&"y".repeat(190))),
        counted(&pickle("shop"))[..25].to_vec(),
        b"\0\xff\xff\xff\x80\x04".to_vec(),
        b"\0\0\x01\0}q".to_vec(),
        b"x".repeat(120),
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..8).prop_map(|all| all.concat())
}

proptest! {
    /// The frames are the same wherever the reads cut the stream.
    #[test]
    fn property_cuts_do_not_matter(
        stream in any_stream(),
        cuts in prop::collection::vec(1..60_usize, 1..6),
    ) {
        prop_assert_eq!(feed(&stream, &cuts), feed(&stream, &[READ]));
    }
}
