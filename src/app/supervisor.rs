//! Opens the listeners of the process and starts their threads, watches them, and reopens a
//! listener that is lost. A listener that cannot be opened never ends the process: the application
//! must start whatever is wrong with the sidecar, and `/readyz` reports the problem. Unit: one
//! listener.
//!
//! A listener is lost if its data thread or its admin thread has ended, or if its socket file was
//! removed or replaced. A new socket at the same path goes to the thread that serves the old one,
//! so that no connection is lost.

use super::app_exit::{self, AppExitDetector, Signs};
use super::listeners::{DATAGRAM_NAME, NotOpen, Opened, STREAM_NAME, Wanted};
use super::setup::{Admin, Settings, Sockets};
use super::signals::Stopper;
use super::worker::{Pipelines, Serves, Worker};
use crate::clock::Clock;
use crate::pipeline::input::Input;
use crate::receive::bind::{Bound, SocketFile};
use crate::receive::control::Control;
use crate::receive::worker::Setup;
use crate::sync::{ignore_poison, lock};
use crate::telemetry::Telemetry;
use crate::telemetry::process_status::{ListenerState, ProcessStatus};
use rustix::termios::isatty;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often every listener is checked, and retried if it is not open.
const LOOK: Duration = Duration::from_secs(1);

/// How often a socket that is in use at the start is retried before the next listener is opened.
const IN_USE_LOOKS: u32 = 10;

/// The interval between these retries.
const IN_USE_LOOK: Duration = Duration::from_millis(20);

/// State that the main thread, the supervisor thread, the ends of data threads and the drain share.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) process_status: Arc<ProcessStatus>,
    pipelines: Pipelines,
    admin: Option<Admin>,
    state: Mutex<Supervised>,
    /// Notified when a worker has ended and when the process begins to drain.
    changed: Condvar,
    /// The process stops because the application has exited, not because of a signal.
    pub(super) application_left: AtomicBool,
}

#[derive(Debug, Default)]
struct Supervised {
    listeners: Vec<Listener>,
    stdin: Option<Worker>,
    /// A worker has ended since the last check.
    worker_ended: bool,
    /// The process is draining; no listener may be opened any more.
    leaving: bool,
}

/// A configured listener and the thread that serves it.
#[derive(Debug)]
struct Listener {
    wanted: Wanted,
    serving: Serving,
    /// Where it must listen from now on; None once it does.
    moves_to: Option<Wanted>,
}

impl Listener {
    fn new(wanted: Wanted) -> Listener {
        Listener { wanted, serving: Serving::Nothing, moves_to: None }
    }
}

#[derive(Debug)]
enum Serving {
    Nothing,
    Data(Worker),
    Admin(JoinHandle<()>),
}

/// The parts that a [`Supervisor`] is built from.
#[derive(Debug)]
pub(super) struct SupervisorSetup {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) process_status: Arc<ProcessStatus>,
    pub(super) pipelines: Pipelines,
    pub(super) admin: Option<Admin>,
}

