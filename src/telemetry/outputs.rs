//! The condition of each output: working, degraded (since when and why), or unusable. The output
//! publishes each change; `/health`, `/readyz` and the metrics only read it. Unit: one output.

use crate::clock::UnixNanos;
use crate::sync::lock;
use prometheus::{IntGauge, IntGaugeVec};
use std::sync::{Arc, Mutex, MutexGuard};

/// The condition of an output.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Condition {
    /// The last attempt succeeded, or there has been none yet.
    #[default]
    Working,
    /// Attempts fail; items wait or are dropped.
    Degraded {
        /// The time of the first failed attempt after the last success.
        since: UnixNanos,
        /// The reason, in our own words.
        reason: String,
    },
    /// The configuration or the system prevents the output from starting; no items are created for
    /// it.
    Unusable {
        /// The reason.
        reason: String,
    },
}

/// Measures how full something is, from 0 to 1.
pub type Fill = Box<dyn Fn() -> f64 + Send + Sync>;

/// The status of one output, shared by the output and its readers.
pub struct OutputStatus {
    /// The name of the output, which is the value of the label `output`.
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
    /// Creates the status of a working output. `health` is the metric of all outputs; `fill`
    /// measures the queue.
    pub fn new(name: &'static str, health: &IntGaugeVec, fill: Fill) -> Arc<OutputStatus> {
        let healthy = health.with_label_values(&[name]);
        healthy.set(1);
        Arc::new(OutputStatus { name, condition: Mutex::default(), fill, healthy })
    }

    /// Records a successful attempt. Returns whether the output was degraded before.
    pub fn works(&self) -> bool {
        self.healthy.set(1);
        std::mem::take(&mut *self.lock()) != Condition::Working
    }

    /// Records an attempt that failed at `now`. Returns whether this is new: the output worked
    /// before, or the reason has changed.
    pub fn degraded(&self, now: UnixNanos, reason: &str) -> bool {
        self.healthy.set(0);
        let mut condition = self.lock();
        let (since, is_news) = match &*condition {
            Condition::Working => (now, true),
            Condition::Degraded { since, reason: before } => (*since, before != reason),
            // an output that never started cannot fail
            Condition::Unusable { .. } => return false,
        };
        if is_news {
            *condition = Condition::Degraded { since, reason: reason.to_owned() };
        }
        is_news
    }

    /// Records that the output cannot start.
    pub fn unusable(&self, reason: String) {
        self.healthy.set(0);
        *self.lock() = Condition::Unusable { reason };
    }

    /// Returns the current condition.
    pub fn condition(&self) -> Condition {
        self.lock().clone()
    }

    /// Returns how full the queue is, from 0 to 1: in items or in bytes, whichever is fuller.
    pub fn fill(&self) -> f64 {
        (self.fill)()
    }

    /// Locks the condition. It is consistent even if a thread panicked while it held the lock.
    fn lock(&self) -> MutexGuard<'_, Condition> {
        lock(&self.condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    /// Guarantees: a degraded output keeps the time of its first failure and reports each reason
    /// once, and the metric follows every event.
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
