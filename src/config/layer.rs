//! Finds and reads the layers of a configuration: the cluster's text in the environment,
//! directories and files of namespace and pod, and the file of the command line. Notices when one
//! of them changes. A missing file is a fault only if it was named explicitly. Unit: one layer.
//!
//! Decision: one check per second with `stat` instead of inotify. kubelet replaces the link
//! `..data`, editors rename files, and a volume may be on a network; `stat` notices all of these
//! changes for one system call per volume and second.

use super::environment::{self, Environment};
use super::fault::{Fault, Faults, Level};
use super::text::{TextError, read};
use super::tree::{FILE_BYTES_MAX, Inside};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum number of files in all layers; a namespace with one file per team has a dozen.
const FILES_MAX: usize = 64;
/// Maximum number of directories and files that can be named.
const PLACES_MAX: usize = 16;
/// Maximum number of entries read from a directory; a ConfigMap has one file per key.
const ENTRIES_MAX: usize = 4096;
/// How often a directory is read again if it is replaced while it is read.
const READS_MAX: usize = 3;
/// The link that kubelet points at the current version of a volume.
const DATA: &str = "..data";

/// The owner of a layer; later ones override earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    /// The platform, the only owner that can make settings final.
    Cluster,
    /// A mounted ConfigMap: first that of the namespace, then that of the pod.
    Mounted,
    /// The file of `--config`.
    File,
}

/// One text, or the error from reading it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Layer {
    pub(super) rank: Rank,
    /// The name of the file or variable.
    pub(super) name: String,
    pub(super) text: Result<String, TextError>,
    /// Expands `${NAME}` in the text.
    pub(super) has_variables: bool,
    /// The position of the text in a manifest.
    pub(super) inside: Option<Arc<Inside>>,
}

impl Layer {
    pub(super) fn new(rank: Rank, name: String, text: Result<String, TextError>) -> Layer {
        Layer { rank, name, text, has_variables: rank != Rank::Cluster, inside: None }
    }
}

/// The locations of the layers, in their order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Places {
    cluster: Option<String>,
    mounted: Vec<PathBuf>,
    file: Option<PathBuf>,
}

impl Places {
    /// Returns the locations that environment and command line name.
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

    /// Returns the file of the command line.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns whether a layer can change while the process runs.
    pub fn can_change(&self) -> bool {
        !self.mounted.is_empty() || self.file.is_some()
    }

