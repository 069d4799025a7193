//! Messages that CPython formatted, and what it refuses to format.

use super::*;
use crate::transcode::pickle::Machine;

/// Written by `tests/oracles/pickles.py`.
const MESSAGES: &str = include_str!("messages.txt");

fn formatted(pickle: &[u8]) -> String {
    let mut machine = Machine::default();
    let Ok(Value::Container(pair)) = machine.read(pickle) else { panic!("a pair is pickled") };
    let pickle = Pickle { bytes: pickle, values: &machine.values };
    let (_, pair) = pickle.values.container(pair);
    let (message, arguments) = (pair[0], pair[1]);
    let mut line = Vec::new();
    let out = &mut Shown::new(&mut line, 10_000);
    match pickle.text(message).zip(pickle.text(arguments)) {
        _ if matches!(arguments, Value::Container(number) if pickle.values.container(number).1.is_empty()) =>
        {
            show::json_text(message, &pickle, out);
        }
        _ => json(message, arguments, &pickle, out),
    }
    String::from_utf8(line).expect("UTF-8")
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn messages_are_formatted_as_python_does() {
    let mut cases = 0;
    for case in MESSAGES.lines() {
        let (pickle, expected) = case.split_once('\t').expect("two columns");
        let text: String = serde_json::from_str(&formatted(&unhex(pickle))).expect("a string");
        let expected: String = serde_json::from_str(expected).expect("a string");
        assert_eq!(text, expected);
        cases += 1;
    }
    assert!(cases >= 80, "{cases}");
}

/// Guarantees: where Python raises an error, message and arguments are kept as they are.
#[test]
fn what_python_refuses_keeps_its_arguments() {
    for (pickle, expected) in [
        (&b"X\x02\0\0\0%dX\x01\0\0\0a\x85\x86."[..], "%d ('a',)"),
        (b"X\x05\0\0\0%s %sK\x01\x85\x86.", "%s %s (1,)"),
        (b"X\x02\0\0\0%sK\x01K\x02\x86\x86.", "%s (1, 2)"),
        (b"X\x02\0\0\0%zK\x01\x85\x86.", "%z (1,)"),
        (b"X\x01\0\0\0%K\x01\x85\x86.", "% (1,)"),
        (b"X\x07\0\0\0%99999dK\x01\x85\x86.", "%99999d (1,)"),
        (b"X\x05\0\0\0%(a)sK\x01\x85\x86.", "%(a)s (1,)"),
        (b"X\x04\0\0\0textK\x01\x85\x86.", "text (1,)"),
    ] {
        let text: String = serde_json::from_str(&formatted(pickle)).expect("a string");
        assert_eq!(text, expected);
    }
}
