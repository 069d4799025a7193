//! A tree -> typed values. Whatever is wrong is noted with its place and reading goes on, so that all
//! faults of a file are told at once. A key that nobody asked for is unknown. Unit: one file.

use super::fault::{Fault, Faults, Level};
use super::tree::{Node, Source, Value};
use super::units::Refused;
use crate::rules::syntax::nearest;
use std::collections::HashSet;

/// Notes faults while a tree is read.
#[derive(Debug)]
pub struct Reader<'s> {
    /// The file, for the places of faults.
    pub source: &'s Source,
    /// All faults so far, in the order in which values were read.
    pub faults: Faults,
}

/// A value with the way to it.
#[derive(Clone, Debug)]
pub struct At<'t> {
    /// The value.
    pub node: &'t Node,
    /// Keys and indices from the root, as in `rules[0].when`; empty for the root.
    pub path: String,
}

/// The keys of a map, as they are asked for.
#[derive(Debug)]
pub struct Keys<'t> {
    path: String,
    map: &'t [(Node, Node)],
    known: Vec<&'static str>,
}

impl<'s> Reader<'s> {
    /// Starts without faults.
    pub fn new(source: &'s Source) -> Reader<'s> {
        Reader { source, faults: Faults::default() }
    }

    /// Notes a fault of a value.
    pub fn fault(
        &mut self,
        level: Level,
        at: &At<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let Node { start, end, .. } = *at.node;
        self.fault_between(level, &at.path, start..end, message.into(), hint);
    }

    /// Notes an error of a value.
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

    /// The keys of a map; of nothing none. Duplicates are refused.
    pub fn keys<'t>(&mut self, at: &At<'t>) -> Option<Keys<'t>> {
        let map = match &at.node.value {
            Value::Map(map) => map.as_slice(),
            Value::Null => &[],
            Value::Text(_) | Value::List(_) => {
                self.refuse(at, format!("a map is expected here, not {}", at.node.kind()), "");
                return None;
            }
        };
        let mut seen = HashSet::with_capacity(map.len());
        for (key, _) in map {
            if !seen.insert(key.key()) {
                let path = join(&at.path, key.key());
                let message = format!("`{}` stands here twice", key.key());
                let hint = Some("remove one of the two".to_owned());
                self.fault_between(Level::Error, &path, key.start..key.end, message, hint);
            }
        }
        Some(Keys { path: at.path.clone(), map, known: Vec::new() })
    }

    /// Refuses every key that was not asked for.
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

    /// The elements of a list.
    pub fn list<'t>(&mut self, at: &At<'t>) -> Vec<At<'t>> {
        match &at.node.value {
            Value::List(list) => {
                let of = |(index, node)| At { node, path: format!("{}[{index}]", at.path) };
                list.iter().enumerate().map(of).collect()
            }
            Value::Null => Vec::new(),
            Value::Text(_) | Value::Map(_) => {
                self.refuse(at, format!("a list is expected here, not {}", at.node.kind()), "");
                Vec::new()
            }
        }
    }

    /// The text of a value.
    pub fn text<'t>(&mut self, at: &At<'t>) -> Option<&'t str> {
        match &at.node.value {
            Value::Text(text) => Some(text),
            Value::Null => {
                self.refuse(at, "a value is missing here", "");
                None
            }
            Value::List(_) | Value::Map(_) => {
                let kind = at.node.kind();
                self.refuse(at, format!("a single value is expected here, not {kind}"), "");
                None
            }
        }
    }

    /// A value that `parse` understands.
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

    /// A whole number within bounds.
    pub fn integer(
        &mut self,
        at: &At<'_>,
        bounds: std::ops::RangeInclusive<usize>,
    ) -> Option<usize> {
        self.parsed(at, |text| within(text, text.replace('_', "").parse().ok(), &bounds))
    }

    /// A number of bytes within bounds.
    pub fn size(&mut self, at: &At<'_>, bounds: std::ops::RangeInclusive<usize>) -> Option<usize> {
        self.parsed(at, |text| within(text, Some(super::units::size(text)?), &bounds))
    }

    /// A finite number.
    pub fn number(&mut self, at: &At<'_>) -> Option<f64> {
        self.parsed(at, |text| match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Refused { message: format!("`{text}` is no number"), hint: None }),
        })
    }

    /// A share from 0 to 1, or in per cent.
    pub fn ratio(&mut self, at: &At<'_>) -> Option<f64> {
        self.parsed(at, |text| {
            let (digits, whole) = match text.strip_suffix('%') {
                Some(digits) => (digits.trim(), 100.0),
                None => (text, 1.0),
            };
            let ratio = digits.parse::<f64>().ok().map(|number| number / whole);
            ratio
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or_else(|| Refused::new(format!("`{text}` is no share"), "write 0.05 or 5%"))
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
            format!("`{text}` is no whole number"),
            format!("from {least} to {most}"),
        )),
    }
}

impl<'t> Keys<'t> {
    /// The value of a key, which is known from now on.
    pub fn take(&mut self, name: &'static str) -> Option<At<'t>> {
        self.known.push(name);
        let (_, node) = self.map.iter().find(|(key, _)| key.key() == name)?;
        Some(At { node, path: join(&self.path, name) })
    }

    /// All keys and values, whatever they are called: for maps whose keys are the user's own.
    pub fn all(self) -> Vec<(&'t Node, At<'t>)> {
        let path = self.path;
        let of = |(key, node): &'t (Node, Node)| (key, At { node, path: join(&path, key.key()) });
        self.map.iter().map(of).collect()
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
