//! Reads the files of `inject` into documents. A directory contributes its manifests in the order
//! of their names, as with kubectl, without subdirectories. Unit: one call.

use crate::cli::output::say;
use crate::manifest::read::{Document, FILE_BYTES_MAX, read as documents};
use std::io::Read;
use std::path::{Path, PathBuf};

/// File name extensions that kubectl reads from a directory.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// Returns name and documents of every file, or all errors at once.
///
/// # Errors
/// Fails if a file cannot be read or is not a manifest.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<(String, Vec<Document>)>, String> {
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for path in paths {
        match below(path) {
            Ok(paths) => {
                for path in paths {
                    match file(&path) {
                        Ok(file) => files.push(file),
                        Err(message) => wrong.push(message),
                    }
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(format!("error: {}", wrong.join("\nerror: "))) }
}

fn below(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.as_os_str() == "-" || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_file() && ENDINGS.contains(&ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn file(path: &Path) -> Result<(String, Vec<Document>), String> {
    let from_stdin = path.as_os_str() == "-";
    let name = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let text =
        if from_stdin { text(std::io::stdin()) } else { std::fs::File::open(path).and_then(text) };
    let text = text.map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8(text).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        format!("{name}:{line}: not UTF-8")
    })?;
    // PowerShell and some editors write a byte order mark
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (documents, notes) = documents(&name, text).map_err(|error| error.to_string())?;
    for note in notes {
        say(&format!("warning: {}", note.text));
    }
    Ok((name, documents))
}

fn text(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // one byte more than the limit, so that the reader refuses the file
    from.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
