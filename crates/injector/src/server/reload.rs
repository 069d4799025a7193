//! Reloads the policy's file. It compares the contents every few seconds, because kubelet replaces
//! a ConfigMap by changing a symbolic link. If the new file has errors, the loaded policy stays.
//! Unit: one check.

use super::files::{self, FileError};
use super::metrics::Metrics;
use super::webhook::Hook;
use crate::inject::policy::Policy;
use sidelight::clock::Clock;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often the file is read.
pub const EVERY: Duration = Duration::from_secs(2);

/// Maximum size of the file; a ConfigMap has at most 1 MiB.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Parses a policy, as `config` does, on which this module does not depend.
pub type Parse = Box<dyn Fn(&str) -> Result<Policy, InvalidPolicy> + Send + Sync>;

/// All errors of a policy with their positions, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidPolicy(pub String);

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidPolicy {}

/// Why there is no policy from a file.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    File(FileError),
    /// The file has errors.
    Policy(InvalidPolicy),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(error) => write!(f, "{error}; --config names the file with the policy"),
            Error::Policy(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::File(error) => Some(error),
            Error::Policy(error) => Some(error),
        }
    }
}

/// The reloader of the policy's file.
pub struct Reload {
    /// The file; without one the policy never changes.
    pub file: Option<PathBuf>,
    /// The parser of the file.
    pub parse: Parse,
    /// The clock of log messages and metrics.
    pub clock: Clock,
    /// The metrics of the injector.
    pub metrics: Arc<Metrics>,
    /// The text that was read last.
    pub seen: Option<String>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Reload {
    /// Returns the initial policy. A file with errors stops the start: a pod with a wrong image
    /// would never start, while a Deployment keeps its old replicas if a new one exits.
    ///
    /// # Errors
    /// Returns all errors of the file, and what to do.
    pub fn first(&mut self) -> Result<Policy, Error> {
        let Some(path) = &self.file else {
            return Ok(self.loaded(Policy::default(), 0));
        };
        let text = files::read(path, FILE_BYTES_MAX).map_err(Error::File)?;
        let policy = (self.parse)(&text).map_err(Error::Policy)?;
        let hash = hash(&text);
        self.seen = Some(text);
        Ok(self.loaded(policy, hash))
    }

    /// Reads the file again. Returns `None` if nothing changed, or if the new contents are invalid,
    /// which is logged and counted.
    pub fn reread(&mut self) -> Option<Policy> {
        let path = self.file.as_ref()?;
        match files::read(path, FILE_BYTES_MAX) {
            Ok(text) if self.seen.as_ref() == Some(&text) => None,
            Ok(text) => {
                let policy = (self.parse)(&text);
                let hash = hash(&text);
                self.seen = Some(text);
                match policy {
                    Ok(policy) => Some(self.loaded(policy, hash)),
                    Err(why) => self.reject(&why),
                }
            }
            Err(why) => {
                // logged once, and again after the file was readable in between
                if self.seen.take().is_some() { self.reject(&why) } else { self.count_failure() }
            }
        }
    }

    fn loaded(&self, policy: Policy, hash: u64) -> Policy {
        let metrics = &self.metrics;
        metrics.config_info.reset();
        let hash = format!("{hash:016x}");
        let labels = [hash.as_str(), policy.revision.as_str(), env!("CARGO_PKG_VERSION")];
        metrics.config_info.with_label_values(&labels).set(1);
        metrics.config_last_load_successful.set(1);
        metrics.config_last_load_timestamp.set(self.clock.now().seconds() as i64);
        tracing::info!(hash, revision = policy.revision, "configuration loaded");
        policy
    }

    fn reject(&self, why: &dyn std::error::Error) -> Option<Policy> {
        tracing::warn!(%why, "the configuration was not loaded; the previous one stays in use");
        self.count_failure()
    }

    fn count_failure(&self) -> Option<Policy> {
        self.metrics.config_last_load_successful.set(0);
        None
    }
}

/// Reads the file every few seconds until `stop` is set.
pub async fn watch(mut reload: Reload, hook: Arc<Hook>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        if let Some(policy) = reload.reread() {
            hook.put(policy);
        }
    }
}

/// Hashes a text to the same number in every replica and every build.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_keeps_what_was_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.yaml");
        let parse: Parse = Box::new(|text| match text {
            "broken" => Err(InvalidPolicy("line 1: broken".to_owned())),
            image => Ok(Policy { image: image.to_owned(), ..Policy::default() }),
        });
        let metrics = Arc::new(Metrics::new());
        let mut reload = Reload {
            file: Some(file.clone()),
            parse,
            clock: Clock::system(),
            metrics: Arc::clone(&metrics),
            seen: None,
        };
        let successful = || metrics.config_last_load_successful.get();
        assert!(reload.first().expect_err("no file").to_string().contains("--config"));
        assert_eq!(reload.reread(), None, "no file yet");
        assert_eq!(successful(), 0);
        for (text, taken, success) in [
            (Some("a"), true, 1),
            (Some("a"), false, 1),
            (Some("broken"), false, 0),
            (Some("broken"), false, 0),
            (Some("b"), true, 1),
            (None, false, 0),
            (Some("b"), true, 1),
        ] {
            match text {
                Some(text) => std::fs::write(&file, text).expect("a file"),
                None => std::fs::remove_file(&file).expect("gone"),
            }
            let found = reload.reread().map(|policy| policy.image);
            assert_eq!(found.as_deref(), text.filter(|_| taken), "{text:?}");
            assert_eq!(successful(), success, "{text:?}");
        }
    }
}
