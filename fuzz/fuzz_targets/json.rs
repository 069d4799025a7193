//! Fuzzes up to three lines of JSON, learned one after the other. For any line that serde_json
//! accepts as an object, the decoder returns the same values with a new graph, with a graph that
//! has seen the lines before, and on a walk within a block. A line that serde_json refuses passes
//! only if its syntax is right. Unit: one text of lines.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use sidelight::decode::graph::LineGraph;
use sidelight::decode::json::{self, exact::Work};
use sidelight::record::field::{FieldId, FieldTable};
use sidelight::record::slots::{SlotValue, ValueKind, ValueBuffer, takes};
use sidelight::record::{Decoded, Format};
use std::collections::BTreeMap;
use std::fmt;

/// Enough repetitions for a shape to be learned, used, and left again.
const LINES_MAX: usize = 3;

/// Bytes before a line in its block: multi-byte characters, and the end of a line.
const BEFORE: &str = "{\"a\":\"\u{e9}\"}\n";

/// By field: the rank of its key, and the value.
type Fields = BTreeMap<u16, (u8, Value)>;

/// A value with members that keep the position of their last occurrence: of equal ranks, the later one
/// wins.
enum Json {
    Map(Vec<(String, Json)>),
    List(Vec<Json>),
    Other(Value),
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Other(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Other(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
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

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

impl Json {
    fn value(&self) -> Value {
        match self {
            Json::Map(members) => members.iter().map(|(k, v)| (k.clone(), v.value())).collect(),
            Json::List(list) => list.iter().map(Json::value).collect(),
            Json::Other(value) => value.clone(),
        }
    }
}

/// Looks up every path, and keeps for each field the best key, or the last of equal ones.
fn pick(members: &[(String, Json)], above: Option<&str>, wanted: &FieldTable, out: &mut Fields) {
    for (key, member) in members {
        let path = above.map_or_else(|| key.clone(), |above| format!("{above}.{key}"));
        let is_null = matches!(member, Json::Other(Value::Null));
        if let (Some(binding), false) = (wanted.binding(&path), is_null) {
            let nested = u8::from(above.is_some());
            for (field, rank) in [(binding.field, binding.rank + nested), (binding.also, nested)] {
                let is_beaten = out.get(&field.0).is_some_and(|(known, _)| *known < rank);
                let kind = match member {
                    Json::Map(_) | Json::List(_) => ValueKind::Tree,
                    Json::Other(Value::Bool(_)) => ValueKind::True,
                    Json::Other(_) => ValueKind::Text,
                };
                if field != FieldId::NONE && !is_beaten && takes(field, kind) {
                    out.insert(field.0, (rank, member.value()));
                }
            }
        }
        if let Json::Map(below) = member {
            pick(below, Some(&path), wanted, out);
        }
    }
}

fn expected(line: &str, wanted: &FieldTable) -> Option<Fields> {
    let Ok(Json::Map(members)) = serde_json::from_str(line) else { return None };
    let mut out = Fields::new();
    pick(&members, None, wanted, &mut out);
    Some(out)
}

fn found(line: &str, decoded: &Decoded, wanted: &FieldTable) -> Fields {
    let ids = (0..wanted.len() as u16).map(FieldId);
    let entries = ids.filter_map(|id| Some((id.0, decoded.slots.get(id)?)));
    entries.map(|(id, entry)| (id, (entry.rank, value(line, decoded, entry)))).collect()
}

fn value(line: &str, decoded: &Decoded, entry: &SlotValue) -> Value {
    let whole = match entry.buffer {
        ValueBuffer::Line => line,
        ValueBuffer::Scratch => &decoded.scratch,
    };
    let text = &whole[entry.start as usize..][..entry.len as usize];
    match entry.kind {
        ValueKind::Text => text.into(),
        ValueKind::True | ValueKind::False => {
            assert_eq!(text, if entry.kind == ValueKind::True { "true" } else { "false" });
            (entry.kind == ValueKind::True).into()
        }
        // a number beyond an f64 stays text
        ValueKind::Number | ValueKind::Tree => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

/// The standard fields, and fields that rules could name: flat, nested, below one another, beyond
/// the mask.
fn wanted() -> FieldTable {
    let mut wanted = FieldTable::standard();
    for own in ["data.shop", "status", "a", "a.b", "a.b.c", "x", "data"] {
        wanted.intern(own);
    }
    for own in 0..40 {
        wanted.intern(&format!("own{own}"));
    }
    wanted
}

fn check(line: &str, wanted: &FieldTable, trained: &mut LineGraph) {
    let expected = expected(line, wanted);
    // the non-JSON numbers that Python and .NET write (such as NaN) count as null
    let is_syntax = || {
        let line =
            line.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null");
        serde_json::from_str::<IgnoredAny>(&line).is_ok()
    };
    let (mut work, mut decoded) = (Work::default(), Decoded::new());
    let mut first: Option<Option<Fields>> = None;
    for graph in [&mut LineGraph::new(), trained] {
        for _ in 0..2 {
            let is_read = json::read(line, wanted, graph, &mut work, &mut decoded);
            let got = is_read.then(|| found(line, &decoded, wanted));
            assert!(!is_read || decoded.format == Format::Json);
            match &expected {
                Some(_) => assert_eq!(got, expected, "{line:?}"),
                None => assert!(got.is_none() || is_syntax(), "accepted: {line:?}"),
            }
            let first = first.get_or_insert_with(|| got.clone());
            assert_eq!(got, *first, "read again: {line:?}");
            if line.contains('\n') {
                continue;
            }
            let block = format!("{BEFORE}{line}\n{{}}");
            if let Some(end) = json::walk(&block, BEFORE.len(), wanted, graph, &mut decoded) {
                assert_eq!(end, BEFORE.len() + line.len() + 1, "{line:?}");
                assert_eq!(Some(found(line, &decoded, wanted)), *first, "in a block: {line:?}");
            }
        }
    }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    thread_local!(static WANTED: FieldTable = wanted());
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    WANTED.with(|wanted| {
        let mut trained = LineGraph::new();
        for line in text.split('\n').take(LINES_MAX) {
            check(line, wanted, &mut trained);
        }
        // a datagram may contain newlines as white space
        if text.contains('\n') {
            check(text, wanted, &mut trained);
        }
    });
    Corpus::Keep
});
