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
    /// Records without a level; the line of a request needs none.
    pub without_level: u64,
    /// Records without a time.
    pub without_time: u64,
}

impl Totals {
    /// Returns the difference to the totals at an earlier time.
    pub fn since(self, earlier: Totals) -> Totals {
        Totals {
            records: self.records.saturating_sub(earlier.records),
            errors: self.errors.saturating_sub(earlier.errors),
            requests: self.requests.saturating_sub(earlier.requests),
            failed_requests: self.failed_requests.saturating_sub(earlier.failed_requests),
            without_level: self.without_level.saturating_sub(earlier.without_level),
            without_time: self.without_time.saturating_sub(earlier.without_time),
        }
    }
}

/// The last records by their number, not by their time. Memory is bounded: two samples are at least
/// [`SAMPLE_RECORDS`] records apart.
#[derive(Debug)]
pub(crate) struct LastRecords {
    samples: VecDeque<Totals>,
}

/// How many records [`LastRecords`] covers: at least these, and all of one sample more.
pub(crate) const LAST_RECORDS: u64 = 1_000;

const SAMPLE_RECORDS: u64 = 50;

impl LastRecords {
    /// Creates a window that begins with the process.
    pub(crate) fn new() -> LastRecords {
        LastRecords { samples: VecDeque::from([Totals::default()]) }
    }

    /// Adds the present totals and returns what was counted among the last records.
    pub(crate) fn slide(&mut self, totals: Totals) -> Totals {
        let newest = self.samples.back().map_or(0, |last| last.records);
        if totals.records >= newest + SAMPLE_RECORDS {
            self.samples.push_back(totals);
        }
        let reaches = |from: &Totals| totals.records.saturating_sub(from.records) >= LAST_RECORDS;
        while self.samples.get(1).is_some_and(reaches) {
            self.samples.pop_front();
        }
        self.samples.front().map_or(totals, |first| totals.since(*first))
    }
}

impl Default for LastRecords {
    fn default() -> LastRecords {
        LastRecords::new()
    }
}

/// The samples that the window still needs, oldest first. The first one is at or before the
/// beginning of the window.
#[derive(Debug)]
pub(crate) struct Window {
    span: Duration,
    samples: VecDeque<(Duration, Totals)>,
}

impl Window {
    /// Creates a window of length `span`; all totals are zero before the process began.
    pub(crate) fn new(span: Duration) -> Window {
        Window { span, samples: VecDeque::from([(Duration::ZERO, Totals::default())]) }
    }

    /// Changes the length of the window, as far as there are samples.
    pub(crate) fn stretch(&mut self, span: Duration) {
        self.span = span;
    }

    /// Takes a sample at the monotonic time `now`. Returns the events in the window that ends
    /// there: everything counted after `now - span`, to the second.
    pub(crate) fn slide(&mut self, now: Duration, totals: Totals) -> Totals {
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

    /// Guarantees: the last records are at least the number promised, as few more as the batches
    /// allow, and memory is bounded.
    #[test]
    fn the_last_records_are_counted_by_number() {
        let mut window = LastRecords::new();
        let mut totals = Totals::default();
        for batch in 0..5_000u64 {
            totals.records += 7;
            totals.without_level += if batch < 4_000 { 7 } else { 0 };
            let found = window.slide(totals);
            let expected = totals.records.min(LAST_RECORDS);
            assert!(found.records >= expected && found.records < LAST_RECORDS + 60, "{found:?}");
            assert!(window.samples.len() <= 24, "{}", window.samples.len());
            if batch < 4_000 {
                assert_eq!(found.without_level, found.records);
            }
        }
        assert_eq!(window.slide(totals).without_level, 0);
        // a batch larger than the window is covered whole
        totals.records += 10_000;
        assert!((10_000..10_060).contains(&window.slide(totals).records));
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
