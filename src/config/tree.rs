//! Parses YAML into a tree in which every value knows its position. The only module that knows
//! `serde_yaml`. Text, numbers and truth values all stay text as written, because only the setting
//! knows which type it needs. Unit: one file.

use super::fault::{Fault, Level, Located};
use super::hints::hint;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use std::fmt;
use std::sync::Arc;

/// Maximum size of a file; a thousand rules need 300 KiB.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Maximum depth; no setting is deeper than eight levels, and the parser recurses with large
/// frames.
const DEPTH_MAX: usize = 24;
/// Maximum number of values in a file, including those of repeated aliases.
const NODES_MAX: usize = 100_000;
/// Maximum number of aliases.
const ALIASES_MAX: usize = 1_000;

/// The name and the text of a file.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Source {
    /// The name in positions.
    pub name: String,
    /// The whole text; a file of more than [`FILE_BYTES_MAX`] bytes is refused.
    pub text: String,
    /// The position in another file, if the text is a value there.
    pub inside: Option<Arc<Inside>>,
}

/// A file, and the value in it that is the text.
#[derive(Clone, PartialEq, Debug)]
pub struct Inside {
    /// The file.
    pub file: Source,
    /// The value.
    pub node: Node,
}

impl Source {
    /// Creates a source that is a file.
    pub fn new(name: &str, text: &str) -> Source {
        Source { name: name.to_owned(), text: text.to_owned(), inside: None }
    }

    /// Returns the file name of its positions.
    pub fn file(&self) -> &str {
        self.inside.as_ref().map_or(&self.name, |inside| &inside.file.name)
    }

    /// Finds the position of a range of bytes of the text.
    pub fn find(&self, start: usize, end: usize) -> Located {
        let Some(inside) = &self.inside else {
            return Located::find(&self.name, &self.text, start, end);
        };
        let Inside { file, node } = &**inside;
        file.find(node.offset_in(file, start), node.offset_in(file, end))
    }
}

/// A value, and its range of bytes.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The offset of its first byte in the file.
    pub start: usize,
    /// The offset after its last byte.
    pub end: usize,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, including numbers and truth values.
    Text(String),
    /// The elements in their order.
    List(Vec<Node>),
    /// Keys and values in the order of the file, including duplicates.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Describes the kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Returns the text of a key.
    pub fn key(&self) -> &str {
        match &self.value {
            Value::Text(text) => text,
            Value::Null | Value::List(_) | Value::Map(_) => "",
        }
    }

    /// Returns the offset in the file of the byte at `offset` of the value.
    pub fn offset_in(&self, source: &Source, offset: usize) -> usize {
        match &self.value {
            Value::Text(text) => align(&source.text, self.start..self.end, text, offset),
            Value::Null | Value::List(_) | Value::Map(_) => self.start,
        }
    }
}

/// Parses a file. Returns `None` if it is empty.
///
/// # Errors
/// Fails if the file is not YAML, or exceeds a limit; the fault has a position.
pub fn read(source: &Source) -> Result<Option<Node>, Box<Fault>> {
    let text = source.text.as_str();
    if text.len() > FILE_BYTES_MAX {
        return Err(fault(source, 0, format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            // includes repeated aliases, so that they do not multiply a long text
            max_total_scalar_bytes: 2 * FILE_BYTES_MAX,
            max_documents: 2, // the second is refused with a better message
        },
        // keeps duplicate keys, so that they are reported together with all other faults
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let raw: Option<Spanned<Raw>> =
        serde_yaml::from_str_with_options(text, options).map_err(|error| {
            let at = error
                .location()
                .map_or(0, |place| byte_of(text, place.line() as usize, place.column() as usize));
            let message = error.without_snippet().to_string();
            let mut fault = fault(source, at, clean(&message));
            fault.hint = hint(text, at);
            fault
        })?;
    Ok(raw.map(|raw| node(text, raw)))
}

#[cold]
fn fault(source: &Source, at: usize, message: String) -> Box<Fault> {
    Box::new(Fault {
        level: Level::Error,
        path: String::new(),
        message,
        hint: None,
        located: Some(source.find(at, at + 1)),
    })
}

/// Removes the position from a message of the parser.
fn clean(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = match first.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => first,
    };
    if first.starts_with("multiple YAML documents") {
        return "a second document begins here; one is read".to_owned();
    }
    if first.starts_with("budget breached") || first.contains("limit exceeded") {
        return format!("the file is deeper than {DEPTH_MAX}, too large, or repeats too much");
    }
    match first.split_once(" at line ") {
        Some((text, _)) => text.to_owned(),
        None => first.to_owned(),
    }
}

/// Converts a line and a column, in characters from 1, to a byte offset.
fn byte_of(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let characters = text[start..].char_indices();
    let at = characters.map(|(at, _)| at).nth(column.max(1) - 1);
    at.map_or(text.len(), |at| start + at)
}

/// A value as the deserializer returns it; its type is discarded.
enum Raw {
    Null,
    /// A number or a truth value; its text is read from the file.
    Written,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Written)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Written)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Written)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Written)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Written)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Written)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = access.next_element()? {
            list.push(element);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = access.next_key()? {
            map.push((key, access.next_value()?));
        }
        Ok(Raw::Map(map))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

fn node(text: &str, raw: Spanned<Raw>) -> Node {
    // an alias has the value of its anchor
    let (start, end) = bytes_of(text, &raw.defined);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Written => Value::Text(text.get(start..end).unwrap_or_default().trim().to_owned()),
        Raw::Text(text) => Value::Text(text),
        Raw::List(list) => {
            Value::List(list.into_iter().map(|element| node(text, element)).collect())
        }
        Raw::Map(map) => {
            let pair = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                let (start, end) = bytes_of(text, &key.defined);
                (Node { start, end, value: Value::Text(key.value) }, node(text, value))
            };
            Value::Map(map.into_iter().map(pair).collect())
        }
    };
    Node { start, end, value }
}

