//! Computes from the bytes of a JSON text how much memory it takes once it is parsed. `[{},{},...]`
//! of 4 MiB becomes 200 MiB, and so a review is measured before it is parsed. It takes one pass and
//! allocates nothing. The figures are upper bounds for `serde_json::Value` with maps in insertion
//! order. Unit: one text.

use serde_json::Value;

/// Vectors double when they grow, and so half of one may be unused.
const GROWTH: usize = 2;

/// Bytes of a value in its list or map.
const VALUE_BYTES: usize = GROWTH * size_of::<Value>();

/// Bytes of a map's member without its value: the key's `String`, its hash, its slot in the index.
const MEMBER_BYTES: usize = GROWTH * (size_of::<String>() + 8) + 16;

/// Bytes that the first member of a map allocates: four members and an index of eight slots.
const MAP_BYTES: usize = 4 * (size_of::<Value>() + size_of::<String>() + 8) + 96;

/// Bytes that the allocation of a string takes in addition to its contents.
const STRING_BYTES: usize = 32;

/// Returns an upper bound of the bytes that the parsed text takes; `None` above `max`. For invalid
/// JSON it is the cost of what a parser can have read before it stops.
pub(super) fn parsed_bytes(text: &[u8], max: usize) -> Option<usize> {
    let mut cost = VALUE_BYTES;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        cost += match byte {
            b'"' => {
                let length = string_length(&text[at..]);
                at += length + 1;
                STRING_BYTES + length
            }
            // each of these is followed by one more value, or opens one more level
            b',' => VALUE_BYTES,
            b'[' => VALUE_BYTES,
            b'{' => VALUE_BYTES + if next_is(text, at, b'}') { 0 } else { MAP_BYTES },
            b':' => MEMBER_BYTES,
            _ => 0,
        };
        if cost > max {
            return None;
        }
    }
    Some(cost)
}

/// Returns the number of bytes up to the quote that ends a string.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match memchr::memchr2(b'"', b'\\', &text[at..]) {
            Some(found) if text[at + found] == b'\\' => {
                at += found + 2;
                if at >= text.len() {
                    return text.len();
                }
            }
            Some(found) => return at + found,
            None => return text.len(),
        }
    }
}

fn next_is(text: &[u8], at: usize, wanted: u8) -> bool {
    text[at..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the memory of a value: the capacities that are visible, plus a lower bound for the
    /// rest.
    fn held(value: &Value) -> usize {
        match value {
            Value::String(text) => text.capacity(),
            Value::Array(list) => {
                list.capacity() * size_of::<Value>() + list.iter().map(held).sum::<usize>()
            }
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| {
                    size_of::<Value>() + size_of::<String>() + 16 + key.capacity() + held(value)
                })
                .sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    #[test]
    fn the_bound_holds_for_what_is_small_and_many() {
        for part in [
            "{}",
            "[]",
            "0",
            "\"\"",
            "{\"\":0}",
            "[[]]",
            "{\"a\":{},\"b\":[]}",
            "{\"name\":\"A\",\"value\":\"\\\"x\\\\\"}",
            "{ }",
            "\"0123456789012345678901234567890123456789\"",
        ] {
            let text = format!("[{}]", vec![part; 5_000].join(","));
            let value: Value = serde_json::from_str(&text).expect(part);
            let bound = parsed_bytes(text.as_bytes(), usize::MAX).expect("no limit");
            let least = held(&value);
            assert!(bound >= least, "{part}: {bound} < {least}");
            assert!(bound < 12 * least + 4096, "{part}: {bound} is far above {least}");
            assert_eq!(parsed_bytes(text.as_bytes(), bound), Some(bound));
            assert_eq!(parsed_bytes(text.as_bytes(), bound - 1), None);
        }
    }

    #[test]
    fn what_is_cut_or_no_json_is_read_to_its_end() {
        for text in ["", "\"", "\"a\\", "\"\\\"", "{", "{\"a", "\\", ",,,,", "\u{e9}\"\u{e9}"] {
            assert!(parsed_bytes(text.as_bytes(), usize::MAX).is_some(), "{text}");
        }
    }
}
