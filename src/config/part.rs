//! Applies one layer to those before it, and merges the rules of all layers by name. Unit: one
//! layer.

use super::environment::{self, Environment};
use super::expand;
use super::fault::{Fault, Faults, Level, Located};
use super::file::{self, FileContents};
use super::layer::{Layer, Rank, unreadable};
use super::reader::Reader;
use super::settings::Config;
use super::tree::{self, Node, Source, Value};
use crate::export::endpoint::Endpoint;
use crate::rules::settings::{FormatSettings, RuleError, RuleSettings};
use crate::rules::syntax::nearest;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Maximum number of user rules in all layers; a thousand are expected.
const RULES_MAX: usize = 10_000;

/// The state of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayerState {
    /// All of its contents are in force.
    InForce,
    /// It has errors, and its previous contents are in force.
    Kept,
    /// It has errors and no previous contents: its readable settings are in force, its rules are
    /// not.
    LeftOut,
}

/// A layer that was read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rank: Rank,
    /// The text in force, or the text with errors if there is no other.
    pub(super) source: Source,
    pub(super) contents: FileContents,
    pub(super) faults: Faults,
    pub(super) state: LayerState,
    root: Option<Node>,
}

/// The origin of a merged rule or format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartOrigin {
    /// The index of the layer.
    pub(super) part: usize,
    /// The index of the rule or format in the layer.
    pub(super) rule: usize,
}

impl Part {
    /// Applies a layer to `config`.
    pub(super) fn read(layer: &Layer, environment: &Environment, config: &mut Config) -> Part {
        let name = layer.name.clone();
        let mut part = Part {
            rank: layer.rank,
            source: Source { name, text: String::new(), inside: layer.inside.clone() },
            contents: FileContents::default(),
            faults: Faults::default(),
            state: LayerState::InForce,
            root: None,
        };
        match &layer.text {
            Ok(text) => part.source.text.clone_from(text),
            Err(why) => {
                part.state = LayerState::LeftOut;
                part.faults.push(unreadable(&layer.name, why));
                return part;
            }
        }
        match tree::read(&part.source) {
            Ok(root) => part.root = root,
            Err(fault) => part.faults.push(*fault),
        }
        if let Some(root) = &mut part.root {
            let mut reader = Reader::new(&part.source);
            if layer.has_variables {
                expand::expand(&mut reader, root, environment);
            }
            part.contents = file::apply(&mut reader, root, config);
            part.faults = reader.faults;
            part.faults.sort();
        }
        if part.faults.has_errors() {
            part.state = LayerState::LeftOut;
        }
        part.only_the_cluster_is_final();
        part
    }

    /// Returns this layer in place of a newer text with these faults.
    pub(super) fn keeping(self, faults: Faults) -> Part {
        Part { faults, state: LayerState::Kept, ..self }
    }

    /// Ignores, with a warning, the final settings of any layer other than the cluster's.
    fn only_the_cluster_is_final(&mut self) {
        if self.rank == Rank::Cluster {
            return;
        }
        if let Some(first) = self.contents.finals.first() {
            let (start, end) = (first.start, first.end);
            let located = Some(self.source.find(start, end));
            self.faults.push(Fault {
                level: Level::Warning,
                path: "final".to_owned(),
                message:
                    "only the cluster's layer can make settings final, so this list is ignored"
                        .to_owned(),
                hint: Some("remove it; the platform sets it in SIDELIGHT_DEFAULTS".to_owned()),
                located,
            });
        }
        self.contents.finals.clear();
    }

    /// Returns the position of the value at a path, or of the nearest value around it.
    pub(super) fn find(&self, path: &str) -> Option<Located> {
        let mut node = self.root.as_ref()?;
        let mut found = None;
        for key in path.split('.') {
            let Value::Map(map) = &node.value else { break };
            // duplicate keys do not matter here, because such a file is refused
            let Some((_, value)) = map.iter().find(|(known, _)| known.key() == key) else { break };
            node = value;
            found = Some(value);
        }
        found.map(|node| self.source.find(node.start, node.end))
    }
}

/// Returns a fault if an output cannot be used although all of its values are valid. It is an error
/// if the values come from a file, but does not put the layer out of force: the rules in it still
/// count.
pub(super) fn unusable_output(
    config: &Config,
    parts: &[Arc<Part>],
    environment: &Environment,
) -> Option<Fault> {
    let export = &config.export;
    let endpoint = export.endpoint.as_deref().filter(|_| config.traces.enabled)?;
    let error = Endpoint::new(endpoint, export.protocol, &export.headers).err()?;
    let variable = environment::endpoint_variable(environment);
    let path = "export.endpoint";
    let located = parts.iter().rev().find_map(|part| part.find(path));
    Some(Fault {
        // the variable may be meant for an SDK that can use it
        level: if variable.is_some() { Level::Warning } else { Level::Error },
        path: variable.unwrap_or(path).to_owned(),
        message: format!("{error}: no span is built"),
        hint: Some(error.hint().to_owned()),
        located: located.filter(|_| variable.is_none()),
    })
}

/// Returns a fault if a text is the beginning of the previous one. A file that is written in place
/// is empty for a moment, and a full disk cuts it in the middle of a line. Neither means that all
/// rules are to be removed.
pub(super) fn truncated(name: &str, text: &str, before: &str) -> Option<Fault> {
    let rest = before.strip_prefix(text);
    let is_cut = !text.is_empty()
        && !text.ends_with('\n')
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['\n', '\r']));
    let is_empty = says_nothing(text) && !says_nothing(before);
    let message = match (is_cut, is_empty) {
        (_, true) => "the file says nothing any more, as if it were being written",
        (true, false) => "the file ends in the middle of a line that it had before",
        (false, false) => return None,
    };
    Some(Fault {
        level: Level::Error,
        path: name.to_owned(),
        message: message.to_owned(),
        hint: Some("write the file as a whole; a file without settings contains {}".to_owned()),
        located: None,
    })
}

