//! Compiles settings into a [`RuleSet`]. Reports all errors at once, each with the rule, the key,
//! and the position in its text.

use super::action::{Action, Label, Measure, MeasureKind, Value};
use super::evaluate::Criteria;
use super::extract::Extract;
use super::formats;
use super::select::Condition;
use super::set::{On, Rule, RuleSet};
use super::settings::{
    MetricKind, MetricSettings, RuleError, RuleSettings, RulesSettings, ValueSettings,
};
use super::standard::{self, Standard};
use crate::metrics::{
    FamilyConflict, FamilyId, FamilyKind, FamilySpec, LABELS_MAX, LabelSpec, Limits, Registry,
};
use crate::record::field::{self, FieldTable};
use std::collections::HashMap;
use std::sync::Arc;

/// Declares a family and returns its id, from the registry or from that of a dry run.
pub type Declare<'a> = &'a mut dyn FnMut(&FamilySpec) -> Result<FamilyId, FamilyConflict>;

/// Compiles the enabled standard rules and the user's rules; calls `declare` for every family.
///
/// # Errors
/// Returns every wrong condition, pattern, label and family, in the order in which they are
/// written.
pub fn compile(written: &RulesSettings, declare: Declare<'_>) -> Result<RuleSet, Vec<RuleError>> {
    let mut compiler = Compiler {
        written,
        declare,
        set: RuleSet {
            fields: FieldTable::standard(),
            formats: Arc::default(),
            rules: Vec::new(),
            families: Vec::new(),
            by_extended: HashMap::new(),
            routes: written.routes.clone(),
            functions: written.groups.functions,
            active_requests: None,
        },
        errors: Vec::new(),
    };
    compiler.standard(written);
    for (index, rule) in written.own.iter().enumerate() {
        compiler.own(index, rule);
    }
    // after the rules, because a format fills the fields that they name
    let (formats, errors) = formats::compile(&written.formats, &mut compiler.set.fields);
    compiler.set.formats = Arc::new(formats);
    compiler.errors.extend(errors);
    if compiler.errors.is_empty() { Ok(compiler.set) } else { Err(compiler.errors) }
}

/// Compiles rules into a registry, which keeps every family that is declared on the way.
///
/// # Errors
/// Returns the same errors as [`compile`].
pub fn compile_into(
    written: &RulesSettings,
    registry: &Registry,
) -> Result<RuleSet, Vec<RuleError>> {
    compile(written, &mut |spec| registry.declare(spec.clone()))
}

/// Compiles rules into an empty registry, as a new process would.
///
/// # Errors
/// Returns the same errors as [`compile`].
pub fn dry_run(written: &RulesSettings, limits: Limits) -> Result<RuleSet, Vec<RuleError>> {
    compile_into(written, &Registry::new(limits))
}

struct Compiler<'a> {
    written: &'a RulesSettings,
    declare: Declare<'a>,
    set: RuleSet,
    errors: Vec<RuleError>,
}

