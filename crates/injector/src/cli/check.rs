//! `sidelight check --cluster`: finds failed injections. A pod is admitted whatever fails, and so
//! there must be a way to find out what failed: pods without their sidecar, sidecars without the
//! field that makes them native, a webhook that cannot be reached, metrics that are not scraped. It
//! only reads. Unit: one cluster.

mod finding;
mod gather;
mod monitor;
mod pods;
mod selector;
mod state;
mod webhook;

#[cfg(test)]
mod tests;

use crate::apiserver::access::Access;
use crate::cli::output::{self, say};
use finding::Finding;
use sidelight::clock::{Clock, UnixNanos};
use sidelight::config::environment::Environment;
use sidelight::config::fault::Level;
use state::State;
use std::fmt;
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

/// Checks the cluster and prints the findings. Exit code 0: no findings, or only warnings without
/// `--strict`; 1: findings; 2: the cluster cannot be read.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let report = match read(arguments, environment) {
        Ok((server, state)) => Report::new(server, &state),
        Err(why) => {
            say(&format!("error: {why}"));
            return ExitCode::from(2);
        }
    };
    if let Err(error) = output::write(&output::painted(&report.to_string())) {
        say(&format!("error: the report cannot be written: {error}"));
        return ExitCode::from(2);
    }
    if report.count(Level::Error) > 0 || (arguments.strict && report.count(Level::Warning) > 0) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Reads the state of the cluster. Returns the address of its API server and the state.
fn read(arguments: &Arguments, environment: &Environment) -> Result<(String, State), String> {
    let found = Access::find(arguments.kubeconfig.as_deref(), environment);
    let access = found
        .map_err(|error| error.to_string())?
        .ok_or("no cluster: name a file with --kubeconfig, or set KUBECONFIG")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime for requests: {error}"))?;
    let server = access.server();
    let state = runtime.block_on(async { gather::gather(&access.client()?).await });
    let state = state.map_err(|error| format!("{server}: {error}"))?;
    Ok((server, state))
}

/// What was found in a cluster.
struct Report {
    server: String,
    findings: Vec<Finding>,
    pods: usize,
    pods_with_sidecar: usize,
}

impl Report {
    fn new(server: String, state: &State) -> Report {
        let pods_with_sidecar = state.pods.iter().filter(|pod| pod.sidecar.is_some()).count();
        let findings = evaluate(state, Clock::system().now());
        Report { server, findings, pods: state.pods.len(), pods_with_sidecar }
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        writeln!(
            f,
            "{}: {}, {}; {} of {} have the sidecar",
            self.server,
            plural(self.count(Level::Error), "error"),
            plural(self.count(Level::Warning), "warning"),
            self.pods_with_sidecar,
            plural(self.pods, "pod")
        )
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Returns all findings; those that keep most pods from their sidecar come first.
fn evaluate(state: &State, now: UnixNanos) -> Vec<Finding> {
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
