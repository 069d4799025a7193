//! Reads a file of lines in blocks of whole records, with a progress bar on a terminal, and divides
//! a block into records. Memory is bounded by one block and one line. Unit: one block.

use crate::console;
use crate::decode::formats::Readers;
use crate::frame::multiline;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// How many bytes are read at once.
const READ_BYTES: usize = 1 << 20;

/// A line that does not end within this limit is passed on as it is.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Reads a file, or standard input for `-`, and passes blocks that end with a record.
///
/// # Errors
/// The file cannot be opened or read.
pub(super) fn read(path: &Path, mut feed: impl FnMut(&[u8])) -> io::Result<()> {
    let (mut input, whole): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path)?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        (Box::new(file), length)
    };
    let mut progress = Progress { whole, read: 0, shown: u64::MAX };
    let mut buffer = Vec::new();
    loop {
        let kept = buffer.len();
        buffer.resize(kept + READ_BYTES, 0);
        let read = input.read(&mut buffer[kept..])?;
        buffer.truncate(kept + read);
        progress.step(read as u64);
        if read == 0 {
            feed(&buffer);
            progress.end();
            return Ok(());
        }
        let whole = memchr::memrchr(b'\n', &buffer).map_or(0, |at| at + 1);
        let mut ready = multiline::settled(&buffer[..whole]);
        if ready == 0 && buffer.len() > LINE_BYTES_MAX {
            ready = if whole > 0 { whole } else { buffer.len() };
        }
        feed(&buffer[..ready]);
        buffer.drain(..ready);
    }
}

/// The records of a block of whole lines, delimited as by a sidecar: lines are joined, and a line
/// that one of the user's formats matches starts a record.
pub(super) struct Records<'a> {
    block: &'a [u8],
    at: usize,
    /// The end of the lines that are joined at `at`.
    joined: usize,
}

impl<'a> Records<'a> {
    /// Starts at the first line.
    pub(super) fn new(block: &'a [u8]) -> Records<'a> {
        Records { block, at: 0, joined: 0 }
    }

    /// Returns the next record with its line ends.
    pub(super) fn next(&mut self, formats: &mut Readers) -> Option<&'a [u8]> {
        let rest = &self.block[self.at..];
        if rest.is_empty() {
            return None;
        }
        let first_end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        if self.at >= self.joined {
            (self.joined, _) = multiline::joined(self.block, self.at, self.at + first_end);
        }
        let (length, _) = formats.split(&rest[..self.joined - self.at], first_end);
        self.at += length;
        Some(&rest[..length])
    }
}

/// A bar on standard error, if that is a terminal: the share of the file, or the bytes read if the
/// length is not known.
struct Progress {
    whole: Option<u64>,
    read: u64,
    shown: u64,
}

impl Progress {
    fn step(&mut self, read: u64) {
        self.read += read;
        let mib = self.read >> 20;
        let whole = self.whole.filter(|whole| *whole > 0);
        let now = whole.map_or(mib, |whole| (self.read.min(whole) * 100) / whole);
        if now == self.shown || !io::stderr().is_terminal() {
            return;
        }
        self.shown = now;
        if whole.is_some() {
            let bar = "=".repeat(now as usize * 40 / 100);
            console::note(&format!("\r[{bar:<40}] {now:>3} %  {mib} MiB"));
        } else {
            console::note(&format!("\r{mib} MiB"));
        }
    }

    fn end(&self) {
        if self.shown != u64::MAX {
            console::note("\r\x1b[K");
        }
    }
}
