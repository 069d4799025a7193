//! Compares the framer with a naive `split`, at every cut.

use super::*;
use proptest::prelude::*;

const LIMIT: usize = 16;
const READ: usize = 48;

/// A received line: its text, or the beginning and the length of an oversized one.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Line {
    Whole(Vec<u8>),
    Oversized(Vec<u8>, u64),
}

fn collect(lines: &mut Vec<Line>, piece: Piece<'_>) {
    match piece {
        Piece::Lines(block) => {
            assert!(!block.is_empty(), "an empty block is never handed on");
            let block = block.strip_suffix(b"\n").unwrap_or(block);
            lines.extend(block.split(|byte| *byte == b'\n').map(|line| Line::Whole(line.to_vec())));
        }
        Piece::Oversized { prefix, bytes } => lines.push(Line::Oversized(prefix.to_vec(), bytes)),
        Piece::Record(_) | Piece::Torn | Piece::Reply(_) => panic!("a tail finds only lines"),
    }
}

/// Feeds `stream` in the given cuts (repeated; 0 means one byte). Returns the lines, and the open
/// tail.
fn feed(stream: &[u8], cuts: &[usize], tail_bytes_max: usize) -> (Vec<Line>, Tail) {
    let mut buffer = Buffer::new(LIMIT, READ);
    let mut tail = Tail::default();
    let mut lines = Vec::new();
    let mut cuts = cuts.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let read = (*cuts.next().expect("cycled")).clamp(1, READ).min(rest.len());
        buffer.space()[..read].copy_from_slice(&rest[..read]);
        let bounds = Bounds { line_bytes_max: LIMIT, tail_bytes_max };
        tail.take(&mut buffer, read, bounds, &mut |piece| collect(&mut lines, piece));
        rest = &rest[read..];
    }
    (lines, tail)
}

/// The reference: splits at newlines, one line after the other.
fn naive(stream: &[u8]) -> Vec<Line> {
    let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let made = lines.into_iter().map(|line| {
        if line.len() > LIMIT {
            Line::Oversized(line[..LIMIT].to_vec(), line.len() as u64)
        } else {
            Line::Whole(line.to_vec())
        }
    });
    made.collect()
}

fn check(stream: &[u8]) {
    for cut in 1..=stream.len().min(READ) {
        let (mut lines, mut tail) = feed(stream, &[cut], LIMIT);
        tail.finish(&mut |piece| collect(&mut lines, piece));
        assert_eq!(lines, naive(stream), "cut {cut} of {:?}", String::from_utf8_lossy(stream));
    }
}

#[test]
fn every_cut_gives_the_same_lines() {
    check(b"");
    check(b"one\n");
    check(b"one\ntwo\r\n\n\nthree");
    check(b"exactly sixteen.\nexactly sixteen.");
    check(b"exactly seventeen\nexactly seventeen");
    check(b"one\nthis line is longer than sixteen\ntwo\nand this one is longer than a read, by some text\n");
    check(b"this line is longer than sixteen\nthis line is longer than sixteen\n\nx");
}

#[test]
fn a_tail_is_a_record_when_the_peer_closed_and_torn_when_we_did() {
    for (stream, left, torn) in [
        (&b"one\ntwo"[..], vec![Line::Whole(b"two".to_vec())], true),
        (b"one\n", vec![], false),
        (b"a line that is too long", vec![Line::Oversized(b"a line that is t".to_vec(), 23)], true),
    ] {
        let (_, mut tail) = feed(stream, &[5], LIMIT);
        let mut lines = Vec::new();
        tail.finish(&mut |piece| collect(&mut lines, piece));
        // Lines that were held back before do not matter here: the last line does.
        assert!(lines.ends_with(&left), "{lines:?}");
        let (_, mut tail) = feed(stream, &[5], LIMIT);
        let mut lines = Vec::new();
        assert_eq!(tail.tear(&mut |piece| collect(&mut lines, piece)), torn);
        assert!(lines.iter().all(|line| matches!(line, Line::Whole(text) if text == b"one")));
    }
}

