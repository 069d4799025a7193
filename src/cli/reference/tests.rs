//! Tests of completions and the manual page: they have every command and flag, and the shells that
//! are installed accept the scripts.

use super::completions::{Shell, script};
use super::definition::Definition;
use super::man;
use crate::cli::CommandLine;
use clap::{CommandFactory, ValueEnum};
use std::process::Command;

fn definition() -> Definition {
    Definition::of(&CommandLine::command())
}

/// Guarantees: every command and every flag is in every script and in the manual page.
#[test]
fn nothing_is_missing() {
    let definition = definition();
    assert!(definition.commands.len() >= 9, "{definition:?}");
    let page = man::page(&definition);
    for shell in Shell::value_variants() {
        let text = script(*shell, &definition);
        for command in &definition.commands {
            assert!(text.contains(&command.name), "{shell:?} has no {}", command.name);
            for flag in &command.flags {
                let long = flag.long.as_ref().expect("every flag has a long name");
                let is_there = match shell {
                    Shell::Bash | Shell::Zsh => text.contains(&format!("--{long}")),
                    Shell::Fish => text.contains(&format!("-l {long} ")),
                };
                assert!(is_there, "{shell:?} has no --{long}");
                let in_page = format!("\\-\\-{}", long.replace('-', "\\-"));
                assert!(page.contains(&in_page), "the page has no --{long}");
            }
        }
    }
}

/// Guarantees: no line of the page begins a request by accident, and every font is closed.
#[test]
fn the_manual_page_is_sound() {
    let page = man::page(&definition());
    for line in page.lines() {
        let request = line.strip_prefix('.').map(|line| line.split(' ').next().unwrap_or_default());
        let is_known =
            request.is_none_or(|name| ["TH", "SH", "SS", "TP", "PP", "B"].contains(&name));
        assert!(is_known && !line.starts_with('\''), "{line:?}");
        let opened = line.matches("\\fB").count() + line.matches("\\fI").count();
        assert_eq!(opened, line.matches("\\fR").count(), "{line:?}");
    }
}

/// Completes words with the script of bash.
fn completed(words: &[&str]) -> Option<Vec<String>> {
    let script = script(Shell::Bash, &definition());
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let call = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _sidelight; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash").args(["--norc", "-c", &call]).output().ok()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Guarantees: bash completes commands, the flags of the command, and closed sets of values. Without
/// bash only the text is checked, by the test above.
#[test]
fn bash_completes() {
    for (words, expected) in [
        (vec!["sidelight", "ch"], vec!["check"]),
        (vec!["sidelight", "check", "--str"], vec!["--strict"]),
        (vec!["sidelight", "replay", "--format", "j"], vec!["json"]),
        (vec!["sidelight", "--sock"], vec!["--socket"]),
        (vec!["sidelight", "explain", "--str"], vec![""]),
        (vec!["sidelight", "reference", "--completions", "f"], vec!["fish"]),
    ] {
        let Some(found) = completed(&words) else { return };
        assert_eq!(found, expected, "{words:?}");
    }
}

/// Guarantees: zsh and fish, where they are installed, read their scripts without an error.
#[test]
fn other_shells_read_their_scripts() {
    for (shell, program) in [(Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let text = script(shell, &definition());
        assert!(!text.contains("{}") && text.lines().count() > 20, "{text}");
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &text).expect("space for a file");
        if let Ok(output) = Command::new(program).arg("-n").arg(file.path()).output() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
