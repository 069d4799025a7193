//! The status of the process: its phase, its listeners, and whether its data threads make progress.
//! `app` and the data threads write it, the admin port reads it. Nothing here may wait: `/livez`
//! reads it while everything else is busy. Unit: one process.

use super::outputs::OutputStatus;
use super::scrapers::Scrapers;
use crate::phase::{Phase, PhaseCell};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A busy data thread that has not reported progress for this long hangs (the kubelet probes every
/// 10 s).
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The process is not ready while the fullest queue is at least this full: the rest holds a second
/// or two of spans.
pub const QUEUE_FILL_READY_MAX: f64 = 0.95;

/// The heartbeat of one data thread. A thread that waits in the kernel for bytes counts as alive:
/// nothing wakes an idle thread to prove it.
#[derive(Debug)]
pub struct ThreadHeartbeat {
    /// The name of the thread, which is the value of the label `thread`.
    pub thread: &'static str,
    /// Time of the thread's last progress, in nanoseconds on the monotonic clock; `WAITING` while
    /// it waits.
    at: AtomicU64,
    /// The thread has ended although nobody stopped it.
    failed: AtomicBool,
}

const WAITING: u64 = u64::MAX;

impl ThreadHeartbeat {
    /// Creates the heartbeat of a thread that has not started; it counts as waiting.
    pub fn new(thread: &'static str) -> ThreadHeartbeat {
        ThreadHeartbeat { thread, at: AtomicU64::new(WAITING), failed: AtomicBool::new(false) }
    }

    /// Records at `now` that the thread has made progress and works on.
    pub fn busy(&self, now: Duration) {
        self.at.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Records that the thread waits for bytes or has ended.
    pub fn waiting(&self) {
        self.at.store(WAITING, Ordering::Relaxed);
    }

    /// Records that the thread ended at `now` with an error. It counts as alive for another
    /// [`SILENCE_MAX`], in which a new thread may replace it.
    pub fn failed(&self, now: Duration) {
        self.failed.store(true, Ordering::Relaxed);
        self.busy(now);
    }

    /// Returns true while the thread waits or has made progress within [`SILENCE_MAX`].
    pub fn is_alive(&self, now: Duration) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at == WAITING || now.saturating_sub(Duration::from_nanos(at)) <= SILENCE_MAX
    }
}

/// A listener that has to be open before the process is ready.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListenerKind {
    /// The stream socket.
    Stream,
    /// The datagram socket.
    Datagram,
    /// The port of `/metrics` and `/health`.
    Admin,
}

impl ListenerKind {
    /// Returns the name for `/health` and the log.
    pub fn name(self) -> &'static str {
        match self {
            ListenerKind::Stream => "stream socket",
            ListenerKind::Datagram => "datagram socket",
            ListenerKind::Admin => "admin port",
        }
    }
}

/// The state of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListenerState {
    /// Not bound yet: the first attempt has not happened.
    Closed,
    /// Bound and accepting at this address.
    Open(String),
    /// Binding failed for this reason; it is tried again.
    Stuck(String),
}

impl fmt::Display for ListenerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerState::Closed => f.write_str("not open yet"),
            ListenerState::Open(at) => f.write_str(at),
            ListenerState::Stuck(why) => write!(f, "cannot be opened: {why}"),
        }
    }
}

/// The shared status of the process.
#[derive(Debug)]
pub struct ProcessStatus {
    /// The current phase.
    pub phase: Arc<PhaseCell>,
    /// The clients that fetch the metrics, and which of them have the final values.
    pub scrapers: Scrapers,
    /// The configured listeners only.
    listeners: Mutex<BTreeMap<ListenerKind, ListenerState>>,
    beats: Mutex<Vec<Arc<ThreadHeartbeat>>>,
    outputs: Mutex<Vec<Arc<OutputStatus>>>,
}

/// One condition of readiness and the reason if it does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// Its name in a report and in a path.
    pub name: &'static str,
    /// Why the condition does not hold; None if it does.
    pub failed: Option<String>,
}

/// Describes in words how full the queue of an output is.
pub fn describe_fill(output: &str, fill: f64) -> String {
    format!("the queue of {output} is {} % full", (fill * 100.0).floor())
}

impl ProcessStatus {
    /// Creates the status of a serving process without listeners.
    pub fn new() -> Arc<ProcessStatus> {
        Arc::new(ProcessStatus {
            phase: Arc::new(PhaseCell::new()),
            scrapers: Scrapers::default(),
            listeners: Mutex::new(BTreeMap::new()),
            beats: Mutex::new(Vec::new()),
            outputs: Mutex::new(Vec::new()),
        })
    }

    /// Sets the state of `kind`. [`ProcessStatus::is_ready`] considers a listener from the first call
    /// on.
    pub fn set_listener(&self, kind: ListenerKind, state: ListenerState) {
        lock(&self.listeners).insert(kind, state);
    }

    /// Returns all configured listeners and their states.
    pub fn listeners(&self) -> Vec<(ListenerKind, ListenerState)> {
        let listeners = lock(&self.listeners);
        listeners.iter().map(|(kind, state)| (*kind, state.clone())).collect()
    }