    /// Reads all layers.
    pub(super) fn read(&self) -> (Vec<Layer>, Faults) {
        let (mut layers, mut faults) = (Vec::new(), Faults::default());
        if let Some(text) = &self.cluster {
            let name = environment::DEFAULTS.to_owned();
            layers.push(Layer::new(Rank::Cluster, name, Ok(text.clone())));
        }
        if let Some(beyond) = self.mounted.get(PLACES_MAX) {
            faults.push(too_many(PLACES_MAX, "places", &beyond.display().to_string()));
        }
        for path in self.mounted() {
            let before = layers.len();
            if let Err(error) = mounted(path, &mut layers, &mut faults) {
                layers.truncate(before);
                let name = path.display().to_string();
                layers.push(Layer::new(Rank::Mounted, name, Err(error.into())));
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
        bound_bytes(&mut layers);
        (layers, faults)
    }

    fn mounted(&self) -> impl Iterator<Item = &PathBuf> {
        self.mounted.iter().take(PLACES_MAX)
    }

    /// Returns the metadata of everything that can change.
    pub fn look(&self) -> Trace {
        let mut trace = Trace::default();
        for path in self.mounted().chain(&self.file) {
            let data = path.join(DATA);
            if trace.mark(&data) {
                continue;
            }
            trace.mark(path);
            for name in keys(path).unwrap_or_default().0 {
                trace.mark(&path.join(name));
            }
        }
        trace
    }
}

/// The metadata of all files. If it is equal, nothing has changed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trace(Vec<Mark>);

/// The metadata of a file, or of the version of a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    path: PathBuf,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl Trace {
    /// Adds the metadata of a path; returns false if there is no such file.
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

/// Adds a file, or all files of one version of a directory.
fn mounted(path: &Path, layers: &mut Vec<Layer>, faults: &mut Faults) -> io::Result<()> {
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
    let mut ignored = None;
    for _ in 0..READS_MAX {
        layers.truncate(before);
        // kubelet removes a version only after the link points to the next one
        let version = fs::canonicalize(path.join(DATA)).ok();
        let directory = version.as_deref().unwrap_or(path);
        let (names, others) = keys(directory)?;
        ignored = others;
        for name in names {
            let text = read(&directory.join(&name));
            let name = path.join(name).display().to_string();
            layers.push(Layer::new(Rank::Mounted, name, text));
        }
        if fs::canonicalize(path.join(DATA)).ok() == version {
            break;
        }
    }
    if let Some(name) = ignored {
        faults.push(not_read(&path.join(name).display().to_string()));
    }
    Ok(())
}

/// Returns the fault of a file that is ignored because of its name.
pub(super) fn not_read(name: &str) -> Fault {
    Fault {
        level: Level::Warning,
        path: name.to_owned(),
        message: "the file is ignored, because its name does not end in .yaml or .yml".to_owned(),
        hint: Some("rename the file, or the key of the ConfigMap".to_owned()),
        located: None,
    }
}

/// Returns the configurations of a directory, sorted by name, and the first file that is not one.
fn keys(directory: &Path) -> io::Result<(Vec<String>, Option<String>)> {
    let (mut names, mut ignored) = (Vec::new(), None);
    for entry in fs::read_dir(directory)?.take(ENTRIES_MAX) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = || fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
        if is_key(&name) && is_file() {
            names.push(name);
        } else if !name.starts_with('.') && is_file() {
            ignored = ignored.filter(|first| *first < name).or(Some(name));
        }
    }
    names.sort_unstable();
    names.truncate(FILES_MAX + 1);
    Ok((names, ignored))
}

/// Returns whether a file with this name in a directory, or a key of a ConfigMap, is a
/// configuration.
pub(super) fn is_key(name: &str) -> bool {
    let yaml = Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml");
    yaml && !name.starts_with('.')
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Discards the text of the first layer with which all layers together are too large, and of the
/// layers after it.
fn bound_bytes(layers: &mut [Layer]) {
    let mut bytes = 0;
    for layer in layers {
        bytes += layer.text.as_ref().map_or(0, String::len);
        // a file that is too large by itself gets a separate message
        let alone = layer.text.as_ref().is_ok_and(|text| text.len() > FILE_BYTES_MAX);
        if bytes > FILE_BYTES_MAX && !alone {
            layer.text = Err(TextError::TooMuch);
        }
    }
}

fn too_many(most: usize, what: &str, path: &str) -> Fault {
    Fault {
        level: Level::Error,
        path: path.to_owned(),
        message: format!("more than {most} {what}; this and the following ones are not read"),
        hint: Some("merge some of them".to_owned()),
        located: None,
    }
}

/// Returns the fault of a file or directory that exists but cannot be read.
pub(super) fn unreadable(name: &str, why: &dyn std::fmt::Display) -> Fault {
    Fault {
        level: Level::Error,
        path: name.to_owned(),
        message: format!("the configuration cannot be read: {why}"),
        hint: Some("without it, the built-in rules and the defaults are used".to_owned()),
        located: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::volume::swap;

    fn places(path: &Path) -> Places {
        Places { mounted: vec![path.to_owned()], ..Places::default() }
    }

    /// Guarantees: every YAML key of a volume is read in the order of names, and nothing else; each
    /// has the path that the pod's manifest mounts.
    #[test]
    fn a_volume_gives_its_keys_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = folder.path();
        assert_eq!(places(&volume.join("absent")).read(), (vec![], Faults::default()));
        let files = [("b.yaml", "b"), ("a.yml", "a"), ("notes.txt", "x"), (".c.yaml", "x")];
        swap(volume, "..1", &files);
        let (layers, faults) = places(volume).read();
        let path = |name: &str| volume.join(name).display().to_string();
        let found: Vec<_> = layers.iter().map(|l| (l.name.clone(), l.text.clone())).collect();
        let expected = [("a.yml", "a"), ("b.yaml", "b")];
        let expected = expected.map(|(name, text)| (path(name), Ok(text.to_owned())));
        assert_eq!(found, expected);
        assert!(layers.iter().all(|layer| layer.rank == Rank::Mounted));
        assert_eq!(faults.into_list(), [not_read(&path("notes.txt"))]);
    }

    /// Guarantees: a new version is noticed, a removed key disappears at once although its link
    /// still exists, and nothing is noticed if nothing changed.
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

    /// Guarantees: in a plain directory and for a plain file, a new text is noticed, and so is a
    /// file that is added or removed.
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
    fn what_cannot_be_read_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.yaml"), b"\xff").expect("written");
        let (layers, _) = places(folder.path()).read();
        assert!(layers[0].text.as_ref().is_err_and(|why| why.to_string().contains("UTF-8")));
        let many = vec![folder.path().to_owned(); PLACES_MAX + 1];
        let (layers, faults) = Places { mounted: many, ..Places::default() }.read();
        assert_eq!((layers.len(), faults.len()), (PLACES_MAX, 1));
        for number in 0..=FILES_MAX {
            fs::write(folder.path().join(format!("n{number}.yaml")), "").expect("written");
        }
        let (layers, faults) = places(folder.path()).read();
        assert_eq!((layers.len(), faults.len()), (FILES_MAX, 1));
    }

    /// Guarantees: the layers together are bounded like a single one, and those before the limit
    /// are read.
    #[test]
    fn layers_are_bounded_together() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            fs::write(folder.path().join(name), vec![b'#'; 400_000]).expect("written");
        }
        let (layers, _) = places(folder.path()).read();
        let read: Vec<bool> = layers.iter().map(|layer| layer.text.is_ok()).collect();
        assert_eq!(read, [true, true, false]);
    }
}