impl Supervisor {
    pub(super) fn new(parts: SupervisorSetup) -> Arc<Supervisor> {
        Arc::new(Supervisor {
            settings: parts.settings,
            clock: parts.clock,
            telemetry: parts.telemetry,
            process_status: parts.process_status,
            pipelines: parts.pipelines,
            admin: parts.admin,
            state: Mutex::default(),
            changed: Condvar::new(),
            application_left: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, Supervised> {
        lock(&self.state)
    }

    /// Opens every listener that can be opened now, and starts the thread that watches them.
    ///
    /// # Errors
    /// Returns an error if the kernel provides no thread.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut wanted = wanted_sockets(&self.settings.sockets);
        wanted.extend(self.settings.listen.map(Wanted::Admin));
        for one in &wanted {
            self.process_status.set_listener(one.kind(), ListenerState::Closed);
        }
        let mut state = self.state();
        state.listeners = wanted.into_iter().map(Listener::new).collect();
        for listener in &mut state.listeners {
            self.open_first(listener);
        }
        drop(state);
        let supervisor = Arc::clone(self);
        let thread = std::thread::Builder::new().name("supervisor".to_owned());
        thread.spawn(move || supervisor.supervise()).map(|_| ())
    }

    /// Makes the first attempts to open a listener. If several sidecars start at once in one
    /// directory, the one that gets the first socket must also get the others; otherwise no sidecar
    /// ever becomes ready. So a sidecar that finds a socket in use waits a little before it goes on
    /// to the next listener.
    fn open_first(self: &Arc<Self>, listener: &mut Listener) {
        for _ in 0..IN_USE_LOOKS {
            if self.open(listener) != Err(NotOpen::InUse) {
                return;
            }
            std::thread::sleep(IN_USE_LOOK);
        }
    }

    /// Starts the thread that reads standard input.
    ///
    /// # Errors
    /// Returns an error if the kernel provides no thread or no descriptor.
    pub(super) fn open_stdin(self: &Arc<Self>, stopper: Stopper) -> io::Result<()> {
        let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let worker = self.spawn_worker(Serves::Stdin(input, stopper), "stdin")?;
        self.state().stdin = Some(worker);
        Ok(())
    }

    /// Checks every listener repeatedly until the process drains.
    fn supervise(self: &Arc<Self>) {
        let mut state = self.state();
        loop {
            let waited = self
                .changed
                .wait_timeout_while(state, LOOK, |state| !state.leaving && !state.worker_ended);
            state = ignore_poison(waited).0;
            if state.leaving {
                return;
            }
            state.worker_ended = false;
            for listener in &mut state.listeners {
                self.look_at(listener);
            }
        }
    }

    /// Reopens a listener that is lost or was never opened.
    fn look_at(self: &Arc<Self>, listener: &mut Listener) {
        let kind = listener.wanted.kind();
        let lost = match &listener.serving {
            Serving::Nothing => None,
            Serving::Data(worker) => match worker.end() {
                Some(why) => Some(format!("its thread ended: {why}")),
                None => return self.check_file(listener),
            },
            Serving::Admin(thread) if thread.is_finished() => Some("its thread ended".to_owned()),
            Serving::Admin(_) => return,
        };
        if let Some(why) = lost {
            // The next check reopens it, because the cause may persist for now.
            tracing::error!(listener = kind.name(), "lost: {why}; trying to open it again");
            self.process_status.set_listener(kind, ListenerState::Stuck(why));
            listener.serving = Serving::Nothing;
            if let Some(next) = listener.moves_to.take() {
                listener.wanted = next;
            }
            return;
        }
        if self.open(listener).is_ok() {
            tracing::info!(listener = kind.name(), "open now");
        }
    }

    /// Makes a listener with a running thread listen where it must: at another path if the
    /// configuration names one, and again at its path after the socket file has disappeared.
    fn check_file(&self, listener: &mut Listener) {
        let Serving::Data(worker) = &mut listener.serving else { return };
        let kind = listener.wanted.kind();
        let Some(next) = &listener.moves_to else {
            if !worker.has_file() && self.bind_again(&listener.wanted, worker).is_some() {
                tracing::warn!(
                    listener = kind.name(),
                    "its file was removed or replaced; bound again"
                );
            }
            return;
        };
        // With another mode or group but the same path, our old socket would be in the way.
        if next.path() == listener.wanted.path() {
            worker.remove_file();
        }
        if let Some(old) = self.bind_again(next, worker) {
            old.remove();
            listener.wanted = next.clone();
            listener.moves_to = None;
            tracing::info!(listener = kind.name(), "moved to where the configuration wants it");
        }
    }

    /// Binds a new socket and passes it to the thread that serves the old one, which accepts the
    /// connections that wait there first. Returns the file of the old socket.
    fn bind_again(&self, wanted: &Wanted, worker: &mut Worker) -> Option<SocketFile> {
        match wanted.open(&self.process_status) {
            Ok(Opened::Stream(bound) | Opened::Datagram(bound)) => {
                let Bound { socket, file } = bound;
                worker.control.replace(socket);
                worker.file.replace(file)
            }
            Ok(Opened::Admin(_)) | Err(_) => None,
        }
    }

    /// Moves the sockets of the running process to where `sockets` says. A socket that cannot be
    /// bound there is retried every second, and the old one serves until then.
    pub(super) fn move_sockets(self: &Arc<Self>, sockets: &Sockets) {
        let mut state = self.state();
        for next in wanted_sockets(sockets) {
            let same_kind = |listener: &&mut Listener| listener.wanted.kind() == next.kind();
            let Some(listener) = state.listeners.iter_mut().find(same_kind) else { continue };
            if listener.wanted == next {
                continue;
            }
            if let Serving::Nothing = listener.serving {
                listener.wanted = next;
            } else {
                listener.moves_to = Some(next);
            }
            self.look_at(listener);
        }
    }

    /// Tries to open a listener and to start its thread.
    fn open(self: &Arc<Self>, listener: &mut Listener) -> Result<(), NotOpen> {
        let wanted = &listener.wanted;
        let opened = wanted.open(&self.process_status)?;
        let started = match opened {
            Opened::Stream(bound) => {
                self.spawn_worker(Serves::Stream(bound), "stream").map(Serving::Data)
            }
            Opened::Datagram(bound) => {
                self.spawn_worker(Serves::Datagram(bound), "datagram").map(Serving::Data)
            }
            Opened::Admin(socket) => match &self.admin {
                Some(Admin(serve)) => serve(socket).map(Serving::Admin),
                None => Ok(Serving::Nothing),
            },
        };
        match started {
            Ok(serving) => {
                listener.serving = serving;
                Ok(())
            }
            Err(error) => {
                let why = format!("no thread can serve it: {error}");
                tracing::error!(
                    listener = wanted.kind().name(),
                    "{why}; trying again every second"
                );
                self.process_status.set_listener(wanted.kind(), ListenerState::Stuck(why));
                Err(NotOpen::Failed)
            }
        }
    }

    fn spawn_worker(self: &Arc<Self>, serves: Serves, thread: &'static str) -> io::Result<Worker> {
        let control = Control::new(thread)?;
        let beat = Arc::clone(&control.beat);
        let setup = Setup {
            limits: self.settings.limits,
            clock: self.clock.clone(),
            control,
            telemetry: Arc::clone(&self.telemetry),
        };
        let supervisor = Arc::clone(self);
        let on_end = Box::new(move || {
            supervisor.state().worker_ended = true;
            supervisor.changed.notify_all();
        });
        let worker = Worker::spawn(serves, setup, &self.pipelines, on_end)?;
        self.process_status.watch(beat);
        Ok(worker)
    }

    /// Wakes every data thread.
    pub(super) fn wake_workers(&self) {
        let state = self.state();
        for worker in state.workers() {
            worker.control.wake();
        }
    }

    /// Returns when bytes last arrived from any input, on the monotonic clock.
    pub(super) fn last_activity(&self) -> Duration {
        let state = self.state();
        let all = state.workers().map(|worker| worker.control.last_activity());
        all.max().unwrap_or_default()
    }

    /// Returns true while standard input is read and its writer has not closed it; false for a
    /// terminal.
    pub(super) fn reads_stdin(&self) -> bool {
        // A terminal stays open after its writer has finished.
        !isatty(rustix::stdio::stdin())
            && self.state().stdin.as_ref().is_some_and(|worker| worker.end().is_none())
    }

    /// Prevents further listeners from being opened, and returns all running workers.
    pub(super) fn leave(&self) -> Vec<Worker> {
        let mut state = self.state();
        state.leaving = true;
        self.changed.notify_all();
        let listeners = std::mem::take(&mut state.listeners);
        let data = listeners.into_iter().filter_map(|listener| match listener.serving {
            Serving::Data(worker) => Some(worker),
            Serving::Nothing | Serving::Admin(_) => None,
        });
        let mut workers: Vec<Worker> = data.collect();
        workers.extend(state.stdin.take());
        workers
    }

    /// Waits at most `left` until all of these workers have ended; returns the inputs of those that
    /// have not.
    pub(super) fn wait_for(&self, workers: &[Worker], left: Duration) -> Vec<Input> {
        let runs = |worker: &&Worker| worker.end().is_none();
        let waited = self
            .changed
            .wait_timeout_while(self.state(), left, |_| workers.iter().any(|worker| runs(&worker)));
        drop(waited);
        workers.iter().filter(runs).map(|worker| worker.input).collect()
    }

    /// Stops the process when the application has exited.
    pub(super) fn watch_application(&self, mut stopper: Stopper) {
        let input = [Input::Stream.name()];
        let mut app_exit = AppExitDetector::default();
        loop {
            let waited = self
                .changed
                .wait_timeout_while(self.state(), app_exit::LOOK, |state| !state.leaving);
            if ignore_poison(waited).0.leaving {
                return;
            }
            let signs = Signs {
                open: self.telemetry.connections_open.with_label_values(&input).get(),
                connections: self.telemetry.connections.with_label_values(&input).get(),
                bytes: self.telemetry.received_bytes.with_label_values(&input).get(),
            };
            if app_exit.has_left(self.clock.monotonic(), signs) {
                tracing::info!("the application has left");
                self.application_left.store(true, Ordering::Release);
                return stopper.stop();
            }
        }
    }
}

fn wanted_sockets(sockets: &Sockets) -> Vec<Wanted> {
    let runtime = sockets.runtime_directory.as_deref();
    let mut wanted = Vec::new();
    if let Some(place) = &sockets.stream {
        let (path, access) = place.resolve(STREAM_NAME, runtime);
        wanted.push(Wanted::Stream(path, access));
    }
    if let Some(place) = &sockets.datagram {
        let (path, access) = place.resolve(DATAGRAM_NAME, runtime);
        wanted.push(Wanted::Datagram(path, access));
    }
    wanted
}

impl Supervised {
    fn workers(&self) -> impl Iterator<Item = &Worker> {
        let data = self.listeners.iter().filter_map(|listener| match &listener.serving {
            Serving::Data(worker) => Some(worker),
            Serving::Nothing | Serving::Admin(_) => None,
        });
        data.chain(&self.stdin)
    }
}

#[cfg(test)]
mod tests;
