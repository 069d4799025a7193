//! A new configuration in a running process: rules, verdict, switch and log level are taken over; sockets,
//! series and counters stay untouched, and what waits for a restart is told. Unit: one load.
//!
//! Decision: what costs a socket, a thread or the meaning of a stored series waits for a restart. A family
//! whose type, unit, labels or buckets would change is such a one, and refuses the rules that change it.

use super::admin::Judging;
use super::compose::compiled;
use crate::clock::Clock;
use crate::config::setting;
use crate::config::settings::{Config, LogLevel};
use crate::metrics::Registry;
use crate::rules::Published;
use crate::rules::compile::compile;
use crate::rules::settings::{RuleError, RulesSettings};
use crate::serve::state::State;
use crate::telemetry::Telemetry;
use crate::telemetry::log::Threshold;
use std::sync::Arc;
use std::time::Duration;

/// How a load went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All of it is in force.
    Loaded,
    /// Layers with errors are not; the others are.
    Partial,
    /// Nothing changed.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 3] = [Outcome::Loaded, Outcome::Partial, Outcome::Refused];

    /// The value of the label `outcome`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Loaded => "loaded",
            Outcome::Partial => "partial",
            Outcome::Refused => "refused",
        }
    }
}

/// What a look at the configuration came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Looked {
    /// The data threads have something to take over.
    pub changed: bool,
    /// After this long it is to be looked again; never where unset.
    pub again: Option<Duration>,
}

/// The handles to what can change.
#[derive(Clone, Debug)]
pub struct Reload {
    /// What the process was started with: settings that wait for a restart are still these.
    pub(super) running: Config,
    pub(super) registry: Arc<Registry>,
    pub(super) published: Arc<Published>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) state: Arc<State>,
    pub(super) clock: Clock,
    pub(super) judging: Judging,
    pub(super) log_level: Threshold,
}

impl Reload {
    /// What is wrong with rules, in themselves and beside the families that there are; nothing is declared.
    pub fn refuses(&self, rules: &RulesSettings) -> Vec<RuleError> {
        let dry = Registry::new(self.running.limits);
        let declare = &mut |spec: &_| {
            self.registry.accepts(spec)?;
            dry.declare(Clone::clone(spec))
        };
        compile(&self.live(rules), declare).err().unwrap_or_default()
    }

    /// Takes a configuration over; the old one stays where a rule is wrong. Returns the settings that wait
    /// for a restart.
    ///
    /// # Errors
    /// What is wrong with the rules.
    pub fn apply(&self, config: &Config) -> Result<Vec<&'static str>, Vec<RuleError>> {
        let errors = self.refuses(&config.rules);
        if !errors.is_empty() {
            return Err(errors);
        }
        self.published.publish(compiled(&self.live(&config.rules), &self.registry)?);
        if self.published.enabled() != config.enabled {
            self.published.switch(config.enabled);
            let now = if config.enabled { "on" } else { "off: lines are counted and refused" };
            tracing::warn!("switched {now}");
        }
        self.judging.set(config.health.clone(), config.enabled);
        self.log_level.set(level(config.log_level));
        Ok(setting::waiting(&self.running, config))
    }

    /// The rules as they can be in this process.
    fn live(&self, rules: &RulesSettings) -> RulesSettings {
        RulesSettings { routes_max: self.running.rules.routes_max, ..rules.clone() }
    }

    /// Says how the first load went.
    pub fn started(&self, complaints: Vec<String>, outcome: Outcome, hash: &str) {
        for outcome in Outcome::ALL {
            self.telemetry.config_reloads.with_label_values(&[outcome.name()]);
        }
        self.told(complaints, outcome, hash);
    }

    /// Says how a later load went.
    pub fn loaded(&self, complaints: Vec<String>, outcome: Outcome, hash: &str) {
        self.telemetry.config_reloads.with_label_values(&[outcome.name()]).inc();
        self.told(complaints, outcome, hash);
    }

    /// In the metrics, and by its complaints in `/health`.
    fn told(&self, complaints: Vec<String>, outcome: Outcome, hash: &str) {
        let telemetry = &self.telemetry;
        let succeeded = outcome == Outcome::Loaded;
        telemetry.config_last_load_successful.set(i64::from(succeeded));
        if succeeded {
            let now = self.clock.now().seconds();
            telemetry.config_last_load_timestamp.set(now as i64);
        }
        if outcome != Outcome::Refused {
            telemetry.config_info.reset();
            telemetry.config_info.with_label_values(&[hash]).set(1);
        }
        self.state.warn(complaints);
    }
}

/// The level as `tracing` calls it.
pub fn level(level: LogLevel) -> tracing::Level {
    match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    }
}
