//! What each output says about itself: works, degraded since when and why, or unusable. Published by the
//! output when it happens; `/health`, `/readyz` and the metrics only read it. Unit: one output.

use crate::clock::UnixNanos;
use prometheus::{IntGauge, IntGaugeVec};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How an output is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Condition {
    /// The last attempt succeeded, or there was none yet.
    #[default]
    Working,
    /// Attempts fail; items wait or are dropped.
    Degraded {
        /// When the first attempt failed after one that succeeded.
        since: UnixNanos,
        /// Why, in our own words.
        reason: String,
    },
    /// Its configuration or the system does not let it begin; items are not even made.
    Unusable {
        /// Why.
        reason: String,
    },
}

/// Measures how full something is, from 0 to 1.
pub type Fill = Box<dyn Fn() -> f64 + Send + Sync>;

/// One output; shared between it and whoever reports on it.
pub struct OutputStatus {
    /// Its name, the value of the label `output`.
    pub name: &'static str,
    condition: Mutex<Condition>,
    fill: Fill,
    healthy: IntGauge,
}

impl std::fmt::Debug for OutputStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let condition = self.condition();
        f.debug_struct("OutputStatus")
            .field("name", &self.name)
            .field("condition", &condition)
            .finish_non_exhaustive()
    }
}

impl OutputStatus {
    /// An output that works. `health` is the metric of all outputs, `fill` says how full the queue is.
    pub fn new(name: &'static str, health: &IntGaugeVec, fill: Fill) -> Arc<OutputStatus> {
        let healthy = health.with_label_values(&[name]);
        healthy.set(1);
        Arc::new(OutputStatus { name, condition: Mutex::default(), fill, healthy })
    }

    /// An attempt succeeded. Returns whether the output was degraded before.
    pub fn works(&self) -> bool {
        self.healthy.set(1);
        std::mem::take(&mut *self.lock()) != Condition::Working
    }

    /// An attempt failed at `now`. Returns whether this is news: it worked before, or the reason is another.
    pub fn degraded(&self, now: UnixNanos, reason: &str) -> bool {
        self.healthy.set(0);
        let mut condition = self.lock();
        let (since, is_news) = match &*condition {
            Condition::Working => (now, true),
            Condition::Degraded { since, reason: before } => (*since, before != reason),
            // what never began cannot fail
            Condition::Unusable { .. } => return false,
        };
        if is_news {
            *condition = Condition::Degraded { since, reason: reason.to_owned() };
        }
        is_news
    }

    /// It cannot begin.
    pub fn unusable(&self, reason: String) {
        self.healthy.set(0);
        *self.lock() = Condition::Unusable { reason };
    }

    /// How it is now.
    pub fn condition(&self) -> Condition {
        self.lock().clone()
    }

    /// How full its queue is, in items or in bytes, whichever is fuller: 0 to 1.
    pub fn fill(&self) -> f64 {
        (self.fill)()
    }

    /// A thread that panicked inside left a condition that is whole.
    fn lock(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    /// Guarantees: a degraded output keeps the time of its first failure, says each reason once, and the
    /// metric follows every event.
    #[test]
    fn conditions_follow_events() {
        let telemetry = Telemetry::new();
        let status = OutputStatus::new("spans", &telemetry.output_healthy, Box::new(|| 0.0));
        let gauge = telemetry.output_healthy.with_label_values(&["spans"]);
        assert_eq!((status.condition(), gauge.get()), (Condition::Working, 1));
        assert!(!status.works());
        assert!(status.degraded(UnixNanos(1), "timeout"));
        assert!(!status.degraded(UnixNanos(2), "timeout"));
        assert!(status.degraded(UnixNanos(3), "refused"));
        let degraded = Condition::Degraded { since: UnixNanos(1), reason: "refused".into() };
        assert_eq!((status.condition(), gauge.get()), (degraded, 0));
        assert!(status.works());
        assert_eq!((status.condition(), gauge.get()), (Condition::Working, 1));
        status.unusable("TLS".into());
        assert!(!status.degraded(UnixNanos(4), "timeout"));
        let unusable = Condition::Unusable { reason: "TLS".into() };
        assert_eq!((status.condition(), gauge.get()), (unusable, 0));
    }
}
