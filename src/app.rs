//! The whole process: doors are opened, data threads run, everything drains. Unit: one process.
//!
//! `App::new(parts).spawn()` opens what can be opened and serves; what cannot is tried again every second,
//! while the process runs on: a sidecar must never keep its application from starting.

pub mod admin;
pub mod compose;
pub mod doors;
pub mod drain;
pub mod lifeline;
pub mod reload;
pub mod signals;
pub mod worker;

use crate::clock::Clock;
use crate::console;
use crate::phase::Phase;
use crate::pipeline::Input;
use crate::receive::control::Control;
use crate::receive::limits::Limits;
use crate::receive::stream::Setup;
use crate::telemetry::Telemetry;
use crate::telemetry::standing::{Door, DoorState, Standing};
use doors::{DATAGRAM_NAME, Opened, Place, STREAM_NAME, Wanted};
use drain::{Closing, Drain, Mode, Output};
use lifeline::{Lifeline, Signs};
use reload::{Cause, Looked};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signals::{Signals, Stopper, Told};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use worker::{Pipelines, Serves, Worker};

/// How often a door that is stuck is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Descriptors that are asked for: all connections and as many again.
const DESCRIPTORS: u64 = 8192;

/// What the process is to do.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The bounds of what comes in.
    pub limits: Limits,
    /// The stream socket, if wanted.
    pub stream: Option<Place>,
    /// The datagram socket, if wanted.
    pub datagram: Option<Place>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<PathBuf>,
    /// The admin port, if wanted.
    pub listen: Option<SocketAddr>,
    /// Standard input is read; when it ends, the process drains and leaves.
    pub stdin: bool,
    /// In classic mode: the process leaves when the application has.
    pub exit_with_app: bool,
    /// How the process leaves.
    pub drain: drain::Settings,
}

/// Serves the admin port from its own thread; called once, when the port is bound.
pub struct Admin(pub Box<dyn FnOnce(TcpListener) + Send>);

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

/// All that an `App` is made of.
#[derive(Debug)]
pub struct Parts {
    /// What to do.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Where everything is counted.
    pub telemetry: Arc<Telemetry>,
    /// Where everybody sees how we stand.
    pub standing: Arc<Standing>,
    /// What deliveries are handed to.
    pub pipelines: Pipelines,
    /// Who serves the admin port.
    pub admin: Option<Admin>,
    /// What has to be sent before the end.
    pub outputs: Vec<Output>,
}

/// The process before it runs.
#[derive(Debug)]
pub struct App(Parts);

impl App {
    /// From its parts.
    pub fn new(parts: Parts) -> App {
        App(parts)
    }

    /// Opens the doors, starts the data threads, and goes on trying where a door is stuck. `signals` must be
    /// installed before, so that no stop finds the process unprepared.
    ///
    /// # Errors
    /// When the kernel refuses threads or descriptors to begin with.
    pub fn spawn(self, signals: &Signals) -> io::Result<Running> {
        let parts = self.0;
        raise_descriptor_limit();
        let (ended, has_ended) = channel();
        let house = Arc::new(House {
            settings: Settings { limits: parts.settings.limits.bounded(), ..parts.settings },
            clock: parts.clock,
            telemetry: parts.telemetry,
            standing: parts.standing,
            pipelines: parts.pipelines,
            inside: Mutex::new(Inside {
                workers: Vec::new(),
                admin: parts.admin,
                ended,
                leaving: false,
            }),
            leave: Condvar::new(),
            application_left: AtomicBool::new(false),
        });
        let mut stuck = house.wanted();
        for wanted in &stuck {
            house.standing.door(wanted.door(), DoorState::Closed);
        }
        stuck.retain(|wanted| !house.open(wanted));
        if house.settings.stdin
            && let Err(error) = signals.stopper().and_then(|stopper| house.open_stdin(stopper))
        {
            tracing::warn!(%error, "standard input cannot be read");
        }
        if house.settings.exit_with_app && matches!(house.settings.drain.mode, Mode::Classic { .. })
        {
            let (house, stopper) = (Arc::clone(&house), signals.stopper()?);
            std::thread::Builder::new()
                .name("lifeline".to_owned())
                .spawn(move || house.watch_lifeline(stopper))?;
        }
        if !stuck.is_empty() {
            let house = Arc::clone(&house);
            std::thread::Builder::new()
                .name("doors".to_owned())
                .spawn(move || house.keep_trying(stuck))?;
        }
        Ok(Running { house, ended: has_ended, outputs: parts.outputs })
    }
}

/// What main thread, door keeper and drain share.
#[derive(Debug)]
struct House {
    settings: Settings,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    standing: Arc<Standing>,
    pipelines: Pipelines,
    inside: Mutex<Inside>,
    /// Told when `Inside::leaving` is set.
    leave: Condvar,
    /// Nobody told us to leave but the application's own end.
    application_left: AtomicBool,
}

#[derive(Debug)]
struct Inside {
    workers: Vec<Worker>,
    admin: Option<Admin>,
    ended: Sender<Input>,
    /// No door is opened any more.
    leaving: bool,
}

