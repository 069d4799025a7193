//! Passes arguments and environment to the command line, and returns its exit code.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

use sidelight::cli::arguments::environment;
use std::process::ExitCode;

fn main() -> ExitCode {
    sidelight_injector::cli::main(std::env::args_os(), &environment())
}
