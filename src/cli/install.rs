//! `install`: copy this binary into a directory, for images that do not have it. Unit: one call.

use crate::config::environment::Environment;
use std::process::ExitCode;

/// Arguments of `install`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {}

/// Copy this binary into a directory, for images that do not have it; exit code 0 when it is done.
pub fn run(_arguments: &Arguments, _environment: &Environment) -> ExitCode {
    ExitCode::FAILURE
}
