//! Writes a frame in another encoding as a line, which `decode` then reads like any other. So a
//! record means the same whichever handler sent it, and its copy on standard output is readable.
//! Pure; nothing is imported, called or constructed for an input. Unit: one frame.
//!
//! Python: `pickle` reads the values of a pickle, `python` finds the `LogRecord` in them, `percent`
//! and `show` format values as Python does. `forward` reads entries of Fluent Forward, `journal` and
//! `compressed` are encodings of datagrams.

mod compressed;
mod forward;
mod journal;
mod json;
mod percent;
mod pickle;
mod python;
mod show;

use crate::frame::encoding::{Encoding, Frame};
use crate::record::Format;
use python::RecordWriter;
use std::fmt;

/// Writes frames as lines. Keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Transcoder {
    records: RecordWriter,
    line: Vec<u8>,
}

/// The line that a frame became.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// The line, without a newline at its end.
    pub(crate) bytes: &'a [u8],
    /// The format that counts for it; `None` if its text decides.
    pub(crate) format: Option<Format>,
    /// Whether it is only the beginning, because the frame exceeds the limit.
    pub(crate) is_cut: bool,
}

/// Why a frame did not become a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It is no pickled record.
    Python(python::Refusal),
    /// Its compressed text is damaged.
    Compressed,
    /// An entry of Fluent Forward has no record.
    NoMap,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Python(refusal) => write!(f, "a pickled record: {refusal}"),
            Refusal::Compressed => f.write_str("a compressed text: it is damaged"),
            Refusal::NoMap => f.write_str("an entry of Fluent Forward: its record is no map"),
        }
    }
}

impl Transcoder {
    /// Writes a frame as a line of at most `line_bytes_max` bytes of text.
    ///
    /// # Errors
    /// The frame is not what its first bytes say.
    pub(crate) fn line<'a>(
        &'a mut self,
        frame: &Frame<'a>,
        line_bytes_max: usize,
    ) -> Result<Line<'a>, Refusal> {
        let is_cut = frame.is_cut();
        match frame.encoding {
            Encoding::Text => Ok(Line { bytes: frame.bytes, format: None, is_cut }),
            Encoding::Pickle => {
                let bytes = self.records.write(frame).map_err(Refusal::Python)?;
                Ok(Line { bytes, format: Some(Format::Pickle), is_cut })
            }
            Encoding::Journal => {
                journal::write(frame.bytes, &mut self.line);
                Ok(Line { bytes: &self.line, format: Some(Format::Journal), is_cut })
            }
            Encoding::Forward => {
                if !forward::write(frame, &mut self.line) {
                    return Err(Refusal::NoMap);
                }
                Ok(Line { bytes: &self.line, format: Some(Format::Forward), is_cut })
            }
            Encoding::Gzip | Encoding::Zlib => {
                let is_gzip = frame.encoding == Encoding::Gzip;
                match compressed::inflate(frame.bytes, is_gzip, line_bytes_max, &mut self.line) {
                    Ok(is_cut) => Ok(Line { bytes: &self.line, format: None, is_cut }),
                    // `x^` can begin a text as well as a stream of zlib
                    Err(_) if !is_gzip && std::str::from_utf8(frame.bytes).is_ok() => {
                        Ok(Line { bytes: frame.bytes, format: None, is_cut })
                    }
                    Err(_) => Err(Refusal::Compressed),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn packed(text: &[u8], is_gzip: bool) -> Vec<u8> {
        if is_gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        } else {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).expect("memory");
            encoder.finish().expect("memory")
        }
    }

    #[test]
    fn compressed_text_is_inflated_up_to_the_limit() {
        let mut transcoder = Transcoder::default();
        for (encoding, is_gzip) in [(Encoding::Gzip, true), (Encoding::Zlib, false)] {
            let bytes = packed(b"{\"short_message\":\"no stock\"}", is_gzip);
            let frame = Frame::whole(encoding, &bytes);
            let line = transcoder.line(&frame, 1000).expect("whole");
            assert_eq!(
                (line.bytes, line.is_cut),
                (&b"{\"short_message\":\"no stock\"}"[..], false)
            );
            // a megabyte of one byte takes a thousand
            let bytes = packed(&vec![b'x'; 1 << 20], is_gzip);
            let frame = Frame::whole(encoding, &bytes);
            let line = transcoder.line(&frame, 1000).expect("its beginning");
            assert_eq!((line.bytes.len(), line.is_cut), (1000, true));
            assert!(transcoder.line.capacity() < 10_000);
            let damaged = Frame::whole(encoding, &bytes[..20]);
            let refusal = transcoder.line(&damaged, 1_000_000).expect_err("damaged");
            assert_eq!(refusal.to_string(), "a compressed text: it is damaged");
        }
        let text = Frame::whole(Encoding::Zlib, b"x^2 + y");
        assert_eq!(transcoder.line(&text, 1000).expect("text").bytes, b"x^2 + y");
    }

    #[test]
    fn fields_of_the_journal_become_json() {
        let bytes = b"MESSAGE\n\x03\0\0\0\0\0\0\0a\n\"\nPRIORITY=3\n";
        let mut transcoder = Transcoder::default();
        let line = transcoder.line(&Frame::whole(Encoding::Journal, bytes), 1000).expect("fields");
        assert_eq!(line.bytes, br#"{"MESSAGE":"a\n\"","PRIORITY":"3"}"#);
        assert_eq!(line.format, Some(Format::Journal));
    }
}
