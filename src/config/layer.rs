//! Where a configuration comes from: the cluster's text in the environment, directories and files of the
//! namespace and the pod, the file of the command line; and whether one of them changed. Reading only; what
//! is not there is no fault but for a file that was asked for by name. Unit: one layer.
//!
//! Decision: a look a second with `stat`, no inotify: kubelet swaps the link `..data`, an editor renames, a
//! volume may be a network's; a stat sees all of it, for one system call a volume and second.

use super::environment::{self, Environment};
use super::fault::{Fault, Faults, Level};
use super::tree::{FILE_BYTES_MAX, Inside};
use rustix::fs::OFlags;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of all layers together: a namespace that keeps one a team has a dozen.
const FILES_MAX: usize = 64;
/// Directories and files that can be named.
const PLACES_MAX: usize = 16;
/// Entries of a directory that are looked at; a ConfigMap is one file a key.
const ENTRIES_MAX: usize = 4096;
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
        bound_bytes(&mut layers);
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
            for name in keys(path).unwrap_or_default().0 {
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
        // a version is removed only after the link points to the next one
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

/// A file that lies among configurations and is none by its name.
pub(super) fn not_read(name: &str) -> Fault {
    Fault {
        level: Level::Warning,
        path: name.to_owned(),
        message: "it is not read: its name does not end in .yaml or .yml".to_owned(),
        hint: Some("rename the file, or the key of the ConfigMap".to_owned()),
        located: None,
    }
}

/// The files of a directory that are configurations, sorted by name, and the first that is none.
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
    names.sort();
    names.truncate(FILES_MAX + 1);
    Ok((names, ignored))
}

/// Whether a file of this name in a directory, or a key of a ConfigMap, is a configuration.
pub(super) fn is_key(name: &str) -> bool {
    let yaml = Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml");
    yaml && !name.starts_with('.')
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Takes the text from the first layer with which all are too large together, and from those after it.
fn bound_bytes(layers: &mut [Layer]) {
    let mut bytes = 0;
    for layer in layers {
        bytes += layer.text.as_ref().map_or(0, String::len);
        // a file that is too large alone is refused with its own message
        let alone = layer.text.as_ref().is_ok_and(|text| text.len() > FILE_BYTES_MAX);
        if bytes > FILE_BYTES_MAX && !alone {
            let why = format!("with it all layers together are larger than {FILE_BYTES_MAX} bytes");
            layer.text = Err(why);
        }
    }
}

/// The text of a regular file, at most one byte more than the limit, which `tree` then refuses. It is
/// opened without waiting: a FIFO would wait for its writer, and a device may do anything.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let refused = |error: io::Error| error.to_string();
    // before it is opened, because opening a device can have effects
    regular(&fs::metadata(path).map_err(refused)?)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path);
    let file = file.map_err(refused)?;
    // and after it, because another one may have taken its place
    regular(&file.metadata().map_err(refused)?)?;
    text(file)
}

fn regular(found: &Metadata) -> Result<(), String> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(format!("it is {what}, and only regular files are read"))
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

    /// Guarantees: what is no regular file is refused with what it is, and nobody waits for it.
    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a FIFO");
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
            let why = read(path).expect_err("no regular file");
            assert!(why.contains(kind), "{}: {why}", path.display());
        }
    }

    /// Guarantees: all layers together are no larger than one may be; those before the limit are read.
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
