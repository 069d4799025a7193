//! Tests JSON against serde_json: every way of reading a line (fresh, trained, in a block, exact)
//! gives the result of a naive reader of serde_json's events.

use super::*;
use crate::record::field::{self, FieldId};
use crate::record::slots::{SlotValue, ValueBuffer, ValueKind, takes};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A line as serde_json reads it: members in order, and the last of equal keys.
#[derive(Clone, Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                }
                Ok(Json::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members: Vec<(String, Json)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Json>()? {
                    members.retain(|(known, _)| *known != key);
                    members.push((key, value));
                }
                Ok(Json::Map(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Json {
    fn value(&self) -> serde_json::Value {
        match self {
            Json::Null => serde_json::Value::Null,
            Json::Bool(value) => (*value).into(),
            Json::Number(value) => serde_json::Value::Number(value.clone()),
            Json::Text(value) => value.as_str().into(),
            Json::List(list) => list.iter().map(Json::value).collect(),
            Json::Map(members) => members.iter().map(|(k, v)| (k.clone(), v.value())).collect(),
        }
    }
}

type Fields = BTreeMap<u16, (u8, serde_json::Value)>;

/// The naive reader: looks up every path and puts every value by its rank.
fn oracle(line: &str, wanted: &FieldTable) -> Option<Fields> {
    fn walk(
        members: &[(String, Json)],
        above: Option<&str>,
        wanted: &FieldTable,
        out: &mut Fields,
    ) {
        for (key, value) in members {
            let path = above.map_or(key.clone(), |above| format!("{above}.{key}"));
            if let (Some(binding), false) = (wanted.binding(&path), matches!(value, Json::Null)) {
                let nested = above.is_some() as u8;
                for (field, rank) in
                    [(binding.field, binding.rank + nested), (binding.also, nested)]
                {
                    let better = out.get(&field.0).is_some_and(|(known, _)| *known < rank);
                    let kind = match value {
                        Json::Bool(_) => ValueKind::True,
                        Json::List(_) | Json::Map(_) => ValueKind::Tree,
                        Json::Null | Json::Number(_) | Json::Text(_) => ValueKind::Text,
                    };
                    if field != FieldId::NONE && !better && takes(field, kind) {
                        out.insert(field.0, (rank, value.value()));
                    }
                }
            }
            if let Json::Map(below) = value {
                walk(below, Some(&path), wanted, out);
            }
        }
    }
    let Ok(Json::Map(members)) = serde_json::from_str(line) else { return None };
    let mut out = Fields::new();
    walk(&members, None, wanted, &mut out);
    Some(out)
}

/// Returns the contents of the slots in the form of the oracle.
fn fields(line: &str, into: &Decoded, wanted: &FieldTable) -> Fields {
    let ids = (0..wanted.len() as u16).map(FieldId);
    ids.filter_map(|id| Some((id.0, into.slots.get(id)?)))
        .map(|(id, entry)| (id, (entry.rank, value(line, into, entry))))
        .collect()
}

fn value(line: &str, into: &Decoded, entry: &SlotValue) -> serde_json::Value {
    let whole = match entry.buffer {
        ValueBuffer::Line => line,
        ValueBuffer::Scratch => &into.scratch,
    };
    let text = &whole[entry.start as usize..][..entry.len as usize];
    match entry.kind {
        ValueKind::Text => text.into(),
        ValueKind::True | ValueKind::False => {
            assert_eq!(text, if entry.kind == ValueKind::True { "true" } else { "false" });
            (entry.kind == ValueKind::True).into()
        }
        // a number beyond an f64 remains text
        ValueKind::Number => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        ValueKind::Tree => {
            assert!(text.starts_with(['{', '[']) && text.ends_with(['}', ']']), "{text}");
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
    }
}

struct Readers {
    wanted: FieldTable,
    trained: LineGraph,
    work: Work,
    into: Decoded,
}

impl Readers {
    fn new() -> Readers {
        let mut wanted = FieldTable::standard();
        for own in ["data.shop", "status", "a", "a.b", "a.b.c", "x", "data"] {
            wanted.intern(own);
        }
        for own in 0..40 {
            wanted.intern(&format!("own{own}")); // beyond the mask
        }
        Readers { wanted, trained: LineGraph::new(), work: Work::default(), into: Decoded::new() }
    }

    /// Reads a line in every way and checks that they agree. Returns `None` if it is not JSON.
    fn read(&mut self, line: &str) -> Option<Fields> {
        let Readers { wanted, trained, work, into } = self;
        let exact = exact::read(line, wanted, work, into).then(|| fields(line, into, wanted));
        let mut fresh = LineGraph::new();
        for graph in [&mut fresh, trained] {
            for round in 0..2 {
                let read = read(line, wanted, graph, work, into);
                let got = read.then(|| fields(line, into, wanted));
                assert_eq!(got, exact, "round {round}: {line}");
                assert!(!read || into.format == Format::Json);
                let block = format!("{{\"a\":\"\u{e9}\"}}\n{line}\n{{}}");
                let end = walk(&block, 11, wanted, graph, into);
                if let (Some(end), false) = (end, line.contains('\n')) {
                    assert_eq!(end, 11 + line.len() + 1, "{line}");
                    assert_eq!(Some(fields(line, into, wanted)), exact, "in a block: {line}");
                }
            }
        }
        exact
    }

    fn check(&mut self, line: &str) -> Option<Fields> {
        let expected = oracle(line, &self.wanted);
        let got = self.read(line);
        if expected.is_some() {
            assert_eq!(got, expected, "{line}");
        } else if got.is_some() {
            assert!(serde_json::from_str::<IgnoredAny>(line).is_ok(), "accepted: {line}");
        }
        got
    }
}

#[test]
fn lines_that_are_none() {
    let mut readers = Readers::new();
    for line in [
        "{",
        "{}}",
        "{} {}",
        "{}x",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":0x10}",
        "{\"a\":1_0}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":truee}",
        "{\"a\":nul}",
        "{\"a\":'x'}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\u{0}\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"x}",
        "{\"a\":\"x\\\"}",
        "{\"a\t\":1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "{\"a\":[}]}",
        "{\"a\":[\"x\":1]}",
        "{\"a\":1/**/}",
        "{\"a\":1}//x",
        "{\"a\":\"b\"\"c\":1}",
        "{\"a\":1\"b\":1}",
        "{\"a\":\"x\" \"}",
        "\u{feff}{}",
        "{\"a\":1}\u{0}",
        "{\u{a0}}",
        "{\"a\":\u{b}1}",
        "{\"a\":\"\u{1f}\"}",
        "{\"level\":\"info\",\"a\":{\"b\":\"x\"}",
        "[]",
        "1",
        "\"a\"",
        "",
        "{\"a\":--1}",
        "{\"a\":1e5.5}",
        "{\"a\":1.5.5}",
        "{\"a\":00}",
        "{\"a\":-01}",
        "{:1}",
        "{\"a\"::1}",
        "{\"a\",\"b\":1}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\" \"b\":1}",
    ] {
        assert_eq!(readers.check(line), None, "{line:?}");
    }
}

/// Python and .NET write these for numbers that JSON cannot represent; the value is absent, the
/// rest is read.
#[test]
fn numbers_that_are_none_cost_only_their_value() {
    let mut readers = Readers::new();
    for word in ["NaN", "Infinity", "-Infinity"] {
        for line in [
            format!("{{\"a\":{word}}}"),
            format!("{{\"x\":{word},\"level\":\"info\",\"y\":[{word}, {word}]}}"),
            format!("{{\"level\":\"info\",\"status\":200,\"status\":{word}}}"),
            format!("{{\"a\": {word} ,\"status\":{word}}}"),
        ] {
            let as_null = line.replace(word, "null");
            assert_eq!(readers.read(&line), oracle(&as_null, &readers.wanted), "{line}");
        }
        for line in [format!("{{\"a\":{word}x}}"), format!("{{\"a\":-{word}}}")] {
            if !line.contains("-Infinity") || line.contains("--") || line.contains("yx") {
                assert_eq!(readers.read(&line), None, "{line}");
            }
        }
    }
}

#[test]
fn lines_that_are() {
    let mut readers = Readers::new();
    for line in [
        "{}",
        " { } ",
        "{\"a\":1}\r",
        "\t{\"a\" : 1 , \"b\" : [ ] }\t",
        "{\n\"a\": {\n\"b\": 1}\n}",
        "{\"\":1}",
        "{\"a\":-0}",
        "{\"a\":0}",
        "{\"a\":-0.0e-0}",
        "{\"a\":1e+2}",
        "{\"a\":1E400}",
        "{\"a\":0e1}",
        "{\"a\":1.5E-7}",
        "{\"a\":123456789012345678901234567890.123456789012345678901234567890}",
        "{\"a\":1234567890123456}",
        "{\"a\":12345678901234567}",
        "{\"a\":0.1234567890123456}",
        "{\"x\":0.12345678901234567,\"a\":0.000}",
        "{\"x\":\"\\ud83d\\ude00\",\"a\":\"\\u0000\\u00e9\\\"\"}",
        "{\"a\":\"\u{7f}\u{e9}\u{1f600}\"}",
        "{\"\\u0061\":1}",
        "{\"\\u0061\":1,\"a\":2}",
        "{\"a\":2,\"\\u0061\":null}",
        "{\"a\\\"\":\"x\",\"a\":\"y\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"a\":null}",
        "{\"a\":null,\"a\":1}",
        "{\"a\":1,\"a\":{\"b\":2}}",
        "{\"a\":{\"b\":2},\"a\":1}",
        "{\"a\":{\"b\":2},\"a\":null}",
        "{\"a\":{\"b\":2},\"a\":{\"x\":1}}",
        "{\"a\":{\"b\":2},\"a\":[]}",
        "{\"a\":{\"b\":1,\"b\":{\"c\":7},\"b\":{\"c\":8}}}",
        "{\"a.b\":1,\"a\":{\"b\":2}}",
        "{\"a\":{\"b\":2},\"a.b\":1}",
        "{\"a.b.c\":1,\"a\":{\"b.c\":2,\"b\":{\"c\":3}}}",
        "{\"a\":{\"b\":{\"c\":3}},\"a.b\":{\"c\":4},\"a\":{\"b.c\":5}}",
        "{\"lvl\":\"x\",\"level\":\"y\",\"level\":null}",
        "{\"level\":\"y\",\"lvl\":\"x\",\"lvl\":null}",
        "{\"lvl\":\"x\",\"level\":null}",
        "{\"level\":null,\"lvl\":\"x\"}",
        "{\"data\":{\"status\":1},\"attributes\":{\"status\":2}}",
        "{\"data\":{\"status\":1},\"attributes\":{\"status\":null}}",
        "{\"status\":1,\"data\":{\"status\":2}}",
        "{\"data\":{\"status\":2},\"status\":1}",
        "{\"error\":{\"type\":\"E\",\"message\":\"m\",\"stack\":[\"l\"]}}",
        "{\"error\":{}}",
        "{\"error\":[]}",
        "{\"error\":[[],{},[{}]],\"x\":{}}",
        "{\"error\":{\"a\":[{\"type\":1}]}}",
        "{\"x\":[1,\"a\",null,true,false,{\"a\":[]},[[]]],\"a\":1}",
        "{\"x\":{\"a\":{\"b\":1}},\"a\":{\"x\":{\"b\":1}}}",
        "{\"service\":{\"name\":\"s\"},\"trace\":{\"id\":\"t\"},\"span.id\":\"u\"}",
        "{\"a\":true,\"x\":false,\"b\":null}",
        "{\"own39\":1,\"own38\":\"\\n\",\"own39\":2,\"own37\":null}",
        "{\"own39\":1,\"own39\":null}",
        "{\"a\":{\"b\":1},\"a\":{\"b\":1},\"x\":3}",
        "{\"x\":\"\\\\\",\"a\":\"\\\\\\\"\"}",
    ] {
        assert!(readers.check(line).is_some(), "{line:?}");
    }
}

/// Only a surrogate without its pair is accepted here and not in serde_json's values.
#[test]
fn a_lone_surrogate_becomes_the_replacement_character() {
    let mut readers = Readers::new();
    let got = readers.check("{\"x\":\"a\\ud800b\",\"own1\":\"\\udc00\"}").expect("is JSON");
    let texts: Vec<_> = got.values().map(|(_, value)| value.as_str().expect("text")).collect();
    assert_eq!(texts, ["a\u{fffd}b", "\u{fffd}"]);
}

#[test]
fn nesting_to_serde_jsons_own_limit() {
    let mut readers = Readers::new();
    for depth in [1, 30, 31, 32, 33, 64, 125, 126, 127, 128, 129, 500, 20_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let line =
                format!("{{\"x\":{}1{},\"own1\":7}}", open.repeat(depth), close.repeat(depth));
            let got = readers.read(&line);
            assert_eq!(got.is_some(), depth <= 126, "{depth} {open}");
            assert_eq!(got.is_some(), serde_json::from_str::<Json>(&line).is_ok());
        }
    }
}

#[test]
fn positions_in_a_block_and_ends_of_lines() {
    let table = FieldTable::standard();
    let (mut graph, mut into) = (LineGraph::new(), Decoded::new());
    let block = concat!(
        "{\"level\":\"info\"}\n{\"msg\":\"a\",\"level\":\"warn\"}\r\n",
        "{\"level\":\"e\\n\"}\n{}\n{\"level\":7}"
    );
    for round in 0..3 {
        let mut levels = Vec::new();
        let mut at = 0;
        while at < block.len() {
            let start = at;
            at = walk(block, start, &table, &mut graph, &mut into).expect("JSON");
            let line = block[start..at].trim_end_matches(['\r', '\n']);
            let severity = into.slots.get(field::SEVERITY);
            levels.push(severity.map(|entry| value(line, &into, entry).to_string()));
        }
        let expected = [Some("\"info\""), Some("\"warn\""), Some("\"e\\n\""), None, Some("7")];
        assert_eq!(levels, expected.map(|level| level.map(str::to_owned)), "round {round}");
    }
    for bad in
        ["{\"level\":\"info\"\n}", "{\"a\":\"b\n\"}", "{\"a\":1}x\n", "{\"a\":\"b", "{\"a\":1"]
    {
        assert_eq!(walk(bad, 0, &table, &mut graph, &mut into), None, "{bad:?}");
    }
}

#[test]
fn strict_says_where() {
    for (line, expected) in [
        ("{\"a\":1}", None),
        (" {\"a\":[1,{}]} ", None),
        ("{\"a\":01}", Some((6, "invalid number"))),
        ("{\n\"a\":tru}", Some((9, "expected ident"))),
        ("{\"a\":1} x", Some((8, "trailing characters"))),
        (" []", Some((1, "expected an object"))),
    ] {
        let got = validate(line).err();
        let got = got.as_ref().map(|(offset, text)| (*offset, text.as_str()));
        assert_eq!(got, expected, "{line:?}");
    }
}

/// With more shapes than the graph can store, and keys that never occur again, the values remain
/// right and the stored data remains bounded.
#[test]
fn a_full_graph_reads_on() {
    let mut readers = Readers::new();
    for number in 0..1_500 {
        let line = format!("{{\"key{number}\":{{\"n{number}\":[{number}]}},\"a\":\"v{number}\"}}");
        assert_eq!(readers.check(&line).map(|fields| fields.len()), Some(1));
    }
    assert!(readers.trained.len() <= 1024);
    for number in 0..300 {
        let deep =
            (0..8).map(|bit| if number >> bit & 1 == 0 { ("[", "]") } else { ("{\"k\":", "}") });
        let (open, close): (Vec<_>, Vec<_>) = deep.unzip();
        let close: String = close.into_iter().rev().collect();
        readers.check(&format!("{{\"x\":{}1{close},\"a\":2}}", open.concat()));
    }
}

mod generated;
mod loggers;
