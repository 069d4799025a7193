//! Loads the configuration at the start and whenever it changes. The start waits for it only for a
//! short time: a configuration that takes longer is treated like an invalid one, and takes effect
//! when it is ready. Unit: one load.

use super::complaints::{report, rule_complaints};
use crate::app::reload::{Looked, Outcome, Reload};
use crate::app::setup::Sockets;
use crate::app::signals::SignalEvent;
use crate::config::environment::Environment;
use crate::config::layer::{Places, Trace};
use crate::config::{self, Flags, Good, Loaded, load, load_again};
use crate::console;
use crate::rules::compile::dry_run;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

/// How often the configuration is checked for changes: twice in the time within which a change must
/// take effect.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a change is checked again: a file is read when it has not changed for this long.
const STAND_STILL: Duration = Duration::from_millis(100);
/// After this many checks, a file that keeps changing is read as it is.
const RESTLESS_MAX: u32 = 5;

/// How long the start waits for the configuration before it binds the sockets without it. The
/// application waits for the sockets, so this is short; reading and compiling 100 KiB takes a
/// twentieth of it on a whole core.
pub(super) const START_WAIT: Duration = Duration::from_secs(1);

/// The same with `--strict`, where a configuration that is late ends the process.
pub(super) const START_WAIT_STRICT: Duration = Duration::from_secs(5);

/// The first load: the state of the files before they were read, and their content.
pub(super) type First = (Trace, Loaded);

/// The state of the configuration that is kept from one load to the next.
pub(super) struct ConfigWatcher {
    flags: Flags,
    environment: Environment,
    places: Places,
    /// The state of the files when they were last read.
    read: Trace,
    /// The changed state of the files since then, and the number of checks that found another
    /// change.
    changing: Option<(Trace, u32)>,
    /// The first load, while it takes longer than the start could wait.
    late: Option<Receiver<First>>,
    /// The texts in force; a text that replaces one of them and has errors is not used.
    pub(super) good: Good,
}

impl ConfigWatcher {
    pub(super) fn new(flags: Flags, environment: &Environment) -> ConfigWatcher {
        let places = config::places(&flags, environment);
        ConfigWatcher {
            flags,
            environment: environment.clone(),
            places,
            read: Trace::default(),
            changing: None,
            late: None,
            good: Good::default(),
        }
    }

    /// Returns the function that loads the configuration for the start.
    pub(super) fn reader(&self) -> impl FnOnce() -> First + Send + 'static {
        let (flags, environment, places) =
            (self.flags.clone(), self.environment.clone(), self.places.clone());
        move || {
            // recorded before reading: the first check then notices changes made meanwhile
            let trace = places.look();
            let loaded = load(&flags, &environment).in_use();
            let limits = loaded.config.limits;
            let (loaded, _) =
                loaded.settled(|rules| dry_run(rules, limits).err().unwrap_or_default());
            (trace, loaded)
        }
    }

    /// Calls `read` on a separate thread and returns the configuration for the start. Waits for it
    /// at most `wait`; after that, returns the configuration without its files, and
    /// [`ConfigWatcher::again`] applies what `read` returns.
    pub(super) fn load_first(
        &mut self,
        wait: Duration,
        read: impl FnOnce() -> First + Send + 'static,
    ) -> Loaded {
        // Capacity 1: the thread can always hand over its result and end.
        let (done, result) = sync_channel(1);
        let work = move || {
            // The receiver is gone if the process did not start.
            let _ = done.send(read());
        };
        let thread = std::thread::Builder::new().name("first load".to_owned()).spawn(work);
        let first = match thread {
            Ok(_) => result.recv_timeout(wait),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        match first {
            Ok((trace, loaded)) => {
                self.read = trace;
                return loaded;
            }
            Err(RecvTimeoutError::Timeout) => self.late = Some(result),
            // The first check loads it, because `read` is still empty.
            Err(RecvTimeoutError::Disconnected) => {}
        }
        config::without_layers(&self.flags, &self.environment, wait)
    }

    /// Returns the time until the next check; None if nothing can change.
    pub(super) fn every(&self) -> Option<Duration> {
        match self.late {
            Some(_) => Some(STAND_STILL),
            None => self.places.can_change().then_some(LOOK),
        }
    }

    /// Handles SIGHUP, or a check that is due.
    pub(super) fn again(&mut self, event: SignalEvent, reload: &mut Reload) -> Looked {
        if let Some(late) = &self.late {
            match late.try_recv() {
                Ok((trace, loaded)) => {
                    self.late = None;
                    self.read = trace;
                    return self.apply_late(loaded, reload);
                }
                // The same files are being read; a second reader would wait for them as well.
                Err(TryRecvError::Empty) => {
                    return Looked { again: self.every(), ..Looked::default() };
                }
                Err(TryRecvError::Disconnected) => self.late = None,
            }
        }
        let seen = self.places.look();
        if event == SignalEvent::Look {
            let looks = match &self.changing {
                _ if seen == self.read => {
                    self.changing = None;
                    return Looked { again: self.every(), ..Looked::default() };
                }
                Some((before, _)) if *before == seen => RESTLESS_MAX,
                Some((_, looks)) => looks + 1,
                None => 0,
            };
            if looks < RESTLESS_MAX {
                self.changing = Some((seen, looks));
                return Looked { again: Some(STAND_STILL), ..Looked::default() };
            }
        }
        (self.read, self.changing) = (seen, None);
        let loaded = load_again(&self.flags, &self.environment, &self.good).in_use();
        let changed = self.apply(loaded, reload);
        Looked { changed, again: self.every(), sockets: None }
    }

    /// Applies the first load, which took longer than the start could wait. The sockets were bound
    /// without it, so it can still move them.
    fn apply_late(&mut self, loaded: Loaded, reload: &mut Reload) -> Looked {
        let sockets = Sockets::new(&loaded.config);
        reload.move_sockets(&loaded.config);
        let changed = self.apply(loaded, reload);
        Looked { changed, again: self.every(), sockets: Some(sockets) }
    }

    /// Applies what can change in a running process, and returns true if anything did. Series and
    /// counters are kept.
    fn apply(&mut self, loaded: Loaded, reload: &Reload) -> bool {
        let (loaded, _) = loaded.settled(|rules| reload.refuses(rules));
        let mut write = |text: &str| {
            if !console::note(text) {
                reload.count_unwritten();
            }
        };
        let mut complaints = report(&loaded, &mut write);
        let hash = loaded.hash();
        match reload.apply(&loaded.config) {
            Ok(waiting) => {
                self.good = loaded.good();
                if !waiting.is_empty() {
                    let settings = waiting.join(", ");
                    tracing::warn!(settings, "changed settings that take effect at a restart");
                    complaints.push(format!("take effect at a restart: {settings}"));
                }
                let valid = loaded.is_valid();
                let outcome = if valid { Outcome::Loaded } else { Outcome::Partial };
                reload.loaded(complaints, outcome, &hash);
                let rules = loaded.config.rules.own.len();
                if valid {
                    tracing::info!(rules, hash, "configuration loaded again");
                } else {
                    tracing::warn!(
                        rules,
                        hash,
                        "configuration loaded again without the files that have errors"
                    );
                }
                true
            }
            Err(errors) => {
                let complaints = rule_complaints(&loaded, &errors, complaints, &mut write);
                reload.loaded(complaints, Outcome::Refused, &hash);
                tracing::warn!(
                    "configuration not loaded: its rules have errors; the previous configuration stays in force"
                );
                false
            }
        }
    }
}
