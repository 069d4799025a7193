//! Generates and mutates lines, and reads them in every way and with serde_json.

use super::Readers;
use proptest::prelude::*;

/// Enough for the rare cases, few enough for every run.
const CASES: usize = if cfg!(debug_assertions) { 2_000 } else { 400_000 };

const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "a.b",
    "a.b.c",
    "b.c",
    "x",
    "data",
    "shop",
    "status",
    "level",
    "lvl",
    "log",
    "message",
    "msg",
    "timestamp",
    "trace_id",
    "trace",
    "id",
    "error",
    "type",
    "service",
    "name",
    "http",
    "request",
    "method",
    "http.request.method",
    "duration_ms",
    "own1",
    "own39",
    "",
    "\\u0061",
    "k\\\"",
    "long key that nobody wants at all",
    "\u{e9}",
    "attributes",
];
const SCALARS: &[&str] = &[
    "0",
    "-1",
    "12",
    "200",
    "1.5",
    "1e3",
    "-0.0E+1",
    "123456789012345678",
    "0.00000000000000001",
    "true",
    "false",
    "null",
    "\"\"",
    "\"x\"",
    "\"info\"",
    "\"2024-01-15T10:30:00.123Z\"",
    "\"a longer text with many words in it\"",
    "\"esc\\\"aped\\n\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{e9}\u{1f600}\"",
    "{}",
    "[]",
    "[1,\"a\"]",
    "\"sixteen bytes ok\"",
];
const NOISE: &[u8] = b"{}[]:,\"\\ \t\r\n019-+.eEutfn/ax\x00\x1f";

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn blank(&mut self, out: &mut String) {
        if self.roll(40) == 0 {
            out.push_str([" ", "\t", "\r", "\n", "  "][self.roll(5)]);
        }
    }

    fn object(&mut self, depth: usize, out: &mut String) {
        out.push('{');
        for member in 0..self.roll(6) {
            if member > 0 {
                out.push(',');
            }
            self.blank(out);
            out.push('"');
            out.push_str(KEYS[self.roll(KEYS.len())]);
            out.push('"');
            self.blank(out);
            out.push(':');
            self.blank(out);
            self.value(depth, out);
            self.blank(out);
        }
        out.push('}');
    }

    fn value(&mut self, depth: usize, out: &mut String) {
        match self.roll(6) {
            0 | 1 if depth < 5 => self.object(depth + 1, out),
            2 if depth < 5 => {
                out.push('[');
                for element in 0..self.roll(4) {
                    if element > 0 {
                        out.push(',');
                    }
                    self.blank(out);
                    self.value(depth + 1, out);
                }
                out.push(']');
            }
            _ => out.push_str(SCALARS[self.roll(SCALARS.len())]),
        }
    }

    fn mutated(&mut self, line: &str) -> Option<String> {
        let mut bytes = line.as_bytes().to_vec();
        for _ in 0..=self.roll(2) {
            let at = self.roll(bytes.len() + 1);
            let other = self.roll(bytes.len() + 1);
            match self.roll(5) {
                0 if at < bytes.len() => bytes[at] = NOISE[self.roll(NOISE.len())],
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(at, NOISE[self.roll(NOISE.len())]),
                3 => drop(bytes.drain(at.min(other)..at.max(other))),
                _ => {
                    let piece = bytes[at.min(other)..at.max(other)].to_vec();
                    let to = self.roll(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
            }
        }
        String::from_utf8(bytes).ok()
    }
}

/// Guarantees: what serde_json accepts gives the same values, what it refuses is refused, and what
/// was learned from all earlier lines, including damaged ones, changes nothing.
#[test]
fn generated_and_mutated_lines_read_as_serde_json_reads_them() {
    let mut readers = Readers::new();
    let mut dice = Dice(0x5eed_cafe_f00d_1234);
    let mut accepted = 0;
    let mut line = String::new();
    for case in 0..CASES {
        line.clear();
        dice.object(0, &mut line);
        accepted += usize::from(readers.check(&line).is_some());
        for _ in 0..2 {
            if let Some(mutated) = dice.mutated(&line) {
                accepted += usize::from(readers.check(&mutated).is_some());
            }
        }
        if case % 500 == 499 {
            readers.trained.forget();
        }
    }
    assert!(accepted > CASES, "the generator makes JSON: {accepted}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Reads any text in keys and values, written by serde_json.
    #[test]
    fn property_any_object(object in any_json()) {
        Readers::new().check(&object.to_string());
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop_oneof![proptest::sample::select(KEYS).prop_map(str::to_owned), "\\PC{0,20}"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,40}".prop_map(Into::into),
        "[\\x00-\\x7f]{0,8}".prop_map(Into::into),
    ];
    let map = {
        let key = key.clone();
        leaf.prop_recursive(3, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::vec((key.clone(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    };
    proptest::collection::vec((key, map), 0..8)
        .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
}
