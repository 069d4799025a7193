//! Messages of real clients and hostile ones, at every cut.

use super::*;
use proptest::prelude::*;

/// Written by `tests/oracles/forward.py`.
const MESSAGES: &str = include_str!("messages.txt");

const LIMIT: usize = 8192;
const READ: usize = 9000;

/// What a connection delivers: tags and entries, answers, and how often something was torn.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Seen {
    entries: Vec<(Vec<u8>, Vec<u8>, bool)>,
    answers: Vec<u8>,
    torn: u32,
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Feeds `stream` in the given cuts (repeated); returns what was seen, and the framing.
fn feed(stream: &[u8], cuts: &[usize]) -> (Seen, Forward) {
    let mut buffer = Buffer::new(LIMIT, READ);
    let mut forward = Forward::new();
    let mut seen = Seen::default();
    let mut cuts = cuts.iter().cycle();
    let mut rest = stream;
    let bounds = Bounds { line_bytes_max: LIMIT, tail_bytes_max: LIMIT };
    while !rest.is_empty() {
        let read = (*cuts.next().expect("cycled")).clamp(1, READ).min(rest.len());
        buffer.space()[..read].copy_from_slice(&rest[..read]);
        let range = buffer.tail_space..buffer.tail_space + read;
        forward.take(&mut buffer, range, bounds, &mut |piece| match piece {
            Piece::Record(frame) => {
                let entry = (frame.tag.to_vec(), frame.bytes.to_vec(), frame.is_cut());
                seen.entries.push(entry);
            }
            Piece::Reply(answer) => seen.answers.extend_from_slice(answer),
            Piece::Torn => seen.torn += 1,
            Piece::Lines(_) | Piece::Oversized { .. } => panic!("there are no lines"),
        });
        assert!(forward.bytes() < 20 * LIMIT + 200_000, "{}", forward.bytes());
        rest = &rest[read..];
    }
    (seen, forward)
}

#[test]
fn messages_of_clients_at_every_cut() {
    let mut all = Vec::new();
    let mut entries = 0;
    for case in MESSAGES.lines() {
        let [mode, message, count, chunk] =
            case.split('\t').collect::<Vec<_>>().try_into().expect("four columns");
        let message = unhex(message);
        let count: usize = count.parse().expect("a number");
        let answer = if chunk.is_empty() { Vec::new() } else { acknowledgement(chunk.as_bytes()) };
        for cut in 1..=message.len() {
            let (seen, forward) = feed(&message, &[cut]);
            assert_eq!((seen.entries.len(), seen.torn), (count, 0), "{mode}, cut {cut}");
            assert!(!forward.is_open() && !forward.is_broken());
            assert!(seen.entries.iter().all(|(tag, _, is_cut)| tag == b"shop.orders" && !is_cut));
            assert_eq!(seen.answers, answer, "{mode}, cut {cut}");
        }
        entries += count;
        all.extend(message);
    }
    assert_eq!(entries, 33);
    assert_eq!(feed(&all, &[7, 100, 3]).0.entries.len(), entries, "one connection sends them all");
}

#[test]
fn an_answer_names_the_chunk() {
    assert_eq!(acknowledgement(b"abc"), b"\x81\xa3ack\xd9\x03abc");
}

/// Guarantees: an entry above the limit is cut, the entries after it are whole, and the connection
/// keeps no more than the limit.
#[test]
fn an_entry_that_is_too_long_is_cut() {
    let long = vec![b'x'; 3 * LIMIT];
    let mut message = b"\x92\xa1t\x93".to_vec();
    message.extend(b"\x92\x01\x81\xa1a\xa1b\x92\x02\x81\xa1a\xda");
    message.extend((long.len() as u16).to_be_bytes());
    message.extend(&long);
    message.extend(b"\x92\x03\x81\xa1a\xa1c");
    for cut in [1, 100, LIMIT - 1, LIMIT, READ] {
        let (seen, forward) = feed(&message, &[cut]);
        let cuts: Vec<bool> = seen.entries.iter().map(|(_, _, is_cut)| *is_cut).collect();
        assert_eq!(cuts, [false, true, false], "cut {cut}");
        assert_eq!(seen.entries[1].1.len(), LIMIT);
        assert!(!forward.is_open() && seen.torn == 0);
    }
}

/// Scenario: lengths of 4 GiB, nesting without an end, a compressed bomb, wrong checksums.
/// Guarantees: memory stays bounded (`feed` checks it), and the connection is given up where
/// nothing can be read.
#[test]
fn hostile_messages_are_bounded() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(b"\x92\x01\x81\xa1a\xdb\x04\0\0\0").expect("memory");
    bomb.write_all(&vec![b'x'; 64 << 20]).expect("memory");
    let bomb = bomb.finish().expect("memory");
    let mut packed = b"\x92\xa1t\xc6".to_vec();
    packed.extend((bomb.len() as u32).to_be_bytes());
    packed.extend(&bomb);
    let (seen, forward) = feed(&packed, &[READ]);
    assert!(seen.entries.len() == 1 && seen.entries[0].2 && !forward.is_broken());
    let last = packed.len() - 5;
    packed[last] ^= 1;
    assert!(feed(&packed, &[READ]).1.is_broken(), "the checksum is wrong");
    let deep = [&b"\x92\xa1t\x91\x92\x01"[..], &vec![0x91; 100_000]].concat();
    let (seen, forward) = feed(&deep, &[READ]);
    assert!(seen.entries.len() == 1 && seen.entries[0].2 && !forward.is_broken());
    for (message, is_broken) in [
        (&b"\x92\xa1t\xdd\xff\xff\xff\xff\x92\x01\x80"[..], false),
        (b"\x92\xa1t\xc6\xff\xff\xff\xff\x92\x01\x80", false),
        (b"\x92\xa1t\xc4\x02\x92\x01\x80", true),
        (b"\x92\xa1t\xc1", true),
        (b"\x92\x01\x02", true),
        (b"\x94\xa1t\x90\x80\x80", true),
        (b"\x92\xdb\xff\xff\xff\xff", true),
        (b"\x92\xa1t\xc4\x03\x1f\x8b\xff", true),
        (b"\xc0\xc0", false),
    ] {
        let (seen, forward) = feed(message, &[READ]);
        assert_eq!((forward.is_broken(), seen.torn > 0), (is_broken, is_broken), "{message:?}");
    }
}

proptest! {
    /// Damaged messages give the same entries at every cut. (How much of a damaged compressed
    /// message is inflated depends on the cut; that it never panics is checked here as well.)
    #[test]
    fn property_cuts_do_not_matter(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        case in 0..10_usize,
        cuts in prop::collection::vec(1..40_usize, 1..5),
    ) {
        let case = MESSAGES.lines().nth(case).expect("as many as that");
        let mut message = unhex(case.split('\t').nth(1).expect("the message"));
        let at = at.index(message.len());
        message[at] = byte;
        let (whole, in_parts) = (feed(&message, &[READ]).0, feed(&message, &cuts).0);
        if !case.starts_with("compressed") {
            prop_assert_eq!(whole, in_parts);
        }
    }
}
