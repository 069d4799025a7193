//! Leaving: named phases, one deadline, the closing of the ledger. Unit: one drain.
//!
//! `Reading` ends with everything read that a `write` of the application has returned for;
//! `Flushing` with every pipeline's last batch handed over; `Exporting` with what the outputs could
//! send in the time that is left; `Lingering` waits for a last scrape; `Closed` says what came and
//! what became of it.

use crate::app::worker::Worker;
use crate::clock::Clock;
use crate::phase::Phase;
use crate::pipeline::input::Input;
use crate::telemetry::Telemetry;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::standing::Standing;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// How the process leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A native sidecar: the application is gone when SIGTERM comes, and 2 s may be all there is.
    Native,
    /// An ordinary container: the application got SIGTERM in the same moment and still writes.
    Classic {
        /// The pod's grace period.
        grace: Duration,
    },
}

/// How long the leaving may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How the process leaves.
    pub mode: Mode,
    /// From the end of serving to the exit.
    pub deadline: Duration,
    /// What waits for a last scrape.
    pub hold: Hold,
}

/// The final values are held until they were fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// How long at most; zero holds nothing up.
    pub wait: Duration,
    /// How many different scrapers fetch them.
    pub scrapers: usize,
    /// The pod's grace period: at its end all is over, whoever fetched what.
    pub grace: Duration,
}

impl Default for Settings {
    /// Kubelet gives a native sidecar at least 2 s.
    fn default() -> Self {
        Settings {
            mode: Mode::Native,
            deadline: Duration::from_millis(1500),
            hold: Hold { wait: Duration::ZERO, scrapers: 1, grace: Duration::ZERO },
        }
    }
}

/// In classic mode the application is over when all its connections are closed and nothing came for
/// this long.
pub const QUIET: Duration = Duration::from_secs(2);

/// In classic mode serving ends this long before the grace period does.
pub const BEFORE_GRACE_ENDS: Duration = Duration::from_secs(3);

/// What is kept of the grace period behind the last scrape, to close in time.
const CLOSING: Duration = Duration::from_millis(200);

/// For the last answer to be read by whoever asked for it.
const ANSWERING: Duration = Duration::from_millis(100);

/// What an output is left less than the deadline, to count and say what it drops: a collector that
/// never answers made the exit 23 ms late.
const TELLING: Duration = Duration::from_millis(50);

/// How often it is looked whether the application is over, or the last scrape came.
const LOOK: Duration = Duration::from_millis(50);

/// Something that still holds items when the data threads have ended.
pub struct Output {
    /// Its name, the value of the label `output`.
    pub name: &'static str,
    /// How many items it holds: neither sent nor dropped.
    pub held: Box<dyn Fn() -> u64 + Send>,
    /// Sends what it holds within the time given, counts the rest as dropped, and returns. Called
    /// on a thread of its own.
    pub finish: Finish,
}

/// Ends an output within a time.
pub type Finish = Box<dyn FnOnce(Duration) + Send>;

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    /// What came in and what became of it.
    pub ledger: Ledger,
    /// Frames and items that no counter explains.
    pub lost: u64,
    /// Threads and outputs that were not done in time: what they held is unknown.
    pub unfinished: Vec<&'static str>,
}

impl Closing {
    /// 0 only when nothing was lost unexplained.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.lost > 0 || !self.unfinished.is_empty())
    }
}

/// What a drain works on.
#[derive(Debug)]
pub(super) struct Drain<'a> {
    pub(super) settings: Settings,
    pub(super) clock: &'a Clock,
    pub(super) telemetry: &'a Telemetry,
    pub(super) standing: &'a Arc<Standing>,
    /// When the leaving began.
    pub(super) begin: Duration,
    /// The application left by itself: nobody told us to leave, and no grace period runs.
    pub(super) unasked: bool,
}

