//! `install`: copies `sidelight-tee` into a directory, for images that do not contain it; `run`
//! does the same if it is configured. One rename puts the program in place, so that a reader finds
//! the whole program or none. Unit: one call.

use crate::cli::programs;
use crate::cli::style;
use crate::config::environment::Environment;
use crate::console;
use rustix::process::getuid;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name of the program, here and in the directory. In our image it is beside this binary.
const NAME: &str = "sidelight-tee";

/// Every user of the pod may run it; only the owner may write it.
const MODE: u32 = 0o755;

/// Arguments of `install`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// Target directory, which is created if it is missing. The program is named `sidelight-tee` there
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// The result of an installation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Placed {
    /// The program was copied.
    Copied,
    /// The directory already contained the same bytes.
    Kept,
}

/// The error of an installation that failed.
#[derive(Debug)]
pub(crate) struct NotPlaced {
    source: PathBuf,
    target: PathBuf,
    error: io::Error,
}

impl fmt::Display for NotPlaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot copy {} to {}: {}",
            self.source.display(),
            self.target.display(),
            self.error
        )?;
        match self.error.kind() {
            ErrorKind::StorageFull | ErrorKind::FileTooLarge => {
                let bytes = fs::metadata(&self.source).map_or(0, |program| program.len());
                write!(f, "; it needs {} MiB there", bytes.div_ceil(1 << 20))
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                write!(f, "; the directory must be writable for uid {}", getuid().as_raw())
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for NotPlaced {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Copies the program into a directory, and reports the result; exit code 0 if the program is
/// there.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    match place(&arguments.directory) {
        Ok(Placed::Copied) => ExitCode::SUCCESS,
        Ok(Placed::Kept) => {
            console::diagnostic_line(format_args!(
                "{} already contains it",
                arguments.directory.display()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            style::fail(error, environment);
            ExitCode::FAILURE
        }
    }
}

/// Copies the program into `directory`, unless the same program is there.
///
/// # Errors
/// The program cannot be read, or the directory cannot be written; its previous contents are
/// unchanged.
pub(crate) fn place(directory: &Path) -> Result<Placed, NotPlaced> {
    let source = programs::find(NAME).unwrap_or_else(|| PathBuf::from(NAME));
    copy(&source, directory).map_err(|error| NotPlaced {
        source,
        target: directory.join(NAME),
        error,
    })
}

fn copy(source: &Path, directory: &Path) -> io::Result<Placed> {
    let target = directory.join(NAME);
    if is_same(source, &target) {
        return Ok(Placed::Kept);
    }
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(MODE).create(directory)?;
    }
    // the first process of a container always has the same number: a killed one may have left its
    // file
    let fresh = directory.join(format!(".{NAME}.{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let done = write(source, &fresh).and_then(|()| fs::rename(&fresh, &target));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done.map(|()| Placed::Copied)
}

fn write(source: &Path, fresh: &Path) -> io::Result<()> {
    let mut from = File::open(source)?;
    // the file must be new, so that no existing link is followed
    let mut to = OpenOptions::new().write(true).create_new(true).mode(MODE).open(fresh)?;
    io::copy(&mut from, &mut to)?;
    // the umask of the process removed bits
    to.set_permissions(Permissions::from_mode(MODE))
}

/// Returns whether `target` is an executable file with the same bytes.
fn is_same(source: &Path, target: &Path) -> bool {
    let Ok(known) = fs::symlink_metadata(target) else { return false };
    if !known.is_file() || known.permissions().mode() & 0o7777 != MODE {
        return false;
    }
    let (Ok(one), Ok(other)) = (File::open(source), File::open(target)) else { return false };
    equal(BufReader::new(one), BufReader::new(other)).unwrap_or(false)
}

fn equal(mut one: impl BufRead, mut other: impl BufRead) -> io::Result<bool> {
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let count = left.len().min(right.len());
        if left[..count] != right[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(count);
        other.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
    }

    /// Guarantees: the whole binary is there with its mode, once; a second call writes nothing; a
    /// different file is replaced and not overwritten in place.
    #[test]
    fn it_is_there_whole_and_once() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (source, directory) = (home.path().join("exe"), home.path().join("run/bin"));
        let target = directory.join(NAME);
        fs::write(&source, vec![7u8; 100_000]).expect("a writable directory");
        assert_eq!(copy(&source, &directory).expect("a buffer with free space"), Placed::Copied);
        assert_eq!(copy(&source, &directory).expect("a buffer with free space"), Placed::Kept);
        assert_eq!((mode(&target), fs::read(&target).expect("it is there").len()), (MODE, 100_000));
        for differs in [vec![7u8; 99_999], vec![8u8; 100_000], vec![7u8; 100_001], Vec::new()] {
            fs::write(&target, &differs).expect("ours");
            // a program that is running from there keeps its bytes
            let running = File::open(&target).expect("it is there");
            assert_eq!(
                copy(&source, &directory).expect("a buffer with free space"),
                Placed::Copied
            );
            assert_eq!(running.metadata().expect("open").len(), differs.len() as u64);
            assert_eq!(fs::read(&target).expect("it is there"), vec![7u8; 100_000]);
        }
        fs::set_permissions(&target, Permissions::from_mode(0o644)).expect("ours");
        assert_eq!(copy(&source, &directory).expect("a buffer with free space"), Placed::Copied);
        assert_eq!(mode(&target), MODE);
        assert_eq!(
            fs::read_dir(&directory).expect("a directory").count(),
            1,
            "something is left over"
        );
    }

    /// Guarantees: no link is followed, and a failure leaves everything unchanged and says what to
    /// do.
    #[test]
    fn links_and_failures_do_no_harm() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (source, directory) = (home.path().join("exe"), home.path().join("bin"));
        let precious = home.path().join("precious");
        fs::write(&source, "binary").expect("a writable directory");
        fs::write(&precious, "precious").expect("a writable directory");
        fs::create_dir(&directory).expect("a writable directory");
        let fresh = directory.join(format!(".{NAME}.{}", std::process::id()));
        for link in [directory.join(NAME), fresh] {
            symlink(&precious, link).expect("a writable directory");
        }
        assert_eq!(copy(&source, &directory).expect("a buffer with free space"), Placed::Copied);
        assert_eq!(fs::read_to_string(&precious).expect("it is there"), "precious");
        assert_eq!(fs::read_to_string(directory.join(NAME)).expect("it is there"), "binary");
        let error = place(&precious).expect_err("a file is no directory").to_string();
        assert!(error.contains("precious/sidelight-tee"), "{error}");
        let refused = io::Error::from(ErrorKind::ReadOnlyFilesystem);
        let error_text = NotPlaced {
            source: PathBuf::from("/sidelight-tee"),
            target: PathBuf::from("/ro/sidelight"),
            error: refused,
        }
        .to_string();
        assert!(
            error_text.contains("/ro/sidelight") && error_text.contains("writable for uid"),
            "{error_text}"
        );
    }
}
