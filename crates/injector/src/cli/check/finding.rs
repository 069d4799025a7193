//! A problem in a cluster, and what to do. Unit: one problem.

use sidelight::config::fault::Level;
use std::fmt;

/// A problem in the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// The problem, with the names of the objects that it concerns.
    pub(super) what: String,
    /// A sentence that tells the operator how to fix it.
    pub(super) remedy: String,
}

impl Finding {
    pub(super) fn error(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { level: Level::Error, what: what.into(), remedy: remedy.into() }
    }

    pub(super) fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        write!(f, "{level}: {}\n  = to do: {}", self.what, self.remedy)
    }
}
