//! A sliding window over totals. A sample has the totals at one time; the events in the window are
//! the newest sample minus the one just before the window begins. Memory is bounded: one sample per
//! second.

use std::collections::VecDeque;
use std::time::Duration;

/// Totals since the process began; they only grow.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Records.
    pub records: u64,
    /// Records of severity ERROR and above.
    pub errors: u64,
    /// Finished requests.
    pub requests: u64,
    /// Finished requests with a 5xx status.
    pub failed_requests: u64,
}

impl Totals {
    /// Returns the difference to the totals at an earlier time.
    pub fn since(self, earlier: Totals) -> Totals {
        Totals {
            records: self.records.saturating_sub(earlier.records),
            errors: self.errors.saturating_sub(earlier.errors),
            requests: self.requests.saturating_sub(earlier.requests),
            failed_requests: self.failed_requests.saturating_sub(earlier.failed_requests),
        }
    }
}

/// The samples that the window still needs, oldest first. The first one is at or before the
/// beginning of the window.
#[derive(Debug)]
pub struct Window {
    span: Duration,
    samples: VecDeque<(Duration, Totals)>,
}

impl Window {
    /// Creates a window of length `span`; all totals are zero before the process began.
    pub fn new(span: Duration) -> Window {
        Window { span, samples: VecDeque::from([(Duration::ZERO, Totals::default())]) }
    }

    /// Changes the length of the window, as far as there are samples.
    pub fn stretch(&mut self, span: Duration) {
        self.span = span;
    }

    /// Takes a sample at the monotonic time `now`. Returns the events in the window that ends
    /// there: everything counted after `now - span`, to the second.
    pub fn slide(&mut self, now: Duration, totals: Totals) -> Totals {
        let newest = self.samples.back().map_or(Duration::ZERO, |last| last.0);
        let now = now.max(newest);
        // samples within one second replace each other, so that frequent calls use no memory
        if self.samples.len() > 1 && newest.as_secs() == now.as_secs() {
            self.samples.pop_back();
        }
        self.samples.push_back((now, totals));
        let begin = now.saturating_sub(self.span);
        while self.samples.get(1).is_some_and(|next| next.0 <= begin) {
            self.samples.pop_front();
        }
        let base = self.samples.front().map_or(totals, |first| first.1);
        totals.since(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Guarantees: the window agrees with a search through a list of all events.
        #[test]
        fn property_the_window_agrees_with_a_list(
            span in 1u64..20,
            steps in prop::collection::vec((1u64..8, 0u64..50, 0u64..50), 1..60),
        ) {
            let mut window = Window::new(Duration::from_secs(span));
            let mut seen: Vec<(u64, u64, u64)> = Vec::new();
            let mut totals = Totals::default();
            let mut now = 0;
            for (step, records, requests) in steps {
                now += step;
                totals.records += records;
                totals.requests += requests;
                seen.push((now, records, requests));
                let found = window.slide(Duration::from_secs(now), totals);
                let young = seen.iter().filter(|event| event.0 + span > now);
                let expected = young.fold((0, 0), |sum, event| (sum.0 + event.1, sum.1 + event.2));
                prop_assert_eq!((found.records, found.requests), expected);
                prop_assert!(window.samples.len() as u64 <= span + 2);
            }
        }
    }

    #[test]
    fn many_samples_in_a_second_cost_one() {
        let mut window = Window::new(Duration::from_mins(1));
        for step in 0..10_000u64 {
            let totals = Totals { records: step, ..Totals::default() };
            assert_eq!(window.slide(Duration::from_millis(step), totals).records, step);
        }
        assert!(window.samples.len() <= 12, "{} samples", window.samples.len());
    }

    #[test]
    fn a_clock_that_steps_back_loses_nothing_and_panics_not() {
        let mut window = Window::new(Duration::from_mins(1));
        window.slide(Duration::from_secs(100), Totals { records: 5, ..Totals::default() });
        let found =
            window.slide(Duration::from_secs(3), Totals { records: 9, ..Totals::default() });
        assert_eq!(found.records, 9);
    }
}