impl Compiler<'_> {
    fn standard(&mut self, written: &RulesSettings) {
        let refused = self.check_names();
        for Standard { rule, on, family, kind, value, labels } in standard::measures(written) {
            let Some(family) = self.built_in(family, &refused) else { continue };
            let labels = labels.into_boxed_slice();
            let measure = Action::Measure(Measure { family, kind, value, labels });
            match self.set.rules.last_mut() {
                Some(last) if *last.name == *rule && last.on == on => {
                    let mut actions = std::mem::take(&mut last.actions).into_vec();
                    actions.push(measure);
                    last.actions = actions.into_boxed_slice();
                }
                _ => self.set.rules.push(standard_rule(rule, on, measure)),
            }
        }
        if written.groups.http
            && let Some(family) = self.built_in(standard::active_requests(), &refused)
        {
            self.set.active_requests = Some(Measure {
                family,
                kind: MeasureKind::Add,
                value: Value::One,
                labels: Box::default(),
            });
        }
    }

    /// Refuses a name that two built-in families would have. Returns the families that must not get
    /// the name.
    fn check_names(&mut self) -> Vec<String> {
        let mut refused = Vec::new();
        let written = self.written;
        for (number, (from, to)) in written.rename.iter().enumerate() {
            let is_other = |spec: &FamilySpec| {
                let place = written.rename.iter().position(|(built_in, _)| *built_in == spec.name);
                // of two families with the same new name, the second one has the error
                let is_before = place.is_none_or(|place| place < number);
                spec.name != *from && is_before && written.own_name(&spec.name) == to
            };
            if let Some(other) = standard::families().into_iter().find(is_other) {
                let message = format!("`{to}` is the name of the built-in metric `{}`", other.name);
                let hint = "choose another name, or give that one another name, too".to_owned();
                self.error(&format!("metrics.rename.{from}"), 0, message, Some(hint));
                refused.push(from.clone());
            }
        }
        refused
    }

    /// Declares a built-in family under the name that the user gives it.
    fn built_in(&mut self, spec: FamilySpec, refused: &[String]) -> Option<FamilyId> {
        if refused.contains(&spec.name) {
            return None;
        }
        let written = self.written;
        let path = match written.rename.iter().find(|(from, _)| *from == spec.name) {
            Some((from, _)) => format!("metrics.rename.{from}"),
            // the name can only clash with one of those
            None if !written.rename.is_empty() => "metrics.rename".to_owned(),
            None => "metrics.prefix".to_owned(),
        };
        let name = written.own_name(&spec.name).to_owned();
        self.family(FamilySpec { name, ..spec }, &path)
    }

    fn family(&mut self, mut spec: FamilySpec, path: &str) -> Option<FamilyId> {
        spec.name.insert_str(0, &self.written.prefix);
        match (self.declare)(&spec) {
            Ok(family) => {
                if !self.set.families.iter().any(|known| known.name == spec.name) {
                    self.set.families.push(spec);
                }
                Some(family)
            }
            Err(conflict) => {
                let (message, hint) = if path.starts_with("metrics.") {
                    (conflict.message, Some("choose another name".to_owned()))
                } else {
                    clash(conflict.message, &spec.name, self.written)
                };
                self.error(path, 0, message, hint);
                None
            }
        }
    }

    fn own(&mut self, index: usize, written: &RuleSettings) {
        let at = format!("[{index}]");
        let condition = written.when.as_ref().and_then(|text| {
            Condition::parse(text, &mut self.set.fields)
                .map_err(|e| self.error(&format!("{at}.when"), e.offset, e.message, e.hint))
                .ok()
        });
        let extract = written.extract.as_ref().and_then(|extract| {
            let of = match &extract.field {
                Some(name) => self.set.fields.intern(name),
                None => field::BODY,
            };
            Extract::compile(&extract.pattern)
                .map(|pattern| (of, pattern))
                .map_err(|e| {
                    self.error(&format!("{at}.extract.pattern"), e.offset, e.message, e.hint);
                })
                .ok()
        });
        let captures: Vec<String> =
            extract.as_ref().map_or_else(Vec::new, |(_, e)| e.names().to_vec());
        let mut actions = Vec::new();
        for (number, metric) in written.metrics.iter().enumerate() {
            let path = format!("{at}.metrics[{number}]");
            if let Some(measure) = self.measure(&path, metric, &captures, written.extract.is_some())
            {
                actions.push(Action::Measure(measure));
            }
        }
        actions.extend(written.span.clone().map(Action::Span));
        actions.extend(written.health.clone().map(Action::Health));
        let mut required = condition.as_ref().map_or_else(Vec::new, Condition::required);
        required.extend(extract.as_ref().map(|(of, _)| *of).filter(|of| *of != field::BODY));
        let equality = condition
            .as_ref()
            .and_then(|c| c.equalities().into_iter().next())
            .map(|(field, constant)| (field, constant.into_boxed_str()));
        let number = self.set.rules.len();
        if let Some(field) = required.iter().find(|field| field.bit() == 0) {
            self.set.by_extended.entry(*field).or_default().push(number);
        }
        self.set.rules.push(Rule {
            name: Box::from(written.name.as_str()),
            standard: false,
            on: On::Record,
            equality,
            criteria: Criteria {
                required: required.iter().fold(0, |mask, field| mask | field.bit()),
                required_extended: required.into_iter().filter(|f| f.bit() == 0).collect(),
                condition,
                extract,
            },
            actions: actions.into_boxed_slice(),
        });
    }

    fn measure(
        &mut self,
        path: &str,
        metric: &MetricSettings,
        captures: &[String],
        has_extract: bool,
    ) -> Option<Measure> {
        let seconds = metric.unit == "seconds";
        let errors_before = self.errors.len();
        let scope = Captures { names: captures, has_extract };
        let (kind, family_kind, value) = match &metric.kind {
            MetricKind::Counter { by: None } => {
                (MeasureKind::Count, FamilyKind::Counter, Some(Value::One))
            }
            MetricKind::Counter { by: Some(by) } => {
                let value = self.value(&format!("{path}.by"), by, seconds, &scope);
                (MeasureKind::Sum, FamilyKind::FloatCounter, value)
            }
            MetricKind::Gauge { value, add } => {
                let value = self.value(&format!("{path}.value"), value, seconds, &scope);
                match add {
                    true => (MeasureKind::Add, FamilyKind::AddGauge, value),
                    false => (MeasureKind::Set, FamilyKind::SetGauge, value),
                }
            }
            MetricKind::Histogram { value, buckets } => {
                let value = self.value(&format!("{path}.value"), value, seconds, &scope);
                (MeasureKind::Observe, FamilyKind::Histogram(buckets.clone()), value)
            }
        };
        if metric.labels.len() > LABELS_MAX {
            let message = format!("{} labels; at most {LABELS_MAX} are kept", metric.labels.len());
            self.error(&format!("{path}.labels"), 0, message, None);
        }
        let mut labels = Vec::new();
        for (name, from) in &metric.labels {
            labels.extend(self.label(&format!("{path}.labels.{name}"), from, &scope));
        }
        let spec = FamilySpec {
            name: metric.name.clone(),
            help: metric.help.clone(),
            unit: metric.unit.clone(),
            kind: family_kind,
            labels: metric
                .labels
                .iter()
                .map(|(name, from)| LabelSpec {
                    name: name.clone(),
                    closed: matches!(from, ValueSettings::Constant(_)),
                    values_max: None,
                })
                .collect(),
            siblings: Vec::new(),
        };
        let family = self.family(spec, &format!("{path}.name"));
        if self.errors.len() > errors_before {
            return None;
        }
        Some(Measure { family: family?, kind, value: value?, labels: labels.into_boxed_slice() })
    }

    fn value(
        &mut self,
        path: &str,
        from: &ValueSettings,
        seconds: bool,
        captures: &Captures<'_>,
    ) -> Option<Value> {
        Some(match from {
            ValueSettings::Field(name) => {
                let field = self.set.fields.intern(name);
                if seconds { Value::Seconds(field) } else { Value::Number(field) }
            }
            ValueSettings::Capture(name) => {
                let number = self.capture(path, name, captures)?;
                if seconds { Value::CaptureSeconds(number) } else { Value::Capture(number) }
            }
            ValueSettings::Constant(text) => match text.trim().parse::<f64>() {
                Ok(number) => Value::Constant(number),
                Err(_) => {
                    let message = format!("`{text}` is not a number");
                    self.error(
                        path,
                        0,
                        message,
                        Some("write a number, a field or a capture".into()),
                    );
                    return None;
                }
            },
        })
    }

    fn label(
        &mut self,
        path: &str,
        from: &ValueSettings,
        captures: &Captures<'_>,
    ) -> Option<Label> {
        Some(match from {
            ValueSettings::Constant(text) => Label::Constant(Box::from(text.as_str())),
            ValueSettings::Capture(name) => Label::Capture(self.capture(path, name, captures)?),
            ValueSettings::Field(name) => {
                let own = self.set.fields.intern(name);
                // A path is always exposed as its template, whatever its key; the service has a
                // default value.
                match self.set.fields.standard_of(own) {
                    field::URL_PATH | field::HTTP_ROUTE => Label::Endpoint,
                    field::SERVICE => Label::Service,
                    _ => match own {
                        field::HTTP_METHOD => Label::Method,
                        field::SEVERITY | field::SEVERITY_NUMBER => Label::Level,
                        own => Label::Field(own),
                    },
                }
            }
        })
    }

    fn capture(&mut self, path: &str, name: &str, captures: &Captures<'_>) -> Option<usize> {
        if let Some(number) = captures.names.iter().position(|known| known == name) {
            return Some(number);
        }
        let hint = if captures.names.is_empty() {
            "add `extract: {pattern: '(?<name>...)'}` to the rule".to_owned()
        } else {
            format!("the pattern captures {}", captures.names.join(", "))
        };
        // The error of a pattern that did not compile has been reported already.
        if captures.names.is_empty() && captures.has_extract {
            return None;
        }
        self.error(path, 0, format!("no capture is named `{name}`"), Some(hint));
        None
    }

    fn error(&mut self, path: &str, offset: usize, message: String, hint: Option<String>) {
        self.errors.push(RuleError { path: path.to_owned(), offset, message, hint });
    }
}

