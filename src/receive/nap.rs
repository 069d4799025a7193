//! How long a data thread may sleep before it looks again, so that one wake-up serves many writes. Pure.
//! Unit: one sweep over all ready connections.
//!
//! The kernel holds 167 messages of 200 bytes for a stream and 11 datagrams, then the application's `write`
//! blocks. So the thread sleeps for half the time in which the fastest socket would fill, at most
//! `nap_max`; below 0.2 ms sleeping costs more than it saves. The first line out of silence is followed by no
//! nap, the second by one of 1 ms, and each doubles: a sudden burst waits for a short one.

use std::time::Duration;

/// Shorter naps are not taken: going to sleep and waking up costs about 5 us of processor, and 60 us pass.
pub const NAP_MIN: Duration = Duration::from_micros(200);

/// The first nap after a wait.
const NAP_FIRST: Duration = Duration::from_millis(1);

/// By how much a sleeper may wake late before that counts as silence.
const NAP_LATE: Duration = Duration::from_millis(5);

/// A datagram socket holds 11 messages, so its thread never sleeps longer.
pub const NAP_MAX_DATAGRAM: Duration = Duration::from_micros(500);

/// From this size on a read says that the writer is ahead.
pub const LARGE_READ_BYTES: usize = 32 * 1024;

/// Messages that a datagram socket holds (`net.unix.max_dgram_qlen` is 10 in every new network namespace).
pub const DATAGRAMS_HELD: f64 = 11.0;

/// The part of a stream socket's buffer (212,992 bytes by default) that `messages` of together `bytes` took,
/// each with what the kernel adds: 167 of 200 bytes fill it, 93 of 1,000, about 20 of 8 KiB (measured 167,
/// 93, 24).
pub fn stream_fill(messages: u64, bytes: u64) -> f64 {
    (messages as f64 * 1024.0 + bytes as f64 * 1.25) / 212_992.0
}

/// The part of a pipe's buffer that `bytes` took.
pub fn pipe_fill(bytes: u64) -> f64 {
    bytes as f64 / 65_536.0
}

/// What one sweep met.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sweep {
    /// The fullest of all sockets, as a part of what it can hold.
    pub fill: f64,
    /// Some socket had something.
    pub any: bool,
    /// Some socket has more than was taken, or gave a large read.
    pub more: bool,
}

/// What to do after a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Look again at once.
    Again,
    /// Sleep, then look.
    Nap(Duration),
    /// Nothing comes: wait in the kernel.
    Wait,
}

/// The rhythm of one thread.
#[derive(Debug)]
pub struct Rhythm {
    nap_max: Duration,
    /// When the last sweep was.
    swept: Duration,
    /// What the next nap may be at most.
    ramp: Duration,
}

impl Rhythm {
    /// A thread that sleeps at most `nap_max` at a time.
    pub fn new(nap_max: Duration) -> Rhythm {
        Rhythm { nap_max, swept: Duration::ZERO, ramp: NAP_FIRST }
    }

    /// Decides after a sweep that began at `now`, on the monotonic clock.
    pub fn after(&mut self, now: Duration, sweep: Sweep) -> Next {
        let since = now.saturating_sub(self.swept);
        self.swept = now;
        if !sweep.any {
            self.ramp = NAP_FIRST;
            return Next::Wait;
        }
        if sweep.more || sweep.fill >= 0.5 {
            return Next::Again;
        }
        if since > self.nap_max + NAP_LATE {
            // lines this rare share no wake-up
            self.ramp = NAP_FIRST;
            return Next::Wait;
        }
        // at the rate since the last sweep, this long until the fullest socket is half full
        let half = since.as_secs_f64() * 0.5 / sweep.fill.max(1e-6);
        let nap = Duration::from_secs_f64(half.min(1.0)).min(self.ramp).min(self.nap_max);
        if nap < NAP_MIN {
            return Next::Again;
        }
        self.ramp = (self.ramp * 2).min(self.nap_max.max(NAP_FIRST));
        Next::Nap(nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAP_MAX: Duration = Duration::from_millis(10);

    /// The naps of a thread whose fastest writer writes `rate` lines of 200 bytes a second, once it is in
    /// swing.
    fn in_swing(rate: f64) -> Next {
        let mut rhythm = Rhythm::new(NAP_MAX);
        let (mut now, mut slept) = (Duration::from_secs(1), Duration::from_millis(1));
        let mut next = Next::Wait;
        for _ in 0..64 {
            now += slept;
            let lines = (rate * slept.as_secs_f64()).max(1.0);
            let fill = stream_fill(1, 200) * lines;
            next = rhythm.after(now, Sweep { fill, any: true, more: false });
            slept = match next {
                Next::Nap(nap) => nap + Duration::from_micros(60),
                Next::Again => Duration::from_micros(20),
                Next::Wait => Duration::from_secs_f64(1.0 / rate),
            };
        }
        next
    }

    #[test]
    fn the_nap_shrinks_as_the_rate_grows() {
        assert_eq!(in_swing(50.0), Next::Wait);
        assert_eq!(in_swing(1_000.0), Next::Nap(NAP_MAX));
        assert_eq!(in_swing(2_500.0), Next::Nap(NAP_MAX), "10,000 lines/s on four connections");
        let Next::Nap(nap) = in_swing(100_000.0) else { panic!("100,000 lines/s still naps") };
        assert!(nap > Duration::from_micros(700) && nap < Duration::from_micros(900), "{nap:?}");
        assert_eq!(in_swing(1_000_000.0), Next::Again);
    }

    #[test]
    fn what_the_kernel_holds() {
        let full = |messages: u64, each: u64| stream_fill(messages, messages * each);
        assert!(full(167, 200) >= 0.99 && full(160, 200) < 1.0);
        assert!(full(94, 1000) >= 0.99 && full(90, 1000) < 1.0);
        assert!(full(24, 8192) >= 0.99, "on the safe side for long lines");
    }

    #[test]
    fn out_of_silence_the_first_nap_is_short() {
        let mut rhythm = Rhythm::new(NAP_MAX);
        let one = Sweep { fill: stream_fill(1, 200), any: true, more: false };
        let mut now = Duration::from_mins(1);
        assert_eq!(rhythm.after(now, one), Next::Wait, "nothing was there for a minute");
        now += Duration::from_millis(3);
        let mut naps = Vec::new();
        for _ in 0..6 {
            let next = rhythm.after(now, one);
            let Next::Nap(nap) = next else { panic!("{next:?}") };
            naps.push(nap.as_millis());
            now += nap;
        }
        assert_eq!(naps, [1, 2, 4, 8, 10, 10]);
        assert_eq!(rhythm.after(now, Sweep::default()), Next::Wait);
        assert_eq!(rhythm.after(now + NAP_MAX, one), Next::Nap(NAP_FIRST), "and starts over");
    }

    #[test]
    fn a_large_read_or_a_half_full_socket_is_looked_at_again_at_once() {
        let mut rhythm = Rhythm::new(NAP_MAX);
        let now = Duration::from_secs(1);
        assert_eq!(rhythm.after(now, Sweep { fill: 0.1, any: true, more: true }), Next::Again);
        assert_eq!(rhythm.after(now * 2, Sweep { fill: 0.5, any: true, more: false }), Next::Again);
    }
}
