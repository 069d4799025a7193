//! Plans which rules can apply to a record of a given shape. The shape is the mask of the fields
//! that are present; an application has a handful of shapes, and each is planned once. Bounded:
//! after `PLANS_MAX` shapes, all plans are discarded and made again.

use crate::record::field::{self, FieldId};
use crate::rules::action::{Action, Label, Measure};
use crate::rules::set::{On, Rule, RuleSet};
use std::collections::HashMap;

/// The number of cached shapes: four optional fields make 16, ten make 1,024.
const PLANS_MAX: usize = 1_024;

/// The number of plans that are found without the map: lines of a few shapes usually alternate.
const RECENT: usize = 64;

/// The most fields on which one lookup may depend.
pub(super) const INPUTS_MAX: usize = 8;

/// Measures that share one lookup, because their labels are made of the same few fields.
#[derive(Debug)]
pub(super) struct Group {
    /// Its number in the memo, never 0. The same fields and measures have the same number in every
    /// plan.
    pub(super) number: u32,
    /// The input fields that records of this shape have.
    pub(super) inputs: Vec<FieldId>,
    /// The measures of the group.
    pub(super) measures: Vec<Measure>,
    /// The record has a method, a status and a path: if the status is a valid code, it is a
    /// request.
    pub(super) is_request: bool,
    /// The range of the measures that count requests; the others count every record.
    pub(super) request_measures: std::ops::Range<usize>,
}

/// Rules that are selected by the value of one field.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) field: FieldId,
    pub(super) cases: HashMap<Box<str>, Vec<usize>>,
}

/// What to do with records of one shape. Rules are given by their index in the rule set.
#[derive(Debug)]
pub(super) struct Plan {
    present: u64,
    /// The measures of every record, with labels made of severity and service. If a method, a
    /// status and a path are present, it also contains the measures of requests, so that one lookup
    /// finds all series.
    pub(super) base: Group,
    /// The measures of completed and failed functions; their only label is the function.
    pub(super) completed: Option<Group>,
    pub(super) failed: Option<Group>,
    /// The user's measures without a condition.
    pub(super) always: Vec<Group>,
    /// The record may report the start of a request: it has a method and an id, but no status yet.
    pub(super) may_start_request: bool,
    /// The record may describe a database query.
    pub(super) may_be_query: bool,
    /// The record has fields of an exception, which counts whatever the severity.
    pub(super) has_exception: bool,
    /// The record has a span id, which an exemplar can point at.
    pub(super) has_span_id: bool,
    /// Rules that are evaluated for every record of this shape.
    pub(super) evaluated: Vec<usize>,
    /// Rules that are selected by a constant.
    pub(super) switches: Vec<Switch>,
}

impl Plan {
    /// Returns true if some rules have to be evaluated for records of this shape.
    #[inline]
    pub(super) fn evaluates_rules(&self) -> bool {
        !self.evaluated.is_empty() || !self.switches.is_empty()
    }
}

/// The plans of one data thread.
#[derive(Debug)]
pub(super) struct Plans {
    list: Vec<Plan>,
    by_shape: HashMap<u64, usize>,
    /// By a hash of the shape: the position in `list` of the plan that was last used with this hash.
    recent: [u16; RECENT],
    numbers: HashMap<(Vec<FieldId>, Vec<u16>), u32>,
}

impl Default for Plans {
    fn default() -> Plans {
        Plans {
            list: Vec::new(),
            by_shape: HashMap::new(),
            recent: [0; RECENT],
            numbers: HashMap::new(),
        }
    }
}

impl Plans {
    /// Discards all plans after the rules have changed.
    pub(super) fn forget(&mut self) {
        *self = Plans::default();
    }

