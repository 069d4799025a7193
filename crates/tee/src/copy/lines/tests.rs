//! Compares the copy with a naive reader: each connection carries whole lines of the original in
//! their order, except for its last line, and every missing line is counted.

use super::*;
use proptest::prelude::*;

/// A peer that accepts bytes as its script says, and that can lose its connection.
#[derive(Default)]
struct Peer {
    /// The bytes of each connection; the last one is open.
    got: Vec<Vec<u8>>,
}

/// How many bytes the peer accepts in one call; `None` breaks the connection.
type Script<'a> = std::iter::Cycle<std::slice::Iter<'a, Option<usize>>>;

fn send(peer: &mut Peer, script: &mut Script<'_>, bytes: &[u8]) -> Result<usize, ()> {
    match script.next().expect("a cycle") {
        Some(most) => {
            let taken = bytes.len().min(*most);
            peer.got.last_mut().expect("a connection").extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        None => Err(()),
    }
}

fn copy(chunks: &[Vec<u8>], script: &[Option<usize>]) -> (Peer, u64) {
    let mut script = script.iter().cycle();
    let mut peer = Peer { got: vec![Vec::new()] };
    let mut lines = Lines::default();
    let settle = |lines: &mut Lines, peer: &mut Peer, done: Result<(), ()>| {
        if done.is_err() || lines.is_torn() {
            lines.disconnected();
            peer.got.push(Vec::new());
        }
    };
    for chunk in chunks {
        let done = lines.take(chunk, &mut |bytes| send(&mut peer, &mut script, bytes));
        settle(&mut lines, &mut peer, done);
        assert!(lines.held.len() <= HELD_BYTES_MAX + 2 * notice(u64::MAX).len());
        assert!(lines.sent <= lines.sendable() && lines.whole <= lines.held.len());
    }
    lines.end();
    // the peer accepts the rest in the end
    let done = lines.flush(&mut |bytes: &[u8]| {
        peer.got.last_mut().expect("a connection").extend_from_slice(bytes);
        Ok::<usize, ()>(bytes.len())
    });
    assert!(done.is_ok() && !lines.waits());
    (peer, lines.dropped())
}

/// Returns the lines without notices, and the number of lines that the notices report.
fn read(peer: &Peer) -> (Vec<&[u8]>, u64) {
    let (mut lines, mut noticed) = (Vec::new(), 0);
    for connection in &peer.got {
        let mut all: Vec<&[u8]> = connection.split_inclusive(|&byte| byte == b'\n').collect();
        let is_last = std::ptr::eq(connection, peer.got.last().expect("one"));
        if !is_last && all.last().is_some_and(|last| !last.ends_with(b"\n")) {
            all.pop();
        }
        for line in all {
            let count: Option<u64> = std::str::from_utf8(line)
                .ok()
                .filter(|text| text.contains("sidelight.tee"))
                .and_then(|text| {
                    text.trim_end().trim_end_matches('}').rsplit(':').next()?.parse().ok()
                });
            match count {
                Some(count) => noticed += count,
                None => lines.push(line),
            }
        }
    }
    (lines, noticed)
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(b'a'..=b'z', 0..80),
        2 => (b'A'..=b'Z', 1_000..9_000usize).prop_map(|(byte, count)| vec![byte; count]),
        1 => (b'0'..=b'9', 60_000..200_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

fn chunks(input: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut cuts, mut chunks) = (input, cuts.iter().cycle(), Vec::new());
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(*cuts.next().expect("a cut")));
        chunks.push(chunk.to_vec());
        rest = later;
    }
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Guarantees: whatever the peer accepts, and however often it disconnects, every line arrives
    /// whole, once and in order, or is counted; no two lines are joined; the notices report exactly
    /// the missing lines.
    #[test]
    fn property_lines_arrive_whole_or_are_counted(
        written in prop::collection::vec(line(), 0..60),
        open_end: bool,
        cuts in prop::collection::vec(1..65_536usize, 1..8),
        script in prop::collection::vec(
            prop_oneof![
                3 => Just(Some(0)),
                3 => (0..70_000usize).prop_map(Some),
                2 => (0..50usize).prop_map(Some),
                1 => Just(None),
            ],
            1..20,
        ),
    ) {
        let mut input = written.join(&b'\n');
        if !open_end && !written.is_empty() {
            input.push(b'\n');
        }
        let (peer, dropped) = copy(&chunks(&input, &cuts), &script);
        let (got, noticed) = read(&peer);
        let mut left = input.split_inclusive(|&byte| byte == b'\n');
        let mut missing = 0u64;
        for line in &got {
            loop {
                let Some(next) = left.next() else {
                    prop_assert!(false, "a line that was never written: {:?}", String::from_utf8_lossy(line));
                    unreachable!()
                };
                // the last line gets a newline if a notice of dropped lines follows it
                if next == *line || (!next.ends_with(b"\n") && [next, b"\n"].concat() == *line) {
                    break;
                }
                missing += 1;
            }
        }
        missing += left.count() as u64;
        prop_assert_eq!((missing, noticed), (dropped, dropped));
    }

    /// Guarantees: a peer that accepts everything gets everything, byte for byte.
    #[test]
    fn property_nothing_changes_on_the_way(
        written in prop::collection::vec(line(), 0..40),
        cuts in prop::collection::vec(1..65_536usize, 1..8),
    ) {
        let input = written.join(&b'\n');
        let (peer, dropped) = copy(&chunks(&input, &cuts), &[Some(usize::MAX)]);
        prop_assert_eq!(&peer.got, &vec![input]);
        prop_assert_eq!(dropped, 0);
    }
}

/// Scenario: a line exceeds all limits, and the peer stops reading in the middle of it.
/// Guarantees: the connection must be closed, the line is counted once, and the next line uses the
/// next connection.
#[test]
fn a_long_line_that_finds_no_room_tears_the_connection() {
    let mut lines = Lines::default();
    let mut got = Vec::new();
    let mut all = |bytes: &[u8]| {
        got.extend_from_slice(bytes);
        Ok::<usize, ()>(bytes.len())
    };
    let piece = vec![b'x'; PIECE_BYTES_MIN];
    lines.take(&piece, &mut all).expect("a buffer with free space");
    assert_eq!(got.len(), PIECE_BYTES_MIN, "a long line goes out in pieces");
    let mut none = |_: &[u8]| Ok::<usize, ()>(0);
    for _ in 0..=HELD_BYTES_MAX / PIECE_BYTES_MIN {
        assert!(!lines.is_torn());
        lines.take(&piece, &mut none).expect("no failure");
    }
    assert!(lines.is_torn());
    lines.disconnected();
    lines.take(b"xx\nnext\n", &mut none).expect("no failure");
    assert_eq!(
        (lines.dropped(), &lines.held[..]),
        (1, [notice(1).as_bytes(), b"next\n"].concat().as_slice())
    );
}