impl House {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Tries to open a door and to put somebody behind it; false if it is to be tried again.
    fn open(&self, wanted: &Wanted) -> bool {
        let mut inside = self.inside();
        if inside.leaving {
            return true;
        }
        let Some(opened) = wanted.open(&self.standing) else { return false };
        let staffed = match opened {
            Opened::Stream(bound) => self.staff(&mut inside, Serves::Stream(bound), "stream"),
            Opened::Datagram(bound) => self.staff(&mut inside, Serves::Datagram(bound), "datagram"),
            Opened::Admin(listener) => {
                if let Some(Admin(serve)) = inside.admin.take() {
                    serve(listener);
                }
                Ok(())
            }
        };
        if let Err(error) = &staffed {
            self.standing.door(wanted.door(), DoorState::Stuck(error.to_string()));
        }
        staffed.is_ok()
    }

    fn open_stdin(&self, stopper: Stopper) -> io::Result<()> {
        let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        self.staff(&mut self.inside(), Serves::Stdin(input, stopper), "stdin")
    }

    fn staff(&self, inside: &mut Inside, serves: Serves, thread: &'static str) -> io::Result<()> {
        let control = Control::new(thread)?;
        self.standing.watch(Arc::clone(&control.beat));
        let setup = Setup {
            limits: self.settings.limits,
            clock: self.clock.clone(),
            control,
            telemetry: Arc::clone(&self.telemetry),
        };
        let worker = Worker::spawn(serves, setup, &self.pipelines, inside.ended.clone())?;
        inside.workers.push(worker);
        Ok(())
    }

    /// Stops the process when the application has left.
    fn watch_lifeline(&self, mut stopper: Stopper) {
        let input = [Input::Stream.name()];
        let mut lifeline = Lifeline::default();
        loop {
            let inside = self.inside();
            let waited =
                self.leave.wait_timeout_while(inside, lifeline::LOOK, |inside| !inside.leaving);
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

    fn wake_workers(&self) {
        for worker in &self.inside().workers {
            worker.control.wake();
        }
    }

    /// Calls `reload` whenever somebody asks for it, and after the time that it said itself; returns when
    /// nobody can ask any more.
    fn follow(
        &self,
        asked: &Receiver<()>,
        mut look: Option<Duration>,
        mut reload: impl FnMut(Cause) -> Looked,
    ) {
        loop {
            let asked = match look {
                Some(after) => asked.recv_timeout(after),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let looked = match asked {
                Ok(()) => reload(Cause::Signal),
                Err(RecvTimeoutError::Timeout) => reload(Cause::Time),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            look = looked.again;
            if looked.changed {
                self.wake_workers();
            }
        }
    }

    /// Tries the doors that are stuck until they are open or the process leaves.
    fn keep_trying(&self, mut stuck: Vec<Wanted>) {
        while !stuck.is_empty() {
            let inside = self.inside();
            let waited = self.leave.wait_timeout_while(inside, RETRY, |inside| !inside.leaving);
            let (inside, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if inside.leaving {
                return;
            }
            drop(inside);
            stuck.retain(|wanted| {
                let open = self.open(wanted);
                if open {
                    tracing::info!(door = wanted.door().name(), "open now");
                }
                !open
            });
        }
    }
}

/// The process while it runs.
#[derive(Debug)]
pub struct Running {
    house: Arc<House>,
    ended: Receiver<Input>,
    outputs: Vec<Output>,
}

impl Running {
    /// The doors and how they stand, for the first lines that are printed.
    pub fn doors(&self) -> Vec<(Door, DoorState)> {
        self.house.standing.doors()
    }

    /// Wakes every data thread, so that pipelines look at new rules also where no line comes.
    pub fn nudge(&self) {
        self.house.wake_workers();
    }

    /// Waits until the process is told to stop. `reload` is called on SIGHUP, and when it is time to look
    /// whether the configuration changed, first after `look`; it says after how long to look again. It runs
    /// on a thread of its own, so that a configuration that is slow to read does not delay a stop.
    ///
    /// # Errors
    /// When the kernel refuses to wait for signals.
    pub fn wait(
        &self,
        signals: &mut Signals,
        look: Option<Duration>,
        reload: impl FnMut(Cause) -> Looked + Send + 'static,
    ) -> io::Result<()> {
        // one that waits covers all that come before it begins
        let (hangups, asked) = sync_channel(1);
        let house = Arc::clone(&self.house);
        let follow = move || house.follow(&asked, look, reload);
        let thread = std::thread::Builder::new().name("configuration".to_owned()).spawn(follow);
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for reloads: the configuration stays as it is");
        }
        loop {
            match signals.wait()? {
                Told::Stop => return Ok(()),
                Told::Reload => _ = hangups.try_send(()),
            }
        }
    }

    /// Leaves: reads what was written, flushes, exports, closes the ledger, of which `told` hears at once,
    /// and waits for a last scrape where that is wanted.
    pub fn drain(self, told: impl FnOnce(&Closing)) -> Closing {
        let house = &self.house;
        house.standing.phase.advance(Phase::Reading);
        let drain = Drain {
            settings: house.settings.drain,
            clock: &house.clock,
            telemetry: &house.telemetry,
            standing: &house.standing,
            begin: house.clock.monotonic(),
            unasked: house.application_left.load(Ordering::Acquire),
        };
        drain.outlast(|| house.inside().workers.iter().map(|one| one.control.fed()).collect());
        let workers = {
            let mut inside = house.inside();
            inside.leaving = true;
            house.leave.notify_all();
            std::mem::take(&mut inside.workers)
        };
        drain.run(&workers, &self.ended, self.outputs, told)
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
    look: Option<Duration>,
    reload: impl FnMut(Cause) -> Looked + Send + 'static,
) -> io::Result<u8> {
    let running = App::new(parts).spawn(signals)?;
    started(&running.doors());
    running.wait(signals, look, reload)?;
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
