//! The policy's file, looked at every few seconds by what it contains, because kubelet swaps a ConfigMap by a
//! link; a file with errors keeps what was loaded before. Unit: one look.

use super::metrics::Metrics;
use super::webhook::Hook;
use crate::clock::Clock;
use crate::inject::policy::Policy;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often the file is looked at.
pub const EVERY: Duration = Duration::from_secs(2);

/// Bytes of the file: a ConfigMap has 1 MiB at most.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A policy as it was read, and what metrics say of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Read {
    /// What injection does.
    pub policy: Policy,
    /// The revision that it serves.
    pub revision: String,
}

/// Reads a policy from a text: what `config` does, which this floor cannot see. All errors in one text.
pub type Parse = Box<dyn Fn(&str) -> Result<Read, String> + Send + Sync>;

/// Who looks.
pub struct Reload {
    /// The file; without one the policy stays.
    pub file: Option<PathBuf>,
    /// How it is read.
    pub parse: Parse,
    /// Time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The text that was looked at last.
    pub seen: Option<String>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Reload {
    /// Looks at the file. None where nothing changed, or what is there now is of no use, which is told and
    /// counted.
    pub fn look(&mut self) -> Option<Policy> {
        let path = self.file.as_ref()?;
        let text = std::fs::metadata(path).and_then(|metadata| {
            if metadata.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
            }
            std::fs::read_to_string(path)
        });
        match text {
            Ok(text) if self.seen.as_ref() == Some(&text) => None,
            Ok(text) => {
                let read = (self.parse)(&text);
                let hash = hash(&text);
                self.seen = Some(text);
                match read {
                    Ok(read) => Some(self.loaded(read, hash)),
                    Err(why) => self.refused(&why),
                }
            }
            Err(error) => {
                let why = format!("{}: {error}", path.display());
                // said once, and again when it is back and goes again
                if self.seen.take().is_some() { self.refused(&why) } else { self.unread() }
            }
        }
    }

    fn loaded(&self, read: Read, hash: u64) -> Policy {
        let metrics = &self.metrics;
        metrics.config_info.reset();
        let hash = format!("{hash:016x}");
        let labels = [hash.as_str(), read.revision.as_str(), env!("CARGO_PKG_VERSION")];
        metrics.config_info.with_label_values(&labels).set(1);
        metrics.config_last_load_successful.set(1);
        metrics.config_last_load_timestamp.set(self.clock.now().seconds() as i64);
        tracing::info!(hash, revision = read.revision, "configuration loaded");
        read.policy
    }

    fn refused(&self, why: &str) -> Option<Policy> {
        tracing::warn!(why, "the configuration was not taken; what was loaded before stays");
        self.unread()
    }

    fn unread(&self) -> Option<Policy> {
        self.metrics.config_last_load_successful.set(0);
        None
    }
}

/// Looks every few seconds until `stop` says so.
pub async fn watch(mut reload: Reload, hook: Arc<Hook>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        if let Some(policy) = reload.look() {
            hook.put(policy);
        }
    }
}

/// The same text gives the same number, in every replica and every build.
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
            "broken" => Err("line 1: broken".to_owned()),
            image => {
                let policy = Policy { image: image.to_owned(), ..Policy::default() };
                Ok(Read { policy, revision: "default".to_owned() })
            }
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
        assert_eq!(reload.look(), None, "no file yet");
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
            let found = reload.look().map(|policy| policy.image);
            assert_eq!(found.as_deref(), text.filter(|_| taken), "{text:?}");
            assert_eq!(successful(), success, "{text:?}");
        }
    }
}
