//! A sidecar in this process that records the delivered bytes instead of processing them.

use sidelight::app::drain::{self, Output};
use sidelight::app::listeners::SocketLocation;
use sidelight::app::setup::{AppSetup, Settings, Sockets};
use sidelight::app::signals::Signals;
use sidelight::app::worker::Pipelines;
use sidelight::app::{App, Running};
use sidelight::clock::{Clock, UnixNanos};
use sidelight::frame::count;
use sidelight::frame::encoding::Frame;
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::telemetry::Telemetry;
use sidelight::telemetry::process_status::ProcessStatus;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The bytes and events that the data threads delivered.
#[derive(Clone, Default, Debug)]
pub(crate) struct Recording {
    sources: BTreeMap<u64, Vec<u8>>,
    /// The bytes of each connection, in the order of the connections.
    pub(crate) by_source: Vec<Vec<u8>>,
    pub(crate) oversized: Vec<(usize, u64)>,
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) flushes: u64,
    pub(crate) ticks: u64,
}

/// Long enough for a loaded machine: a test that waits this long fails. No test asserts on a
/// shorter time.
pub(crate) const AMPLE: Duration = Duration::from_mins(1);

/// Counts frames as decoded, as a pipeline does, so that the ledger closes.
pub(crate) fn decode(telemetry: &Telemetry, frames: u64) {
    telemetry.decoded.with_label_values(&["text"]).inc_by(frames);
}

/// A sink that records what a data thread delivers.
struct Recorder {
    telemetry: Arc<Telemetry>,
    input: Input,
    recording: Arc<Mutex<Recording>>,
    on_lines: Arc<Mutex<OnLines>>,
    datagram_flushes: Arc<AtomicU64>,
}

impl Recorder {
    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrameSink for Recorder {
    fn lines(&mut self, source: &mut Source, block: &[u8], _: UnixNanos) {
        decode(&self.telemetry, count::frames(block));
        (self.on_lines.lock().unwrap_or_else(PoisonError::into_inner))(block);
        let mut recording = self.recording();
        recording.sources.entry(source.id).or_default().extend_from_slice(block);
        recording.by_source = recording.sources.values().cloned().collect();
    }

    fn oversized(&mut self, _: &mut Source, prefix: &[u8], bytes: u64, _: UnixNanos) {
        decode(&self.telemetry, 1);
        self.recording().oversized.push((prefix.len(), bytes));
    }

    fn frame(&mut self, _: &mut Source, frame: Frame<'_>, _: UnixNanos) {
        decode(&self.telemetry, 1);
        self.recording().datagrams.push(frame.bytes.to_vec());
    }

    fn flush(&mut self, _: UnixNanos) {
        if self.input == Input::Datagram {
            self.datagram_flushes.fetch_add(1, Ordering::Release);
        }
        self.recording().flushes += 1;
    }

    fn tick(&mut self, _: UnixNanos) -> bool {
        self.recording().ticks += 1;
        false
    }
}

type OnLines = Box<dyn FnMut(&[u8]) + Send>;

/// A sidecar in this process.
pub(crate) struct Sidecar {
    pub(crate) stream: PathBuf,
    pub(crate) datagram: PathBuf,
    running: Running,
    recording: Arc<Mutex<Recording>>,
    on_lines: Arc<Mutex<OnLines>>,
    datagram_flushes: Arc<AtomicU64>,
    telemetry: Arc<Telemetry>,
    process_status: Arc<ProcessStatus>,
    directory: TempDir,
    _signals: Signals,
}

/// The state of a sidecar after its end.
pub(crate) struct Closing {
    pub(crate) recording: Recording,
    pub(crate) torn: u64,
    pub(crate) stream: PathBuf,
    pub(crate) directory: TempDir,
}

impl Sidecar {
    pub(crate) fn spawn() -> Sidecar {
        Sidecar::build(|_| {}, |_| {}, Vec::new())
    }

    /// Starts a sidecar that waits for its outputs until `deadline`.
    pub(crate) fn spawn_until(deadline: Duration, outputs: Vec<Output>) -> Sidecar {
        Sidecar::build(|settings| settings.drain.deadline = deadline, |_| {}, outputs)
    }

    pub(crate) fn spawn_with(change: impl FnOnce(&mut Settings)) -> Sidecar {
        Sidecar::build(change, |_| {}, Vec::new())
    }

