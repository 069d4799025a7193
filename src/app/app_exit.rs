//! Detects that the application has exited. In a Job, an ordinary container that keeps running
//! prevents the pod from completing, so the sidecar exits when the application has. It observes the
//! connections to the stream socket. Pure; the caller passes the time. Unit: one check.
//!
//! A connection that opened and closed between two checks without sending a byte counts as a probe.
//! An application that opens a new connection for each line and pauses for longer than [`QUIET`]
//! appears to have exited. An application that sends only datagrams never does.

use super::drain::QUIET;
use std::time::Duration;

/// The interval between two checks. A quarter of a second is short beside [`QUIET`], and costs 4
/// wake-ups a second.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

/// What the process observes of the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Signs {
    /// The number of open connections.
    pub open: i64,
    /// The number of connections ever accepted.
    pub connections: u64,
    /// The number of bytes received over them.
    pub bytes: u64,
}

/// Tracks whether the application has connected, and since when it has been absent.
#[derive(Debug, Default)]
pub(crate) struct AppExitDetector {
    was_there: bool,
    before: Option<Signs>,
    /// Since when no connection has been open and no byte has arrived.
    quiet_since: Option<Duration>,
}

impl AppExitDetector {
    /// Returns true if the application has exited.
    pub(crate) fn has_left(&mut self, now: Duration, signs: Signs) -> bool {
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

    /// Passes a sequence of observations (open, connections, bytes) and checks at which of them the
    /// application counts as exited.
    fn check(life: &[(i64, u64, u64)], expected: Option<usize>) {
        let mut app_exit = AppExitDetector::default();
        let last = life.last().copied().into_iter();
        let endless = life.iter().copied().chain(last.cycle());
        let found = endless.take(life.len() + 40).enumerate().position(
            |(look, (open, connections, bytes))| {
                app_exit.has_left(LOOK * look as u32, Signs { open, connections, bytes })
            },
        );
        assert_eq!(found, expected, "{life:?}");
    }

    #[test]
    fn when_an_application_has_left() {
        let quiet = QUIET.as_millis().div_ceil(LOOK.as_millis()) as usize;
        check(&[(0, 0, 0)], None);
        // An open connection that never sends anything.
        check(&[(0, 0, 0), (1, 1, 0)], None);
        // A connection that sent bytes and closed; one that stayed silent for a while and closed.
        check(&[(1, 1, 9), (0, 1, 9)], Some(quiet + 2));
        check(&[(1, 1, 0), (1, 1, 0), (0, 1, 0)], Some(quiet + 3));
        // A connection that opened, sent bytes and closed between two checks.
        check(&[(0, 0, 0), (0, 1, 9)], Some(quiet + 2));
        // Only probes.
        check(&[(0, 1, 0), (0, 2, 0), (1, 3, 0), (0, 3, 0)], None);
        // A restart within the quiet time.
        let mut life = vec![(1, 1, 9)];
        life.extend([(0, 1, 9)].repeat(quiet - 1));
        life.extend([(1, 2, 9), (0, 2, 20)]);
        check(&life, Some(life.len() + quiet));
        // Another connection that opened and closed also resets the quiet time.
        check(&[(1, 1, 9), (0, 1, 9), (0, 1, 9), (0, 2, 12)], Some(quiet + 4));
    }
}
