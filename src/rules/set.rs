//! The compiled rules, and their publication to the data threads. Unit: one set of rules.

use super::action::{Action, Measure};
use super::evaluate::Criteria;
use super::routes::Routes;
use crate::decode::formats::Formats;
use crate::metrics::FamilySpec;
use crate::record::Decoded;
use crate::record::field::{FieldId, FieldTable};
use crate::sync::lock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The event that a rule applies to; its condition is evaluated afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum On {
    /// Every record.
    Record,
    /// A completed HTTP request: method, path or route, and a status code from 100 to 599.
    Request,
    /// A completed database query.
    Query,
    /// Severity ERROR and above, or a record with an exception.
    Error,
    /// A function that completed, with its duration, according to the body.
    Completed,
    /// A function that failed, according to the body.
    Failed,
}

/// One compiled rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for `explain`.
    pub name: Box<str>,
    /// True for a standard rule.
    pub standard: bool,
    /// The event that it applies to.
    pub on: On,
    /// A `field == constant` pair without which the rule certainly does not apply; rules are
    /// indexed by it.
    pub equality: Option<(FieldId, Box<str>)>,
    /// The other conditions under which it applies.
    pub criteria: Criteria,
    /// The actions of the rule.
    pub actions: Box<[Action]>,
}

impl Rule {
    /// Returns true if the required fields are present, judged by the mask alone.
    #[inline]
    pub fn may_apply(&self, present: u64) -> bool {
        present & self.criteria.required == self.criteria.required
    }

    /// Returns the measures among its actions.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.actions.iter().filter_map(|action| match action {
            Action::Measure(measure) => Some(measure),
            Action::Span(_) | Action::Health(_) => None,
        })
    }
}

/// All rules, compiled.
#[derive(Debug)]
pub struct RuleSet {
    /// The fields that decoding searches for.
    pub fields: FieldTable,
    /// The user's own formats of lines.
    pub formats: Arc<Formats>,
    /// Standard rules first, then the user's rules, in order.
    pub rules: Vec<Rule>,
    /// The families that the rules feed, as declared.
    pub families: Vec<FamilySpec>,
    /// Rules that require a field without a bit, by that field; only a record with the field
    /// evaluates them.
    pub by_extended: HashMap<FieldId, Vec<usize>>,
    /// The user's patterns of routes.
    pub routes: Routes,
    /// True if function phrases are searched for in bodies.
    pub functions: bool,
    /// The measure of the `http_requests_active` family, if the http group is on.
    pub active_requests: Option<Measure>,
}

impl RuleSet {
    /// Returns the standard rules: a handful, at the front.
    pub fn standard(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().take_while(|rule| rule.standard)
    }

    /// Adds the fields of rules that the line does not have under their own name: such a field
    /// falls back to the standard field that has this name as a key.
    #[inline]
    pub fn add_aliases(&self, decoded: &mut Decoded) {
        for &(own, standard) in self.fields.aliases() {
            if decoded.slots.get(own).is_none()
                && let Some(&entry) = decoded.slots.get(standard)
            {
                decoded.slots.put(own, entry);
            }
        }
    }
}

/// The rules now in force. Data threads check the generation once a batch and load the rules only
/// if it changed.
#[derive(Debug)]
pub struct Published {
    generation: AtomicU64,
    rules: Mutex<Arc<RuleSet>>,
    off: AtomicBool,
}

impl Published {
    /// Publishes the first rules as generation 1.
    pub fn new(rules: RuleSet) -> Published {
        Published {
            generation: AtomicU64::new(1),
            rules: Mutex::new(Arc::new(rules)),
            off: AtomicBool::new(false),
        }
    }

    /// Enables or disables processing: while it is disabled, lines are only counted.
    pub fn switch(&self, enabled: bool) {
        self.off.store(!enabled, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns whether processing is enabled; check it after the generation changed.
    pub fn enabled(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    /// Puts new rules in force.
    pub fn publish(&self, rules: RuleSet) {
        *lock(&self.rules) = Arc::new(rules);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns the generation, which grows with every [`Published::publish`] and
    /// [`Published::switch`].
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns the rules now in force.
    pub fn current(&self) -> Arc<RuleSet> {
        Arc::clone(&lock(&self.rules))
    }
}
