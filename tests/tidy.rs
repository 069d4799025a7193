//! Checks the rules of the code base that a program can check: layers, sizes, headers, words. A
//! rule without a check here is not a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates of the workspace: the folder of each, its modules, and the modules that each module
/// may import. A module is a file directly below `src` with its folder.
const CRATES: &[(&str, Layers)] =
    &[("", SIDELIGHT), ("crates/injector", INJECTOR), ("crates/tee", TEE)];

type Layers = &'static [(&'static str, &'static [&'static str])];

const INJECTOR: Layers = &[
    ("name", &[]),
    ("manifest", &[]),
    ("oci", &[]),
    ("kube", &[]),
    ("inject", &["manifest", "name"]),
    ("config", &["inject", "name"]),
    ("server", &["inject", "kube", "name"]),
    ("cli", &["*"]),
];

const TEE: Layers = &[("clock", &[]), ("copy", &["clock"]), ("arguments", &["clock", "copy"])];

const SIDELIGHT: Layers = &[
    ("clock", &[]),
    ("console", &[]),
    ("resource", &[]),
    ("phase", &[]),
    ("metrics", &["clock"]),
    ("record", &["clock"]),
    ("frame", &[]),
    ("telemetry", &["clock", "console", "metrics", "phase"]),
    ("outbox", &["clock", "telemetry"]),
    ("otlp", &[]),
    ("decode", &["clock", "frame", "record"]),
    ("spans", &["clock", "otlp", "outbox", "record", "resource", "telemetry"]),
    ("health", &["clock", "record", "telemetry"]),
    ("forward", &["clock", "outbox", "record", "telemetry"]),
    ("rules", &["clock", "health", "metrics", "record", "spans", "telemetry"]),
    (
        "pipeline",
        &[
            "clock",
            "decode",
            "forward",
            "frame",
            "health",
            "metrics",
            "outbox",
            "record",
            "resource",
            "rules",
            "spans",
            "telemetry",
        ],
    ),
    ("serve", &["clock", "health", "metrics", "outbox", "phase", "resource", "telemetry"]),
    ("export", &["clock", "otlp", "outbox", "phase", "resource", "spans", "telemetry"]),
    ("receive", &["clock", "frame", "phase", "pipeline", "record", "telemetry"]),
    (
        "config",
        &[
            "clock",
            "decode",
            "export",
            "forward",
            "health",
            "metrics",
            "receive",
            "record",
            "resource",
            "rules",
            "serve",
            "spans",
            "telemetry",
        ],
    ),
    ("replay", &["*"]),
    ("app", &["*"]),
    ("cli", &["*"]),
];

/// Limit of lines in a file, without its inline tests.
const FILE_LINES_MAX: usize = 500;

/// Limit of columns in a line.
const COLUMNS_MAX: usize = 110;

/// Words for unfinished or skipped work.
const BANNED: &[&str] = &["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!(", "#[ignore"];

/// Macros and calls that panic when a write fails, or that block. `src/console.rs` replaces them.
const WRITES: &[&str] = &[
    "print!(",
    "println!(",
    "stdout().lock",
    "stderr().lock",
    "stdout().write",
    "stderr().write",
    "writeln!(io::std",
    "write!(io::std",
];

#[test]
fn imports_run_downward_only() {
    let mut broken = Vec::new();
    for (folder, layers) in CRATES {
        for (path, text) in sources(folder) {
            let room = room(folder, &path);
            if room == "main" || room == "lib" {
                continue;
            }
            let Some((_, allowed)) = layers.iter().find(|(name, _)| *name == room) else {
                broken.push(format!("{}: the module `{room}` has no layer", path.display()));
                continue;
            };
            for import in imports(&text) {
                if import != room && !allowed.contains(&import.as_str()) && !allowed.contains(&"*")
                {
                    broken.push(format!("{}: {room} imports {import}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The table lets the upper layers import one another; circles are forbidden nevertheless.
#[test]
fn no_room_reaches_itself() {
    for (folder, _) in CRATES {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in sources(folder) {
            let from = room(folder, &path);
            let to = imports(&text).into_iter().filter(|to| *to != from);
            edges.entry(from.clone()).or_default().extend(to);
        }
        for start in edges.keys() {
            let mut reached = BTreeSet::new();
            let mut open: Vec<&String> = edges[start].iter().collect();
            while let Some(next) = open.pop() {
                assert_ne!(next, start, "`{start}` imports itself by way of {reached:?}");
                if reached.insert(next) {
                    open.extend(edges.get(next).into_iter().flatten());
                }
            }
        }
    }
}

#[test]
fn files_have_a_header_and_a_size() {
    let mut broken = Vec::new();
    for (path, text) in CRATES.iter().flat_map(|(folder, _)| sources(folder)) {
        let name = path.display();
        if !text.starts_with("//!") {
            broken.push(format!("{name}: no header that says what it is"));
        }
        let is_test = is_test(&path);
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default().lines().count();
        let code = if is_test { 0 } else { code };
        if code > FILE_LINES_MAX {
            broken.push(format!("{name}: {code} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            // a row of test data may be long, and so may a string literal alone on its line
            let text_alone =
                ["\"", "r#\""].iter().any(|quote| line.trim_start().starts_with(quote));
            let is_data = number >= code || text_alone;
            if line.chars().count() > COLUMNS_MAX && !is_data {
                broken.push(format!("{name}:{}: {} columns", number + 1, line.chars().count()));
            }
            if !line.is_ascii() {
                broken.push(format!("{name}:{}: not ASCII", number + 1));
            }
            // a test may state why it is skipped
            let writes = if number < code { WRITES } else { &[] };
            for word in BANNED.iter().chain(writes) {
                if line.contains(word) {
                    broken.push(format!("{name}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_map_names_every_room() {
    for (folder, _) in CRATES {
        let source = root().join(folder).join("src");
        let map = fs::read_to_string(source.join("lib.rs"))
            .or_else(|_| fs::read_to_string(source.join("main.rs")))
            .expect("the map");
        let header: String = map.lines().take_while(|line| line.starts_with("//!")).collect();
        for (path, _) in sources(folder) {
            let room = room(folder, &path);
            if room != "lib" && room != "main" {
                let named = header.contains(&format!("`{room}`"));
                assert!(named, "the map of `{folder}` does not say where `{room}` is");
            }
        }
    }
}

/// Whether a file contains only tests: `tests.rs`, and files in a folder `tests`.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the sources of the crate in `folder`.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder).join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// Returns the module of a file: the first path component below `src`.
fn room(folder: &str, path: &Path) -> String {
    let below = path.strip_prefix(root().join(folder).join("src")).expect("a source");
    let first = below.components().next().expect("a name");
    let first = Path::new(first.as_os_str());
    first.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Returns the modules that a file names with `crate::`, without its inline tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let mut found = BTreeSet::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for part in line.split("crate::").skip(1) {
            let names = match part.strip_prefix('{') {
                Some(list) => list.split(',').collect(),
                None => vec![part],
            };
            for name in names {
                let name: String =
                    name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() && name.chars().all(|c| c.is_lowercase() || c == '_') {
                    found.insert(name);
                }
            }
        }
    }
    found
}
