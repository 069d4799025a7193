//! Evaluates whether a rule applies to a record, and if not, why. The pipeline and `explain` share
//! this code, so that they cannot disagree. Pure; allocates only for the first match of a rule with
//! a pattern. Unit: one rule and one record.

use super::extract::{Captures, Extract};
use super::select::Condition;
use crate::record::Record;
use crate::record::field::{self, FieldId};

/// The conditions under which a rule applies.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    /// The bits of the fields that the rule requires.
    pub required: u64,
    /// The required fields that have no bit.
    pub required_extended: Box<[FieldId]>,
    /// The condition, if the rule has one.
    pub condition: Option<Condition>,
    /// The pattern and the field that it is matched against, if the rule has one.
    pub extract: Option<(FieldId, Extract)>,
}

/// The result for one record.
#[derive(Clone, Copy, Debug)]
pub enum Evaluation<'a> {
    /// The rule applies; contains the match of its pattern, if it has one.
    Applies(Option<Match<'a>>),
    /// The record lacks this required field.
    FieldAbsent(FieldId),
    /// The condition is false or unknown.
    ConditionNotTrue,
    /// The pattern does not match.
    PatternDoesNotMatch,
}

/// A match of a rule's pattern.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    pattern: &'a Extract,
    groups: &'a Captures,
    haystack: &'a str,
}

impl<'a> Match<'a> {
    /// Returns the text of the group with this number, if the group took part in the match.
    pub fn group(&self, number: usize) -> Option<&'a str> {
        self.pattern.group(number, self.haystack, self.groups)
    }

    /// Returns the names of the groups, in the order of the pattern.
    pub fn names(&self) -> &'a [String] {
        self.pattern.names()
    }
}

impl Criteria {
    /// Evaluates one record. `captures` is memory that is reused from record to record; only this
    /// rule may use it.
    pub fn evaluate<'a>(
        &'a self,
        record: &Record<'a>,
        captures: &'a mut Option<Captures>,
    ) -> Evaluation<'a> {
        if let Some(absent) = self.absent(record) {
            return Evaluation::FieldAbsent(absent);
        }
        if self.condition.as_ref().is_some_and(|condition| !condition.holds(record)) {
            return Evaluation::ConditionNotTrue;
        }
        let Some((of, pattern)) = &self.extract else { return Evaluation::Applies(None) };
        let text = if *of == field::BODY { Some(record.body()) } else { record.text(*of) };
        let Some(haystack) = text else { return Evaluation::FieldAbsent(*of) };
        let groups = captures.get_or_insert_with(|| pattern.captures());
        if pattern.read(haystack, groups) {
            Evaluation::Applies(Some(Match { pattern, groups, haystack }))
        } else {
            Evaluation::PatternDoesNotMatch
        }
    }

    /// Returns the first required field that the record lacks.
    fn absent(&self, record: &Record<'_>) -> Option<FieldId> {
        let missing = self.required & !record.present();
        if missing != 0 {
            return Some(FieldId(missing.trailing_zeros() as u16));
        }
        self.required_extended.iter().copied().find(|field| record.entry(*field).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::record::field::FieldTable;
    use crate::record::slots::SlotValue;
    use crate::record::{Decoded, Envelope};

    /// Evaluates a rule over a record with the fields `key=value` of the line.
    fn check(condition: Option<&str>, extract: Option<(&str, &str)>, line: &str, expected: &str) {
        let mut fields = FieldTable::standard();
        let condition =
            condition.map(|text| Condition::parse(text, &mut fields).expect("a condition"));
        let extract = extract.map(|(name, pattern)| {
            (fields.intern(name), Extract::compile(pattern).expect("a pattern"))
        });
        let mut required = condition.as_ref().map_or_else(Vec::new, Condition::required);
        required.extend(extract.as_ref().map(|(of, _)| *of));
        let criteria = Criteria {
            required: required.iter().fold(0, |mask, field| mask | field.bit()),
            required_extended: required.into_iter().filter(|f| f.bit() == 0).collect(),
            condition,
            extract,
        };
        let mut decoded = Decoded::new();
        for word in line.split(' ') {
            let (key, value) = word.split_once('=').expect("key=value");
            let start = value.as_ptr() as usize - line.as_ptr() as usize;
            decoded.slots.put(fields.intern(key), SlotValue::text(start, start + value.len()));
        }
        let record = Record::new(line, &decoded, UnixNanos(1), Envelope::default());
        let mut captures = None;
        let shown = match criteria.evaluate(&record, &mut captures) {
            Evaluation::Applies(None) => "applies".to_owned(),
            Evaluation::Applies(Some(found)) => format!("applies with {:?}", found.group(0)),
            Evaluation::FieldAbsent(field) => format!("{} is absent", fields.name(field)),
            Evaluation::ConditionNotTrue => "condition".to_owned(),
            Evaluation::PatternDoesNotMatch => "pattern".to_owned(),
        };
        assert_eq!(shown, expected, "{line}");
    }

    #[test]
    fn every_outcome_has_its_reason() {
        check(None, None, "a=1", "applies");
        check(Some("a == \"1\""), None, "a=1", "applies");
        check(Some("a == \"1\""), None, "a=2", "condition");
        check(Some("a == \"1\""), None, "b=2", "a is absent");
        check(None, Some(("a", "x(?<n>[0-9]+)")), "a=x17", "applies with Some(\"17\")");
        check(None, Some(("a", "x(?<n>[0-9]+)")), "a=y17", "pattern");
        check(None, Some(("a", "x(?<n>[0-9]+)")), "b=x17", "a is absent");
        check(Some("b == \"1\""), Some(("a", "(?<n>.)")), "a=1 b=2", "condition");
    }
}
