//! The whole process: listeners are opened, data threads run, everything drains. Unit: one process.
//!
//! `App::new(parts).spawn()` opens what can be opened and serves; what cannot is tried again every second,
//! while the process runs on: a sidecar must never keep its application from starting.

pub mod admin;
pub mod compose;
pub mod doors;
pub mod drain;
pub mod lifeline;
pub mod parts;
pub mod reload;
pub mod signals;
mod supervisor;
pub mod worker;

use crate::console;
use crate::phase::Phase;
use crate::telemetry::standing::{Door, DoorState};
use drain::{Closing, Drain, Mode, Output};
use parts::{Parts, Settings};
use reload::Looked;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signals::{SignalEvent, Signals};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use supervisor::Supervisor;

/// Descriptors that are asked for: all connections and as many again.
const DESCRIPTORS: u64 = 8192;

/// The process before it runs.
#[derive(Debug)]
pub struct App(Parts);

impl App {
    /// From its parts.
    pub fn new(parts: Parts) -> App {
        App(parts)
    }

    /// Opens the listeners, starts the data threads, and goes on trying where a listener cannot be opened.
    /// `signals` must be installed before, so that no stop finds the process unprepared.
    ///
    /// # Errors
    /// The kernel refuses threads or descriptors to begin with.
    pub fn spawn(self, signals: &Signals) -> io::Result<Running> {
        let parts = self.0;
        raise_descriptor_limit();
        let settings = Settings { limits: parts.settings.limits.bounded(), ..parts.settings };
        let is_classic = matches!(settings.drain.mode, Mode::Classic { .. });
        let watches_application = settings.exit_with_app && is_classic;
        let reads_stdin = settings.stdin;
        let supervisor = Supervisor::new(supervisor::Parts {
            settings,
            clock: parts.clock,
            telemetry: parts.telemetry,
            standing: parts.standing,
            pipelines: parts.pipelines,
            admin: parts.admin,
        });
        supervisor.start()?;
        if reads_stdin
            && let Err(error) = signals.stopper().and_then(|stopper| supervisor.open_stdin(stopper))
        {
            tracing::warn!(%error, "standard input cannot be read");
        }
        if watches_application {
            let (supervisor, stopper) = (Arc::clone(&supervisor), signals.stopper()?);
            std::thread::Builder::new()
                .name("application".to_owned())
                .spawn(move || supervisor.watch_application(stopper))?;
        }
        Ok(Running { supervisor, outputs: parts.outputs })
    }
}

/// The process while it runs.
#[derive(Debug)]
pub struct Running {
    supervisor: Arc<Supervisor>,
    outputs: Vec<Output>,
}

impl Running {
    /// The listeners and their state, for the first lines that are printed.
    pub fn doors(&self) -> Vec<(Door, DoorState)> {
        self.supervisor.standing.doors()
    }

    /// Wakes every data thread, so that pipelines look for new rules although no line comes.
    pub fn nudge(&self) {
        self.supervisor.wake_workers();
    }

    /// Waits for a stop signal. `reload` is called on SIGHUP, and when it is time to look whether the
    /// configuration changed, first after `signals.look`; it returns after how long to look again. It runs
    /// on a thread of its own, so that a configuration that is slow to read does not delay a stop.
    ///
    /// # Errors
    /// The kernel refuses to wait for signals.
    pub fn wait(
        &self,
        signals: &mut Signals,
        reload: impl FnMut(SignalEvent) -> Looked + Send + 'static,
    ) -> io::Result<()> {
        // one request that waits covers all that come before it is served
        let (hangups, requests) = sync_channel(1);
        let (supervisor, look) = (Arc::clone(&self.supervisor), signals.look.take());
        let serve = move || serve_reloads(&supervisor, &requests, look, reload);
        let thread = std::thread::Builder::new().name("configuration".to_owned()).spawn(serve);
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for reloads: the configuration stays as it is");
        }
        loop {
            match signals.wait()? {
                SignalEvent::Stop => return Ok(()),
                SignalEvent::Reload | SignalEvent::Look => _ = hangups.try_send(()),
            }
        }
    }

    /// Leaves: reads what was written, flushes, exports, closes the ledger, with which `report` is called at
    /// once, and waits for a last scrape where that is wanted.
    pub fn drain(self, report: impl FnOnce(&Closing)) -> Closing {
        let supervisor = &self.supervisor;
        supervisor.standing.phase.advance(Phase::Reading);
        let drain = Drain {
            settings: supervisor.settings.drain,
            clock: &supervisor.clock,
            telemetry: &supervisor.telemetry,
            standing: &supervisor.standing,
            begin: supervisor.clock.monotonic(),
            unasked: supervisor.application_left.load(Ordering::Acquire),
        };
        drain.outlast_stdin(|| supervisor.reads_stdin());
        drain.outlast_application(|| supervisor.last_activity());
        let workers = supervisor.leave();
        let wait = |left| supervisor.wait_for(&workers, left);
        drain.run(&workers, wait, self.outputs, report)
    }
}

/// Calls `reload` on every request and after the time that it returned; ends when nobody can request any
/// more.
fn serve_reloads(
    supervisor: &Supervisor,
    requests: &Receiver<()>,
    mut look: Option<Duration>,
    mut reload: impl FnMut(SignalEvent) -> Looked,
) {
    loop {
        let request = match look {
            Some(after) => requests.recv_timeout(after),
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let looked = match request {
            Ok(()) => reload(SignalEvent::Reload),
            Err(RecvTimeoutError::Timeout) => reload(SignalEvent::Look),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        look = looked.again;
        if looked.changed {
            supervisor.wake_workers();
        }
    }
}

/// The life of the sidecar: serves until it is told to stop, drains, prints the ledger as the last line on
/// stderr, and returns the exit code.
///
/// # Errors
/// When the kernel refuses what the process needs to begin with.
pub fn run(
    parts: Parts,
    signals: &mut Signals,
    started: impl FnOnce(&[(Door, DoorState)]),
    reload: impl FnMut(SignalEvent) -> Looked + Send + 'static,
) -> io::Result<u8> {
    let running = App::new(parts).spawn(signals)?;
    started(&running.doors());
    running.wait(signals, reload)?;
    if let Err(error) = signals.watch_repeated_stops() {
        tracing::warn!(%error, "repeated stop signals are ignored without a word");
    }
    let closing = running.drain(|closing| {
        // when nobody reads it any more, the exit code says the same
        console::note(&format!("{}\n", closing.ledger));
    });
    Ok(closing.exit_code())
}

/// A container often starts with 1,024 descriptors and may have many more.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
}
