//! Commands that are separate programs, found as git finds them: `sidelight NAME` becomes
//! `sidelight-NAME` from the directory of this binary, or from PATH. Unit: one call.

use super::style;
use crate::config::environment::Environment;
use crate::rules::syntax::nearest;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Exit codes of a shell if there is no such program, and if it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// Exit code for a wrong command line.
const USAGE_ERROR: u8 = 2;

/// The prefix of every program's name.
const PREFIX: &str = "sidelight-";

/// Programs of this project: the command, the program, and the arguments that precede those of the
/// user.
const OURS: [(&str, &str, &[&str]); 3] =
    [("tee", "sidelight-tee", &[]), ("inject", INJECTOR, &["inject"]), ("injector", INJECTOR, &[])];

/// The program that handles clusters and manifests.
pub(crate) const INJECTOR: &str = "sidelight-injector";

/// Replaces this process by the program that `arguments` name; the first argument is the name of
/// this one. Refuses a word that is almost the name of one of [`OURS`]. Returns `None` if they name
/// no such program: the command is one of this binary, or unknown.
pub(crate) fn run(
    arguments: &[OsString],
    own: &[&str],
    environment: &Environment,
) -> Option<ExitCode> {
    let [_, name, rest @ ..] = arguments else { return None };
    let name = name.to_str().filter(|name| is_command(name) && !own.contains(name))?;
    let ours = OURS.iter().find(|(command, ..)| *command == name);
    if let Some((command, program, before)) = ours {
        let before = before.iter().map(OsString::from);
        let arguments: Vec<OsString> = before.chain(rest.iter().cloned()).collect();
        return Some(become_program(command, program, &arguments, environment));
    }
    if let Some(found) = find(&format!("{PREFIX}{name}")) {
        return Some(execute(&found, rest, environment));
    }
    let meant = misspelled(name, own)?;
    style::diagnose(
        &format!(
            "error: unrecognized subcommand '{name}'\n\n  tip: a similar subcommand exists: '{meant}'\n\n\
             For more information, try '--help'.\n"
        ),
        environment,
    );
    Some(ExitCode::from(USAGE_ERROR))
}

/// Returns the command of [`OURS`] that the user meant; `None` if a command of this binary is
/// nearer, or none is near.
fn misspelled(name: &str, own: &[&str]) -> Option<&'static str> {
    let ours = OURS.map(|(command, ..)| command);
    let meant = nearest(name, own.iter().copied().chain(ours))?;
    ours.into_iter().find(|command| *command == meant)
}

/// Replaces this process by `program`, one of [`OURS`]; `command` is its name for the user.
pub(crate) fn become_program(
    command: &str,
    program: &str,
    arguments: &[OsString],
    environment: &Environment,
) -> ExitCode {
    if let Some(found) = find(program) {
        return execute(&found, arguments, environment);
    }
    let directory =
        directory().map_or_else(String::new, |path| format!("in {} nor ", path.display()));
    let error = format!(
        "`sidelight {command}` needs the program `{program}`, which is neither {directory}in PATH\n  \
         = to do: take it from the image of the same release, or build it: \
         cargo build --release --package {program}"
    );
    style::fail(error, environment);
    ExitCode::from(NOT_FOUND)
}

fn execute(program: &Path, arguments: &[OsString], environment: &Environment) -> ExitCode {
    let error = Command::new(program).args(arguments).exec();
    style::fail(format_args!("cannot run {}: {error}", program.display()), environment);
    ExitCode::from(NOT_RUNNABLE)
}

/// Returns whether a word can be part of a file name and is not an option.
fn is_command(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_inner)
}

/// Finds the program beside this binary, or else in PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    let places = directory().into_iter().chain(in_path);
    places.map(|place| place.join(program)).find(|file| is_program(file))
}

/// Returns the directory of this binary.
fn directory() -> Option<PathBuf> {
    let itself = std::env::current_exe().ok()?;
    itself.parent().filter(|parent| parent.as_os_str() != OsStr::new("")).map(Path::to_owned)
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|known| known.is_file() && known.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_other_programs_are_suggested() {
        let own = ["check", "install", "help"];
        for (word, expected) in [
            ("injetc", Some("inject")),
            ("injectr", Some("inject")),
            ("te", Some("tee")),
            ("instal", None),
            ("chekc", None),
            ("banana", None),
        ] {
            assert_eq!(misspelled(word, &own), expected, "{word}");
        }
    }
}