fn bytes_of(text: &str, place: &serde_yaml::Location) -> (usize, usize) {
    let span = place.span();
    let known = span.byte_offset().zip(span.byte_len());
    let (start, length) = match known {
        Some((start, length)) => (start as usize, length as usize),
        None => (byte_of(text, place.line() as usize, place.column() as usize), 0),
    };
    let start = start.min(text.len());
    (start, (start + length).min(text.len()))
}

/// Walks a value and its written form side by side up to byte `offset` of the value, skipping
/// quotes, escapes, line ends that became spaces, and the indentation of blocks.
fn align(text: &str, span: std::ops::Range<usize>, value: &str, offset: usize) -> usize {
    let written = text.get(span.clone()).unwrap_or_default();
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let indent = span.start - line_start;
    if is_literal(&text[..line_start], &text[line_start..span.start]) {
        return span.start + align_literal(written, indent, value, offset.min(value.len()));
    }
    let quote = written.chars().next().filter(|first| matches!(first, '"' | '\''));
    let quoted = quote.is_some_and(|quote| written.len() > 1 && written.ends_with(quote));
    let mut at = usize::from(quoted);
    let bytes = written.as_bytes();
    for (index, character) in value.char_indices() {
        if index >= offset || at >= bytes.len() {
            break;
        }
        at = match bytes[at] {
            b'\\' if quoted && quote == Some('"') => at + escape_bytes(&bytes[at..]),
            b'\'' if quoted && quote == Some('\'') => at + 2,
            b'\n' if character == '\n' => skip(bytes, at + 1, indent),
            b'\n' | b' ' | b'\t' | b'\r' if character == ' ' || character == '\n' => {
                skip(bytes, at, usize::MAX)
            }
            _ => at + character.len_utf8(),
        };
    }
    span.start + at.min(written.len())
}

/// Returns whether a value that begins after `margin` is a literal block: the line above ends with
/// `|`.
fn is_literal(above: &str, margin: &str) -> bool {
    let header = above.trim_end().rsplit('\n').next().unwrap_or_default();
    let header = header.split(" #").next().unwrap_or_default().trim_end();
    let header = header.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    header.ends_with('|') && margin.bytes().all(|byte| byte == b' ')
}

/// Finds an offset in a literal block, in which every line of the value is a line of the file
/// without the indentation.
fn align_literal(written: &str, indent: usize, value: &str, offset: usize) -> usize {
    let before = &value.as_bytes()[..offset];
    let number = memchr::memchr_iter(b'\n', before).count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    let mut start = 0;
    for (index, line) in written.split_inclusive('\n').enumerate() {
        if index == number {
            let blanks = line.bytes().take_while(|byte| *byte == b' ').count();
            let margin = if index == 0 { 0 } else { blanks.min(indent) };
            return start + (margin + column).min(line.trim_end_matches('\n').len());
        }
        start += line.len();
    }
    written.len()
}

/// Skips at most `most` blanks; skips line ends only if there is no limit.
fn skip(bytes: &[u8], from: usize, most: usize) -> usize {
    let blank = |byte: &u8| *byte == b' ' || (most == usize::MAX && byte.is_ascii_whitespace());
    from + bytes[from..].iter().take(most).take_while(|byte| blank(byte)).count()
}

