//! Decides how long a data thread sleeps before it reads again, so that one wake-up serves many
//! writes. Pure. Unit: one sweep over all ready connections.
//!
//! The kernel buffers 167 messages of 200 bytes for a stream socket and 11 datagrams; after that,
//! the application's `write` blocks. So the thread estimates how fast the fastest socket fills, and
//! sleeps for a part of the time until it would be full: 0.4 of it, less if a wake-up that comes a
//! millisecond late would be too late, and never longer than `sleep_max`. Below 0.1 ms, sleeping
//! costs more than it saves.
//!
//! A rate is measured over at least half a millisecond, because a single line right after a sweep
//! does not show a rate. The estimate is kept across a pause, so that it is still valid if the
//! writer resumes at the same rate. A blocked writer needs 0.1 ms to wake up, and then writes its
//! whole backlog at once; so the thread does not sleep for 0.4 ms after a full socket, whatever it
//! finds. After silence, the thread does not sleep after the first line, sleeps 0.5 ms after the
//! second, and doubles each further sleep.

use std::time::Duration;

/// The shortest sleep. Going to sleep and waking up costs about 5 us of processor time and takes 60
/// us.
pub(crate) const SLEEP_MIN: Duration = Duration::from_micros(100);

/// The first sleep after a wait; a burst after silence waits no longer than this.
const SLEEP_FIRST: Duration = Duration::from_micros(500);

/// How late a thread may wake up without a socket being full.
const LATE_TOLERATED: Duration = Duration::from_micros(1_100);

/// How late a thread may wake up before the gap counts as silence.
const LATE_MAX: Duration = Duration::from_millis(5);

/// The longest sleep for a datagram socket, which holds 11 messages.
pub(crate) const SLEEP_MAX_DATAGRAM: Duration = Duration::from_micros(500);

/// The part of the time until a socket would be full for which the thread sleeps.
const FILL_WANTED: f64 = 0.4;

/// The smallest such part, used if a possible late wake-up would leave no time to sleep.
const FILL_LEAST: f64 = 0.25;

/// From this fill level on, the writer may have been blocked.
pub(crate) const FILL_BLOCKED: f64 = 0.8;

/// How long the thread does not sleep after a blocked writer.
const ALERT: Duration = Duration::from_micros(400);

/// The shortest time over which a rate is measured.
const MEASURE_MIN: Duration = Duration::from_micros(500);

/// A rate that exceeds the estimate by this factor replaces it; others move it by a quarter of the
/// difference.
const JUMP: f64 = 1.5;

/// A read of at least this size means that the writer is ahead.
pub(crate) const LARGE_READ_BYTES: usize = 32 * 1024;

/// The number of messages that a datagram socket holds (`net.unix.max_dgram_qlen` is 10 in every
/// new network namespace).
pub(crate) const DATAGRAMS_HELD: f64 = 11.0;

/// Returns the part of a stream socket's buffer (212,992 bytes by default) that `messages` with a
/// total of `bytes` occupied, with the kernel's overhead per message: 167 messages of 200 bytes
/// fill it, 93 of 1,000, about 20 of 8 KiB (measured: 167, 93, 24).
pub(crate) fn stream_fill(messages: u64, bytes: u64) -> f64 {
    (messages as f64 * 1024.0 + bytes as f64 * 1.25) / 212_992.0
}

/// Returns the part of a pipe's buffer that `bytes` occupied.
pub(crate) fn pipe_fill(bytes: u64) -> f64 {
    bytes as f64 / 65_536.0
}

/// The result of one sweep.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Sweep {
    /// The fill level of the fullest socket, as a part of its capacity.
    pub fill: f64,
    /// Some socket had data.
    pub any: bool,
    /// Some socket has more data than was read, or returned a large read.
    pub more: bool,
    /// The input has ended.
    pub ended: bool,
}

/// What the thread does after a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Read again at once.
    Again,
    /// Sleep, then read.
    Sleep(Duration),
    /// Wait in the kernel, because nothing arrives.
    Wait,
}

/// The sleep state of one thread.
#[derive(Debug)]
pub(crate) struct Coalescer {
    sleep_max: Duration,
    /// The time of the last sweep.
    swept: Duration,
    /// The last time at which a sweep found data.
    found: Duration,
    /// The longest next sleep.
    ramp: Duration,
    rate: Rate,
    /// Until when the thread does not sleep.
    alert_until: Duration,
}

