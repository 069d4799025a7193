//! Entries of real clients and hostile ones.

use super::*;
use crate::frame::encoding::Encoding;
use proptest::prelude::*;
use serde_json::Value as Json;

/// Written by `tests/oracles/forward.py`.
const ENTRIES: &str = include_str!("entries.txt");

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn entry(bytes: &[u8]) -> Frame<'_> {
    Frame { tag: b"shop.orders", ..Frame::whole(Encoding::Forward, bytes) }
}

#[test]
fn entries_become_json() {
    let mut line = Vec::new();
    for case in ENTRIES.lines() {
        let (bytes, expected) = case.split_once('\t').expect("two columns");
        assert!(write(&entry(&unhex(bytes)), &mut line), "{expected}");
        let written: Json = serde_json::from_slice(&line).expect("JSON");
        let expected: Json = serde_json::from_str(expected).expect("JSON");
        assert_eq!(written, expected);
    }
    assert_eq!(ENTRIES.lines().count(), 24);
}

#[test]
fn a_cut_entry_keeps_its_first_members() {
    let bytes = b"\x92\x01\x82\xa5level\xa5error\xa7message\xd9\xfflong";
    let mut line = Vec::new();
    assert!(write(&entry(bytes), &mut line));
    let written = String::from_utf8(line.clone()).expect("text");
    let time = "\"fluent.time\":1.000000000,\"fluent.tag\":\"shop.orders\"";
    assert_eq!(written, format!("{{\"level\":\"error\",{time}}}"));
    for none in [&b""[..], b"\x92\x01", b"\x92\x01\x01", b"\x01\xc1"] {
        assert!(!write(&entry(none), &mut line), "{none:?}");
    }
}

/// Guarantees: arrays in arrays, a thousand deep, neither overflow the stack nor are lost.
#[test]
fn deep_nesting_is_bounded() {
    let bytes = [&b"\x92\x01\x82\xa1a"[..], &[0x91; 1000], b"\xc0\xa1b\x02"].concat();
    let mut line = Vec::new();
    assert!(write(&entry(&bytes), &mut line));
    let written: Json = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(written["b"], 2);
    assert!(line.len() < 200, "{}", line.len());
}

proptest! {
    /// Any bytes become JSON or are refused.
    #[test]
    fn property_any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut line = Vec::new();
        if write(&entry(&bytes), &mut line) {
            prop_assert!(line.len() < 40 * 200 + 200);
            let text = String::from_utf8_lossy(&line);
            prop_assert!(serde_json::from_str::<Json>(&text).is_ok(), "{}", text);
        }
    }
}
