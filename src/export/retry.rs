//! When to try again: exponential backoff with jitter, what the collector advises, and the breaker
//! that both make together: while the collector is out of reach, one attempt a wait is all that it
//! costs. Pure; the seed and the time are handed in. Unit: one attempt.

use crate::clock::UnixNanos;
use std::time::Duration;

/// The first wait.
pub const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait of our own; also how stale the news can be that the collector is back.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// A collector may not silence us for longer than this.
pub const ADVICE_MAX: Duration = Duration::from_mins(5);

/// How long the waits are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waits {
    /// After the first failure.
    pub min: Duration,
    /// After many.
    pub max: Duration,
    /// A batch that was tried for so long is dropped, so that one that upsets the collector does
    /// not hold up the others for ever.
    pub batch_max: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { min: WAIT_MIN, max: WAIT_MAX, batch_max: Duration::from_mins(5) }
    }
}

/// The state of the way to the collector.
#[derive(Clone, Debug)]
pub struct Breaker {
    waits: Waits,
    /// Failures since the last success.
    failures: u32,
    random: u64,
}

impl Breaker {
    /// Closed: nothing failed yet. The seed makes sidecars that fail together retry apart.
    pub fn new(waits: Waits, seed: u64) -> Breaker {
        Breaker { waits, failures: 0, random: seed }
    }

    /// An attempt got an answer. Whether the collector had been out of reach.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// An attempt failed and may be repeated: how long to wait first. Advice of the collector
    /// counts where it is longer than our own wait.
    pub fn failed(&mut self, advised: Option<Duration>) -> Duration {
        let doubled = self.waits.min.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.waits.max);
        // between half and whole: enough to spread a fleet, never near zero
        let own = whole / 2 + (whole / 2).mul_f64(self.fraction());
        own.max(advised.unwrap_or_default().min(ADVICE_MAX))
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A number from 0 to 1 (splitmix64).
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
        // more seconds than a u64 holds are cut to the longest wait as any other
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
        /// Waits double between their bounds, with a jitter of at most half; advice is kept to, up
        /// to its bound.
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
