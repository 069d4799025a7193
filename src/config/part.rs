//! One layer read and laid over those before it, and the rules of all merged by name. Unit: one layer.

use super::environment::Environment;
use super::expand;
use super::fault::{Fault, Faults, Level, Located};
use super::file::{self, FileContents};
use super::layer::{Layer, Rank, unreadable};
use super::reader::Reader;
use super::settings::Config;
use super::tree::{self, Node, Source, Value};
use crate::rules::settings::{RuleError, RuleSettings};
use crate::rules::syntax::nearest;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Own rules of all layers together: a thousand are planned for.
const RULES_MAX: usize = 10_000;

/// What became of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// All that it says counts.
    InForce,
    /// It has errors: what it said before them stays.
    Kept,
    /// It has errors and never said anything else: its settings count as far as they can be read, its rules
    /// do not.
    LeftOut,
}

/// A layer that was read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rank: Rank,
    /// The text in force; the one with errors where there is no other.
    pub(super) source: Source,
    pub(super) said: FileContents,
    pub(super) faults: Faults,
    pub(super) state: State,
    root: Option<Node>,
}

/// Where a merged rule comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    /// The layer, by its place in the list.
    pub(super) part: usize,
    /// The rule, by its place in the layer.
    pub(super) rule: usize,
}

impl Part {
    /// Lays a layer over `config`.
    pub(super) fn read(layer: &Layer, environment: &Environment, config: &mut Config) -> Part {
        let name = layer.name.clone();
        let mut part = Part {
            rank: layer.rank,
            source: Source { name, text: String::new(), inside: layer.inside.clone() },
            said: FileContents::default(),
            faults: Faults::default(),
            state: State::InForce,
            root: None,
        };
        match &layer.text {
            Ok(text) => part.source.text.clone_from(text),
            Err(why) => {
                part.state = State::LeftOut;
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
            part.said = file::apply(&mut reader, root, config);
            part.faults = reader.faults;
            part.faults.sort();
        }
        if part.faults.has_errors() {
            part.state = State::LeftOut;
        }
        part.only_the_cluster_is_final();
        part
    }

    /// The same in the place of a newer text with these faults.
    pub(super) fn keeping(self, faults: Faults) -> Part {
        Part { faults, state: State::Kept, ..self }
    }

    /// What another layer calls final is no setting of its own, and no reason to leave it out.
    fn only_the_cluster_is_final(&mut self) {
        if self.rank == Rank::Cluster {
            return;
        }
        if let Some(first) = self.said.finals.first() {
            let (start, end) = (first.start, first.end);
            let located = Some(self.source.find(start, end));
            self.faults.push(Fault {
                level: Level::Warning,
                path: "final".to_owned(),
                message: "only the cluster's layer can make settings final".to_owned(),
                hint: Some("remove it; the platform says it in SIDELIGHT_DEFAULTS".to_owned()),
                located,
            });
        }
        self.said.finals.clear();
    }

    /// Where the value at a path stands, or what is nearest around it.
    pub(super) fn find(&self, path: &str) -> Option<Located> {
        let mut node = self.root.as_ref()?;
        let mut found = None;
        for key in path.split('.') {
            let Value::Map(map) = &node.value else { break };
            // of a key that stands there twice the last one counts nowhere: the file is refused
            let Some((_, value)) = map.iter().find(|(known, _)| known.key() == key) else { break };
            node = value;
            found = Some(value);
        }
        found.map(|node| self.source.find(node.start, node.end))
    }
}

/// Whether a text is what is left of the one before: a file that is written in place is empty for a moment,
/// and a disk that is full ends it in the middle of a line. Neither says that all rules are to go.
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
        hint: Some("write it whole; a file without settings says {}".to_owned()),
        located: None,
    })
}

/// Whether a text has nothing but comments and marks of a document.
fn says_nothing(text: &str) -> bool {
    let is_nothing = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    text.lines().map(str::trim).all(is_nothing)
}

/// The rules of all layers: one of a later layer takes the place of those with its name in earlier ones, or
/// switches them off. `broken`: those of layers with errors, too.
pub(super) fn merge(parts: &[Arc<Part>], broken: bool) -> (Vec<RuleSettings>, Vec<Origin>) {
    let mut merged: Vec<Option<(RuleSettings, Origin)>> = Vec::new();
    let mut count = 0;
    // the places of the rules of earlier layers, by name
    let mut earlier: HashMap<String, Vec<usize>> = HashMap::new();
    for (part, of) in parts.iter().enumerate() {
        if of.state == State::LeftOut && !broken {
            continue;
        }
        let begin = merged.len();
        for (rule, written) in of.said.rules.iter().enumerate() {
            let entry = (written.rule.clone(), Origin { part, rule });
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

/// Warns of rules that switch off what nobody has.
pub(super) fn idle_switches(parts: &mut [Arc<Part>]) {
    let mut known: HashSet<String> = HashSet::new();
    for part in parts {
        let written = part.said.rules.iter().enumerate();
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
        known.extend(part.said.rules.iter().map(|one| one.rule.name.clone()));
        if !faults.is_empty() {
            Arc::make_mut(part).faults.append(faults);
        }
    }
}

fn idle_switch(part: &Part, index: usize, known: &HashSet<String>) -> Fault {
    let name = &part.said.rules[index].rule.name;
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
    let fault = part.said.places.locate(&part.source, &error);
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
