//! Drains the process: named phases, one deadline, and the closing of the ledger. Unit: one drain.
//!
//! `Reading` ends when everything has been read for which a `write` of the application has
//! returned; `Flushing` ends when every pipeline has handed over its last batch; `Exporting` ends
//! when the outputs have sent what they could in the remaining time; `Lingering` waits for a final
//! scrape; `Closed` reports what was received and what became of it.

use crate::app::worker::Worker;
use crate::clock::Clock;
use crate::phase::Phase;
use crate::pipeline::input::Input;
use crate::telemetry::Telemetry;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::process_status::ProcessStatus;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// The kind of container that the process runs in, which decides when it starts to drain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A native sidecar: the application has already exited when SIGTERM arrives, and the process
    /// may have only 2 s.
    Native,
    /// An ordinary container: the application received SIGTERM at the same time and still writes.
    Classic {
        /// The pod's termination grace period.
        grace: Duration,
    },
}

/// How long each part of the drain may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The kind of container.
    pub mode: Mode,
    /// The time from the end of serving to the exit.
    pub deadline: Duration,
    /// How long the process waits for a final scrape.
    pub hold: FinalScrapeWait,
}

/// Settings that keep the final metric values available until scrapers have fetched them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalScrapeWait {
    /// The longest wait; zero disables it.
    pub wait: Duration,
    /// The number of different scrapers that must fetch the final values.
    pub scrapers: usize,
    /// The pod's grace period. The process exits at its end, even if a scraper has not fetched the
    /// values.
    pub grace: Duration,
}

impl Default for Settings {
    /// The default deadline fits into 2 s, the least time that the kubelet gives a native sidecar.
    fn default() -> Self {
        Settings {
            mode: Mode::Native,
            deadline: Duration::from_millis(1500),
            hold: FinalScrapeWait { wait: Duration::ZERO, scrapers: 1, grace: Duration::ZERO },
        }
    }
}

/// In classic mode, the application counts as finished when all its connections are closed and no
/// byte has arrived for this long.
pub const QUIET: Duration = Duration::from_secs(2);

/// In classic mode, serving ends this long before the grace period does.
pub const BEFORE_GRACE_ENDS: Duration = Duration::from_secs(3);

/// The part of the grace period that is reserved after the final scrape, so that the process exits
/// in time.
const CLOSING: Duration = Duration::from_millis(200);

/// Time for a scraper to read the last response.
const ANSWERING: Duration = Duration::from_millis(100);

/// How much less than the deadline an output gets, so that it can count and log what it drops.
/// Without this margin, a collector that never answered made the exit 23 ms late.
const TELLING: Duration = Duration::from_millis(50);

/// How often the drain checks whether the application has finished or the final scrape has arrived.
const LOOK: Duration = Duration::from_millis(50);

/// An output that may still hold items after the data threads have ended.
pub struct Output {
    /// Its name, which is the value of the label `output`.
    pub name: &'static str,
    /// Returns how many items it holds that are neither sent nor dropped.
    pub held: Box<dyn Fn() -> u64 + Send>,
    /// Sends the held items within the given time, counts the rest as dropped, and returns. Called
    /// on a separate thread.
    pub finish: Finish,
}

/// A function that finishes an output within the given time.
pub type Finish = Box<dyn FnOnce(Duration) + Send>;

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The result of a drain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    /// What was received and what became of it.
    pub ledger: Ledger,
    /// The number of frames and items that no counter explains.
    pub lost: u64,
    /// Threads and outputs that did not finish in time. How much they held is unknown.
    pub unfinished: Vec<&'static str>,
}

impl Closing {
    /// Returns 0 only if no loss is unexplained.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.lost > 0 || !self.unfinished.is_empty())
    }
}

/// Everything that a drain needs.
#[derive(Debug)]
pub(super) struct Drain<'a> {
    pub(super) settings: Settings,
    pub(super) clock: &'a Clock,
    pub(super) telemetry: &'a Telemetry,
    pub(super) process_status: &'a Arc<ProcessStatus>,
    /// When the drain began, on the monotonic clock.
    pub(super) begin: Duration,
    /// The process leaves because the application has exited: no stop signal arrived, so no grace
    /// period runs.
    pub(super) application_left: bool,
}

impl Drain<'_> {
    /// Keeps serving while standard input is open. Its writer receives the same Ctrl-C and may
    /// write its last lines for as long as it takes to stop. Ends early enough before the grace
    /// period does.
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

    /// In classic mode, keeps serving until the application has finished or the grace period is
    /// nearly over.
    pub(super) fn outlast_application(&self, last_activity: impl Fn() -> Duration) {
        let Mode::Classic { grace } = self.settings.mode else { return };
        if self.application_left {
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

    /// Runs all phases from the last read to the ledger and the final scrape. Closes the ledger and
    /// passes it to `report` before it waits for the scrape: if the kubelet grants only two
    /// seconds, the process may be killed during that wait.
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
        // Each worker reads to the end of its input and flushes its pipeline.
        let running = wait_for_workers(deadline.saturating_sub(self.clock.monotonic()));
        let mut unfinished: Vec<_> = running.into_iter().map(Input::name).collect();
        self.process_status.phase.advance(Phase::Flushing);
        self.process_status.phase.advance(Phase::Exporting);
        unfinished.extend(self.export(outputs, deadline));
        workers.iter().for_each(Worker::remove_file);
        for name in &unfinished {
            tracing::error!(what = name, "not done when the time was over");
        }
        let ledger = Ledger::read(self.telemetry, held.iter().map(|held| held()).sum());
        let closing = Closing { ledger, lost: ledger.lost, unfinished };
        report(&closing);
        self.process_status.phase.advance(Phase::Lingering);
        self.hold();
        self.process_status.phase.advance(Phase::Closed);
        closing
    }

    /// Waits until all expected scrapers have fetched the final values, but no longer than allowed.
    fn hold(&self) {
        let FinalScrapeWait { wait, scrapers, grace } = self.settings.hold;
        let begin = self.clock.monotonic();
        let over =
            if self.application_left { Duration::MAX } else { self.begin.saturating_add(grace) };
        let until = begin.saturating_add(wait).min(over.saturating_sub(CLOSING));
        let left = || until.saturating_sub(self.clock.monotonic());
        while !left().is_zero() {
            if self.process_status.scrapers.with_final() >= scrapers {
                return std::thread::sleep(ANSWERING.min(left()));
            }
            std::thread::sleep(LOOK.min(left()));
        }
    }

    /// Finishes all outputs in parallel, each with the rest of the deadline. Returns the outputs
    /// that did not finish.
    fn export(
        &self,
        outputs: Vec<(&'static str, Finish)>,
        deadline: Duration,
    ) -> Vec<&'static str> {
        let mut running: Vec<&'static str> = outputs.iter().map(|(name, _)| *name).collect();
        // One message per output, so no output waits for this thread.
        let (done, finished) = sync_channel(outputs.len());
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
            // On a busy machine, the margin of `TELLING` may be too short.
            match finished.recv_timeout(left() + CLOSING / 2) {
                Ok(name) => running.retain(|one| *one != name),
                Err(_) => break,
            }
        }
        running
    }
}
