//! In a Job an ordinary container that stays keeps the pod from completing: the sidecar leaves when the
//! application has left. It is known by its connections to the stream socket. Pure; time is handed in.
//! Unit: one look.
//!
//! A connection that came and went between two looks and brought nothing is a probe. An application that makes
//! a new connection for each line and pauses longer than [`QUIET`] seems to have left, and one that sends
//! nothing but datagrams never does.

use super::drain::QUIET;
use std::time::Duration;

/// Between two looks: a quarter of a second beside [`QUIET`] is no delay, and costs 4 wake-ups a second.
pub const LOOK: Duration = Duration::from_millis(250);

/// What is seen of the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signs {
    /// Connections that are open.
    pub open: i64,
    /// Connections that there were.
    pub connections: u64,
    /// Bytes that came over them.
    pub bytes: u64,
}

/// Whether the application was there, and since when it is not.
#[derive(Debug, Default)]
pub struct Lifeline {
    was_there: bool,
    before: Option<Signs>,
    /// Since when nothing is open and nothing came.
    quiet_since: Option<Duration>,
}

impl Lifeline {
    /// True when it has left.
    pub fn has_left(&mut self, now: Duration, signs: Signs) -> bool {
        let before = self.before.replace(signs);
        let stayed = signs.open > 0 && before.is_some_and(|before| before.open > 0);
        self.was_there |= stayed || signs.bytes > 0;
        let still = before == Some(signs) && signs.open == 0;
        if !still {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        self.was_there && now.saturating_sub(since) >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at a life written as (open, connections, bytes) a look; gives the look at which it is over.
    fn check(life: &[(i64, u64, u64)], expected: Option<usize>) {
        let mut lifeline = Lifeline::default();
        let last = life.last().copied().into_iter();
        let endless = life.iter().copied().chain(last.cycle());
        let found = endless.take(life.len() + 40).enumerate().position(
            |(look, (open, connections, bytes))| {
                lifeline.has_left(LOOK * look as u32, Signs { open, connections, bytes })
            },
        );
        assert_eq!(found, expected, "{life:?}");
    }

    #[test]
    fn when_an_application_has_left() {
        let quiet = QUIET.as_millis().div_ceil(LOOK.as_millis()) as usize;
        check(&[(0, 0, 0)], None);
        // open and silent for ever
        check(&[(0, 0, 0), (1, 1, 0)], None);
        // wrote and left; silent but stayed for a while, and left
        check(&[(1, 1, 9), (0, 1, 9)], Some(quiet + 2));
        check(&[(1, 1, 0), (1, 1, 0), (0, 1, 0)], Some(quiet + 3));
        // came, wrote and went between two looks
        check(&[(0, 0, 0), (0, 1, 9)], Some(quiet + 2));
        // probes only
        check(&[(0, 1, 0), (0, 2, 0), (1, 3, 0), (0, 3, 0)], None);
        // a restart within the quiet time
        let mut life = vec![(1, 1, 9)];
        life.extend([(0, 1, 9)].repeat(quiet - 1));
        life.extend([(1, 2, 9), (0, 2, 20)]);
        check(&life, Some(life.len() + quiet));
        // another connection that came and went keeps it, too
        check(&[(1, 1, 9), (0, 1, 9), (0, 1, 9), (0, 2, 12)], Some(quiet + 4));
    }
}
