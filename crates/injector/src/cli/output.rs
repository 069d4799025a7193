//! Writes the output of commands to standard output and standard error, with the sidecar's console
//! functions, which neither panic nor block for ever. Unit: one text.

use sidelight::console;
use std::io;

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    console::diagnostic_line(line.trim_end_matches('\n'));
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
