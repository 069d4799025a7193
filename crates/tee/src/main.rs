//! Wraps an application that writes its log to standard output: passes the output through and
//! copies it to sidelight's socket. It is the first process of the application's container and
//! stays in memory, and so it has almost no dependencies: `arguments` parses the command line by
//! hand, `init` recognizes commands that must be process 1, `copy` runs the command, `clock` reads
//! the time. Unit: one command.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod clock;
mod copy;
mod init;

use std::process::ExitCode;

fn main() -> ExitCode {
    arguments::main()
}
