//! Writes the output of commands to standard output and standard error, with the sidecar's console
//! functions, which neither panic nor block for ever. Unit: one text.

use sidelight::cli::arguments::environment;
use sidelight::cli::style;
use sidelight::console;
use std::io;

/// Writes a line to standard error; on a terminal its words for errors and warnings are coloured.
pub(crate) fn say(line: &str) {
    style::diagnose(&format!("{}\n", line.trim_end_matches('\n')), &environment());
}

/// Formats a result that contains errors and warnings for standard output.
pub(crate) fn painted(text: &str) -> String {
    style::for_stdout(text, &environment())
}

/// Writes a text to standard output.
///
/// # Errors
/// Fails if the text cannot be written completely; a reader that closed its end (`check | head`) is
/// not an error.
pub(crate) fn write(text: &str) -> io::Result<()> {
    match console::print(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
