//! `sidelight check --cluster`: finds failed injections. A pod is admitted whatever fails, and so
//! there must be a way to find out what failed: pods without their sidecar, sidecars without the
//! field that makes them native, a webhook that cannot be reached, metrics that are not scraped. It
//! only reads. Unit: one cluster.

mod gather;
mod monitor;
mod pods;
mod selector;
mod state;
mod webhook;

#[cfg(test)]
mod tests;

use crate::cli::output::{self, say};
use crate::kube::Client;
use sidelight::clock::{Clock, UnixNanos};
use sidelight::config::environment::Environment;
use sidelight::config::fault::Level;
use state::State;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// How the cluster is reached [env: KUBECONFIG, else the service account, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
}

/// A problem in the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding {
    level: Level,
    /// The problem, with the names of the objects that it concerns.
    what: String,
    /// What to do.
    remedy: String,
}

impl Finding {
    fn error(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { level: Level::Error, what: what.into(), remedy: remedy.into() }
    }

    fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
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

/// Checks the cluster and prints the findings. Exit code 0: no findings, or only warnings without
/// `--strict`; 1: findings; 2: the cluster cannot be read.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let client = match Client::find(arguments.kubeconfig.as_deref(), environment) {
        Ok(Some(client)) => client,
        Ok(None) => {
            say("error: no cluster: name a file with --kubeconfig, or set KUBECONFIG");
            return ExitCode::from(2);
        }
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let state = match runtime {
        Ok(runtime) => runtime.block_on(gather::gather(&client)),
        Err(error) => {
            say(&format!("error: no runtime for requests: {error}"));
            return ExitCode::from(2);
        }
    };
    let state = match state {
        Ok(state) => state,
        Err(error) => {
            say(&format!("error: {}: {error}", client.server()));
            return ExitCode::from(2);
        }
    };
    let findings = judged(&state, Clock::system().now());
    // writing to a string cannot fail
    let mut report = String::new();
    for finding in &findings {
        let _ = writeln!(report, "{finding}");
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let with = state.pods.iter().filter(|pod| pod.sidecar.is_some()).count();
    let _ = writeln!(
        report,
        "{}: {}, {}; {} of {} have the sidecar",
        client.server(),
        plural(errors, "error"),
        plural(warnings, "warning"),
        with,
        plural(state.pods.len(), "pod")
    );
    if let Err(error) = output::write(&report) {
        say(&format!("error: the report cannot be written: {error}"));
        return ExitCode::from(2);
    }
    if errors > 0 || (arguments.strict && warnings > 0) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Returns all findings; those that keep most pods from their sidecar come first.
fn judged(state: &State, now: UnixNanos) -> Vec<Finding> {
    let mut findings = webhook::findings(state, now);
    findings.extend(pods::findings(state));
    findings.extend(monitor::findings(state));
    for blind in &state.blind {
        findings.push(Finding::warning(
            format!("{} cannot be read: {}", blind.what, blind.why),
            "ask with the rights to read it, if it matters to you",
        ));
    }
    findings
}
