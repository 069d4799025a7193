//! Opens the directory of a socket and resolves its group. Unit: one directory.

use super::error::{Owner, Problem};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Gid, Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Opens `path`; creates its last component if it is missing. Adds a problem to `refused` if the
/// group cannot be set.
pub(super) fn open_directory(
    path: &Path,
    mode: u32,
    group: Option<u32>,
    refused: &mut Vec<Problem>,
) -> Result<OwnedFd, Problem> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::empty());
    match open() {
        Ok(directory) => return Ok(directory),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(Problem::Directory { errno, owner: None }),
    }
    let mode = Mode::from_raw_mode(mode & 0o777);
    match rustix::fs::mkdir(path, mode) {
        Ok(()) => {}
        Err(Errno::EXIST) => return open().map_err(|_| Problem::DirectoryLink),
        Err(Errno::NOENT) => return Err(Problem::NoParent),
        Err(errno) => {
            let owner = path.parent().and_then(|parent| rustix::fs::stat(parent).ok());
            return Err(Problem::Parent { errno, owner: owner.map(|stat| Owner::of(&stat)) });
        }
    }
    let directory = open().map_err(|errno| Problem::Directory { errno, owner: None })?;
    if let Some(group) = group {
        let gid = Some(Gid::from_raw(group));
        if let Err(errno) = rustix::fs::chownat(&directory, "", None, gid, AtFlags::EMPTY_PATH) {
            refused.push(Problem::Group { group, errno });
        }
    }
    Ok(directory)
}

/// Resolves a group given by number or by name to its number.
pub(super) fn group_id(group: &str) -> Result<u32, Problem> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let known = std::fs::read_to_string("/etc/group").unwrap_or_default();
    named(&known, group).ok_or_else(|| Problem::NoGroup(group.to_owned()))
}

fn named(known: &str, group: &str) -> Option<u32> {
    known.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// The default directory of the sockets.
pub(crate) const RUN_DIRECTORY: &str = "/run/sidelight";

/// Returns the directory of sockets without a configured path: `/run/sidelight` if we can write
/// there, else `$XDG_RUNTIME_DIR` (`runtime`), else a directory under `/tmp` that must be private
/// (the second value is true then).
pub(crate) fn default_directory(runtime: Option<&Path>) -> (PathBuf, bool) {
    let run = Path::new(RUN_DIRECTORY);
    let usable = |path: &Path| {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(path, access).is_ok()
    };
    if usable(run) || (!run.exists() && usable(Path::new("/run"))) {
        return (run.to_owned(), false);
    }
    if let Some(runtime) = runtime.filter(|path| path.is_absolute() && usable(path)) {
        return (runtime.to_owned(), false);
    }
    (PathBuf::from(format!("/tmp/sidelight-{}", rustix::process::geteuid().as_raw())), true)
}

/// Lets everybody pass through a directory of ours, without listing it. If the file system refuses
/// that, the socket is bound anyway, because other processes may still reach it.
pub(super) fn let_through(directory: &OwnedFd) {
    const SEARCH: u32 = 0o011;
    let Ok(stat) = rustix::fs::fstat(directory) else { return };
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if !ours || stat.st_mode & SEARCH == SEARCH {
        return;
    }
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777 | SEARCH);
    // A handle opened with O_PATH has no fchmod; its entry in /proc leads to the same directory.
    let handle = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(directory));
    if let Err(error) = rustix::fs::chmod(&handle, mode) {
        tracing::warn!(%error, "the directory of the socket cannot be opened to the socket's group");
    }
}

/// Returns true if the directory belongs to us and nobody else may write there.
pub(super) fn is_private(directory: &OwnedFd) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    rustix::fs::fstat(directory).is_ok_and(|stat| stat.st_uid == ours && stat.st_mode & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_by_number_or_by_name() {
        let known = "root:x:0:\nlogs:x:1234:a,b\nbroken\n";
        assert_eq!(named(known, "logs"), Some(1234));
        assert_eq!(named(known, "log"), None);
        assert_eq!(named(known, "broken"), None);
        assert_eq!(group_id("65532").ok(), Some(65532));
        assert!(matches!(group_id("no such group"), Err(Problem::NoGroup(_))));
    }

    #[test]
    fn a_runtime_directory_is_taken_only_if_it_can_be_written() {
        let runtime = tempfile::tempdir().expect("a temporary directory");
        let (found, private) = default_directory(Some(runtime.path()));
        assert!(!private);
        assert!(found == Path::new("/run/sidelight") || found == runtime.path(), "{found:?}");
        let (missing, _) = default_directory(Some(&runtime.path().join("missing")));
        assert_ne!(missing, runtime.path().join("missing"));
    }
}
