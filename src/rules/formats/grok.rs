//! Expands grok patterns, `%{NAME:field:type}`, into a regular expression. The library of names is
//! the table `grok.txt`. Patterns of this syntax take linear time: an atomic group is an ordinary
//! one here, and look-around is refused. Unit: one format.

use super::expression::{self, Group};
use super::notation::{Context, Wrong};
use crate::decode::formats::Reader;
use crate::record::field::{
    CLIENT_ADDRESS, FieldId, FieldTable, HTTP_METHOD, HTTP_STATUS, SEVERITY, URL_PATH, USER_AGENT,
};
use crate::rules::extract::EXPANDED_BYTES_MAX;
use crate::rules::syntax::{SyntaxError, nearest};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The text of the library.
const LIBRARY: &str = include_str!("grok.txt");

/// How deep names may refer to others.
const DEPTH_MAX: usize = 24;

/// The library by name.
static NAMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = LIBRARY.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// What logstash's own names of fields mean, where the same key of a structured line means
/// something else or nothing.
const FIELDS: &[(&str, FieldId)] = &[
    ("clientip", CLIENT_ADDRESS),
    ("client", CLIENT_ADDRESS),
    ("source.address", CLIENT_ADDRESS),
    ("source.ip", CLIENT_ADDRESS),
    ("request", URL_PATH),
    ("response", HTTP_STATUS),
    ("verb", HTTP_METHOD),
    ("agent", USER_AGENT),
    ("loglevel", SEVERITY),
];

/// Compiles a pattern.
///
/// # Errors
/// Returns the position of a name that is unknown, or of what is no regular expression.
pub(super) fn compile(context: &Context<'_>, fields: &mut FieldTable) -> Result<Reader, Wrong> {
    let mut expander = Expander { own: &context.settings.patterns, groups: Vec::new() };
    let pattern = context.settings.pattern.as_str();
    let mut expanded = String::new();
    let mut origins = Vec::new();
    expander
        .expand(pattern, 0, &mut expanded, &mut |at, from| origins.push((at, from)))
        .map_err(|error| (None, error))?;
    expression::compile(&expanded, &expander.groups, context, fields).map_err(|(key, error)| {
        if key.is_some() {
            return (key, error);
        }
        // the position in the expanded text, as one in the text that was written
        let before = origins.iter().rev().find(|(at, _)| *at <= error.offset);
        let offset = before.map_or(error.offset, |(at, from)| from + (error.offset - at));
        (None, SyntaxError { offset: offset.min(pattern.len()), ..error })
    })
}

struct Expander<'a> {
    own: &'a [(String, String)],
    groups: Vec<Group>,
}

impl Expander<'_> {
    /// Appends a pattern with its names replaced. `origin` receives a position of the
    /// result, and the one of the pattern from which it comes.
    fn expand(
        &mut self,
        pattern: &str,
        depth: usize,
        into: &mut String,
        origin: &mut dyn FnMut(usize, usize),
    ) -> Result<(), SyntaxError> {
        let mut rest = pattern;
        while let Some(found) = rest.find("%{") {
            let at = pattern.len() - rest.len() + found;
            origin(into.len(), at - found);
            plain(&rest[..found], into);
            let behind = &rest[found + 2..];
            let Some(length) = behind.find('}') else {
                return Err(SyntaxError::new(at, "`%{` is not closed by `}`"));
            };
            origin(into.len(), at);
            self.reference(&behind[..length], at + 2, depth, into)?;
            rest = &behind[length + 1..];
            if into.len() > EXPANDED_BYTES_MAX {
                let message = format!("expanded, it is longer than {EXPANDED_BYTES_MAX} bytes");
                return Err(SyntaxError::new(at, message));
            }
        }
        origin(into.len(), pattern.len() - rest.len());
        plain(rest, into);
        Ok(())
    }

    /// Appends what `NAME:field:type` means.
    fn reference(
        &mut self,
        inside: &str,
        at: usize,
        depth: usize,
        into: &mut String,
    ) -> Result<(), SyntaxError> {
        let (name, rest) = inside.split_once(':').unwrap_or((inside, ""));
        let (field, kind) = rest.split_once(':').unwrap_or((rest, ""));
        if !matches!(kind, "" | "int" | "float" | "long" | "double" | "string" | "boolean") {
            let error = SyntaxError::new(at, format!("`{kind}` is no type"));
            return Err(error.hint("one of int, long, float, double, string, boolean"));
        }
        let own = self.own.iter().find(|(known, _)| known == name);
        let pattern = match own {
            Some((_, pattern)) => pattern.clone(),
            None => match NAMES.get(name) {
                Some(pattern) => (*pattern).to_owned(),
                None => return Err(self.unknown(name, at)),
            },
        };
        if depth >= DEPTH_MAX {
            let message = format!("`{name}` refers to itself, or names are nested too deeply");
            return Err(SyntaxError::new(at, message));
        }
        if field.is_empty() {
            into.push_str("(?:");
        } else {
            let group = format!("grok{}", self.groups.len());
            into.push_str("(?<");
            into.push_str(&group);
            into.push('>');
            let field = dotted(field);
            let to = FIELDS.iter().find(|(known, _)| *known == field).map(|(_, to)| *to);
            self.groups.push(Group { name: group, field, to });
        }
        self.expand(&pattern, depth + 1, into, &mut |_, _| {})
            .map_err(|error| SyntaxError { offset: at, ..error })?;
        into.push(')');
        Ok(())
    }

    fn unknown(&self, name: &str, at: usize) -> SyntaxError {
        let mut known: Vec<&str> = self.own.iter().map(|(name, _)| name.as_str()).collect();
        let mut library: Vec<&str> = NAMES.keys().copied().collect();
        library.sort_unstable();
        known.extend(library);
        let error = SyntaxError::new(at, format!("no grok pattern is named `{name}`"));
        match nearest(name, known) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint("define it: patterns: {NAME: 'expression'}"),
        }
    }
}

/// Appends an expression; an atomic group becomes an ordinary one, and a possessive repetition an
/// ordinary one: they differ only in how often a backtracking engine tries.
fn plain(text: &str, into: &mut String) {
    into.push_str(&text.replace("(?>", "(?:"));
}

/// Returns `http.request.method` of `[http][request][method]`.
fn dotted(field: &str) -> String {
    match field.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.replace("][", "."),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: every name of the library compiles by itself, and none is defined twice.
    #[test]
    fn the_library_compiles() {
        let lines = LIBRARY.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(lines.count(), NAMES.len(), "a name twice, or a line without a pattern");
        assert!(NAMES.len() >= 100, "{}", NAMES.len());
        for name in NAMES.keys() {
            let mut expander = Expander { own: &[], groups: Vec::new() };
            let mut text = String::new();
            expander
                .expand(&format!("^%{{{name}:all}}$"), 0, &mut text, &mut |_, _| {})
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            crate::rules::extract::format_pattern(&text)
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
    }
}
