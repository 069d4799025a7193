//! Reads a file into its documents as raw JSON. As for kubectl, a text that begins with a brace is
//! JSON, possibly several values in a row; everything else is YAML. Unit: one file.

use super::scalar::resolve;
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Maximum bytes of a file: the largest bundles of custom resource definitions have 8 MiB.
pub const FILE_BYTES_MAX: usize = 64 << 20;
/// Maximum depth of nested collections: schemas of custom resources reach 40.
const DEPTH_MAX: usize = 120;
/// Maximum number of values in a file, including those of repeated aliases.
const NODES_MAX: usize = 4_000_000;

/// A document of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    /// The contents of the document.
    pub value: Value,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// A warning about a file, for example about a duplicate key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The position and the message: `FILE:LINE:COLUMN: message`.
    pub text: String,
}

/// The reason why a file cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadError {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for ReadError {}

/// Parses a text into its documents in order, without empty ones; `name` appears in messages.
///
/// # Errors
/// Fails if the text is neither YAML nor JSON, is too large or too deep, or has a key that JSON
/// cannot have.
pub fn read(name: &str, text: &str) -> Result<(Vec<Document>, Vec<Note>), ReadError> {
    let error =
        |line, column, message: String| ReadError { file: name.to_owned(), line, column, message };
    if text.len() > FILE_BYTES_MAX {
        return Err(error(1, 1, format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    if !text.trim_start().starts_with('{') {
        return yaml(name, text);
    }
    // a brace also opens a flow mapping of YAML; if both parsers fail, the error is that of JSON,
    // which the text resembles
    json(text).map(|documents| (documents, Vec::new())).or_else(|failed| {
        yaml(name, text).map_err(|_| {
            let message = failed.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            error(failed.line().max(1), failed.column().max(1), message)
        })
    })
}

fn json(text: &str) -> Result<Vec<Document>, serde_json::Error> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut documents = Vec::new();
    let (mut line, mut counted) = (1, 0);
    loop {
        let blank =
            text[values.byte_offset()..].bytes().take_while(u8::is_ascii_whitespace).count();
        let start = values.byte_offset() + blank;
        line += text[counted..start].bytes().filter(|byte| *byte == b'\n').count();
        counted = start;
        match values.next() {
            Some(value) => documents.push(Document { value: value?, line }),
            None => return Ok(documents),
        }
    }
}

fn yaml(name: &str, text: &str) -> Result<(Vec<Document>, Vec<Note>), ReadError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut reader = Reader { name, ..Reader::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let place = *error.marker();
            let message = error.info();
            reader.error(place.line(), place.col() + 1, message)
        })?;
        reader.take(event, span)?;
    }
    Ok((reader.documents, reader.notes))
}

/// A collection that is not complete yet.
enum Frame {
    List { list: Vec<Value>, anchor: usize },
    Map { map: Map<String, Value>, key: Option<Key>, anchor: usize },
}

/// The key of a value that is not complete yet.
enum Key {
    Name(String),
    /// `<<`: merges another map into this one.
    Merge,
}

#[derive(Default)]
struct Reader<'name> {
    name: &'name str,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
    line: usize,
    documents: Vec<Document>,
    notes: Vec<Note>,
}