    /// Returns the plan for a shape.
    #[inline]
    pub(super) fn of(&mut self, present: u64, rules: &RuleSet) -> &Plan {
        let hash = (present.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % RECENT;
        let mut at = usize::from(self.recent[hash]);
        if self.list.get(at).is_none_or(|plan| plan.present != present) {
            at = self.find(present, rules);
            self.recent[hash] = at as u16;
        }
        &self.list[at]
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
            GroupDraft { inputs: inputs(&severity, present).unwrap_or_default(), measures: vec![] };
        let mut always: Vec<GroupDraft> = Vec::new();
        let mut request = GroupDraft::default();
        let mut evaluated = Vec::new();
        let mut switches: Vec<Switch> = Vec::new();
        for (number, rule) in rules.rules.iter().enumerate() {
            // Rules that require an extended field are found through `RuleSet::by_extended`.
            if !rule.may_apply(present) || !rule.criteria.required_extended.is_empty() {
                continue;
            }
            let simple = rule.criteria.condition.is_none() && rule.criteria.extract.is_none();
            match rule.on {
                On::Record if simple => {
                    let groups = (&mut base, &mut always);
                    plan_rule(rule, number, present, groups, &mut evaluated);
                }
                On::Record => match &rule.equality {
                    Some((field, constant)) => add_case(&mut switches, *field, constant, number),
                    None => evaluated.push(number),
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
        evaluated.dedup();
        let is_request = is_request(present);
        // Requests are recognised for spans and health even if their metrics are off.
        merge(&mut request.inputs, Some(vec![field::HTTP_STATUS]));
        let every = base.measures.len();
        if is_request {
            merge(&mut base.inputs, Some(request.inputs));
            base.measures.append(&mut request.measures);
        }
        let request_measures = every..base.measures.len();
        Plan {
            present,
            base: Group { is_request, request_measures, ..self.number(base) },
            completed: self.function_group(rules, On::Completed),
            failed: self.function_group(rules, On::Failed),
            always: always.into_iter().map(|draft| self.number(draft)).collect(),
            may_start_request: has(field::HTTP_METHOD)
                && !has(field::HTTP_STATUS)
                && !has(field::CLIENT_CALL)
                && (has(field::REQUEST_ID) || has(field::TRACE_ID)),
            may_be_query: has(field::DB_QUERY) || has(field::DB_OPERATION),
            has_exception: present & EXCEPTION != 0,
            has_span_id: has(field::SPAN_ID) || has(field::TRACEPARENT),
            evaluated,
            switches,
        }
    }

    /// Returns the measures of completed or failed functions. None if a label depends on more than
    /// the function's name.
    fn function_group(&mut self, rules: &RuleSet, on: On) -> Option<Group> {
        let rules = rules.standard().filter(|rule| rule.on == on);
        let measures: Vec<_> = rules.flat_map(|rule| rule.measures().cloned()).collect();
        let mut labels = measures.iter().flat_map(|measure| &measure.labels);
        labels
            .all(|label| *label == Label::Function)
            .then(|| self.number(GroupDraft { inputs: Vec::new(), measures }))
    }

    fn number(&mut self, draft: GroupDraft) -> Group {
        let families = draft.measures.iter().map(|measure| measure.family.0).collect();
        let next = self.numbers.len() as u32 + 1;
        let number = *self.numbers.entry((draft.inputs.clone(), families)).or_insert(next);
        let GroupDraft { inputs, measures } = draft;
        Group { number, inputs, measures, is_request: false, request_measures: 0..0 }
    }
}

const EXCEPTION: u64 = field::EXCEPTION_STACKTRACE.bit() | field::EXCEPTION_TYPE.bit();

/// Returns whether a record with these fields is the line of a request, if its status is a valid
/// code.
pub(super) fn is_request(present: u64) -> bool {
    let has = |field: FieldId| present & field.bit() != 0;
    has(field::HTTP_METHOD)
        && has(field::HTTP_STATUS)
        && (has(field::HTTP_ROUTE) || has(field::URL_PATH))
        && !has(field::CLIENT_CALL)
        && !is_error_line(present)
}

/// Returns whether a record with these fields is an error line, which only names the request in
/// which the error occurred. The request's own line has its duration; counting both would count it
/// twice, and counting only the errors would make every request a failed one.
pub(super) fn is_error_line(present: u64) -> bool {
    present & EXCEPTION != 0 && present & field::DURATION.bit() == 0
}

/// A group without a number.
#[derive(Debug, Default)]
struct GroupDraft {
    inputs: Vec<FieldId>,
    measures: Vec<Measure>,
}

/// Adds the measures of a rule without a condition to the groups of their labels. If the rule does
/// more than that, it is evaluated for every record.
fn plan_rule(
    rule: &Rule,
    number: usize,
    present: u64,
    (base, always): (&mut GroupDraft, &mut Vec<GroupDraft>),
    evaluated: &mut Vec<usize>,
) {
    for measure in rule.measures() {
        plan_measure(measure, present, base, always, evaluated, number);
    }
    if rule.actions.iter().any(|action| !matches!(action, Action::Measure(_))) {
        evaluated.push(number);
    }
}

/// Adds a measure to the first group that already has the fields of its labels, or to a new group.
/// If its labels depend on more than a few fields, its rule is evaluated for every record.
fn plan_measure(
    measure: &Measure,
    present: u64,
    base: &mut GroupDraft,
    always: &mut Vec<GroupDraft>,
    evaluated: &mut Vec<usize>,
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
                None => always.push(GroupDraft { inputs: of, measures: vec![measure.clone()] }),
            }
        }
        _ => evaluated.push(rule),
    }
}

fn add_case(switches: &mut Vec<Switch>, field: FieldId, constant: &str, rule: usize) {
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

/// Returns the fields that labels are made of, as far as they are present; None if the labels
/// depend on anything else.
fn inputs(labels: &[Label], present: u64) -> Option<Vec<FieldId>> {
    let mut all = Vec::new();
    for label in labels {
        for field in label.inputs()? {
            if field.bit() == 0 {
                return None;
            }
            // If there is a route and a path, the route decides.
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
