//! Where a configuration comes from: the cluster's text in the environment, directories and files of the
//! namespace and the pod, the file of the command line; and whether one of them changed. Reading only; what
//! is not there is no fault but for a file that was asked for by name. Unit: one layer.
//!
//! Decision: a look a second with `stat`, no inotify: kubelet swaps the link `..data`, an editor renames, a
//! volume may be a network's; a stat sees all of it, for one system call a volume and second.

use super::environment::{self, Environment};
use super::fault::{Fault, Level};
use super::tree::{FILE_BYTES_MAX, Inside};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of all layers together: a namespace that keeps one a team has a dozen.
const FILES_MAX: usize = 64;
/// Directories and files that can be named.
const PLACES_MAX: usize = 16;
/// How often a directory is read again because it was swapped meanwhile.
const READS_MAX: usize = 3;
/// What kubelet points at the version of a volume that is in force.
const DATA: &str = "..data";

/// Whose layer it is, the later wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    /// The platform's: the only one that can make settings final.
    Cluster,
    /// A mounted ConfigMap: the namespace's, then the pod's.
    Mounted,
    /// The file of `--config`.
    File,
}

/// One text, or why it cannot be read.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Layer {
    pub(super) rank: Rank,
    /// The file, or the variable.
    pub(super) name: String,
    pub(super) text: Result<String, String>,
    /// The text is a value of a manifest.
    pub(super) inside: Option<Arc<Inside>>,
}

impl Layer {
    pub(super) fn new(rank: Rank, name: String, text: Result<String, String>) -> Layer {
        Layer { rank, name, text, inside: None }
    }
}

/// Where to look, in the order of the layers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Places {
    cluster: Option<String>,
    mounted: Vec<PathBuf>,
    file: Option<PathBuf>,
}

impl Places {
    /// What the environment and the command line name.
    pub(super) fn of(config: Option<&Path>, environment: &Environment) -> Places {
        let get = |name| environment.get(name).filter(|value| !value.trim().is_empty());
        let mounted = get(environment::LAYERS).map(String::as_str).unwrap_or_default();
        let mounted = mounted.split(':').map(str::trim).filter(|path| !path.is_empty());
        let named = get(environment::CONFIG).map(PathBuf::from);
        Places {
            cluster: get(environment::DEFAULTS).cloned(),
            mounted: mounted.map(PathBuf::from).collect(),
            file: config.map(Path::to_owned).or(named),
        }
    }

    /// The file of the command line.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether anything here can change while the process runs.
    pub fn can_change(&self) -> bool {
        !self.mounted.is_empty() || self.file.is_some()
    }

    /// Reads all there is.
    pub(super) fn read(&self) -> (Vec<Layer>, Vec<Fault>) {
        let (mut layers, mut faults) = (Vec::new(), Vec::new());
        if let Some(text) = &self.cluster {
            let name = environment::DEFAULTS.to_owned();
            layers.push(Layer::new(Rank::Cluster, name, Ok(text.clone())));
        }
        if let Some(beyond) = self.mounted.get(PLACES_MAX) {
            faults.push(too_many(PLACES_MAX, "places", &beyond.display().to_string()));
        }
        for path in self.mounted() {
            let before = layers.len();
            if let Err(error) = mounted(path, &mut layers) {
                layers.truncate(before);
                let name = path.display().to_string();
                layers.push(Layer::new(Rank::Mounted, name, Err(error.to_string())));
            }
        }
        if let Some(path) = &self.file {
            let (name, text) = (path.display().to_string(), read(path));
            layers.push(Layer::new(Rank::File, name, text));
        }
        if layers.len() > FILES_MAX {
            faults.push(too_many(FILES_MAX, "files", &layers[FILES_MAX].name));
            layers.truncate(FILES_MAX);
        }
        (layers, faults)
    }

    fn mounted(&self) -> impl Iterator<Item = &PathBuf> {
        self.mounted.iter().take(PLACES_MAX)
    }

    /// What can be seen from outside of everything that can change.
    pub fn look(&self) -> Trace {
        let mut trace = Trace::default();
        for path in self.mounted().chain(&self.file) {
            let data = path.join(DATA);
            if trace.mark(&data) {
                continue;
            }
            trace.mark(path);
            for name in keys(path).unwrap_or_default() {
                trace.mark(&path.join(name));
            }
        }
        trace
    }
}

/// Equal traces: nothing changed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trace(Vec<Mark>);

/// What `stat` says of a file, or of the version of a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    path: PathBuf,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl Trace {
    /// Adds what stands at a path; false where nothing does.
    fn mark(&mut self, path: &Path) -> bool {
        let Ok(found) = fs::metadata(path) else { return false };
        self.0.push(Mark {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            modified: (found.mtime(), found.mtime_nsec()),
            bytes: found.size(),
        });
        true
    }
}

