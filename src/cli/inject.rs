//! `inject`: put the sidecar into manifests, as the webhook would. Unit: one call.

use crate::config::environment::Environment;
use std::process::ExitCode;

/// Arguments of `inject`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {}

/// Put the sidecar into manifests, as the webhook would; exit code 0 when it is done.
pub fn run(_arguments: &Arguments, _environment: &Environment) -> ExitCode {
    ExitCode::FAILURE
}
