//! Where the process stands: its phase, its doors, and whether its data threads move. Written by
//! `app` and the data threads, read by the admin port. Unit: one process. Nothing here may wait:
//! `/livez` reads it while everything else is busy.

use super::outputs::OutputStatus;
use super::scrapers::Scrapers;
use crate::phase::{Phase, PhaseCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A data thread that is busy and has not come round for this long hangs (kubelet asks every 10 s).
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// From this share of the fullest queue on the process is not ready: the rest is a second or two of
/// spans.
pub const QUEUE_FILL_READY_MAX: f64 = 0.95;

/// The pulse of one data thread. Waiting in the kernel for bytes is being alive: an idle thread is
/// never woken to prove it.
#[derive(Debug)]
pub struct Beat {
    /// The thread's name, the value of the label `thread`.
    pub thread: &'static str,
    /// Nanoseconds on the monotonic clock at which the thread last came round; `WAITING` while it
    /// waits.
    at: AtomicU64,
    /// The thread has ended, though nobody stopped it.
    failed: AtomicBool,
}

const WAITING: u64 = u64::MAX;

impl Beat {
    /// A thread that has not begun: as good as waiting.
    pub fn new(thread: &'static str) -> Beat {
        Beat { thread, at: AtomicU64::new(WAITING), failed: AtomicBool::new(false) }
    }

    /// The thread came round at `now` and works on.
    pub fn busy(&self, now: Duration) {
        self.at.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The thread goes to wait for bytes, or has ended.
    pub fn waiting(&self) {
        self.at.store(WAITING, Ordering::Relaxed);
    }

    /// The thread ended at `now` by an error. It counts as alive for another [`SILENCE_MAX`], in
    /// which a new thread may take its place.
    pub fn failed(&self, now: Duration) {
        self.failed.store(true, Ordering::Relaxed);
        self.busy(now);
    }

    /// True while the thread waits or came round within [`SILENCE_MAX`].
    pub fn is_alive(&self, now: Duration) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at == WAITING || now.saturating_sub(Duration::from_nanos(at)) <= SILENCE_MAX
    }
}

/// Something that has to be open before the process is ready.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Door {
    /// The stream socket.
    Stream,
    /// The datagram socket.
    Datagram,
    /// The port of `/metrics` and `/health`.
    Admin,
}

impl Door {
    /// The name, for `/health` and the log.
    pub fn name(self) -> &'static str {
        match self {
            Door::Stream => "stream socket",
            Door::Datagram => "datagram socket",
            Door::Admin => "admin port",
        }
    }
}

/// How a door stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DoorState {
    /// Not tried yet.
    Closed,
    /// Bound and accepting, at this address.
    Open(String),
    /// Could not be bound, for this reason; it is tried again.
    Stuck(String),
}

impl fmt::Display for DoorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoorState::Closed => f.write_str("not open yet"),
            DoorState::Open(at) => f.write_str(at),
            DoorState::Stuck(why) => write!(f, "cannot be opened: {why}"),
        }
    }
}

/// The whole of it; shared.
#[derive(Debug)]
pub struct Standing {
    /// What the process does now.
    pub phase: Arc<PhaseCell>,
    /// Who fetches the metrics, and who has the final ones.
    pub scrapers: Scrapers,
    /// Configured doors only.
    doors: Mutex<BTreeMap<Door, DoorState>>,
    beats: Mutex<Vec<Arc<Beat>>>,
    outputs: Mutex<Vec<Arc<OutputStatus>>>,
}

/// One condition of readiness, and why it does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// Its name in a report and in a path.
    pub name: &'static str,
    /// Why it does not hold; None: it does.
    pub failed: Option<String>,
}

/// How full the queue of an output is, in words.
pub fn describe_fill(output: &str, fill: f64) -> String {
    format!("the queue of {output} is {} % full", (fill * 100.0).floor())
}

impl Standing {
    /// Serving, with no doors yet.
    pub fn new() -> Arc<Standing> {
        Arc::new(Standing {
            phase: Arc::new(PhaseCell::new()),
            scrapers: Scrapers::default(),
            doors: Mutex::new(BTreeMap::new()),
            beats: Mutex::new(Vec::new()),
            outputs: Mutex::new(Vec::new()),
        })
    }

