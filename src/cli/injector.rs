//! `injector`: serve the admission webhook that puts the sidecar into pods. Unit: one call.

use crate::config::environment::Environment;
use std::process::ExitCode;

/// Arguments of `injector`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {}

/// Serve the admission webhook that puts the sidecar into pods; exit code 0 when it is done.
pub fn run(_arguments: &Arguments, _environment: &Environment) -> ExitCode {
    ExitCode::FAILURE
}