/// Adds a file, or every file of a directory, as one version of it.
fn mounted(path: &Path, layers: &mut Vec<Layer>) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            let (name, text) = (path.display().to_string(), read(path));
            layers.push(Layer::new(Rank::Mounted, name, text));
            return Ok(());
        }
        Err(error) if absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    let before = layers.len();
    for _ in 0..READS_MAX {
        layers.truncate(before);
        // a version is removed only after the link points to the next one
        let version = fs::canonicalize(path.join(DATA)).ok();
        let directory = version.as_deref().unwrap_or(path);
        for name in keys(directory)? {
            let text = read(&directory.join(&name));
            let name = path.join(name).display().to_string();
            layers.push(Layer::new(Rank::Mounted, name, text));
        }
        if fs::canonicalize(path.join(DATA)).ok() == version {
            break;
        }
    }
    Ok(())
}

/// The files of a directory that are configurations, sorted by name.
fn keys(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = || fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
        if is_key(&name) && is_file() {
            names.push(name);
        }
    }
    names.sort();
    names.truncate(FILES_MAX + 1);
    Ok(names)
}

/// Whether a file of this name in a directory, or a key of a ConfigMap, is a configuration.
pub(super) fn is_key(name: &str) -> bool {
    let yaml = Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml");
    yaml && !name.starts_with('.')
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The text of a file, at most one byte more than the limit, which `tree` then refuses.
pub(super) fn read(path: &Path) -> Result<String, String> {
    text(File::open(path).map_err(|error| error.to_string())?)
}

/// The same of standard input.
pub(super) fn standard_input() -> Result<String, String> {
    text(io::stdin())
}

fn text(from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is no UTF-8", error.utf8_error().valid_up_to()))
}

fn too_many(most: usize, what: &str, path: &str) -> Fault {
    Fault {
        level: Level::Error,
        path: path.to_owned(),
        message: format!("more than {most} {what}; those from here on are not read"),
        hint: Some("put several into one".to_owned()),
        located: None,
    }
}

/// A file or directory that is there and cannot be read.
pub(super) fn unreadable(name: &str, why: &str) -> Fault {
    Fault {
        level: Level::Error,
        path: name.to_owned(),
        message: format!("the configuration cannot be read: {why}"),
        hint: Some("the built-in rules and the defaults need no file".to_owned()),
        located: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A volume as kubelet makes it: versions in directories of their own, links to the keys.
    fn swap(volume: &Path, version: &str, files: &[(&str, &str)]) {
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

    fn places(path: &Path) -> Places {
        Places { mounted: vec![path.to_owned()], ..Places::default() }
    }

    /// Guarantees: every YAML key of a volume is read, in the order of names, and nothing else; each is called
    /// by the path that the pod's manifest names.
    #[test]
    fn a_volume_gives_its_keys_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = folder.path();
        assert_eq!(places(&volume.join("absent")).read(), (vec![], vec![]));
        let files = [("b.yaml", "b"), ("a.yml", "a"), ("notes.txt", "x"), (".c.yaml", "x")];
        swap(volume, "..1", &files);
        let (layers, faults) = places(volume).read();
        assert_eq!(faults, []);
        let path = |name: &str| volume.join(name).display().to_string();
        let found: Vec<_> = layers.iter().map(|l| (l.name.clone(), l.text.clone())).collect();
        let expected = [("a.yml", "a"), ("b.yaml", "b")];
        let expected = expected.map(|(name, text)| (path(name), Ok(text.to_owned())));
        assert_eq!(found, expected);
        assert!(layers.iter().all(|layer| layer.rank == Rank::Mounted));
    }

    /// Guarantees: a swap is seen, a key that is gone is gone at once though its link still stands, and
    /// nothing is seen where nothing changed.
    #[test]
    fn a_swap_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(folder.path());
        let empty = places.look();
        swap(folder.path(), "..1", &[("a.yaml", "1"), ("b.yaml", "2")]);
        let first = places.look();
        assert_ne!(empty, first);
        assert_eq!(first, places.look());
        swap(folder.path(), "..2", &[("a.yaml", "1")]);
        assert_ne!(first, places.look());
        assert_eq!(places.read().0.len(), 1);
    }

    /// Guarantees: in a plain directory and of a plain file a new text is seen, and a file that comes or goes.
    #[test]
    fn plain_files_are_seen_to_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yaml");
        let in_folder = places(folder.path());
        let alone = Places { file: Some(file.clone()), ..Places::default() };
        let mut seen = vec![(in_folder.look(), alone.look())];
        for text in ["a", "longer", "longer still"] {
            fs::write(&file, text).expect("written");
            seen.push((in_folder.look(), alone.look()));
        }
        for pair in seen.windows(2) {
            assert_ne!(pair[0].0, pair[1].0);
            assert_ne!(pair[0].1, pair[1].1);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.yaml"), b"\xff").expect("written");
        let (layers, _) = places(folder.path()).read();
        assert!(layers[0].text.as_ref().is_err_and(|why| why.contains("UTF-8")));
        let many = vec![folder.path().to_owned(); PLACES_MAX + 1];
        let (layers, faults) = Places { mounted: many, ..Places::default() }.read();
        assert_eq!((layers.len(), faults.len()), (PLACES_MAX, 1));
        for number in 0..=FILES_MAX {
            fs::write(folder.path().join(format!("n{number}.yaml")), "").expect("written");
        }
        let (layers, faults) = places(folder.path()).read();
        assert_eq!((layers.len(), faults.len()), (FILES_MAX, 1));
    }
}
