//! The listeners of the process and the threads behind them: opened, watched, and opened again when
//! one is lost. A listener that cannot be opened never ends the process: the application starts
//! whatever is wrong with us, and `/readyz` says what it is. Unit: one listener.
//!
//! Lost means: its data thread has ended, its admin thread has ended, or its socket file was
//! removed or replaced. A new socket at the same path goes to the thread that serves the old one,
//! so that no connection is lost.

use super::doors::{DATAGRAM_NAME, NotOpen, Opened, STREAM_NAME, Wanted};
use super::lifeline::{self, Lifeline, Signs};
use super::parts::{Admin, Settings};
use super::signals::Stopper;
use super::worker::{Pipelines, Serves, Worker};
use crate::clock::Clock;
use crate::pipeline::input::Input;
use crate::receive::bind::Bound;
use crate::receive::control::Control;
use crate::receive::worker::Setup;
use crate::telemetry::Telemetry;
use crate::telemetry::standing::{DoorState, Standing};
use rustix::termios::isatty;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often every listener is looked at, and tried again if it is not open.
const LOOK: Duration = Duration::from_secs(1);

/// A socket that is in use at the start is tried so often ...
const IN_USE_LOOKS: u32 = 10;

/// ... at this distance, before the next listener is opened.
const IN_USE_LOOK: Duration = Duration::from_millis(20);

/// Shared by the main thread, the supervising thread, the data threads' ends and the drain.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) standing: Arc<Standing>,
    pipelines: Pipelines,
    admin: Option<Admin>,
    state: Mutex<State>,
    /// Notified when a worker has ended and when the process begins to leave.
    changed: Condvar,
    /// The process leaves because the application has, not because of a signal.
    pub(super) application_left: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    listeners: Vec<Listener>,
    stdin: Option<Worker>,
    /// A worker has ended since the last look.
    worker_ended: bool,
    /// No listener is opened any more.
    leaving: bool,
}

/// One listener that is wanted.
#[derive(Debug)]
struct Listener {
    wanted: Wanted,
    serving: Serving,
}

#[derive(Debug)]
enum Serving {
    Nothing,
    Data(Worker),
    Admin(JoinHandle<()>),
}

/// What a [`Supervisor`] is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) standing: Arc<Standing>,
    pub(super) pipelines: Pipelines,
    pub(super) admin: Option<Admin>,
}

