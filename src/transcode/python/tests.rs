//! Records that CPython pickled, and hostile ones.

use super::*;
use crate::frame::encoding::Encoding;
use proptest::prelude::*;
use serde_json::Value as Json;

/// Written by `tests/oracles/pickles.py`.
const RECORDS: &str = include_str!("records.txt");

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn line(writer: &mut RecordWriter, pickle: &[u8]) -> Result<String, Refusal> {
    let frame = Frame::whole(Encoding::Pickle, pickle);
    writer.write(&frame).map(|line| String::from_utf8_lossy(line).into_owned())
}

#[test]
fn records_of_every_protocol_become_lines() {
    let mut writer = RecordWriter::default();
    let mut cases = 0;
    for case in RECORDS.lines() {
        let [name, protocol, pickle, expected] =
            case.split('\t').collect::<Vec<_>>().try_into().expect("four columns");
        let written = line(&mut writer, &unhex(pickle)).expect(name);
        let parsed: Json = serde_json::from_str(&written).expect(&written);
        let expected: Json = serde_json::from_str(expected).expect(expected);
        assert_eq!(parsed, expected, "{name} in protocol {protocol}: {written}");
        cases += 1;
    }
    assert_eq!(cases, 66);
}

#[test]
fn a_cut_record_keeps_what_was_read() {
    let case = RECORDS.lines().find(|line| line.starts_with("plain\t1\t")).expect("it is there");
    let pickle = unhex(case.split('\t').nth(2).expect("the pickle"));
    let mut writer = RecordWriter::default();
    let cut = Frame::part(Encoding::Pickle, &pickle[..120], 500);
    let written = String::from_utf8_lossy(writer.write(&cut).expect("its beginning")).into_owned();
    assert!(written.contains("\"name\":\"shop.orders\",\"message\":\"no stock\""), "{written}");
    let whole = Frame::whole(Encoding::Pickle, &pickle[..120]);
    assert_eq!(writer.write(&whole), Err(Refusal::Pickle(Problem::Truncated)));
}

/// Guarantees: a pickle that would run a command in Python becomes text.
#[test]
fn nothing_is_executed() {
    let pickle = b"}q\0(X\x03\0\0\0msgcposix\nsystem\nX\x04\0\0\0trueq\x01\x85Ru.";
    let written = line(&mut RecordWriter::default(), pickle).expect("a record");
    assert_eq!(written, "{\"created\":null,\"message\":\"<posix.system object>\"}");
}

#[test]
fn what_is_no_record_is_refused() {
    let mut writer = RecordWriter::default();
    for (pickle, reason) in [
        (&b""[..], "it ends before the opcode STOP"),
        (b"}q\0.", "it is no dictionary with the attribute `msg`"),
        (b"]q\0.", "it is no dictionary with the attribute `msg`"),
        (b"N.", "it is no dictionary with the attribute `msg`"),
        (b".", "the opcode at byte 0 needs values that are not there"),
        (b"\xff.", "byte 0 is 0xff, which is no opcode of a pickle"),
        (b"h\x05.", "the argument of the opcode at byte 0 is not valid"),
        (b"X\xff\xff\xff\xffa.", "it ends before the opcode STOP"),
        (b"}r\xff\xff\xff\xff.", "the argument of the opcode at byte 1 is not valid"),
        (b"Ka}s.", "the opcode at byte 3 needs values that are not there"),
    ] {
        assert_eq!(line(&mut writer, pickle).expect_err("no record").to_string(), reason);
    }
}

/// Scenario: lists that contain each other twice, thirty levels deep, and a list that contains
/// itself.
/// Guarantees: the line stays short.
#[test]
fn a_value_that_is_mentioned_often_is_bounded() {
    let mut pickle = b"}q\0(X\x03\0\0\0msgX\x01\0\0\0mX\x01\0\0\0x]q\x01".to_vec();
    for level in 2..32_u8 {
        pickle.extend([b']', b'q', level, b'(', b'h', level - 1, b'h', level - 1, b'e']);
    }
    pickle.extend(b"u.");
    // every list but the last one is still on the stack: the record has an odd number of values
    let mut writer = RecordWriter::default();
    if let Ok(written) = line(&mut writer, &pickle) {
        assert!(written.len() < 2 * LINE_BYTES_ALWAYS, "{}", written.len());
    }
    let own = b"}q\0(X\x03\0\0\0msgX\x01\0\0\0mX\x01\0\0\0x]q\x01(h\x01h\x01h\x01eu.";
    let written = line(&mut writer, own).expect("a record");
    assert!(
        written.len() < 2 * LINE_BYTES_ALWAYS && written.contains("\"...\""),
        "{}",
        written.len()
    );
}

proptest! {
    /// Damage of any kind neither panics nor makes more than a bounded line.
    #[test]
    fn property_damage_is_harmless(
        case in 0..66_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let case = RECORDS.lines().nth(case).expect("as many as that");
        let mut pickle = unhex(case.split('\t').nth(2).expect("the pickle"));
        for (at, byte) in damage {
            let at = at.index(pickle.len());
            pickle[at] = byte;
        }
        let cut = end.index(pickle.len());
        let mut writer = RecordWriter::default();
        for bytes in [&pickle[..], &pickle[..cut]] {
            let frame = Frame::part(Encoding::Pickle, bytes, pickle.len() as u64);
            if let Ok(line) = writer.write(&frame) {
                prop_assert!(line.len() < 3 * LINE_BYTES_ALWAYS);
            }
        }
    }

    /// Any bytes are harmless.
    #[test]
    fn property_any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let frame = Frame::part(Encoding::Pickle, &bytes, 400);
        if let Ok(line) = RecordWriter::default().write(&frame) {
            prop_assert!(line.len() < 3 * LINE_BYTES_ALWAYS);
        }
    }
}