#[test]
fn a_tail_never_keeps_more_than_it_may() {
    let (lines, tail) = feed(b"0123456789abcdef0123456789abcdef", &[3], 7);
    assert!(lines.is_empty() && tail.kept == b"0123456" && tail.skipped == 32);
    let (lines, tail) = feed(b"0123456789\nx", &[3], 7);
    assert_eq!(
        lines[0],
        Line::Oversized(b"0123456".to_vec(), 10),
        "its length is reported all the same"
    );
    assert_eq!(tail.kept, b"x");
}

#[test]
fn a_quiet_connection_keeps_no_memory() {
    let mut tail = Tail { kept: Vec::with_capacity(60_000), whole: 0, skipped: 0 };
    let mut buffer = Buffer::new(LIMIT, READ);
    buffer.space()[..3].copy_from_slice(b"{}\n");
    let bounds = Bounds { line_bytes_max: LIMIT, tail_bytes_max: LIMIT };
    tail.take(&mut buffer, 3, bounds, &mut |_| {});
    tail.release(&mut |_| {});
    tail.shrink();
    assert_eq!(tail.bytes(), 0);
}

/// Returns the records that a pipeline would make of the emitted lines, with joined lines together.
fn records(stream: &[u8], cuts: &[usize], bounds: Bounds) -> Vec<Vec<u8>> {
    let mut buffer = Buffer::new(bounds.tail_bytes_max, 4096);
    let mut tail = Tail::default();
    let mut records = Vec::new();
    let mut join = |piece: Piece<'_>| {
        let Piece::Lines(block) = piece else { panic!("no line is that long") };
        let mut at = 0;
        while at < block.len() {
            let first_end = memchr(b'\n', &block[at..]).map_or(block.len(), |end| at + end + 1);
            if first_end == at + 1 {
                at = first_end;
                continue;
            }
            let (end, _) = multiline::joined(block, at, first_end);
            records.push(block[at..end].to_vec());
            at = end;
        }
    };
    let (mut rest, mut cuts) = (stream, cuts.iter().cycle());
    while !rest.is_empty() {
        let read = (*cuts.next().expect("cycled")).clamp(1, 4096).min(rest.len());
        buffer.space()[..read].copy_from_slice(&rest[..read]);
        tail.take(&mut buffer, read, bounds, &mut join);
        rest = &rest[read..];
    }
    tail.finish(&mut join);
    records
}

/// Lines that a Python application writes, and other lines between them.
const PARTS: [&str; 6] = [
    "2026-11-21 09:00:00,000 - app - ERROR - it broke\n",
    "{\"level\":\"INFO\",\"message\":\"json\"}\n",
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no\n",
    "\nDuring handling of the above exception, another exception occurred:\n\n",
    "plain text\n",
    "\r\n",
];

proptest! {
    /// Any cut gives the same records as the whole stream in one piece.
    #[test]
    fn property_any_cut_gives_the_same_records(
        parts in proptest::collection::vec(0..PARTS.len(), 0..14),
        cuts in proptest::collection::vec(1usize..120, 1..20),
    ) {
        let stream: Vec<u8> = parts.iter().flat_map(|at| PARTS[*at].bytes()).collect();
        // A record may be much longer than a line.
        let bounds = Bounds { line_bytes_max: 200, tail_bytes_max: 4096 };
        prop_assert_eq!(records(&stream, &cuts, bounds), records(&stream, &[4096], bounds));
    }
}

proptest! {
    /// Guarantees: with any bytes and any cuts, the lines are those of a naive split, and oversized
    /// lines are reported with prefix and length.
    #[test]
    fn property_any_cut_of_any_stream(
        stream in proptest::collection::vec(
            prop_oneof![4 => b'a'..=b'd', 1 => Just(b'\n'), 1 => Just(b'\r')],
            0..400,
        ),
        cuts in proptest::collection::vec(1usize..READ, 1..20),
    ) {
        let (mut lines, mut tail) = feed(&stream, &cuts, LIMIT);
        tail.finish(&mut |piece| collect(&mut lines, piece));
        prop_assert_eq!(lines, naive(&stream));
    }
}