impl Supervisor {
    pub(super) fn new(parts: Parts) -> Arc<Supervisor> {
        Arc::new(Supervisor {
            settings: parts.settings,
            clock: parts.clock,
            telemetry: parts.telemetry,
            standing: parts.standing,
            pipelines: parts.pipelines,
            admin: parts.admin,
            state: Mutex::default(),
            changed: Condvar::new(),
            application_left: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens every listener that can be opened now, and starts the thread that watches them.
    ///
    /// # Errors
    /// The kernel gives no thread.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let wanted = self.wanted();
        for one in &wanted {
            self.standing.door(one.door(), DoorState::Closed);
        }
        let mut state = self.state();
        state.listeners = wanted
            .into_iter()
            .map(|wanted| Listener { wanted, serving: Serving::Nothing })
            .collect();
        for listener in &mut state.listeners {
            self.open_first(listener);
        }
        drop(state);
        let supervisor = Arc::clone(self);
        let thread = std::thread::Builder::new().name("supervisor".to_owned());
        thread.spawn(move || supervisor.supervise()).map(|_| ())
    }

    /// The first attempts. Of several sidecars that start at once in one directory, the one that
    /// gets the first socket must get the others too, or none of them is ever ready: so a sidecar
    /// that finds a socket in use waits a little before it goes on to the next listener.
    fn open_first(self: &Arc<Self>, listener: &mut Listener) {
        for _ in 0..IN_USE_LOOKS {
            if self.open(listener) != Err(NotOpen::InUse) {
                return;
            }
            std::thread::sleep(IN_USE_LOOK);
        }
    }

    fn wanted(&self) -> Vec<Wanted> {
        let runtime = self.settings.runtime_directory.as_deref();
        let mut wanted = Vec::new();
        if let Some(place) = &self.settings.stream {
            let (path, access) = place.resolve(STREAM_NAME, runtime);
            wanted.push(Wanted::Stream(path, access));
        }
        if let Some(place) = &self.settings.datagram {
            let (path, access) = place.resolve(DATAGRAM_NAME, runtime);
            wanted.push(Wanted::Datagram(path, access));
        }
        wanted.extend(self.settings.listen.map(Wanted::Admin));
        wanted
    }

    /// Starts the thread of standard input.
    ///
    /// # Errors
    /// The kernel gives no thread or no descriptor.
    pub(super) fn open_stdin(self: &Arc<Self>, stopper: Stopper) -> io::Result<()> {
        let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let worker = self.spawn_worker(Serves::Stdin(input, stopper), "stdin")?;
        self.state().stdin = Some(worker);
        Ok(())
    }

    /// Looks at every listener again and again until the process leaves.
    fn supervise(self: &Arc<Self>) {
        let mut state = self.state();
        loop {
            let waited = self
                .changed
                .wait_timeout_while(state, LOOK, |state| !state.leaving && !state.worker_ended);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.leaving {
                return;
            }
            state.worker_ended = false;
            for listener in &mut state.listeners {
                self.look_at(listener);
            }
        }
    }

    /// Opens a listener again if it is lost, or was never opened.
    fn look_at(self: &Arc<Self>, listener: &mut Listener) {
        let door = listener.wanted.door();
        let lost = match &mut listener.serving {
            Serving::Nothing => None,
            Serving::Data(worker) => match worker.end() {
                Some(why) => Some(format!("its thread ended: {why}")),
                None if worker.has_file() => return,
                None => return self.bind_again(&listener.wanted, worker),
            },
            Serving::Admin(thread) if thread.is_finished() => Some("its thread ended".to_owned()),
            Serving::Admin(_) => return,
        };
        if let Some(why) = lost {
            // the next look opens it: what made it end may not be over yet
            tracing::error!(listener = door.name(), "lost: {why}; trying to open it again");
            self.standing.door(door, DoorState::Stuck(why));
            listener.serving = Serving::Nothing;
            return;
        }
        if self.open(listener).is_ok() {
            tracing::info!(listener = door.name(), "open now");
        }
    }

    /// The file of a socket is gone: binds another, and gives it to the thread that serves the old
    /// one.
    fn bind_again(&self, wanted: &Wanted, worker: &mut Worker) {
        match wanted.open(&self.standing) {
            Ok(Opened::Stream(bound) | Opened::Datagram(bound)) => {
                let Bound { socket, file } = bound;
                worker.control.replace(socket);
                worker.file = Some(file);
                tracing::warn!(
                    listener = wanted.door().name(),
                    "its file was removed or replaced; bound again"
                );
            }
            Ok(Opened::Admin(_)) | Err(_) => {}
        }
    }

    /// Tries to open a listener and to start its thread.
    fn open(self: &Arc<Self>, listener: &mut Listener) -> Result<(), NotOpen> {
        let wanted = &listener.wanted;
        let opened = wanted.open(&self.standing)?;
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
                    listener = wanted.door().name(),
                    "{why}; trying again every second"
                );
                self.standing.door(wanted.door(), DoorState::Stuck(why));
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
        self.standing.watch(beat);
        Ok(worker)
    }

    /// Wakes every data thread.
    pub(super) fn wake_workers(&self) {
        let state = self.state();
        for worker in state.workers() {
            worker.control.wake();
        }
    }

    /// When bytes last came from any input, on the monotonic clock.
    pub(super) fn last_activity(&self) -> Duration {
        let state = self.state();
        let all = state.workers().map(|worker| worker.control.last_activity());
        all.max().unwrap_or_default()
    }

    /// True while standard input is read and its writer has not closed it; false for a terminal.
    pub(super) fn reads_stdin(&self) -> bool {
        // a terminal stays open, whoever has finished
        !isatty(rustix::stdio::stdin())
            && self.state().stdin.as_ref().is_some_and(|worker| worker.end().is_none())
    }

    /// Opens nothing any more, and gives all running workers away.
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

    /// Waits until all of these workers have ended, for `left` at most; returns those that have
    /// not.
    pub(super) fn wait_for(&self, workers: &[Worker], left: Duration) -> Vec<Input> {
        let runs = |worker: &&Worker| worker.end().is_none();
        let waited = self
            .changed
            .wait_timeout_while(self.state(), left, |_| workers.iter().any(|worker| runs(&worker)));
        drop(waited);
        workers.iter().filter(runs).map(|worker| worker.input).collect()
    }

    /// Stops the process when the application has left.
    pub(super) fn watch_application(&self, mut stopper: Stopper) {
        let input = [Input::Stream.name()];
        let mut lifeline = Lifeline::default();
        loop {
            let waited = self
                .changed
                .wait_timeout_while(self.state(), lifeline::LOOK, |state| !state.leaving);
            if waited.unwrap_or_else(PoisonError::into_inner).0.leaving {
                return;
            }
            let signs = Signs {
                open: self.telemetry.connections_open.with_label_values(&input).get(),
                connections: self.telemetry.connections.with_label_values(&input).get(),
                bytes: self.telemetry.received_bytes.with_label_values(&input).get(),
            };
            if lifeline.has_left(self.clock.monotonic(), signs) {
                tracing::info!("the application has left");
                self.application_left.store(true, Ordering::Release);
                return stopper.stop();
            }
        }
    }
}

impl State {
    fn workers(&self) -> impl Iterator<Item = &Worker> {
        let data = self.listeners.iter().filter_map(|listener| match &listener.serving {
            Serving::Data(worker) => Some(worker),
            Serving::Nothing | Serving::Admin(_) => None,
        });
        data.chain(&self.stdin)
    }
}
