//! Reads the pages that people read: their blocks, links and headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text of a file.
pub(crate) fn page(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the paths of all pages.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "examples", "deploy", "helm/sidelight", "tests/cluster"] {
        collect(&root().join(folder), folder == "examples", &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if deep && path.is_dir() {
            collect(&path, deep, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// A code block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    /// The text of the comment before it; empty if there is none.
    pub(crate) mark: String,
    pub(crate) text: String,
}

impl Block {
    /// Returns whether the tests run it.
    pub(crate) fn is_run(&self) -> bool {
        let marks = ["run", "run until", "run in background", "run ends the background"];
        self.language == "sh" && marks.contains(&self.mark.as_str())
    }
}

/// Returns the code blocks of a page.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut mark = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let comment = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(comment) = comment {
            comment.clone_into(&mut mark);
        } else if let Some(language) = line.trim_start().strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| !line.trim_start().starts_with("```"));
            let text = inside.fold(String::new(), |text, line| text + line + "\n");
            let language = language.to_owned();
            found.push(Block { language, mark: std::mem::take(&mut mark), text });
        } else if !line.trim().is_empty() {
            mark.clear();
        }
    }
    found
}

/// Returns the text of a page without code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // `code` in a line
            let parts = line.split('`').enumerate();
            out.extend(parts.map(|(number, part)| if number % 2 == 0 { part } else { "code" }));
            out.push('\n');
        }
    }
    out
}

/// Returns the targets of the links of a page.
pub(crate) fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// Returns the anchors of the headings of a page, as renderers make them.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let headings = text.lines().filter(|line| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code && line.starts_with('#')
    });
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase().replace(' ', "-");
    lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}
