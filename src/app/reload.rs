//! Applies a new configuration to a running process. Rules, health policy, on/off switch and log
//! level take effect at once; sockets, series and counters stay untouched; settings that need a
//! restart are reported. Unit: one load.
//!
//! Decision: a setting needs a restart if it would cost a socket, a thread or the meaning of a
//! stored series. This includes a family that would change its type, unit, labels or buckets: the
//! rules that change it are refused.

use super::admin::HealthPolicyHandle;
use super::setup::Sockets;
use crate::clock::Clock;
use crate::config::settings::{Config, LogLevel};
use crate::config::table;
use crate::metrics::Registry;
use crate::rules::compile::{compile, compile_into};
use crate::rules::set::Published;
use crate::rules::settings::{RuleError, RulesSettings};
use crate::serve::state::AdminState;
use crate::telemetry::Telemetry;
use crate::telemetry::log::Threshold;
use std::sync::Arc;
use std::time::Duration;

/// The result of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The whole configuration is in force.
    Loaded,
    /// Layers without errors are in force; layers with errors are not.
    Partial,
    /// The configuration was refused; nothing changed.
    Refused,
}

impl Outcome {
    /// All results.
    pub const ALL: [Outcome; 3] = [Outcome::Loaded, Outcome::Partial, Outcome::Refused];

    /// Returns the value of the label `outcome`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Loaded => "loaded",
            Outcome::Partial => "partial",
            Outcome::Refused => "refused",
        }
    }
}

/// The result of a check for a changed configuration.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Looked {
    /// The data threads have to load something new.
    pub changed: bool,
    /// The time until the next check; None if there is none.
    pub again: Option<Duration>,
    /// The sockets that the process must listen on from now on; None if they stay.
    pub sockets: Option<Sockets>,
}

/// Handles to everything that a reload can change.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The configuration at start. Settings that need a restart keep these values.
    pub(super) running: Config,
    pub(super) registry: Arc<Registry>,
    pub(super) published: Arc<Published>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) state: Arc<AdminState>,
    pub(super) clock: Clock,
    pub(super) health_policy: HealthPolicyHandle,
    pub(super) log_level: Threshold,
}

impl Reload {
    /// Returns the errors of these rules, including conflicts with existing families. Declares no
    /// family.
    pub fn refuses(&self, rules: &RulesSettings) -> Vec<RuleError> {
        let dry = Registry::new(self.running.limits);
        let declare = &mut |spec: &_| {
            self.registry.accepts(spec)?;
            dry.declare(Clone::clone(spec))
        };
        compile(&self.live(rules), declare).err().unwrap_or_default()
    }

    /// Applies a configuration. Keeps the old one if a rule is wrong. Returns the settings that
    /// need a restart.
    ///
    /// # Errors
    /// Returns the errors in the rules.
    pub fn apply(&self, config: &Config) -> Result<Vec<&'static str>, Vec<RuleError>> {
        let errors = self.refuses(&config.rules);
        if !errors.is_empty() {
            return Err(errors);
        }
        self.published.publish(compile_into(&self.live(&config.rules), &self.registry)?);
        if self.published.enabled() != config.enabled {
            self.published.switch(config.enabled);
            let now = if config.enabled { "on" } else { "off: lines are counted and refused" };
            tracing::warn!("switched {now}");
        }
        self.health_policy.set(config.health.clone(), config.enabled);
        self.log_level.set(level(config.log_level));
        Ok(table::waiting(&self.running, config))
    }

    /// Records that the process listens on the sockets of `config` from now on, so that they count
    /// as running.
    pub fn move_sockets(&mut self, config: &Config) {
        self.running.socket.clone_from(&config.socket);
        self.running.datagram_socket.clone_from(&config.datagram_socket);
    }

    /// Returns the rules with the values that this process cannot change without a restart.
    fn live(&self, rules: &RulesSettings) -> RulesSettings {
        let RulesSettings { limits, buckets, .. } = &self.running.rules;
        RulesSettings { limits: *limits, buckets: buckets.clone(), ..rules.clone() }
    }

    /// Publishes the result of the first load.
    pub fn started(&self, complaints: Vec<String>, outcome: Outcome, hash: &str) {
        for outcome in Outcome::ALL {
            self.telemetry.config_reloads.with_label_values(&[outcome.name()]);
        }
        self.publish(complaints, outcome, hash);
    }

    /// Publishes the result of a later load.
    pub fn loaded(&self, complaints: Vec<String>, outcome: Outcome, hash: &str) {
        self.publish(complaints, outcome, hash);
        self.telemetry.config_reloads.with_label_values(&[outcome.name()]).inc();
    }

    /// Counts a message that could not be written without blocking.
    pub fn count_unwritten(&self) {
        self.telemetry.log_suppressed.inc();
    }

    /// Publishes the complaints for `/health` first and the metrics second, so that a reader who
    /// sees the load counted also sees its result.
    fn publish(&self, complaints: Vec<String>, outcome: Outcome, hash: &str) {
        let telemetry = &self.telemetry;
        let succeeded = outcome == Outcome::Loaded;
        self.state.warn(complaints);
        if outcome != Outcome::Refused {
            telemetry.config_info.reset();
            telemetry.config_info.with_label_values(&[hash]).set(1);
        }
        if succeeded {
            let now = self.clock.now().seconds();
            telemetry.config_last_load_timestamp.set(now as i64);
        }
        telemetry.config_last_load_successful.set(i64::from(succeeded));
    }
}

