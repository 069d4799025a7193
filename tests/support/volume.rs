//! Updates a directory as kubelet updates a mounted ConfigMap. The unit tests of the configuration
//! use this file, too. Unit: one version of a volume.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The link that kubelet points at the version in force.
const DATA: &str = "..data";

/// Puts a new version into force, with one rename: a directory for the version, and a link for each
/// key. Leaves the old version in place.
pub(crate) fn swap(volume: &Path, version: &str, files: &[(&str, &str)]) {
    let directory = volume.join(version);
    fs::create_dir(&directory).expect("a new version");
    for (name, text) in files {
        fs::write(directory.join(name), text).expect("a file");
        let link = volume.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), link).expect("a link");
        }
    }
    symlink(version, volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join(DATA)).expect("swapped");
}
