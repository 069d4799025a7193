//! One layer read and laid over those before it, and the rules of all merged by name. Unit: one layer.

use super::fault::{Fault, Level, Located};
use super::file::{self, Said};
use super::layer::{Layer, Rank, unreadable};
use super::reader::Reader;
use super::settings::Config;
use super::tree::{self, Node, Source, Value};
use crate::rules::settings::{RuleError, RuleSettings};
use crate::rules::syntax::nearest;

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
    pub(super) said: Said,
    pub(super) faults: Vec<Fault>,
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
    pub(super) fn read(layer: &Layer, config: &mut Config) -> Part {
        let name = layer.name.clone();
        let mut part = Part {
            rank: layer.rank,
            source: Source { name, text: String::new(), inside: layer.inside.clone() },
            said: Said::default(),
            faults: Vec::new(),
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
        if let Some(root) = &part.root {
            let mut reader = Reader::new(&part.source);
            part.said = file::apply(&mut reader, root, config);
            part.faults = reader.faults;
            let place =
                |fault: &Fault| fault.located.as_ref().map_or((0, 0), |l| (l.line, l.column));
            part.faults.sort_by_key(place);
        }
        if part.faults.iter().any(|fault| fault.level == Level::Error) {
            part.state = State::LeftOut;
        }
        part.only_the_cluster_is_final();
        part
    }

    /// The same in the place of a newer text with these faults.
    pub(super) fn keeping(self, faults: Vec<Fault>) -> Part {
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

/// The rules of all layers: one of a later layer takes the place of those with its name in earlier ones, or
/// switches them off. `broken`: those of layers with errors, too.
pub(super) fn merge(parts: &[Part], broken: bool) -> (Vec<RuleSettings>, Vec<Origin>) {
    let mut merged: Vec<(RuleSettings, Origin)> = Vec::new();
    for (part, of) in parts.iter().enumerate() {
        if of.state == State::LeftOut && !broken {
            continue;
        }
        let earlier = merged.len();
        for (rule, written) in of.said.rules.iter().enumerate() {
            let entry = (written.rule.clone(), Origin { part, rule });
            let meant = |(other, origin): &(RuleSettings, Origin)| {
                origin.part < part && written.named && other.name == written.rule.name
            };
            let place = merged[..earlier.min(merged.len())].iter().position(meant);
            match place {
                Some(at) if written.enabled => {
                    merged[at] = entry;
                    merged.retain(|other| !meant(other));
                }
                Some(_) => merged.retain(|other| !meant(other)),
                None if written.enabled && merged.len() < RULES_MAX => merged.push(entry),
                None => {}
            }
        }
    }
    merged.into_iter().unzip()
}

/// Warns of rules that switch off what nobody has.
pub(super) fn idle_switches(parts: &mut [Part]) {
    let mut known: Vec<String> = Vec::new();
    for part in parts {
        let written = part.said.rules.iter().enumerate();
        let idle = written.filter(|(_, one)| {
            one.named && !one.enabled && !one.does && !known.contains(&one.rule.name)
        });
        let mut faults = Vec::new();
        for (index, one) in idle {
            let name = &one.rule.name;
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    "a group of standard metrics is switched off under metrics.groups".to_owned()
                }
            };
            let error = RuleError {
                path: format!("[{index}].name"),
                offset: 0,
                message: format!("no earlier layer has a rule `{name}` to switch off"),
                hint: Some(hint),
            };
            let fault = part.said.places.locate(&part.source, &error);
            faults.push(Fault { level: Level::Warning, ..fault });
        }
        part.faults.extend(faults);
        known.extend(part.said.rules.iter().map(|one| one.rule.name.clone()));
    }
}
