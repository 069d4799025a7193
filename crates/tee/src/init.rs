//! Recognizes commands that refuse to run unless they are process 1 of their container. Init systems
//! for containers (tini, dumb-init, catatonit) and supervisors (supervisord, s6-svscan) do not
//! refuse. Unit: one command.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Names of programs that refuse, with what they say. A link to one of them counts, too.
const NAMES: [&str; 9] = [
    // s6-overlay: "can only run as pid 1"; sysvinit, busybox and finit take another process 1 for
    // the system's and only send it a command
    "init",
    "s6-overlay-suexec",
    "s6-linux-init",
    "systemd",
    // "must be run as process no 1"
    "runit",
    "runit-init",
    "openrc-init",
    "finit",
    "sinit",
];

/// The folder of s6-overlay in an image. Scripts of such images often end with `exec /init`, which
/// the command does not show.
const S6_OVERLAY: &str = "/package/admin/s6-overlay";

/// Returns whether `command`, a name and its arguments, has to be process 1.
pub(crate) fn must_be_first(command: &[OsString]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    is_init(command, &path) || Path::new(S6_OVERLAY).exists()
}

fn is_init(command: &[OsString], path: &OsStr) -> bool {
    let [name, arguments @ ..] = command else { return false };
    let name = Path::new(name);
    let is_known = |program: &Path| {
        let file = program.file_name().unwrap_or_default();
        NAMES.iter().any(|known| file == *known)
            || (file == "busybox" && arguments.first().is_some_and(|applet| applet == "init"))
    };
    is_known(name) || find(name, path).is_some_and(|program| is_known(&program))
}

/// Returns the file that a command names, with all links resolved.
fn find(name: &Path, path: &OsStr) -> Option<PathBuf> {
    if name.as_os_str().as_encoded_bytes().contains(&b'/') {
        return name.canonicalize().ok();
    }
    std::env::split_paths(path).find_map(|folder| folder.join(name).canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_systems_are_known_by_their_name_or_their_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let folder = directory.path();
        std::fs::write(folder.join("systemd"), "").expect("a writable directory");
        std::fs::write(folder.join("initial"), "").expect("a writable directory");
        for (link, to) in [("entrypoint", "systemd"), ("start", "initial")] {
            std::os::unix::fs::symlink(folder.join(to), folder.join(link)).expect("a link");
        }
        let entrypoint = folder.join("entrypoint").display().to_string();
        for (line, expected) in [
            ("/init", true),
            ("/init --verbose", true),
            ("/sbin/init", true),
            ("/lib/systemd/systemd --system", true),
            ("runit-init", true),
            ("busybox init", true),
            ("/bin/busybox init", true),
            ("entrypoint", true),
            (entrypoint.as_str(), true),
            ("busybox sh init", false),
            ("start", false),
            ("nowhere", false),
            ("sh -c init", false),
            ("tini -- /init", false),
            ("dumb-init sh", false),
            ("catatonit -- sh", false),
            ("supervisord", false),
            ("s6-svscan /service", false),
            ("init.sh", false),
        ] {
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(is_init(&command, folder.as_os_str()), expected, "{line}");
        }
    }
}
