//! What commands write to standard output and standard error, by the console of the sidecar, which neither
//! panics nor waits for ever. Unit: one text.

use sidelight::console;
use std::io;

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    console::diagnostic_line(line.trim_end_matches('\n'));
}

/// Writes a text to standard output.
///
/// # Errors
/// It cannot be written to its end; a reader that has gone (`check | head`) is none.
pub(crate) fn write(text: &str) -> io::Result<()> {
    match console::print(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