fn escape_bytes(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("f.yaml", text)
    }

    fn tree(text: &str) -> Node {
        read(&source(text)).expect(text).expect("not empty")
    }

    fn at<'t>(node: &'t Node, key: &str) -> &'t Node {
        let Value::Map(map) = &node.value else { panic!("a map") };
        &map.iter().find(|(known, _)| known.key() == key).expect("the key").1
    }

    /// Every value is kept as written, with its position.
    #[test]
    fn values_and_places() {
        let text =
            "a: 0660\nb: \"x\\ty\"\nc: yes\nd: ~\ne:\nf: [1.50, {g: '1'}]\nh: |\n  two\n  lines\n";
        let node = tree(text);
        for (key, value, written) in [
            ("a", Value::Text("0660".to_owned()), "0660"),
            ("b", Value::Text("x\ty".to_owned()), "\"x\\ty\""),
            ("c", Value::Text("yes".to_owned()), "yes"),
            ("d", Value::Null, "~"),
            ("e", Value::Null, ""),
            ("h", Value::Text("two\nlines\n".to_owned()), "two\n  lines\n"),
        ] {
            let found = at(&node, key);
            assert_eq!(found.value, value, "{key}");
            assert_eq!(&text[found.start..found.end], written, "{key}");
        }
        let Value::List(list) = &at(&node, "f").value else { panic!("a list") };
        assert_eq!(list[0].value, Value::Text("1.50".to_owned()));
        assert_eq!(at(&list[1], "g").value, Value::Text("1".to_owned()));
        assert!(read(&source("# nothing\n")).expect("valid").is_none());
    }

    #[test]
    fn duplicates_are_all_there() {
        let node = tree("a: 1\nb: 2\na: 3\n");
        let Value::Map(map) = &node.value else { panic!("a map") };
        assert_eq!(map.iter().map(|(key, _)| key.key()).collect::<Vec<_>>(), ["a", "b", "a"]);
    }

    #[test]
    fn an_alias_shows_what_it_stands_for() {
        let text = "a: &x berlin\nb: *x\n";
        let node = tree(text);
        assert_eq!(at(&node, "b"), at(&node, "a"));
    }

    /// The bytes of a value are found in every style of writing.
    #[test]
    fn bytes_of_a_value_in_the_file() {
        for (text, needle) in [
            ("k: a == b !! c\n", "!!"),
            ("k: 'it''s == b !! c'\n", "!!"),
            ("k: \"a\\t\\u00fc \\\"x\\\" !! c\"\n", "!!"),
            ("k: |\n    a\n      b\n    c !! d\n", "!!"),
            ("k: |-\n  a\n\n  c !! d\n", "!!"),
            ("k: | # as it is\n  a:\n    b: >\n        d\n\n       e\n    c: !! d\n", "!!"),
            ("k: |2-\n  - a\n      b\n   !! d", "!!"),
            ("k: >\n  a\n  b\n  c !! d\n", "!!"),
            ("k: a\n  b\n  c !! d\n", "!!"),
            ("k: \"a\n  b\n  c !! d\"\n", "!!"),
            ("k: gr\u{fc}n !! d\n", "!!"),
        ] {
            let source = source(text);
            let node = read(&source).expect(text).expect("not empty");
            let value = at(&node, "k");
            let offset = value.key().find(needle).expect("in the value");
            let expected = text.find(needle).expect("in the text");
            assert_eq!(value.offset_in(&source, offset), expected, "{text:?}");
            let end = value.offset_in(&source, value.key().len() + 5);
            assert!(end <= text.len(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_yaml_or_too_much_of_it() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e")] {
            let nine = vec![format!("*{of}"); 9].join(",");
            laughs = format!("{laughs}{name}: &{name} [{nine}]\n");
        }
        let large = format!("a: {}", "x".repeat(FILE_BYTES_MAX));
        for (text, line, message) in [
            ("a: [1,\nb: 2\n", 1, ""),
            ("a:\n\t- x\n", 2, "tab"),
            ("a: \"x\n", 1, "quote"),
            ("a: 1\n---\nb: 1\n", 3, "second document"),
            ("a: *x\n", 1, "anchor"),
            (&deep, 1, ""),
            (&laughs, 0, ""),
            (&large, 1, "larger"),
        ] {
            let fault = read(&source(text)).expect_err("refused");
            let located = fault.located.expect("a place");
            if line > 0 {
                assert_eq!(located.line, line, "{}", fault.message);
            }
            assert!(fault.message.contains(message), "{}", fault.message);
            assert!(!fault.message.contains(" at line "), "{}", fault.message);
            assert!(!fault.message.starts_with("line "), "{}", fault.message);
        }
    }
}
