//! Reads the small text files that the injector is configured with. Unit: one file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file cannot be read.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Io(io::Error),
    Bytes(u64),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Io(error) => write!(f, "{path}: {error}"),
            Cause::Bytes(most) => write!(f, "{path}: larger than {most} bytes"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Io(error) => Some(error),
            Cause::Bytes(_) => None,
        }
    }
}

/// Reads a file of at most `bytes_max` bytes.
///
/// # Errors
/// Fails if the file is larger, is not UTF-8 or cannot be read.
pub fn read(path: &Path, bytes_max: u64) -> Result<String, FileError> {
    let failed = |cause| FileError { path: path.to_owned(), cause };
    let size = std::fs::metadata(path).map_err(|error| failed(Cause::Io(error)))?.len();
    if size > bytes_max {
        return Err(failed(Cause::Bytes(bytes_max)));
    }
    std::fs::read_to_string(path).map_err(|error| failed(Cause::Io(error)))
}
