//! Decides when to try again: exponential backoff with jitter, the collector's advice, and the
//! breaker that follows from both: while the collector is unreachable, sidelight makes one attempt
//! per wait. Pure: the caller passes in the seed and the time. Unit: one attempt.

use crate::clock::UnixNanos;
use std::time::Duration;

/// The first wait.
pub const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait that we choose. It is also the longest time until we notice that the collector
/// is back.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest wait that a collector may ask for.
pub const ADVICE_MAX: Duration = Duration::from_mins(5);

/// Bounds of the waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waits {
    /// The wait after the first failure.
    pub min: Duration,
    /// The longest wait, after many failures.
    pub max: Duration,
    /// A batch is dropped after attempts for this long, so that one that the collector cannot
    /// handle does not block the others for ever.
    pub batch_max: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { min: WAIT_MIN, max: WAIT_MAX, batch_max: Duration::from_mins(5) }
    }
}

/// The state of the connection to the collector.
#[derive(Clone, Debug)]
pub struct Breaker {
    waits: Waits,
    /// Failures since the last success.
    failures: u32,
    random: u64,
}

impl Breaker {
    /// Creates a closed breaker: nothing has failed yet. The seed spreads the retries of sidecars
    /// that fail together.
    pub fn new(waits: Waits, seed: u64) -> Breaker {
        Breaker { waits, failures: 0, random: seed }
    }

    /// Records that an attempt got an answer. Returns whether the collector was unreachable before.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// Records that an attempt failed and may be repeated. Returns how long to wait first. The
    /// collector's advice applies if it is longer than our own wait.
    pub fn failed(&mut self, advised: Option<Duration>) -> Duration {
        let doubled = self.waits.min.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.waits.max);
        // between half and the whole of the wait: enough to spread a fleet, never near zero
        let own = whole / 2 + (whole / 2).mul_f64(self.fraction());
        own.max(advised.unwrap_or_default().min(ADVICE_MAX))
    }

    /// Returns the number of failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns a random number from 0 to 1 (splitmix64).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as f64 / u64::MAX as f64
    }
}

/// Reads a Retry-After header (RFC 9110 section 10.2.3): seconds, or a date in IMF-fixdate.
pub fn retry_after(value: &str, now: UnixNanos) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // a number of seconds that does not fit a u64 is cut to the longest wait like any other
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let nanoseconds = u64::try_from(date.as_nanosecond()).ok()?;
    Some(UnixNanos(nanoseconds).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Guarantees: waits double between their bounds, with a jitter of at most half; advice is
        /// followed up to its bound.
        #[test]
        fn property_waits_grow_within_bounds(
            seed: u64, failures in 1..40u32, advice in prop::option::of(0..1_000u64),
        ) {
            let mut breaker = Breaker::new(Waits::default(), seed);
            for _ in 1..failures {
                breaker.failed(None);
            }
            let advised = advice.map(Duration::from_secs);
            let wait = breaker.failed(advised);
            let whole = Duration::from_secs(1 << (failures - 1).min(5)).min(WAIT_MAX);
            let floor = advised.unwrap_or_default().min(ADVICE_MAX);
            prop_assert!(wait >= (whole / 2).max(floor) && wait <= whole.max(floor), "{:?}", wait);
            prop_assert_eq!(breaker.failures(), failures);
            prop_assert!(breaker.succeeded());
            prop_assert!(!breaker.succeeded());
            prop_assert!(breaker.failed(None) <= WAIT_MIN, "a success closes the breaker");
        }
    }

    #[test]
    fn seeds_tell_sidecars_apart() {
        let wait = |seed| Breaker::new(Waits::default(), seed).failed(None);
        assert_eq!(wait(1), wait(1));
        assert_ne!(wait(1), wait(2));
    }

    #[test]
    fn retry_after_values() {
        let now = UnixNanos(784_111_777_000_000_000); // 1994-11-06T08:49:37Z, the RFC's own example
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value:?}");
        }
    }
}
