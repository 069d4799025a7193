//! `sidelight demo`: a believable web application played into a sidecar, and what comes out.

use crate::config::environment::Environment;
use crate::config::units;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `demo`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// End after this long, as in 30s; otherwise at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
}

fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|refused| refused.hint.unwrap_or(refused.message))
}

/// Plays the demo.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let _ = (arguments, environment);
    ExitCode::SUCCESS
}
