//! Which rules a record of a given shape can meet at all. The shape is the mask of the fields that are
//! there; an application has a handful, and each is planned once. Bounded: `PLANS_MAX` shapes, then all
//! are forgotten and planned again.

use super::memo::INPUTS_MAX;
use crate::record::field::{self, FieldId};
use crate::rules::action::{Action, Label, Measure};
use crate::rules::{On, RuleSet};
use std::collections::HashMap;

/// Shapes that are remembered: four optional fields make 16, ten make 1,024.
const PLANS_MAX: usize = 1_024;

/// Measures that share one lookup, because the labels of all are made of the same few fields.
#[derive(Debug)]
pub(super) struct Group {
    /// Its name in the memo; never 0. The same fields and measures have the same number in every plan.
    pub(super) number: u32,
    /// The fields, as far as records of this shape have them.
    pub(super) inputs: Vec<FieldId>,
    /// The measures.
    pub(super) measures: Vec<Measure>,
    /// Method, status and a path are there: what the fields tell beside the measures is a status code.
    pub(super) request: bool,
    /// Which of the measures are a request's; the others are every record's.
    pub(super) of_request: std::ops::Range<usize>,
    /// The request's measures wait for a status code that is one.
    pub(super) strict: bool,
}

/// Rules that are found by the value of one field.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) field: FieldId,
    pub(super) cases: HashMap<Box<str>, Vec<usize>>,
}

/// What is to be done with records of one shape. Rules are numbers in the rule set's list.
#[derive(Debug)]
pub(super) struct Plan {
    present: u64,
    /// Severity and service, with every measure that is made of them: for every record. Where method, status
    /// and a path are there, the requests' measures too: one lookup tells all.
    pub(super) base: Group,
    /// The measures of functions that completed and that failed, whose only label is the function.
    pub(super) completed: Option<Group>,
    pub(super) failed: Option<Group>,
    /// A user's own measures without condition.
    pub(super) always: Vec<Group>,
    /// The beginning of a request may be told of: it has no status yet, but an id.
    pub(super) begins: bool,
    /// A query may be told of.
    pub(super) query: bool,
    /// An exception is told of, whatever the severity.
    pub(super) exception: bool,
    /// The record names a span of its own: an exemplar can point at it.
    pub(super) linked: bool,
    /// Rules to be asked one by one.
    pub(super) asked: Vec<usize>,
    /// Rules found by a constant.
    pub(super) switches: Vec<Switch>,
}

/// The plans of one data thread.
#[derive(Debug, Default)]
pub(super) struct Plans {
    list: Vec<Plan>,
    by_shape: HashMap<u64, usize>,
    last: usize,
    numbers: HashMap<(Vec<FieldId>, Vec<u16>), u32>,
}

impl Plans {
    /// Forgets all: the rules changed.
    pub(super) fn forget(&mut self) {
        *self = Plans::default();
    }

    /// The plan for a shape.
    #[inline]
    pub(super) fn of(&mut self, present: u64, rules: &RuleSet) -> &Plan {
        if self.list.get(self.last).is_none_or(|plan| plan.present != present) {
            self.last = self.find(present, rules);
        }
        &self.list[self.last]
    }

    fn find(&mut self, present: u64, rules: &RuleSet) -> usize {
        if let Some(&known) = self.by_shape.get(&present) {
            return known;
        }
        self.make(present, rules)
    }

    #[cold]
    fn make(&mut self, present: u64, rules: &RuleSet) -> usize {
        if self.list.len() >= PLANS_MAX {
            self.list.clear();
            self.by_shape.clear();
        }
        let plan = self.plan(present, rules);
        self.list.push(plan);
        self.by_shape.insert(present, self.list.len() - 1);
        self.list.len() - 1
    }

