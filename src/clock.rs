//! Time as a value. Only `app` asks the system for the time and hands it to the modules below, so
//! that a test moves the clock by hand and never sleeps. Unit: nanoseconds.

use rustix::time::Timespec;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z. The type overflows in the year 2554.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// Returns the whole seconds since the epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Returns the seconds since the epoch with their fraction, as Prometheus writes a timestamp.
    pub fn as_seconds_f64(self) -> f64 {
        self.seconds() as f64 + (self.0 % 1_000_000_000) as f64 / 1e9
    }

    /// Returns the time between `earlier` and this point; zero when `earlier` is later.
    pub fn since(self, earlier: UnixNanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns this point moved back by `span`, but not before the epoch.
    pub fn before(self, span: Duration) -> UnixNanos {
        UnixNanos(self.0.saturating_sub(span.as_nanos() as u64))
    }

    /// Returns this point moved forward by `span`.
    pub fn after(self, span: Duration) -> UnixNanos {
        UnixNanos(self.0.saturating_add(span.as_nanos() as u64))
    }
}

/// Formats the time as RFC 3339 in UTC: with a precision, as in `{at:.3}`, with so many decimals of
/// the second, otherwise with as many as needed.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0));
        time.expect("the type ends long before the year 9999").fmt(f)
    }
}

/// Converts a timeout for `poll` and its kind.
pub fn timespec(timeout: Duration) -> Timespec {
    Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) }
}

/// A source of time: the system's clock, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Wall time is read on every call and durations use `monotonic`. Wall time read once at the
    /// start and carried on by the monotonic clock would hide a step of the wall clock from spans.
    System {
        start: Instant,
    },
    Wound {
        wall: Arc<AtomicU64>,
        start: u64,
    },
}

impl Clock {
    /// Returns the system's clock.
    pub fn system() -> Clock {
        #[allow(clippy::disallowed_methods)] // the only place that may ask the system
        let start = Instant::now();
        Clock(Source::System { start })
    }

    /// Returns a clock that stays at `at` until its [`Hand`] moves it.
    pub fn wound(at: UnixNanos) -> (Clock, Hand) {
        let wall = Arc::new(AtomicU64::new(at.0));
        let clock = Clock(Source::Wound { wall: Arc::clone(&wall), start: at.0 });
        (clock, Hand(wall))
    }

    /// Returns the wall-clock time, which may step backwards.
    pub fn now(&self) -> UnixNanos {
        match &self.0 {
            Source::System { .. } => {
                #[allow(clippy::disallowed_methods)] // the only place that may ask the system
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixNanos(since.as_nanos() as u64)
            }
            Source::Wound { wall, .. } => UnixNanos(wall.load(Ordering::Relaxed)),
        }
    }

    /// Returns the time since this clock was created; never steps backwards.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { start } => start.elapsed(),
            Source::Wound { wall, start } => {
                Duration::from_nanos(wall.load(Ordering::Relaxed).saturating_sub(*start))
            }
        }
    }
}

/// A handle that moves a clock made by [`Clock::wound`].
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    /// Moves the clock forward by `span`.
    pub fn wind(&self, span: Duration) {
        self.0.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Sets the clock to `at`, which may be earlier than its current time.
    pub fn set(&self, at: UnixNanos) {
        self.0.store(at.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_formatted_as_rfc_3339() {
        let at = UnixNanos(1_700_000_000_120_000_000);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.12Z");
        assert_eq!(format!("{at:.0} {at:.6}"), "2023-11-14T22:13:20Z 2023-11-14T22:13:20.120000Z");
        assert_eq!(UnixNanos(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixNanos(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn a_wound_clock_moves_only_by_hand() {
        let (clock, hand) = Clock::wound(UnixNanos(5_000_000_000));
        assert_eq!(clock.now().seconds(), 5);
        hand.wind(Duration::from_millis(1500));
        assert_eq!(clock.now(), UnixNanos(6_500_000_000));
        assert_eq!(clock.monotonic(), Duration::from_millis(1500));
        hand.set(UnixNanos(1));
        assert_eq!(clock.monotonic(), Duration::ZERO, "a step back never gives a negative time");
    }
}