impl Coalescer {
    /// Creates the state of a thread that sleeps at most `sleep_max` at a time.
    pub(crate) fn new(sleep_max: Duration) -> Coalescer {
        Coalescer {
            sleep_max,
            swept: Duration::ZERO,
            found: Duration::ZERO,
            ramp: SLEEP_FIRST,
            rate: Rate::default(),
            alert_until: Duration::ZERO,
        }
    }

    /// Decides what follows a sweep that began at `now`, on the monotonic clock.
    pub(crate) fn after(&mut self, now: Duration, sweep: Sweep) -> Next {
        let since = now.saturating_sub(self.swept);
        self.swept = now;
        self.rate.measure(since, sweep.fill);
        if sweep.fill >= FILL_BLOCKED {
            self.alert_until = now + ALERT;
        }
        if sweep.more || now < self.alert_until {
            if sweep.any {
                self.found = now;
            }
            return Next::Again;
        }
        if !sweep.any {
            return Next::Wait;
        }
        let silence = now.saturating_sub(self.found);
        self.found = now;
        if silence > self.sleep_max + LATE_MAX {
            // Lines this rare cannot share a wake-up.
            self.ramp = SLEEP_FIRST;
            return Next::Wait;
        }
        let sleep = self.rate.time_to_sleep().min(self.ramp).min(self.sleep_max);
        if sleep < SLEEP_MIN {
            return Next::Again;
        }
        self.ramp = (self.ramp * 2).min(self.sleep_max.max(SLEEP_FIRST));
        Next::Sleep(sleep)
    }
}

/// The rate at which the fastest socket fills.
#[derive(Debug, Default)]
struct Rate {
    /// The rate, in full sockets per second.
    estimate: f64,
    /// The fill level that was added since the last measurement, and the time that passed.
    fill: f64,
    time: Duration,
}

impl Rate {
    fn measure(&mut self, since: Duration, fill: f64) {
        self.fill += fill;
        self.time += since;
        if self.time < MEASURE_MIN {
            return;
        }
        let measured = self.fill / self.time.as_secs_f64();
        if measured > self.estimate * JUMP {
            self.estimate = measured;
        } else {
            self.estimate += (measured - self.estimate) * 0.25;
        }
        (self.fill, self.time) = (0.0, Duration::ZERO);
    }

