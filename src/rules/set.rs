//! The compiled rules, and how new ones are published to the data threads. Unit: one set of rules.

use super::action::{Action, Measure};
use super::evaluate::Criteria;
use crate::metrics::FamilySpec;
use crate::record::field::{FieldId, FieldTable};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What makes a rule apply, before its own condition is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum On {
    /// Every record.
    Record,
    /// An HTTP request that ended: method, path or route, and a status code from 100 to 599.
    Request,
    /// A database query that ended.
    Query,
    /// Severity ERROR and above, or a record that carries an exception.
    Error,
    /// The body says that a function completed, with its duration.
    Completed,
    /// The body says that a function failed.
    Failed,
}

/// One compiled rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for `explain`.
    pub name: Box<str>,
    /// Whether it is one of the standard rules.
    pub standard: bool,
    /// What makes it apply.
    pub on: On,
    /// `field == constant` without which it certainly does not apply; rules are found by it.
    pub equality: Option<(FieldId, Box<str>)>,
    /// What else decides whether it applies.
    pub criteria: Criteria,
    /// What it does.
    pub actions: Box<[Action]>,
}

impl Rule {
    /// Whether the fields that it cannot do without are there: the mask alone is asked.
    #[inline]
    pub fn may_apply(&self, present: u64) -> bool {
        present & self.criteria.required == self.criteria.required
    }

    /// The measures among its actions.
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
    /// What decoding looks for.
    pub fields: FieldTable,
    /// Standard rules first, then a user's own, in order.
    pub rules: Vec<Rule>,
    /// The families that they feed, as they were declared.
    pub families: Vec<FamilySpec>,
    /// Rules that cannot do without a field that has no bit of its own, by that field: only a
    /// record that has the field asks them.
    pub by_extended: HashMap<FieldId, Vec<usize>>,
    /// Function phrases are looked for in bodies.
    pub functions: bool,
    /// Number of the `http_requests_active` family, where the http group is on.
    pub active_requests: Option<Measure>,
}

impl RuleSet {
    /// The standard rules: a handful, at the front.
    pub fn standard(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().take_while(|rule| rule.standard)
    }
}

/// The rules now in force. Data threads look at the generation once a batch and fetch the rules
/// only when it moved.
#[derive(Debug)]
pub struct Published {
    generation: AtomicU64,
    rules: Mutex<Arc<RuleSet>>,
    off: AtomicBool,
}

impl Published {
    /// The first rules, generation 1.
    pub fn new(rules: RuleSet) -> Published {
        Published {
            generation: AtomicU64::new(1),
            rules: Mutex::new(Arc::new(rules)),
            off: AtomicBool::new(false),
        }
    }

    /// Switches everything on or off: while it is off, lines are counted and nothing else.
    pub fn switch(&self, enabled: bool) {
        self.off.store(!enabled, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether it is on; to be asked when the generation moved.
    pub fn enabled(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    /// Puts new rules in force.
    pub fn publish(&self, rules: RuleSet) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Grows with every [`Published::publish`] and [`Published::switch`].
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The rules now in force.
    pub fn current(&self) -> Arc<RuleSet> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
