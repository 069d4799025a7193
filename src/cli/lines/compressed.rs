//! Decompresses what the first bytes say is gzip (RFC 1952) or zstd (RFC 8878), as logrotate and
//! container runtimes leave old logs. Memory is bounded by the window of the format. Unit: one
//! file.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The magic number of a skippable frame begins with any of 0x50 to 0x5f.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The largest window: that of `zstd --long`, the most that `zstd -d` accepts without a flag.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

/// Returns the decompressed bytes of a file, or its bytes if it is not compressed.
///
/// # Errors
/// The beginning cannot be read.
pub(super) fn decompressed(mut input: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    input.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let is_skippable = head.len() == ZSTD.len()
        && (0x50..=0x5f).contains(&head[0])
        && head.ends_with(&ZSTD_SKIPPABLE);
    let (is_gzip, is_zstd) = (head.starts_with(&GZIP), head == ZSTD || is_skippable);
    let input = BufReader::new(io::Cursor::new(head).chain(input));
    Ok(if is_gzip {
        Box::new(Checked { input: MultiGzDecoder::new(input), format: "gzip" })
    } else if is_zstd {
        Box::new(Checked { input: Frames::new(input), format: "zstd" })
    } else {
        Box::new(input)
    })
}

/// Names the format in errors, and the program that finds where the file is damaged.
struct Checked<R> {
    input: R,
    format: &'static str,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let format = self.format;
        self.input.read(into).map_err(|error| {
            io::Error::other(format!(
                "the {format} data cannot be read: {error}; the lines before it were processed, \
                 and `{format} -t` checks the file"
            ))
        })
    }
}

/// The frames of a zstd file, one after the other; skippable frames hold no lines.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    is_open: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(input: R) -> Frames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Frames { input, decoder, is_open: false }
    }

    /// Starts the next frame; returns false at the end of the file.
    fn open(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => {
                    self.is_open = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = self.input.by_ref().take(u64::from(length));
                    io::copy(&mut { skipped }, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_open && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            self.is_open = false;
        }
    }
}
