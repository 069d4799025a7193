//! Wraps an application that writes its log to standard output: passes the output through and copies it to
//! sidelight's socket. It is the first process of the application's container and stays in its memory, so
//! it links next to nothing: `arguments` are read by hand, `copy` runs the command, `clock` is the time.
//! Unit: one command.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod clock;
mod copy;

use std::process::ExitCode;

fn main() -> ExitCode {
    arguments::main()
}
