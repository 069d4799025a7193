//! Runs the whole process: opens the listeners, starts the data threads and drains at the end.
//! Unit: one process.
//!
//! `App::new(parts).spawn()` opens every listener that it can and starts to serve. It retries a
//! listener that cannot be opened every second while the process keeps running, because a sidecar
//! must never prevent its application from starting.

pub(crate) mod admin;
pub(crate) mod app_exit;
pub mod compose;
pub mod drain;
pub mod listeners;
pub mod reload;
pub mod setup;
pub mod signals;
mod supervisor;
pub mod worker;

use crate::console;
use crate::phase::Phase;
use crate::telemetry::process_status::{ListenerKind, ListenerState};
use drain::{Closing, Drain, Mode, Output};
use reload::Looked;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use setup::{AppSetup, Settings};
use signals::{SignalEvent, Signals};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use supervisor::Supervisor;

/// The limit of open files that the process requests: one descriptor per possible connection, and
/// as many again for everything else.
const DESCRIPTORS: u64 = 8192;

/// A process that has not been started yet.
#[derive(Debug)]
pub struct App(AppSetup);

impl App {
    /// Creates a process from its parts.
    pub fn new(parts: AppSetup) -> App {
        App(parts)
    }

    /// Opens the listeners and starts the data threads. Keeps retrying listeners that cannot be
    /// opened. Install `signals` before this call, so that a stop signal always finds a handler.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses the threads or descriptors that the process needs to
    /// start.
    pub fn spawn(self, signals: &Signals) -> io::Result<Running> {
        let parts = self.0;
        raise_descriptor_limit();
        let settings = Settings { limits: parts.settings.limits.bounded(), ..parts.settings };
        let is_classic = matches!(settings.drain.mode, Mode::Classic { .. });
        let watches_application = settings.exit_with_app && is_classic;
        let reads_stdin = settings.stdin;
        let supervisor = Supervisor::new(supervisor::SupervisorSetup {
            settings,
            clock: parts.clock,
            telemetry: parts.telemetry,
            process_status: parts.process_status,
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

/// A running process.
#[derive(Debug)]
pub struct Running {
    supervisor: Arc<Supervisor>,
    outputs: Vec<Output>,
}

impl Running {
    /// Returns the listeners and their state, for the first lines that the process prints.
    pub fn listeners(&self) -> Vec<(ListenerKind, ListenerState)> {
        self.supervisor.process_status.listeners()
    }

    /// Wakes every data thread, so that pipelines load new rules even if no line arrives.
    pub fn nudge(&self) {
        self.supervisor.wake_workers();
    }

    /// Waits for a stop signal. Calls `reload` on SIGHUP, and when it is time to check whether the
    /// configuration changed: first after `signals.look`, then after the time that `reload`
    /// returned. `reload` runs on a separate thread, so that a configuration that is slow to read
    /// does not delay a stop.
    ///
    /// # Errors
    /// Returns an error if the kernel refuses to wait for signals.
    pub fn wait(
        &self,
        signals: &mut Signals,
        reload: impl FnMut(SignalEvent) -> Looked + Send + 'static,
    ) -> io::Result<()> {
        // One pending request covers all requests that arrive before it is served.
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

    /// Drains the process: reads what was written, flushes, exports and closes the ledger. Calls
    /// `report` as soon as the ledger is closed, then waits for a final scrape if the settings ask
    /// for one.
    pub fn drain(self, report: impl FnOnce(&Closing)) -> Closing {
        let supervisor = &self.supervisor;
        supervisor.process_status.phase.advance(Phase::Reading);
        let drain = Drain {
            settings: supervisor.settings.drain,
            clock: &supervisor.clock,
            telemetry: &supervisor.telemetry,
            process_status: &supervisor.process_status,
            begin: supervisor.clock.monotonic(),
            application_left: supervisor.application_left.load(Ordering::Acquire),
        };
        drain.outlast_stdin(|| supervisor.reads_stdin());
        drain.outlast_application(|| supervisor.last_activity());
        let workers = supervisor.leave();
        let wait = |left| supervisor.wait_for(&workers, left);
        drain.run(&workers, wait, self.outputs, report)
    }
}

/// Calls `reload` on every request, and each time the interval that it returned has passed. Returns
/// when all senders of requests are gone.
fn serve_reloads(
    supervisor: &Arc<Supervisor>,
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
        if let Some(sockets) = &looked.sockets {
            supervisor.move_sockets(sockets);
        }
        if looked.changed {
            supervisor.wake_workers();
        }
    }
}

/// Runs the sidecar: serves until a stop signal arrives, drains, prints the ledger as the last line
/// on stderr, and returns the exit code.
///
/// # Errors
/// Returns an error if the kernel refuses what the process needs to start.
pub fn run(
    parts: AppSetup,
    signals: &mut Signals,
    started: impl FnOnce(&[(ListenerKind, ListenerState)]),
    reload: impl FnMut(SignalEvent) -> Looked + Send + 'static,
) -> io::Result<u8> {
    let running = App::new(parts).spawn(signals)?;
    started(&running.listeners());
    running.wait(signals, reload)?;
    if let Err(error) = signals.watch_repeated_stops() {
        tracing::warn!(%error, "repeated stop signals are ignored without a word");
    }
    let closing = running.drain(|closing| {
        // If nobody reads stderr any more, the exit code carries the same information.
        console::note(&format!("{}\n", closing.ledger));
    });
    Ok(closing.exit_code())
}

/// Raises the limit of open files. A container often starts with 1,024 descriptors and may have
/// many more.
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