/// Returns whether a text consists only of comments and document markers.
fn says_nothing(text: &str) -> bool {
    let is_nothing = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    text.lines().map(str::trim).all(is_nothing)
}

/// Merges the rules of all layers. A rule replaces those with its name in earlier layers, or
/// switches them off. `broken` includes the rules of layers with errors.
pub(super) fn merge(parts: &[Arc<Part>], broken: bool) -> (Vec<RuleSettings>, Vec<PartOrigin>) {
    let mut merged: Vec<Option<(RuleSettings, PartOrigin)>> = Vec::new();
    let mut count = 0;
    // the indices of the rules of earlier layers, by name
    let mut earlier: HashMap<String, Vec<usize>> = HashMap::new();
    for (part, of) in parts.iter().enumerate() {
        if of.state == LayerState::LeftOut && !broken {
            continue;
        }
        let begin = merged.len();
        for (rule, written) in of.contents.rules.iter().enumerate() {
            let entry = (written.rule.clone(), PartOrigin { part, rule });
            let replaced = if written.named {
                earlier.remove(&written.rule.name).unwrap_or_default()
            } else {
                Vec::new()
            };
            for place in &replaced {
                merged[*place] = None;
                count -= 1;
            }
            let place = replaced.first().copied();
            if !written.enabled || count >= RULES_MAX {
                continue;
            }
            count += 1;
            match place {
                Some(place) => merged[place] = Some(entry),
                None => merged.push(Some(entry)),
            }
        }
        let new = merged.iter().enumerate().filter_map(|(place, entry)| {
            let (rule, origin) = entry.as_ref()?;
            (place >= begin || origin.part == part).then_some((place, rule))
        });
        for (place, rule) in new {
            earlier.entry(rule.name.clone()).or_default().push(place);
        }
    }
    merged.into_iter().flatten().unzip()
}

/// Merges the formats of all layers in the order in which they are tried: those of later layers
/// first, and of each name only the last layer's. `broken`: also those of layers with errors.
pub(super) fn merge_formats(
    parts: &[Arc<Part>],
    broken: bool,
) -> (Vec<FormatSettings>, Vec<PartOrigin>) {
    let mut names: HashSet<&str> = HashSet::new();
    let mut merged = Vec::new();
    for (part, of) in parts.iter().enumerate().rev() {
        if of.state == LayerState::LeftOut && !broken {
            continue;
        }
        let written = of.contents.formats.iter().enumerate();
        let new = written.filter(|(_, one)| one.name.is_empty() || !names.contains(&*one.name));
        merged.extend(new.map(|(rule, one)| (one.clone(), PartOrigin { part, rule })));
        let named = of.contents.formats.iter().map(|one| &*one.name);
        names.extend(named.filter(|name| !name.is_empty()));
    }
    let number = |(number, (mut one, origin)): (usize, (FormatSettings, PartOrigin))| {
        if one.name.is_empty() {
            one.name = format!("format {}", number + 1);
        }
        (one, origin)
    };
    merged.into_iter().enumerate().map(number).unzip()
}

/// Warns about rules that switch off a rule that no layer contains.
pub(super) fn idle_switches(parts: &mut [Arc<Part>]) {
    let mut known: HashSet<String> = HashSet::new();
    for part in parts {
        let written = part.contents.rules.iter().enumerate();
        let idle: Vec<usize> = written
            .filter(|(_, one)| {
                one.named && !one.enabled && !one.does && !known.contains(&one.rule.name)
            })
            .map(|(index, _)| index)
            .collect();
        let mut faults = Faults::default();
        for index in idle {
            faults.add(Level::Warning, || idle_switch(part, index, &known));
        }
        known.extend(part.contents.rules.iter().map(|one| one.rule.name.clone()));
        if !faults.is_empty() {
            Arc::make_mut(part).faults.append(faults);
        }
    }
}

fn idle_switch(part: &Part, index: usize, known: &HashSet<String>) -> Fault {
    let name = &part.contents.rules[index].rule.name;
    let mut sorted: Vec<&str> = known.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let hint = match nearest(name, sorted) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "a group of standard metrics is switched off under metrics.groups".to_owned(),
    };
    let error = RuleError {
        path: format!("[{index}].name"),
        offset: 0,
        message: format!("no earlier layer has a rule `{name}` to switch off"),
        hint: Some(hint),
    };
    let fault = part.contents.places.locate(&part.source, &error);
    Fault { level: Level::Warning, ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_cut_is_seen() {
        let before = "a: 1\nrules:\n- x\n";
        for (text, cut) in [
            ("", true),
            ("# a comment\n---\n", true),
            ("a: 1\nru", true),
            ("a: 1\nrules:", false),
            ("a: 1\n", false),
            ("a: 1", false),
            ("a: 2\nru", false),
            ("{}\n", false),
            (before, false),
            ("a: 1\nrules:\n- xy\n", false),
        ] {
            assert_eq!(truncated("f", text, before).is_some(), cut, "{text:?}");
        }
        assert_eq!(truncated("f", "", "# nothing\n"), None, "it never said anything");
    }
}