impl Drain<'_> {
    /// Goes on serving while standard input is read: its writer gets the same Ctrl-C, and may write
    /// its last lines for as long as it takes to stop. Ends early enough before the grace period
    /// does.
    pub(super) fn outlast_stdin(&self, is_open: impl Fn() -> bool) {
        let latest = self.begin + self.settings.hold.grace.saturating_sub(BEFORE_GRACE_ENDS);
        let left = || latest.saturating_sub(self.clock.monotonic());
        if is_open() && !left().is_zero() {
            tracing::info!("standard input is read until its writer closes it");
        }
        while is_open() && !left().is_zero() {
            std::thread::sleep(LOOK.min(left()));
        }
    }

    /// In classic mode: goes on serving until the application is over or the grace period nearly
    /// so.
    pub(super) fn outlast_application(&self, last_activity: impl Fn() -> Duration) {
        let Mode::Classic { grace } = self.settings.mode else { return };
        if self.unasked {
            return;
        }
        let begin = self.begin;
        let latest = begin + grace.saturating_sub(BEFORE_GRACE_ENDS);
        let open = self.telemetry.connections_open.with_label_values(&[Input::Stream.name()]);
        loop {
            let now = self.clock.monotonic();
            let active = last_activity().max(begin);
            if now >= latest || (open.get() == 0 && now.saturating_sub(active) >= QUIET) {
                return;
            }
            std::thread::sleep(LOOK.min(latest.saturating_sub(now)));
        }
    }

    /// Everything from the last byte to the ledger, and the last scrape. The ledger is closed and
    /// given to `report` before that: where two seconds are all there is, the end may come while a
    /// scrape is waited for.
    pub(super) fn run(
        &self,
        workers: &[Worker],
        wait_for_workers: impl FnOnce(Duration) -> Vec<Input>,
        outputs: Vec<Output>,
        report: impl FnOnce(&Closing),
    ) -> Closing {
        let deadline = self.clock.monotonic() + self.settings.deadline;
        for worker in workers {
            worker.control.close();
        }
        let (held, outputs): (Vec<_>, Vec<_>) =
            outputs.into_iter().map(|Output { name, held, finish }| (held, (name, finish))).unzip();
        // each reads to the end and flushes its pipeline
        let running = wait_for_workers(deadline.saturating_sub(self.clock.monotonic()));
        let mut unfinished: Vec<_> = running.into_iter().map(Input::name).collect();
        self.standing.phase.advance(Phase::Flushing);
        self.standing.phase.advance(Phase::Exporting);
        unfinished.extend(self.export(outputs, deadline));
        for file in workers.iter().filter_map(|worker| worker.file.as_ref()) {
            file.remove();
        }
        for name in &unfinished {
            tracing::error!(what = name, "not done when the time was over");
        }
        let ledger = Ledger::read(self.telemetry, held.iter().map(|held| held()).sum());
        let closing = Closing { ledger, lost: ledger.lost, unfinished };
        report(&closing);
        self.standing.phase.advance(Phase::Lingering);
        self.hold();
        self.standing.phase.advance(Phase::Closed);
        closing
    }

    /// Waits until as many scrapers as there are have the final values, and not longer than it may.
    fn hold(&self) {
        let Hold { wait, scrapers, grace } = self.settings.hold;
        let begin = self.clock.monotonic();
        let over = if self.unasked { Duration::MAX } else { self.begin.saturating_add(grace) };
        let until = begin.saturating_add(wait).min(over.saturating_sub(CLOSING));
        let left = || until.saturating_sub(self.clock.monotonic());
        while !left().is_zero() {
            if self.standing.scrapers.with_final() >= scrapers {
                return std::thread::sleep(ANSWERING.min(left()));
            }
            std::thread::sleep(LOOK.min(left()));
        }
    }

    /// All outputs at once, each with what is left of the deadline; returns those that were not
    /// done.
    fn export(
        &self,
        outputs: Vec<(&'static str, Finish)>,
        deadline: Duration,
    ) -> Vec<&'static str> {
        let mut running: Vec<&'static str> = outputs.iter().map(|(name, _)| *name).collect();
        let (done, finished) = channel();
        let left = || deadline.saturating_sub(self.clock.monotonic());
        for (name, finish) in outputs {
            let (done, left) = (done.clone(), left().saturating_sub(TELLING));
            let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                finish(left);
                let _ = done.send(name);
            });
            if let Err(error) = spawned {
                tracing::error!(%error, "an output could not be finished");
            }
        }
        while !running.is_empty() {
            // on a busy machine even that may be too little
            match finished.recv_timeout(left() + CLOSING / 2) {
                Ok(name) => running.retain(|one| *one != name),
                Err(_) => break,
            }
        }
        running
    }
}
