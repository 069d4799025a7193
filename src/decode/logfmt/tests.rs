//! Tests logfmt with tables and against a naive reader; what was learned must change nothing.

use super::*;
use crate::clock::UnixNanos;
use crate::record::field::{self, FieldId};
use crate::record::{Envelope, Record};
use proptest::prelude::*;

fn fields(line: &str, into: &Decoded, wanted: &FieldTable) -> Vec<(u16, String)> {
    let record = Record::new(line, into, UnixNanos(0), Envelope::default());
    let ids = (0..wanted.len() as u16).map(FieldId);
    ids.filter_map(|id| Some((id.0, record.text(id)?.to_owned()))).collect()
}

fn check(line: &str, expected: Option<&[(FieldId, &str)]>) {
    let mut wanted = FieldTable::standard();
    wanted.intern("shop.id");
    let (mut graph, mut into) = (LineGraph::new(), Decoded::new());
    for round in 0..3 {
        let got = read(line, &wanted, &mut graph, &mut into).then(|| fields(line, &into, &wanted));
        let expected = expected.map(|all| {
            let mut all: Vec<_> = all.iter().map(|(id, t)| (id.0, (*t).to_owned())).collect();
            all.sort();
            all
        });
        assert_eq!(got, expected, "round {round}: {line:?}");
    }
}

#[test]
fn lines() {
    let own = FieldId(field::FIRST_OWN);
    check(
        r#"time="2024-01-15T10:30:00Z" level=info msg="got \"it\"\n" method=GET path=/a?b=c status=200 duration=12ms"#,
        Some(&[
            (field::TIMESTAMP, "2024-01-15T10:30:00Z"),
            (field::SEVERITY, "info"),
            (field::BODY, "got \"it\"\n"),
            (field::HTTP_METHOD, "GET"),
            (field::URL_PATH, "/a?b=c"),
            (field::HTTP_STATUS, "200"),
            (field::DURATION, "12ms"),
        ]),
    );
    check("level=info", Some(&[(field::SEVERITY, "info")]));
    check("level=info\r", Some(&[(field::SEVERITY, "info")]));
    check("foo=1", None);
    check("foo=1 bar=2", Some(&[]));
    check("foo=1 bar", None);
    check("foo=1 flag level=warn other", Some(&[(field::SEVERITY, "warn")]));
    check("level= msg=x", Some(&[(field::SEVERITY, ""), (field::BODY, "x")]));
    check("level=\"\" msg=\"\"", Some(&[(field::SEVERITY, ""), (field::BODY, "")]));
    check("level=a level=b", Some(&[(field::SEVERITY, "b")]));
    check("lvl=a level=b lvl=c", Some(&[(field::SEVERITY, "b")]));
    check("shop.id=7  level=b  ", Some(&[(own, "7"), (field::SEVERITY, "b")]));
    check("msg=\"x\"y level=b", None);
    check("msg=\"x level=b", None);
    check("msg=\"x\\", None);
    check("msg=\"a\\qb \\u00e9\"", Some(&[(field::BODY, "a\\qb \u{e9}")]));
    check("msg=\"tab\tin\"", Some(&[(field::BODY, "tab\tin")]));
    check("msg=a\"b\" level=x", Some(&[(field::BODY, "a\"b\""), (field::SEVERITY, "x")]));
    check(
        "msg=\u{e9}t\u{e9} level=x",
        Some(&[(field::BODY, "\u{e9}t\u{e9}"), (field::SEVERITY, "x")]),
    );
    check("level=info some words (took=3) here", Some(&[(field::SEVERITY, "info")]));
    check("x=1 == y=2", Some(&[]));
    for none in [
        "",
        "=",
        "=a",
        " level=info",
        "level",
        "level: info",
        "1=2 3=4",
        "a b=c d=e",
        "{\"a\":1}",
        "a\u{0}=1",
    ] {
        check(none, None);
    }
}

#[test]
fn a_block_is_walked_line_by_line() {
    let wanted = FieldTable::standard();
    let (mut graph, mut into) = (LineGraph::new(), Decoded::new());
    let block = "level=a x=1\nlevel=\"b\"\r\nlevel=c\nx=1 level=\"d\\n\"\nlevel=e";
    for _ in 0..3 {
        let (mut at, mut levels) = (0, String::new());
        while at < block.len() {
            let start = at;
            at = walk(block, start, &wanted, &mut graph, &mut into).expect("logfmt");
            levels += &fields(&block[start..], &into, &wanted)[0].1;
        }
        assert_eq!(levels, "abcd\ne");
    }
}

