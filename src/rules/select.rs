//! Conditions: a subset of CEL, compiled when rules are loaded, only read on the way of a line.
//!
//! ```text
//! has(http.route) && status >= 500 && !(body.contains("health") || method in ["HEAD", "OPTIONS"])
//! ```
//!
//! Operators: `&& || !`, `== != < <= > >=`, `in [..]`, `has(field)`, and `contains startsWith endsWith
//! matches`, as `field.contains("x")` or `field contains "x"`. Constants: strings in either quote
//! (`r".."`: no escapes), numbers, durations (`250ms`), `true`, `false`. A field's name that is no word
//! stands in backquotes.
//!
//! What is not known is not held against a record. A comparison with an absent field is unknown, and
//! stays so under `!`; `&&` and `||` follow Kleene: what is unknown counts only where it decides. `has`
//! is always known.
//! - A string is compared with the text of the field as it is written, bytewise.
//! - A number is compared with numeric text; text that is no number differs from every number (`!=`
//!   holds) and is neither above nor below one (unknown).
//! - A duration is compared in seconds; a value counts only where its key or its text says the unit.
//! - `true` and `false` are compared with the words, in any case.
//! - The level, under any key that means it, is compared by SeverityNumber when the constant names a
//!   level, with or without quotes: `level >= WARN`; `== ERROR` holds for ERROR to ERROR4, and `<=
//!   ERROR` does; an unknown level is unknown.
//! - `contains` and its like look at the whole line where a line has no message and the message is
//!   asked for.
//! - `matches` takes the syntax of the `regex` crate without Unicode classes, and looks anywhere in the
//!   text.

mod leaf;
mod meaning;
mod parse;
mod token;

#[cfg(test)]
mod tests;

use crate::record::Record;
use crate::record::field::{FieldId, FieldTable};
use crate::rules::syntax::SyntaxError;
use parse::Node;

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Condition {
    root: Node,
}

impl Condition {
    /// Compiles a condition; the fields that it names are interned.
    ///
    /// # Errors
    /// The text is no condition of the subset.
    pub fn parse(text: &str, fields: &mut FieldTable) -> Result<Condition, SyntaxError> {
        Ok(Condition { root: parse::parse(text, fields)? })
    }

    /// Fields without which it is certainly false.
    pub fn required(&self) -> Vec<FieldId> {
        let mut found = required(&self.root);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// `field == "constant"` pairs without which it is certainly false; rules are indexed by the first.
    pub fn equalities(&self) -> Vec<(FieldId, String)> {
        let mut found: Vec<(FieldId, String)> = Vec::new();
        for (field, text) in equalities(&self.root) {
            if !found.iter().any(|(of, is)| *of == field && is == text) {
                found.push((field, text.to_owned()));
            }
        }
        found
    }

    /// Whether it holds for a record. Allocates nothing.
    #[inline]
    pub fn holds(&self, record: &Record<'_>) -> bool {
        holds(&self.root, record)
    }
}

fn holds(node: &Node, record: &Record<'_>) -> bool {
    match node {
        Node::Leaf(leaf) => leaf.holds(record),
        Node::All(nodes) => nodes.iter().all(|node| holds(node, record)),
        Node::Any(nodes) => nodes.iter().any(|node| holds(node, record)),
    }
}

fn required(node: &Node) -> Vec<FieldId> {
    match node {
        Node::Leaf(leaf) => leaf.required().into_iter().collect(),
        Node::All(nodes) => nodes.iter().flat_map(required).collect(),
        Node::Any(nodes) => common(nodes, required),
    }
}

fn equalities(node: &Node) -> Vec<(FieldId, &str)> {
    match node {
        Node::Leaf(leaf) => leaf.equality().into_iter().collect(),
        Node::All(nodes) => nodes.iter().flat_map(equalities).collect(),
        Node::Any(nodes) => common(nodes, equalities),
    }
}

/// What every branch has.
fn common<'tree, T: PartialEq>(nodes: &'tree [Node], of: fn(&'tree Node) -> Vec<T>) -> Vec<T> {
    let Some((first, others)) = nodes.split_first() else { return Vec::new() };
    let mut found = of(first);
    for other in others {
        let theirs = of(other);
        found.retain(|one| theirs.contains(one));
    }
    found
}