    /// Says how `door` stands. A door counts for [`Standing::is_ready`] from its first mention.
    pub fn door(&self, door: Door, state: DoorState) {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).insert(door, state);
    }

    /// All configured doors and how they stand.
    pub fn doors(&self) -> Vec<(Door, DoorState)> {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.iter().map(|(door, state)| (*door, state.clone())).collect()
    }

    /// True once every configured door is open; says nothing about the phase (`/startupz`).
    pub fn is_started(&self) -> bool {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        !doors.is_empty() && doors.values().all(|state| matches!(state, DoorState::Open(_)))
    }

    /// Decides whether the process is ready at `now` (time on the monotonic clock): it is while every
    /// condition holds. The only place that does.
    pub fn readiness(&self, now: Duration) -> [Condition; 4] {
        let phase = self.phase.get();
        let is_leaving = phase != Phase::Serving;
        let hanging = self.hanging(now);
        let shut = if is_leaving { None } else { self.shut_door() };
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

    /// True while lines are taken at every configured door (`/readyz`).
    pub fn is_ready(&self, now: Duration) -> bool {
        self.readiness(now).iter().all(|condition| condition.failed.is_none())
    }

    /// The first configured door that is not open, and why.
    pub fn shut_door(&self) -> Option<String> {
        let doors = self.doors();
        let mut shut = doors.iter().filter(|(_, state)| !matches!(state, DoorState::Open(_)));
        shut.next().map(|(door, state)| format!("{} {state}", door.name()))
    }

    /// Adds an output.
    pub fn add_output(&self, output: Arc<OutputStatus>) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).push(output);
    }

    /// All outputs that are configured.
    pub fn outputs(&self) -> Vec<Arc<OutputStatus>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The output with the fullest queue, and how full it is: 0 to 1.
    pub fn fullest(&self) -> Option<(&'static str, f64)> {
        let fills = self.outputs().into_iter().map(|output| (output.name, output.fill()));
        fills.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// Watches a data thread, in place of an earlier one of the same name.
    pub fn watch(&self, beat: Arc<Beat>) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.retain(|known| known.thread != beat.thread);
        beats.push(beat);
    }

    /// What is wrong with the first data thread that hangs at `now` (time on the monotonic clock),
    /// or has ended and was not started again, if there is one (`/livez`).
    pub fn hanging(&self, now: Duration) -> Option<String> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn ready_is_serving_with_every_door_open() {
        let standing = Standing::new();
        let now = Duration::ZERO;
        assert!(!standing.is_started(), "no door, not started");
        standing.door(Door::Stream, DoorState::Open("/run/a".to_owned()));
        standing.door(Door::Admin, DoorState::Stuck("taken".to_owned()));
        assert!(!standing.is_ready(now));
        standing.door(Door::Admin, DoorState::Open("127.0.0.1:1".to_owned()));
        assert!(standing.is_ready(now) && standing.is_started());
        standing.phase.advance(Phase::Reading);
        assert!(!standing.is_ready(now) && standing.is_started());
    }

    #[test]
    fn a_busy_thread_hangs_after_ten_seconds_and_a_waiting_one_never() {
        let standing = Standing::new();
        let beat = Arc::new(Beat::new("stream"));
        standing.watch(Arc::clone(&beat));
        let day = Duration::from_hours(24);
        assert_eq!(standing.hanging(day), None, "not begun");
        beat.busy(day);
        assert_eq!(standing.hanging(day + SILENCE_MAX), None);
        let late = day + SILENCE_MAX + Duration::from_nanos(1);
        assert_eq!(standing.hanging(late).as_deref(), Some("thread \"stream\" hangs"));
        beat.waiting();
        assert_eq!(standing.hanging(day * 2), None);
    }

    #[test]
    fn a_thread_that_ended_is_told_until_another_takes_its_place() {
        let standing = Standing::new();
        let beat = Arc::new(Beat::new("stream"));
        standing.watch(Arc::clone(&beat));
        let day = Duration::from_hours(24);
        beat.failed(day);
        assert_eq!(standing.hanging(day + SILENCE_MAX), None, "another may be on its way");
        let ended = standing.hanging(day * 2).expect("none came");
        assert!(ended.contains("has ended"), "{ended}");
        standing.watch(Arc::new(Beat::new("stream")));
        assert_eq!(standing.hanging(day * 2), None);
    }
}