/// Splits at blanks, then at the first `=`: for lines without escapes and without quotes inside.
fn naive(pairs: &[(String, String, bool)]) -> (String, Vec<(String, String)>) {
    let mut line = String::new();
    let mut values: Vec<(String, String)> = Vec::new();
    for (key, value, quoted) in pairs {
        let value = if *quoted { value.clone() } else { value.replace(' ', "") };
        let separator = if line.is_empty() { "" } else { " " };
        let quote = if *quoted { "\"" } else { "" };
        for part in [separator, key.as_str(), "=", quote, value.as_str(), quote] {
            line.push_str(part);
        }
        values.retain(|(known, _)| known != key);
        values.push((key.clone(), value));
    }
    (line, values)
}

proptest! {
    /// A line gives the same values after training with every earlier line as with none, and the
    /// values are those that were written.
    #[test]
    fn property_as_written_and_memory_changes_nothing(lines in proptest::collection::vec(
        proptest::collection::vec(("[a-e]|level|msg|status",
            "[a-z0-9:/= \\u{e9}]{0,30}", any::<bool>()), 2..8), 1..12)
    ) {
        let mut wanted = FieldTable::standard();
        let keys = ["a", "b", "c", "d", "e", "level", "msg", "status"];
        let own = keys.map(|key| wanted.intern(key));
        let (mut trained, mut into) = (LineGraph::new(), Decoded::new());
        for pairs in lines {
            let (line, values) = naive(&pairs);
            for graph in [&mut LineGraph::new(), &mut trained] {
                prop_assert!(read(&line, &wanted, graph, &mut into), "{}", line);
                let got = fields(&line, &into, &wanted);
                for (key, value) in &values {
                    let id = own[keys.iter().position(|known| known == key).expect("a key")];
                    let found = got.iter().find(|(of, _)| *of == id.0).map(|(_, text)| text);
                    prop_assert_eq!(found, Some(value), "{} of {}", key, line);
                }
            }
        }
    }

    /// For any bytes, fresh and trained readers agree, alone and in a block, and nothing panics.
    #[test]
    fn property_any_text(lines in proptest::collection::vec(
        "(level|a|b)=[ab=\" \\\\\\t\\x00\\u{e9}]{0,20}", 1..20)) {
        let wanted = FieldTable::standard();
        let (mut trained, mut into) = (LineGraph::new(), Decoded::new());
        for line in lines {
            let fresh = read(&line, &wanted, &mut LineGraph::new(), &mut into);
            let fresh = fresh.then(|| fields(&line, &into, &wanted));
            let again = read(&line, &wanted, &mut trained, &mut into);
            let again = again.then(|| fields(&line, &into, &wanted));
            prop_assert_eq!(&fresh, &again, "{:?}", line);
            let block = format!("x=1\n{line}\n");
            let end = walk(&block, 4, &wanted, &mut trained, &mut into);
            prop_assert_eq!(end, fresh.as_ref().map(|_| block.len()), "{:?}", line);
            if let Some(fresh) = fresh {
                prop_assert_eq!(fresh, fields(&line, &into, &wanted));
            }
        }
    }
}

/// Once learned as the usual successor, the empty end of a frame matched before every newline, and
/// the last literal of every line was looked up again.
#[test]
fn the_end_of_a_frame_is_not_that_of_every_line() {
    let wanted = FieldTable::standard();
    let (mut graph, mut into) = (LineGraph::new(), Decoded::new());
    let line = "level=info msg=x\n";
    let block = line.repeat(2);
    assert!(read(line.trim_end(), &wanted, &mut graph, &mut into));
    assert_eq!(walk(&block, 0, &wanted, &mut graph, &mut into), Some(line.len()));
    let bytes = block.as_bytes();
    let level = graph.follow(NodeId::LOGFMT, bytes);
    let message = graph.follow(level, &bytes[10..]);
    let end = graph.follow(message, &bytes[16..]);
    assert!(graph.node(end).newline);
}
