//! `sidelight replay`: a log file through the rules.

use crate::config::environment::Environment;
use clap::ValueEnum;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `replay`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The log file; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check every line fully, and fail on a line that is not what it looks like
    #[arg(long)]
    pub strict: bool,
    /// How the outcome is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How the outcome is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Prometheus' text format, then spans and the verdict in words
    Text,
    /// One JSON object
    Json,
}

/// Replays a file.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let _ = (arguments, environment);
    ExitCode::SUCCESS
}
