//! Reads arguments and environment for the programs of this workspace that use clap. Unit: one
//! call.

use crate::cli::style;
use crate::config::environment::Environment;
use crate::console;
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code for wrong arguments.
const USAGE_ERROR: u8 = 2;

/// Returns the variables of the process; leaves out those that are not UTF-8.
pub fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Parses a command line. Prints help and version to standard output, and an error to standard
/// error.
///
/// # Errors
/// Returns the exit code if there is nothing more to do: success after help or version, 2 after an
/// error.
pub fn parsed<C: Parser>(arguments: Vec<OsString>) -> Result<C, ExitCode> {
    C::try_parse_from(arguments).map_err(|error| {
        let text = error.render().to_string();
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            // a reader that closes early, such as head, is not an error
            let _ = console::print(&text);
            return ExitCode::SUCCESS;
        }
        style::diagnose(&text, &environment());
        ExitCode::from(USAGE_ERROR)
    })
}