/// Words why a family cannot be declared; says so if it is a built-in one, and how to replace it.
fn clash(message: String, name: &str, written: &RulesSettings) -> (String, Option<String>) {
    let own = name.strip_prefix(written.prefix.as_str()).unwrap_or(name);
    let is_it = |spec: &FamilySpec| {
        let known = written.own_name(&spec.name);
        // the registry knows the name with the suffix of a counter
        known == own || known.strip_suffix("_total") == Some(own)
    };
    let Some(family) = standard::families().into_iter().find(is_it) else {
        return (message, None);
    };
    let group = match family.name.split('_').next() {
        Some("database") => "database",
        Some("log") => "log",
        Some("function") => "functions",
        _ => "http",
    };
    let what = message.split_once("; restart").map_or(message.as_str(), |(what, _)| what);
    (
        format!("{what}: it is a built-in metric"),
        Some(format!(
            "choose another name, or give the built-in one another name: `metrics.rename: {{{}: \
             NAME}}`; `metrics.buckets` sets the buckets of built-in metrics, and \
             `metrics.groups.{group}: false` switches them off",
            family.name
        )),
    )
}

struct Captures<'a> {
    names: &'a [String],
    has_extract: bool,
}

fn standard_rule(name: &str, on: On, action: Action) -> Rule {
    Rule {
        name: Box::from(name),
        standard: true,
        on,
        equality: None,
        criteria: Criteria::default(),
        actions: Box::new([action]),
    }
}