    pub(crate) fn spawn_behind(obstacle: impl FnOnce(&Path)) -> Sidecar {
        Sidecar::build(|_| {}, obstacle, Vec::new())
    }

    fn build(
        change: impl FnOnce(&mut Settings),
        obstacle: impl FnOnce(&Path),
        outputs: Vec<Output>,
    ) -> Sidecar {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (stream, datagram) =
            (directory.path().join("log.sock"), directory.path().join("d.sock"));
        obstacle(&stream);
        let signals = Signals::deaf().expect("descriptors");
        let (telemetry, process_status) = (Arc::new(Telemetry::new()), ProcessStatus::new());
        let recording = Arc::new(Mutex::new(Recording::default()));
        let mut settings = Settings {
            sockets: Sockets {
                stream: Some(SocketLocation {
                    path: Some(stream.clone()),
                    ..SocketLocation::default()
                }),
                datagram: Some(SocketLocation {
                    path: Some(datagram.clone()),
                    ..SocketLocation::default()
                }),
                ..Sockets::default()
            },
            // a thread that gets no CPU time does not hang
            drain: drain::Settings { deadline: AMPLE, ..drain::Settings::default() },
            ..Settings::default()
        };
        change(&mut settings);
        let on_lines: Arc<Mutex<OnLines>> = Arc::new(Mutex::new(Box::new(|_| {})));
        let datagram_flushes = Arc::new(AtomicU64::new(0));
        let into = (Arc::clone(&recording), Arc::clone(&on_lines), Arc::clone(&datagram_flushes));
        let counted = Arc::clone(&telemetry);
        let parts = AppSetup {
            settings,
            clock: Clock::system(),
            telemetry: Arc::clone(&telemetry),
            process_status: Arc::clone(&process_status),
            pipelines: Pipelines::new(move |input| {
                let (recording, on_lines, datagram_flushes) = into.clone();
                let telemetry = Arc::clone(&counted);
                Box::new(Recorder { telemetry, input, recording, on_lines, datagram_flushes })
            }),
            admin: None,
            outputs,
        };
        let running = App::new(parts).spawn(&signals).expect("it starts");
        Sidecar {
            stream,
            datagram,
            running,
            recording,
            on_lines,
            datagram_flushes,
            telemetry,
            process_status,
            directory,
            _signals: signals,
        }
    }

    /// Calls `then` on the data thread before lines are recorded.
    pub(crate) fn on_lines(&self, then: impl FnMut(&[u8]) + Send + 'static) {
        *self.on_lines.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(then);
    }

    /// Returns how often the datagram thread has flushed.
    pub(crate) fn datagram_flushes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.datagram_flushes)
    }

    pub(crate) fn nudge(&self) {
        self.running.nudge();
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(crate) fn process_status(&self) -> &ProcessStatus {
        &self.process_status
    }

    pub(crate) fn share_process_status(&self) -> Arc<ProcessStatus> {
        Arc::clone(&self.process_status)
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Recording) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until the process is ready. A listener accepts a moment before the process reports it.
    pub(crate) fn wait_ready(&self) {
        until("ready", || self.process_status.is_ready(Duration::ZERO));
    }

    /// Waits until `look` returns true.
    pub(crate) fn until(&self, look: impl Fn(&Recording) -> bool) {
        let begin = Instant::now();
        while !self.look(&look) {
            assert!(begin.elapsed() < AMPLE, "{:?}", self.lock());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Stops the sidecar, whatever its result is.
    pub(crate) fn drain(self) -> sidelight::app::drain::Closing {
        self.running.drain(|_| ())
    }

    pub(crate) fn close(self) -> Closing {
        let closing = self.running.drain(|_| ());
        assert_eq!(closing.exit_code(), 0, "{closing:?}");
        let open = &self.telemetry.connections_open;
        assert_eq!(open.with_label_values(&["stream"]).get(), 0, "every connection was closed");
        let recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Closing {
            recording,
            torn: self.telemetry.torn.get(),
            stream: self.stream,
            directory: self.directory,
        }
    }
}

/// Waits until `look` is true.
pub(crate) fn until(what: &str, look: impl Fn() -> bool) {
    let begin = Instant::now();
    while !look() {
        assert!(begin.elapsed() < AMPLE, "never {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