    /// Returns true once every configured listener is open; ignores the phase (`/startupz`).
    pub fn is_started(&self) -> bool {
        let listeners = lock(&self.listeners);
        !listeners.is_empty()
            && listeners.values().all(|state| matches!(state, ListenerState::Open(_)))
    }

    /// Returns the conditions of readiness at `now` (time on the monotonic clock). The process is
    /// ready while all of them hold. No other code decides this.
    pub fn readiness(&self, now: Duration) -> [Condition; 4] {
        let phase = self.phase.get();
        let is_leaving = phase != Phase::Serving;
        let hanging = self.hanging(now);
        let shut = if is_leaving { None } else { self.closed_listener() };
        let full = self.fullest().filter(|(_, fill)| *fill >= QUEUE_FILL_READY_MAX);
        let full = full.map(|(name, fill)| describe_fill(name, fill));
        let leaving = is_leaving.then(|| format!("process is {}", phase.name()));
        [
            Condition { name: "data_threads", failed: hanging },
            Condition { name: "sockets", failed: shut },
            Condition { name: "queues", failed: full },
            Condition { name: "shutdown", failed: leaving },
        ]
    }

    /// Returns true while the process takes lines on every configured listener (`/readyz`).
    pub fn is_ready(&self, now: Duration) -> bool {
        self.readiness(now).iter().all(|condition| condition.failed.is_none())
    }

    /// Returns the first configured listener that is not open, and why.
    pub fn closed_listener(&self) -> Option<String> {
        let listeners = self.listeners();
        let mut shut =
            listeners.iter().filter(|(_, state)| !matches!(state, ListenerState::Open(_)));
        shut.next().map(|(kind, state)| format!("{} {state}", kind.name()))
    }

    /// Adds an output.
    pub fn add_output(&self, output: Arc<OutputStatus>) {
        lock(&self.outputs).push(output);
    }

    /// Returns all configured outputs.
    pub fn outputs(&self) -> Vec<Arc<OutputStatus>> {
        lock(&self.outputs).clone()
    }

    /// Returns the output with the fullest queue, and how full it is: from 0 to 1.
    pub fn fullest(&self) -> Option<(&'static str, f64)> {
        let fills = self.outputs().into_iter().map(|output| (output.name, output.fill()));
        fills.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// Watches a data thread; replaces an earlier one of the same name.
    pub fn watch(&self, beat: Arc<ThreadHeartbeat>) {
        let mut beats = lock(&self.beats);
        beats.retain(|known| known.thread != beat.thread);
        beats.push(beat);
    }

    /// Describes the first data thread that hangs at `now` (time on the monotonic clock), or that
    /// has ended without being restarted. Returns None if there is none (`/livez`).
    pub fn hanging(&self, now: Duration) -> Option<String> {
        let beats = lock(&self.beats);
        let beat = beats.iter().find(|beat| !beat.is_alive(now))?;
        let what = if beat.failed.load(Ordering::Relaxed) {
            "has ended and cannot be started again"
        } else {
            "hangs"
        };
        Some(format!("thread {:?} {what}", beat.thread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_serving_with_every_listener_open() {
        let process_status = ProcessStatus::new();
        let now = Duration::ZERO;
        assert!(!process_status.is_started(), "no kind, not started");
        process_status.set_listener(ListenerKind::Stream, ListenerState::Open("/run/a".to_owned()));
        process_status.set_listener(ListenerKind::Admin, ListenerState::Stuck("taken".to_owned()));
        assert!(!process_status.is_ready(now));
        process_status
            .set_listener(ListenerKind::Admin, ListenerState::Open("127.0.0.1:1".to_owned()));
        assert!(process_status.is_ready(now) && process_status.is_started());
        process_status.phase.advance(Phase::Reading);
        assert!(!process_status.is_ready(now) && process_status.is_started());
    }

    #[test]
    fn a_busy_thread_hangs_after_ten_seconds_and_a_waiting_one_never() {
        let process_status = ProcessStatus::new();
        let beat = Arc::new(ThreadHeartbeat::new("stream"));
        process_status.watch(Arc::clone(&beat));
        let day = Duration::from_hours(24);
        assert_eq!(process_status.hanging(day), None, "not begun");
        beat.busy(day);
        assert_eq!(process_status.hanging(day + SILENCE_MAX), None);
        let late = day + SILENCE_MAX + Duration::from_nanos(1);
        assert_eq!(process_status.hanging(late).as_deref(), Some("thread \"stream\" hangs"));
        beat.waiting();
        assert_eq!(process_status.hanging(day * 2), None);
    }

    #[test]
    fn a_thread_that_ended_is_reported_until_another_takes_its_place() {
        let process_status = ProcessStatus::new();
        let beat = Arc::new(ThreadHeartbeat::new("stream"));
        process_status.watch(Arc::clone(&beat));
        let day = Duration::from_hours(24);
        beat.failed(day);
        assert_eq!(process_status.hanging(day + SILENCE_MAX), None, "another may be on its way");
        let ended = process_status.hanging(day * 2).expect("none came");
        assert!(ended.contains("has ended"), "{ended}");
        process_status.watch(Arc::new(ThreadHeartbeat::new("stream")));
        assert_eq!(process_status.hanging(day * 2), None);
    }
}
