//! Passes the arguments to the library and returns its exit code.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

use sidelight::cli::arguments::environment;
use std::process::ExitCode;

fn main() -> ExitCode {
    sidelight::cli::main(std::env::args_os(), &environment())
}