    fn time_to_sleep(&self) -> Duration {
        // An hour is as good as no limit.
        let full = Duration::from_secs_f64((1.0 / self.estimate.max(1e-9)).min(3_600.0));
        let in_time = full.saturating_sub(LATE_TOLERATED).max(full.mul_f64(FILL_LEAST));
        full.mul_f64(FILL_WANTED).min(in_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP_MAX: Duration = Duration::from_millis(10);

    /// The number of 200-byte lines that a socket holds.
    const HELD: f64 = 167.0;

    /// Simulates a writer at a steady rate for two seconds. Returns the share of time in which it
    /// was blocked, and how often the thread slept per second. The writer writes every line when it
    /// is due, and its backlog at 2 us per line; after it was blocked, it continues 0.1 ms after
    /// the socket was read. Every sleep of the thread ends 60 us late; a sleep with a number that
    /// is a multiple of `every` ends `late` seconds later still.
    fn simulate(lines_per_second: f64, every: u64, late: f64) -> (f64, f64) {
        const STEP: f64 = 2e-6;
        let mut coalescer = Coalescer::new(SLEEP_MAX);
        let (mut now, mut held, mut written, mut blocked) = (0.0, 0.0, 0.0, 0.0);
        let (mut wakes, mut read_at) = (0_u64, 0.0);
        let mut waits = true;
        let mut resumes_at = None;
        while now < 2.0 {
            now += STEP;
            if now * lines_per_second - written >= 1.0 {
                if resumes_at.is_none_or(|at| at <= now) && held < HELD {
                    held += 1.0;
                    written += 1.0;
                    resumes_at = None;
                } else {
                    blocked += STEP;
                    resumes_at = resumes_at.or(Some(f64::MAX));
                }
            }
            if now < read_at || (waits && held == 0.0) {
                continue;
            }
            let fill = held / HELD;
            let sweep = Sweep { fill, any: held > 0.0, ..Sweep::default() };
            // A read takes 5 us plus 0.3 us per line.
            let took = 5e-6 + held * 0.3e-6;
            held = 0.0;
            resumes_at = resumes_at.map(|_| now + 1e-4);
            let next = coalescer.after(Duration::from_secs_f64(now), sweep);
            waits = next == Next::Wait;
            read_at = now + took;
            if let Next::Sleep(span) = next {
                wakes += 1;
                let more = if wakes.is_multiple_of(every) { late } else { 0.0 };
                read_at += span.as_secs_f64() + 60e-6 + more;
            }
        }
        (blocked / now, wakes as f64 / now)
    }

    /// Guarantees: at no rate is a steady writer blocked by a thread that sometimes wakes up a
    /// millisecond late; and the thread does not sleep more often than a reader that always sleeps
    /// 0.5 ms, and far less often at the usual rates.
    #[test]
    fn a_busy_writer_is_not_held_up() {
        for (rate, wakes_max) in [
            (1_000.0, 160.0),
            (10_000.0, 170.0),
            (20_000.0, 330.0),
            (30_000.0, 500.0),
            (75_000.0, 1_300.0),
            (100_000.0, 1_900.0),
        ] {
            let (blocked, wakes) = simulate(rate, 100, 1e-3);
            assert!(blocked < 0.005, "{rate}: blocked {blocked}");
            assert!(wakes < wakes_max, "{rate}: {wakes} sleeps a second");
        }
    }

    /// Guarantees: a writer that was blocked once, because the thread woke up 20 ms late, catches
    /// up and is not blocked again: its backlog does not lead to an estimate that makes the thread
    /// sleep too long.
    #[test]
    fn a_writer_that_was_held_up_recovers() {
        const LATE: f64 = 20e-3;
        for rate in [30_000.0, 100_000.0, 150_000.0] {
            let (blocked, wakes) = simulate(rate, 500, LATE);
            let unavoidable = wakes / 500.0 * LATE;
            assert!(blocked < unavoidable * 1.25, "{rate}: blocked {blocked}, not {unavoidable}");
        }
    }

    /// Guarantees: lines that arrive less often than the first sleep lasts still share wake-ups.
    #[test]
    fn slow_lines_share_wake_ups() {
        for rate in [200.0, 500.0, 1_000.0] {
            let (_, wakes) = simulate(rate, 500, 20e-3);
            assert!(wakes < 160.0, "{rate}: {wakes} sleeps a second");
        }
    }

    #[test]
    fn what_the_kernel_holds() {
        let full = |messages: u64, each: u64| stream_fill(messages, messages * each);
        assert!(full(167, 200) >= 0.99 && full(160, 200) < 1.0);
        assert!(full(94, 1000) >= 0.99 && full(90, 1000) < 1.0);
        assert!(full(24, 8192) >= 0.99, "on the safe side for long lines");
    }

    #[test]
    fn out_of_silence_the_first_sleep_is_short() {
        let mut coalescer = Coalescer::new(SLEEP_MAX);
        let one = Sweep { fill: stream_fill(1, 200), any: true, ..Sweep::default() };
        let mut now = Duration::from_mins(1);
        assert_eq!(coalescer.after(now, one), Next::Wait, "nothing was there for a minute");
        now += Duration::from_millis(3);
        let mut sleeps = Vec::new();
        for _ in 0..6 {
            let next = coalescer.after(now, one);
            let Next::Sleep(span) = next else { panic!("{next:?}") };
            sleeps.push(span.as_micros());
            now += span;
        }
        assert_eq!(sleeps, [500, 1_000, 2_000, 4_000, 8_000, 10_000]);
        assert_eq!(coalescer.after(now, Sweep::default()), Next::Wait);
        now += Duration::from_millis(2);
        assert_eq!(coalescer.after(now, one), Next::Sleep(SLEEP_MAX), "a short pause");
        now += SLEEP_MAX * 3;
        assert_eq!(coalescer.after(now, one), Next::Wait, "silence");
        assert_eq!(coalescer.after(now + SLEEP_MAX, one), Next::Sleep(SLEEP_FIRST), "again");
    }

    /// A line that is found 50 us after a sweep does not change the estimate.
    #[test]
    fn a_line_right_after_a_sweep_changes_no_estimate() {
        let mut rate = Rate::default();
        rate.measure(Duration::from_millis(1), 100.0 / HELD);
        let before = rate.time_to_sleep();
        rate.measure(Duration::from_micros(50), 1.0 / HELD);
        assert_eq!(rate.time_to_sleep(), before);
    }

    #[test]
    fn a_large_read_or_a_full_socket_is_read_again_at_once() {
        let mut coalescer = Coalescer::new(SLEEP_MAX);
        let now = Duration::from_secs(1);
        let large = Sweep { fill: 0.1, any: true, more: true, ..Sweep::default() };
        assert_eq!(coalescer.after(now, large), Next::Again);
        let full = Sweep { fill: FILL_BLOCKED, any: true, ..Sweep::default() };
        assert_eq!(coalescer.after(now * 2, full), Next::Again);
    }
}
