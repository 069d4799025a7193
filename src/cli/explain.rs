//! `sidelight explain`: what happens to one line.

use crate::config::environment::Environment;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `explain`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The line; without one, lines are read from standard input
    #[arg(value_name = "LINE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub line: Vec<String>,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Explains lines.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let _ = (arguments, environment);
    ExitCode::SUCCESS
}
