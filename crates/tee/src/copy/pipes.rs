//! Creates the pipes that take the place of the command's standard output and standard error. Unit:
//! one command.

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{stderr, stdout};
use std::io;

/// The pipes between the command and the process that copies.
pub(crate) struct Pipes {
    /// The descriptors that become the command's standard output and standard error.
    pub(crate) ends: (OwnedFd, OwnedFd),
    /// The other ends: standard output and standard error, or one for both.
    pub(crate) inputs: Vec<OwnedFd>,
}

impl Pipes {
    /// Creates one pipe for each output, or one for both if they are the same.
    ///
    /// # Errors
    /// Fails if there are no descriptors left.
    pub(crate) fn open() -> io::Result<Pipes> {
        let (input, out) = Pipes::one()?;
        if is_one_place()? {
            return Ok(Pipes { ends: (out.try_clone()?, out), inputs: vec![input] });
        }
        let (other, err) = Pipes::one()?;
        Ok(Pipes { ends: (out, err), inputs: vec![input, other] })
    }

    fn one() -> Result<(OwnedFd, OwnedFd), Errno> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        // this sets only our end; the command's writes still block, as it expects
        ioctl_fionbio(&ours, true)?;
        Ok((ours, theirs))
    }
}

/// Returns whether standard output and standard error are the same pipe, socket or terminal. Two
/// descriptors of one file do not count, because their file offsets may differ.
fn is_one_place() -> Result<bool, Errno> {
    let (out, err) = (fstat(stdout())?, fstat(stderr())?);
    let is_file = FileType::from_raw_mode(out.st_mode) == FileType::RegularFile;
    Ok(!is_file && (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino))
}