    fn plan(&mut self, present: u64, rules: &RuleSet) -> Plan {
        let has = |field: FieldId| present & field.bit() != 0;
        let severity = [Label::Service, Label::Level];
        let mut base =
            Drawn { inputs: inputs(&severity, present).unwrap_or_default(), measures: vec![] };
        let mut always: Vec<Drawn> = Vec::new();
        let mut request = Drawn::default();
        let mut asked = Vec::new();
        let mut switches: Vec<Switch> = Vec::new();
        for (number, rule) in rules.rules.iter().enumerate() {
            // those with an extended field are asked by the records that have it, see `Lane::ask`
            if !rule.may_apply(present) || !rule.required_extended.is_empty() {
                continue;
            }
            let simple = rule.condition.is_none() && rule.extract.is_none();
            match rule.on {
                On::Record if simple => {
                    for measure in rule.measures() {
                        draw(measure, present, &mut base, &mut always, &mut asked, number);
                    }
                    if rule.actions.iter().any(|a| !matches!(a, Action::Measure(_))) {
                        asked.push(number);
                    }
                }
                On::Record => match &rule.equality {
                    Some((field, constant)) => switch(&mut switches, *field, constant, number),
                    None => asked.push(number),
                },
                On::Request => {
                    for measure in rule.measures() {
                        request.measures.push(measure.clone());
                        merge(&mut request.inputs, inputs(&measure.labels, present));
                    }
                }
                On::Query | On::Error | On::Completed | On::Failed => {}
            }
        }
        asked.dedup();
        let is_request = has(field::HTTP_METHOD)
            && has(field::HTTP_STATUS)
            && (has(field::HTTP_ROUTE) || has(field::URL_PATH));
        // requests are recognised, for spans and health, also where their metrics are off
        merge(&mut request.inputs, Some(vec![field::HTTP_STATUS]));
        let every = base.measures.len();
        let strict = is_request && request.inputs.first() == Some(&field::HTTP_STATUS);
        if is_request {
            merge(&mut base.inputs, Some(request.inputs));
            base.measures.append(&mut request.measures);
        }
        let of_request = every..base.measures.len();
        Plan {
            present,
            base: Group { request: is_request, of_request, strict, ..self.number(base) },
            completed: self.told(rules, On::Completed),
            failed: self.told(rules, On::Failed),
            always: always.into_iter().map(|drawn| self.number(drawn)).collect(),
            begins: has(field::HTTP_METHOD)
                && !has(field::HTTP_STATUS)
                && (has(field::REQUEST_ID) || has(field::TRACE_ID)),
            query: has(field::DB_QUERY) || has(field::DB_OPERATION),
            exception: has(field::EXCEPTION_STACKTRACE) || has(field::EXCEPTION_TYPE),
            linked: has(field::SPAN_ID) || has(field::TRACEPARENT),
            asked,
            switches,
        }
    }

    /// The measures of an occasion that the function's name alone decides; None where more does.
    fn told(&mut self, rules: &RuleSet, on: On) -> Option<Group> {
        let rules = rules.standard().filter(|rule| rule.on == on);
        let measures: Vec<_> = rules.flat_map(|rule| rule.measures().cloned()).collect();
        let mut labels = measures.iter().flat_map(|measure| &measure.labels);
        labels
            .all(|label| *label == Label::Function)
            .then(|| self.number(Drawn { inputs: Vec::new(), measures }))
    }

    fn number(&mut self, drawn: Drawn) -> Group {
        let families = drawn.measures.iter().map(|measure| measure.family.0).collect();
        let next = self.numbers.len() as u32 + 1;
        let number = *self.numbers.entry((drawn.inputs.clone(), families)).or_insert(next);
        let Drawn { inputs, measures } = drawn;
        Group { number, inputs, measures, request: false, of_request: 0..0, strict: false }
    }
}

/// A group that has no number yet.
#[derive(Debug, Default)]
struct Drawn {
    inputs: Vec<FieldId>,
    measures: Vec<Measure>,
}

/// Puts a measure into the first group whose fields make its labels, or into one of its own; where its
/// labels are not made of a few fields alone, its rule is asked for every record.
fn draw(
    measure: &Measure,
    present: u64,
    base: &mut Drawn,
    always: &mut Vec<Drawn>,
    asked: &mut Vec<usize>,
    rule: usize,
) {
    match inputs(&measure.labels, present) {
        Some(of) if of.iter().all(|field| base.inputs.contains(field)) => {
            base.measures.push(measure.clone());
        }
        Some(of) if of.len() <= INPUTS_MAX => {
            let held = always.iter_mut().find(|group| of.iter().all(|f| group.inputs.contains(f)));
            match held {
                Some(group) => group.measures.push(measure.clone()),
                None => always.push(Drawn { inputs: of, measures: vec![measure.clone()] }),
            }
        }
        _ => asked.push(rule),
    }
}

fn switch(switches: &mut Vec<Switch>, field: FieldId, constant: &str, rule: usize) {
    let switch = match switches.iter_mut().position(|switch| switch.field == field) {
        Some(known) => &mut switches[known],
        None => {
            switches.push(Switch { field, cases: HashMap::new() });
            let newest = switches.len() - 1;
            &mut switches[newest]
        }
    };
    switch.cases.entry(Box::from(constant)).or_default().push(rule);
}

/// The fields that labels are made of, as far as they are there; None where they are made of more.
fn inputs(labels: &[Label], present: u64) -> Option<Vec<FieldId>> {
    let mut all = Vec::new();
    for label in labels {
        for field in label.inputs()? {
            if field.bit() == 0 {
                return None;
            }
            // of a route and a path the route decides
            let shadowed = field == field::URL_PATH && present & field::HTTP_ROUTE.bit() != 0;
            if present & field.bit() != 0 && !shadowed && !all.contains(&field) {
                all.push(field);
            }
        }
    }
    Some(all)
}

fn merge(into: &mut Vec<FieldId>, more: Option<Vec<FieldId>>) {
    for field in more.unwrap_or_default() {
        if !into.contains(&field) {
            into.push(field);
        }
    }
}
