//! Finds parts of rules that are valid and cannot have an effect: the misspelled name of a field,
//! and a label that is always empty. Pure. Unit: one rule.

use crate::config::Loaded;
use crate::config::fault::{Fault, Level};
use crate::record::field::{FIRST_OWN, FieldId, FieldTable};
use crate::rules::select::Condition;
use crate::rules::settings::{
    MetricKind, MetricSettings, RuleError, RuleSettings, RulesSettings, ValueSettings,
};
use crate::rules::syntax::is_typo;
use std::collections::BTreeSet;

/// The shortest name that is compared: shorter ones differ by one letter from many words.
const NAME_BYTES_MIN: usize = 5;

/// The most names that are compared, because each is compared with the whole dictionary.
const NAMES_MAX: usize = 1_000;

/// Returns warnings about the user's rules.
pub(super) fn warnings(loaded: &Loaded) -> Vec<Fault> {
    let mut names = Names::new(&loaded.config.rules);
    let mut found = Vec::new();
    for (index, rule) in loaded.config.rules.own.iter().enumerate() {
        let at = format!("[{index}]");
        misspelled(&at, rule, &mut names, &mut found);
        empty_labels(&at, rule, &mut found);
    }
    let mut warnings = loaded.locate_all(&found);
    for fault in &mut warnings {
        fault.level = Level::Warning;
    }
    warnings
}

/// The names of fields that occur in lines.
struct Names {
    standard: FieldTable,
    /// The patterns of the user's formats, which define names.
    formats: String,
    /// Names that were compared already.
    compared: BTreeSet<String>,
}

impl Names {
    fn new(rules: &RulesSettings) -> Names {
        let mut formats = String::new();
        for format in &rules.formats {
            formats.push_str(&format.pattern);
            for (name, field) in format.fields.iter().chain(&format.patterns) {
                formats.extend([" ", name, " ", field, " "]);
            }
        }
        Names { standard: FieldTable::standard(), formats, compared: BTreeSet::new() }
    }

    fn is_known(&self, name: &str) -> bool {
        let mut ids = (0..FIRST_OWN).map(FieldId);
        self.standard.binding(name).is_some() || ids.any(|id| self.standard.name(id) == name)
    }

    /// Returns the known name that this one was meant to be: it differs by one letter or by a swap
    /// of two. A plural is another word.
    fn meant(&mut self, name: &str) -> Option<String> {
        let (parents, word) = match name.rfind('.') {
            Some(at) => name.split_at(at + 1),
            None => ("", name),
        };
        let is_new = self.compared.len() < NAMES_MAX && self.compared.insert(name.to_owned());
        let is_short = word.len() < NAME_BYTES_MIN;
        if !is_new || is_short || self.is_known(name) || self.formats.contains(word) {
            return None;
        }
        let own = (0..FIRST_OWN).map(|id| self.standard.name(FieldId(id)));
        let words = own.chain(self.standard.keys()).filter(|key| is_similar(word, key));
        let best = words.min_by_key(|key| (key.len().abs_diff(word.len()), *key))?;
        Some(format!("{parents}{best}"))
    }
}

/// Returns whether a word is a known one with a typing error.
fn is_similar(word: &str, known: &str) -> bool {
    let is_plural = |one: &str, other: &str| one.strip_suffix('s') == Some(other);
    let without_digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    known.len() >= NAME_BYTES_MIN
        && word.as_bytes().first() == known.as_bytes().first()
        && !is_plural(word, known)
        && !is_plural(known, word)
        && without_digits(word) != without_digits(known)
        && is_typo(word, known)
}

/// Warns of names that no format has and that are similar to one that a format has.
fn misspelled(at: &str, rule: &RuleSettings, names: &mut Names, found: &mut Vec<RuleError>) {
    for (path, offset, name) in named(at, rule) {
        if let Some(meant) = names.meant(&name) {
            found.push(RuleError {
                path,
                offset,
                message: format!("no format that sidelight knows has a field `{name}`"),
                hint: Some(format!("did you mean `{meant}`?")),
            });
        }
    }
}

/// Returns the fields that a rule names: the path of the value, the offset in it, and the name.
fn named(at: &str, rule: &RuleSettings) -> Vec<(String, usize, String)> {
    let mut all = Vec::new();
    if let Some(text) = &rule.when {
        let mut fields = FieldTable::standard();
        // an error in the condition is reported by the compiler
        let _ = Condition::parse(text, &mut fields);
        for id in FIRST_OWN..fields.len() as u16 {
            let name = fields.name(FieldId(id)).to_owned();
            all.push((format!("{at}.when"), text.find(&name).unwrap_or(0), name));
        }
    }
    if let Some(name) = rule.extract.as_ref().and_then(|extract| extract.field.clone()) {
        all.push((format!("{at}.extract.field"), 0, name));
    }
    for (number, metric) in rule.metrics.iter().enumerate() {
        let path = format!("{at}.metrics[{number}]");
        for (name, from) in sources(metric) {
            if let ValueSettings::Field(field) = from {
                all.push((format!("{path}.{name}"), 0, field.clone()));
            }
        }
    }
    all
}

/// Returns the sources of a metric, with the keys that name them.
fn sources(metric: &MetricSettings) -> Vec<(String, &ValueSettings)> {
    let labels = metric.labels.iter().map(|(name, from)| (format!("labels.{name}"), from));
    let mut all: Vec<(String, &ValueSettings)> = labels.collect();
    match &metric.kind {
        MetricKind::Counter { by } => all.extend(by.as_ref().map(|by| ("by".to_owned(), by))),
        MetricKind::Gauge { value, .. } | MetricKind::Histogram { value, .. } => {
            all.push(("value".to_owned(), value));
        }
    }
    all
}

/// Warns of labels that have no value in any record to which the rule applies.
fn empty_labels(at: &str, rule: &RuleSettings, found: &mut Vec<RuleError>) {
    let mut fields = FieldTable::standard();
    let condition = rule.when.as_ref().and_then(|text| Condition::parse(text, &mut fields).ok());
    let absent: Vec<FieldId> = condition.as_ref().map(Condition::absent).unwrap_or_default();
    for (number, metric) in rule.metrics.iter().enumerate() {
        for (name, from) in &metric.labels {
            let why = match from {
                ValueSettings::Constant(text) if text.is_empty() => "its value is empty".to_owned(),
                ValueSettings::Field(field) if absent.contains(&fields.intern(field)) => {
                    format!("the rule applies only to records without `{field}`")
                }
                ValueSettings::Constant(_) | ValueSettings::Field(_) => continue,
                ValueSettings::Capture(_) => continue,
            };
            found.push(RuleError {
                path: format!("{at}.metrics[{number}].labels.{name}"),
                offset: 0,
                message: format!("the label `{name}` is always empty: {why}"),
                hint: Some("remove it, or name another field".to_owned()),
            });
        }
    }
}
