//! Reads the text of one configuration: a regular file, or standard input. Unit: one text.

use super::tree::FILE_BYTES_MAX;
use rustix::fs::OFlags;
use std::error::Error;
use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::string::FromUtf8Error;
use std::sync::Arc;

/// Why the text of a configuration cannot be used.
#[derive(Clone, Debug)]
pub enum TextError {
    /// The path names something that is not a regular file.
    NotRegular(&'static str),
    /// The file cannot be opened or read.
    Io(Arc<io::Error>),
    /// The file is not UTF-8.
    NotUtf8(FromUtf8Error),
    /// With this text, all texts together exceed the limit.
    TooMuch,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::NotRegular(kind) => {
                write!(f, "it is {kind}, and only regular files are read")
            }
            TextError::Io(error) => error.fmt(f),
            TextError::NotUtf8(error) => {
                write!(f, "byte {} is not UTF-8", error.utf8_error().valid_up_to())
            }
            TextError::TooMuch => {
                write!(f, "with it, all layers together are larger than {FILE_BYTES_MAX} bytes")
            }
        }
    }
}

impl Error for TextError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // its text is the text of this error, so that only its causes remain
            TextError::Io(error) => error.source(),
            TextError::NotUtf8(error) => Some(error),
            TextError::NotRegular(_) | TextError::TooMuch => None,
        }
    }
}

impl From<io::Error> for TextError {
    fn from(error: io::Error) -> TextError {
        TextError::Io(Arc::new(error))
    }
}

/// Two errors are equal if they say the same, because an `io::Error` cannot be compared.
impl PartialEq for TextError {
    fn eq(&self, other: &TextError) -> bool {
        self.to_string() == other.to_string()
    }
}

/// Reads a regular file, at most one byte more than [`FILE_BYTES_MAX`], which `tree` then refuses.
/// Opens it without waiting, because a pipe would wait for its writer, and a device may do
/// anything.
///
/// # Errors
/// Fails if the path is not a regular file, cannot be read, or is not UTF-8.
pub fn read(path: &Path) -> Result<String, TextError> {
    // before the file is opened, because opening a device can have effects
    regular(&fs::metadata(path)?)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path)?;
    // and after it, because another file may have replaced it
    regular(&file.metadata()?)?;
    text(file)
}

fn regular(found: &Metadata) -> Result<(), TextError> {
    let kind = found.file_type();
    Err(TextError::NotRegular(match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }))
}

/// Reads standard input, with the same limit.
///
/// # Errors
/// Fails if it cannot be read or is not UTF-8.
pub(crate) fn standard_input() -> Result<String, TextError> {
    text(io::stdin())
}

fn text(from: impl Read) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    from.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(TextError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::symlink;

    /// Guarantees: anything that is not a regular file is refused with its kind, and nothing waits
    /// for it.
    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let link = folder.path().join("link");
        symlink(&fifo, &link).expect("a link");
        for (path, kind) in [
            (fifo.as_path(), "a pipe"),
            (&link, "a pipe"),
            (folder.path(), "a directory"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = read(path).expect_err("not a regular file");
            assert!(error.to_string().contains(kind), "{}: {error}", path.display());
            assert!(error.source().is_none());
        }
    }

    #[test]
    fn an_error_has_its_cause() {
        let folder = tempfile::tempdir().expect("a folder");
        let absent = read(&folder.path().join("absent")).expect_err("no file");
        assert!(absent.source().is_none(), "a chain would print it twice: {absent}");
        let cause = String::from_utf8(vec![0xff]).expect_err("not UTF-8");
        let deep = TextError::from(io::Error::other(TextError::NotUtf8(cause)));
        assert!(deep.source().is_some_and(<dyn Error>::is::<FromUtf8Error>), "{deep:?}");
        let file = folder.path().join("a.yaml");
        fs::write(&file, b"a: \xff").expect("written");
        let binary = read(&file).expect_err("not UTF-8");
        assert!(binary.source().is_some_and(<dyn Error>::is::<FromUtf8Error>));
        assert_eq!(binary.to_string(), "byte 3 is not UTF-8");
    }
}
