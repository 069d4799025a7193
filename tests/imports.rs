//! Checks the imports between the files of each crate: there is no circle, and no file imports its
//! parent module. A parent imports its children; a child imports its siblings and lower layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that still import their parent. An entry that is no longer needed fails the test, so the
/// list only gets shorter.
const CHILDREN_THAT_IMPORT_THEIR_PARENT: &[&str] = &[
    "src/decode/access/server",
    "src/decode/graph/walk",
    "src/decode/json/damaged",
    "src/serve/connection",
    "src/telemetry/ledger",
];

/// Files that are still part of a circle. The list gets shorter in the same way.
const FILES_IN_CIRCLES: &[&str] = &[
    "src/decode",
    "src/decode/access",
    "src/decode/access/server",
    "src/decode/json/damaged",
    "src/decode/text",
    "src/decode/text/header",
    "src/decode/text/request",
    "src/serve",
    "src/serve/connection",
    "src/serve/page",
    "src/serve/state",
];

/// A module path below the crate's root: `["pipeline", "memo"]`.
type Module = Vec<String>;

/// The modules of one crate and the imports of each, without tests.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_file_imports_its_parent() {
    let mut found = BTreeSet::new();
    for (folder, graph) in graphs() {
        for (from, to) in edges(&graph) {
            if to.len() < from.len() && from.starts_with(to) {
                found.insert(format!("{folder}/{}", from.join("/")));
            }
        }
    }
    assert_exactly(&found, CHILDREN_THAT_IMPORT_THEIR_PARENT);
}

#[test]
fn no_file_is_part_of_a_circle() {
    let mut found = BTreeSet::new();
    for (folder, graph) in graphs() {
        for start in graph.keys() {
            let mut reached: BTreeSet<&Module> = BTreeSet::new();
            let mut open: Vec<&Module> = graph[start].iter().collect();
            while let Some(next) = open.pop() {
                if reached.insert(next) {
                    open.extend(graph.get(next).into_iter().flatten());
                }
            }
            if reached.contains(start) {
                found.insert(format!("{folder}/{}", start.join("/")));
            }
        }
    }
    assert_exactly(&found, FILES_IN_CIRCLES);
}

/// Scenario: source text with every form of an import.
/// Guarantees: the parser of imports finds each of them, so that the two tests above see all
/// imports.
#[test]
fn every_form_of_an_import_is_found() {
    let module = |text: &str| text.split('/').map(str::to_owned).collect::<Module>();
    let modules: BTreeSet<Module> =
        ["a", "a/b", "a/b/c", "d", "d/e", "f"].map(module).into_iter().collect();
    let text = "//! crate::d\npub mod c;\nuse crate::d::{self, e::Thing};\nuse super::Parent;\n\
                fn f() { crate::f::g(); c::h(); }\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n";
    let found = imports(&module("a/b"), text, &modules);
    let expected: BTreeSet<Module> =
        ["a", "a/b/c", "d", "d/e", "f"].map(module).into_iter().collect();
    assert_eq!(found, expected);
}

fn assert_exactly(found: &BTreeSet<String>, known: &[&str]) {
    let known: BTreeSet<String> = known.iter().map(|name| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "new: {new:?}");
    let gone: Vec<_> = known.difference(found).collect();
    assert!(gone.is_empty(), "no longer so; take them off the list: {gone:?}");
}

fn edges(graph: &Graph) -> impl Iterator<Item = (&Module, &Module)> {
    graph.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to)))
}

/// Builds the graph of every crate of the workspace, by the folder of its sources.
fn graphs() -> Vec<(String, Graph)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec!["src".to_owned()];
    if let Ok(crates) = fs::read_dir(root.join("crates")) {
        let names = crates.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        folders.extend(names.map(|name| format!("crates/{name}/src")));
    }
    folders.retain(|folder| root.join(folder).is_dir());
    folders.into_iter().map(|folder| (folder.clone(), graph(&root.join(folder)))).collect()
}

fn graph(folder: &Path) -> Graph {
    let mut texts = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let below = path.strip_prefix(folder).expect("below it").with_extension("");
                let module: Module =
                    below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                if !module.iter().any(|part| part == "tests") {
                    texts.insert(module, fs::read_to_string(&path).expect("a readable file"));
                }
            }
        }
    }
    let modules: BTreeSet<Module> = texts.keys().cloned().collect();
    texts.iter().map(|(module, text)| (module.clone(), imports(module, text, &modules))).collect()
}

/// Returns the modules that a file names, by `use` or by a path, without inline tests and comments.
fn imports(module: &Module, text: &str, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = BTreeSet::new();
    for path in paths(&code) {
        let mut segments = path.iter().map(String::as_str);
        let mut absolute: Module = match segments.next() {
            Some("crate") => Vec::new(),
            Some("super") => module[..module.len() - 1].to_vec(),
            Some("self") => module.clone(),
            Some(name) => {
                let child: Module = module.iter().cloned().chain([name.to_owned()]).collect();
                if !modules.contains(&child) {
                    continue;
                }
                child
            }
            None => continue,
        };
        for segment in segments {
            match segment {
                "super" => _ = absolute.pop(),
                "self" => {}
                name => absolute.push(name.to_owned()),
            }
        }
        // the longest prefix that is a file
        while !absolute.is_empty() && !modules.contains(&absolute) {
            absolute.pop();
        }
        if !absolute.is_empty() && absolute != *module {
            found.insert(absolute);
        }
    }
    found
}

/// Returns all paths with `::` in a text, with lists in braces expanded.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let starts_word = is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1]));
        let follows_path = code[..at].ends_with("::");
        if !starts_word || follows_path {
            at += 1;
            continue;
        }
        let end = word_end(bytes, at);
        if code[end..].starts_with("::") {
            read_path(code, at, &mut Vec::new(), &mut found);
        }
        at = end;
    }
    found
}

/// Parses one path at `at`, after the segments of `prefix`; returns its end.
fn read_path(
    code: &str,
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let (bytes, depth) = (code.as_bytes(), prefix.len());
    loop {
        at = skip_space(bytes, at);
        if bytes.get(at) == Some(&b'{') {
            at += 1;
            loop {
                at = skip_space(bytes, at);
                match bytes.get(at) {
                    Some(b'}') | None => break,
                    Some(b',') => at += 1,
                    Some(_) => at = read_path(code, at, prefix, found).max(at + 1),
                }
            }
            at += 1;
            break;
        }
        let end = word_end(bytes, at);
        if end == at {
            found.push(prefix.clone());
            break;
        }
        prefix.push(code[at..end].to_owned());
        at = end;
        if !code[at..].starts_with("::") {
            found.push(prefix.clone());
            break;
        }
        at += 2;
    }
    prefix.truncate(depth);
    at
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count()
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