/// Converts a log level to that of `tracing`.
pub fn level(level: LogLevel) -> tracing::Level {
    match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::compose::{Composed, compose};
    use crate::config::{Flags, parse};
    use crate::rules::set::RuleSet;
    use std::collections::BTreeMap;

    fn config(text: &str) -> Config {
        let loaded = parse("f.yaml", text, &Flags::default(), &BTreeMap::new());
        assert_eq!(loaded.faults, []);
        loaded.config
    }

    fn reload(text: &str) -> Reload {
        let threshold = Threshold::new(tracing::Level::INFO);
        let telemetry = Arc::new(Telemetry::new());
        let Composed { reload, .. } =
            compose(&config(text), &Clock::system(), &telemetry, &threshold);
        reload
    }

    const A: &str = "rules: [{name: a, counter: {name: a_total, labels: {x: x}}}]\n";

    /// Guarantees: rules that would change a family are refused as a whole and leave nothing behind
    /// that would conflict with the next load; the old rules stay in force. Unit, type and buckets
    /// are treated like labels.
    #[test]
    fn a_family_that_would_change_is_refused() {
        let reload = reload(
            "rules: [{name: a, counter: {name: a_total, labels: {x: x}}}, \
             {name: h, histogram: {name: h, value: v, buckets: [1, 2]}}, {name: g, gauge: {name: g, value: v}}]\n",
        );
        let before = Arc::as_ptr(&reload.published.current());
        for wrong in [
            "{name: a, counter: {name: a_total, labels: {y: y}}}",
            "{name: a, counter: {name: a_total, labels: {x: x}, unit: bytes}}",
            "{name: h, histogram: {name: h, value: v, buckets: [1, 3]}}",
            "{name: g, counter: {name: g}}",
            "{name: g, gauge: {name: g, value: v, add: true}}",
        ] {
            let text = format!(
                "rules: [{{name: n, counter: {{name: new, labels: {{x: x}}}}}}, {wrong}]\n"
            );
            let refused = reload.apply(&config(&text)).map_err(|errors| errors.len());
            assert_eq!(refused, Err(1), "{wrong}");
        }
        assert_eq!(Arc::as_ptr(&reload.published.current()), before);
        let other = "rules: [{name: n, counter: {name: new, labels: {y: y}}}]\n";
        assert_eq!(reload.apply(&config(other)), Ok(vec![]), "`new` was never declared");
        assert_ne!(Arc::as_ptr(&reload.published.current()), before);
    }

    /// Guarantees: a changed number of routes, which needs a restart, does not cause the rules to
    /// be refused.
    #[test]
    fn what_waits_does_not_hold_up_the_rest() {
        let reload = reload(A);
        let wanted =
            format!("mode: classic\nmetrics: {{limits: {{routes: 7}}}}\nenabled: false\n{A}");
        assert_eq!(reload.apply(&config(&wanted)), Ok(vec!["mode", "metrics.limits.routes"]));
        assert!(!reload.published.enabled());
        assert_eq!(reload.apply(&config(A)), Ok(vec![]), "back to what runs: nothing waits");
        assert!(reload.published.enabled());
    }

    /// Guarantees: patterns of routes and names of built-in families take effect without a restart; a
    /// name of a family with other labels is refused, and the rules stay as they were.
    #[test]
    fn routes_and_names_change_while_it_runs() {
        let reload = reload(A);
        let routes = "routes: {keep: ['how-to-*'], fold: ['/blog/{slug}']}";
        let wanted = format!("metrics: {{{routes}, rename: {{log_errors_total: errors}}}}\n{A}");
        assert_eq!(reload.apply(&config(&wanted)), Ok(vec![]));
        let current = reload.published.current();
        assert_eq!(current.routes, config(&wanted).rules.routes);
        assert_eq!((current.routes.keep.len(), current.routes.fold.len()), (1, 1));
        let names = |set: &RuleSet| -> Vec<String> {
            set.families.iter().map(|family| family.name.clone()).collect()
        };
        assert!(names(&current).contains(&"errors_total".to_owned()), "{:?}", names(&current));
        assert!(!names(&current).contains(&"log_errors_total".to_owned()));
        let wrong = format!("metrics: {{rename: {{log_errors_total: a_total}}}}\n{A}");
        let refused = reload.apply(&config(&wrong)).map_err(|errors| errors[0].path.clone());
        assert_eq!(refused, Err("metrics.rename.log_errors_total".to_owned()));
        assert_eq!(names(&reload.published.current()), names(&current));
    }

    /// Guarantees: every outcome is exposed from the beginning, exactly one hash is in force at a
    /// time, and a refused load changes neither it nor the time of the last success.
    #[test]
    fn how_a_load_went_is_in_the_metrics() {
        let reload = reload(A);
        let named = |name: &str| -> Vec<String> {
            let mut values = Vec::new();
            for family in reload.telemetry.gather().iter().filter(|family| family.name() == name) {
                let labels =
                    family.get_metric().iter().flat_map(prometheus::proto::Metric::get_label);
                values.extend(labels.map(|label| label.value().to_owned()));
            }
            values
        };
        let hashes = || named("sidelight_config_info");
        reload.started(Vec::new(), Outcome::Loaded, "one");
        assert_eq!(hashes(), ["one"]);
        assert_eq!(named("sidelight_config_reloads_total"), ["loaded", "partial", "refused"]);
        let succeeded = reload.telemetry.config_last_load_timestamp.get();
        assert!(succeeded > 0);
        reload.loaded(Vec::new(), Outcome::Refused, "two");
        assert_eq!(hashes(), ["one"]);
        assert_eq!(reload.telemetry.config_last_load_successful.get(), 0);
        reload.loaded(Vec::new(), Outcome::Partial, "three");
        assert_eq!(hashes(), ["three"]);
        assert_eq!(reload.telemetry.config_last_load_timestamp.get(), succeeded);
    }
}
