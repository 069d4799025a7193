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
    ("apiserver", &["name"]),
    ("inject", &["manifest", "name"]),
    ("config", &["inject", "name"]),
    ("server", &["apiserver", "inject", "name"]),
    ("cli", &["*"]),
];

const TEE: Layers = &[
    ("clock", &[]),
    ("init", &[]),
    ("copy", &["clock"]),
    ("arguments", &["clock", "copy", "init"]),
];

const SIDELIGHT: Layers = &[
    ("clock", &[]),
    ("encoding", &[]),
    ("order", &[]),
    ("sync", &[]),
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
    ("transcode", &["decode", "frame", "record"]),
    ("spans", &["clock", "otlp", "outbox", "record", "resource", "telemetry"]),
    ("health", &["clock", "record", "telemetry"]),
    ("forward", &["clock", "outbox", "record", "telemetry"]),
    // `rules` compiles the formats that `decode` reads lines by
    ("rules", &["clock", "decode", "health", "metrics", "record", "spans", "telemetry"]),
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
            "transcode",
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

/// Modules of sidelight that every module above them may import: they have no state.
const SHARED: &[&str] = &["encoding", "order", "sync"];

/// Limit of lines in a file, without its inline tests.
const FILE_LINES_MAX: usize = 500;

/// Limit of columns in a line.
const COLUMNS_MAX: usize = 110;

/// Limit of lines in a function.
const FUNCTION_LINES_MAX: usize = 70;

/// Words for unfinished or skipped work.
const BANNED: &[&str] = &["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!(", "#[ignore"];

/// The seconds of a Java pattern with its zone, which is no such word.
const JAVA_ZONES: [&str; 2] = ["ss.SSSXXX", "ssXXX"];

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
            let module = module(folder, &path);
            if module == "main" || module == "lib" {
                continue;
            }
            let Some((_, allowed)) = layers.iter().find(|(name, _)| *name == module) else {
                broken.push(format!("{}: the module `{module}` has no layer", path.display()));
                continue;
            };
            for import in imports(&text) {
                let names = [import.as_str(), "*"];
                let is_allowed = names.iter().any(|name| allowed.contains(name))
                    || SHARED.contains(&import.as_str());
                if import != module && !is_allowed {
                    broken.push(format!("{}: {module} imports {import}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The table lets the upper layers import one another; circles are forbidden nevertheless.
#[test]
fn no_module_imports_itself() {
    for (folder, _) in CRATES {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in sources(folder) {
            let from = module(folder, &path);
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
        let code = without_tests(&text).lines().count();
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
            let searched =
                JAVA_ZONES.iter().fold(line.to_owned(), |line, zone| line.replace(zone, ""));
            for word in BANNED.iter().chain(writes) {
                if searched.contains(word) {
                    broken.push(format!("{name}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_module_table_is_complete() {
    for (folder, _) in CRATES {
        let source = root().join(folder).join("src");
        let table = fs::read_to_string(source.join("lib.rs"))
            .or_else(|_| fs::read_to_string(source.join("main.rs")))
            .expect("the root module");
        let header: String = table.lines().take_while(|line| line.starts_with("//!")).collect();
        for (path, _) in sources(folder) {
            let module = module(folder, &path);
            if module != "lib" && module != "main" {
                let named = header.contains(&format!("`{module}`"));
                assert!(named, "the table of `{folder}` does not list `{module}`");
            }
        }
    }
}

/// A function that does not fit on a screen does more than one thing. Tests are exempt, because most
/// lines of a long test are rows of a table.
#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in code() {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = &line[..line.len() - line.trim_start().len()];
            let is_end = |line: &&str| line.strip_prefix(indent) == Some("}");
            let length = lines[start..].iter().position(is_end).map_or(0, |end| end + 1);
            // a function without a body ends on the lines of its signature
            let signature = lines[start..].iter().find(|line| line.ends_with([';', '{', '}']));
            if length > FUNCTION_LINES_MAX && signature.is_some_and(|line| line.ends_with('{')) {
                long.push((path.clone(), name.to_owned(), length));
            }
        }
    }
    assert!(long.is_empty(), "more than {FUNCTION_LINES_MAX} lines: {long:?}");
}

/// An error that is only a text can neither be matched, nor does it have a source. The command lines
/// may use one, because they print it at once.
#[test]
fn errors_have_types_and_causes() {
    let mut broken = Vec::new();
    for (path, text) in code() {
        let count = text.lines().filter(|line| returns_text_error(line)).count();
        let is_command_line = path.contains("src/cli");
        if count > 0 && !is_command_line {
            broken.push(format!("{path}: {count} functions return an error of type String"));
        }
        let errors = text.lines().filter_map(|line| line.strip_suffix(" {}"));
        for name in errors.filter_map(|line| line.split_once("Error for ")).map(|(_, name)| name) {
            if wraps_error(&text, name) {
                broken.push(format!("{path}: {name} wraps an error, but has no source()"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Returns whether a line declares a function, a field or a type with `Result<_, String>`.
fn returns_text_error(line: &str) -> bool {
    let is_comment = line.trim_start().starts_with("//");
    !is_comment && line.contains("Result<") && line.contains(", String>")
}

/// Returns whether the definition of an error type contains another error.
fn wraps_error(text: &str, name: &str) -> bool {
    let start = [format!("struct {name} {{"), format!("enum {name} {{")]
        .iter()
        .find_map(|definition| text.find(definition.as_str()));
    let Some(start) = start else { return false };
    let end = text[start..].find("\n}").map_or(text.len(), |end| start + end);
    let definition = text[start..end].lines().skip(1);
    let fields = definition.filter(|line| !line.trim_start().starts_with("///"));
    fields.flat_map(|line| line.split(|c: char| !c.is_alphanumeric())).any(|word| {
        word == "Errno" || word == "Problem" || (word.ends_with("Error") && word != name)
    })
}

/// Returns the name of the function that is declared on a line.
fn function_name(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub ").unwrap_or(rest);
    let rest =
        ["pub(crate) ", "pub(super) "].iter().find_map(|p| rest.strip_prefix(p)).unwrap_or(rest);
    let rest = ["const ", "async "].iter().find_map(|p| rest.strip_prefix(p)).unwrap_or(rest);
    let name = rest.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}

/// Returns the sources of all crates without their tests, with the path below the root, in order.
fn code() -> Vec<(String, String)> {
    let all = CRATES.iter().flat_map(|(folder, _)| sources(folder));
    let mut code: Vec<(String, String)> = all
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| {
            let path = path.strip_prefix(root()).expect("a source").display().to_string();
            (path, without_tests(&text).to_owned())
        })
        .collect();
    code.sort();
    code
}

/// Returns the source without its inline tests, which are at its end.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
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
fn module(folder: &str, path: &Path) -> String {
    let below = path.strip_prefix(root().join(folder).join("src")).expect("a source");
    let first = below.components().next().expect("a name");
    let first = Path::new(first.as_os_str());
    first.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Returns the modules that a file names with `crate::`, without its inline tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = without_tests(text);
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
