//! Converts a tree to typed values. Records faults with their positions and goes on, so that all
//! faults of a file are reported at once. Keys that the caller does not take are unknown. Unit: one
//! file.

use super::fault::{Fault, Faults, Level};
use super::tree::{Node, Source, Value};
use super::units::Refused;
use crate::rules::syntax::nearest;
use std::collections::HashSet;

/// Reads a tree and records its faults.
#[derive(Debug)]
pub struct Reader<'s> {
    /// The file, for the positions of faults.
    pub source: &'s Source,
    /// All faults so far, in the order in which values were read.
    pub faults: Faults,
    /// The start of values that already have a fault, so that each has only one.
    pub(super) refused_before: HashSet<usize>,
}

/// A value and its path.
#[derive(Clone, Debug)]
pub struct At<'t> {
    /// The value.
    pub node: &'t Node,
    /// Keys and indices from the root, as in `rules[0].when`; empty for the root.
    pub path: String,
}

/// The keys of a map, from which the caller takes those that it knows.
#[derive(Debug)]
pub struct Keys<'t> {
    path: String,
    map: &'t [(Node, Node)],
    known: Vec<&'static str>,
}

impl<'s> Reader<'s> {
    /// Creates a reader without faults.
    pub fn new(source: &'s Source) -> Reader<'s> {
        Reader { source, faults: Faults::default(), refused_before: HashSet::new() }
    }

    /// Records a fault of a value.
    pub fn fault(
        &mut self,
        level: Level,
        at: &At<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let Node { start, end, .. } = *at.node;
        if self.refused_before.contains(&start) {
            return;
        }
        self.fault_between(level, &at.path, start..end, message.into(), hint);
    }

    /// Records an error of a value.
    pub fn refuse(&mut self, at: &At<'_>, message: impl Into<String>, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.fault(Level::Error, at, message, hint);
    }

    fn fault_between(
        &mut self,
        level: Level,
        path: &str,
        bytes: std::ops::Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        let source = self.source;
        self.faults.add(level, || {
            let located = Some(source.find(bytes.start, bytes.end));
            Fault { level, path: path.to_owned(), message, hint, located }
        });
    }

    /// Returns the keys of a map, or none for an empty value. Refuses duplicates.
    pub fn keys<'t>(&mut self, at: &At<'t>) -> Option<Keys<'t>> {
        let map = match &at.node.value {
            Value::Map(map) => map.as_slice(),
            Value::Null => &[],
            Value::Text(_) | Value::List(_) => {
                self.refuse(at, format!("expected a map, found {}", at.node.kind()), "");
                return None;
            }
        };
        let mut seen = HashSet::with_capacity(map.len());
        for (key, _) in map {
            if !seen.insert(key.key()) {
                let path = join(&at.path, key.key());
                let message = format!("the key `{}` is given twice", key.key());
                let hint = Some("remove one of the two".to_owned());
                self.fault_between(Level::Error, &path, key.start..key.end, message, hint);
            }
        }
        Some(Keys { path: at.path.clone(), map, known: Vec::new() })
    }

    /// Refuses every key that was not taken.
    pub fn finish(&mut self, keys: &Keys<'_>) {
        for (key, _) in keys.map {
            let name = key.key();
            if keys.known.contains(&name) {
                continue;
            }
            let source = self.source;
            self.faults.add(Level::Error, || {
                let hint = match nearest(name, keys.known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("known here: {}", keys.known.join(", ")),
                };
                Fault {
                    level: Level::Error,
                    path: join(&keys.path, name),
                    message: format!("unknown key `{name}`"),
                    hint: Some(hint),
                    located: Some(source.find(key.start, key.end)),
                }
            });
        }
    }

    /// Returns the elements of a list.
    pub fn list<'t>(&mut self, at: &At<'t>) -> Vec<At<'t>> {
        match &at.node.value {
            Value::List(list) => {
                let of = |(index, node)| At { node, path: format!("{}[{index}]", at.path) };
                list.iter().enumerate().map(of).collect()
            }
            Value::Null => Vec::new(),
            Value::Text(_) | Value::Map(_) => {
                self.refuse(at, format!("expected a list, found {}", at.node.kind()), "");
                Vec::new()
            }
        }
    }

    /// Returns the text of a value.
    pub fn text<'t>(&mut self, at: &At<'t>) -> Option<&'t str> {
        match &at.node.value {
            Value::Text(text) => Some(text),
            Value::Null => {
                self.refuse(at, "the value is missing", "");
                None
            }
            Value::List(_) | Value::Map(_) => {
                let kind = at.node.kind();
                self.refuse(at, format!("expected a single value, found {kind}"), "");
                None
            }
        }
    }

    /// Returns the value that `parse` returns.
    pub fn parsed<T>(
        &mut self,
        at: &At<'_>,
        parse: impl FnOnce(&str) -> Result<T, Refused>,
    ) -> Option<T> {
        let text = self.text(at)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(refused) => {
                self.fault(Level::Error, at, refused.message, refused.hint);
                None
            }
        }
    }

    /// Returns a whole number within bounds.
    pub fn integer(
        &mut self,
        at: &At<'_>,
        bounds: std::ops::RangeInclusive<usize>,
    ) -> Option<usize> {
        self.parsed(at, |text| within(text, text.replace('_', "").parse().ok(), &bounds))
    }

    /// Returns a finite number.
    pub fn number(&mut self, at: &At<'_>) -> Option<f64> {
        self.parsed(at, |text| match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Refused { message: format!("`{text}` is not a number"), hint: None }),
        })
    }
}

fn within(
    text: &str,
    number: Option<usize>,
    bounds: &std::ops::RangeInclusive<usize>,
) -> Result<usize, Refused> {
    let (least, most) = (bounds.start(), bounds.end());
    match number {
        Some(number) if bounds.contains(&number) => Ok(number),
        Some(_) => Err(Refused::new(
            format!("`{text}` is out of bounds"),
            format!("from {least} to {most}"),
        )),
        None => Err(Refused::new(
            format!("`{text}` is not a whole number"),
            format!("from {least} to {most}"),
        )),
    }
}

impl<'t> Keys<'t> {
    /// Returns the value of a key, which is known from now on.
    pub fn take(&mut self, name: &'static str) -> Option<At<'t>> {
        self.known.push(name);
        let (_, node) = self.map.iter().find(|(key, _)| key.key() == name)?;
        Some(At { node, path: join(&self.path, name) })
    }

    /// Returns all keys and values, for maps with arbitrary keys.
    pub fn all(self) -> Vec<(&'t Node, At<'t>)> {
        let path = self.path;
        let of = |(key, node): &'t (Node, Node)| (key, At { node, path: join(&path, key.key()) });
        self.map.iter().map(of).collect()
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
