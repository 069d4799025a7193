//! Conditions: a subset of CEL, compiled when rules are loaded, read-only while lines are
//! processed.
//!
//! ```text
//! has(http.route) && status >= 500 && !(body.contains("health") || method in ["HEAD", "OPTIONS"])
//! ```
//!
//! Operators: `&& || !`, `== != < <= > >=`, `in [..]`, `has(field)`, and `contains startsWith
//! endsWith matches`, as `field.contains("x")` or `field contains "x"`. Constants: strings in
//! either quote (`r".."`: no escapes), numbers, durations (`250ms`), `true`, `false`. A field's
//! name that is not a word is written in backquotes.
//!
//! A comparison with an absent field is unknown, and stays unknown under `!`. `&&` and `||` follow
//! Kleene's logic: their result is unknown only if the known operand does not decide it. `has` is
//! always known. A rule applies only if the result of its condition is true.
//! - A string is compared bytewise with the text of the field as it is written.
//! - A number is compared with numeric text. Text that is not a number differs from every number
//!   (`!=` holds), and is neither above nor below one (unknown).
//! - A duration is compared in seconds; a value counts only if its key or its text gives the unit.
//! - `true` and `false` are compared with these words, in any case.
//! - The level, under any key for it, is compared by SeverityNumber if the constant names a level,
//!   with or without quotes: `level >= WARN`. `== ERROR` holds for ERROR to ERROR4, and so does
//!   `<= ERROR`; an unknown level is unknown.
//! - `contains`, `startsWith`, `endsWith` and `matches` search the whole line if they test the
//!   message and the line has none.
//! - `matches` takes the syntax of the `regex` crate without Unicode classes, and searches anywhere
//!   in the text.

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
    /// Compiles a condition; interns the fields that it names.
    ///
    /// # Errors
    /// Returns an error if the text is not a condition of the subset.
    pub fn parse(text: &str, fields: &mut FieldTable) -> Result<Condition, SyntaxError> {
        Ok(Condition { root: parse::parse(text, fields)? })
    }

    /// Returns the fields without which it is certainly false.
    pub fn required(&self) -> Vec<FieldId> {
        let mut found = required(&self.root);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the fields that no record has for which it is true.
    pub fn absent(&self) -> Vec<FieldId> {
        absent(&self.root)
    }

    /// Returns the `field == "constant"` pairs without which it is certainly false; rules are
    /// indexed by the first.
    pub fn equalities(&self) -> Vec<(FieldId, String)> {
        let mut found: Vec<(FieldId, String)> = Vec::new();
        for (field, text) in equalities(&self.root) {
            if !found.iter().any(|(of, is)| *of == field && is == text) {
                found.push((field, text.to_owned()));
            }
        }
        found
    }

    /// Returns true if the condition holds for a record. Allocates nothing.
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

fn absent(node: &Node) -> Vec<FieldId> {
    match node {
        Node::Leaf(leaf) => leaf.absent().into_iter().collect(),
        Node::All(nodes) => nodes.iter().flat_map(absent).collect(),
        Node::Any(nodes) => common(nodes, absent),
    }
}

fn equalities(node: &Node) -> Vec<(FieldId, &str)> {
    match node {
        Node::Leaf(leaf) => leaf.equality().into_iter().collect(),
        Node::All(nodes) => nodes.iter().flat_map(equalities).collect(),
        Node::Any(nodes) => common(nodes, equalities),
    }
}

/// Returns what all branches have in common.
fn common<'tree, T: PartialEq>(nodes: &'tree [Node], of: fn(&'tree Node) -> Vec<T>) -> Vec<T> {
    let Some((first, others)) = nodes.split_first() else { return Vec::new() };
    let mut found = of(first);
    for other in others {
        let theirs = of(other);
        found.retain(|one| theirs.contains(one));
    }
    found
}
