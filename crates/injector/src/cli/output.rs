//! What commands write to standard output and standard error. Both may be closed: nothing here panics, and what
//! nobody reads is no error of ours. Unit: one text.

use std::io::{self, Write};

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", line.trim_end_matches('\n'));
}

/// Writes a text to standard output.
///
/// # Errors
/// It cannot be written to its end; a reader that has gone (`check | head`) is none.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
