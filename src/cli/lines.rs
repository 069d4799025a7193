//! Reads a file of lines in blocks of whole records, also if it is compressed, with a progress bar
//! on a terminal, and divides a block into records. Memory is bounded by one block, one line and
//! the window of the decompressor. Unit: one block.

mod compressed;

use super::style::Style;
use crate::console;
use crate::decode::formats::Readers;
use crate::frame::multiline;
use compressed::decompressed;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

/// How many bytes are read at once.
const READ_BYTES: usize = 1 << 20;

/// A line that does not end within this limit is passed on as it is.
const LINE_BYTES_MAX: usize = 16 << 20;

/// From this length on a file takes long enough for a bar.
const PROGRESS_BYTES_MIN: u64 = 16 << 20;

/// The width of the bar; with the figures beside it, it fits into 60 columns.
const BAR_COLUMNS: usize = 36;

/// Reads a file, or standard input for `-`, and passes blocks that end with a record. The bytes
/// decide whether they are compressed (gzip, zstd), not the name. `style` is that of standard
/// error.
///
/// # Errors
/// The file cannot be opened or read, or its compressed data is damaged.
pub(super) fn read(path: &Path, style: Style, mut feed: impl FnMut(&[u8])) -> io::Result<()> {
    let (input, whole): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path)?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        (Box::new(file), length)
    };
    let taken = Rc::new(Cell::new(0));
    let mut input = decompressed(Counted { input, taken: Rc::clone(&taken) })?;
    let mut progress = Progress { whole, shown: None, is_terminal: style.columns.is_some() };
    let mut buffer = Vec::new();
    loop {
        let kept = buffer.len();
        buffer.resize(kept + READ_BYTES, 0);
        let read = input.read(&mut buffer[kept..]);
        let count = *read.as_ref().unwrap_or(&0);
        buffer.truncate(kept + count);
        progress.show(taken.get());
        if count == 0 {
            progress.clear();
            feed(&buffer);
            // what came before the damage counts
            return read.map(|_| ());
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

/// Counts the bytes of the file, which are fewer than those of the lines if it is compressed.
struct Counted<R> {
    input: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(into)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
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
    shown: Option<String>,
    is_terminal: bool,
}

impl Progress {
    fn show(&mut self, taken: u64) {
        if !self.is_terminal || self.whole.unwrap_or(taken) < PROGRESS_BYTES_MIN {
            return;
        }
        let bar = bar(taken, self.whole);
        if self.shown.as_ref() != Some(&bar) {
            console::note(&format!("\r{bar}"));
            self.shown = Some(bar);
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            console::note("\r\x1b[K");
        }
    }
}

fn bar(taken: u64, whole: Option<u64>) -> String {
    let mib = taken >> 20;
    let Some(whole) = whole else { return format!("{mib} MiB") };
    let percent = taken.min(whole) * 100 / whole.max(1);
    let filled = "=".repeat(percent as usize * BAR_COLUMNS / 100);
    format!("[{filled:<BAR_COLUMNS$}] {percent:>3} %  {mib} MiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines_of(bytes: &[u8]) -> (String, io::Result<()>) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("space for the file");
        let mut found = Vec::new();
        let result = read(file.path(), Style::PLAIN, |block| found.extend_from_slice(block));
        (String::from_utf8_lossy(&found).into_owned(), result)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("a vector");
        encoder.finish().expect("a vector")
    }

    fn zstd(text: &str) -> Vec<u8> {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(text.as_bytes(), level)
    }

    /// Guarantees: plain files, gzip and zstd give the same lines, also from several members or
    /// frames behind each other, with skippable frames between them; an empty file has no lines.
    #[test]
    fn compressed_files_give_their_lines() {
        let text = "level=info msg=x n=1\n".repeat(100_000);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let zstd_twice = [&skippable[..], &zstd(&text), &skippable[..], &zstd("end\n")].concat();
        for (name, bytes, expected) in [
            ("plain", text.clone().into_bytes(), text.clone()),
            ("gzip", gzip(&text), text.clone()),
            ("two members", [gzip(&text), gzip("end\n")].concat(), format!("{text}end\n")),
            ("zstd", zstd(&text), text.clone()),
            ("two frames", zstd_twice, format!("{text}end\n")),
            ("empty", Vec::new(), String::new()),
            ("three bytes", b"a\nb".to_vec(), "a\nb".to_owned()),
        ] {
            let (found, result) = lines_of(&bytes);
            assert!(result.is_ok(), "{name}: {result:?}");
            assert!(found == expected, "{name}: {} of {} bytes", found.len(), expected.len());
        }
    }

    /// Guarantees: the lines before damaged data are read, and the error says which tool checks the
    /// file; a frame cannot make memory grow past the limit.
    #[test]
    fn damaged_files_say_so() {
        let numbered: Vec<String> = (0..200_000).map(|n| format!("level=info n={n}\n")).collect();
        let text = numbered.concat();
        for (bytes, tool) in [(gzip(&text), "gzip -t"), (zstd(&text), "zstd -t")] {
            let (found, result) = lines_of(&bytes[..bytes.len() / 2]);
            let error = result.expect_err("half a file").to_string();
            assert!(error.contains(tool), "{error}");
            assert!(text.starts_with(&found) && !found.is_empty(), "{} bytes", found.len());
        }
        // a header without content: a window of 2 GiB
        let large = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        let error = lines_of(&large).1.expect_err("too large").to_string();
        assert!(error.contains("zstd -t"), "{error}");
    }

    /// Guarantees: the bar fits into 60 columns from its beginning to its end.
    #[test]
    fn the_bar_is_narrow() {
        assert_eq!(bar(3 << 20, None), "3 MiB");
        let half = bar(50 << 20, Some(100 << 20));
        assert_eq!(half, format!("[{}{}]  50 %  50 MiB", "=".repeat(18), " ".repeat(18)));
        assert!(bar(1 << 50, Some(1 << 50)).len() <= 60);
        assert_eq!(bar(0, Some(0)).len(), half.len() - 1);
    }
}