impl Reader<'_> {
    fn error(&self, line: usize, column: usize, message: impl Into<String>) -> ReadError {
        ReadError { file: self.name.to_owned(), line, column, message: message.into() }
    }

    fn at(&self, span: Span, message: impl Into<String>) -> ReadError {
        self.error(span.start.line(), span.start.col() + 1, message)
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ReadError> {
        match event {
            Event::DocumentStart(..) => {
                self.line = 0;
                self.anchors.clear();
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, span)?;
                if self.awaits_key() {
                    let plain = style == ScalarStyle::Plain && tag.is_none();
                    return self.key(&text, plain, style, tag.as_deref(), span);
                }
                let value = self.scalar(&text, style, tag.as_deref(), span)?;
                self.done(value, anchor, span)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Frame::List { list: Vec::new(), anchor }, span)?;
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(Frame::Map { map: Map::new(), key: None, anchor }, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(Frame::List { list, anchor }) => {
                    self.done(Value::Array(list), anchor, span)?;
                }
                Some(Frame::Map { map, anchor, .. }) => {
                    self.done(Value::Object(map), anchor, span)?;
                }
                None => {}
            },
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.at(span, "an alias within its own anchor"));
                };
                self.count(size, span)?;
                if self.awaits_key() {
                    let Value::String(text) = value else {
                        return Err(self.at(span, "a key must be text"));
                    };
                    self.name_next(Key::Name(text), span);
                    return Ok(());
                }
                self.done(value, 0, span)?;
            }
            // the beginning and the end of the text, and events without data
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), ReadError> {
        self.nodes += nodes;
        if self.line == 0 {
            self.line = span.start.line();
        }
        if self.nodes > NODES_MAX {
            return Err(
                self.at(span, format!("more than {NODES_MAX} values, repeated ones among them"))
            );
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { key: None, .. }))
    }

    fn open(&mut self, frame: Frame, span: Span) -> Result<(), ReadError> {
        self.count(1, span)?;
        if self.awaits_key() {
            return Err(self.at(span, "a key must be text, not a list or a map"));
        }
        if self.frames.len() >= DEPTH_MAX {
            return Err(self.at(span, format!("deeper than {DEPTH_MAX}")));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn key(
        &mut self,
        text: &str,
        plain: bool,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), ReadError> {
        if plain && text == "<<" {
            self.name_next(Key::Merge, span);
            return Ok(());
        }
        let name = match self.scalar(text, style, tag, span)? {
            Value::String(text) => text,
            Value::Bool(is) => is.to_string(),
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => return Err(self.at(span, "a key must be text: put it into quotes")),
        };
        self.name_next(Key::Name(name), span);
        Ok(())
    }

    fn name_next(&mut self, next: Key, span: Span) {
        let mut twice = None;
        if let Some(Frame::Map { map, key, .. }) = self.frames.last_mut() {
            if let Key::Name(name) = &next
                && map.contains_key(name)
            {
                twice = Some(name.clone());
            }
            *key = Some(next);
        }
        if let Some(name) = twice {
            let message = format!("`{name}` is there twice: the last counts, as with kubectl");
            self.notes.push(Note { text: self.at(span, message).to_string() });
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Value, ReadError> {
        let as_text = || Ok(Value::String(text.to_owned()));
        let Some(tag) = tag else {
            if style != ScalarStyle::Plain {
                return as_text();
            }
            return resolve(text).ok_or_else(|| self.at(span, "JSON has no infinite numbers"));
        };
        let suffix = tag.suffix_in_namespace("tag:yaml.org,2002:");
        let resolved = || resolve(text).filter(|value| !value.is_string());
        let typed = match suffix.as_ref().map(Cow::as_ref) {
            Some("bool") => resolved().filter(Value::is_boolean),
            Some("int") => resolved().filter(|value| value.is_i64() || value.is_u64()),
            Some("float") => resolved().filter(Value::is_number),
            Some("null") => resolved().filter(Value::is_null),
            Some("binary") => None,
            // `!!str`, `!`, and unknown tags
            _ => return as_text(),
        };
        typed.ok_or_else(|| {
            self.at(span, format!("cannot be read as !!{}", suffix.unwrap_or_default()))
        })
    }

    /// Adds a complete value to the open collection, or to the documents if none is open.
    fn done(&mut self, value: Value, anchor: usize, span: Span) -> Result<(), ReadError> {
        if anchor != 0 {
            let size = size(&value);
            self.count(size, span)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.frames.last_mut() {
            None => {
                if !value.is_null() {
                    self.documents.push(Document { value, line: self.line });
                }
            }
            Some(Frame::List { list, .. }) => list.push(value),
            Some(Frame::Map { map, key, .. }) => match key.take() {
                Some(Key::Name(name)) => {
                    map.insert(name, value);
                }
                Some(Key::Merge) if merge(map, value) => {}
                _ => return Err(self.at(span, "only maps can be merged by `<<`")),
            },
        }
        Ok(())
    }
}

/// Merges a map as go-yaml v2 does: it wins over the keys before it, and the first map of a list
/// wins over the next.
fn merge(map: &mut Map<String, Value>, value: Value) -> bool {
    let maps = match value {
        Value::Object(one) => vec![one],
        Value::Array(list) => {
            let maps = list.into_iter().rev().map(|value| match value {
                Value::Object(one) => Some(one),
                _ => None,
            });
            match maps.collect::<Option<Vec<_>>>() {
                Some(maps) => maps,
                None => return false,
            }
        }
        _ => return false,
    };
    for (key, value) in maps.into_iter().flatten() {
        map.insert(key, value);
    }
    true
}

/// Counts the values in a value, including itself; the depth is limited when it is read.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}
